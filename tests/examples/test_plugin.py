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
from edgesim.domain.system.topology import Topology
from edgesim.errors import PlanError
from edgesim.nn.models.zoo import MLP
from edgesim.nn.train.cache import FOLDER_VARIABLE
from edgesim.nn.train.sound import check_dataset
from edgesim.scenario.build import build
from edgesim.testing import check_failure_model, check_strategy, check_task, deployment_context

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


@pytest.fixture
def topology() -> Topology:
    """Two devices and the links between them."""
    return build(edgesim.Scenario.from_text(TOPOLOGY)).topology


def test_its_failure_model_passes_our_checks(topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn from streams of its own; devices that are not there are refused."""
    monkeypatch.syspath_prepend(FOLDER)
    sleep_cycle = importlib.import_module("edgesim_example.sleep_cycle").SleepCycle
    check_failure_model(sleep_cycle(("a", "b"), 10.0, 4.0), topology)
    with pytest.raises(PlanError, match="there is no device c"):
        sleep_cycle(("a", "c"), 10.0, 4.0).check(topology)


def test_its_strategy_and_data_set_pass_our_checks(topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything delivered, the answers are those of the network."""
    monkeypatch.syspath_prepend(FOLDER)
    dataset = importlib.import_module("edgesim_example.wine").Wine().load()
    check_dataset(dataset)
    check_task(dataset.task, dataset.test.targets)
    network = MLP((4,)).build(dataset.inputs, dataset.task.output).eval()
    context = deployment_context(network, dataset, topology, source_id="a", sink_id="a")
    check_strategy(importlib.import_module("edgesim_example.offload").Offload("b"), context)


TOPOLOGY = """
name: two
topology: {devices: [{id: a, profile: phone}, {id: b, profile: phone}], links: [{between: [a, b], bandwidth: 1 Mbit/s}]}
workload: {dataset: digits, model: small-cnn, source: a, sink: a}
strategies: {single: {device: a}}
"""
