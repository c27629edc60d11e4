"""Energy is the integral of power over a trial: idle power once per device and second, and what work adds to it."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.arrivals.closed_loop import ClosedLoop
from edgesim.arrivals.periodic import Periodic
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.events import records
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.engine.state.energy import largest_w
from edgesim.errors import SimulationError
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
"""Idle 1 W, busy 3 W, transmit 2 W, receive 1.5 W."""
STREAMS = Streams(1)


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def sender(latency_s: float = 0.0, size_byte: int = 125, sharing: Any = "fifo") -> Program:
    """a sends a message over 1 Mbit/s to b; 125 byte take 1 ms."""
    steps = (
        Compute("begin", "a"), Transfer("t", "a", "b", size_byte, "x", "result", ("begin",)), Compute("end", "b", (), ("t",))
    )  # fmt: skip
    link = Link("a->b", "a", "b", 1e6, latency_s, sharing=sharing)
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (link,))
    return compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())


def server(**options: Any) -> Program:
    """One device that takes 1 s per request."""
    plan = Plan((Compute("c", "d", (LayerWork("x", "conv", 1.0, 0),)),), "c", {})
    return compile_plan(plan, Topology((Device("d", PROFILE, **options),)), WorkIsTime())


def run(program: Program, **options: Any) -> Trace:
    return trace(program, streams=STREAMS.replication(0), is_checked=True, **options)


def energies_j(program: Program, **options: Any) -> list[float]:
    return [record.energy_j for record in run(program, **options).records]


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_requests_that_overlap_share_the_idle_power(sharing: str) -> None:
    """100 messages, one per ms, over 100 ms of latency: all is over at 99 + 1 + 100 = 200 ms.

    Idle 2 x 1 W x 0.2 s, sending 1 W x 0.1 s, receiving 0.5 W x 0.1 s: 0.55 J.
    """
    found = energies_j(sender(0.1, sharing=sharing), arrivals=Periodic(0.001), n_requests=100)
    assert found == pytest.approx([0.0055] * 100)


def test_gaps_between_requests_are_charged() -> None:
    """Messages of 1 ms at 0 and 10 ms, over at 11 ms: idle 2 x 11 mJ, sending 2 x 1, receiving 2 x 0.5: 25 mJ for two."""
    assert energies_j(sender(), releases_s=[0.0, 0.010]) == pytest.approx([0.0125] * 2)


def test_time_before_the_first_release_is_not_charged() -> None:
    """One message at 5 s: 2 x 1 mJ idle, 1 mJ sending, 0.5 mJ receiving."""
    assert energies_j(sender(), releases_s=[5.0]) == pytest.approx([0.0035])


def test_a_queue_takes_no_more_than_the_one_that_is_served() -> None:
    """Three requests at once at a server of 1 s: busy for 3 s at 3 W, 9 J for three, though they are present for 1 + 2 + 3 s."""
    assert energies_j(server(), releases_s=[0.0] * 3) == pytest.approx([3.0] * 3)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_cores_add_up(sharing: str) -> None:
    """Two cores busy at once: 1 + 2 x 2 W for 1 s, then one for the third request: 1 + 2 W for 1 s; shared by turns, 1.5 s of two."""
    expected_j = 8.0 if sharing == "fifo" else 1.5 * 5.0
    found = energies_j(server(n_cores=2, sharing=sharing), releases_s=[0.0] * 3)
    assert found == pytest.approx([expected_j / 3] * 3)


def test_clients_of_a_closed_loop_think_at_idle_power() -> None:
    """1 s of service at 3 W and 0.5 s of thinking at 1 W, three times, the last without thinking: 9 + 1 J."""
    found = energies_j(server(), arrivals=ClosedLoop(think_time_s=0.5), n_requests=3)
    assert found == pytest.approx([10 / 3] * 3)


def test_requests_of_the_warm_up_have_their_share() -> None:
    """Requests at 0 and 10 s, over at 11 s: 11 J idle and 2 x 2 J of work; half of it is of the one that counts."""
    assert energies_j(server(), releases_s=[0.0, 10.0], warm_up_s=5.0) == pytest.approx([7.5])


def test_unfinished_requests_share_until_the_horizon() -> None:
    """Requests at 0, 1.5 and 1.8 s, the end at 2 s: idle 2 J; the first adds 2 J, the second 1 J, the third waits."""
    found = run(server(), releases_s=[0.0, 1.5, 1.8], horizon_s=2.0)
    assert [record.outcome for record in found.records] == ["completed", "unfinished", "unfinished"]
    assert [record.energy_j for record in found.records] == pytest.approx([2 / 3 + 2, 2 / 3 + 1, 2 / 3])
    assert found.idle_share_j == pytest.approx(2 / 3)


def test_no_idle_power_after_the_last_end_before_the_horizon() -> None:
    """One request at 0 s, over at 1 s; the horizon is at 10 s, and more might have come."""
    assert energies_j(server(), arrivals=Periodic(20.0), horizon_s=10.0) == pytest.approx([3.0])


def test_rejected_requests_take_nothing_and_share_nothing() -> None:
    """One at a time: of three at once two are rejected; 1 s at 3 W is of the first alone."""
    assert energies_j(server(), releases_s=[0.0] * 3, admission_limit=1) == pytest.approx([3.0, 0.0, 0.0])


def test_a_device_that_is_down_takes_nothing() -> None:
    """Requests at 0 and 3 s of 1 s each, down from 1.25 to 2.75 s: up for 2.5 of 4 s, and 2 x 2 J of work: 6.5 J for two."""
    found = energies_j(server(), releases_s=[0.0, 3.0], outages=[Outage("d", 1.25, 2.75)])
    assert found == pytest.approx([3.25] * 2)


def test_what_an_outage_ends_is_charged_until_then() -> None:
    """Down from 0.5 to 2 s: the request of 0 s is lost at 0.5 s, that of 3 s takes 1 s: up 2.5 of 4 s, busy 1.5 s."""
    found = energies_j(server(), releases_s=[0.0, 3.0], outages=[Outage("d", 0.5, 2.0)])
    assert found == pytest.approx([1.25 + 0.5 * 2, 1.25 + 2.0])


def test_work_after_the_last_end_adds_its_part() -> None:
    """Deadline 1.5 s: the requests end at 1, 1.5 and 1.5 s, the work at 3 s: 1.5 J idle, and 2 J each."""
    assert energies_j(server(), releases_s=[0.0] * 3, deadline_s=1.5) == pytest.approx([2.5] * 3)


def test_a_relayed_message_is_charged_at_every_device_of_its_way() -> None:
    """a, m and b at idle power from 0 to 3 ms, two messages of 1 ms each over a-m-b, at 0 and 1 ms: m sends and receives.

    9 mJ idle, 2 x 2 x 1 mJ sending, 2 x 2 x 0.5 mJ receiving: 15 mJ for two.
    """
    steps = (
        Compute("begin", "a"),
        Transfer("t", "a", "b", 125, "x", "result", ("begin",)),
        Compute("end", "b", (), ("t",)),
    )
    links = (Link("a->m", "a", "m", 1e6), Link("m->b", "m", "b", 1e6))
    topology = Topology(tuple(Device(name, PROFILE) for name in "amb"), links)
    program = compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())
    assert energies_j(program, releases_s=[0.0, 0.001]) == pytest.approx([0.0075] * 2)


def test_too_much_energy_breaks_an_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest power of a that sends and b that receives is 2 + 1.5 W; with less the trial is refused."""
    simulate(sender(), is_checked=True)
    monkeypatch.setattr(records, "largest_w", lambda _: 3.4)
    with pytest.raises(SimulationError, match=r"the devices take .* J, more than the .* J of their largest power"):
        simulate(sender(), is_checked=True)


def test_largest_power_is_of_what_the_plan_uses() -> None:
    """a sends and never receives nor computes, b the other way round: 2 + 1.5 W; two cores that compute: 1 + 2 x 2 W."""
    assert largest_w(sender()) == pytest.approx(3.5)
    assert largest_w(server(n_cores=2)) == pytest.approx(5.0)
