"""`edgesim show`."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from edgesim.cli.scenarios.show import show
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario

WEARABLES = Path(__file__).parents[2] / "scenarios" / "wearables.yaml"
SIGNS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("kind", list(SIGNS))
def test_pictures_of_every_format(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The suffix says which."""
    path = tmp_path / f"topology.{kind}"
    show(WEARABLES, path, None)
    assert path.read_bytes().startswith(SIGNS[kind])
    assert capsys.readouterr().out == f"{path}: 9 devices, 16 links\n"


def test_without_a_name_it_is_that_of_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the working directory."""
    monkeypatch.chdir(tmp_path)
    show(WEARABLES, None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["wearables-topology.png"]


def test_an_exported_topology_is_read_again(tmp_path: Path) -> None:
    """The same devices and links."""
    graph = tmp_path / "lab.graphml"
    show(WEARABLES, None, graph)
    scenario = tmp_path / "again.yaml"
    scenario.write_text(
        "name: again\ntopology: {file: lab.graphml}\n"
        "workload: {dataset: digits, model: small-cnn, source: hub, sink: hub}\nstrategies: {single: }\n",
        encoding="utf-8",
    )
    assert build(Scenario.load(scenario)).topology == build(Scenario.load(WEARABLES)).topology


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(typer.BadParameter, match=r"\.png, \.svg, \.pdf"):
        show(WEARABLES, tmp_path / "x.gif", None)
