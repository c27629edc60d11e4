"""``edgesim run``: from a scenario file to tables, figures and a result folder."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.interrupts import farewell
from edgesim.cli.scenarios.validate import odd_findings

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.text import Text

    from edgesim.report.table import Table
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.folder.store import Result

PLAIN_WIDTH = 100
"""Columns of a table that is not written to a terminal."""
WIDEST = 1000
"""Columns beyond which nobody looks."""
NAME_WIDTH = 32
"""Letters of a name, before it goes on in the next line."""
MARK = "*"
"""Stands before the best values, so that numbers end below each other."""


def run(  # noqa: PLR0917 - typer passes options by name
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Scenario file.", show_default=False)],
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Processes that simulate. Default: one, and after some seconds one per processor."
        ),
    ] = None,
    replications: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="In place of the scenario's number of replications.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="In place of the scenario's seed.")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Result folder. Default: results/NAME of the scenario.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Begin again, or do what is missing of the study that is there.")
    ] = False,
    executor: Annotated[
        str, typer.Option(metavar="KIND", help="Who simulates: local processes, or the workers of a dask scheduler.")
    ] = "local",
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of the Dask scheduler, e.g. tcp://10.0.0.1:8786.")
    ] = None,
    check_invariants: Annotated[
        bool,
        typer.Option("--check-invariants", help="Check every trial while it runs; all are simulated event by event."),
    ] = False,
    allow_code: AllowCode = False,
    is_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON document on stdout and nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress and no tables, only errors.")] = False,
) -> None:
    """Run a scenario: train, simulate every trial, write tables and figures.

    The results are the same with any number of workers. A study that was interrupted goes on where it stopped; one that is
    finished is shown. The exit code is 1 when a strategy gives no answer although nothing is lost.

    \b
    Examples:
      edgesim run scenarios/wearables.yaml
      edgesim run scenarios/wearables.yaml --replications 50 --output results/quick
      edgesim run scenarios/wearables.yaml --json > wearables.json
      edgesim run scenarios/wearables.yaml --check-invariants --output results/checked
    """
    from edgesim.scenario.scenario import Scenario

    check_executor(executor, scheduler)
    scenario = Scenario.load(file, allow_code=allow_code)
    if not quiet:
        for finding in odd_findings(file, scenario):
            sys.stderr.write(f"warning: {finding}\n")

    from edgesim.cli.progress import progress_on_stderr
    from edgesim.interfaces import Silent
    from edgesim.report.run import run_with
    from edgesim.study.run import RunOptions

    command = command_line(file, replications, seed, output, is_checked=check_invariants)
    was_there = finished_before(scenario, output)
    farewell.append(f"what is finished is kept, go on with\n  {command}")
    progress = Silent() if quiet else progress_on_stderr()
    options = RunOptions(workers, output, replications, seed, scheduler, fresh, check_invariants, progress, command)
    result = run_with(scenario, options)
    if was_there and not fresh and not quiet:
        sys.stderr.write(f"{result.folder} was finished before; nothing was simulated (--fresh begins again)\n")
    if is_json:
        json.dump(document(result), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    elif not quiet:
        show(result)
    report_targets(result)
    report_rare(result)
    report_uncounted(result)
    for warning in result.doubts():
        sys.stderr.write(f"warning: {warning}\n")
    silent = report_oddities(result)
    if silent:
        raise typer.Exit(1)


def check_executor(executor: str, scheduler: str | None) -> None:
    """Refuse options that do not go together."""
    if executor not in {"local", "dask"}:
        raise typer.BadParameter(f"{executor!r} is not an executor; expected local or dask", param_hint="--executor")
    if (executor == "dask") != (scheduler is not None):
        raise typer.BadParameter("--executor dask goes with --scheduler ADDRESS", param_hint="--executor")


def finished_before(scenario: Scenario, output: Path | None) -> bool:
    """Return whether the result folder holds a finished study; whether it is this one, and whole, is checked when it is run."""
    from edgesim.errors import ResultError
    from edgesim.study.folder.contents import changed
    from edgesim.study.folder.store import Result

    folder = output or Path("results") / scenario.name
    try:
        return Result(folder).is_complete and not changed(folder)
    except ResultError:
        return False


def command_line(
    file: Path, replications: int | None, seed: int | None, output: Path | None, *, is_checked: bool = False
) -> str:
    """Return the command that repeats the study; the number of workers changes nothing and is left out."""
    options = {"--replications": replications, "--seed": seed, "--output": output}
    given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
    return shlex.join(["edgesim", "run", str(file), *given, *(["--check-invariants"] if is_checked else [])])


def document(result: Result) -> dict[str, Any]:
    """Return what ``--json`` writes: the paths, and the rows of the summary table with null where there is no number."""
    rows = result.summary().to_dict(orient="records")
    return {
        "name": result.manifest["name"],
        "hash": result.manifest["hash"],
        "folder": str(result.folder),
        "files": {entry["name"]: str(result.folder / entry["name"]) for entry in result.manifest["files"]},
        "intact": result.manifest["intact"],
        "warnings": result.doubts(),
        "summary": [{name: None if value != value else value for name, value in row.items()} for row in rows],  # noqa: PLR0124 - NaN
    }


def show(result: Result) -> None:
    """Write the tables and where everything lies."""
    from edgesim.report.html.page import REPORT
    from edgesim.report.table import tables

    console = table_console()
    question = result.manifest["question"]
    if question:
        console.print(question, style="italic", markup=False)
    for table in tables(result):
        console.print()
        draw_table(console, table)
    names = [entry["name"] for entry in result.manifest["files"]]
    figures = [name for name in names if name.endswith((".png", ".svg"))]
    console.print()
    for label, where in (
        ("table", str(result.folder / "summary.csv")),
        ("report", str(result.folder / REPORT)),
        ("figures", ", ".join(str(result.folder / name) for name in figures if name.endswith(".png")) + " (and .svg)"),
        ("folder", str(result.folder)),
    ):
        console.print(f"{label:<8} {where}", soft_wrap=True, markup=False)


def table_console() -> Console:
    """Return a console for tables: as wide as the terminal, and of a fixed width when there is none."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def draw_table(console: Any, table: Table) -> None:
    """Draw one table without vertical lines, so that it can be read when piped; a narrow terminal wraps it, no number is cut."""
    from rich import box
    from rich.measure import Measurement
    from rich.table import Table as RichTable
    from rich.text import Text

    from edgesim.report.draw.style import fold

    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        title=Text(table.title, style="bold"),
        title_justify="left",
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for position, header in enumerate(table.headers):
        is_name = position < table.n_names
        widest = max((len(cells[position]) for cells in table.rows), default=0) + (len(MARK) if table.best else 0)
        drawn.add_column(
            Text(header),
            justify="left" if is_name else "right",
            no_wrap=not is_name,
            min_width=None if is_name else widest,
            overflow="fold",
            vertical="bottom",
        )
    for row, cells in enumerate(table.rows):
        texts = [fold(cell, NAME_WIDTH) if column < table.n_names else cell for column, cell in enumerate(cells)]
        drawn.add_row(*(_cell(text, is_best=(row, column) in table.best) for column, text in enumerate(texts)))
    console.width = max(console.width, Measurement.get(console, console.options.update(width=WIDEST), drawn).minimum)
    console.print(drawn, crop=False)
    notes = [f"{MARK} best in its column, or its interval meets the best's"] if table.best else []
    notes += [table.note] if table.note else []
    if notes:
        console.print(Text("; ".join(notes), style="dim"))


def _cell(text: str, *, is_best: bool) -> Text:
    """Return a cell; the best are bold, and marked for terminals and files that show no bold."""
    from rich.text import Text

    return Text(MARK + text, style="bold") if is_best else Text(text)


def report_targets(result: Result) -> None:
    """Warn on stderr about factor points that reached the most replications before their intervals were narrow enough."""
    stopping = result.stopping()
    missed = stopping[~stopping["is_met"].astype(bool)]
    if len(missed):
        n = f"{int(missed['replications'].iloc[0]):,}"
        sys.stderr.write(
            f"warning: {len(missed)} of {len(stopping)} factor points miss a target of `replications.until` after {n} replications; "
            f"raise `max`, or widen the target{_too_rare(missed)}\n"
        )


def _too_rare(missed: pd.DataFrame) -> str:
    """Return what held a rule back since it did not strike often enough, in words; empty for nothing."""
    found = list(dict.fromkeys(what for some in missed["rare"] for what in some))
    if not found:
        return ""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"; too rare to be judged: {found[0]}{more}; draw it more often with `sampled_at`"


def report_rare(result: Result) -> None:
    """Warn on stderr about what can strike, but so rarely that the replications may not have met it."""
    rare = result.rare()
    if len(rare):
        n_points = len(rare[[*result.factors, "replications"]].astype(str).drop_duplicates())
        n_kinds = len(rare)
        more = f" and {n_kinds - 1} more" if n_kinds > 1 else ""
        sys.stderr.write(
            f"warning: at {n_points} factor point{'s' * (n_points > 1)} the replications may not have met what is rare: "
            f"{rare['what'].iloc[0]} in {int(rare['replications'].iloc[0]):,}{more}. Intervals allow for whatever it does, or have no bound "
            "(the manifest's `rare` has all); raise `replications`, or draw it more often with `sampled_at`\n"
        )


def report_uncounted(result: Result) -> None:
    """Warn on stderr about factor points at which no request counts."""
    table = result.summary()
    requests = table[table["metric"] == "requests"]
    n_without = int((requests["mean"] == 0).sum())
    if n_without:
        sys.stderr.write(
            f"warning: no request counts in {n_without} of {len(requests)} rows of the table: none was released after the warm-up; "
            "shorten `workload.load.warm_up`, or ask for more requests\n"
        )


def report_oddities(result: Result) -> list[str]:
    """Warn on stderr about strategies that do not do their work when nothing is lost; return those without an answer."""
    silent: list[str] = []
    warned: set[str] = set()
    for entry in result.manifest["intact"]:
        strategy, outcome = entry["strategy"], entry["outcome"]
        if outcome == "completed" or strategy in warned:
            continue
        warned.add(strategy)
        place = ", ".join(f"{name} = {entry[name]}" for name in result.factors)
        where = f" at {place}" if place else ""
        if outcome == "degraded":
            text = (
                "goes on without inputs that come after its deadline, although nothing is lost; lengthen its deadline"
            )
        else:
            silent.append(strategy)
            text = f"gives no answer ({outcome}), although nothing is lost; look at the deadline of the workload"
        sys.stderr.write(f"warning: strategy {strategy!r}{where} {text}\n")
    return silent
