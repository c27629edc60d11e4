"""A study from its scenario to its folder; training is left out, the rest is real."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toy_study import LABELS, Broken, Toy, run

from edgesim.compute.roofline import Roofline
from edgesim.domain.columns import RESERVED
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.errors import PlanError, ResultError, ScenarioError, SimulationError
from edgesim.interfaces import DeploymentContext
from edgesim.registry import STRATEGIES
from edgesim.scenario.scenario import Scenario
from edgesim.study import completion
from edgesim.study.folder import parts, store, target
from edgesim.study.folder.lock import locked
from edgesim.study.folder.manifest_file import read_manifest, write_manifest
from edgesim.study.preparation import prepare
from edgesim.study.trials import trial
from edgesim.tasks.classification import Classification

PARTS = {f"{kind}/part-{case:05d}-000000000.parquet" for kind in ("trials", "outcomes") for case in range(4)}
BYTES = {"summary.csv", "differences.csv", "scenario.yaml", "timeline.json", "budget.csv", "sensitivity.csv", *PARTS}
PROFILE = {
    "compute_rate": dict.fromkeys(("conv", "depthwise", "linear", "other"), "1 GFLOP/s"),
    "memory_bandwidth": "1 GB/s",
    "layer_overhead": "1 us",
    "memory": "1 kB",
    "power": dict.fromkeys(("idle", "busy", "transmit", "receive"), "1 W"),
}


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch):
    """Register the toy strategies, and give them a context without a network."""
    STRATEGIES.register("toy")(Toy)
    STRATEGIES.register("broken")(Broken)
    split = Samples({"numbers": LABELS[:, None, None, None].astype("float32")}, LABELS)

    def context(system: Any, _teacher: Any, progress: Any, _graph: Any = None) -> DeploymentContext:
        dataset = Dataset("toy", split, split, split, Classification(2), "", "")
        ends = (system.topology, system.source_id, system.sink_id)
        return DeploymentContext(*ends, None, "", "", dataset, None, Roofline(), system.seed, progress)  # type: ignore[arg-type]

    teacher = prepare.Teacher(None, None)  # type: ignore[arg-type]
    monkeypatch.setattr(prepare, "load_teacher", lambda _system, _progress: teacher)
    monkeypatch.setattr(prepare, "context_of", context)
    yield
    STRATEGIES.remove("toy")
    STRATEGIES.remove("broken")


def scenario(**changes: Any) -> Scenario:
    """The toy star, with 0 to 3 devices lost."""
    data: dict[str, Any] = {
        "name": "toys",
        "seed": 1,
        "replications": 150,
        "profiles": {"toy": PROFILE},
        "topology": {
            "devices": [{"id": "hub", "profile": "toy"}, {"id": "w{1..3}", "profile": "toy"}],
            "links": [{"between": ["hub", "w*"], "bandwidth": "8 kbit/s"}],
        },
        "workload": {"dataset": "digits", "model": "small-cnn", "source": "hub", "sink": "hub"},
        "strategies": {"toy": {}},
        "failures": {"loss": {"type": "exactly-k", "targets": "w*", "k": 0}},
        "sweep": {"n_lost": {"path": "failures.loss.k", "values": [0, 1, 2, 3]}},
    }
    return Scenario.from_data(data | changes)


def test_the_same_bytes_twice_and_with_any_number_of_workers(tmp_path: Path) -> None:
    """The machine-readable files hold nothing of time, place or workers."""
    folders = [tmp_path / name for name in ("once", "twice", "two_workers")]
    for folder, workers in zip(folders, (1, 1, 2), strict=True):
        run(scenario(), workers=workers, output=folder)
    for folder in folders:
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert files == BYTES | {"manifest.json"}
    for name in BYTES:
        contents = {(folder / name).read_bytes() for folder in folders}
        assert len(contents) == 1, name


def test_the_summary_is_tidy_and_right(tmp_path: Path) -> None:
    """One row per factor point, strategy and metric; exact accuracies 1 - k/3; twice the intervals hold them."""
    result = run(scenario(), workers=1, output=tmp_path / "r")
    table = result.summary()
    assert list(table.columns) == [
        "n_lost",
        "strategy",
        "metric",
        "unit",
        "mean",
        "ci_low",
        "ci_high",
        "n",
        "n_effective",
        "exact",
    ]
    assert len(table) == 4 * 10
    accuracy = table[table["metric"] == "accuracy"]
    assert accuracy["exact"].tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0], abs=1e-9)
    assert ((accuracy["exact"] - accuracy["mean"]).abs() <= accuracy["ci_high"] - accuracy["ci_low"] + 1e-12).all()
    assert (table["n_effective"] == table["n"]).all()
    memory = table[table["metric"] == "peak_memory"]
    assert memory["mean"].unique().tolist() == [150.0]  # 50 byte of weights, and a message of 100


def test_trials_are_all_there(tmp_path: Path) -> None:
    """A row per factor point, strategy and replication; its means are those of the summary."""
    result = run(scenario(), workers=1, output=tmp_path / "r")
    trials = result.frame()
    assert len(trials) == 4 * 150
    assert trials["n_lost"].dtype == "int64"
    assert set(trials["outcome"]) == {"completed", "degraded"}
    means = trials.groupby("n_lost")["accuracy"].mean()
    table = result.summary().query("metric == 'accuracy'").set_index("n_lost")["mean"]
    pd.testing.assert_series_equal(means, table, check_names=False, rtol=1e-9)


def test_the_manifest_says_how_to_repeat(tmp_path: Path) -> None:
    """Hashes are those of the files; the stored scenario is the same study."""
    result = run(scenario(), workers=1, output=tmp_path / "r", command="edgesim run toys.yaml")
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest == result.manifest
    assert {entry["name"] for entry in manifest["files"]} == BYTES
    for entry in manifest["files"]:
        assert hashlib.sha256((tmp_path / "r" / entry["name"]).read_bytes()).hexdigest() == entry["sha256"]
    assert manifest["command"] == "edgesim run toys.yaml"
    assert manifest["deployments"][0]["description"] == {"parts": 3}
    assert len(manifest["deployments"]) == 1  # the points differ only in their failures
    again = Scenario.load(tmp_path / "r" / "scenario.yaml")
    assert again.hash() == manifest["hash"] == scenario().hash()


def stamps(folder: Path) -> dict[str, int]:
    """When each file was written, by name."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_finished_study_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained, simulated or written; `fresh` does all of it again, with the same bytes."""
    run(scenario(), workers=1, output=tmp_path / "r")
    before, table = stamps(tmp_path / "r"), (tmp_path / "r" / "summary.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "load_teacher", None)
        again = run(scenario(), workers=1, output=tmp_path / "r")
    assert again.is_complete
    assert stamps(tmp_path / "r") == before
    (tmp_path / "r" / "stale.png").write_text("old")
    run(scenario(), workers=1, output=tmp_path / "r", fresh=True)
    after = stamps(tmp_path / "r")
    assert all(after[name] > before[name] for name in before)
    assert "stale.png" not in after
    assert (tmp_path / "r" / "summary.csv").read_bytes() == table


def test_two_writers_are_refused(tmp_path: Path) -> None:
    """The second is told who writes; the lock is gone when the first has ended."""
    with locked(tmp_path / "r"), pytest.raises(ResultError, match=rf"being written by process {os.getpid()} on "):
        run(scenario(), workers=1, output=tmp_path / "r")
    assert run(scenario(), workers=1, output=tmp_path / "r").is_complete
    assert not (tmp_path / "r" / ".lock").exists()


def test_results_of_another_release_are_not_mixed(tmp_path: Path) -> None:
    """The same scenario, drawn by another numpy: refused with both versions, unless it begins again."""
    run(scenario(), workers=1, output=tmp_path / "r")
    about = read_manifest(tmp_path / "r")
    about["versions"]["numpy"] = "1.0"
    write_manifest(tmp_path / "r", {**about, "status": "unfinished"})
    with pytest.raises(ResultError, match=r"versions.numpy: 1.0 there, \d.* here\); begin again with --fresh"):
        run(scenario(), workers=1, output=tmp_path / "r")
    assert run(scenario(), workers=1, output=tmp_path / "r", fresh=True).is_complete


def test_paired_differences_are_those_of_the_trials(tmp_path: Path) -> None:
    """Strategies meet the same failures: replication by replication; two equal strategies do not differ at all."""
    result = run(scenario(strategies={"toy": {}, "same": {"type": "toy"}}), workers=1, output=tmp_path / "r")
    table = result.differences()
    accuracy = table[table["metric"] == "accuracy"]
    assert accuracy[["strategy", "minus"]].drop_duplicates().to_numpy().tolist() == [["same", "toy"]]
    assert (accuracy[["mean", "ci_low", "ci_high"]] == 0.0).all(axis=None)
    assert accuracy["correlation"].dropna().tolist() == pytest.approx([1.0, 1.0])


def test_a_folder_of_another_scenario_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what differs, in one line, and names the option that helps; the old results stay."""
    run(scenario(), workers=1, output=tmp_path / "r")
    before = (tmp_path / "r" / "manifest.json").read_bytes()
    monkeypatch.setattr(prepare, "load_teacher", None)
    with pytest.raises(
        ResultError, match=r"another scenario \(seed: 1 there, 2 here\); remove it or .* --output"
    ) as error:
        run(scenario(), workers=1, output=tmp_path / "r", seed=2)
    assert "\n" not in str(error.value)
    assert (tmp_path / "r" / "manifest.json").read_bytes() == before


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path) -> None:
    """Neither a folder with other files nor a file is overwritten; an empty folder is fine."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("two years")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ResultError, match="files that are not a result of edgesim; choose another folder with --output"
    ):
        run(scenario(), workers=1, output=tmp_path / "thesis")
    with pytest.raises(ResultError, match="is a file"):
        run(scenario(), workers=1, output=tmp_path / "file")
    assert run(scenario(), workers=1, output=tmp_path / "empty").folder == tmp_path / "empty"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_study_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    """Ctrl-C or a full disk at the fourth part: three are kept, the rest follows with the same bytes."""
    whole = run(scenario(), workers=1, output=tmp_path / "whole").folder
    write, n_written = parts.parquet_of, 0

    def fail(*arguments: Any) -> bytes:
        nonlocal n_written
        n_written += 1
        if n_written == 4:
            raise error
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "parquet_of", fail)
        with pytest.raises((KeyboardInterrupt, ResultError)):
            run(scenario(), workers=1, output=tmp_path / "r")
    assert len(list((tmp_path / "r").rglob("*.parquet"))) == 3
    assert not list((tmp_path / "r").rglob(".*"))
    assert not store.Result(tmp_path / "r").is_complete
    before = stamps(tmp_path / "r")
    run(scenario(), workers=1, output=tmp_path / "r")
    after = stamps(tmp_path / "r")
    assert all(after[name] == before[name] for name in before if name.endswith(".parquet"))
    for name in BYTES:
        assert (tmp_path / "r" / name).read_bytes() == (whole / name).read_bytes()


def test_an_error_of_a_strategy_names_it_and_the_factor_point(tmp_path: Path) -> None:
    """A plug-in's mistake is told with its line; a plan that does not fit keeps its class and gets a note."""
    with pytest.raises(
        SimulationError, match=r"strategy 'broken' at n_lost = 0: KeyError: 'wing' \(.*toy_study.py:\d+\)"
    ):
        run(scenario(strategies={"toy": {}, "broken": {}}), workers=1, output=tmp_path / "r")
    small = {"toy": PROFILE | {"memory": "120 B"}}
    with pytest.raises(PlanError, match="device 'hub' needs 150 byte but has 120 byte") as error:
        run(scenario(profiles=small), workers=1, output=tmp_path / "r")
    assert error.value.__notes__ == ["in strategy 'toy' at n_lost = 0"]
    assert not (tmp_path / "r").exists()


def test_only_what_a_factor_changes_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three values of one strategy's option: three deployments of it, one of the other."""
    made: list[int] = []
    monkeypatch.setattr(Toy, "deploy", lambda self, _context: made.append(self.questions) or _deployment())
    sweep = {"asked": {"path": "strategies.a.questions", "values": [3, 6, 9]}}
    run(
        scenario(strategies={"a": {"type": "toy"}, "b": {"type": "toy", "questions": 1}}, sweep=sweep),
        workers=1,
        output=tmp_path / "r",
    )
    assert made == [3, 1, 6, 9]


def _deployment():
    from toy_study import ToyDeployment

    return ToyDeployment()


@pytest.mark.parametrize("option", [{"workers": 0}, {"replications": 0}, {"seed": -1}])
def test_options_out_of_range_are_refused(tmp_path: Path, option: dict[str, int]) -> None:
    """From Python as from the command line, before anything is written."""
    with pytest.raises(ScenarioError):
        run(scenario(), output=tmp_path / "r", **option)  # type: ignore[arg-type]
    assert not (tmp_path / "r").exists()


def test_a_factor_is_not_called_like_a_column(tmp_path: Path) -> None:
    """The column would be there twice: every column but the factors is a reserved name."""
    result = run(scenario(), workers=1, output=tmp_path / "r")
    tables = (
        result.frame(), result.frame("outcomes"), result.summary(), result.differences(), result.budget(), result.intact(),
    )  # fmt: skip
    assert {name for table in tables for name in table.columns} - {"n_lost"} == RESERVED - {
        "partial_transfers",
        "sample",
    }


def test_differences_are_short(tmp_path: Path) -> None:
    """Nested values by their path, the first three, the number of the others."""
    old = {"a": {"b": 1, "c": [{"d": 2}]}, "e": "x" * 100, "f": 1, "g": 1}
    new = {"a": {"b": 2, "c": [{"d": 3}]}, "e": "y", "f": 2}
    expected = f"a.b: 1 there, 2 here; a.c[0].d: 2 there, 3 here; e: {'x' * 37}... there, y here; and 2 more"
    assert target.differences(old, new) == expected


def test_every_study_of_a_test_is_checked_in_whatever_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all tasks share says so, although nobody asks for it here; see tests/conftest.py."""
    asked: list[bool] = []
    monkeypatch.setattr(
        completion, "perform", lambda shared, task: asked.append(shared.is_checked) or trial.perform(shared, task)
    )
    run(scenario(), workers=1, output=tmp_path / "r")
    assert asked
    assert all(asked)
