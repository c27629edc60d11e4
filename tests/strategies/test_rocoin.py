"""Groups of devices that each run one student: RoCoIn."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.training import Training
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError
from edgesim.nn.models.zoo import SmallCNN
from edgesim.strategies.groups.grouping import assigned, groups_of
from edgesim.strategies.groups.rocoin import RoCoIn
from edgesim.testing import check_strategy, deployment_context
from tests.strategies.conftest import profile, star

LARGE, SMALL = SmallCNN(channels=(8, 12), pool_after=1), SmallCNN(channels=(4, 6), pool_after=1)
ROCOIN = RoCoIn("w*", "hub", 0.5, sizes=(LARGE, SMALL), training=Training(epochs=4))


@pytest.fixture(scope="module")
def context(teacher, teacher_model, digits):
    """A hub and four workers, of which w2 and w4 are ten times as fast."""
    return deployment_context(
        teacher.network, digits, star([1.0, 10.0, 1.0, 10.0]), source_id="hub", sink_id="hub",
        filter_layer=teacher_model.filter_layer(), network_key=teacher.key, seed=1,
    )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"missing": "mean", "sizes": (SMALL,)}])
def test_conforms(context, options):
    """The contract of a strategy whose networks are trained."""
    check_strategy(replace(ROCOIN, **options), context, is_exact=False)


def test_one_of_each_group_is_enough_and_the_first_is_taken(context):
    """Four alike devices make pairs (w1, w3) and (w2, w4). With one of each pair nothing changes and nothing is waited for."""
    deployment = ROCOIN.deploy(context)
    groups = [group["devices"] for group in deployment.describe()["groups"]]
    assert groups == [["w1", "w3"], ["w2", "w4"]]
    program = compile_plan(deployment.plan, context.topology, Roofline())
    usual = simulate(program)[0]
    whole = deployment.predict(Delivery())
    for lost in itertools.product(*groups):
        missing = Delivery(frozenset(f"features {name}->hub" for name in lost))
        assert np.allclose(deployment.predict(missing), whole, atol=1e-5)
        found = simulate(program, outages=[Outage(name) for name in lost])[0]
        assert found.latency_s == pytest.approx(usual.latency_s, rel=1e-9)
    for group in groups:
        gone = deployment.predict(Delivery(frozenset(f"features {name}->hub" for name in group)))
        assert not np.allclose(gone, whole, atol=0.1)


def test_the_larger_student_goes_to_the_faster_group(context):
    """Student 0 is the larger; the second group is ten times as fast. With devices too small for it there it goes to the others."""
    assert [group["student"] for group in ROCOIN.deploy(context).describe()["groups"]] == [1, 0]
    n_byte = {student["part"]: student["weight_byte"] for student in ROCOIN.deploy(context).describe()["students"]}
    assert n_byte[0] > n_byte[1]

    def shrunk(room_byte: int, *names: str) -> Topology:
        tiny = replace(profile(10.0), memory_byte=room_byte)
        devices = [Device(d.device_id, tiny) if d.device_id in names else d for d in context.topology.devices]
        return Topology(tuple(devices), context.topology.links)

    moved = ROCOIN.deploy(replace(context, topology=shrunk(n_byte[1] + 4096, "w2", "w4"))).describe()
    assert [group["student"] for group in moved["groups"]] == [0, 1]
    with pytest.raises(PlanError, match=r"rocoin\.sizes: the students do not fit"):
        ROCOIN.deploy(replace(context, topology=shrunk(100, "w1", "w2", "w3", "w4")))


def test_the_assignment_is_that_of_brute_force():
    """200 random cases, some impossible: the least slowest group, and with it the least sum."""
    rng = np.random.default_rng(2)
    n_impossible = 0
    for _ in range(200):
        n = int(rng.integers(1, 5))
        latencies_s = np.where(rng.random((n, n)) < 0.25, np.inf, rng.integers(1, 7, (n, n)).astype(float))

        def value(chosen, latencies_s=latencies_s):
            own = [latencies_s[group, student] for group, student in enumerate(chosen)]
            return max(own), sum(own)

        best = min(value(chosen) for chosen in itertools.permutations(range(n)))
        found = assigned(latencies_s)
        n_impossible += found is None
        assert (found is None) == np.isinf(best[0])
        assert found is None or value(found) == best
    assert 0 < n_impossible < 150


def test_groups_keep_the_joint_probability():
    """Random probabilities: every device is in one group, none fails together too often, and one group more would not do in turn."""
    rng = np.random.default_rng(4)
    for _ in range(100):
        probabilities = rng.choice([0.0, 0.01, 0.1, 0.3, 0.6], size=int(rng.integers(1, 9))).tolist()
        groups = groups_of(probabilities, 0.02)
        joint = [np.prod([probabilities[device] for device in group]) for group in groups]
        assert all(one <= 0.02 * (1 + 1e-9) for one in joint)
        everyone = sorted(device for group in groups for device in group)
        assert everyone == (list(range(len(probabilities))) if np.prod(probabilities) <= 0.02 else [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probabilities": (0.1, 0.2)}, "2 for 4 devices"),
        ({"probabilities": (0.9,)}, "fail together with more than 0.01"),
    ],
)
def test_what_makes_no_groups_is_refused(context, options, message):
    """Each with what is wrong."""
    with pytest.raises(PlanError, match=message):
        replace(ROCOIN, **options).check(context.topology)
