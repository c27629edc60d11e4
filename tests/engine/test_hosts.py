"""What each message costs the devices at its ends, by closed forms."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, HostOverhead, Link, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.errors import PlanError, ScenarioError
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def round_of(n: int, host: HostOverhead, work_s: float = 0.0, **options: Any) -> Program:
    """The hub sends 1,250 byte (1 ms) to n workers over links of their own, and they send as much back; computing takes no time."""
    names = [f"w{number}" for number in range(n)]
    steps: list[Compute | Transfer] = []
    for name in names:
        steps += [
            Transfer(f"out {name}", "hub", name, 1250, "x", "input"),
            Compute(f"work {name}", name, (LayerWork("x", "conv", work_s, 0),), (f"out {name}",)),
            Transfer(f"back {name}", name, "hub", 1250, "x", "result", (f"work {name}",)),
        ]
    steps.append(Compute("merge", "hub", (), tuple(f"back {name}" for name in names)))
    links = [Link(f"{a}->{b}", a, b, 1e7) for name in names for a, b in (("hub", name), (name, "hub"))]
    devices = (Device("hub", PROFILE, host_overhead=host, **options), *(Device(name, PROFILE) for name in names))
    return compile_plan(Plan(tuple(steps), "merge", {}), Topology(devices, tuple(links)), WorkIsTime())


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_hub_handles_messages_one_after_another(n: int) -> None:
    """Overhead h = 3 ms, longer than the way of 2 ms there and back: the hub is busy with 2 n messages, but for the wait of n = 1.

    It sends until n h; the answer of the first is there at h + 2 ms, so it reads without a gap if n h >= h + 2 ms.
    """
    host = HostOverhead(per_message_s=0.003)
    [record] = simulate(round_of(n, host), is_checked=True)
    expected_s = 2 * n * 0.003 if n > 1 else 2 * 0.003 + 0.002
    assert record.latency_s == pytest.approx(expected_s, rel=1e-12)


def test_bytes_cost_time_too() -> None:
    """1 ms + 1,250 byte x 1 us = 2.25 ms for each of two messages, and 2 ms on the way."""
    [record] = simulate(round_of(1, HostOverhead(0.001, 1e-6)), is_checked=True)
    assert record.latency_s == pytest.approx(2 * 0.00225 + 0.002, rel=1e-12)


def test_a_busy_device_keeps_messages_waiting() -> None:
    """With fair cores two messages share the hub: each of both takes 2 x 3 ms, sent at 6 ms, back at 8, read at 14 ms."""
    [record] = simulate(round_of(2, HostOverhead(0.003), sharing="fair"), is_checked=True)
    assert record.latency_s == pytest.approx(0.014, rel=1e-12)


def test_cores_handle_messages_at_once() -> None:
    [record] = simulate(round_of(2, HostOverhead(0.003), n_cores=2), is_checked=True)
    assert record.latency_s == pytest.approx(0.008, rel=1e-12)


def test_handling_takes_the_power_of_a_busy_device() -> None:
    """8 ms x 2 devices idle; the hub is busy for 6 ms (2 W more), and each of two sends and receives once for 1 ms (1 + 0.5 W more)."""
    [record] = simulate(round_of(1, HostOverhead(0.003)), is_checked=True)
    assert record.energy_j == pytest.approx(0.016 + 0.012 + 2 * 0.0015)


def test_an_outage_while_a_message_is_read_loses_it() -> None:
    """The answer is at the hub at 5 ms and read until 8 ms."""
    [record] = simulate(round_of(1, HostOverhead(0.003)), outages=[Outage("hub", 0.006, 0.007)], is_checked=True)
    assert record.outcome == "failed"
    assert record.lost == 0b10


def order(n: int, *, is_sent_first: bool) -> float:
    """Return the latency where a message of 3 + 1 ms and a computation of 4 ms begin together, n times one after another."""
    work = (LayerWork("x", "conv", 0.004, 0),)
    steps: list[Compute | Transfer] = []
    for place in range(1, n + 1):
        inputs = () if place == 1 else (f"own {place - 1}",)
        own = Compute(f"own {place}", "hub", work, inputs)
        out = Transfer(f"out {place}", "hub", "w", 1250, "x", "input", inputs)
        steps += [out, own] if is_sent_first else [own, out]
    steps.append(Compute("end", "w", (), tuple(f"out {place}" for place in range(1, n + 1))))
    devices = (Device("hub", PROFILE, host_overhead=HostOverhead(0.003)), Device("w", PROFILE))
    topology = Topology(devices, (Link("hub->w", "hub", "w", 1e7),))
    [record] = simulate(compile_plan(Plan(tuple(steps), "end", {}), topology, WorkIsTime()), is_checked=True)
    return record.latency_s


@pytest.mark.parametrize("is_sent_first", [True, False])
def test_a_device_sends_what_it_has_before_it_computes(*, is_sent_first: bool) -> None:
    """At the release, and when a computation has ended: 3 ms, 4 ms of work, 3 ms, and 1 ms on the way, in whichever order the plan has them."""
    assert order(1, is_sent_first=is_sent_first) == pytest.approx(0.004, rel=1e-12)
    assert order(2, is_sent_first=is_sent_first) == pytest.approx(0.011, rel=1e-12)


def test_a_computation_takes_at_least_so_long() -> None:
    """The hub merges in 5 ms in place of none, the worker has no such overhead; 12 ms of work take what they take."""
    host = HostOverhead(least_computation_s=0.005)
    assert simulate(round_of(1, host, 0.012), is_checked=True)[0].latency_s == pytest.approx(0.019, rel=1e-12)
    program = round_of(1, host)
    assert obstacle(program) == ""
    assert program.steps.duration_s == (0.0, 0.0, 0.0, 0.005)


def test_without_overhead_nothing_changes() -> None:
    program = round_of(3, HostOverhead())
    assert obstacle(program) == ""
    assert simulate(program)[0].latency_s == 0.002


def test_arrays_say_that_they_cannot() -> None:
    assert obstacle(round_of(1, HostOverhead(1e-3))) == "messages occupy device 'hub'"


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_overheads_that_nothing_has_are_refused(value: float) -> None:
    with pytest.raises(PlanError, match="host_overhead has per_byte_s"):
        HostOverhead(per_byte_s=value)


TEXT = """
name: s
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, service: {host_overhead: {per_message: 0.16 ms, per_byte: 2 ns}}}}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""


def test_a_scenario_says_what_messages_cost() -> None:
    scenario = Scenario.from_text(TEXT)
    assert {device.host_overhead for device in scenario.built.devices} == {HostOverhead(0.16e-3, 2e-9)}
    assert Scenario.from_data(scenario.resolved()) == scenario
    plain = Scenario.from_text(TEXT.replace(", service: {host_overhead: {per_message: 0.16 ms, per_byte: 2 ns}}", ""))
    assert "host_overhead" not in str(plain.resolved())


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("0.16 ms", "-1 ms", "at least 0"), ("0.16 ms", "inf s", "per_message"), ("2 ns", "2 W", "per_byte"),
        ("per_message", "per_mesage", "unknown key 'per_mesage'"),
    ],
)  # fmt: skip
def test_nonsense_about_overheads_is_found(old: str, new: str, text: str) -> None:
    with pytest.raises(ScenarioError, match=text):
        Scenario.from_text(TEXT.replace(old, new))
