"""A scenario may name code, but nothing of it runs before its user allows it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.domain.networks.samples import inputs_of
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import ScenarioError
from edgesim.nn.train.cache import FOLDER_VARIABLE
from edgesim.registry import STRATEGIES
from edgesim.scenario.code import permission
from edgesim.scenario.scenario import Scenario

PLUGIN = """
from dataclasses import dataclass
from pathlib import Path
from edgesim.registry import STRATEGIES
from edgesim.strategies.single import Single

Path("was_run").touch()

@STRATEGIES.register("mine")
@dataclass(frozen=True)
class Mine(Single):
    '''Mine.'''
    factor: int = {}
"""
NETWORK = "from pathlib import Path\nfrom torch import nn\nPath('was_run').touch()\nclass Net(nn.Linear): pass\n"
COMMANDS = [["validate"], ["validate", "--deep"], ["show"], ["plan"], ["train"], ["run", "-q"]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with a cache of its own; what is registered in it is forgotten afterwards."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(permission, "_allowed", set())
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    forget()
    sys.path[:] = path


def forget() -> None:
    """Be like a new process."""
    if "mine" in STRATEGIES.names():
        STRATEGIES.remove("mine")
    sys.modules.pop("my_allowed", None)
    permission._allowed.clear()


def written(folder: Path, small: dict[str, Any]) -> Path:
    (folder / "my_allowed.py").write_text(PLUGIN.format(1), encoding="utf-8")
    small |= {"plugins": ["my_allowed.py"], "strategies": {"mine": {"device": "hub"}}}
    (folder / "own.yaml").write_text(json.dumps(small, indent=1), encoding="utf-8")
    return folder / "own.yaml"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["plug-in", "network"])
def test_no_command_runs_code_unasked(command: list[str], kind: str, folder: Path, small: dict[str, Any]) -> None:
    """Not of plug-ins and not of networks; the message names the flag."""
    path = written(folder, small)
    if kind == "network":
        (folder / "my_allowed.py").write_text(NETWORK, encoding="utf-8")
        small |= {"plugins": [], "strategies": {"single": {"device": "hub"}}}
        small["workload"]["model"] = {"type": "import", "target": "my_allowed:Net", "filters": "last"}
        path.write_text(json.dumps(small, indent=1), encoding="utf-8")
    result = CliRunner().invoke(app, [command[0], str(path), *command[1:]])
    text = result.output + str(result.exception)
    assert "is code, which runs only when you allow it" in text
    assert "--allow-code" in text
    assert not (folder / "was_run").exists()
    assert "my_allowed" not in sys.modules


def test_what_was_allowed_once_is_remembered_until_it_changes(folder: Path, small: dict[str, Any]) -> None:
    """One flag once; another content, another place and another process."""
    path = written(folder, small)
    with pytest.raises(ScenarioError, match="allow_code=True"):
        Scenario.load(path)
    scenario = Scenario.load(path, allow_code=True)
    assert scenario.at({"lost_devices": 1}).strategies["mine"].factor == 1
    forget()
    assert Scenario.load(path) == Scenario.from_data(scenario.resolved())
    forget()
    (folder / "my_allowed.py").write_text(PLUGIN.format(2), encoding="utf-8")
    with pytest.raises(ScenarioError, match="runs only when you allow it"):
        Scenario.load(path)
    (folder / "my_allowed.py").write_text(PLUGIN.format(1), encoding="utf-8")
    assert Scenario.load(path).strategies["mine"].factor == 1
    forget()
    (folder / "elsewhere").mkdir()
    with pytest.raises(ScenarioError, match="runs only when you allow it"):
        Scenario.load(written(folder / "elsewhere", small))


def test_it_may_run_where_nothing_can_be_remembered(
    folder: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For this process."""
    (folder / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder / "file"))
    scenario = Scenario.load(written(folder, small), allow_code=True)
    assert Scenario.from_data(scenario.resolved()) == scenario
    forget()
    with pytest.raises(ScenarioError, match="runs only when you allow it"):
        Scenario.load(folder / "own.yaml")


def test_all_else_is_checked(folder: Path, small: dict[str, Any]) -> None:
    """Names that the code may register are no mistakes; mistakes beside them are found, and say what the exit code is."""
    path = written(folder, small)
    small["sweep"]["factor"] = {"path": "strategies.mine.factor", "values": [1, 2]}
    path.write_text(json.dumps(small, indent=1), encoding="utf-8")
    result = CliRunner().invoke(app, ["validate", str(path)], catch_exceptions=False)
    assert result.exit_code == 1
    assert "not checked, since it may be one of the code that did not run: unknown strategy 'mine'" in result.stdout
    assert result.stdout.endswith("no mistake found, but what the code above makes or names could not be checked\n")
    assert "no such path" not in result.stdout
    small["workload"]["source"] = "hbu"
    path.write_text(json.dumps(small, indent=1), encoding="utf-8")
    result = CliRunner().invoke(app, ["validate", str(path)], catch_exceptions=False)
    assert result.exit_code == 2
    assert "unknown device 'hbu'" in result.stdout
    assert result.stderr == "1 finding in 1 file\n"
    found = json.loads(CliRunner().invoke(app, ["validate", str(path), "--json"]).stdout)[0]["findings"]
    assert sorted(one["is_unchecked"] for one in found) == [False, True, True]
    small["workload"]["source"] = "hub"
    path.write_text(json.dumps(small, indent=1), encoding="utf-8")
    assert CliRunner().invoke(app, ["validate", str(path), "--allow-code"], catch_exceptions=False).exit_code == 0


@pytest.mark.parametrize(
    "target", ["subprocess:getoutput", "os:system", "builtins:eval", "torch:load", "torch.nn:Moduel"]
)
def test_only_networks_are_made(target: str, folder: Path, small: dict[str, Any]) -> None:
    """Also where code is allowed: a callable is no subclass of torch.nn.Module."""
    from edgesim.errors import DataError

    model = {"type": "import", "target": target, "filters": "x", "options": {"cmd": "touch was_run"}}
    small["workload"]["model"] = model
    with pytest.raises(ScenarioError, match="runs only when you allow it"):
        Scenario.from_data(small)
    scenario = Scenario.from_data(small, allow_code=True)
    with pytest.raises(DataError, match=r"no subclass of torch\.nn\.Module|cannot be imported"):
        scenario.workload.model.build(inputs_of((1, 8, 8)), TensorSpec((10,)))
    assert not (folder / "was_run").exists()


def test_code_is_found_wherever_it_is_named(folder: Path, small: dict[str, Any]) -> None:
    """As a module, in a student, and as a value of a factor."""
    network = {"type": "import", "target": "a.b:Net", "filters": "last"}
    small["plugins"] = ["this"]
    small["strategies"] = {"nonn": {"students": 3, "merger": "hub", "student": network}}
    small["workload"]["model"] = network | {"target": "c:Net"}
    small["sweep"] = {"net": {"path": "workload.model.target", "values": ["c:Net", "d:Net"]}}
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_data(small)
    named = {(".".join(map(str, one.path))) for one in caught.value.findings if one.is_unchecked}
    assert named == {"plugins.0", "strategies.nonn.student.target", "workload.model.target", "sweep.net.values.1"}
    assert "this" not in sys.modules


def test_texts_that_control_a_terminal_are_refused(folder: Path, small: dict[str, Any]) -> None:
    """Wherever they stand; the message shows them written out."""
    small["question"] = "what \x1b]0;now\x07?"
    small["topology"]["devices"][0]["id"] = "hub\u202e"
    (folder / "own.yaml").write_text(json.dumps(small), encoding="utf-8")
    result = CliRunner().invoke(app, ["validate", "own.yaml"], catch_exceptions=False)
    assert result.exit_code == 2
    assert result.stdout.count("here are characters that are not printable") == 2
    assert "\x1b" not in result.output
