"""Many requests: releases, queueing, admission, outcomes, what is measured."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import pytest

from edgesim.arrivals.closed_loop import ClosedLoop
from edgesim.arrivals.periodic import Periodic
from edgesim.arrivals.poisson import Poisson
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Sharing, Topology
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.events.trial import Trial
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.engine.state.invariants import Checker
from edgesim.engine.state.meters import Stays
from edgesim.errors import SimulationError
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
STREAMS = Streams(1)


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def server(**options: Any) -> Program:
    """One device that takes 1 s per request."""
    plan = Plan((Compute("c", "d", (LayerWork("x", "conv", 1.0, 0),)),), "c", {})
    return compile_plan(plan, Topology((Device("d", PROFILE, **options),)), WorkIsTime())


def pair(sharing: Sharing = "fifo", medium: Medium | None = None) -> Program:
    """w computes 1 s and sends 1 MB over 4 Mbit/s (2 s, no latency) to the hub, which answers at once."""
    link = Link("w->hub", "w", "hub", 4e6, sharing=sharing, medium_id=medium.medium_id if medium else None)
    steps = (
        Compute("c", "w", (LayerWork("x", "conv", 1.0, 0),)),
        Transfer("t", "w", "hub", 1_000_000, "x", "result", ("c",)),
        Compute("end", "hub", (), ("t",)),
    )
    topology = Topology((Device("hub", PROFILE), Device("w", PROFILE)), (link,), (medium,) if medium else ())
    return compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())


def run(program: Program, **options: Any) -> Trace:
    return trace(program, streams=STREAMS.replication(0), is_checked=True, **options)


def test_closed_loop_asks_when_the_last_request_has_ended() -> None:
    """1 s of service and 0.5 s of thinking: releases at 0, 1.5, 3.0."""
    result = run(server(), arrivals=ClosedLoop(think_time_s=0.5), n_requests=3)
    assert [record.released_s for record in result.records] == [0.0, 1.5, 3.0]
    assert result.to_s == 4.0


def test_clients_of_a_closed_loop_queue_behind_each_other() -> None:
    """Three clients at one server: after the start one request per second, three in the system at any time."""
    result = run(server(), arrivals=ClosedLoop(clients=3), n_requests=9)
    assert [record.latency_s for record in result.records] == [1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    assert result.throughput_per_s == pytest.approx(1.0)


def test_client_asks_again_after_a_failure() -> None:
    """The device is down from 0.5 to 2 s: the first request fails at 0.5 s, the others, asked at once, until 2 s fail too."""
    result = run(server(), arrivals=ClosedLoop(think_time_s=1.0), n_requests=3, outages=[Outage("d", 0.5, 2.0)])
    assert [(record.released_s, record.outcome) for record in result.records] == [
        (0.0, "failed"), (1.5, "failed"), (2.5, "completed")
    ]  # fmt: skip


def test_periodic_requests_of_an_overloaded_server_grow_for_ever() -> None:
    """One request every 0.5 s at a server of 1 s: the n-th waits n / 2 s, and is unfinished at the horizon of 10 s."""
    result = run(server(), arrivals=Periodic(0.5), horizon_s=10.0)
    done = [record for record in result.records if record.outcome == "completed"]
    assert [record.latency_s for record in done] == pytest.approx([1 + n / 2 for n in range(10)])
    assert {record.outcome for record in result.records[10:]} == {"unfinished"}
    assert len(result.records) == 21  # one at 10 s too
    (device,) = result.resources
    assert device.utilisation == pytest.approx(1.0)
    assert result.to_s == 10.0
    # present: 21 arrivals k / 2, the first ten leave at k + 1: sum of stays / 10 s
    stays = sum(min(10.0, k + 1.0) - k / 2 if k < 10 else 10.0 - k / 2 for k in range(21))
    assert device.n_present == pytest.approx(stays / 10)
    assert device.n_waiting == pytest.approx((stays - 10) / 10)


def test_requests_time_out_at_their_deadline_and_their_work_goes_on() -> None:
    """Deadline 1.5 s: of three at once only the first is answered in time; the server works for 3 s all the same."""
    result = run(server(), releases_s=[0.0] * 3, deadline_s=1.5)
    assert [record.outcome for record in result.records] == ["completed", "timed_out", "timed_out"]
    assert result.to_s == 3.0
    assert result.resources[0].utilisation == pytest.approx(1.0)


def test_admission_limit_rejects_what_is_too_much() -> None:
    """At most two in the system: of five at once three are rejected, at no cost; one second later one is admitted."""
    result = run(server(), releases_s=[0.0] * 5 + [1.5], admission_limit=2)
    assert [record.outcome for record in result.records] == ["completed"] * 2 + ["rejected"] * 3 + ["completed"]
    assert result.records[3].energy_j == 0.0
    assert result.records[5].latency_s == pytest.approx(1.5)


def test_warm_up_is_cut_from_records_and_meters() -> None:
    """Requests at 0 and 10 s, warm-up 5 s: one record, and 1 of the remaining 6 s busy."""
    result = run(server(), releases_s=[0.0, 10.0], warm_up_s=5.0)
    assert [record.released_s for record in result.records] == [10.0]
    assert (result.from_s, result.to_s) == (5.0, 11.0)
    assert result.resources[0].utilisation == pytest.approx(1 / 6)
    assert result.resources[0].n_arrived == 1
    assert result.throughput_per_s == pytest.approx(1 / 6)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_every_resource_is_measured(sharing: Sharing) -> None:
    """Two requests at 0 s: w busy 2 of 5 s; the link from 1 to 5 s, with one message waiting from 2 to 3 s (fifo)."""
    result = run(pair(sharing), releases_s=[0.0, 0.0])
    resources = {resource.resource_id: resource for resource in result.resources}
    assert {name: one.kind for name, one in resources.items()} == {"hub": "device", "w": "device", "w->hub": "link"}
    assert result.to_s == 5.0
    assert resources["w"].utilisation == pytest.approx(2 / 5)
    assert resources["w"].n_waiting == pytest.approx(1 / 5)
    assert resources["w->hub"].utilisation == pytest.approx(4 / 5)
    assert resources["w->hub"].n_arrived == 2
    # fifo: stays of 2 and 3 s; fair: alone for 1 s, then both until 4 s (2 s of the first are through), then alone
    assert resources["w->hub"].n_present == pytest.approx((2 + 3) / 5 if sharing == "fifo" else (3 + 3) / 5)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_links_of_a_medium_are_measured_besides_it(sharing: Sharing) -> None:
    """The medium and the only link that uses it are busy for the same share."""
    result = run(pair(medium=Medium("air", sharing)), releases_s=[0.0, 0.0])
    busy = {resource.resource_id: resource.utilisation for resource in result.resources}
    assert busy["air"] == pytest.approx(0.8)
    assert busy["w->hub"] == pytest.approx(0.8)


def test_stays_tell_the_queue_over_time() -> None:
    """Every computation and message with the moments at which it came, was served and left."""
    result = run(pair(), releases_s=[0.0, 0.0], has_stays=True)
    found = [
        (stay.resource_id, stay.request, stay.step_id, stay.arrived_s, stay.started_s, stay.ended_s)
        for stay in result.stays
        if stay.resource_id != "hub"
    ]
    assert sorted(found) == [
        ("w", 0, "c", 0.0, 0.0, 1.0), ("w", 1, "c", 0.0, 1.0, 2.0),
        ("w->hub", 0, "t", 1.0, 1.0, 3.0), ("w->hub", 1, "t", 2.0, 3.0, 5.0),
    ]  # fmt: skip


def test_contention_makes_a_cell_slower() -> None:
    """n devices with 1 s each and a contention of 0.1: n (1 + 0.1 (n - 1) / 2) s; one device alone does not contend."""
    devices = tuple(Device(name, PROFILE) for name in ("hub", "a", "b", "c", "d"))
    links = tuple(Link(f"{name}->hub", name, "hub", 8e6, medium_id="air") for name in "abcd")
    topology = Topology(devices, links, (Medium("air", contention=0.1),))
    for senders, expected_s in (("abcd", 4 * 1.15), ("aaaa", 4.0), ("aabb", 1 + 1 + 1.1 + 1.1)):
        steps = [Transfer(f"t{i}", name, "hub", 1_000_000, "x", "input") for i, name in enumerate(senders)]
        end = Compute("end", "hub", (), tuple(step.step_id for step in steps))
        program = compile_plan(Plan((*steps, end), "end", {}), topology, WorkIsTime())
        assert simulate(program)[0].latency_s == pytest.approx(expected_s)


def test_traffic_stops_at_the_horizon() -> None:
    """A message of 2 s that is half sent at the horizon of 2 s counts half of its bytes, and its request is unfinished."""
    for sharing in ("fifo", "fair"):
        (record,) = simulate(pair(sharing), horizon_s=2.0)  # type: ignore[arg-type]
        assert (record.outcome, record.result_byte) == ("unfinished", 500_000)
        assert record.energy_j == pytest.approx(2 * 2 * 1.0 + 2.0 * 1 + 1.0 * 1 + 0.5 * 1)


def test_a_request_that_can_never_end_has_failed_while_others_go_on() -> None:
    """The link is down for ever; each request fails as soon as its message cannot be sent."""
    result = run(pair(), releases_s=[0.0, 5.0], outages=[Outage("w->hub")], horizon_s=100.0)
    assert [record.outcome for record in result.records] == ["failed", "failed"]
    assert result.to_s == 6.0


def test_endless_arrivals_need_an_end() -> None:
    """Neither horizon nor number: refused. Clients that ask again in no time: noticed."""
    with pytest.raises(SimulationError, match="never end"):
        run(server(), arrivals=Poisson(1.0))
    with pytest.raises(SimulationError, match="pass the streams"):
        simulate(server(), arrivals=Poisson(1.0), n_requests=1)
    plan = Plan((Compute("c", "d"),), "c", {})
    program = compile_plan(plan, Topology((Device("d", PROFILE),)), WorkIsTime())
    with pytest.raises(SimulationError, match="without any time passing"):
        run(program, arrivals=ClosedLoop(), horizon_s=1.0)


def test_same_streams_same_trace() -> None:
    """A second run gives the same records and resources."""
    first, second = (run(pair(), arrivals=Poisson(0.2), n_requests=50) for _ in range(2))
    assert first == second


def test_broken_invariants_are_told() -> None:
    """Each check of the checker, given what must not be."""
    checker = Checker()
    checker.moment(1.0)
    for break_it in (
        lambda: checker.moment(0.5),
        lambda: checker.served("d", 2.0, 1.5, 3.0),
        lambda: checker.loaded({0: 1.01}),
        lambda: checker.crossed("a->b", 3, 1, 1),
        lambda: checker.closed(1, 0.0),
    ):
        with pytest.raises(SimulationError, match="invariant broken"):
            break_it()
    checker.entered(0)
    checker.left(0, 0.0)
    with pytest.raises(SimulationError, match="not in the system"):
        checker.left(0, 0.0)
    checker.moment(3.0)
    checker.entered(1)
    checker.moment(4.0)
    with pytest.raises(SimulationError, match="Little"):
        checker.closed(2, 0.5)
    assert math.isfinite(checker.n_checks)


def test_every_trial_of_a_test_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although nobody asks for it here; see tests/conftest.py."""
    end = Trial._end

    def miscount(self: Trial, request: Any) -> None:
        request.released_s -= 1.0
        end(self, request)

    monkeypatch.setattr(Trial, "_end", miscount)
    with pytest.raises(SimulationError, match="Little"):
        simulate(pair())


def test_records_can_be_handed_over_so_that_memory_does_not_grow() -> None:
    """The same records as those that are kept, but for their share of the idle power; 2,000 and 20,000 requests then need the same memory, checked as they are."""
    kept = run(pair(), arrivals=ClosedLoop(), n_requests=5, warm_up_s=3.0)
    heard: dict[int, Any] = {}
    trace_of_none = run(pair(), arrivals=ClosedLoop(), n_requests=5, warm_up_s=3.0, on_record=heard.__setitem__)
    share_j = trace_of_none.idle_share_j
    with_share = tuple(heard[number]._replace(energy_j=heard[number].energy_j + share_j) for number in sorted(heard))
    assert with_share == kept.records
    assert sorted(heard) == [1, 2, 3, 4]
    assert trace_of_none.records == ()

    def peak_byte(n_requests: int) -> int:
        tracemalloc.start()
        last: dict[str, int] = {}
        options: dict[str, Any] = {"arrivals": ClosedLoop(), "n_requests": n_requests}
        simulate(
            pair(),
            on_record=lambda number, _record: last.update(number=number),
            is_checked=True,
            streams=STREAMS.replication(0),
            **options,
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert last["number"] == n_requests - 1
        return peak

    assert peak_byte(20_000) < peak_byte(2_000) + 18_000  # less than a byte for each further request; a record has 340


def test_releases_come_at_their_moments_to_the_last_digit() -> None:
    """Now plus the time until then may be another number; two of one moment were refused as being out of order."""
    moments_s = [0.3864554260076642, 0.9195326479812301, 0.9195326479812301]
    assert moments_s[0] + (moments_s[1] - moments_s[0]) != moments_s[1]
    assert [record.released_s for record in run(server(), releases_s=moments_s).records] == moments_s


def test_a_time_too_short_to_divide_by_has_no_means() -> None:
    """1 / 5e-324 s is infinite, and 0 times it is no number."""
    record = Stays(["hub"], (0.0, math.inf), None).record(0, "device", 1, to_s=5e-324)
    assert (record.utilisation, record.n_waiting, record.n_present) == (0.0, 0.0, 0.0)
