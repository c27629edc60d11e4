"""Training samples, and networks of questions, shared out over devices."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.errors import PlanError
from edgesim.interfaces import DeploymentContext
from edgesim.nn.models.tabular.kernel_networks import GeneralRegression
from edgesim.nn.models.tabular.targets import TargetNetworks
from edgesim.strategies.shards import SampleShards
from edgesim.strategies.targets import PerTarget, _anyhow
from edgesim.tasks.classification import Classification
from edgesim.tasks.multi_label import MultiLabel
from edgesim.testing import check_bundle, check_strategy

SHARDS = SampleShards(devices="w*", merger="hub", deadline_s=0.1)
TARGETS = PerTarget(devices="w*", merger="hub", deadline_s=0.1)
N_TARGETS = 5


@pytest.fixture
def samples(make_context: Callable[..., DeploymentContext]) -> DeploymentContext:
    rng = np.random.default_rng(0)
    parts = [
        Samples({"features": rng.standard_normal((12, 4)).astype(np.float32)}, np.arange(12) % 3) for _ in range(3)
    ]
    dataset = Dataset("clouds", *parts, Classification(3), "none", "drawn")
    network = GeneralRegression(4, 3)
    network.keep(dataset.train.only, dataset.train.targets, 0.7)
    return make_context(network=network.eval(), dataset=dataset)


@pytest.fixture
def questions(make_context: Callable[..., DeploymentContext]) -> DeploymentContext:
    rng = np.random.default_rng(0)
    parts = [
        Samples(
            {"bits": rng.integers(0, 2, (12, 6), dtype=np.uint8)},
            (np.arange(12)[:, None] % np.arange(2, 7) == 0).astype(np.float32),
        )
        for _ in range(3)
    ]
    dataset = Dataset("bits", *parts, MultiLabel(N_TARGETS), "none", "drawn")
    torch.manual_seed(1)
    network = TargetNetworks((4,)).build(dataset.inputs, dataset.task.output).eval()
    return make_context(network=network, dataset=dataset)


def test_both_keep_the_promises_of_strategies(samples: DeploymentContext, questions: DeploymentContext) -> None:
    """With everything delivered they are the whole network."""
    check_strategy(SHARDS, samples)
    check_strategy(TARGETS, questions)


def test_written_kernels_answer_what_predict_answers(samples: DeploymentContext, questions: DeploymentContext) -> None:
    """As graphs of operators, with copies, with a share of a class lost, and where scores leave questions out."""
    check_bundle(SHARDS.deploy(samples), samples.dataset.test)
    for options in ({}, {"copies": 2}, {"unanswered": "leave-out", "important": (1,)}):
        check_bundle(replace(TARGETS, **options).deploy(questions), questions.dataset.test)


def test_every_set_of_devices_gives_the_ratio_over_their_samples(samples: DeploymentContext) -> None:
    """Sample i of its class-ordered row lies on device i mod 3: all sets, by the formula; with nothing, the shares of the classes."""
    deployment = SHARDS.deploy(samples)
    train, test = samples.dataset.train, samples.dataset.test
    order = np.argsort(train.targets, kind="stable")
    rows, classes = train.only[order].astype(float), train.targets[order]
    weights = np.exp(-((test.only[:, None].astype(float) - rows) ** 2).sum(2) / (2 * 0.7**2))
    for left in itertools.product((False, True), repeat=3):
        there = np.array([left[number % 3] for number in range(12)])
        lost = frozenset(f"features w{number + 1}->hub" for number in range(3) if not left[number])
        found = np.exp(deployment.predict(Delivery(lost)).astype(float))
        wanted = weights * there @ np.eye(3)[classes]
        wanted = wanted / wanted.sum(1, keepdims=True) if any(left) else np.full((12, 3), 1 / 3)
        np.testing.assert_allclose(found / found.sum(1, keepdims=True), wanted, atol=1e-5)


def test_messages_are_the_input_and_a_number_per_class(samples: DeploymentContext) -> None:
    """Four features of 4 byte there, three sums of 4 byte back; a device holds 4 samples of 4 features and a bias, in 4 byte each."""
    deployment = SHARDS.deploy(samples)
    sizes = {one.step_id: one.size_byte for one in deployment.plan.transfers}
    assert {size for name, size in sizes.items() if name.startswith("input")} == {16}
    assert {size for name, size in sizes.items() if name.startswith("features")} == {12}
    assert deployment.plan.weight_byte["w1"] == 4 * (4 + 1) * 4


def test_others_than_their_networks_are_refused(samples: DeploymentContext, questions: DeploymentContext) -> None:
    """Each says which model it takes."""
    with pytest.raises(PlanError, match="take the model grnn"):
        SHARDS.deploy(questions)
    with pytest.raises(PlanError, match="take the model target-networks"):
        TARGETS.deploy(samples)
    with pytest.raises(PlanError, match="match 1 to 12"):
        replace(SHARDS, devices="x*").deploy(samples)
    with pytest.raises(PlanError, match="there is no question 5; they are numbered from 0 to 4"):
        replace(TARGETS, important=(5,)).deploy(questions)


def test_what_no_device_answers_is_guessed_or_left_out(questions: DeploymentContext) -> None:
    """Five networks on three devices: what the lost one had is the share of yes, or NaN; copies answer in its place."""
    whole = TARGETS.deploy(questions)
    lost = whole.targets[0]
    delivery = Delivery(frozenset({"features w1->hub"}))
    guessed = whole.predict(delivery)
    guess = questions.dataset.task.guess(questions.dataset.train.targets)
    for target in range(N_TARGETS):
        wanted = np.full(12, guess[target]) if target in lost else whole.answers[:, target]
        assert np.array_equal(guessed[:, target], wanted)
    left_out = replace(TARGETS, unanswered="leave-out").deploy(questions).predict(delivery)
    assert np.isnan(left_out).all(0).nonzero()[0].tolist() == list(lost)
    scores = {score.name: score.of(left_out, questions.dataset.test.targets) for score in questions.dataset.task.scores}
    assert scores["labels_answered"] == pytest.approx(1 - len(lost) / N_TARGETS)
    assert np.isfinite(scores["roc_auc"])
    nothing = (
        replace(TARGETS, unanswered="leave-out")
        .deploy(questions)
        .predict(Delivery(frozenset(f"features w{number}->hub" for number in (1, 2, 3))))
    )
    scores = {score.name: score.of(nothing, questions.dataset.test.targets) for score in questions.dataset.task.scores}
    assert scores == {"roc_auc": 0.5, "mcc": 0.0, "accuracy": 0.0, "labels_answered": 0.0}
    twice = replace(TARGETS, copies=2).deploy(questions)
    assert np.array_equal(twice.predict(delivery), twice.answers)


def test_important_networks_lie_on_two_devices(questions: DeploymentContext) -> None:
    """A copy more of the first, on another device."""
    placed = replace(TARGETS, important=(0,)).deploy(questions).targets
    assert sum(targets.count(0) for targets in placed) == 2
    assert max(targets.count(0) for targets in placed) == 1
    assert sorted(itertools.chain(*placed)) == [0, 0, 1, 2, 3, 4]


def test_what_does_not_fit_is_refused_with_bytes(questions: DeploymentContext) -> None:
    """Devices with room for one network each hold three of five."""
    device = questions.topology.device_of["w1"]
    small = replace(device.profile, memory_byte=250)
    devices = tuple(
        replace(one, profile=small) if one.device_id.startswith("w") else one for one in questions.topology.devices
    )
    with pytest.raises(PlanError, match="5 networks of 660 byte together do not fit on 3 devices"):
        TARGETS.deploy(replace(questions, topology=replace(questions.topology, devices=devices)))


def test_a_placement_is_found_wherever_there_is_one() -> None:
    """Against all placements of 60 random small cases."""
    rng = np.random.default_rng(0)
    n_fitting = 0
    for _ in range(60):
        sizes, rooms = rng.integers(1, 6, 4).tolist(), rng.integers(2, 9, 2).tolist()
        fits = any(
            all(
                sum(s for s, d in zip(sizes, places, strict=True) if d == device) <= rooms[device]
                for device in range(2)
            )
            for places in itertools.product(range(2), repeat=4)
        )
        found = _anyhow(sizes, rooms, [1] * 4)
        assert (found is not None) == fits
        if found is not None:
            n_fitting += 1
            assert sorted(itertools.chain(*found)) == [0, 1, 2, 3]
            assert all(sum(sizes[t] for t in some) <= room for some, room in zip(found, rooms, strict=True))
    assert 10 < n_fitting < 50
