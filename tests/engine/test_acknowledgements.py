"""Bytes of acknowledgements, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.engine.arrays.program import array_program, obstacle
from edgesim.engine.arrays.trials import simulate_batch
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.errors import PlanError
from edgesim.network.transport import Tcp
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def over(*, is_medium: bool, sharing: Any = "fifo", **options: Any) -> Program:
    """a sends 3 packets of 90 + 10 byte at 8 kbit/s (0.3 s) to b, each acknowledged by 20 byte."""
    steps = (Transfer("t", "a", "b", 270, "x", "result"), Compute("end", "b", (), ("t",)))
    options = {"mtu_byte": 90, "header_byte": 10, "acknowledgement_byte": 20, **options}
    link = Link(
        "a->b",
        "a",
        "b",
        8e3,
        sharing="fifo" if is_medium else sharing,
        medium_id="air" if is_medium else None,
        **options,
    )
    media = (Medium("air", sharing),) if is_medium else ()
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (link,), media)
    return compile_plan(Plan(steps, "end", {}), topology, NoTime())


@pytest.mark.parametrize("sharing", ["fifo", "fair", "fifo_packets"])
def test_on_a_link_of_its_own_they_are_traffic_and_take_no_time(sharing: str) -> None:
    [record] = simulate(over(is_medium=False, sharing=sharing), is_checked=True)
    assert (record.result_byte, record.latency_s) == (360, pytest.approx(0.3))


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_on_a_medium_they_take_its_time(sharing: str) -> None:
    """3 x 120 byte: 0.36 s each, the second behind the first, or both at half the rate."""
    records = simulate(over(is_medium=True, sharing=sharing), releases_s=[0.0, 0.0], is_checked=True)
    assert [record.result_byte for record in records] == [360, 360]
    expected_s = [0.36, 0.72] if sharing == "fifo" else [0.72, 0.72]
    assert [record.latency_s for record in records] == pytest.approx(expected_s)


def test_tcp_in_bursts_has_as_many() -> None:
    [record] = simulate(over(is_medium=True, transport=Tcp(initial_window=1, handshake=False)), is_checked=True)
    assert (record.result_byte, record.latency_s) == (360, pytest.approx(0.36))


@pytest.mark.parametrize("is_medium", [True, False])
def test_arrays_give_the_same(*, is_medium: bool) -> None:
    program = over(is_medium=is_medium)
    assert obstacle(program) == ""
    found = simulate_batch(array_program(program), 2, down={})
    [record] = simulate(program)
    assert found.traffic_byte[:, 0].tolist() == [record.input_byte, record.intermediate_byte, record.result_byte]
    assert found.latency_s.tolist() == [record.latency_s] * 2
    assert found.energy_j[0] == pytest.approx(record.energy_j, rel=1e-12)


def test_as_many_as_were_measured() -> None:
    """66 byte for every second segment of 1,448 + 66 byte: 2.2 %."""
    link = Link("a->b", "a", "b", 1e6, mtu_byte=1448, header_byte=66, acknowledgement_byte=33)
    assert link.back_byte(1448_000) / link.wire_byte(1448_000) == pytest.approx(0.022, abs=0.0005)


def test_fewer_than_none_are_refused() -> None:
    with pytest.raises(PlanError, match="has acknowledgement_byte -1"):
        Link("a->b", "a", "b", 1e6, acknowledgement_byte=-1)


TEXT = """
name: s
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, acknowledgement: 33 B}}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""


def test_a_scenario_says_what_goes_back() -> None:
    scenario = Scenario.from_text(TEXT)
    assert {link.acknowledgement_byte for link in scenario.built.links} == {33}
    assert Scenario.from_data(scenario.resolved()) == scenario
    assert "acknowledgement" not in str(Scenario.from_text(TEXT.replace(", acknowledgement: 33 B", "")).resolved())
