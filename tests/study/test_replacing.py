"""Studies in which another deployment takes over: the real networks of that deployment answer, and weights are traffic."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgesim.errors import PlanError, ScenarioError
from edgesim.interfaces import Silent
from edgesim.report.result import Result
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import prepare
from edgesim.study.run import RunOptions, run

SCENARIO = """
name: replace
replications: 2
topology:
  devices: [{id: hub, profile: phone}, {id: "w{1..3}", profile: phone}]
  links: [{between: [hub, "w*"], bandwidth: 10 Mbit/s}, {between: [w1, w2], bandwidth: 10 Mbit/s}, {between: [w2, w3], bandwidth: 10 Mbit/s}, {between: [w1, w3], bandwidth: 10 Mbit/s}]
workload:
  dataset: digits
  model: small-cnn
  training: {epochs: 1}
  source: hub
  sink: hub
  load: {arrivals: {type: periodic, period: 200 ms}, requests: 100}
strategies:
  spread: {type: modnn, owner: hub, workers: "w*", on_missing: degrade, step_deadline: 50 ms}
  planned: {type: modnn, owner: hub, workers: "w*", on_missing: degrade, step_deadline: 50 ms}
  guarded: {type: modnn, owner: hub, workers: "w*", on_missing: degrade, step_deadline: 50 ms}
  small: {type: ensemble, students: 1, devices: hub, training: {epochs: 1}}
recoveries:
  planned: {type: reassign, detector: {period: 200 ms, timeout: 600 ms}}
  guarded: {type: failover, to: small, detector: {period: 200 ms, timeout: 600 ms}}
failures: {crash: {type: scripted, outages_at: [{targets: w2, start: 5.05 s, end: 15.05 s}]}}
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("replace") / "result"
    run(Scenario.from_text(SCENARIO), RunOptions(output=folder, workers=1))
    return Result(folder)


def test_another_deployment_answers_while_a_worker_is_down(result: Result) -> None:
    """Down for 10 of 20 s: 50 requests without recovery, three or four with one, whose others are whole again or of the smaller network."""
    value = {(row.strategy, row.metric): row.mean for row in result.summary().itertuples()}
    whole = result.intact().set_index("strategy")["accuracy"]
    assert math.isclose(value["spread", "degraded"], 0.5)
    for label in ("planned", "guarded"):
        assert 0.02 <= value[label, "degraded"] <= 0.05
        assert 0.45 <= value[label, "replaced"] <= 0.5
        assert value[label, "changes"] == 2
        assert 0.3 < value[label, "detection_time"] < 0.7
    assert math.isclose(whole["spread"], whole["planned"])
    worth = {
        "planned": (1 - value["planned", "degraded"]) * whole["planned"],
        "guarded": (1 - value["guarded", "degraded"] - value["guarded", "replaced"]) * whole["guarded"]
        + value["guarded", "replaced"] * whole["small"],
    }
    for label, least in worth.items():
        assert least - 1e-9 <= value[label, "accuracy"] <= least + value[label, "degraded"]


def test_weights_are_traffic_of_the_plan_that_lacks_them(result: Result) -> None:
    value = {(row.strategy, row.metric): row.mean for row in result.summary().itertuples()}
    assert value["guarded", "change_time"] == 0
    assert value["planned", "change_time"] > 0
    assert value["planned", "recovery_traffic"] > value["guarded", "recovery_traffic"] > 0
    assert value["guarded", "memory of hub"] > value["planned", "memory of hub"]


def test_a_study_of_stand_ins_is_the_same_with_two_workers(result: Result, tmp_path: Path) -> None:
    run(Scenario.from_text(SCENARIO), RunOptions(output=tmp_path / "two", workers=2))
    one, two = ((folder / "summary.csv").read_text() for folder in (result.folder, tmp_path / "two"))
    assert one == two


def test_devices_that_take_over_may_fail_in_their_turn(tmp_path: Path) -> None:
    """A chain on one device: w1, then w2 when that is lost, then w3 when both are."""
    text = SCENARIO.replace(
        'planned: {type: modnn, owner: hub, workers: "w*", on_missing: degrade, step_deadline: 50 ms}',
        "planned: {type: chain, devices: [w1, w2, w3]}",
    ).replace("planned: {type: reassign,", "planned: {type: reassign, lost: 2,")
    text = text.replace(
        "start: 5.05 s, end: 15.05 s}]", "start: 5.05 s, end: 15.05 s}, {targets: w1, start: 3.05 s, end: 12.05 s}]"
    )
    run(Scenario.from_text(text), RunOptions(output=tmp_path / "result", workers=1))
    value = {(row.strategy, row.metric): row.mean for row in Result(tmp_path / "result").summary().itertuples()}
    assert value["planned", "changes"] == 3  # to w2, to w3, back to w1
    assert 0.9 < value["planned", "availability"] < 0.98


def test_what_takes_over_is_that_of_the_factor_point() -> None:
    """The strategy itself and its recovery are the same at both points."""
    text = SCENARIO + "sweep: {place: {path: strategies.small.devices, values: [w2, w3]}}\n"
    scenario = Scenario.from_text(text)
    shared = prepare([(point, build(scenario.at(point))) for point in scenario.points()], Silent())
    found = {}
    for case in shared.cases:
        takeover = shared.prepared[case.prepared].program.takeover
        if takeover is not None:
            found[case.strategy, case.point["place"]] = takeover.devices[1:]
    assert [found["guarded", place] for place in ("w2", "w3")] == [({"w2"},), ({"w3"},)]


def test_what_cannot_take_over_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="'tiny' is no other strategy"):
        Scenario.from_text(SCENARIO.replace("to: small", "to: tiny"))
    with pytest.raises(ScenarioError, match="'guarded' is no other strategy"):
        Scenario.from_text(SCENARIO.replace("to: small", "to: guarded"))
    text = SCENARIO.replace(
        'planned: {type: modnn, owner: hub, workers: "w*", on_missing: degrade, step_deadline: 50 ms}',
        'planned: {type: ensemble, students: 3, devices: "w*", training: {epochs: 1}}',
    )
    with pytest.raises(
        PlanError,
        match="nothing can take over: without any one of its devices there is no plan \\(3 students need 3 devices",
    ):
        run(Scenario.from_text(text), RunOptions(output=tmp_path / "result", workers=1))
