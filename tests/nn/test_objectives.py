"""Objectives for losses: against enumeration by hand, against the network itself, and heads against least squares by numpy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.objective import Survivors
from edgesim.domain.networks.partition import replica_weights, stand_in_weights
from edgesim.domain.networks.training import Distillation
from edgesim.errors import PlanError
from edgesim.nn.distill.lessons import BatchLesson, GivenFeatures, answers_of_sets, weights_of_sets
from edgesim.nn.distill.losses import imitation_loss
from edgesim.nn.distill.modules import StudentEnsemble
from edgesim.nn.distill.teacher_outputs import TaughtBatch
from edgesim.nn.merging.heads import GramMatrix
from edgesim.nn.objectives.ard import ARD
from edgesim.nn.objectives.expectation import Expectation
from edgesim.nn.objectives.failout import Failout
from edgesim.nn.objectives.mel import MEL, all_sets
from edgesim.nn.train.cards import content_key, provenance
from edgesim.registry import OBJECTIVES
from edgesim.tasks.classification import Classification
from edgesim.testing import check_objective

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.domain.networks.partition import Denominator, Missing

PART_OF = (0, 1, 0, 1, 0)
SETS = tuple(itertools.product((True, False), repeat=5))


class Five:
    """Five linear students on two parts of 2 and 3 features."""

    task = Classification(4)
    n_students = 5

    def __init__(self, denominator: Denominator = "arrived") -> None:
        torch.manual_seed(3)
        self.ensemble = StudentEnsemble(
            [nn.Linear(6, (2, 3)[part]) for part in PART_OF], PART_OF, (2, 3), (4,), denominator
        )

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.ensemble.answers(self.ensemble.features(inputs))

    def taught(self, inputs: Mapping[str, torch.Tensor], activities: torch.Tensor) -> GivenFeatures:
        return GivenFeatures(self.ensemble, self.ensemble.features(inputs), activities.sum())


def lesson(learner: Five, survivors: Survivors | None = None, missing: Missing = "zeros") -> BatchLesson:
    generator = torch.Generator().manual_seed(4)
    x, wanted = torch.rand(7, 6, generator=generator), torch.randn(7, 4, generator=generator)
    batch = TaughtBatch({"x": x}, torch.tensor([0, 1, 2, 3, 0, 1, 2]), wanted, torch.tensor([[0.5]]))
    return BatchLesson(learner, batch, Distillation(2.0, 0.7), generator, survivors, missing)


def by_hand(learner: Five, of: BatchLesson, left: tuple[bool, ...], missing: Missing) -> float:
    """The loss for one set: features merged one by one, then the head."""
    features = learner.ensemble.features(of.inputs)
    merged = learner.ensemble.merge(features, left)
    if missing == "mean":
        weights = stand_in_weights(PART_OF, left, learner.ensemble.denominator)
        means = learner.ensemble.merge([own.mean(dim=0, keepdim=True) for own in features], [True] * 5)
        for part, first, last in ((0, 0, 2), (1, 2, 5)):
            if learner.ensemble.denominator == "arrived" and any(
                w for w, p in zip(weights, PART_OF, strict=True) if p == part
            ):
                merged[:, first:last] += means[:, first:last]
    answers = learner.ensemble.head(merged)
    return imitation_loss(learner.task, answers, of.wanted, of.targets, of.options).item()


@pytest.mark.parametrize("denominator", ["arrived", "all"])
def test_weights_of_sets_are_those_of_replicas(denominator: Denominator) -> None:
    weights, absent = weights_of_sets(Five(denominator).ensemble, torch.tensor(SETS))
    assert weights.numpy() == pytest.approx(np.array([replica_weights(PART_OF, one, denominator) for one in SETS]))
    assert absent.numpy() == pytest.approx(np.array([stand_in_weights(PART_OF, one, denominator) for one in SETS]))


@pytest.mark.parametrize("denominator", ["arrived", "all"])
def test_one_pass_answers_all_sets_as_the_network_does(denominator: Denominator) -> None:
    """All 32 sets of five students, one by one and by a matrix product, to 1e-5."""
    learner = Five(denominator)
    features = learner.ensemble.features(lesson(learner).inputs)
    found = answers_of_sets(learner.ensemble, features, torch.tensor(SETS), "zeros")
    wanted = torch.stack([learner.ensemble.answers(features, left) for left in SETS])
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("missing", ["zeros", "mean"])
def test_the_expectation_is_the_sum_over_sets(missing: Missing) -> None:
    """Probabilities that differ, added up by hand; the transfer is beside it."""
    learner, probabilities = Five(), np.arange(1, 33) / np.arange(1, 33).sum()
    of = lesson(learner, Survivors(SETS, tuple(probabilities)), missing)
    wanted = 0.5 + sum(p * by_hand(learner, of, left, missing) for p, left in zip(probabilities, SETS, strict=True))
    assert Expectation().loss(of).item() == pytest.approx(wanted, rel=1e-5)
    with pytest.raises(PlanError, match="failure"):
        Expectation().loss(lesson(learner))


def test_mel_counts_sets_or_sizes_alike() -> None:
    """All 31 sets that are not empty; by sizes a set of k of 5 counts 1 / (5 C(5, k))."""
    from math import comb

    learner, of = Five(), lesson(Five())
    some = [(sum(left), by_hand(learner, of, left, "zeros")) for left in SETS[:-1]]
    assert MEL().loss(of).item() == pytest.approx(0.5 + np.mean([loss for _, loss in some]), rel=1e-5)
    by_size = 0.5 + sum(loss / (5 * comb(5, size)) for size, loss in some)
    assert MEL(weights="sizes").loss(of).item() == pytest.approx(by_size, rel=1e-5)
    with pytest.raises(PlanError, match="sampled"):
        all_sets(13, "sets")


@pytest.mark.parametrize(("weights", "wanted"), [("sets", [5, 10, 10, 5, 1]), ("sizes", [1, 1, 1, 1, 1])])
def test_drawn_sets_follow_their_weights(weights: str, wanted: list[int]) -> None:
    """Sizes of 20,000 draws within 4 standard deviations; each student is in as many sets as another; none is empty."""
    drawn = MEL(20_000, weights).drawn(lesson(Five())).numpy()  # type: ignore[arg-type]
    share = np.array(wanted) / sum(wanted)
    counts = np.bincount(drawn.sum(axis=1), minlength=6)
    assert counts[0] == 0
    assert np.all(np.abs(counts[1:] - 20_000 * share) < 4 * np.sqrt(20_000 * share * (1 - share)))
    assert np.ptp(drawn.mean(axis=0)) < 8 * np.sqrt(0.25 / 20_000)


def test_failout_is_the_loss_of_one_drawn_set() -> None:
    learner, of = Five(), lesson(Five())
    state = of.draws.get_state()
    found = Failout(0.5).loss(of).item()
    of.draws.set_state(state)
    left = tuple((torch.rand(5, generator=of.draws) < 0.5).tolist())
    assert found == pytest.approx(0.5 + by_hand(learner, of, left, "zeros"), rel=1e-6)


@pytest.mark.parametrize(
    "objective",
    [OBJECTIVES.get(name)() for name in OBJECTIVES.names() if name != "failout"]
    + [Failout(0.5), MEL(3), MEL(3, "sizes")],
    ids=repr,
)
def test_ours_keep_the_promises_of_an_objective(objective: object) -> None:
    """The conformance checks that third parties run too."""
    check_objective(objective)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Forgetful:
    """Never asks two of the students."""

    def loss(self, lesson: BatchLesson) -> torch.Tensor:
        left = torch.tensor([[True, True, False, False]] * 2)
        return lesson.imitation(lesson.taught(lesson.inputs).answers(left))


@dataclass(frozen=True)
class Wild:
    """Draws from torch's own generator."""

    def loss(self, lesson: BatchLesson) -> torch.Tensor:
        return lesson.imitation(lesson.taught(lesson.inputs).answers()) * (1 + torch.rand(()))


@dataclass(frozen=True)
class Contrary:
    """Climbs."""

    def loss(self, lesson: BatchLesson) -> torch.Tensor:
        return -lesson.imitation(lesson.taught(lesson.inputs).answers())


@pytest.mark.parametrize(
    ("wrong", "text"), [(Forgetful(), "gradient"), (Wild(), r"lesson\.draws"), (Contrary(), "must fall")], ids=repr
)
def test_the_checks_find_what_is_wrong(wrong: object, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_objective(wrong)  # type: ignore[arg-type]


def test_heads_are_least_squares_on_the_features_that_are_left() -> None:
    """Every set of three students, by numpy on these columns and a column of ones, to 1e-4 of the weights."""
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(60, n)) for n in (2, 1, 3)]
    wanted = rng.normal(size=(60, 2))
    gram = GramMatrix(features, wanted)
    for left in itertools.product((True, False), repeat=3):
        columns = [np.ones((60, 1)), *(own for own, is_left in zip(features, left, strict=True) if is_left)]
        solved = np.linalg.lstsq(np.concatenate(columns, axis=1), wanted, rcond=None)[0]
        weights, bias = gram.head(left, 0.0)
        assert bias == pytest.approx(solved[0], abs=1e-5)
        assert weights == pytest.approx(solved[1:].T, abs=1e-5)


def test_keys_of_objectives_are_where_options_once_were() -> None:
    """Failout and attacks were options of the distillation, whose networks are published under these keys; a new objective has its own."""

    def key(**more: object) -> str:
        return content_key(provenance("students", distillation=Distillation(), seed=1, **more))

    def once(**options: object) -> str:
        determinants = provenance("students", distillation=Distillation(), seed=1)
        determinants["distillation"].update(options)
        return content_key(determinants)

    attack = provenance("x", attack=Attack(0.1))["attack"]
    assert key() == once(survival=1.0, objective="distillation")
    assert key(objective=Failout(0.9)) == once(survival=0.9)
    assert key(objective=ARD(Attack(0.1))) == once(objective="ard", attack=attack)
    assert (
        len({key(), key(objective=MEL()), key(objective=MEL(3)), key(objective=Expectation()), key(objective=ARD())})
        == 5
    )
