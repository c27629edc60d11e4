"""What devices hold in memory over time, counted by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, HostOverhead, Link, Topology
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.engine.state.memory import Memory

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def served(**options: Any) -> Program:
    """a sends 100 byte (1 s) to b, which computes for 3 s with 150 byte of activations beside 1,000 of weights."""
    steps = (
        Transfer("t", "a", "b", 100, "x", "input"),
        Compute("c", "b", (LayerWork("x", "conv", 3.0, 0),), ("t",), 150),
    )
    devices = (Device("a", PROFILE), Device("b", PROFILE, **options))
    topology = Topology(devices, (Link("a->b", "a", "b", 800.0),))
    return compile_plan(Plan(steps, "c", {"b": 1000}), topology, WorkIsTime())


def peaks_byte(program: Program, **options: Any) -> dict[str, int]:
    found = trace(program, is_checked=True, **options).resources
    return {one.resource_id: one.peak_memory_byte for one in found if one.kind == "device"}


def test_one_request_needs_what_the_plan_says() -> None:
    program = served()
    assert peaks_byte(program) == {"a": 100, "b": 1150} == program.devices.peak_memory_byte


def test_requests_that_overlap_hold_their_own_activations_beside_one_set_of_weights() -> None:
    """Three at 0 s: a holds three messages. They come at 1, 2 and 3 s; b computes the first until 4 s while two wait: 150 + 2 x 100."""
    assert peaks_byte(served(), releases_s=[0.0] * 3) == {"a": 300, "b": 1000 + 150 + 200}


def test_requests_one_after_another_need_no_more_than_one() -> None:
    assert peaks_byte(served(), releases_s=[0.0, 4.0, 8.0]) == {"a": 100, "b": 1150}


def test_computations_that_run_at_once_each_have_their_activations() -> None:
    """Three are in service from 3 s on, on three cores, or since all share one."""
    assert peaks_byte(served(n_cores=3), releases_s=[0.0] * 3)["b"] == 1000 + 3 * 150
    assert peaks_byte(served(sharing="fair"), releases_s=[0.0] * 3)["b"] == 1000 + 3 * 150


def test_the_handling_of_messages_holds_the_message_only() -> None:
    """b reads for 1 s from 1 s on, while a holds the message, then computes."""
    assert peaks_byte(served(host_overhead=HostOverhead(1.0))) == {"a": 100, "b": 1150}


def test_only_the_watched_time_counts() -> None:
    """Three at 0 s are over at 10 s, one comes at 20 s; from 5 s on one runs and one waits, until 7 s."""
    releases_s = [0.0] * 3 + [20.0]
    assert peaks_byte(served(), releases_s=releases_s, warm_up_s=5.0) == {"a": 100, "b": 1250}
    assert peaks_byte(served(), releases_s=releases_s, warm_up_s=15.0) == {"a": 100, "b": 1150}


def test_what_is_lost_is_held_no_more() -> None:
    """b is down from 2 to 5 s: it loses the first computation, and the message on its way from 1.5 s on; the third request is alone."""
    found = peaks_byte(served(), releases_s=[0.0, 1.5, 6.0], outages=[Outage("b", 2.0, 5.0)])
    assert found == {"a": 100, "b": 1150}


def test_a_computation_that_resumes_is_held_meanwhile() -> None:
    """b, down from 2 to 5 s, goes on with the first then; the second message came at 6 s, and waits until 7 s."""
    outages = [Outage("b", 2.0, 5.0)]
    found = peaks_byte(served(on_outage="resume"), releases_s=[0.0, 5.0], outages=outages)
    assert found == {"a": 100, "b": 1250}


def test_results_wait_for_the_computation_that_goes_on_with_them() -> None:
    """b computes 40 byte until 1 s, then waits for the message of a until 2 s, which alone needs more: max(40, 100), then 60.

    A second request at 1 s: its first half of 40 runs while the first waits, and from 2 s on the first has 60 and the second 40; at 2 s,
    before, the first holds its message of 100 beside 40.
    """
    steps = (
        Transfer("t", "a", "b", 100, "x", "input"),
        Compute("first", "b", (LayerWork("x", "conv", 0.5, 0),), (), 40),
        Compute("second", "b", (LayerWork("x", "conv", 0.5, 0),), ("t", "first"), 60),
    )
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (Link("a->b", "a", "b", 400.0),))
    program = compile_plan(Plan(steps, "second", {}), topology, WorkIsTime())
    assert peaks_byte(program) == {"a": 100, "b": 100} == program.devices.peak_memory_byte
    assert peaks_byte(program, releases_s=[0.0, 1.0]) == {"a": 200, "b": 140}


def test_what_many_inputs_cost_grows_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are looked at as often per message with 64 as with 8 messages to one device, whether they are alike or all differ."""

    def n_looks(n: int, more_byte: int) -> int:
        looks = Counter[str]()

        class Counted(list[int]):
            def __getitem__(self, index: Any) -> Any:
                looks["n"] += 1
                return super().__getitem__(index)

        class Watched(Memory):
            def __init__(self, program: Program, from_s: float) -> None:
                super().__init__(program, from_s)
                self._sizes = Counted(self._sizes)

        monkeypatch.setattr("edgesim.engine.state.world.Memory", Watched)
        names = [f"w{number}" for number in range(n)]
        sends = [Transfer(f"t{name}", name, "b", 1000 - more_byte * k, "x", "input") for k, name in enumerate(names)]
        end = Compute("c", "b", (), tuple(one.step_id for one in sends), 10)
        links = tuple(Link(f"{name}->b", name, "b", 800.0) for name in names)
        topology = Topology(tuple(Device(name, PROFILE) for name in (*names, "b")), links)
        program = compile_plan(Plan((*sends, end), "c", {}), topology, WorkIsTime())
        assert peaks_byte(program)["b"] == 1000
        return looks["n"]

    for more_byte in (0, 10):
        assert n_looks(64, more_byte) <= 8.5 * n_looks(8, more_byte)


def test_a_result_that_two_computations_need_is_held_until_both_have_begun() -> None:
    """The message of 100 byte stays while the first of two computations on one core runs, from 1 to 4 s: 100, not 20, of each request."""
    steps = (
        Transfer("t", "a", "b", 100, "x", "input"),
        Compute("first", "b", (LayerWork("x", "conv", 3.0, 0),), ("t",), 20),
        Compute("second", "b", (LayerWork("x", "conv", 3.0, 0),), ("t",), 20),
        Compute("end", "b", (), ("first", "second"), 1),
    )
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (Link("a->b", "a", "b", 800.0),))
    program = compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())
    assert peaks_byte(program, releases_s=[0.0, 5.0])["b"] == 100 + 20
    assert peaks_byte(program, releases_s=[0.0, 2.5])["b"] == 200
