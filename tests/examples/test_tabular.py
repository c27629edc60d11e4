"""A table, brought by a plug-in of one file, goes through every strategy, and is judged by its own score."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import edgesim
from edgesim.cli.main import app
from edgesim.nn.train.cache import FOLDER_VARIABLE
from edgesim.registry import DATASETS

FOLDER = Path(__file__).parents[2] / "examples" / "tabular"
SCENARIO = str(FOLDER / "breast-cancer.yaml")
STRATEGIES = ["single", "modnn", "nonn", "resilient", "ensemble"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    """A folder with a cache of its own, into which the scenario was run."""
    folder = tmp_path_factory.mktemp("tabular")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder / "cache"))
        patch.chdir(folder)
        shown = invoke("run", SCENARIO, "--output", "out", "--workers", "1", "--allow-code")
        (folder / "shown.txt").write_text(shown, encoding="utf-8")
        yield folder / "out"
    if "breast-cancer" in DATASETS.names():
        DATASETS.remove("breast-cancer")


def invoke(*arguments: str) -> str:
    """Return what a command prints that must end with 0."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_plugin_is_one_short_file() -> None:
    """Under sixty lines, with docstring and references."""
    assert len((FOLDER / "breast_cancer.py").read_text(encoding="utf-8").splitlines()) < 60


def test_all_strategies_have_results(place: Path) -> None:
    """At every factor point, with figures and report."""
    summary = pd.read_csv(place / "summary.csv")
    assert summary["metric"].iloc[0] == "roc_auc"
    assert sorted(set(summary["strategy"])) == sorted(STRATEGIES)
    assert set(summary["lost_devices"]) == {0, 2, 4}
    assert {path.name for path in place.iterdir()} >= {"report.html", "resilience.svg", "tradeoff.svg", "manifest.json"}


def test_every_table_figure_and_page_says_roc_auc(place: Path) -> None:
    """And none says accuracy."""
    for name in ("summary.csv", "differences.csv"):
        assert "accuracy" not in set(pd.read_csv(place / name)["metric"])
    for name in ("report.html", "resilience.svg", "tradeoff.svg", "../shown.txt"):
        text = (place / name).read_text(encoding="utf-8")
        assert "ROC-AUC" in text
        assert "accuracy" not in text.lower()
    result = edgesim.Result(place)
    assert "roc_auc" in result.frame()
    assert "accuracy" not in result.frame()
    assert result.main_metric == "roc_auc"
    table = invoke("results", "show", str(place))
    assert "roc_auc" in table
    assert "accuracy" not in table


def test_a_request_without_an_answer_is_worth_a_half(place: Path) -> None:
    """With its device lost, nothing comes back from `single`; guessing has an ROC-AUC of 0.5, not 0."""
    trials = edgesim.Result(place).frame().query("strategy == 'single'")
    lost = trials[trials["outcome"] == "failed"]
    assert set(lost["lost_devices"]) == {2, 4}
    assert set(lost["roc_auc"]) == {0.5}
    means = pd.read_csv(place / "summary.csv").query("metric == 'roc_auc' and lost_devices == 4").set_index("strategy")
    assert list(means.loc[STRATEGIES, "mean"]) == [0.5] * 5
    assert means.loc["single", "exact"] == 0.5


def test_networks_are_found_again_and_named_by_their_score(place: Path) -> None:
    """In the table of networks, and when they are asked for a second time."""
    listed = json.loads(invoke("models", "--json"))
    assert {entry["kind"] for entry in listed} == {"teacher", "students", "whole student"}
    assert all(entry["metrics"]["test_roc_auc"] > 0.9 for entry in listed)
    assert "roc_auc 0.9" in invoke("models")
    trained = json.loads(invoke("train", SCENARIO, "--json"))
    assert [entry["label"] for entry in trained] == ["teacher", "nonn", "resilient", "ensemble"]
    assert all(entry["score"] == "roc_auc" and entry["test"] > 0.9 for entry in trained)
    assert [entry["created"] for entry in json.loads(invoke("models", "--json"))] == [one["created"] for one in listed]
