"""``edgesim results``: what studies there are, and what they found."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.exit_codes import INCOMPLETE
from edgesim.errors import visible

if TYPE_CHECKING:
    import pandas as pd

    from edgesim.study.folder.store import Result

app = typer.Typer(
    help="""List, show, export, compare and remove results.

    \b
    Examples:
      edgesim results list
      edgesim results show results/wearables --metric accuracy
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Result folder, e.g. results/wearables.")]
Json = Annotated[bool, typer.Option("--json", help="Write to stdout as JSON.")]


def _open(folder: Path) -> Result:
    from edgesim.study.folder.store import Result

    result = Result(folder)
    _ = result.manifest  # says what is wrong with the folder
    return result


def _finished(folder: Path) -> Result:
    result = _open(folder)
    result.check()
    return result


def _write(rows: list[dict[str, Any]], *, is_json: bool) -> None:
    """Write rows as JSON or as a plain table."""
    if is_json:
        clean = [{key: None if value != value else value for key, value in row.items()} for row in rows]  # noqa: PLR0124
        sys.stdout.write(json.dumps(clean, indent=2, allow_nan=False, default=str) + "\n")
    elif rows:
        import pandas as pd

        typer.echo(visible(pd.DataFrame(rows).to_string(index=False, na_rep="")))


def _rows(table: pd.DataFrame, metric: str | None) -> list[dict[str, Any]]:
    chosen = table if metric is None else table[table["metric"] == metric]
    return [{str(key): value for key, value in row.items()} for row in chosen.to_dict(orient="records")]


@app.command("list")
def list_(
    where: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where result folders are.")] = Path("results"),
    is_json: Json = False,
) -> None:
    """List the studies in a folder, finished or not. The exit code is 1 when the manifest of one is damaged.

    \b
    Examples:
      edgesim results list
      edgesim results list ../other/results --json
    """
    from edgesim.errors import ResultError
    from edgesim.study.folder.manifest_file import MANIFEST, read_manifest

    rows, findings = [], []
    for path in sorted(where.glob(f"*/{MANIFEST}")):
        about: dict[str, Any] = {"status": "damaged"}
        try:
            about = read_manifest(path.parent)
        except ResultError as error:
            findings.append(f"warning: {visible(str(error))}\n")
        keys = ("name", "status", "replications", "seed", "finished", "question")
        rows.append({"folder": str(path.parent), **{key: about.get(key, "") for key in keys}})
    _write(rows, is_json=is_json)
    sys.stderr.writelines(findings)
    if findings:
        raise typer.Exit(INCOMPLETE)


@app.command()
def show(
    folder: Folder,
    metric: Annotated[str | None, typer.Option(help="Only this metric, e.g. accuracy.")] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            help="Mean, interval and spread over the values of this factor, e.g. of folds or seeds; may be given again."
        ),
    ] = None,
    is_json: Json = False,
) -> None:
    """Show the summary of a study: every metric of every strategy at every factor point, with its interval.

    \b
    Examples:
      edgesim results show results/wearables --metric accuracy
      edgesim results show results/heart-models --metric accuracy --over fold --over seed
    """
    result = _finished(folder)
    table = result.over(over) if over else result.summary()
    _write(_rows(table, metric), is_json=is_json)


@app.command()
def compare(
    folder: Folder,
    metric: Annotated[str | None, typer.Option(help="Only this metric, e.g. accuracy.")] = None,
    is_json: Json = False,
) -> None:
    """Compare strategies pair by pair: they met the same failures, so the interval is of the differences of each replication.

    \b
    Examples:
      edgesim results compare results/wearables --metric accuracy
    """
    _write(_rows(_finished(folder).differences(), metric), is_json=is_json)


@app.command()
def export(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Ends in .csv or .parquet.")],
) -> None:
    """Write all trials of a study into one file; large ones are never held in memory.

    \b
    Examples:
      edgesim results export results/wearables trials.csv
    """
    from pyarrow import csv, parquet

    from edgesim.files.whole import replacing

    data = _finished(folder).dataset()
    if file.suffix not in {".csv", ".parquet"}:
        raise typer.BadParameter(f"{file} ends neither in .csv nor in .parquet", param_hint="FILE")
    writer: Any = csv.CSVWriter if file.suffix == ".csv" else parquet.ParquetWriter
    with replacing(file) as temporary, writer(str(temporary), data.schema) as out:
        for batch in data.to_batches():
            out.write_batch(batch)
    typer.echo(f"{file}: {data.count_rows():,} trials")


@app.command()
def remove(
    folder: Folder,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a result folder, after asking.

    \b
    Examples:
      edgesim results remove results/wearables
    """
    from edgesim.study.folder.lock import locked

    _open(folder)
    if not yes:
        typer.confirm(f"remove {folder} and everything in it?", abort=True)
    with locked(folder):
        shutil.rmtree(folder)
