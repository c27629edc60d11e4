"""Inputs that carry the same: the first to come is enough."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgesim.compute.forecast import forecast
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
IDS = ("hub", "w1", "w2", "w3", "w4")
LINKS = tuple(Link(f"{name}->hub", name, "hub", 8e6) for name in IDS[1:])  # 1,000 byte take 1 ms
TOPOLOGY = Topology(tuple(Device(name, PROFILE) for name in IDS), LINKS)


class WorkIsTime:
    """A compute model for tests: one FLOP takes one second."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def race(*groups: tuple[str, ...], deadline_s: float | None = None, times_s: tuple[float, ...] = (0.010, 0.020, 0.030, 0.040)) -> Plan:  # fmt: skip
    """Four workers that take 10, 20, 30 and 40 ms and send 1 ms each to the hub, which needs one of each group."""
    steps: list[Compute | Transfer] = []
    for number, time_s in enumerate(times_s, start=1):
        steps.append(Compute(f"c{number}", f"w{number}", (LayerWork("x", "conv", time_s, 0),)))
        steps.append(Transfer(f"t{number}", f"w{number}", "hub", 1000, "x", "result", (f"c{number}",)))
    on_missing = "wait" if deadline_s is None else "degrade"
    inputs = tuple(f"t{number}" for number in range(1, len(times_s) + 1))
    steps.append(Compute("merge", "hub", (), inputs, on_missing=on_missing, deadline_s=deadline_s, alternatives=groups))
    return Plan(tuple(steps), "merge", {})


def run(plan: Plan, *outages: Outage) -> RequestRecord:
    return simulate(compile_plan(plan, TOPOLOGY, WorkIsTime()), outages=outages)[0]


def lost(*device_ids: str) -> list[Outage]:
    return [Outage(device_id) for device_id in device_ids]


def test_the_first_of_each_group_is_enough() -> None:
    """The answer is there at the maximum over groups of the minimum within: max(min(10, 30), min(20, 40)) + 1 ms."""
    record = run(race(("t1", "t3"), ("t2", "t4")))
    assert record.latency_s == pytest.approx(0.021)
    assert record.outcome == "completed"
    assert record.lost == 0  # those that came later were not lost
    assert record.result_byte == 4000  # they were sent all the same


def test_without_groups_all_are_waited_for() -> None:
    assert run(race()).latency_s == pytest.approx(0.041)


def test_a_lost_replica_costs_time_but_nothing_of_the_answer() -> None:
    """Without w1 the group (w1, w3) is there after 31 ms, and the request is complete."""
    record = run(race(("t1", "t3"), ("t2", "t4")), *lost("w1"))
    assert record.latency_s == pytest.approx(0.031)
    assert record.outcome == "completed"
    assert record.lost == 0b0001


def test_a_lost_group_degrades_the_answer_at_the_deadline() -> None:
    record = run(race(("t1", "t3"), ("t2", "t4"), deadline_s=0.100), *lost("w1", "w3"))
    assert record.latency_s == pytest.approx(0.100)
    assert record.outcome == "degraded"
    assert run(race(("t1", "t3"), ("t2", "t4")), *lost("w1", "w3")).outcome == "failed"


def test_an_input_without_group_is_needed_beside_them() -> None:
    assert run(race(("t1", "t2", "t3"))).latency_s == pytest.approx(0.041)


def test_equal_arrivals_begin_the_step_once() -> None:
    record = run(race(("t1", "t2"), ("t3", "t4"), times_s=(0.01,) * 4))
    assert record.latency_s == pytest.approx(0.011)
    assert record.outcome == "completed"


def test_a_replica_on_the_merging_device_races_too() -> None:
    """The hub computes its own replica in 5 ms and does not wait for the 10 ms of w1."""
    steps = (
        Compute("own", "hub", (LayerWork("x", "conv", 0.005, 0),)),
        Compute("c1", "w1", (LayerWork("x", "conv", 0.010, 0),)),
        Transfer("t1", "w1", "hub", 1000, "x", "result", ("c1",)),
        Compute("merge", "hub", (), ("own", "t1"), alternatives=(("own", "t1"),)),
    )
    record = run(Plan(steps, "merge", {}))
    assert record.latency_s == pytest.approx(0.005)
    assert record.outcome == "completed"
    slow = (Compute("own", "hub", (LayerWork("x", "conv", 0.050, 0),)), *steps[1:])
    late = run(Plan(slow, "merge", {}))
    assert late.latency_s == pytest.approx(0.050)  # t1 came after 11 ms, but the hub computes until 50 ms
    assert late.outcome == "completed"


def test_the_forecast_knows_them() -> None:
    found = forecast(race(("t1", "t3"), ("t2", "t4")), TOPOLOGY, WorkIsTime())
    assert math.isclose(found["merge"].ended_s, 0.021)


@pytest.mark.parametrize("groups", [(("t1", "other"),), (("t1", "t2"), ("t2", "t3"))])
def test_wrong_groups_are_refused(groups: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(PlanError, match="alternatives must be inputs of the step, each in one group"):
        race(*groups)


def test_an_alternative_that_others_need_is_refused() -> None:
    plan = race(("t1", "t2"))
    with pytest.raises(PlanError, match="'t1' is an alternative for step 'merge', but others need it too"):
        Plan((*plan.steps, Compute("more", "hub", (), ("t1",))), "merge", {})


def test_who_comes_behind_another_that_is_late_is_late_too() -> None:
    """The hub goes on after 5 ms with nothing: no copy that comes later is delivered, the first of its group or not."""
    record = run(race(("t1", "t3"), ("t2", "t4"), deadline_s=0.005))
    assert record.outcome == "degraded"
    assert record.lost == 0b1111


def test_who_comes_behind_another_in_time_is_not_lost() -> None:
    """The hub goes on after 25 ms with the first of both groups; the others, 31 and 41 ms, came and were not waited for."""
    record = run(race(("t1", "t3"), ("t2", "t4"), deadline_s=0.0305))
    assert (record.lost, record.outcome) == (0, "completed")


@pytest.mark.parametrize(("n", "latency_ms"), [(1, 11), (2, 21), (3, 31)])
def test_several_of_a_group_may_be_enough(n: int, latency_ms: float) -> None:
    """Of messages after 11, 21, 31 and 41 ms the n-th brings the answer; with the first lost, the one behind it."""
    plan = race(("t1", "t2", "t3", "t4"))
    (*steps, merge) = plan.steps
    assert isinstance(merge, Compute)
    plan = Plan((*steps, replace(merge, n_enough=n)), "merge", {})
    assert run(plan).latency_s == pytest.approx(latency_ms / 1000)
    assert run(plan).lost == 0
    assert run(plan, *lost("w1")).latency_s == pytest.approx((latency_ms + 10) / 1000)
    assert math.isclose(forecast(plan, TOPOLOGY, WorkIsTime())["merge"].ended_s, latency_ms / 1000)
    few = run(plan, *lost("w1", "w2", "w3", "w4")[: 5 - n])
    assert few.outcome == "failed"


def test_not_all_of_a_group_can_be_enough() -> None:
    with pytest.raises(PlanError, match="2 of a group of alternatives are enough, so each has more"):
        Compute("merge", "hub", (), ("t1", "t2"), alternatives=(("t1", "t2"),), n_enough=2)
