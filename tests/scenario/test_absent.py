"""What is not there is said by plain `validate`, which reads no data and runs no code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgesim.nn.data.folders import FOLDER_VARIABLE
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario


def absent(small: dict[str, Any], **workload: Any) -> list[str]:
    """What is odd about the workload."""
    small["workload"] = {**small["workload"], **workload}
    found = oddities(Scenario.from_data(small, allow_code=True))
    return [problem.message for problem in found if problem.path[0] == "workload"]


def test_a_data_set_that_is_not_there(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its message says where it was looked for; one that is there is not complained of."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    (message,) = absent(small, dataset="cifar-100")
    assert "data set cifar-100 is not there" in message
    assert str(tmp_path) in message
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / name).touch()
    assert absent(small, dataset="cifar-100") == []
    assert absent(small, dataset="digits") == []


def test_a_network_that_is_not_there(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A module, or a class in it; the file is only parsed, so that it may do what it likes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "absent_networks.py").write_text("raise SystemExit\nclass Net: ...\nfrom torch import nn as other\n")
    for target, message in (
        ("absent_module:Net", "there is no module 'absent_module'"),
        ("absent_networks.deeper:Net", "there is no module 'absent_networks.deeper'"),
        ("absent_networks:Nett", "the module has no 'Nett'"),
    ):
        assert absent(small, model={"type": "import", "target": target}) == [f"model {target!r}: {message}"]
    for name in ("Net", "other"):
        assert absent(small, model={"type": "import", "target": f"absent_networks:{name}"}) == []
    assert "absent_networks" not in sys.modules
