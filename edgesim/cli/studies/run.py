"""``edgesim run``: from a scenario file to tables, figures and a result folder."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.exit_codes import INCOMPLETE
from edgesim.cli.interrupts import farewell
from edgesim.cli.scenarios.validate import odd_findings
from edgesim.cli.tables import draw_table, table_console

if TYPE_CHECKING:
    from edgesim.report.said.shown import Shown
    from edgesim.study.folder.store import Result


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
    is_reported: Annotated[
        bool,
        typer.Option(
            "--report/--no-report",
            help="Draw figures and write the report, or leave that to `edgesim report` and `edgesim plot`.",
        ),
    ] = True,
    allow_code: AllowCode = False,
    is_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON document on stdout and nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress and no tables, only errors.")] = False,
) -> None:
    """Run a scenario: train, simulate every trial, write tables and figures.

    The results are the same with any number of workers. A study that was interrupted goes on where it stopped; one that is
    finished is shown. The exit code is 1 when a strategy gives no answer although nothing is lost, or does not fit the memory somewhere; 2 when none
    fits anywhere.

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
    from edgesim.report.said.shown import shown_in
    from edgesim.study.folder.manifest_file import MANIFEST
    from edgesim.study.options import RunOptions

    command = command_line(file, replications, seed, output, is_checked=check_invariants)
    farewell.append(f"what is finished is kept, go on with\n  {command}")
    progress = Silent() if quiet else progress_on_stderr()
    options = RunOptions(workers, output, replications, seed, scheduler, fresh, check_invariants, progress, command)
    scenario = options.applied_to(scenario)  # as warnings are about it
    manifest = options.folder_of(scenario) / MANIFEST
    written = when_written(manifest)
    result = run_with(scenario, options, report=is_reported)
    if written == when_written(manifest) and not quiet:
        sys.stderr.write(f"{result.folder} was finished before; nothing was simulated (--fresh begins again)\n")
    shown = shown_in(result, scenario)
    if is_json:
        json.dump(document(result, shown), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    elif not quiet:
        show(result, shown)
    said = [*(("warning", text) for text in shown.warnings), *(("hint", text) for text in shown.hints if not quiet)]
    sys.stderr.writelines(f"{kind}: {text}\n" for kind, text in said)
    if shown.is_incomplete:
        raise typer.Exit(INCOMPLETE)


def check_executor(executor: str, scheduler: str | None) -> None:
    """Refuse options that do not go together."""
    if executor not in {"local", "dask"}:
        raise typer.BadParameter(f"{executor!r} is not an executor; expected local or dask", param_hint="--executor")
    if (executor == "dask") != (scheduler is not None):
        raise typer.BadParameter("--executor dask goes with --scheduler ADDRESS", param_hint="--executor")


def when_written(path: Path) -> int | None:
    """Return when a file was written, in ns, or None where there is none: a study that was finished before leaves its manifest as it is."""
    return path.stat().st_mtime_ns if path.exists() else None


def command_line(
    file: Path, replications: int | None, seed: int | None, output: Path | None, *, is_checked: bool = False
) -> str:
    """Return the command that repeats the study; the number of workers changes nothing and is left out."""
    options = {"--replications": replications, "--seed": seed, "--output": output}
    given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
    return shlex.join(["edgesim", "run", str(file), *given, *(["--check-invariants"] if is_checked else [])])


def document(result: Result, shown: Shown) -> dict[str, Any]:
    """Return what ``--json`` writes: the paths, and the rows of the summary table with null where there is no number."""
    rows = result.summary().to_dict(orient="records")
    return {
        "name": result.manifest["name"],
        "hash": result.manifest["hash"],
        "folder": str(result.folder),
        "files": {entry["name"]: str(result.folder / entry["name"]) for entry in result.manifest["files"]},
        "intact": result.manifest["intact"],
        "answer": shown.answer,
        "infeasible": result.manifest["infeasible"],
        "warnings": result.doubts(),
        "summary": [{name: None if value != value else value for name, value in row.items()} for row in rows],  # noqa: PLR0124 - NaN
    }


def show(result: Result, shown: Shown) -> None:
    """Write the tables and where everything lies."""
    from edgesim.report.texts import REPORT

    console = table_console()
    question = result.manifest["question"]
    if question:
        console.print(question, style="italic", markup=False)
    if shown.answer:
        console.print(shown.answer, markup=False)
    for table in shown.tables:
        console.print()
        draw_table(console, table)
    names = [entry["name"] for entry in result.manifest["files"]]
    figures = [name for name in names if name.endswith((".png", ".svg"))]
    console.print()
    pictures = ", ".join(str(result.folder / name) for name in figures if name.endswith(".png"))
    for label, where in (
        ("table", str(result.folder / "summary.csv")),
        *([("report", str(result.folder / REPORT))] if REPORT in names else []),
        *([("figures", f"{pictures} (and .svg)")] if pictures else []),
        ("folder", str(result.folder)),
    ):
        console.print(f"{label:<8} {where}", soft_wrap=True, markup=False)
