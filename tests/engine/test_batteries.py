"""Batteries that end devices, by hand."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from edgesim.arrivals.periodic import Periodic
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.arrays.program import obstacle
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.errors import PlanError, ScenarioError
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.on_off import OnOff
from edgesim.rng import Streams
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
"""Idle 1 W, busy 3 W, transmit 2 W, receive 1.5 W."""
STREAMS = Streams(1)


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def server(**options: Any) -> Program:
    """One device that takes 1 s per request."""
    plan = Plan((Compute("c", "d", (LayerWork("x", "conv", 1.0, 0),)),), "c", {})
    return compile_plan(plan, Topology((Device("d", PROFILE, **options),)), WorkIsTime())


def sender(a_j: float | None, b_j: float | None, sharing: Any = "fifo") -> Program:
    """a sends 1,250 byte over 10 kbit/s (1 s) to b."""
    steps = (Transfer("t", "a", "b", 1250, "x", "input"), Compute("end", "b", (), ("t",)))
    devices = (Device("a", PROFILE, battery_j=a_j), Device("b", PROFILE, battery_j=b_j))
    topology = Topology(devices, (Link("a->b", "a", "b", 1e4, sharing=sharing),))
    return compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())


def run(program: Program, **options: Any) -> Trace:
    return trace(program, streams=STREAMS.replication(0), is_checked=True, **options)


def outcomes(found: Trace) -> list[str]:
    return [record.outcome for record in found.records]


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_a_device_is_down_once_its_battery_is_empty(sharing: str) -> None:
    """Busy from 0 to 1 s at 3 W, idle until 2 s at 1 W, busy from 2 s on: 3 + 1 + 3 = 7 J at 3 s, where the second request ends."""
    found = run(server(battery_j=6.9, sharing=sharing), arrivals=Periodic(2.0), n_requests=4)
    assert outcomes(found) == ["completed", "failed", "failed", "failed"]
    assert found.batteries == (("d", pytest.approx(2.0 + 2.9 / 3)),)
    assert sum(record.energy_j for record in found.records) == pytest.approx(6.9)
    longer = run(server(battery_j=7.1, sharing=sharing), arrivals=Periodic(2.0), n_requests=4)
    assert outcomes(longer) == ["completed", "completed", "failed", "failed"]
    assert longer.batteries[0][1] == pytest.approx(3.1)


def test_a_battery_that_lasts_changes_nothing() -> None:
    found = run(server(battery_j=100.0), arrivals=Periodic(2.0), n_requests=4)
    assert found.records == run(server(), arrivals=Periodic(2.0), n_requests=4).records
    assert found.batteries == (("d", inf),)


def test_work_that_overlaps_empties_a_battery_sooner() -> None:
    """Two cores at once: 1 + 2 x 2 W; 4 J are spent at 0.8 s, and both are lost."""
    found = run(server(battery_j=4.0, n_cores=2), releases_s=[0.0, 0.0])
    assert outcomes(found) == ["failed", "failed"]
    assert found.batteries == (("d", pytest.approx(0.8)),)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_sending_and_receiving_empty_batteries_one_after_another(sharing: str) -> None:
    """Both at once for 3 messages of 1 s; a takes 2 W and is empty with 5 J at 2.5 s; b takes 1.5 W until then, and 1 W at most afterwards.

    On a fair link the three share the rate, so that none has arrived by then.
    """
    found = run(sender(5.0, 3.9, sharing), releases_s=[0.0] * 3, deadline_s=10.0)
    assert outcomes(found)[2] == "timed_out"
    assert dict(found.batteries) == {"a": pytest.approx(2.5), "b": pytest.approx(2.5 + 0.15 / 1.0)}


def test_time_before_the_first_release_and_time_down_take_nothing() -> None:
    """Released at 5 s, down from 6 to 8 s: 3 J at 6 s, idle from 8 s on, 1 J more at 9 s; the request of 9.5 s is lost."""
    found = run(server(battery_j=4.0), releases_s=[5.0, 9.5], outages=[Outage("d", 6.0, 8.0)])
    assert outcomes(found) == ["completed", "failed"]
    assert found.batteries == (("d", pytest.approx(9.0)),)


def test_attempts_draw_the_same_numbers() -> None:
    """What is lost, what fails and the weight of a trial before the battery is empty are as without one."""
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (Link("a->b", "a", "b", 1e4),))

    def records(a_j: float | None) -> tuple[list[Any], float, int]:
        streams = STREAMS.replication(3)
        renewals = [OnOff(20.0, 2.0, "b").renewals(topology, streams.scope("repair"))]
        heard: list[Any] = []
        simulate(
            sender(a_j, None), streams=streams, renewals=renewals, losses={"loss": Bernoulli(0.1, sampled_at=0.3)}, arrivals=Periodic(2.0),
            n_requests=20, on_record=lambda number, record: heard.append((number, record.outcome)),
        )  # fmt: skip
        return heard, streams.weight, len(heard)

    plain, weight, n = records(None)
    lasting = records(1e3)
    assert lasting == (plain, weight, n)
    ended, _, _ = records(30.0)
    assert ended[:8] == plain[:8]
    assert {outcome for _, outcome in ended[12:]} == {"failed"}
    assert {outcome for _, outcome in plain} == {"failed", "completed"}


def test_arrays_say_that_they_cannot() -> None:
    assert obstacle(server(battery_j=1.0)) == "device 'd' has a battery"


@pytest.mark.parametrize("value", [0.0, -1.0, inf])
def test_batteries_that_nothing_has_are_refused(value: float) -> None:
    with pytest.raises(PlanError, match="has battery_j"):
        Device("d", PROFILE, battery_j=value)


TEXT = """
name: s
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, service: {battery: 10 mWh}}}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""


def test_a_scenario_gives_devices_batteries() -> None:
    scenario = Scenario.from_text(TEXT)
    assert {device.battery_j for device in scenario.built.devices} == {36.0}
    assert Scenario.from_data(scenario.resolved()) == scenario
    assert "battery" not in str(Scenario.from_text(TEXT.replace(", service: {battery: 10 mWh}", "")).resolved())
    with pytest.raises(ScenarioError, match="greater than 0 J"):
        Scenario.from_text(TEXT.replace("10 mWh", "0 J"))
