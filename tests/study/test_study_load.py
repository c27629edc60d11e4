"""Trials of many requests: from the scenario to the table."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_study import run

from edgesim.domain.metrics import UNITS
from edgesim.domain.records import RequestRecord, ResourceRecord, Trace
from edgesim.engine.state.samples import N_MOST, Samples
from edgesim.errors import ScenarioError
from edgesim.interfaces import Silent
from edgesim.rng import Streams
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import prepare
from edgesim.study.trials.load import reduce, unit_of
from edgesim.study.trials.trial import trace_under_load

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
    assert queues.groupby("resource").time_s.count().between(129, 257).all()
    assert queues.utilisation.between(0, 1).all()
    assert ((queues.waiting >= 0) & (queues.waiting <= queues.present)).all()
    again = run(scenario, workers=2, output=tmp_path / "two")
    for name in ("summary.csv", "queues.csv"):
        assert (again.folder / name).read_bytes() == (result.folder / name).read_bytes()
    next((result.folder / "trials").glob("*.parquet")).unlink()
    before = (result.folder / "summary.csv").read_bytes()
    assert (run(scenario, workers=1, output=tmp_path / "one").folder / "summary.csv").read_bytes() == before


@pytest.mark.parametrize("medium", ["sharing: fifo", "sharing: fair", "sharing: fifo, contention: 0.1"])
def test_samples_over_time_are_those_of_the_stays(medium: str) -> None:
    """At each moment, what has come less what is served or gone; and the share of the servers that were busy since the moment before."""
    text = TEXT.replace("media: [cell]", f"media: [{{id: cell, {medium}}}]").split(
        "failures:" if "contention" in medium else "sweep:"
    )[0]
    assert medium in text
    system = build(Scenario.from_text(text))
    shared = prepare([({}, system)], Silent())
    [case] = shared.cases
    streams = Streams(case.seed).replication(0)
    found = trace_under_load(shared, case, streams, case.load, has_stays=True, has_samples=True)
    alone = trace_under_load(shared, case, Streams(case.seed).replication(0), case.load, has_samples=True)
    assert (alone.samples, alone.stays, alone.records) == (found.samples, (), found.records)
    n_servers = {device.device_id: device.n_cores for device in system.topology.devices}
    by_resource = {name: [one for one in found.samples if one.resource_id == name] for name, *_ in found.samples}
    assert {"cell", "hub"} <= set(by_resource)
    for name, samples in by_resource.items():
        stays = [stay for stay in found.stays if stay.resource_id == name]
        times_s = np.array([one.time_s for one in samples])
        assert N_MOST // 2 <= len(times_s) <= N_MOST + 1
        assert (times_s[0], np.ptp(np.diff(times_s)) < 1e-12) == (found.from_s, True)
        assert times_s[-1] <= found.to_s < times_s[-1] + 2 * (times_s[1] - times_s[0])
        came, served, went = (
            np.array([sum(getattr(stay, key) <= moment for stay in stays) for moment in times_s])
            for key in ("arrived_s", "started_s", "ended_s")
        )
        assert [one.n_waiting for one in samples] == (came - served).tolist()
        assert [one.n_present for one in samples] == (came - went).tolist()
        busy_s = [
            sum(max(0.0, min(stay.ended_s, stop) - max(stay.started_s, start)) for stay in stays)
            for start, stop in pairwise(times_s)
        ]
        expected = np.array(busy_s) / np.diff(times_s) / n_servers.get(name, 1)
        assert np.allclose([one.utilisation for one in samples][1:], expected, rtol=1e-9, atol=1e-9)


def test_a_long_trial_is_sampled_at_as_many_moments() -> None:
    """A computation of 1 s every 2 s, a thousand of them: never anything waits, and the device is busy half of the time."""
    samples = Samples((0.0, inf))
    for number in range(1000):
        samples.add("d", 2.0 * number, 2.0 * number, 2.0 * number + 1)
    found = list(samples.at(2000.0, {"idle": 1, "d": 1}))
    assert N_MOST // 2 < len(found) <= N_MOST + 1
    assert {one.n_waiting for one in found} == {0}
    assert [one.utilisation for one in found[1:]] == [0.5] * (len(found) - 1)


def test_a_study_samples_while_it_runs_and_again_only_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first replication of a strategy is simulated once; a grown study has the same table as one begun with the larger number."""
    asked: list[bool] = []
    monkeypatch.setattr(
        "edgesim.study.trials.queues.trace_under_load",
        lambda *args, **options: asked.append(True) or trace_under_load(*args, **options),
    )
    scenario = Scenario.from_text(TEXT.split("sweep:", maxsplit=1)[0]).with_(replications=2)
    grown = run(scenario, workers=1, output=tmp_path / "grown")
    assert asked == []
    at_once = run(scenario.with_(replications=3), workers=1, output=tmp_path / "once")
    grown = run(scenario.with_(replications=3), workers=1, output=tmp_path / "grown")
    assert asked == [True]
    assert (grown.folder / "queues.csv").read_bytes() == (at_once.folder / "queues.csv").read_bytes()


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


def test_arrays_simulate_load_as_events_do(tmp_path: Path) -> None:
    """One request at a time, and some at random: the same table to 1e-9, but for which engine it was; with any number of workers the same bytes."""
    text = TEXT.replace("requests: 12, warm_up: 100 ms, admission_limit: 5", "requests: 6, warm_up: 100 ms")
    text = text.replace("replications: 6", "replications: 20").replace(
        '  off: {type: on-off, mtbf: 4 s, mttr: 500 ms, targets: "w*"}\n', ""
    )
    text = text.replace(
        "{type: packet-loss, probability: 0.1}", "{type: packet-loss, probability: 0.05, sampled_at: 0.1}"
    )
    text = text.replace(", transport: arq", "").replace("[1 /s, 100 /s]", "[0.1 /s, 100 /s]")
    scenario = Scenario.from_text(text)
    found = run(scenario, workers=1, output=tmp_path / "arrays")
    again = run(scenario, workers=2, output=tmp_path / "two")
    assert (found.folder / "summary.csv").read_bytes() == (again.folder / "summary.csv").read_bytes()
    by_events = run(Scenario.from_text(f"engine: event\n{text}"), workers=1, output=tmp_path / "events")
    [entry] = found.engines().to_dict("records")
    assert entry["engine"] == "array"
    assert 0 < entry["by_events"] < entry["trials"]
    own, wanted = found.frame(), by_events.frame()
    assert set(wanted["engine"]) == {"event"}
    assert (own["engine"] == "array").sum() >= 15
    pd.testing.assert_frame_equal(own, again.frame())
    assert (own["weight"] != 1.0).sum() >= 15
    pd.testing.assert_frame_equal(own.drop(columns="engine"), wanted.drop(columns="engine"), rtol=1e-9)
