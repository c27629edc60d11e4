"""What the first message over a link costs, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def cell(sharing: Any = "fifo", forwarding: Any = "store_and_forward", first_s: float = 0.5, **options: Any) -> Program:
    """a sends 1,000 byte, in one packet, to ap and ap to b over one medium; each link takes 1 s."""
    steps = (Transfer("t", "a", "b", 1000, "x", "input"), Compute("end", "b", (), ("t",)))
    options = {"mtu_byte": 1000, "medium_id": "air", "first_message_s": first_s, **options}
    links = (Link("a->ap", "a", "ap", 8e3, **options), Link("ap->b", "ap", "b", 8e3, **options))
    devices = tuple(Device(name, PROFILE) for name in ("a", "ap", "b"))
    topology = Topology(devices, links, (Medium("air", sharing),), forwarding)
    return compile_plan(Plan(steps, "end", {}), topology, NoTime())


def latencies_s(program: Program, **options: Any) -> list[float]:
    return [record.latency_s for record in simulate(program, is_checked=True, **options)]


@pytest.mark.parametrize("forwarding", ["store_and_forward", "cut_through"])
def test_the_first_message_over_each_link_takes_longer(forwarding: str) -> None:
    """2 x 1.5 s; the second one, long after, 2 x 1 s."""
    assert latencies_s(cell(forwarding=forwarding), releases_s=[0.0, 9.0]) == pytest.approx([3.0, 2.0])


def test_over_a_fair_way_it_waits_before_it_joins() -> None:
    """2 x 0.5 s of waiting, then twice the air: 2 s."""
    assert latencies_s(cell("fair"), releases_s=[0.0, 9.0]) == pytest.approx([3.0, 2.0])


def test_those_behind_wait_for_it() -> None:
    """The first has a->ap until 1.5 s, the second until 2.5 s, then the first ap->b until 4 s, the second until 5 s."""
    assert latencies_s(cell(), releases_s=[0.0, 0.0]) == pytest.approx([4.0, 5.0])


def test_one_that_was_never_sent_was_not_the_first() -> None:
    """a->ap is down until 1 s: nothing is sent before."""
    outages = [Outage("a->ap", 0.0, 1.0)]
    assert latencies_s(cell(on_outage="resume"), outages=outages) == pytest.approx([4.0])


def test_arrays_say_that_they_cannot() -> None:
    assert obstacle(cell()) == "the first message over link 'a->ap' takes longer"
    assert obstacle(cell(first_s=0.0)) == ""


@pytest.mark.parametrize(("size_byte", "measured_s"), [(10_000, 7.5e-3), (100_000, 21.5e-3)])
def test_a_first_message_in_a_cell_of_ns3(size_byte: int, measured_s: float) -> None:
    """802.11n with unknown addresses and a rate that is searched; rate and overhead as fitted to later messages: to 7 %."""
    steps = (Transfer("t", "a", "b", size_byte, "x", "input"), Compute("end", "b", (), ("t",)))
    link = Link("a->b", "a", "b", 56e6, message_overhead_s=0.42e-3, header_byte=30, first_message_s=6e-3)
    program = compile_plan(
        Plan(steps, "end", {}), Topology((Device("a", PROFILE), Device("b", PROFILE)), (link,)), NoTime()
    )
    assert latencies_s(program) == pytest.approx([measured_s], rel=0.07)


TEXT = """
name: s
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, first_message: 6 ms}}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""


def test_a_scenario_says_what_first_messages_cost() -> None:
    scenario = Scenario.from_text(TEXT)
    assert {link.first_message_s for link in scenario.built.links} == {0.006}
    assert Scenario.from_data(scenario.resolved()) == scenario
    assert "first_message" not in str(Scenario.from_text(TEXT.replace(", first_message: 6 ms", "")).resolved())
