"""Another plan takes over while a worker is taken as down: when, what it sends first, and how available that is."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord, Trace
from edgesim.domain.system.detector import Detector
from edgesim.domain.system.routing import Routing
from edgesim.domain.system.topology import Device, DeviceProfile, HostOverhead, Link, Topology
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import Program, compile_plans
from edgesim.errors import InfeasiblePlanError, PlanError
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.interfaces import Recovery
from edgesim.recoveries.failover import Failover
from edgesim.recoveries.none import Nothing
from edgesim.recoveries.reassign import Reassign
from edgesim.recoveries.retry import Retry
from edgesim.rng import Streams
from edgesim.study.trials.service import service_of
from edgesim.testing import check_recovery

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
DETECTOR = Detector(1.0, 3.0, 100)
STREAMS = Streams(11)
LAYERS = {name: LayerWork(name, "conv", 0.0, 2e5, weight_byte=1e5) for name in "ab"}


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def chain(*workers: str) -> Plan:
    """Two layers of 100 kB on one worker or two, the answer at the hub; between them a message of no bytes, as everywhere."""
    names = [list("ab")[place::2] if len(workers) == 2 else list("ab") for place in range(len(workers))]
    steps: list[Compute | Transfer] = []
    for name, layers in zip(workers, names, strict=True):
        before = (steps[-1].step_id,) if steps else ()
        steps.append(Compute(f"c {name}", name, tuple(LAYERS[layer] for layer in layers), before))
        following = workers[workers.index(name) + 1] if name != workers[-1] else "hub"
        steps.append(Transfer(f"t {name}", name, following, 0, "x", "result", (f"c {name}",)))
    end = Compute("end", "hub", inputs=(steps[-1].step_id,))
    return Plan((*steps, end), "end", {name: 100_000 * len(own) for name, own in zip(workers, names, strict=True)})


HUB = Plan((Compute("end", "hub"),), "end", {"hub": 50_000})
TOPOLOGY = Topology(
    tuple(Device(name, PROFILE) for name in ("hub", "w1", "w2", "w3")),
    tuple(
        Link(f"{src}->{dst}", src, dst, 1e6)
        for src, dst in (
            ("w1", "hub"), ("w2", "hub"), ("w3", "hub"), ("hub", "w1"), ("hub", "w2"), ("hub", "w3"),
            ("w1", "w2"), ("w2", "w1"), ("w1", "w3"), ("w3", "w1"), ("w2", "w3"), ("w3", "w2"),
        )
    ),
    routing=Routing(reroute=True),
)  # fmt: skip
WARM = Failover("small", DETECTOR)
COLD = Failover("small", DETECTOR, warm=False, loading_byte_per_s=1e5)


def program(recovery: Recovery, *plans: Plan, topology: Topology = TOPOLOGY, is_same_network: bool = True) -> Program:
    return compile_plans(plans, topology, NoTime(), recovery, is_same_network=is_same_network)


def run(made: Program, recovery: Recovery, *outages: Outage, until_s: int = 30, number: int = 0, **more: Any) -> Trace:
    return trace(
        made, outages=outages, streams=STREAMS.replication(number), recovery=recovery, releases_s=[0.1 * n for n in range(10 * until_s)],
        is_checked=True, **more,
    )  # fmt: skip


def phase_s(name: str, number: int = 0) -> float:
    return STREAMS.replication(number).scope("heartbeat")(name).uniform() * DETECTOR.period_s


def runs_of(records: tuple[RequestRecord, ...]) -> list[tuple[float, int, str]]:
    """Return from when on requests had which plan and outcome."""
    found: list[tuple[float, int, str]] = []
    for one in records:
        if not found or found[-1][1:] != (one.plan, one.outcome):
            found.append((one.released_s, one.plan, one.outcome))
    return found


def next_release_s(moment_s: float) -> float:
    return math.ceil(moment_s * 10 - 1e-9) / 10


@pytest.mark.parametrize(("recovery", "change_s"), [(WARM, 0.0), (COLD, 0.5)])
def test_another_plan_takes_over_when_a_device_is_suspected_and_back_when_it_is_trusted(
    recovery: Failover, change_s: float
) -> None:
    """Down from 10.05 s: the last heartbeat came before, 3 s later the hub takes over; cold, it reads 50 kB at 100 kB/s."""
    found = run(program(recovery, chain("w1"), HUB, is_same_network=False), recovery, Outage("w1", 10.05, 20.05))
    delay_s = 8 * 100 / 1e6
    first_s = phase_s("w1")
    last_s = first_s + math.floor(10.05 - first_s) + delay_s
    again_s = first_s + math.ceil(20.05 - first_s) + delay_s
    back_s = 0.0 if recovery.warm else 8 * 200_000 / 1e6 + 200_000 / 1e5  # its 200 kB over the link, and read
    expected = [
        (0.0, 0, "completed"), (10.1, 0, "failed"), (next_release_s(last_s + 3 + change_s), 1, "completed"),
        (next_release_s(again_s + back_s), 0, "completed"),
    ]  # fmt: skip
    assert [one[1:] for one in runs_of(found.records)] == [one[1:] for one in expected]
    for one, other in zip(runs_of(found.records), expected, strict=True):
        assert math.isclose(one[0], other[0], abs_tol=1e-9)
    assert found.watch is not None
    assert found.watch.n_changes == 2
    assert math.isclose(found.watch.change_s, (change_s + back_s) / 2)


def test_without_back_the_stand_in_stays() -> None:
    recovery = Failover("small", DETECTOR, back=False)
    found = run(program(recovery, chain("w1"), HUB), recovery, Outage("w1", 10.05, 14.0))
    assert [one[1:] for one in runs_of(found.records)] == [(0, "completed"), (0, "failed"), (1, "completed")]


def test_the_survivors_get_the_weights_that_they_lack() -> None:
    """w1 has a, w2 has b; without w2, w1 gets b, 100 kB in 0.8 s; without w1, w3 gets everything."""
    recovery = Reassign(DETECTOR)
    plans = (chain("w1", "w2"), chain("w1"), chain("w3"))
    made = program(recovery, *plans)
    assert made.takeover is not None
    assert made.takeover.lacking == {
        (0, 1): {"w1": 100_000}, (0, 2): {"w3": 200_000}, (1, 0): {"w2": 100_000}, (1, 2): {"w3": 200_000},
        (2, 0): {"w1": 100_000, "w2": 100_000}, (2, 1): {"w1": 200_000},
    }  # fmt: skip
    quiet = run(made, recovery).watch
    for outage, change_s, n_byte in ((Outage("w2", 10.05), 0.8, 100_000), (Outage("w1", 10.05), 1.6, 200_000)):
        found = run(made, recovery, outage)
        assert found.watch is not None
        assert quiet is not None
        assert math.isclose(found.watch.change_s, change_s)
        assert found.records[-1].outcome == "completed"
        assert (
            abs(found.watch.traffic_byte - quiet.traffic_byte - n_byte) < 100 * 25
        )  # but the heartbeats that were not sent
    both = run(made, recovery, Outage("w2", 5.05), Outage("w1", 15.05))
    assert [one[1:] for one in runs_of(both.records)] == [
        (0, "completed"), (0, "failed"), (1, "completed"), (1, "failed"), (2, "completed"),
    ]  # fmt: skip


def test_weights_that_are_lost_are_sent_again_after_a_timeout() -> None:
    """The link to w1 is down while they are sent first: once more 3 s later."""
    recovery = Reassign(DETECTOR)
    made = program(recovery, chain("w1", "w2"), chain("w1"), topology=TOPOLOGY.without({"w3"}))
    lost = [Outage(name, 12.0, 14.5) for name in ("hub->w1", "w2->w1")]
    found = run(made, recovery, Outage("w2", 10.05), *lost).watch
    assert found is not None
    assert found.n_changes == 1
    assert 3.8 <= found.change_s < 4.7


def test_a_change_of_mind_ends_a_change_on_its_way() -> None:
    """Suspected for less than it takes to send 200 kB over a slow link: the plan stays, and what comes later is of no use."""
    slow = Topology(TOPOLOGY.devices, tuple(Link(one.link_id, one.src_id, one.dst_id, 2e5) for one in TOPOLOGY.links))
    recovery = Reassign(DETECTOR)
    made = program(recovery, chain("w1", "w2"), chain("w3"), topology=slow)
    found = run(made, recovery, Outage("w1", 10.05, 14.05))
    assert {one.plan for one in found.records} == {0}
    assert found.watch is not None
    assert found.watch.n_changes == 0
    assert found.watch.n_detected == 1


def test_where_no_plan_is_left_it_stays() -> None:
    recovery = Failover("small", DETECTOR)
    found = run(program(recovery, chain("w1"), chain("w2")), recovery, Outage("w1", 10.05), Outage("w2", 5.05))
    assert {one.plan for one in found.records} == {0}


def test_two_warm_networks_take_the_memory_of_both() -> None:
    made = program(WARM, chain("w1"), Plan((Compute("end", "hub"),), "end", {"w1": 50_000}))
    assert made.plan.weight_byte == {"w1": 250_000}
    assert program(COLD, chain("w1"), chain("w2")).plan.weight_byte == {"w1": 200_000, "w2": 200_000}
    small = DeviceProfile("small", {"conv": 1.0}, 1.0, 0.0, 240_000, 1.0, 3.0, 2.0, 1.5, "assumed")
    topology = Topology(tuple(Device(one.device_id, small) for one in TOPOLOGY.devices), TOPOLOGY.links)
    with pytest.raises(InfeasiblePlanError, match=r"250000|250,000"):
        program(WARM, chain("w1"), Plan((Compute("end", "hub"),), "end", {"w1": 50_000}), topology=topology)


def test_a_warm_stand_in_makes_the_availability_of_its_closed_form() -> None:
    """Answers stay away for min(D, T), D exponential with the MTTR, T = timeout - U + d: A = 1 - E[min(D, T)] / (MTBF + MTTR).

    Three standard errors of the mean over about 1,300 failures, and half the distance of requests: less than 5 % of the time to recover.
    """
    mtbf_s, mttr_s, distance_s, n = 12.0, 6.0, 0.05, 480_000
    renewals = OnOff(mtbf_s, mttr_s, "w1").renewals(TOPOLOGY, STREAMS.replication(0))
    made, records = program(WARM, chain("w1"), HUB), list[RequestRecord]()
    trace(
        made, renewals=[renewals], streams=STREAMS.replication(0), recovery=WARM, releases_s=(distance_s * k for k in range(n)),
        on_record=lambda _, one: records.append(one),
    )  # fmt: skip
    found = service_of(sorted(records, key=lambda one: one.released_s))
    low_s, high_s = DETECTOR.timeout_s - DETECTOR.period_s, DETECTOR.timeout_s
    mean_survival = mttr_s * (math.exp(-low_s / mttr_s) - math.exp(-high_s / mttr_s)) / DETECTOR.period_s
    away_s = mttr_s * (1 - mean_survival)
    n_failures = n * distance_s / (mtbf_s + mttr_s)
    deviation_s = 0.8  # of min(D, T): the square root of 2 (M^2 - (M^2 + M t) exp(-t / M)) - mean^2, M the MTTR, at t = 2.5 s, is 0.77
    assert abs((1 - found["availability"]) * (mtbf_s + mttr_s) - away_s) < 3 * 1.05 * math.sqrt(2 / n_failures) + 0.01
    assert abs(found["recovery_time"] - away_s) < 3 * deviation_s / math.sqrt(n_failures) + distance_s / 2
    assert abs(away_s - mttr_s) > 3  # without it, it is the time to repair


def _policies() -> list[tuple[Recovery, tuple[Plan, ...]]]:
    short = Detector(0.02, 0.05, 100)
    return [
        (Nothing(short), (chain("w1", "w2"),)),
        (Retry(0.007, attempts=4, detector=short), (chain("w1", "w2"),)),
        (Failover("small", short), (chain("w1", "w2"), HUB)),
        (Failover("small", short, warm=False, loading_byte_per_s=1e7), (chain("w1", "w2"), chain("w3"))),
        (Reassign(short, lost=2), (chain("w1", "w2"), chain("w1", "w3"), chain("w2", "w3"), chain("w1"), chain("w2"))),
        (Reassign(short, back=False), (chain("w1", "w2"), chain("w1", "w3"), chain("w2", "w3"))),
    ]


def test_nothing_is_lost_or_counted_twice_in_random_failures_during_recoveries() -> None:
    """1,000 trials of 20 requests by every policy: everything goes down and comes back, hosts take time; the invariants are checked."""
    fast = tuple(Link(one.link_id, one.src_id, one.dst_id, 1e8) for one in TOPOLOGY.links)
    cases = [
        (recovery, plans, Topology(devices, fast, routing=Routing(reroute=number % 2 == 0)))
        for number, (recovery, plans) in enumerate(_policies())
        for on_outage in ("lost", "resume")
        for host in (HostOverhead(), HostOverhead(0.0005))
        for devices in [tuple(Device(name, PROFILE, on_outage=on_outage, host_overhead=host) for name in ("hub", "w1", "w2", "w3"))]
    ]  # fmt: skip
    made = [(recovery, program(recovery, *plans, topology=topology), topology) for recovery, plans, topology in cases]
    n_changes = n_completed = n_lost = 0
    for number in range(1_000):
        recovery, ready, topology = made[number % len(made)]
        streams = STREAMS.replication(number)
        down = [OnOff(0.3, 0.1, "w*"), OnOff(1.0, 0.02, "hub"), OnOff(0.5, 0.02, "*->*")]
        found = trace(
            ready, renewals=[one.renewals(topology, streams.scope(one.targets)) for one in down], streams=streams,
            losses={"loss": PacketBernoulli(0.02)}, releases_s=[0.02 * k for k in range(20)], recovery=recovery,
            deadline_s=None if number % 3 else 0.2, is_checked=True,
        )  # fmt: skip
        assert len(found.records) == 20
        assert all(one.lost == 0 for one in found.records if one.outcome == "completed")
        assert all(0 <= one.plan < len(ready.plans) for one in found.records)
        n_completed += sum(one.outcome == "completed" for one in found.records)
        n_lost += sum(one.outcome in {"failed", "timed_out"} for one in found.records)
        n_changes += 0 if found.watch is None else found.watch.n_changes or 0
    assert n_completed > 8_000
    assert n_lost > 2_000
    assert n_changes > 500


@pytest.mark.parametrize("recovery", [one for one, _ in _policies()])
def test_policies_keep_what_a_recovery_promises(recovery: Recovery) -> None:
    check_recovery(recovery)


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(PlanError, match="goes with `warm: false`"):
        Failover("small", DETECTOR, warm=False)
    with pytest.raises(PlanError, match="goes with `warm: false`"):
        Failover("small", DETECTOR, loading_byte_per_s=1e6)
