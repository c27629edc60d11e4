"""Messages that go around what is down: a square a-b-d, a-c-d, in which c's links are slower.

10 kB over 10 Mbit/s take 8 ms a link, over 5 Mbit/s 16 ms; latencies are 0.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord
from edgesim.domain.system.routing import Routing
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Switch, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
PLAN = Plan((Transfer("t", "a", "d", 10_000, "x", "input"), Compute("end", "d", inputs=("t",))), "end", {})


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def square(*, reroute: bool, has_switch: bool = False, **of_links: Any) -> Program:
    rates = {"ab": 1e7, "bd": 1e7, "ac": 5e6, "cd": 5e6}
    links = tuple(Link(f"{src}->{dst}", src, dst, rate, **of_links) for (src, dst), rate in rates.items())
    names = "acd" if has_switch else "abcd"
    devices = tuple(Device(name, PROFILE) for name in names)
    switches = (Switch("b"),) if has_switch else ()
    topology = Topology(devices, links, routing=Routing("transfer", reroute=reroute), switches=switches)
    return compile_plan(PLAN, topology, NoTime())


def run(program: Program, *outages: Outage, **options: Any) -> RequestRecord:
    [record] = simulate(program, outages=outages, is_checked=True, **options)
    return record


@pytest.mark.parametrize("target", ["a->b", "b->d", "b"])
@pytest.mark.parametrize("has_switch", [False, True])
def test_a_square_with_one_way_down_delivers_by_the_other(target: str, *, has_switch: bool) -> None:
    """2 x 16 ms in place of 2 x 8 ms, and the bytes of two links."""
    record = run(square(reroute=True, has_switch=has_switch), Outage(target))
    assert (record.outcome, record.input_byte) == ("completed", 20_000)
    assert math.isclose(record.latency_s, 0.032)


@pytest.mark.parametrize("target", ["a->b", "b->d", "b"])
def test_without_rerouting_the_same_message_is_lost(target: str) -> None:
    assert run(square(reroute=False), Outage(target)).outcome == "failed"


def test_with_everything_up_messages_take_their_own_route() -> None:
    """8 ms a link, and an outage of the other way changes nothing."""
    for outages in ((), (Outage("c"),), (Outage("a->b", 0.5, 1.0),)):
        for reroute in (False, True):
            assert math.isclose(run(square(reroute=reroute), *outages).latency_s, 0.016)


def test_messages_come_back_to_their_route_when_it_is_up_again() -> None:
    program = square(reroute=True)
    outages = (Outage("b->d", 1.0, 2.0),)
    found = simulate(program, outages=outages, releases_s=(0.0, 1.0, 2.0), is_checked=True)
    assert [round(one.latency_s, 9) for one in found] == [0.016, 0.032, 0.016]


def test_a_route_is_chosen_once_when_a_message_is_sent() -> None:
    """The message is on the first link when the second goes down; nobody turns it around."""
    assert run(square(reroute=True), Outage("b->d", 0.004)).outcome == "failed"


@pytest.mark.parametrize("down", [("a->b", "a->c"), ("b", "c"), ("a",), ("d",)])
def test_where_no_way_is_up_the_message_is_lost_as_ever(down: tuple[str, ...]) -> None:
    assert run(square(reroute=True), *(Outage(name) for name in down)).outcome == "failed"


def test_where_no_way_is_up_a_message_that_waits_waits_for_its_own_way() -> None:
    outages = (Outage("a->b", 0.0, 1.0), Outage("a->c", 0.0, 2.0))
    assert math.isclose(run(square(reroute=True, on_outage="resume"), *outages).latency_s, 1.016)


def test_fair_links_go_around_too() -> None:
    """A flow over both slow links at once: 16 ms at 5 Mbit/s."""
    assert math.isclose(run(square(reroute=True, sharing="fair"), Outage("b")).latency_s, 0.016)


def test_the_array_engine_says_why_it_falls_back() -> None:
    assert obstacle(square(reroute=True)) == "messages take other routes around what is down"
    assert obstacle(square(reroute=False)) == ""
