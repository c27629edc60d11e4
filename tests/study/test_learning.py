"""Whether trained networks learnt something; the bounds by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.domain.networks.learning import Learnt
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.study.preparation.prepare import _learnt, _learnt_by
from edgesim.tasks.classification import Classification
from edgesim.tasks.multi_label import MultiLabel
from edgesim.tasks.regression import Regression


def learnt(reached: float, teacher: float | None = None, *, chance: float = 0.5, n_samples: int = 100) -> Learnt:
    """A network on 100 samples of two equally frequent classes."""
    return Learnt("it", Classification(2).scores[0], reached, chance, n_samples, teacher)


def dataset(labels: np.ndarray) -> Dataset:
    """Samples of three classes without content."""
    split = Samples({"images": np.zeros((len(labels), 1, 1, 1), np.float32)}, labels)
    return Dataset("noise", split, split, split, Classification(3), "none", "none")


@pytest.mark.parametrize(
    ("one", "is_chance"),
    [
        (learnt(0.59), True),  # 0.5 + 1.96 x 0.05 = 0.598
        (learnt(0.6), False),
        (learnt(0.52, n_samples=10_000), False),  # 0.5098
        (learnt(1 / 3, chance=1 / 3, n_samples=60), True),
        (learnt(1.0, chance=1.0), True),  # one class: there is nothing to learn
    ],
    ids=repr,
)
def test_chance_is_what_one_network_in_forty_exceeds_by_chance(one: Learnt, is_chance: bool) -> None:  # noqa: FBT001
    """The normal bound of the share of the most frequent class."""
    assert one.is_chance is is_chance
    assert ("no better than chance" in one.warning) is is_chance


def test_what_is_above_chance_but_not_surely_is_told_with_the_number_of_samples() -> None:
    """59 of 100 may be luck; 50 of 100 are nothing."""
    assert "may be no better than chance, as far as 100 test samples tell: accuracy 59.0%" in learnt(0.59).warning
    assert "is no better than chance: accuracy 50.0%" in learnt(0.5).warning


def test_far_below_is_less_than_half_of_the_gain() -> None:
    """The teacher gains 0.4 over chance: 0.69 is less than half of that, 0.71 is not."""
    assert "far below its teacher: accuracy 69.0%, chance 50.0%, its teacher 90.0%" in learnt(0.69, 0.9).warning
    assert "`beta`" in learnt(0.69, 0.9).warning
    assert learnt(0.71, 0.9).warning == ""
    assert learnt(0.71).warning == ""


def test_chance_is_the_share_of_the_most_frequent_label() -> None:
    """Three of four."""
    found = _learnt("it", 0.9, dataset(np.array([2, 0, 2, 2])))
    assert found.chance == 0.75


def test_members_are_judged_for_themselves() -> None:
    """Of an ensemble, one member learnt nothing, which the mean of all hides."""
    data = dataset(np.arange(100) % 2)
    facts = {
        "test_accuracy": 0.9,
        "teacher_test_accuracy": 0.95,
        "students": [{"test_accuracy": 0.9}, {"test_accuracy": 0.5}],
    }
    found = _learnt_by(facts, "strategy 'ensemble'", data)
    assert [bool(one.warning) for one in found] == [False, False, True]
    assert found[2].network == "student 2 of strategy 'ensemble'"
    assert _learnt_by({"device": "hub"}, "strategy 'single'", data) == ()


def test_scores_that_are_no_shares_have_bounds_of_their_own() -> None:
    """ROC-AUC: 0.5 + 1.96 / sqrt(3 x 100) = 0.613; an error of 1.0: 1 - 1.96 / sqrt(200) = 0.861, where smaller is better."""
    auc, rmse = MultiLabel(1).scores[0], Regression().scores[0]
    assert Learnt("it", auc, 0.61, 0.5, 100).is_chance
    assert not Learnt("it", auc, 0.62, 0.5, 100).is_chance
    assert Learnt("it", rmse, 0.87, 1.0, 100).is_chance
    assert not Learnt("it", rmse, 0.86, 1.0, 100).is_chance
    assert Learnt("it", rmse, 0.8, 1.0, 100, teacher=0.5).is_far_below_teacher
    assert not Learnt("it", rmse, 0.7, 1.0, 100, teacher=0.5).is_far_below_teacher
    assert Learnt("it", auc, float("nan"), 0.5, 100).is_chance
