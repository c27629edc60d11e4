"""What outages do: the table of `edgesim.engine.events.simulation`, one test per cell.

The system: w1 computes for 10 ms, sends 10 kB over 10 Mbit/s (8 ms) with 5 ms of latency to the hub, which answers at 23 ms.
"""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord
from edgesim.domain.system.topology import Device, DeviceProfile, Link, OnOutage, Sharing, Topology
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.engine.state.outages import Downtime, Downtimes
from edgesim.errors import PlanError
from edgesim.failures.on_off import OnOff
from edgesim.network.transport import Tcp
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
SHARINGS: tuple[Sharing, ...] = ("fifo", "fair")


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def run(
    *outages: Outage,
    policy: OnOutage = "lost",
    sharing: Sharing = "fifo",
    n: int = 1,
    deadline_s: float | None = None,
    **options: Any,
) -> list[RequestRecord]:
    """Simulate n requests of the system at once."""
    devices = tuple(Device(name, PROFILE, sharing=sharing, on_outage=policy) for name in ("hub", "w1"))
    link = Link("w1->hub", "w1", "hub", 1e7, 0.005, sharing=sharing, on_outage=policy, mtu_byte=1_000)
    on_missing = "wait" if deadline_s is None else "degrade"
    steps = (
        Compute("c", "w1", (LayerWork("x", "conv", 0.010, 0),)),
        Transfer("t", "w1", "hub", 10_000, "x", "result", ("c",)),
        Compute("end", "hub", (), ("t",), on_missing=on_missing, deadline_s=deadline_s),  # type: ignore[arg-type]
    )
    program = compile_plan(Plan(steps, "end", {}), Topology(devices, (link,)), WorkIsTime())
    return simulate(program, outages=outages, releases_s=[0.0] * n, is_checked=True, **options)


def is_lost(record: RequestRecord, sent_byte: int) -> bool:
    """Whether the request has failed with so many bytes on the link."""
    return record.outcome == "failed" and math.isnan(record.latency_s) and record.result_byte == sent_byte


def is_done(record: RequestRecord, latency_s: float) -> bool:
    """Whether the request is complete at that time, with all bytes counted once."""
    return (
        record.outcome == "completed"
        and record.latency_s == pytest.approx(latency_s, abs=1e-9)
        and record.result_byte == 10_000
    )


# ---- computations


@pytest.mark.parametrize("sharing", SHARINGS)
def test_computation_that_becomes_ready(sharing: Sharing) -> None:
    """Device down from 0 to 5 ms: lost, or all is 5 ms later."""
    outage = Outage("w1", 0.0, 0.005)
    assert is_lost(run(outage, sharing=sharing)[0], 0)
    assert is_done(run(outage, sharing=sharing, policy="resume")[0], 0.028)


def test_computation_in_the_queue() -> None:
    """Two requests; the device is down from 4 to 6 ms: both are lost, or the second waits 2 ms longer in the queue."""
    outage = Outage("w1", 0.004, 0.006)
    assert all(is_lost(record, 0) for record in run(outage, n=2))
    first, second = run(outage, n=2, policy="resume")
    assert is_done(first, 0.025)
    assert is_done(second, 0.035)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_computation_that_runs(sharing: Sharing) -> None:
    """Down from 4 to 6 ms: lost after 4 ms of work, or the other 6 ms follow."""
    outage = Outage("w1", 0.004, 0.006)
    (record,) = run(outage, sharing=sharing)
    assert is_lost(record, 0)
    assert record.energy_j == pytest.approx(2 * 0.004 + 2 * 0.004)  # both idle for 4 ms, one busy (2 W more) for 4 ms
    (record,) = run(outage, sharing=sharing, policy="resume")
    assert is_done(record, 0.025)


def test_two_computations_share_a_device_that_fails() -> None:
    """Both run at half speed; down from 4 to 6 ms: both are lost, or both end at 22 ms and share the link: 22 + 16 + 5."""
    outage = Outage("w1", 0.004, 0.006)
    assert all(is_lost(record, 0) for record in run(outage, n=2, sharing="fair"))
    for record in run(outage, n=2, sharing="fair", policy="resume"):
        assert is_done(record, 0.043)


# ---- messages


@pytest.mark.parametrize("sharing", SHARINGS)
def test_message_to_be_sent(sharing: Sharing) -> None:
    """Link down from 8 to 16 ms, message ready at 10: never sent, or 6 ms later (a fair link: 1 ms, since latency passes first)."""
    outage = Outage("w1->hub", 0.008, 0.016)
    assert is_lost(run(outage, sharing=sharing)[0], 0)
    assert is_done(run(outage, sharing=sharing, policy="resume")[0], 0.029 if sharing == "fifo" else 0.024)


def test_message_in_the_queue() -> None:
    """Two messages, ready at 10 and 20 ms; the link is down from 12 to 22 ms: both are lost, or both come, in order.

    The first has 2 of its 8 ms and goes on from 22 to 28; the second, queued meanwhile, follows from 28 to 36, + 5.
    """
    outage = Outage("w1->hub", 0.012, 0.022)
    first, second = run(outage, n=2)
    assert is_lost(first, 2_500)
    assert is_lost(second, 0)
    first, second = run(outage, n=2, policy="resume")
    assert is_done(first, 0.033)
    assert is_done(second, 0.041)


@pytest.mark.parametrize("target", ["w1", "w1->hub"])
def test_message_being_sent(target: str) -> None:
    """Down from 14 to 20 ms, half way: half of the bytes count and arrive; or the other half follows, 6 ms later."""
    outage = Outage(target, 0.014, 0.020)
    (record,) = run(outage)
    assert is_lost(record, 5_000)
    assert record.partial == ((0, 0.5),)
    assert is_done(run(outage, policy="resume")[0], 0.029)


@pytest.mark.parametrize("target", ["w1", "w1->hub"])
def test_message_being_sent_on_a_fair_link(target: str) -> None:
    """Latency first: it is sent from 15 to 23 ms; down from 19 to 25 ms."""
    outage = Outage(target, 0.019, 0.025)
    (record,) = run(outage, sharing="fair")
    assert is_lost(record, 5_000)
    assert record.partial == ((0, 0.5),)
    assert is_done(run(outage, sharing="fair", policy="resume")[0], 0.029)


@pytest.mark.parametrize("policy", ["lost", "resume"])
@pytest.mark.parametrize("target", ["w1", "w1->hub"])
def test_message_propagating(target: str, policy: OnOutage) -> None:
    """The last bit has left at 18 ms: what happens behind it is nothing to it."""
    assert is_done(run(Outage(target, 0.0181, 1.0), policy=policy)[0], 0.023)


def test_receiver_down_while_a_message_is_sent() -> None:
    """Down from 14 to 16 ms: sent in full and lost; what came before 14 ms, bits of up to 9 ms old, is 0. Or 2 ms later."""
    outage = Outage("hub", 0.014, 0.016)
    (record,) = run(outage)
    assert is_lost(record, 10_000)
    assert record.partial == ()
    assert is_done(run(outage, policy="resume")[0], 0.025)


def test_receiver_down_keeps_what_came_before() -> None:
    """Down at 19 ms, when 4 of the 8 ms of bits have arrived: half of the packets, five of ten."""
    (record,) = run(Outage("hub", 0.019, 1.0), deadline_s=2.0)
    assert record.partial == ((0, 0.5),)
    assert record.result_byte == 10_000


def test_receiver_down_while_a_message_is_sent_on_a_fair_link() -> None:
    """Sent from 15 to 23 ms, the receiver is down from 17 to 18: lost, all bytes counted; or 1 ms later."""
    outage = Outage("hub", 0.017, 0.018)
    assert is_lost(run(outage, sharing="fair")[0], 10_000)
    assert is_done(run(outage, sharing="fair", policy="resume")[0], 0.024)


def test_receiver_down_while_a_message_propagates() -> None:
    """Down from 20 to 30 ms: lost, all bytes counted; or there when the receiver is up again."""
    outage = Outage("hub", 0.020, 0.030)
    assert is_lost(run(outage)[0], 10_000)
    assert is_done(run(outage, policy="resume")[0], 0.030)


# ---- nothing to do


@pytest.mark.parametrize("policy", ["lost", "resume"])
@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("target", ["w1", "w1->hub", "hub"])
def test_idle(target: str, sharing: Sharing, policy: OnOutage) -> None:
    """What is idle may go down and up again; the hub before anything comes to it, the others after their work."""
    outage = Outage("hub", 0.0, 0.009) if target == "hub" else Outage(target, 0.0231, 0.5)
    assert is_done(run(outage, sharing=sharing, policy=policy)[0], 0.023)


@pytest.mark.parametrize("policy", ["lost", "resume"])
def test_inputs_wait_in_a_device_that_goes_down(policy: OnOutage) -> None:
    """The hub has one of two inputs when it goes down and comes up again; then the other comes: nothing is lost."""
    devices = tuple(Device(name, PROFILE, on_outage=policy) for name in ("hub", "w1"))
    link = Link("w1->hub", "w1", "hub", 1e7, 0.005, on_outage=policy)
    steps = (
        Compute("own", "hub", (LayerWork("x", "conv", 0.001, 0),)),
        Compute("c", "w1", (LayerWork("x", "conv", 0.010, 0),)),
        Transfer("t", "w1", "hub", 10_000, "x", "result", ("c",)),
        Compute("end", "hub", (), ("own", "t")),
    )
    program = compile_plan(Plan(steps, "end", {}), Topology(devices, (link,)), WorkIsTime())
    (record,) = simulate(program, outages=[Outage("hub", 0.002, 0.009)], is_checked=True)
    assert is_done(record, 0.023)


@pytest.mark.parametrize("policy", ["lost", "resume"])
def test_deadline_of_a_step_passes_while_its_device_is_down(policy: OnOutage) -> None:
    """The merge begins at its deadline, 20 ms, when the hub is down until 40 ms: lost, or it runs at 40 ms, degraded."""
    (record,) = run(Outage("hub", 0.019, 0.040), Outage("w1"), deadline_s=0.020, policy=policy)
    if policy == "lost":
        assert record.outcome == "failed"
    else:
        assert (record.outcome, record.latency_s) == ("degraded", pytest.approx(0.040))


def test_end_of_an_outage_is_not_part_of_it() -> None:
    """Half-open intervals: work that becomes ready when the outage ends, or ends when it starts, is not touched."""
    assert is_done(run(Outage("w1", 0.0, 0.0), Outage("w1->hub", 0.0, 0.010), Outage("hub", 0.0, 0.010))[0], 0.023)
    assert is_done(run(Outage("w1", 0.018, 1.0))[0], 0.023)


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("target", ["w1", "w1->hub", "hub"])
def test_what_never_comes_back_is_lost_with_both_policies(target: str, sharing: Sharing) -> None:
    """An outage without end: a request that would wait for ever has failed, and the trial ends."""
    for policy in ("lost", "resume"):
        (record,) = run(Outage(target, 0.016), sharing=sharing, policy=policy)  # type: ignore[arg-type]
        assert record.outcome == "failed"


def test_relay_that_goes_down_loses_what_it_holds() -> None:
    """w -> r -> hub, 8 + 5 ms each; r is down while the message waits in it for its second link."""
    devices = tuple(Device(name, PROFILE) for name in ("hub", "r", "w"))
    links = (Link("w->r", "w", "r", 1e7, 0.005), Link("r->hub", "r", "hub", 1e7, 0.005))
    steps = (Transfer("t", "w", "hub", 10_000, "x", "input"), Compute("end", "hub", (), ("t",)))
    program = compile_plan(Plan(steps, "end", {}), Topology(devices, links), WorkIsTime())
    (record,) = simulate(program, outages=[Outage("r", 0.015, 0.016)])
    assert record.input_byte == 10_000 + 2_500
    (record,) = simulate(program, outages=[Outage("w", 0.015, 0.016)])
    assert record.outcome == "completed"


def test_connection_breaks_with_its_link() -> None:
    """A TCP connection whose link goes down is lost with the policy ``lost``, and goes on with ``resume``."""
    for policy, outcome in (("lost", "failed"), ("resume", "completed")):
        for sharing in SHARINGS:
            link = Link("a->b", "a", "b", 1e7, 0.005, sharing=sharing, transport=Tcp(), on_outage=policy)  # type: ignore[arg-type]
            topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (link,))
            steps = (Transfer("t", "a", "b", 100_000, "x", "input"), Compute("end", "b", (), ("t",)))
            program = compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())
            (record,) = simulate(program, outages=[Outage("a->b", 0.050, 0.060)], is_checked=True)
            assert record.outcome == outcome, (policy, sharing)


# ---- when things are down


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=8),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=8),
    st.integers(0, 36),
    st.integers(0, 6),
)
@settings(deadline=None)
def test_downtime_is_the_union_of_its_outages(
    fixed: list[tuple[int, int]], drawn: list[tuple[int, int]], start: int, length: int
) -> None:
    """However outages overlap, and whether they are known or drawn, every question agrees with looking at each moment."""
    outages = [Outage("x", float(a), float(a + b)) for a, b in fixed]
    source = [Outage("x", float(a), float(a + b)) for a, b in sorted(drawn)]
    is_down = [any(o.start_s <= t < o.end_s for o in (*outages, *source)) for t in range(50)]
    downtime = Downtime(outages, [iter(source)], iter(range(100)))
    end = start + length
    down = [t for t in range(start, max(end, start + 1)) if is_down[t]]
    assert downtime.first_s(start, end) == (down[0] if down else math.inf)
    assert downtime.up_s(start) == next(t for t in range(start, 50) if not is_down[t])
    assert downtime.total_s(start, end) == sum(is_down[start:end])
    later = [t for t in range(start + 1, 50) if is_down[t] and not is_down[t - 1]]
    assert downtime.next_s(start) == (later[0] if later else math.inf)


def test_several_targets_are_up_together() -> None:
    """The first moment at which all are up: outages that take turns are waited for."""
    downtimes = Downtimes([Outage("a", 0, 2), Outage("b", 2, 4), Outage("a", 4, 5)], [])
    assert downtimes.up_s(("a", "b", "c"), 0.0) == 5


def test_stays_show_the_interruption() -> None:
    """A resumed message is at its link twice: until the outage, and after it."""
    devices = (Device("a", PROFILE), Device("b", PROFILE))
    topology = Topology(devices, (Link("a->b", "a", "b", 1e7, on_outage="resume"),))
    steps = (Transfer("t", "a", "b", 10_000, "x", "input"), Compute("end", "b", (), ("t",)))
    program = compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())
    result = trace(program, outages=[Outage("a->b", 0.002, 0.003)], has_stays=True)
    assert [(stay.started_s, stay.ended_s) for stay in result.stays if stay.resource_id == "a->b"] == [
        (0.0, 0.002), (0.003, pytest.approx(0.009))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sharing", "down_s", "energy_j"),
    [
        ("fifo", 0.014, 0.018 + 0.014 + 0.020 + 0.008 + 0.5 * 0.004),
        ("fair", 0.017, 0.023 + 0.017 + 0.020 + 0.008 + 0.5 * 0.002),
    ],
)
def test_a_receiver_takes_power_until_it_goes_down(sharing: Sharing, down_s: float, energy_j: float) -> None:
    """Idle of w1 and of the hub while up, 10 ms of computing, 8 ms of sending from 10 (fifo) or 15 ms (fair), and what the hub hears."""
    [record] = run(Outage("hub", down_s, 0.030), sharing=sharing)
    assert is_lost(record, 10_000)
    assert record.energy_j == pytest.approx(energy_j)


# ---- outages that come again and again, and what takes absurdly long


def slow_pair(sharing: Sharing, on_outage: OnOutage, bandwidth_bit_per_s: float, work_s: float) -> Program:
    """a computes for `work_s` and sends 1 kB to b."""
    steps = (
        Compute("c", "a", (LayerWork("x", "conv", work_s, 0),)),
        Transfer("t", "a", "b", 1000, "x", "result", ("c",)),
        Compute("e", "b", (), ("t",)),
    )
    devices = (Device("a", PROFILE, sharing=sharing, on_outage=on_outage), Device("b", PROFILE))
    link = Link("a->b", "a", "b", bandwidth_bit_per_s, sharing=sharing, on_outage=on_outage)
    return compile_plan(Plan(steps, "e", {}), Topology(devices, (link,)), WorkIsTime())


def again_and_again(program: Program, target: str, mean_s: float = 1.0, **options: Any) -> RequestRecord:
    """Simulate one request while a target fails and is repaired every `mean_s` or so."""
    streams = Streams(1).replication(0)
    topology = Topology(program.devices.device, tuple(hop.link for hops in program.steps.hops for hop in hops))
    renewals = [OnOff(mean_s, mean_s, target).renewals(topology, streams)]
    (record,) = simulate(program, renewals=renewals, streams=streams, **options)
    return record


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
@pytest.mark.parametrize("bandwidth_bit_per_s", [1e-9, 1e-300])
def test_a_message_that_takes_for_ever_is_lost_with_the_next_failure(
    sharing: Sharing, bandwidth_bit_per_s: float
) -> None:
    """8,000 s / 1e-9 of sending: the first failure of the link ends it, and no more of them are drawn than that."""
    record = again_and_again(slow_pair(sharing, "lost", bandwidth_bit_per_s, 0.5), "a->b")
    assert record.outcome == "failed"
    assert 0.5 < record.energy_j < 100


@pytest.mark.parametrize(
    ("sharing", "on_outage", "target", "bandwidth_bit_per_s", "work_s"),
    [
        ("fifo", "resume", "a->b", 1e-9, 0.5),  # goes on, again and again
        ("fair", "resume", "a->b", 1e-9, 0.5),
        ("fifo", "lost", "b", 1e-9, 0.5),  # the receiver comes and goes while the message is sent
        ("fair", "lost", "b", 1e-9, 0.5),
        ("fifo", "resume", "a", 1e6, 1e15),
        ("fair", "resume", "a", 1e6, 1e15),
    ],
)
def test_what_would_meet_endless_failures_is_refused_in_little_memory(
    monkeypatch: pytest.MonkeyPatch,
    sharing: Sharing,
    on_outage: OnOutage,
    target: str,
    bandwidth_bit_per_s: float,
    work_s: float,
) -> None:
    """Memory per outage is bounded by a few numbers; a refusal says what went down, how often, and what to do."""
    monkeypatch.setattr("edgesim.engine.state.outages._MOST_DRAWN", 4000)
    program = slow_pair(sharing, on_outage, bandwidth_bit_per_s, work_s)
    tracemalloc.start()
    with pytest.raises(PlanError, match=f"'{target}' and others went down 4,000 times .* takes far longer"):
        again_and_again(program, target)
    assert tracemalloc.get_traced_memory()[1] < 400_000
    tracemalloc.stop()


def test_failures_without_time_between_them_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time does not pass, however many are drawn."""
    monkeypatch.setattr("edgesim.engine.state.outages._MOST_DRAWN", 4000)
    with pytest.raises(PlanError, match="went down 4,000 times"):
        again_and_again(slow_pair("fifo", "resume", 1e6, 1.0), "a", 1e-300)


def test_a_horizon_ends_what_takes_for_ever() -> None:
    """Nothing is drawn beyond the horizon but the outage that follows."""
    record = again_and_again(slow_pair("fair", "resume", 1e-9, 0.5), "a->b", horizon_s=100.0)
    assert record.outcome == "unfinished"
