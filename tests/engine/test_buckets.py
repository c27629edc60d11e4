"""Token buckets of links, by closed forms."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.errors import PlanError, ScenarioError
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
RATE = 8000.0
"""1 byte per ms."""


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def over(size_byte: int, **options: Any) -> Program:
    """a sends a message to b."""
    steps = (Transfer("t", "a", "b", size_byte, "x", "input"), Compute("end", "b", (), ("t",)))
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (Link("a->b", "a", "b", RATE, **options),))
    return compile_plan(Plan(steps, "end", {}), topology, NoTime())


def ends_s(program: Program, releases_s: list[float], **options: Any) -> list[float]:
    records = simulate(program, releases_s=releases_s, is_checked=True, **options)
    return [record.released_s + record.latency_s for record in records]


@pytest.mark.parametrize("size_byte", [100, 1000])
@pytest.mark.parametrize("releases_s", [[0.0] * 6, [0.0, 0.05, 0.3, 0.9, 0.95, 3.0], [0.1, 2.0, 2.0, 2.0, 2.5, 2.6]])
def test_messages_leave_as_from_a_bucket_of_tokens(size_byte: int, releases_s: list[float]) -> None:
    """A bucket of b, full at first, that fills at 1 byte per ms and never overflows b: counted byte by byte.

    A byte leaves when a token is there, in order; the level is kept in ms.
    """
    burst = 400
    expected, level, at_s = [], float(burst), 0.0
    for released_s in releases_s:
        now_s = max(released_s, at_s)
        level, at_s = min(float(burst), level + (now_s - at_s) * 1e3), now_s
        short = max(0.0, size_byte - level)
        level, at_s = max(0.0, level - size_byte), now_s + short / 1e3
        expected.append(at_s)
    assert ends_s(over(size_byte, burst_byte=burst), releases_s) == pytest.approx(expected, abs=1e-12)


def test_a_bucket_shortens_no_overhead_and_fills_while_it_lasts() -> None:
    """50 ms of overhead, 100 byte at once; the second begins at 50 ms, has 50 + 50 tokens at 100 ms, and leaves then, too."""
    assert ends_s(over(100, burst_byte=100, message_overhead_s=0.05), [0.0, 0.0]) == pytest.approx([0.05, 0.15])


def test_what_resumes_takes_new_tokens() -> None:
    """500 byte, 100 at once: until 400 ms; down from 200 to 300 ms, half is left, of which 100 byte were gathered meanwhile: 150 ms."""
    program = over(500, burst_byte=100, on_outage="resume")
    assert ends_s(program, [0.0], outages=[Outage("a->b", 0.2, 0.3)]) == pytest.approx([0.45])


def test_no_burst_changes_nothing_and_arrays_say_what_they_cannot() -> None:
    assert ends_s(over(100), [0.0, 0.0]) == pytest.approx([0.1, 0.2])
    assert obstacle(over(100)) == ""
    assert obstacle(over(100, burst_byte=1)) == "link 'a->b' lends a burst"


@pytest.mark.parametrize("options", [{"sharing": "fair"}, {"medium_id": "m"}])
def test_buckets_that_are_none_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="has a burst_byte; that goes with"):
        Link("a->b", "a", "b", RATE, burst_byte=10, **options)
    with pytest.raises(PlanError, match="has burst_byte -1"):
        Link("a->b", "a", "b", RATE, burst_byte=-1)
    devices = (Device("a", PROFILE), Device("b", PROFILE))
    with pytest.raises(PlanError, match="without a burst_byte"):
        Topology(devices, (Link("a->b", "a", "b", RATE, burst_byte=9),), (Medium("m"),), "cut_through")


TEXT = """
name: s
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, burst: 1600 B}}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""


def test_a_scenario_says_what_a_link_lends() -> None:
    scenario = Scenario.from_text(TEXT)
    assert {link.burst_byte for link in scenario.built.links} == {1600}
    assert Scenario.from_data(scenario.resolved()) == scenario
    assert "burst" not in str(Scenario.from_text(TEXT.replace(", burst: 1600 B", "")).resolved())
    with pytest.raises(ScenarioError, match="`burst` goes with `sharing: fifo`"):
        Scenario.from_text(TEXT.replace("1600 B", "1600 B, sharing: fair"))
    with pytest.raises(ScenarioError, match="links without `burst`"):
        Scenario.from_text(TEXT.replace("topology: {", "topology: {forwarding: cut_through, "))


def test_no_message_leaves_before_it_begins() -> None:
    """One that the bucket holds leaves when it begins, also where the sum of the moment and its time is rounded."""
    releases_s = [(9 + number / 7) * 1e-5 for number in range(40)]
    assert all(end >= begun for begun, end in zip(releases_s, ends_s(over(1, burst_byte=400), releases_s), strict=True))
