"""`edgesim new`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from edgesim.cli.scenarios.new import new
from edgesim.errors import ScenarioError, UnknownNameError
from edgesim.registry import STRATEGIES
from edgesim.scenario.build import build
from edgesim.scenario.help.starter import kinds_for
from edgesim.scenario.scenario import Scenario
from edgesim.scenario.topology.shapes import SHAPES

NAMES = [name for name in STRATEGIES.names() if not kinds_for(name) or "images of one class each" in kinds_for(name)]


def write(path: Path, topology: str = "star", strategies: str = "single,modnn,nonn", *, force: bool = False) -> Path:
    """Write a starter as the command does."""
    new(path, topology, strategies, force)
    return path


@pytest.mark.parametrize("topology", list(SHAPES))
def test_every_starter_is_valid(topology: str, tmp_path: Path) -> None:
    """With all strategies that are for images of one class; the hub takes part, and the file says how to go on."""
    path = write(tmp_path / f"{topology}.yaml", topology, ",".join(NAMES))
    scenario = Scenario.load(path)
    assert set(scenario.strategies) == set(NAMES)
    assert "hub" in build(scenario).topology.device_of
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=scenario.schema.json\n")
    assert (tmp_path / "scenario.schema.json").is_file()
    assert max(map(len, text.split("\n"))) < 140


def test_a_strategy_for_other_samples_is_refused(tmp_path: Path) -> None:
    """The file would not be valid, so none is written."""
    with pytest.raises(
        ScenarioError, match="'reservoirs' is for graphs, and the scenario to start from is about images"
    ):
        write(tmp_path / "one.yaml", "star", "single,reservoirs")
    assert not list(tmp_path.iterdir())


def test_a_starter_runs(tmp_path: Path) -> None:
    """From `new` to tables; less training here, so that it is quick."""
    path = write(tmp_path / "quick.yaml", "line", "single,modnn")
    path.write_text(path.read_text(encoding="utf-8").replace("epochs: 20", "epochs: 1"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "edgesim", "run", str(path), "--replications", "2", "--workers", "1", "--output", str(tmp_path / "out")],
        capture_output=True, text=True, check=False, timeout=300, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "summary.csv").is_file()


def test_a_file_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    """Work of hours may be in it."""
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine", encoding="utf-8")
    with pytest.raises(typer.BadParameter, match="--force"):
        write(path)
    assert path.read_text(encoding="utf-8") == "name: mine"
    assert Scenario.load(write(path, force=True)).name == "mine"


def test_unknown_choices_name_the_nearest(tmp_path: Path) -> None:
    """And nothing is written."""
    for topology, strategies, near in (("girds", "single", "grid"), ("star", "nonnn", "nonn")):
        with pytest.raises(UnknownNameError) as caught:
            write(tmp_path / "x.yaml", topology, strategies)
        assert caught.value.nearest == near
    assert list(tmp_path.iterdir()) == []


def test_odd_file_names_give_usable_scenario_names(tmp_path: Path) -> None:
    """Spaces and signs become dashes."""
    assert Scenario.load(write(tmp_path / "my first study!.yaml")).name == "my-first-study"


def test_the_commands_in_the_file_name_it(tmp_path: Path) -> None:
    """Quoted where a shell needs it."""
    text = write(tmp_path / "my study.yml").read_text(encoding="utf-8")
    assert "edgesim run 'my study.yml'" in text
    assert "name: my-study " in text


def test_strategies_are_written_once_and_must_be_some(tmp_path: Path) -> None:
    """A file without one would not be valid."""
    assert list(Scenario.load(write(tmp_path / "a.yaml", "star", "single,single")).strategies) == ["single"]
    with pytest.raises(ScenarioError, match="at least one strategy"):
        write(tmp_path / "b.yaml", "star", " , ")
    with pytest.raises(typer.BadParameter, match="is a folder"):
        write(tmp_path)
    assert not (tmp_path / "b.yaml").exists()


def test_every_option_has_a_comment_that_says_something(tmp_path: Path) -> None:
    """Of more than one word."""
    text = write(tmp_path / "all.yaml", "grid", ",".join(NAMES)).read_text(encoding="utf-8")
    part = text[text.index("\nstrategies:") : text.index("# What goes wrong")]
    comments = [line.partition(" # ")[2] for line in part.split("\n") if line.startswith("    ")]
    assert len(comments) > 12
    assert all(len(comment.split()) > 2 for comment in comments), comments
