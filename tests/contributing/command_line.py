"""The commands with what `--help` says of each, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from edgesim.cli.main import app


def group() -> Any:
    """Return the command `edgesim`, with all others in it."""
    return typer.main.get_command(app)


def commands() -> str:
    """Return a section for each command: what it does, its usage, arguments and options, and its examples."""
    whole = group()
    return (
        "\n\n".join(text for name, one in whole.commands.items() for text in _sections(f"edgesim {name}", one)) + "\n"
    )


def _sections(name: str, command: Any, level: int = 2) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    text, examples = _said(command.help or "")
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield "\n\n".join([f"{'#' * level} {name}", text, f"```text\n{usage}\n```", *_options(command, context), *examples])
    for inner, one in getattr(command, "commands", {}).items():
        yield from _sections(f"{name} {inner}", one, level + 1)


def _said(text: str) -> tuple[str, list[str]]:
    """Return the paragraphs of a help text, and the block of its examples if there is one."""
    prose, _, examples = text.partition("\b\nExamples:\n")
    block = "\n".join(line.strip() for line in examples.strip().splitlines())
    paragraphs = "\n\n".join(re.sub(r"\s+", " ", one).strip() for one in prose.split("\n\n"))
    return _escaped(paragraphs).strip(), [f"```console\n{block}\n```"] if block else []


def _options(command: Any, context: Any) -> list[str]:
    records = [one.get_help_record(context) for one in command.get_params(context)]
    rows = [f"| `{_cell(record[0])}` | {_cell(_escaped(record[1]))} |" for record in records if record]
    rows = [row for row in rows if "--help`" not in row]
    return ["\n".join(["| argument or option | what it is |", "|---|---|", *rows])] if rows else []


def _escaped(text: str) -> str:
    """Return a text whose signs are not taken for those of Markdown, but for code between backticks."""
    parts = text.split("`")
    return "`".join(one if i % 2 else re.sub(r"([*_<>\[\]])", r"\\\1", one) for i, one in enumerate(parts))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
