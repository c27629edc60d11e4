"""Trials of many requests: from the scenario to the table."""

from __future__ import annotations

from math import isnan, nan
from pathlib import Path

import pandas as pd
import pytest
from toy_study import run

from edgesim.domain.records import RequestRecord, ResourceRecord, Stay, Trace
from edgesim.errors import ScenarioError
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.tables.summary import UNITS
from edgesim.study.trials.load import reduce, unit_of
from edgesim.study.trials.queues import _rows

TEXT = """
name: load
replications: 6
topology:
  devices: [{id: hub, profile: phone}, {id: "w{1..2}", profile: wearable}]
  media: [cell]
  links: [{between: [hub, "w*"], bandwidth: 2 Mbit/s, latency: 2 ms, medium: cell, transport: arq}]
workload:
  dataset: digits
  model: small-cnn
  training: {epochs: 1}
  source: hub
  sink: hub
  load: {arrivals: {type: poisson, rate: 4 /s}, requests: 12, warm_up: 100 ms, admission_limit: 5}
strategies:
  modnn: {owner: hub, workers: "w*", on_missing: degrade, step_deadline: 100 ms}
failures:
  air: {type: packet-loss, probability: 0.1}
  off: {type: on-off, mtbf: 4 s, mttr: 500 ms, targets: "w*"}
sweep:
  rate: {path: workload.load.arrivals.rate, values: [1 /s, 100 /s]}
"""


def record(outcome: str, latency_s: float = nan, lost: int = 0) -> RequestRecord:
    return RequestRecord(0.0, latency_s, outcome, lost, 10, 20, 31, 2.0)  # type: ignore[arg-type]


def test_requests_become_one_row() -> None:
    """Shares of outcomes, latency over the answered, accuracy asked of all but the unfinished."""
    records = (
        record("completed", 1.0), record("degraded", 3.0, lost=2), record("failed", lost=1), record("unfinished"),
    )  # fmt: skip
    resources = (
        ResourceRecord("w", "device", 0.25, 1.5, 2.0, 4, 700),
        ResourceRecord("cell", "medium", 0.75, 0.0, 0.5, 9),
    )
    row = reduce(Trace(records, resources, 0.0, 8.0, 1))
    assert (row.record.latency_s, row.record.input_byte, row.record.energy_j, row.record.lost) == (2.0, 10, 2.0, 3)
    assert row.patterns == (0, 2, None)
    values = dict(row.values)
    assert values.pop("latency_p95") == pytest.approx(2.9)
    assert values == {
        "answered": 2 / 3, "throughput": 0.25, "requests": 4.0, "degraded": 0.25, "failed": 0.25, "timed_out": 0.0,
        "rejected": 0.0, "unfinished": 0.25, "utilisation": 0.75, "utilisation of w": 0.25, "waiting at w": 1.5,
        "utilisation of cell": 0.75, "waiting at cell": 0.0, "memory of w": 700.0, "peak_memory": 700.0,
    }  # fmt: skip
    assert [unit_of(name, UNITS) for name in ("latency", "throughput", "waiting at w", "memory of w")] == [
        "s",
        "/s",
        "1",
        "byte",
    ]


def test_a_trial_without_requests_has_no_values() -> None:
    """Nothing came after the warm-up: no latency, no answer, no accuracy."""
    row = reduce(Trace((), (), 1.0, 2.0, 1))
    assert isnan(row.record.latency_s)
    assert row.patterns == ()


def test_study_under_load(tmp_path: Path) -> None:
    """Every resource is in the table; load moves utilisation and rejections; workers and resuming change nothing."""
    scenario = Scenario.from_text(TEXT)
    result = run(scenario, workers=1, output=tmp_path / "one")
    summary = result.summary()
    table = {(row.rate, row.metric): row.mean for row in summary.itertuples()}
    assert {name for _, name in table} >= {
        "accuracy", "latency_p95", "throughput", "utilisation of cell", "utilisation of w1", "waiting at w1->hub"
    }  # fmt: skip
    assert table["100 /s", "utilisation"] > table["1 /s", "utilisation"]
    assert table["100 /s", "rejected"] > 0 == table["1 /s", "rejected"]
    assert 0 < table["1 /s", "accuracy"] <= 1
    assert set(summary[summary.metric == "throughput"].unit) == {"/s"}
    queues = pd.read_csv(result.folder / "queues.csv")
    assert set(queues.strategy) == {"modnn"}
    assert {"cell", "w1", "w2", "hub"} >= set(queues.resource) >= {"cell", "hub"}
    assert (queues.groupby("resource").time_s.count() == 201).all()
    assert ((queues.waiting >= 0) & (queues.waiting <= queues.present)).all()
    again = run(scenario, workers=2, output=tmp_path / "two")
    for name in ("summary.csv", "queues.csv"):
        assert (again.folder / name).read_bytes() == (result.folder / name).read_bytes()
    next((result.folder / "trials").glob("*.parquet")).unlink()
    before = (result.folder / "summary.csv").read_bytes()
    assert (run(scenario, workers=1, output=tmp_path / "one").folder / "summary.csv").read_bytes() == before


def test_queue_over_time() -> None:
    """Two computations come at 0 and 1 s to a device that takes 4 s for each: one waits from 1 to 4 s; all is over at 8 s."""
    stays = (Stay("d", 0, "c", 0.0, 0.0, 4.0), Stay("d", 1, "c", 1.0, 4.0, 8.0))
    resources = (
        ResourceRecord("d", "device", 1.0, 0.375, 1.375, 2),
        ResourceRecord("idle", "device", 0.0, 0.0, 0.0, 0),
    )
    rows = _rows("s", Trace((), resources, 0.0, 8.0, 1, stays))
    at = {time_s: (n_waiting, n_present) for _, _, time_s, n_waiting, n_present in rows}
    assert [row[:2] for row in rows] == [("s", "d")] * 201
    assert (at[0.0], at[1.0], at[3.96], at[4.0], at[8.0]) == ((0, 1), (1, 2), (1, 2), (0, 1), (0, 0))
    assert sum(row[3] for row in rows) * 8.0 / 200 == 3.0


def test_scenarios_of_single_requests_stay_what_they_were() -> None:
    """A workload without load does not mention it."""
    text = TEXT.replace(TEXT[TEXT.index("  load:") : TEXT.index("strategies:")], "").split("sweep:")[0]
    scenario = Scenario.from_text(text)
    assert "load" not in scenario.resolved()["workload"]
    assert build(scenario).load is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("requests: 12, ", "", "never ends"),
        ("requests: 12, warm_up: 100 ms", "horizon: 1 s, warm_up: 2 s", "leaves nothing"),
        ("type: poisson", "type: poison", "unknown arrival model"),
        ("rate: 4 /s", "rate: 4", "bare number"),
    ],
)
def test_mistakes_in_a_load_are_found(old: str, new: str, message: str) -> None:
    """With the words of the check that finds them."""
    with pytest.raises(ScenarioError, match=message):
        Scenario.from_text(TEXT.replace(old, new))
