"""Folders that options of plug-ins name start at the file in which they stand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgesim.scenario.files.places import portable
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario

BASE = """
name: base
topology: {star: {count: 2, profile: wearable, bandwidth: 10 Mbit/s}}
workload: {dataset: {type: image-folder, folder: shapes, size: [8, 8]}, model: small-cnn, source: hub, sink: hub}
strategies: {single: {device: hub}}
"""
OWN = """
extends: ../library/base.yaml
name: own
sweep: {set: {path: workload.dataset.folder, values: [other, ../library/shapes]}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library with a scenario and its pictures, and a scenario in another folder that extends it; the current folder is elsewhere."""
    project = tmp_path / "project"
    (project / "library" / "shapes" / "train" / "square").mkdir(parents=True)
    (project / "library" / "shapes" / "train" / "square" / "1.png").write_bytes(b"1")
    (project / "library" / "base.yaml").write_text(BASE)
    (project / "own" / "other").mkdir(parents=True)
    (project / "own" / "own.yaml").write_text(OWN)
    monkeypatch.chdir("/")
    return project


def test_a_folder_starts_at_the_file_in_which_it_stands(project: Path) -> None:
    """Also through `extends:`, and as a value of a factor."""
    scenario = Scenario.load(project / "own" / "own.yaml")
    shapes, other = str(project / "library" / "shapes"), str(project / "own" / "other")
    assert scenario.workload.dataset.folder == shapes
    assert scenario.sweep["set"].values == (other, shapes)
    assert scenario.at({"set": other}).workload.dataset.folder == other


def test_a_resolved_scenario_may_be_moved_together_with_what_it_names(project: Path, tmp_path: Path) -> None:
    """In a result folder it names folders from there; it is the same scenario."""
    scenario = Scenario.load(project / "own" / "own.yaml")
    before = scenario.hash()
    folder = project / "own" / "results" / "own"
    folder.mkdir(parents=True)
    (folder / "scenario.yaml").write_text(json.dumps(portable(Scenario, scenario.resolved(), folder)))
    moved = tmp_path / "elsewhere" / "deeper"
    shutil.move(project, moved)
    again = Scenario.load(moved / "own" / "results" / "own" / "scenario.yaml")
    assert again.workload.dataset.folder == str(moved / "library" / "shapes")
    assert again.sweep["set"].values == (str(moved / "own" / "other"), str(moved / "library" / "shapes"))
    assert again.hash() == before


def test_the_hash_knows_what_is_in_a_folder_and_not_where_it_lies(project: Path, tmp_path: Path) -> None:
    """So that a study goes on when it was moved, and not with other pictures."""
    before = Scenario.load(project / "library" / "base.yaml").hash()
    moved = tmp_path / "elsewhere"
    shutil.move(project / "library", moved)
    assert Scenario.load(moved / "base.yaml").hash() == before
    (moved / "shapes" / "train" / "square" / "2.png").write_bytes(b"2")
    assert Scenario.load(moved / "base.yaml").hash() != before


def test_a_folder_that_is_not_there_is_a_warning(project: Path) -> None:
    """A study needs it; a scenario may be written elsewhere."""
    assert oddities(Scenario.load(project / "own" / "own.yaml")) == []
    (project / "own" / "other").rmdir()
    (odd,) = oddities(Scenario.load(project / "own" / "own.yaml"))
    assert odd.path == ("sweep", "set", "values", 0)
    assert odd.message == f"there is no folder {str(project / 'own' / 'other')!r}"
