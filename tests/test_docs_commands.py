"""Every command line, scenario and text of YAML that the documentation shows is one that edgesim takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import edgesim
from edgesim.scenario.schema import ScenarioSpec
from edgesim.scenario.text.yaml import read_text
from tests.contributing.command_line import group

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(path: Path) -> list[list[str]]:
    """Return the words after `edgesim` of every such line, without comments and what the shell does with the output."""
    text = "\n".join(blocks(path, "console")).replace("\\\n", " ")
    lines = [
        shlex.split(line, comments=True) for line in text.splitlines() if line.startswith(("edgesim ", "$ edgesim "))
    ]
    return [words[words.index("edgesim") + 1 :] for words in map(until_shell, lines)]


def until_shell(words: list[str]) -> list[str]:
    ends = [place for place, word in enumerate(words) if word in {">", "|", "&&", ";", "||"}]
    return words[: min(ends, default=len(words))]


def parse(words: list[str]) -> None:
    """Parse a command line as edgesim does, and run nothing."""
    command: Any = group()
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    if words and not words[0].startswith("-") and hasattr(command, "commands"):
        raise LookupError(f"No such command {words[0]}")
    command.make_context("edgesim", list(words), parent=typer.Context(command))


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_commands_are_those_of_edgesim(page: Path) -> None:
    """With their arguments and options."""
    for words in commands(page):
        parse(words)


def test_every_command_is_in_a_block_that_is_parsed() -> None:
    """One in a block of no language, or of another, would never be. The page of commands shows their forms, made from them."""
    found = []
    for path in [page for page in PAGES if page.name != "commands.md"]:
        language: str | None = None
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("```"):
                language = line[3:] if language is None else None
            elif language not in {None, "console"} and line.startswith(("edgesim ", "$ edgesim ")):
                found.append(f"{path.name}: {line}")
    assert found == []


@pytest.mark.parametrize("line", ["simulate study.yaml", "run study.yaml --wrokers 2", "run", "results show a b"])
def test_a_command_or_option_that_is_not_there_is_seen(line: str) -> None:
    with pytest.raises(Exception, match=r"No such|Missing|unexpected"):
        parse(line.split())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")], ids=lambda page: page.stem)
def test_yaml_is_read(page: Path, tmp_path: Path) -> None:
    """A whole scenario is valid; one on top of another has keys of the first level. Those with files have tests of their own."""
    for text in blocks(page, "yaml"):
        data = read_text(text, page.name, tmp_path).data
        is_whole = bool(data) and {"topology", "workload", "strategies"} <= set(data)
        if is_whole and "plugins" not in data and "file" not in data["topology"]:
            assert edgesim.Scenario.from_text(text).name
        elif "name" in (data or {}):
            assert set(data) <= {*ScenarioSpec.model_fields, "extends"}, page
