"""The package in `examples/plugin` installs, is found by its entry points, runs a study, and passes our checks."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import edgesim
from edgesim.nn.train.cache import FOLDER_VARIABLE
from edgesim.scenario.build import build
from edgesim.testing import check_failure_model

FOLDER = Path(__file__).parents[2] / "examples" / "plugin"
NAMES = {"strategies": "offload", "tasks": "balanced-classification"}


def ends_well(arguments: list[str], where: Path, **variables: str) -> str:
    """Return what a command prints that must end with 0."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=where,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip put the package, without asking the network for anything."""
    pytest.importorskip("pip")
    target = tmp_path_factory.mktemp("plugin") / "site"
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    ends_well(["-m", "pip", "install", *options, "--target", str(target), str(FOLDER)], target.parent)
    return target


def test_the_package_runs_a_study_once_it_is_installed(installed: Path, tmp_path: Path) -> None:
    """It is listed, valid without any permission, and its score is computed by its own function."""
    study = str(FOLDER / "study.yaml")
    variables = {"PYTHONPATH": str(installed), FOLDER_VARIABLE: str(tmp_path / "cache")}

    def run(*arguments: str) -> str:
        return ends_well(["-m", "edgesim", *arguments], tmp_path, **variables)

    for seam, name in NAMES.items():
        assert name in [entry["name"] for entry in json.loads(run("list", seam, "--json"))]
    assert "valid, 2 strategies" in run("validate", study)
    run("run", study, "--workers", "1", "--output", "out")
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").groupby(["strategy", "asleep"], sort=False)
    score = summary["mean"].first().round(6)  # the main score comes before other metrics
    assert list(score["alone"]) == [score["offload"].iloc[0]] * 3
    assert score["alone"].iloc[0] > 0.9
    assert score["offload"].iloc[2] == pytest.approx(1 / 3, abs=1e-6)  # a guess finds one class of three


def test_its_failure_model_passes_our_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn from streams of its own, on devices that are there."""
    monkeypatch.syspath_prepend(FOLDER)
    sleep_cycle = importlib.import_module("edgesim_example.sleep_cycle").SleepCycle
    topology = build(edgesim.Scenario.from_text(TOPOLOGY)).topology
    check_failure_model(sleep_cycle(("a", "b"), 10.0, 4.0), topology)


TOPOLOGY = """
name: two
topology: {devices: [{id: a, profile: phone}, {id: b, profile: phone}], links: [{between: [a, b], bandwidth: 1 Mbit/s}]}
workload: {dataset: digits, model: small-cnn, source: a, sink: a}
strategies: {single: {device: a}}
"""
