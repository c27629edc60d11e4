"""Links that serve single packets in order of arrival, by closed forms."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Switch, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.engine.servers.losses import GivenLosses
from edgesim.errors import PlanError, ScenarioError
from edgesim.network.transport import Arq
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
P = 0.1
"""Time of a packet of 90 byte and 10 of headers at 8 kbit/s, in s."""
LINK = Link("-", "-", "--", 8e3, 0.5, mtu_byte=90, header_byte=10, sharing="fifo_packets")


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def link(src_id: str, dst_id: str, **options: Any) -> Link:
    return replace(LINK, link_id=f"{src_id}->{dst_id}", src_id=src_id, dst_id=dst_id, **options)


def line(size_byte: int, n_hops: int, **options: Any) -> Program:
    """A message over n hops."""
    names = [f"d{number}" for number in range(n_hops + 1)]
    steps = (Transfer("t", names[0], names[-1], size_byte, "x", "input"), Compute("end", names[-1], (), ("t",)))
    links = tuple(link(a, b, **options) for a, b in pairwise(names))
    topology = Topology(tuple(Device(name, PROFILE) for name in names), links)
    return compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())


def behind(sizes_byte: list[int], starts_s: list[float], *, switch: Switch | None = None, **options: Any) -> Program:
    """Each message from a sender of its own, over a link of that at the same rate to r, and from there to b; without latency."""
    steps: list[Compute | Transfer] = []
    for number, (size_byte, start_s) in enumerate(zip(sizes_byte, starts_s, strict=True)):
        steps.append(Compute(f"wait{number}", f"s{number}", (LayerWork("x", "conv", start_s, 0),)))
        steps.append(Transfer(f"t{number}", f"s{number}", "b", size_byte, "x", "input", (f"wait{number}",)))
        steps.append(Compute(f"end{number}", "b", (), (f"t{number}",)))
    links = [link(f"s{number}", "r", latency_s=0.0) for number in range(len(sizes_byte))]
    links.append(link("r", "b", latency_s=0.0, **options))
    devices = tuple(
        Device(name, PROFILE, n_cores=9) for name in ("b", *(f"s{number}" for number in range(len(sizes_byte))))
    )
    ends = (*devices, Device("r", PROFILE)) if switch is None else devices
    topology = Topology(ends, tuple(links), switches=() if switch is None else (switch,))
    return compile_plan(Plan(tuple(steps), f"end{len(sizes_byte) - 1}", {}), topology, WorkIsTime())


def arrivals_s(program: Program, **options: Any) -> list[float]:
    stays = {stay.step_id: stay for stay in trace(program, has_stays=True, is_checked=True, **options).stays}
    return [stays[name].arrived_s for name in sorted(stays) if name.startswith("end")]


def only(program: Program, **options: Any) -> RequestRecord:
    [record] = simulate(program, is_checked=True, **options)
    return record


@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("h", [1, 3])
def test_packets_of_a_message_follow_each_other_over_hops(m: int, h: int) -> None:
    """m packets over h hops: (m + h - 1) p + h d; each hop counts all bytes, and every device sends and receives for m p."""
    record = only(line(90 * m, h))
    assert record.latency_s == pytest.approx((m + h - 1) * P + h * 0.5)
    assert record.input_byte == 100 * m * h
    idle_j = (h + 1) * record.latency_s
    assert record.energy_j == pytest.approx(idle_j + h * m * P * (1.0 + 0.5))


def test_the_last_packet_is_as_long_as_what_is_left() -> None:
    """135 byte and 20 of framing: 100 byte, then 45 + 10 + 20; 0.2 s of overhead with the first packet."""
    assert only(line(135, 1, framing_byte=20, message_overhead_s=0.2)).latency_s == pytest.approx(0.2 + 0.175 + 0.5)
    assert only(line(0, 2)).latency_s == pytest.approx(2 * (0.01 + 0.5))


def test_a_small_message_waits_behind_the_packets_that_are_queued() -> None:
    """Two senders of 20 packets at 0 s fill the queue at r by one packet for each that leaves; a third has one packet there at 1.1 s.

    By then 2 x 11 have come and 10 have left, the last two with it at the same moment but before it: it is the 23rd, gone at 0.1 + 23 p.
    """
    found = arrivals_s(behind([1800, 1800, 90], [0.0, 0.0, 1.0]))
    assert found[2] == pytest.approx(P + 23 * P)
    assert max(found) == pytest.approx(P + 41 * P)


def test_messages_that_come_together_take_turns() -> None:
    """Packets of two messages of 5 come to r two by two: they end with the 9th and the 10th."""
    assert arrivals_s(behind([450, 450], [0.0, 0.0])) == pytest.approx([P + 9 * P, P + 10 * P])


def test_from_one_sender_it_is_first_come_first_served() -> None:
    records = simulate(line(450, 1), releases_s=[0.0, 0.01], is_checked=True)
    assert [record.latency_s for record in records] == pytest.approx([0.5 + 5 * P, 0.5 + 10 * P - 0.01])


def test_resources_are_as_busy_as_they_are() -> None:
    """10 packets in 1.1 s; one more comes at 0.1 s, 0.2 s, ...: packet k waits for k p, 5 of them for 0.1 + 0.2 + ... + 0.5 s."""
    found = trace(behind([450, 450], [0.0, 0.0]), is_checked=True)
    busy = next(one for one in found.resources if one.resource_id == "r->b")
    assert busy.utilisation == pytest.approx(10 / 11)
    assert busy.n_arrived == 10
    assert busy.n_waiting * found.to_s == pytest.approx(sum((k + (k + 1)) * P for k in range(5)))


def test_what_an_outage_meets_is_lost_packet_by_packet() -> None:
    """10 packets over 2 hops; the second link is down from 0.95 to 1.25 s.

    Packet i (from 0 on) is at it from 0.6 + 0.1 i on for 0.1 s: number 3, in service at 0.95 s, is lost, 4 and 5 are never sent, nor 6 at 1.2 s.
    """
    record = only(line(900, 2), outages=[Outage("d1->d2", 0.95, 1.25)])
    assert record.outcome == "failed"
    assert record.partial == ((0, pytest.approx(0.6)),)
    assert record.input_byte == 1000 + 3 * 100 + 50 + 3 * 100


def test_lost_packets_do_not_go_on() -> None:
    """All ten are lost on the first of two links: the second has none."""
    record = only(line(900, 2), losses=GivenLosses(frozenset({(0, "d0->d1")})))
    assert (record.outcome, record.partial, record.input_byte) == ("failed", (), 1000)


def test_a_full_queue_loses_packets() -> None:
    """Two messages of 5 packets; two wait at most. From the third pair on one leaves the queue and two come, so that the other's is lost."""
    program = behind([450, 450], [0.0, 0.0], switch=Switch("r", queue_byte=200))
    [record] = simulate(program, is_checked=True)
    assert record.partial == ((1, pytest.approx(2 / 5)),)


def test_the_first_message_costs_more_once() -> None:
    records = simulate(line(180, 2, first_message_s=1.0), releases_s=[0.0, 9.0], is_checked=True)
    assert [record.latency_s for record in records] == pytest.approx([2.0 + 3 * P + 1.0, 3 * P + 1.0])


def test_the_horizon_cuts_packets() -> None:
    record = only(line(900, 1), horizon_s=0.45)
    assert (record.outcome, record.input_byte) == ("unfinished", 450)


def test_arrays_say_that_they_cannot() -> None:
    assert obstacle(line(90, 1)) == "link 'd0->d1' serves single packets"


@pytest.mark.parametrize(
    "options", [{"medium_id": "m"}, {"transport": Arq()}, {"on_outage": "resume"}, {"burst_byte": 9}]
)
def test_what_packets_do_not_go_with_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=r"has sharing 'fifo_packets'; that goes with|has a burst_byte; that goes with"):
        link("a", "b", **options)
    with pytest.raises(PlanError, match="sharing"):
        Medium("m", "fifo_packets")  # type: ignore[arg-type]


TEXT = """
name: s
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, sharing: fifo_packets}}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""


def test_a_scenario_has_links_that_serve_packets() -> None:
    scenario = Scenario.from_text(TEXT)
    assert {one.sharing for one in scenario.built.links} == {"fifo_packets"}
    assert Scenario.from_data(scenario.resolved()) == scenario
    with pytest.raises(ScenarioError, match="`sharing: fifo_packets` goes with no `medium`"):
        Scenario.from_text(TEXT.replace("fifo_packets", "fifo_packets, transport: tcp"))
