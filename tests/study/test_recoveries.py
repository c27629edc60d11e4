"""How available a service is, and how long it takes to recover, against closed forms and by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgesim.domain.plan import Compute, Plan
from edgesim.domain.system.topology import Device, DeviceProfile, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError, ScenarioError
from edgesim.failures.on_off import OnOff
from edgesim.recoveries.none import Nothing
from edgesim.recoveries.retry import Retry
from edgesim.report.result import Result
from edgesim.rng import Streams
from edgesim.scenario.scenario import Scenario
from edgesim.study.options import RunOptions
from edgesim.study.run import run
from edgesim.study.trials.service import service_of
from edgesim.testing import check_recovery

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def test_exponential_failures_have_their_availability_and_time_to_recover() -> None:
    """Up 3 s, down 1 s in the mean, asked every 0.2 s for 16,000 s: three standard errors, which are 1.3 % and 5 % of the values.

    The states at the moments of asking are a Markov chain: from down to up with A (1 - exp(-rate d)), so that runs of moments down are geometric.
    """
    mtbf_s, mttr_s, distance_s, n = 3.0, 1.0, 0.2, 80_000
    topology = Topology((Device("w1", PROFILE),))
    program = compile_plan(Plan((Compute("end", "w1"),), "end", {}), topology, NoTime())
    renewals = OnOff(mtbf_s, mttr_s).renewals(topology, Streams(2).replication(0))
    records = simulate(program, renewals=[renewals], releases_s=(distance_s * number for number in range(n)))
    found = service_of(records)
    up = mtbf_s / (mtbf_s + mttr_s)
    rate = 1 / mtbf_s + 1 / mttr_s
    comes_up = up * (1 - math.exp(-rate * distance_s))
    n_runs = n * (1 - up) * comes_up
    assert abs(found["availability"] - up) < 3 * math.sqrt(2 * up * (1 - up) / rate / (n * distance_s))
    deviation = math.sqrt(1 - comes_up) / comes_up * distance_s
    assert abs(found["recovery_time"] - distance_s / comes_up) < 3 * deviation / math.sqrt(n_runs)
    assert (
        abs(distance_s / comes_up - mttr_s) < 0.2
    )  # as asked more often, the time to recover is the mean time to repair


SCENARIO = """
name: recover
replications: 2
topology:
  devices: [{id: a, profile: phone}, {id: b, profile: phone}]
  links: [{between: [a, b], bandwidth: 10 Mbit/s}]
workload: {dataset: digits, model: small-cnn, training: {epochs: 1}, source: a, sink: b, load: {arrivals: {type: periodic, period: 1 s}, requests: 5}}
strategies: {once: {type: single, device: b}, again: {type: single, device: b}}
recoveries: {again: {type: retry, after: 2 s}}
failures: {crash: {type: scripted, outages_at: [{targets: b, start: 0.9 s, end: 2.5 s}]}}
"""


def test_a_study_says_how_available_each_policy_is(tmp_path: Path) -> None:
    """The requests at 1 and 2 s of five find b down: 2 of 4 s, one run of 2 s; tried again at 3 and 4 s, none is lost."""
    run(Scenario.from_text(SCENARIO), RunOptions(output=tmp_path / "result"))
    result = Result(tmp_path / "result")
    value = {(row.strategy, row.metric): row.mean for row in result.summary().itertuples()}
    accuracy = result.intact().set_index("strategy")["accuracy"]
    once, again = (
        [
            value.get((label, name), math.nan)
            for name in ("availability", "recovery_time", "lost_requests", "lost_score")
        ]
        for label in ("once", "again")
    )
    assert once[:3] == [0.5, 2.0, 2.0]
    assert math.isclose(once[3], 2 * accuracy["once"])
    assert (again[0], again[2], again[3]) == (1.0, 0.0, 0.0)
    assert math.isnan(again[1])


def test_a_study_says_how_well_outages_are_detected(tmp_path: Path) -> None:
    """Down from 0.9 to 2.5 s, heartbeats each 0.1 s: suspected 0.2 to 0.3 s behind the beginning; their bytes are traffic of the one strategy."""
    text = SCENARIO.replace(
        "after: 2 s}", "after: 2 s, detector: {period: 100 ms, timeout: 300 ms, size: 50 byte, monitor: a}}"
    )
    run(Scenario.from_text(text), RunOptions(output=tmp_path / "result"))
    result = Result(tmp_path / "result")
    value = {(row.strategy, row.metric): row.mean for row in result.summary().itertuples()}
    assert 0.2 <= value["again", "detection_time"] < 0.31
    assert (value["again", "detected"], value["again", "false_alarms"]) == (1.0, 0.0)
    assert ("once", "detected") not in value
    more = value["again", "traffic_intermediate"] - value["once", "traffic_intermediate"]
    assert math.isclose(more, value["again", "recovery_traffic"], abs_tol=0.5)
    assert abs(more - 50 * 24 / 5) <= 10  # 40 heartbeats in 4 s, but those of 1.6 s, for five requests


def test_a_detector_that_watches_nobody_is_refused(tmp_path: Path) -> None:
    text = SCENARIO.replace("after: 2 s}", "after: 2 s, detector: {period: 1 s, timeout: 3 s}}")
    with pytest.raises(PlanError, match=r"watches nobody: .b., which listens"):
        run(Scenario.from_text(text), RunOptions(output=tmp_path / "result"))


def test_a_monitor_must_be_a_device_and_wait_longer_than_a_period() -> None:
    wrong = SCENARIO.replace("after: 2 s}", "after: 2 s, detector: {period: 1 s, timeout: 3 s, monitor: c}}")
    with pytest.raises(ScenarioError, match="there is no device 'c'"):
        Scenario.from_text(wrong)
    with pytest.raises(ScenarioError, match=r"timeout of 0\.5 s is shorter than the period"):
        Scenario.from_text(SCENARIO.replace("after: 2 s}", "after: 2 s, detector: {period: 1 s, timeout: 500 ms}}"))


def test_recoveries_without_load_or_strategy_are_refused() -> None:
    with pytest.raises(ScenarioError, match="`recoveries` need many requests"):
        Scenario.from_text(SCENARIO.replace(", load: {arrivals: {type: periodic, period: 1 s}, requests: 5}", ""))
    with pytest.raises(ScenarioError, match="'twice', which is no strategy"):
        Scenario.from_text(SCENARIO.replace("recoveries: {again", "recoveries: {twice"))


def test_a_scenario_without_recoveries_is_written_as_ever() -> None:
    made = Scenario.from_text(SCENARIO.replace("recoveries: {again: {type: retry, after: 2 s}}\n", ""))
    assert "recoveries" not in made.resolved()


@pytest.mark.parametrize("recovery", [Nothing(), Retry(0.1), Retry(2.0, attempts=7)])
def test_recoveries_keep_what_they_promise(recovery: Nothing | Retry) -> None:
    check_recovery(recovery)


class ForEver:
    def again_s(self, n_lost: int) -> float:
        return 1.0


def test_a_recovery_that_never_gives_up_is_found() -> None:
    with pytest.raises(AssertionError, match="give it up"):
        check_recovery(ForEver())
