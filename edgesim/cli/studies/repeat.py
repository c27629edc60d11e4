"""``edgesim repeat``: runs a finished study once more, in another folder, and compares the bytes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.exit_codes import INCOMPLETE

if TYPE_CHECKING:
    from edgesim.study.folder.store import Result


def repeat(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Result folder of `edgesim run`.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Where to repeat it. Default: RESULT-repeated.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Processes that simulate.")] = None,
    allow_code: AllowCode = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")] = False,
) -> None:
    """Repeat a finished study from its result folder alone, in another folder, and say whether all tables and trials have the same bytes.

    Data sets and files of networks or plug-ins that the scenario names have to be where `scenario.yaml` of the result says. The exit code
    is 1 when a byte differs; releases of packages that differ are named.

    \b
    Examples:
      edgesim repeat results/wearables
      edgesim repeat results/wearables --output /tmp/again
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.errors import ResultError
    from edgesim.interfaces import Silent
    from edgesim.report.run import run_with
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.folder.names import SCENARIO
    from edgesim.study.folder.store import Result
    from edgesim.study.options import RunOptions

    first = Result(result)
    first.check()
    folder = output or result.with_name(f"{result.absolute().name}-repeated")
    if folder.resolve() == result.resolve():
        raise ResultError(f"{folder} is the result itself; repeat it elsewhere with --output")
    scenario = Scenario.load(result / SCENARIO, allow_code=allow_code)
    progress = Silent() if quiet else progress_on_stderr()
    is_checked = bool(first.manifest.get("invariants"))
    again = run_with(scenario, RunOptions(workers, folder, check_invariants=is_checked, progress=progress))
    differing = differing_files(first, again)
    if not differing:
        typer.echo(f"{again.folder}: all tables and trials have the same bytes as in {first.folder}")
        return
    before, now = first.manifest["versions"], again.manifest["versions"]
    releases = [f"{name} {before.get(name)} there, {now[name]} here" for name in now if before.get(name) != now[name]]
    sys.stderr.write(
        f"warning: other bytes than in {first.folder}: {', '.join(differing)}"
        + (f"; made with other releases: {'; '.join(releases)}\n" if releases else "\n")
    )
    raise typer.Exit(INCOMPLETE)


def differing_files(first: Result, again: Result) -> list[str]:
    """Return the tables and parts that differ or are in one of two results only; `scenario.yaml` names files from where it lies, and `shown.json` is words about the tables."""
    from edgesim.study.folder.contents import VIEWS
    from edgesim.study.folder.names import SCENARIO, SHOWN

    hashes = [
        {
            entry["name"]: entry["sha256"]
            for entry in one.manifest["files"]
            if entry["name"] not in {SCENARIO, SHOWN} and not entry["name"].endswith(VIEWS)
        }
        for one in (first, again)
    ]
    return sorted(name for name in hashes[0].keys() | hashes[1].keys() if hashes[0].get(name) != hashes[1].get(name))
