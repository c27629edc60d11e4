"""``edgesim results`` on a study of three toys."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toy_study import shared

from edgesim.cli import main as cli
from edgesim.failures.exactly_k import ExactlyK
from edgesim.interfaces import Silent
from edgesim.scenario.scenario import Scenario
from edgesim.study.folder.contents import file_entries
from edgesim.study.folder.manifest_file import FORMAT, MANIFEST, write_manifest
from edgesim.study.folder.names import DIFFERENCES, SUMMARY
from edgesim.study.folder.parts import Parts
from edgesim.study.folder.store import Result
from edgesim.study.folder.tables_on_disk import write_differences, write_summary
from edgesim.study.options import RunOptions
from edgesim.study.run import run
from edgesim.study.tables import summary
from edgesim.study.trials.trial import perform
from edgesim.study.work.division import plan_work
from edgesim.study.work.evaluation import evaluate
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import local_pool
from edgesim.study.work.manifest import _score

UNITS = {"accuracy": "1", **summary.UNITS}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished study in results/toys, and one that has only begun."""
    monkeypatch.chdir(tmp_path)
    place = Path("results/toys")
    study = shared([{"loss": ExactlyK(1, "w*")}, {"loss": ExactlyK(2, "w*")}])
    work, parts = plan_work(study, 30), Parts(place, study.cases, scores=["accuracy"])
    execute(study, work, parts, partial(local_pool, 1, perform), Silent())
    found = evaluate(study, work, parts)
    write_summary(place / SUMMARY, study.cases, found.rows, UNITS)
    write_differences(place / DIFFERENCES, study.cases, found.differences, UNITS)
    about: dict[str, Any] = {
        "format": FORMAT,
        "name": "toys",
        "question": "",
        "scenario": {
            "name": "toys",
            "question": "",
            "profiles": {},
            "topology": {},
            "workload": {"source": "hub", "sink": "hub"},
            "strategies": {"toy": {"type": "toy"}},
            "failures": {},
            "sweep": {"level": {"path": "failures.loss.k"}},
        },
        "hash": "",
        "factors": ["level"],
    }
    about |= {
        "replications": 30,
        "seed": 1,
        "versions": {"edgesim": "0"},
        "command": "edgesim run begun.yaml",
        "status": "unfinished",
    }
    Path("results/begun").mkdir()
    write_manifest(Path("results/begun"), about)
    done = {
        "status": "complete",
        "platform": {"system": "", "machine": "", "processors": 1},
        "started": "",
        "finished": "",
    }
    done |= {
        "deployments": [],
        "engines": [],
        "learnt": [],
        "scores": [_score(score.metric()) for score in study.scores],
        "intact": [{"level": 0, "strategy": "toy", "outcome": "completed"}],
        "files": file_entries(place),
    }
    write_manifest(place, about | done)
    return place


def results(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["edgesim", "results", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_listed_shown_and_exported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two studies with their state; the exact accuracies 2/3 and 1/3; every trial in one file."""
    assert results(monkeypatch, "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["folder"], row["status"]) for row in rows] == [
        ("results/begun", "unfinished"),
        (str(folder), "complete"),
    ]
    assert results(monkeypatch, "show", str(folder), "--metric", "accuracy", "--json") == 0
    assert [row["exact"] for row in json.loads(capsys.readouterr().out)] == pytest.approx([2 / 3, 1 / 3])
    assert results(monkeypatch, "show", str(folder), "--metric", "accuracy", "--over", "level", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["mean"], row["n"]) == (pytest.approx(1 / 2), 2)
    assert row["ci_high"] - row["mean"] == pytest.approx(
        12.7062 * (1 / 6), rel=1e-4
    )  # t(1) x sd / sqrt(2), sd = 1/3 / sqrt(2)
    assert results(monkeypatch, "show", str(folder), "--over", "leve") == 2
    assert "unknown factor 'leve'; expected one of level" in capsys.readouterr().err
    assert results(monkeypatch, "compare", str(folder), "--json") == 0
    assert json.loads(capsys.readouterr().out) == []  # one strategy has no other
    for name, read in (("all.csv", pd.read_csv), ("all.parquet", pd.read_parquet)):
        assert results(monkeypatch, "export", str(folder), name) == 0
        assert len(read(name)) == 60


def test_what_cannot_be_shown_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unfinished study says how to go on; a folder of something else is not removed."""
    assert results(monkeypatch, "show", "results/begun") == 2
    assert "is not finished; go on with: edgesim run begun.yaml" in capsys.readouterr().err
    Path("thesis").mkdir()
    assert results(monkeypatch, "remove", "thesis", "--yes") == 2
    assert Path("thesis").is_dir()
    assert results(monkeypatch, "remove", str(folder), "--yes") == 0
    assert not folder.exists()


def test_a_damaged_study_does_not_hide_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is listed as damaged, with its finding and exit code 1; a table that was edited is not shown."""
    (Path("results/begun") / MANIFEST).write_text('{"name": "begun"')
    assert results(monkeypatch, "list", "--json") == 1
    shown = capsys.readouterr()
    assert [row["status"] for row in json.loads(shown.out)] == ["damaged", "complete"]
    assert "warning: results/begun/manifest.json cannot be read" in shown.err
    (folder / SUMMARY).write_text((folder / SUMMARY).read_text().replace("0.6", "0.9"))
    assert results(monkeypatch, "show", str(folder)) == 2
    assert f"{folder}/summary.csv: it was changed after the study" in capsys.readouterr().err


LOADED = """
name: loaded
replications: 2
topology: {devices: [{id: hub, profile: phone}, {id: w1, profile: wearable}], links: [{between: [hub, "w*"], bandwidth: 2 Mbit/s}]}
workload:
  input: [1, 8, 8]
  classes: 10
  model: small-cnn
  source: hub
  sink: hub
  load: {arrivals: {type: periodic, period: 1 s}, requests: 5}
strategies: {single: {device: hub}, modnn: {owner: hub, workers: "w*"}, again: {type: modnn, owner: hub, workers: "w*"}}
recoveries: {again: {type: retry, after: 2 s}}
sweep: {workers: {path: topology.devices.1.id, values: [w1, "w{1..2}"]}}
"""


def test_trials_have_the_columns_of_all_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever only some strategies use, points have or recoveries are measured by: each column of each part, with no value elsewhere."""
    folder = tmp_path / "loaded"
    run(Scenario.from_text(LOADED), RunOptions(workers=1, output=folder))
    parts = [pd.read_parquet(path) for path in sorted((folder / "trials").glob("*.parquet"))]
    whole = pd.concat(parts, ignore_index=True)
    assert not set(parts[0]) >= {"memory of w1", "memory of w2", "availability"}
    assert set(whole) >= {"memory of w1", "memory of w2", "availability"}
    assert whole["memory of w2"].notna().tolist() == [*[False] * 8, *[True] * 4]
    frame = Result(folder).frame()
    pd.testing.assert_frame_equal(frame, whole, check_like=True)
    assert frame["memory of w2"].dtype == float
    pd.testing.assert_frame_equal(Result(folder).frame(columns=["availability"]), whole[["availability"]])
    for name, read in (
        ("all.csv", partial(pd.read_csv, dtype={"lost_transfers": str})),
        ("all.parquet", pd.read_parquet),
    ):
        assert results(monkeypatch, "export", str(folder), str(tmp_path / name)) == 0
        pd.testing.assert_frame_equal(read(tmp_path / name), whole, check_like=True, check_dtype=name != "all.csv")
