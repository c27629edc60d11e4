"""``edgesim bound``: what perfect students would keep, before any is trained."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.code import AllowCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.study.preparation.bounds import BoundRow


def bound(
    file: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)],
    strategy: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only this strategy; may be given several times.")
    ] = None,
    graph: Annotated[
        str, typer.Option(metavar="NAME", help="Filter graph that all partitioners divide; see edgesim list.")
    ] = "co-activation",
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write the rows to stdout as JSON.")] = False,
) -> None:
    """Show what perfect students would keep when some are lost: students that say what the teacher's own filters say.

    One pass through the teacher; no student is trained. For the strategies of the scenario that divide filters, and for every
    partitioner with as many parts as students, half and a quarter of them. A lost part is zeros. Values are means over all sets
    of lost devices of one size, on the test split. The teacher is trained, or taken from the cache.

    \b
    Examples:
      edgesim bound scenarios/resilience-digits.yaml
      edgesim bound scenarios/resilience-digits.yaml --strategy nonn --graph activation-hubs --json
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.preparation.bounds import bounds

    rows = bounds(Scenario.load(file, allow_code=allow_code), strategy or (), graph, progress_on_stderr())
    if is_json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    for title, some in (
        ("Strategies of the scenario", [row for row in rows if row.label]),
        (f"Every partitioner, graph {graph}", [row for row in rows if not row.label]),
    ):
        _show(title, some)


def _show(title: str, rows: Sequence[BoundRow]) -> None:
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.table import Table

    first = rows[0].bound if rows else None
    if first is None:
        return
    console = table_console()
    headers = ("students", "M", "dropped", *("0 lost" if not lost else str(lost) for lost in range(len(first.by_lost))))
    cells = tuple(
        (
            row.label or row.partitioner,
            str(row.parts),
            str(row.dropped),
            *(f"{value:.3f}" for value in row.bound.by_lost),
        )
        for row in rows
    )
    note = f"{first.score} of the test split; teacher {first.teacher:.3f}"
    draw_table(console, Table(title, headers, cells, note=note))
    console.print()
