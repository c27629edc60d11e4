from __future__ import annotations

import dataclasses
import itertools
import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.partition import Partition
from edgesim.domain.networks.samples import Samples
from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Compute
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError
from edgesim.failures.exactly_k import ExactlyK
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.objectives.expectation import Expectation
from edgesim.nn.parts.baselines import IndexOrder
from edgesim.nn.train.cache import NetworkCache
from edgesim.rng import Streams, generator
from edgesim.strategies.ensemble import Ensemble
from edgesim.strategies.resilient import Resilient
from edgesim.strategies.students.networks import StudentDeployment
from edgesim.testing import check_strategy, deployment_context

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Dataset
    from edgesim.interfaces import DeploymentContext, Strategy
    from edgesim.nn.train.training import TrainedNetwork

PROFILE = DeviceProfile(
    "test", dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9), 1e9, 0.0, 10**9, 1, 2, 3, 3, "assumed"
)
TINY = SmallCNN(channels=(6, 8), pool_after=1)
BRIEF = Training(epochs=4)
NAMES = tuple(f"w{number}" for number in range(1, 6))
RESILIENT = Resilient(students=5, parts=2, devices="w*", merger="hub", deadline_s=0.1, student=TINY, training=BRIEF)
ENSEMBLE = Ensemble(students=5, devices="w*", merger="hub", deadline_s=0.1, student=TINY, training=BRIEF)


def star(*names: str) -> Topology:
    """A hub with links to and from each other device."""
    links = [Link(f"{a}->{b}", a, b, 1e6) for name in names for a, b in (("hub", name), (name, "hub"))]
    return Topology(tuple(Device(name, PROFILE) for name in ("hub", *names)), tuple(links))


@pytest.fixture(scope="module")
def context(teacher: TrainedNetwork, teacher_model: SmallCNN, digits: Dataset) -> DeploymentContext:
    return deployment_context(
        teacher.network,
        digits,
        star(*NAMES),
        source_id="hub",
        sink_id="hub",
        filter_layer=teacher_model.filter_layer(),
        network_key=teacher.key,
        seed=1,
    )


def delivered(arrived: tuple[bool, ...]) -> Delivery:
    return Delivery(frozenset(f"features {name}->hub" for name, there in zip(NAMES, arrived, strict=True) if not there))


@pytest.mark.parametrize(
    "strategy",
    [
        RESILIENT,
        dataclasses.replace(RESILIENT, denominator="all", partitioner=IndexOrder()),
        dataclasses.replace(RESILIENT, replicas="identical"),
        dataclasses.replace(RESILIENT, head="per-survivors"),
        dataclasses.replace(RESILIENT, replicas="identical", head="per-survivors"),
        dataclasses.replace(RESILIENT, objective=Expectation(ExactlyK(2, "w*")), missing="mean"),
        dataclasses.replace(RESILIENT, fitting="independent", normalised_over="part"),
        ENSEMBLE,
    ],
    ids=["averaged", "all", "identical", "heads", "heads of copies", "expectation", "independent", "ensemble"],
)
def test_they_keep_the_promises_of_a_strategy(strategy: Strategy, context: DeploymentContext) -> None:
    """The conformance checks that third parties run too."""
    check_strategy(strategy, context, is_exact=False)


def test_five_students_on_two_parts(context: DeploymentContext) -> None:
    """Parts of 32 filters; students 0, 2 and 4 send part 0, students 1 and 3 part 1, 128 byte each; no filter is dropped."""
    deployment = RESILIENT.deploy(context)
    facts = deployment.describe()
    assert facts["part_sizes"] == [32, 32]
    assert facts["dropped_filters"] == []
    assert [student["part"] for student in facts["students"]] == [0, 1, 0, 1, 0]
    results = [step.size_byte for step in deployment.plan.transfers if step.kind == "result"]
    assert results == [128] * 5
    assert facts["imbalance"] == 1.0
    assert 0 < facts["cut_ratio"] == facts["lost_correlation"] < 1


@pytest.mark.parametrize("denominator", ["arrived", "all"])
def test_every_subset_equals_running_the_survivors(context: DeploymentContext, denominator: str) -> None:
    """All 32 subsets: mean (or sum over all replicas) of what the real students give, zeros for a lost part, through the head."""
    from edgesim.nn.distill.ensembles import build_ensemble

    deployment = dataclasses.replace(RESILIENT, denominator=denominator).deploy(context)
    found = NetworkCache.default().load(deployment.describe()["networks_key"])
    assert found is not None
    state, card = found
    partition = Partition(tuple(tuple(part) for part in card["determined_by"]["parts"]), 64)
    ensemble = build_ensemble(TINY, partition, context.dataset, 5).eval()
    ensemble.load_state_dict(state)
    inputs = torch.from_numpy(context.dataset.test.only)
    for arrived in itertools.product((False, True), repeat=5):
        chunks = []
        with torch.inference_mode():
            for part, size in enumerate(partition.sizes):
                members = [index for index in range(5) if index % 2 == part]
                there = [ensemble.students[index](inputs) for index in members if arrived[index]]
                n = len(there) if denominator == "arrived" else len(members)
                chunks.append(sum(there) / n if there else torch.zeros(len(inputs), size))
            wanted = ensemble.head(torch.cat(chunks, dim=1)).numpy()
        np.testing.assert_allclose(deployment.predict(delivered(arrived)), wanted, atol=1e-5)


def test_all_subsets_of_eight_students_on_ten_thousand_images(
    teacher: TrainedNetwork, teacher_model: SmallCNN, digits: Dataset
) -> None:
    """256 answers from what is kept of the students take under 5 s of computing, and equal those of the surviving students run again."""
    from edgesim.nn.distill.ensembles import build_ensemble

    rng = generator(1, "images")
    images = Samples(
        {"images": rng.standard_normal((10_000, 1, 8, 8)).astype(np.float32)}, rng.integers(10, size=10_000)
    )
    names = [f"w{number}" for number in range(1, 9)]
    context = deployment_context(
        teacher.network,
        dataclasses.replace(digits, test=images),
        star(*names),
        source_id="hub",
        sink_id="hub",
        filter_layer=teacher_model.filter_layer(),
        network_key=teacher.key,
        seed=1,
    )
    deployment = dataclasses.replace(RESILIENT, students=8, parts=4, training=Training(epochs=1)).deploy(context)
    subsets = [frozenset(itertools.compress(range(8), there)) for there in itertools.product((0, 1), repeat=8)]
    arrived = [
        Delivery(frozenset(f"features {name}->hub" for index, name in enumerate(names) if index not in subset))
        for subset in subsets
    ]
    started_s = time.process_time()
    found = [deployment.predict(some) for some in arrived]
    assert time.process_time() - started_s < 5
    state, card = NetworkCache.default().load(deployment.describe()["networks_key"]) or pytest.fail("not kept")
    partition = Partition(tuple(tuple(part) for part in card["determined_by"]["parts"]), 64)
    ensemble = build_ensemble(TINY, partition, context.dataset, 8).eval()
    ensemble.load_state_dict(state)
    with torch.inference_mode():
        given = [student(torch.from_numpy(images.only)) for student in ensemble.students]
        for subset, answer in zip(subsets, found, strict=True):
            chunks = [torch.zeros_like(given[part]) for part in range(4)]
            for part, one, other in ((part, part, part + 4) for part in range(4)):
                there = [given[index] for index in (one, other) if index in subset]
                chunks[part] = sum(there, chunks[part]) / max(len(there), 1)
            np.testing.assert_allclose(answer, ensemble.head(torch.cat(chunks, dim=1)).numpy(), rtol=1e-5, atol=1e-5)


def test_identical_replicas_stand_for_each_other(context: DeploymentContext) -> None:
    """Any set with a student of each part answers like all of them; one network per part is trained, each device holds its own."""
    deployment = dataclasses.replace(RESILIENT, replicas="identical").deploy(context)
    whole = deployment.predict(delivered((True,) * 5))
    for arrived in itertools.product((False, True), repeat=5):
        if any(arrived[0::2]) and any(arrived[1::2]):
            np.testing.assert_allclose(deployment.predict(delivered(arrived)), whole, atol=1e-5)
    weights = [student["weight_byte"] for student in deployment.describe()["students"]]
    assert len(weights) == 5
    assert all(deployment.plan.weight_byte[name] == weight for name, weight in zip(NAMES, weights, strict=True))


def test_the_first_of_identical_replicas_is_taken(context: DeploymentContext) -> None:
    """The merger waits for one of students 0, 2, 4 and one of 1, 3; a sum over all of them would make no sense."""
    deployment = dataclasses.replace(RESILIENT, replicas="identical").deploy(context)
    merge = next(step for step in deployment.plan.computes if step.step_id == "merge")
    names = [f"features {name}->hub" for name in NAMES]
    assert merge.alternatives == ((names[0], names[2], names[4]), (names[1], names[3]))
    with pytest.raises(PlanError, match="of identical replicas the first is taken"):
        dataclasses.replace(RESILIENT, replicas="identical", denominator="all").check(context.topology)


def test_the_ensemble_is_the_mean_of_those_that_arrive(context: DeploymentContext) -> None:
    """Logits of 40 byte; any subset is the mean over it; without any every class is alike."""
    deployment = ENSEMBLE.deploy(context)
    assert {step.size_byte for step in deployment.plan.transfers if step.kind == "result"} == {40}
    answers = deployment.contributions
    np.testing.assert_allclose(
        deployment.predict(delivered((True, False, True, True, False))), answers[[0, 2, 3]].mean(axis=0), atol=1e-5
    )
    assert not deployment.predict(Delivery(deployment.plan.transfer_ids)).any()
    merge = next(step for step in deployment.plan.steps if step.step_id == "merge")
    assert isinstance(merge, Compute)
    assert sum(layer.work_flop for layer in merge.work) == 6 * 10


def test_more_parts_than_students_are_refused_before_training(context: DeploymentContext) -> None:
    """The message says what the method asks for; the scenario check finds it too."""
    wrong = dataclasses.replace(RESILIENT, parts=6)
    for attempt in (lambda: wrong.check(context.topology), lambda: wrong.deploy(context)):
        with pytest.raises(PlanError, match=r"5 students cannot stand for 6 parts; .* at most half, 2"):
            attempt()
    with pytest.raises(PlanError, match="5 students need 5 devices"):
        ENSEMBLE.check(star("w1"))


# Eight students on M parts, k devices lost: the share of subsets in which a given part, and any part, is lost.
TABLE = {
    8: ([0.125, 0.250, 0.375, 0.500, 0.625, 0.750, 0.875], [0, 0, 0, 0, 0, 0, 0]),
    4: ([0, 0.036, 0.107, 0.214, 0.357, 0.536, 0.750], [1, 0.857, 0.571, 0.229, 0, 0, 0]),
    2: ([0, 0, 0, 0.014, 0.071, 0.214, 0.500], [1, 1, 1, 0.971, 0.857, 0.571, 0]),
    1: ([0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]),
}


def marked(n_parts: int) -> tuple[StudentDeployment, tuple[str, ...]]:
    """A deployment of eight students whose logits say which parts are lost: 1 for one that is there."""
    part_of = tuple(index % n_parts for index in range(8))
    contributions = np.zeros((8, 1, n_parts), np.float32)
    for index, part in enumerate(part_of):
        contributions[index, 0, part] = 1
    names = tuple(f"features w{index}->hub" for index in range(1, 9))
    needs = tuple(frozenset({name}) for name in names)
    plan = None
    return StudentDeployment(plan, contributions, np.zeros(n_parts, np.float32), part_of, needs, (), {}), names  # type: ignore[arg-type]


def lost_parts(deployment: StudentDeployment, lost: frozenset[str]) -> np.ndarray:
    return deployment.predict(Delivery(lost))[0] == 0


@pytest.mark.parametrize("n_parts", TABLE)
@pytest.mark.parametrize("k", range(1, 8))
def test_the_combinatorics_of_lost_parts_by_enumeration(n_parts: int, k: int) -> None:
    """C(8-r, k-r) / C(8, k) for r = 8 / M replicas, by the outcomes of `exactly-k` and the deployment's own merge, to 3 digits."""
    deployment, names = marked(n_parts)
    topology = star(*(f"w{index}" for index in range(1, 9)))
    outcomes = ExactlyK(targets="w*", k=k).outcomes(topology)
    assert outcomes is not None
    part_lost = none_lost = 0.0
    for probability, outages in outcomes:
        down = {outage.target_id for outage in outages}
        lost = lost_parts(
            deployment, frozenset(name for index, name in enumerate(names, start=1) if f"w{index}" in down)
        )
        part_lost += probability * float(lost[0])
        none_lost += probability * (not lost.any())
    replicas = 8 // n_parts
    assert part_lost == pytest.approx(math.comb(8 - replicas, k - replicas) / math.comb(8, k) if k >= replicas else 0)
    assert round(part_lost, 3) == pytest.approx(TABLE[n_parts][0][k - 1], abs=6e-4)
    assert round(none_lost, 3) == pytest.approx(TABLE[n_parts][1][k - 1], abs=6e-4)


@pytest.mark.parametrize(("n_parts", "k"), [(8, 2), (4, 4), (2, 4), (2, 5)])
def test_the_combinatorics_of_lost_parts_by_simulation(n_parts: int, k: int) -> None:
    """4,000 draws of `exactly-k`: the share of subsets without a lost part is the enumerated one, to 4 standard errors."""
    deployment, names = marked(n_parts)
    topology = star(*(f"w{index}" for index in range(1, 9)))
    model = ExactlyK(targets="w*", k=k)
    n = 4000
    n_whole = 0
    streams = Streams(3)
    for row in range(n):
        down = {outage.target_id for outage in model.outages(topology, streams.replication(row))}
        lost = frozenset(name for index, name in enumerate(names, start=1) if f"w{index}" in down)
        n_whole += not lost_parts(deployment, lost).any()
    replicas = 8 // n_parts
    wanted = sum(
        (-1) ** j * math.comb(n_parts, j) * math.comb(8 - j * replicas, k - j * replicas)
        for j in range(k // replicas + 1)
    ) / math.comb(8, k)
    error = math.sqrt(max(wanted * (1 - wanted), 1 / n) / n)
    assert abs(n_whole / n - wanted) < 4 * error


def test_independent_losses_by_simulation() -> None:
    """Each message lost with probability 0.3: a part of r replicas is lost with 0.3^r; 20,000 draws, 4 standard errors."""
    n = 20000
    draws = generator(1, "losses").random((n, 8)) < 0.3
    for n_parts, wanted in ((8, 0.3), (4, 0.09), (2, 0.0081)):
        members = [index for index in range(8) if index % n_parts == 0]
        found = draws[:, members].all(axis=1).mean()
        assert abs(found - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / n)
