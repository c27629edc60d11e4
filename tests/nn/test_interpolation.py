"""Interpolation consistency training: its losses by hand, its mean by a closed form, and that labels that are not known do not count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.interpolation import Interpolation
from edgesim.domain.networks.training import Training
from edgesim.errors import DataError, ScenarioError
from edgesim.interfaces import Silent
from edgesim.nn.data.datasets import Digits
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train import interpolation as ict
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import forward, train_teacher
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from pathlib import Path

    from edgesim.domain.networks.samples import Dataset

FEW = Interpolation(labels_per_class=2, weight=10.0)


@pytest.fixture(scope="module")
def some() -> Dataset:
    digits = Digits(train_size=100).load()
    return replace(digits, validation=digits.validation[:60], test=digits.test[:60])


def linear() -> nn.Linear:
    """Logits (0, x)."""
    layer = nn.Linear(1, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0], [1.0]]))
        layer.bias.zero_()
    return layer


@pytest.mark.parametrize("mixed", ["answers", "logits"])
def test_losses_are_those_of_the_paper(mixed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two samples, l = 0.25, swapped: of a linear network L_U is 0 with mixed logits, and known with mixed answers."""
    monkeypatch.setattr(ict, "drawn_share", lambda _mixing, _draws: 0.25)
    monkeypatch.setattr(ict.torch, "randperm", lambda n, **_: torch.arange(n).flip(0))
    options, draws = Interpolation(mixed=mixed), torch.Generator()  # type: ignore[arg-type]
    x, y = torch.tensor([[0.0], [4.0]]), torch.tensor([0, 1])
    found = ict.consistency_loss(ict.WithMean(linear(), 0.9), {"x": x}, options, draws).item()
    sigmoid = [1 / (1 + np.exp(-value)) for value in (0.0, 4.0)]
    wanted = [1 / (1 + np.exp(-value)) for value in (3.0, 1.0)]  # of 0.25 x + 0.75 of the other
    if mixed == "answers":
        wanted_by_mean = [0.25 * sigmoid[0] + 0.75 * sigmoid[1], 0.25 * sigmoid[1] + 0.75 * sigmoid[0]]
    else:
        wanted_by_mean = wanted
    squares = [(one - other) ** 2 for one, other in zip(wanted, wanted_by_mean, strict=True)]
    assert found == pytest.approx(np.mean(squares), rel=1e-5, abs=1e-12)  # both classes differ by the same
    labelled = ict.labelled_loss(linear(), Classification(2), ({"x": x}, y), options, draws).item()
    loss = nn.functional.cross_entropy
    at = linear()(torch.tensor([[3.0], [1.0]]))
    assert labelled == pytest.approx((0.25 * loss(at, y) + 0.75 * loss(at, y.flip(0))).item(), rel=1e-6)


def test_the_mean_is_the_plain_one_first_and_a_moving_one_then() -> None:
    """Behind step n weights are n + 1: with 1 - 1/(n + 1) up to the decay of 2/3 means are 1, 1.5, 2, and then 2/3 of the last and 1/3 of the new."""
    network = linear()
    pair, means = ict.WithMean(network, 2 / 3), []
    for step in range(5):
        pair.begin_step()
        with torch.no_grad():
            network.weight.fill_(step + 1.0)
        pair.follow()
        pair.follow()  # once for each step
        means.append(pair.mean.weight[0].item())  # type: ignore[union-attr, index, operator]
    assert means == pytest.approx([1, 1.5, 2, 2 * 2 / 3 + 4 / 3, (2 * 2 / 3 + 4 / 3) * 2 / 3 + 5 / 3], rel=1e-6)
    assert not any(parameter.requires_grad for parameter in pair.mean.parameters())


@pytest.mark.parametrize("mixing", [0.1, 1.0, 3.0])
def test_shares_are_drawn_from_beta(mixing: float) -> None:
    """4,000 draws: mean 1/2 and variance 1 / (4 (2a + 1)), within four standard errors (of the variance by the draws themselves)."""
    draws = torch.Generator().manual_seed(1)
    values = np.array([ict.drawn_share(mixing, draws) for _ in range(4000)])
    variance = 1 / (4 * (2 * mixing + 1))
    assert abs(values.mean() - 0.5) < 4 * np.sqrt(variance / len(values))
    squares = (values - 0.5) ** 2
    assert abs(squares.mean() - variance) < 4 * squares.std() / np.sqrt(len(values))


def test_labels_that_are_not_known_do_not_count(some: Dataset, tmp_path: Path) -> None:
    """With all others wrong the weights are the same bit by bit; the key is another, since the data are."""
    training = Training(epochs=2, batch_size=25, interpolation=FEW)
    known = ict.labelled_samples(some, 2, seed=1)
    assert np.bincount(some.train.targets[known]).tolist() == [2] * 10
    wrong = (some.train.targets + 1) % 10
    wrong[known] = some.train.targets[known]
    others = replace(some, train=replace(some.train, targets=wrong))
    monkey = pytest.MonkeyPatch()
    states = []
    for data in (some, others):
        monkey.setattr(ict, "labelled_samples", lambda *_: known)
        monkey.setattr("edgesim.nn.train.training.labelled_samples", lambda *_: known)
        cache = NetworkCache(tmp_path)
        states.append(train_teacher(SmallCNN((4,), 0), data, training, seed=1, progress=Silent(), cache=cache))
    monkey.undo()
    assert states[0].key != states[1].key
    first, second = (one.network.state_dict() for one in states)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_students_see_answers_in_place_of_labels(some: Dataset) -> None:
    known = ict.labelled_samples(some, 2, seed=1)
    answers = np.tile(np.eye(10, dtype=np.float32)[7], (len(some.train), 1))
    seen = ict.with_answers_for_labels(some, answers, known)
    hidden = np.setdiff1d(np.arange(len(some.train)), known)
    assert set(seen.train.targets[hidden].tolist()) == {7}
    assert np.array_equal(seen.train.targets[known], some.train.targets[known])


def test_it_uses_samples_without_labels(tmp_path: Path) -> None:
    """A trained network answers more than guessing, and other than without L_U."""
    digits = Digits(train_size=200).load()
    few = Interpolation(labels_per_class=5, weight=20.0, decay=0.9)
    scores, answers = [], []
    for options in (few, replace(few, weight=0.0)):
        training = Training(epochs=12, batch_size=25, learning_rate=0.01, interpolation=options)
        trained = train_teacher(
            SmallCNN((8, 16), 1), digits, training, seed=1, progress=Silent(), cache=NetworkCache(tmp_path)
        )
        scores.append(trained.metrics["test_accuracy"])
        answers.append(forward(trained.network, digits.test.inputs))
    assert min(scores) > 0.5
    assert not np.allclose(answers[0], answers[1])


def test_what_cannot_be_is_refused(some: Dataset) -> None:
    with pytest.raises(
        DataError, match=r"labels_per_class is 500, but class 0 of digits.* has 1[0-9] training samples"
    ):
        ict.labelled_samples(some, 500, 1)
    whole = replace(some.train, inputs={"x": some.train.only.astype(np.int64)})
    with pytest.raises(DataError, match=r"'x' of digits.* holds int64, which cannot be mixed"):
        ict.labelled_samples(replace(some, train=whole), 1, 1)
    with pytest.raises(ScenarioError, match="an attack and an interpolation"):
        Training(attack=Attack(), interpolation=FEW)
