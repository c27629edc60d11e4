"""`edgesim explain`: what a name means."""

from __future__ import annotations

import shutil
import textwrap
from typing import Annotated

import typer


def explain(
    topic: Annotated[
        str | None, typer.Argument(metavar="TOPIC", help="A name; without it, all topics.", show_default=False)
    ] = None,
) -> None:
    """Explain a strategy, failure model, data set, model, metric, error or key: what it is, formula, validity, source.

    \b
    Examples:
      edgesim explain
      edgesim explain nonn
      edgesim explain latency_p95
      edgesim explain InfeasiblePlanError
    """
    from edgesim.scenario.help.topics import find, topics

    width = min(shutil.get_terminal_size((100, 40)).columns, 110)
    if topic is None:
        for kind, names in topics().items():
            typer.echo(kind)
            typer.echo(textwrap.fill(", ".join(names), width, initial_indent="  ", subsequent_indent="  "))
        return
    blocks = []
    for entry in find(topic):
        lines = [f"{entry.name} ({entry.kind})", "", *_paragraphs(entry.text, width)]
        for title, text in entry.sections.items():
            lines += ["", title, *_paragraphs(text, width, indent="  ")]
        blocks.append("\n".join(lines))
    typer.echo("\n\n".join(blocks))


def _paragraphs(text: str, width: int, indent: str = "") -> list[str]:
    """Fill each paragraph; lines that are indented or are items keep their line breaks."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        if lines:
            lines.append("")
        rows = paragraph.split("\n")
        if any(row.startswith(("  ", ">>>", "- ")) for row in rows):
            for row in rows:
                lines += textwrap.wrap(row, width, initial_indent=indent, subsequent_indent=indent + "    ") or [""]
        else:
            lines += textwrap.wrap(" ".join(rows), width, initial_indent=indent, subsequent_indent=indent)
    return lines
