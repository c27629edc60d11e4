"""A monitor hears heartbeats of workers: whom it suspects, when, and what that costs, by hand and against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage, Trace
from edgesim.domain.system.detector import Detector
from edgesim.domain.system.topology import Device, DeviceProfile, HostOverhead, Link, Topology
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import Program, compile_plan, compile_plans
from edgesim.errors import PlanError, SimulationError
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.recoveries.none import Nothing
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
SIZE_BYTE, LATENCY_S = 100, 0.004
STREAMS = Streams(7)
DELAY_S = 8 * SIZE_BYTE / 1e5 + LATENCY_S  # 8 ms on the link, and 4 ms behind it


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def program(detector: Detector, n: int = 1, **of_devices: Any) -> Program:
    workers = [f"w{number}" for number in range(1, n + 1)]
    devices = tuple(Device(name, PROFILE, **of_devices) for name in ("hub", *workers))
    links = tuple(Link(f"{one}->hub", one, "hub", 1e5, LATENCY_S) for one in workers)
    steps = [
        (Compute(f"c {one}", one), Transfer(f"t {one}", one, "hub", 0, "x", "result", (f"c {one}",))) for one in workers
    ]
    end = Compute("end", "hub", inputs=tuple(f"t {one}" for one in workers), on_missing="degrade", deadline_s=0.5)
    plan = Plan((*(step for pair in steps for step in pair), end), "end", {})
    return compile_plans((plan,), Topology(devices, links), NoTime(), Nothing(detector))


def watched(
    detector: Detector,
    *outages: Outage,
    until_s: float = 20.0,
    made: Program | None = None,
    number: int = 0,
    **more: Any,
) -> Trace:
    return trace(
        made or program(detector), outages=outages, streams=STREAMS.replication(number), recovery=Nothing(detector),
        releases_s=[0.0, until_s], is_checked=True, **more,
    )  # fmt: skip


def phase_s(detector: Detector, name: str = "w1", number: int = 0) -> float:
    return STREAMS.replication(number).scope("heartbeat")(name).uniform() * detector.period_s


@pytest.mark.parametrize("timeout_s", [2.5, 3.0])
def test_an_outage_is_detected_a_timeout_behind_the_last_heartbeat(timeout_s: float) -> None:
    detector = Detector(1.0, timeout_s, SIZE_BYTE)
    first_s = phase_s(detector)
    found = watched(detector, Outage("w1", first_s + 4.3, 15.0)).watch
    assert found is not None
    assert (found.n_detected, found.n_outages, found.n_false) == (1, 1, 0)
    assert math.isclose(found.detection_s, timeout_s - 0.3 + DELAY_S, abs_tol=1e-5)
    assert math.isclose(found.up_s, 20.0 + LATENCY_S - (15.0 - first_s - 4.3))


def test_a_heartbeat_at_the_very_moment_of_the_timeout_is_in_time() -> None:
    """Down for two heartbeats: the third comes three periods behind the last one. Where the timeout is shorter, it is late."""
    first_s = phase_s(Detector(1.0, 3.0))
    outage = Outage("w1", first_s + 4.5, first_s + 6.5)
    for timeout_s, n_detected in ((3.0, 0), (2.9, 1)):
        found = watched(Detector(1.0, timeout_s, SIZE_BYTE), outage).watch
        assert found is not None
        assert (found.n_detected, found.n_outages, found.n_false) == (n_detected, 1, 0)


def test_heartbeats_are_traffic_and_energy() -> None:
    """Each of 100 byte occupies the link for 8 ms: sending adds 1 W at w1, receiving 0.5 W at the hub."""
    detector = Detector(1.0, 3.0, SIZE_BYTE)
    quiet = watched(Detector(1000.0, 3000.0, SIZE_BYTE))
    found = watched(detector)
    assert found.watch is not None
    assert quiet.watch is not None
    n = math.ceil(20.0 - phase_s(detector))
    n_more = (found.watch.traffic_byte - quiet.watch.traffic_byte) / SIZE_BYTE
    assert abs(n_more - n) <= 1
    more_j = 2 * (found.idle_share_j - quiet.idle_share_j)
    assert math.isclose(more_j, n_more * 0.008 * 1.5, rel_tol=1e-9)


@pytest.mark.parametrize("is_checked", [False, True])
def test_a_single_request_bears_the_energy_of_all_heartbeats(*, is_checked: bool) -> None:
    """50 s of heartbeats come before it, each 8 ms of 1.5 W above idle; on its own it takes 2 W at two devices for 4 ms."""
    detector = Detector(1.0, 3.0, SIZE_BYTE)
    found = trace(
        program(detector), streams=STREAMS.replication(0), recovery=Nothing(detector), releases_s=[50.0], is_checked=is_checked
    )  # fmt: skip
    [record] = found.records
    n = math.ceil(50.0 - phase_s(detector))
    assert math.isclose(record.energy_j, n * 0.008 * 1.5 + 2 * LATENCY_S, rel_tol=1e-9)
    assert found.watch is not None
    assert found.watch.traffic_byte == n * SIZE_BYTE


def test_a_device_that_cannot_be_reached_is_a_false_alarm() -> None:
    detector = Detector(1.0, 2.0, SIZE_BYTE)
    found = watched(detector, Outage("w1->hub", 3.0, 9.0)).watch
    assert found is not None
    assert (found.n_detected, found.n_outages, found.n_false) == (0, 0, 1)


def test_a_monitor_that_was_down_waits_a_whole_timeout() -> None:
    """Down for 6 s, it heard nothing of two devices that were up: nobody is suspected, nor is it a failure of the two."""
    detector = Detector(1.0, 2.0, SIZE_BYTE)
    found = watched(detector, Outage("hub", 3.2, 9.1), made=program(detector, 2)).watch
    assert found is not None
    assert (found.n_detected, found.n_false) == (0, 0)
    for_good = watched(detector, Outage("hub", 3.2), Outage("w1", 5.0), made=program(detector, 2), deadline_s=1.0).watch
    assert for_good is not None
    assert (for_good.n_detected, for_good.n_false) == (0, 0)


def test_what_comes_before_the_end_of_the_warm_up_does_not_count() -> None:
    detector = Detector(1.0, 2.0, SIZE_BYTE)
    outages = (Outage("w1", 3.0, 6.0), Outage("w1", 12.0, 16.0))
    found = watched(detector, *outages, warm_up_s=8.0).watch
    assert found is not None
    assert (found.n_detected, found.n_outages) == (1, 1)


@pytest.mark.parametrize(("down_s", "n"), [(7.5, 0), (8.0, 1), (8.5, 1)])
def test_an_outage_is_detected_only_where_it_counts(down_s: float, n: int) -> None:
    """It counts, found or not, where it begins in the watched time, from 8 s on."""
    found = watched(Detector(1.0, 2.0, SIZE_BYTE), Outage("w1", down_s, 12.0), warm_up_s=8.0).watch
    assert found is not None
    assert (found.n_detected, found.n_outages, found.n_false) == (n, n, 0)
    assert math.isnan(found.detection_s) == (n == 0)


def test_what_is_down_from_the_beginning_is_an_outage() -> None:
    detector = Detector(1.0, 3.0, SIZE_BYTE)
    for end_s, n_detected in ((2.0, 0), (6.0, 1), (math.inf, 1)):
        found = watched(detector, Outage("w1", 0.0, end_s), deadline_s=1.0).watch
        assert found is not None
        assert (found.n_detected, found.n_outages, found.n_false) == (n_detected, 1, 0)


def test_heartbeats_are_no_part_of_a_request() -> None:
    detector = Detector(0.1, 0.3, SIZE_BYTE)
    made = program(detector)
    found = watched(detector, has_stays=True, made=made)
    alone = trace(compile_plan(made.plans[0], made_topology(made), NoTime()), releases_s=[0.0, 20.0], has_stays=True)
    assert [one.lost for one in found.records] == [0, 0]
    assert {stay.step_id for stay in found.stays} == {stay.step_id for stay in alone.stays}


def made_topology(made: Program) -> Topology:
    links = {hop.link.link_id: hop.link for hops in made.steps.hops for hop in hops}
    return Topology(made.devices.device, tuple(links.values()))


def test_the_time_to_detect_has_the_mean_of_its_closed_form() -> None:
    """2,000 failures with a phase each: timeout - U + d, U uniform on a period; three standard errors, 0.8 % of the mean."""
    detector = Detector(1.0, 3.0, SIZE_BYTE)
    made, n = program(detector), 2_000
    times_s = []
    for number in range(n):
        found = watched(detector, Outage("w1", 5.0, 12.0), made=made, number=number, until_s=15.0).watch
        assert found is not None
        times_s.append(found.detection_s)
    expected_s = detector.timeout_s - detector.period_s / 2 + DELAY_S
    deviation_s = detector.period_s / math.sqrt(12)
    assert abs(sum(times_s) / n - expected_s) < 3 * deviation_s / math.sqrt(n)
    assert max(times_s) - min(times_s) > 0.95


def test_detection_of_exponential_failures() -> None:
    """What is repaired before the timeout is not detected: times T = timeout - U + d count with exp(-T / MTTR)."""
    detector, mttr_s = Detector(1.0, 3.0, SIZE_BYTE), 4.0
    made, until_s = program(detector, 2), 30_000.0
    renewals = OnOff(8.0, mttr_s, "w*").renewals(made_topology(made), Streams(3).replication(0))
    found = watched(detector, made=made, until_s=until_s, renewals=[renewals]).watch
    assert found is not None
    low_s, high_s = detector.timeout_s - detector.period_s, detector.timeout_s
    kept = mttr_s * (math.exp(-low_s / mttr_s) - math.exp(-high_s / mttr_s)) / detector.period_s
    first = mttr_s * ((low_s + mttr_s) * math.exp(-low_s / mttr_s) - (high_s + mttr_s) * math.exp(-high_s / mttr_s))
    mean_s = first / detector.period_s / kept
    n = found.n_outages
    assert abs(found.n_detected / n - kept) < 3 * math.sqrt(kept * (1 - kept) / n)  # 4 % of the share
    assert abs(found.detection_s - mean_s - DELAY_S) < 3 * 0.29 / math.sqrt(found.n_detected) + 1e-4
    assert abs(found.up_s / (2 * until_s) - 8.0 / 12.0) < 0.03
    assert found.n_false == 0


@pytest.mark.parametrize(("p", "timeout_s", "k"), [(0.5, 3.0, 3), (0.4, 2.5, 2), (0.3, 1.5, 1)])
def test_false_alarms_come_as_often_as_runs_of_losses(p: float, timeout_s: float, k: int) -> None:
    """k heartbeats lost in a row, behind one that came: (1 - p) p^k a period and device; 3,600 of them, so that three standard errors are 5 %."""
    detector = Detector(1.0, timeout_s, SIZE_BYTE)
    until_s = 900 / ((1 - p) * p**k)
    made = program(detector, 4)
    found = watched(detector, made=made, until_s=until_s, losses={"loss": PacketBernoulli(p)}).watch
    assert found is not None
    expected = 4 * until_s * (1 - p) * p**k
    assert abs(found.n_false - expected) < 3 * math.sqrt(expected)
    assert found.n_detected == 0


def test_devices_begin_at_random_and_the_same_in_every_trial() -> None:
    detector = Detector(1.0, 3.0)
    phases = [phase_s(detector, name, number) for name in ("w1", "w2") for number in range(50)]
    assert len(set(phases)) == 100
    first, again = (watched(detector, Outage("w1", 5.0, 12.0), number=3).watch for _ in range(2))
    assert first == again


def test_heartbeats_of_busy_devices_are_told_apart() -> None:
    """Handling takes longer than a period, so that several heartbeats wait at a device at once."""
    detector = Detector(0.1, 5.0, SIZE_BYTE)
    found = watched(detector, made=program(detector, 2, host_overhead=HostOverhead(0.15)), until_s=5.0)
    assert found.watch is not None
    assert all(one.latency_s > 0 for one in found.records)
    assert all(first.released_s <= second.released_s for first, second in pairwise(found.records))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PlanError, match="timeout of 1 s is shorter than the period of 2 s"):
        Detector(2.0, 1.0)
    with pytest.raises(SimulationError, match="pass the streams"):
        trace(program(Detector(1.0, 3.0)), recovery=Nothing(Detector(1.0, 3.0)))
