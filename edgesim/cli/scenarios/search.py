"""``edgesim search``: the strategy and the choices that are best for the goals of a scenario."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.exit_codes import DONE, WRONG_INPUT
from edgesim.cli.scenarios.at import At, point_of

if TYPE_CHECKING:
    from edgesim.study.search.search import Searched


def search(
    file: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)],
    at: At = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the search; by default results/NAME-search.")
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write all candidates to stdout as JSON.")] = False,
) -> None:
    """Find the strategy and the choices that are best for the goals of a scenario.

    The scenario says under `search:` what may be chosen, and by which metrics candidates are compared. All are looked at where they
    are few, else those that Optuna chooses; each stops as soon as it is surely beaten. The folder has all of them in search.json, the
    Pareto figure, and their trials: the same command goes on after an interruption, and with more choices. Exit code 2 when no
    candidate is feasible.

    \b
    Examples:
      edgesim search study.yaml
      edgesim search study.yaml --at lost_devices=4 --json
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.report.searched.folder import searched_into
    from edgesim.scenario.scenario import Scenario

    scenario = Scenario.load(file, allow_code=allow_code)
    folder = output or Path("results") / f"{scenario.name}-search"
    found = searched_into(folder, scenario, point_of(scenario, at or ()), progress_on_stderr())
    if is_json:
        from edgesim.report.searched.table import document

        json.dump(document(found), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        _show(found)
        typer.echo(f"\nall candidates: {folder / 'search.json'}; figure: {folder / 'pareto.png'}", err=True)
    raise typer.Exit(WRONG_INPUT if found.best is None else DONE)


def _show(found: Searched) -> None:
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.searched.table import candidates_table, certificate_table, sentence, why_not

    console = table_console()
    console.print(sentence(found), markup=False)
    console.print()
    for table in (candidates_table(found), certificate_table(found)):
        if table is not None and table.rows:
            draw_table(console, table)
            console.print()
    for line in why_not(found):
        console.print(line, markup=False)
