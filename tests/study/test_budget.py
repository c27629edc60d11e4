"""Where the latency goes: counts by hand, and that the parts sum to it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import edgesim as es
from edgesim.domain.columns import BUDGET_PARTS
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, HostOverhead, Link, Medium, Topology
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.study.folder.names import BUDGET
from edgesim.study.trials.budget import divided

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def work(step_id: str, device_id: str, time_s: float, *inputs: str, **options: Any) -> Compute:
    return Compute(step_id, device_id, (LayerWork("x", "conv", time_s, 0),), inputs, **options)


def split(program: Program, **options: Any) -> dict[str, float]:
    found = trace(program, has_stays=True, **options)
    [parts] = divided(program, found)
    assert sum(parts) == pytest.approx(found.records[0].latency_s, rel=1e-9)
    return {part: value for part, value in zip(BUDGET_PARTS, parts, strict=True) if value > 1e-12}


def merging(seconds: dict[str, float], medium: str | None = None, **options: Any) -> Program:
    """Workers compute so long each and send 1,250 byte (10 ms at 1 Mbit/s, latency 2 ms) to the hub, which computes for 4 ms."""
    steps: list[Compute | Transfer] = []
    for name, time_s in seconds.items():
        steps += [work(f"c{name}", name, time_s), Transfer(f"t{name}", name, "hub", 1250, "x", "result", (f"c{name}",))]
    merge = work("merge", "hub", 0.004, *(f"t{name}" for name in seconds), **options)
    links = tuple(Link(f"{name}->hub", name, "hub", 1e6, 0.002, medium_id=medium) for name in seconds)
    devices = tuple(Device(name, PROFILE) for name in ("hub", *seconds))
    media = (Medium(medium),) if medium else ()
    return compile_plan(Plan((*steps, merge), "merge", {}), Topology(devices, links, media), WorkIsTime())


def test_one_message_by_hand() -> None:
    """Computing 5 + 4 ms, sending 10, latency 2."""
    assert split(merging({"a": 0.005})) == pytest.approx({"compute": 0.009, "sending": 0.010, "propagation": 0.002})


def test_workers_of_one_cell_by_hand() -> None:
    """Three messages at 5 ms on one channel arrive at 17, 27 and 37 ms: the mean one waits 10 ms, and the last comes 10 ms after it."""
    found = split(merging({"a": 0.005, "b": 0.005, "c": 0.005}, "cell"))
    expected = {"compute": 0.009, "sending": 0.010, "propagation": 0.002, "queueing": 0.010, "slowest": 0.010}
    assert found == pytest.approx(expected)


def test_a_slow_worker_by_hand() -> None:
    """Workers of 5 and 9 ms: in the mean 7 + 4 ms are computed, and the last comes 2 ms behind the mean."""
    expected = {"compute": 0.011, "sending": 0.010, "propagation": 0.002, "slowest": 0.002}
    assert split(merging({"a": 0.005, "b": 0.009})) == pytest.approx(expected)


def test_a_lost_message_by_hand() -> None:
    """What came was there at 17 ms; the hub goes on at its deadline, 50 ms."""
    program = merging({"a": 0.005, "b": 0.005}, on_missing="degrade", deadline_s=0.050)
    found = split(program, outages=[Outage("b->hub")])
    assert found == pytest.approx({"compute": 0.009, "sending": 0.010, "propagation": 0.002, "repeated": 0.033})


def test_hosts_and_their_queues_by_hand() -> None:
    """Both messages are at the hub at 17 ms, which reads one after another for 3 ms: the mean waits 1.5, the last comes 1.5 behind it."""
    program = merging({"a": 0.005, "b": 0.005})
    topology = Topology(
        (Device("hub", PROFILE, host_overhead=HostOverhead(0.003)), Device("a", PROFILE), Device("b", PROFILE)),
        tuple(Link(f"{name}->hub", name, "hub", 1e6, 0.002) for name in "ab"),
    )
    expected = {
        "compute": 0.009,
        "host": 0.003,
        "sending": 0.010,
        "propagation": 0.002,
        "queueing": 0.0015,
        "slowest": 0.0015,
    }
    assert split(compile_plan(program.plan, topology, WorkIsTime())) == pytest.approx(expected)


def test_requests_wait_for_each_other() -> None:
    """Two requests at once on one device of 4 ms each: the second waits for 4."""
    program = compile_plan(Plan((work("c", "d", 0.004),), "c", {}), Topology((Device("d", PROFILE),)), WorkIsTime())
    first, second = divided(program, trace(program, releases_s=(0.0, 0.0), has_stays=True))
    assert (first[0], first[4], second[0], second[4]) == pytest.approx((0.004, 0.0, 0.004, 0.004))


TEXT = """
name: budget
replications: 3
topology:
  star: {count: 3, profile: wearable, bandwidth: 1 Mbit/s, latency: 2 ms, header: 30 B, OPTIONS}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}, single: {device: hub}}
failures: {slow: {type: stragglers, mu: 2}, loss: {type: packet-loss, probability: 0.02}}
"""


@pytest.mark.parametrize(
    "options", ["transport: arq", "transport: tcp", "sharing: fair, transport: arq", "sharing: fair, transport: tcp"]
)
def test_the_parts_of_a_result_sum_to_its_latency(tmp_path: Path, options: str) -> None:
    result = es.run(
        es.Scenario.from_text(TEXT.replace("OPTIONS", options)), workers=1, output=tmp_path / "r", report=False
    )
    with (tmp_path / "r" / BUDGET).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    frame = result.frame()
    for strategy in ("modnn", "single"):
        mine = [row for row in rows if row["strategy"] == strategy]
        assert [row["part"] for row in mine] == list(BUDGET_PARTS)
        assert {row["n"] for row in mine} == {"3"}
        mean_s = frame[frame["strategy"] == strategy]["latency_s"].mean()
        assert sum(float(row["mean_s"]) for row in mine) == pytest.approx(mean_s, rel=1e-9)
        assert sum(float(row["share"]) for row in mine) == pytest.approx(1.0, rel=1e-9)
        assert min(float(row["mean_s"]) for row in mine) >= 0.0


SWEPT = (
    TEXT.replace("OPTIONS", "transport: arq")
    + """
sweep:
  loss: {path: failures.loss.probability, values: [0, 0.2]}
  rate: {path: topology.star.bandwidth, values: [1 Mbit/s, 10 Mbit/s]}
"""
)


def test_every_factor_point_has_its_parts(tmp_path: Path) -> None:
    """Each sums to the mean latency of its own trials; ten times the rate sends in a tenth of the time."""
    result = es.run(es.Scenario.from_text(SWEPT), workers=1, output=tmp_path / "r", report=False)
    parts, places = result.budget(), ["loss", "rate", "strategy"]
    summed_s, measured_s = parts.groupby(places)["mean_s"].sum(), result.frame().groupby(places)["latency_s"].mean()
    assert len(summed_s) == 8
    assert summed_s.to_numpy() == pytest.approx(measured_s.loc[summed_s.index].to_numpy(), rel=1e-9)
    sending_s = parts[parts["part"] == "sending"].set_index(places)["mean_s"]
    slow, fast = (sending_s[0.0, rate, "modnn"] for rate in ("1 Mbit/s", "10 Mbit/s"))
    assert slow == pytest.approx(10 * fast)


def test_large_studies_divide_fewer_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least one of each case."""
    monkeypatch.setattr("edgesim.study.trials.budget.N_STEPS_ALL", 1)
    result = es.run(es.Scenario.from_text(SWEPT), workers=1, output=tmp_path / "r", report=False)
    assert set(result.budget()["n"]) == {1}


LONG = """
name: long
replications: 1
topology: {star: {count: 1, profile: wearable, bandwidth: 1 Mbit/s}}
workload:
  {input: [1, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub, load: {arrivals: {type: periodic, period: 1 s}, requests: 50}}
strategies: {single: {device: w1}}
"""


def test_of_a_very_long_trial_the_first_requests_are_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that never meet have one latency, so the parts are the same; of 50 of them 3 with 4 steps each are followed."""
    whole = es.run(es.Scenario.from_text(LONG), workers=1, output=tmp_path / "whole", report=False).budget()
    followed: list[int] = []
    monkeypatch.setattr("edgesim.study.trials.budget.N_STEPS_ALL", 12)
    monkeypatch.setattr(
        "edgesim.study.trials.budget.divided", lambda *args: followed.append(len(args[1].records)) or divided(*args)
    )
    found = es.run(es.Scenario.from_text(LONG), workers=1, output=tmp_path / "some", report=False).budget()
    assert followed == [3]
    assert found["mean_s"].to_numpy() == pytest.approx(whole["mean_s"].to_numpy(), rel=1e-9)
