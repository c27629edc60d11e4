"""Switches pass messages on, compute nothing, and are no devices; their queues may have a limit."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Switch, Topology
from edgesim.engine.arrays.program import array_program, obstacle
from edgesim.engine.arrays.trials import simulate_batch
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.errors import PlanError, ScenarioError
from edgesim.failures.sampling.targets import matching
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def gathering(n: int, **options: Any) -> Program:
    """Devices send 1,250 byte each at once over 10 Mbit/s (1 ms) to a switch, which has 1 Mbit/s (10 ms) to the hub."""
    names = [f"w{number}" for number in range(n)]
    steps = [Transfer(f"t{name}", name, "hub", 1250, "x", "result") for name in names]
    merge = Compute("merge", "hub", (), tuple(step.step_id for step in steps))
    links = [Link(f"{name}->s", name, "s", 1e7) for name in names]
    topology = Topology(
        tuple(Device(name, PROFILE) for name in ("hub", *names)), (*links, Link("s->hub", "s", "hub", 1e6)),
        switches=(Switch("s", **options),),
    )  # fmt: skip
    return compile_plan(Plan((*steps, merge), "merge", {}), topology, NoTime())


def test_a_switch_stores_and_forwards_in_both_engines() -> None:
    """Two messages arrive at 1 ms, and leave one after another: 1 + 2 x 10 ms."""
    program = gathering(2)
    [record] = simulate(program, is_checked=True)
    assert record.latency_s == pytest.approx(0.021, rel=1e-12)
    assert obstacle(program) == ""
    [latency_s] = simulate_batch(array_program(program), 1, down={}).latency_s
    assert latency_s == pytest.approx(0.021, rel=1e-12)


def test_a_switch_takes_no_energy_and_is_no_resource() -> None:
    """Idle 3 x 1 W x 21 ms, sending 1 W x 2 x 1 ms, receiving 0.5 W x 20 ms."""
    found = trace(gathering(2), is_checked=True)
    assert found.records[0].energy_j == pytest.approx(3 * 0.021 + 0.002 + 0.010)
    assert [one.resource_id for one in found.resources if one.kind == "device"] == ["hub", "w0", "w1"]


def test_queues_over_time_know_no_switch() -> None:
    """What is sampled are the three devices and three links; the second message waits 10 ms behind the switch."""
    found = trace(gathering(2), has_samples=True)
    assert {one.resource_id for one in found.samples} <= {"hub", "w0", "w1", "w0->s", "w1->s", "s->hub"}
    assert max(one.n_waiting for one in found.samples if one.resource_id == "s->hub") == 1


@pytest.mark.parametrize(("queue_byte", "n_lost"), [(None, 0), (2500, 0), (2499, 1), (1250, 1), (1249, 2), (0, 2)])
def test_what_does_not_fit_into_the_queue_is_lost(queue_byte: int | None, n_lost: int) -> None:
    """Of three messages the first is sent at once; the others wait if there is room for 1,250 byte each."""
    [record] = simulate(gathering(3, queue_byte=queue_byte), is_checked=True)
    assert record.lost.bit_count() == n_lost
    assert record.result_byte == 3 * 1250 + (3 - n_lost) * 1250
    assert record.outcome == ("failed" if n_lost else "completed")


def test_framing_is_sent_with_every_message() -> None:
    """1,500 byte make two packets of at most 1,000, each with a header of 50, and 250 of framing: 1,850 byte at 1 Mbit/s."""
    link = Link("a->b", "a", "b", 1e6, mtu_byte=1000, header_byte=50, framing_byte=250)
    assert (link.n_packets(1500), link.wire_byte(1500)) == (2, 1850)
    assert link.occupation_s(1500) == pytest.approx(0.0148)


def test_an_outage_of_a_switch_loses_what_it_should_pass_on() -> None:
    [record] = simulate(gathering(2), outages=[Outage("s")], is_checked=True)
    assert record.outcome == "failed"
    assert record.lost == 0b11


def test_signs_select_no_switch() -> None:
    topology = Topology((Device("a", PROFILE),), switches=(Switch("s1"), Switch("s2")))
    assert matching(topology, "*") == ["a"]
    assert matching(topology, "s*") == []
    assert matching(topology, "s{1..2}") == ["s1", "s2"]


@pytest.mark.parametrize("switch", [{"n_ports": 1}, {"queue_byte": -1}, {"n_ports": 1.5}])
def test_what_no_switch_has_is_refused(switch: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="switch 's'"):
        gathering(2, **switch)


TEXT = """
name: s
topology:
  devices: [{id: hub, profile: phone}, {id: 'w{1..3}', profile: wearable}]
  switches: [{id: sw, ports: 4, queue: 64 KiB}]
  links: [{between: [sw, '*'], bandwidth: 100 Mbit/s, header: 38 B}]
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
failures: {loss: {type: exactly-k, k: 1, targets: sw}}
"""


def test_a_scenario_has_switches() -> None:
    topology = Scenario.from_text(TEXT).built
    assert topology.switches == (Switch("sw", 4, 65536),)
    assert [link.link_id for link in topology.route("w1", "hub")] == ["w1->sw", "sw->hub"]
    assert len(topology.links) == 8


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("ports: 4", "ports: 3", "switch 'sw' has 3 ports, and links to 4 neighbours"),
        ("source: hub", "source: sw", "'sw' is a switch, which computes nothing"),
        ("64 KiB", "-1 B", "at least 0 byte"),
        ("64 KiB", "inf B", "queue"),
        ("ports: 4", "prots: 4", "unknown key 'prots'"),
        ("header: 38 B", "sharing: fair", "needs whole messages over `fifo` links"),
        ("header: 38 B", "transport: tcp", "needs whole messages over `fifo` links"),
        ("id: sw", "id: w1", "device id 'w1' is used twice"),
        ("ports: 4", "model: small-cnn", "unknown key 'model'"),
        ("workers: w*", "workers: sw", "'sw' is a switch, which computes nothing"),
        ("owner: hub", "owner: sw", "'sw' is a switch, which computes nothing"),
        ("workers: w*", "workers: 'sw{1..2}'", "no device matches"),
        (
            "type: exactly-k, k: 1, targets: sw",
            "type: slowdowns, steps: [{devices: sw, time: 1 s, factor: 2}]",
            "'sw' is a switch",
        ),
        ("switches: [", "switches: [{id: alone}, ", "no chain of links joins switch 'alone'"),
    ],
)
def test_nonsense_about_switches_is_found(old: str, new: str, text: str) -> None:
    with pytest.raises(ScenarioError, match=text):
        Scenario.from_text(TEXT.replace(old, new))


def test_a_finding_about_a_switch_says_what_to_name() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(TEXT.replace("source: hub", "source: sw"))
    assert [(one.expected, one.help) for one in caught.value.findings] == [
        ("one of hub, w1, w2, w3", "name a device that is linked with it")
    ]


def test_a_switch_is_drawn_as_an_empty_square() -> None:
    pytest.importorskip("matplotlib")
    from edgesim.report.draw.topology import topology

    lines = {str(line.get_label()): line for line in topology(Scenario.from_text(TEXT).built).lines}
    assert lines["switch (1)"].get_markerfacecolor() == "white"
    assert [name for name, line in lines.items() if line.get_markerfacecolor() == "white"] == ["switch (1)"]
