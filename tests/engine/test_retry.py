"""What is lost is tried again: w1 computes 10 ms, sends 10 kB over 10 Mbit/s (8 ms) to the hub, which answers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord
from edgesim.domain.system.routing import Routing
from edgesim.domain.system.topology import Device, DeviceProfile, HostOverhead, Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.engine.state.invariants import Checker
from edgesim.errors import SimulationError
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.recoveries.retry import Retry
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def program(*, has_detour: bool = False, deadline_s: float | None = None, **of_devices: Any) -> Program:
    devices = tuple(Device(name, PROFILE, **of_devices) for name in ("hub", "relay", "w1"))
    pairs = [("w1", "hub"), *((("w1", "relay"), ("relay", "hub")) if has_detour else ())]
    links = tuple(Link(f"{src}->{dst}", src, dst, 1e7, mtu_byte=1_000) for src, dst in pairs)
    on_missing = "wait" if deadline_s is None else "degrade"
    steps = (
        Compute("c", "w1", (LayerWork("x", "conv", 0.010, 0),)),
        Transfer("t", "w1", "hub", 10_000, "x", "result", ("c",)),
        Compute("end", "hub", (), ("t",), on_missing=on_missing, deadline_s=deadline_s),  # type: ignore[arg-type]
    )
    return compile_plan(
        Plan(steps, "end", {}), Topology(devices, links, routing=Routing(reroute=has_detour)), WorkIsTime()
    )


def run(made: Program, *outages: Outage, **options: Any) -> RequestRecord:
    [record] = simulate(made, outages=outages, is_checked=True, **options)
    return record


@pytest.mark.parametrize(
    ("outage", "latency_s", "n_byte"),
    [
        (
            Outage("w1->hub", 0.014, 0.050),
            0.122,
            15_000,
        ),  # lost at 14 ms with half of it sent, and again from 114 ms on
        (Outage("w1", 0.005, 0.050), 0.123, 10_000),  # the computation, lost at 5 ms, begins again at 105 ms
        (
            Outage("hub", 0.012, 0.015),
            0.126,
            20_000,
        ),  # nobody hears its middle: noticed at its end, at 18 ms... and sent again
    ],
)
def test_what_an_outage_took_is_tried_again(outage: Outage, latency_s: float, n_byte: int) -> None:
    assert run(program(), outage).outcome == "failed"
    record = run(program(), outage, recovery=Retry(0.1))
    assert (record.outcome, record.lost, record.result_byte) == ("completed", 0, n_byte)
    assert math.isclose(record.latency_s, latency_s)


def test_a_message_is_given_up_after_its_attempts() -> None:
    """Sent at 10, and again at 110 and 210 ms; the link is up from 0.3 s on."""
    outage = Outage("w1->hub", 0.0, 0.3)
    assert run(program(), outage, recovery=Retry(0.1, attempts=2)).outcome == "failed"
    assert math.isclose(run(program(), outage, recovery=Retry(0.1, attempts=3)).latency_s, 0.318)


def test_the_next_attempt_goes_another_way() -> None:
    """The own way goes down under way; two links of 8 ms go around it."""
    record = run(program(has_detour=True), Outage("w1->hub", 0.014), recovery=Retry(0.1))
    assert math.isclose(record.latency_s, 0.114 + 0.016)


def test_nothing_is_tried_again_behind_the_end_of_a_request() -> None:
    """The hub goes on without the message at 30 ms; a request whose deadline has passed is left alone."""
    record = run(program(deadline_s=0.030), Outage("w1->hub", 0.014, 0.05), recovery=Retry(0.1))
    assert (record.outcome, record.result_byte, record.lost) == ("degraded", 5_000, 1)
    late = run(program(), Outage("w1->hub", 0.014, 0.05), recovery=Retry(0.1), deadline_s=0.06)
    assert (late.outcome, late.result_byte) == ("timed_out", 5_000)


def test_how_often_a_message_fails_is_the_power_of_its_losses() -> None:
    """Ten packets lost with 0.05 each: a message with p = 0.40; with two attempts it fails with p^3; three standard errors."""
    n = 4_000
    found = simulate(
        program(), losses={"loss": PacketBernoulli(0.05)}, streams=Streams(3).replication(0), recovery=Retry(0.01, attempts=2),
        releases_s=[0.1 * number for number in range(n)], is_checked=True,
    )  # fmt: skip
    p = 1 - 0.95**10
    fails = p**3
    assert abs(sum(one.outcome == "failed" for one in found) / n - fails) < 3 * math.sqrt(fails * (1 - fails) / n)
    sends = 1 + p + p**2
    assert abs(sum(one.result_byte for one in found) / n / 10_000 - sends) < 3 * math.sqrt(2.0 / n)


def test_nothing_is_lost_or_counted_twice_in_random_failures_during_recoveries() -> None:
    """1,000 trials of five requests: everything goes down and comes back while it is tried again; the invariants are checked."""
    made = [
        program(has_detour=has_detour, deadline_s=deadline_s, on_outage=on_outage, host_overhead=host)
        for has_detour in (False, True)
        for deadline_s in (None, 0.03)
        for on_outage in ("lost", "resume")
        for host in (HostOverhead(), HostOverhead(0.002))
    ]
    topology = Topology(
        tuple(Device(name, PROFILE) for name in ("hub", "relay", "w1")),
        tuple(Link(f"{src}->{dst}", src, dst, 1e7) for src, dst in (("w1", "hub"), ("w1", "relay"), ("relay", "hub"))),
    )
    n_completed = n_lost = 0
    for number in range(1_000):
        streams = Streams(5).replication(number)
        down = [OnOff(0.05, 0.01, pattern) for pattern in ("*", "*->*")]
        found = simulate(
            made[number % len(made)], renewals=[one.renewals(topology, streams) for one in down], streams=streams,
            losses={"loss": PacketBernoulli(0.02)}, releases_s=[0.01 * k for k in range(5)], recovery=Retry(0.007, attempts=4),
            deadline_s=None if number % 3 else 0.2, is_checked=True,
        )  # fmt: skip
        assert len(found) == 5
        assert all((one.lost == 0) for one in found if one.outcome == "completed")
        n_completed += sum(one.outcome == "completed" for one in found)
        n_lost += sum(one.outcome in {"failed", "timed_out"} for one in found)
    assert n_completed > 1_000
    assert n_lost > 20


def test_a_step_that_is_done_twice_breaks_an_invariant() -> None:
    checker = Checker()
    checker.done(1, 2)
    checker.forgotten(1)
    checker.done(1, 2)
    with pytest.raises(SimulationError, match="step 2 of request 1 is done twice"):
        checker.done(1, 2)
