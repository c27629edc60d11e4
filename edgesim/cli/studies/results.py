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


def _write(rows: list[dict[str, Any]], *, is_json: bool, is_csv: bool = False) -> None:
    """Write rows as JSON, as CSV or as a plain table."""
    if is_json:
        clean = [{key: None if value != value else value for key, value in row.items()} for row in rows]  # noqa: PLR0124
        sys.stdout.write(json.dumps(clean, indent=2, allow_nan=False, default=str) + "\n")
    elif rows:
        import pandas as pd

        if is_csv:
            sys.stdout.write(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
            return
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
    """Show the answer of a study in a paragraph and its summary: every metric of every strategy at every factor point, with its interval.

    \b
    Examples:
      edgesim results show results/wearables --metric accuracy
      edgesim results show results/heart-models --metric accuracy --over fold --over seed
    """
    from edgesim.cli.tables import table_console
    from edgesim.report.answer import answer

    result = _finished(folder)
    table = result.over(over) if over else result.summary()
    answered = "" if is_json or over else answer(result)
    if answered:
        table_console().print(answered, markup=False)
        typer.echo()
    _write(_rows(table, metric), is_json=is_json)


@app.command()
def compare(  # noqa: PLR0917 - typer passes options by name
    folder: Folder,
    other: Annotated[Path | None, typer.Argument(metavar="[OTHER]", help="A second result, to compare with.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only this metric, e.g. accuracy.")] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="FACTOR", help="Of two results: by this factor only; others stay at their first value."),
    ] = None,
    is_csv: Annotated[bool, typer.Option("--csv", help="Write all metrics to stdout as CSV.")] = False,
    is_json: Json = False,
) -> None:
    """Compare the strategies of one result, or two results.

    Strategies of one result met the same failures, so the interval is of the differences of each replication. So is that of two results of
    the same seed; of other seeds it is made of those of both. Tables show the main score, latency and traffic of two results; --metric, --csv and
    --json have the others. `edgesim report A B` writes a page.

    \b
    Examples:
      edgesim results compare results/wearables --metric accuracy
      edgesim results compare results/wearables results/quick --by lost_devices
    """
    if other is None:
        if by is not None:
            raise typer.BadParameter("only two results are compared by a factor; name a second one", param_hint="--by")
        _write(_rows(_finished(folder).differences(), metric), is_json=is_json, is_csv=is_csv)
        return
    from edgesim.errors import UnknownNameError, nearest_name
    from edgesim.report.compare import compare as work
    from edgesim.report.compare import comparison_tables, main_metrics, what_differs

    first, second = _finished(folder), _finished(other)
    found = work(first, second, by=by)
    known = tuple(found["metric"].unique())
    if metric is not None and metric not in known:
        raise UnknownNameError("metric of both results", metric, known, nearest_name(metric, known))
    if is_json or is_csv:
        _write(_rows(found, metric), is_json=is_json, is_csv=is_csv)
        return
    from edgesim.cli.tables import draw_table, table_console

    console = table_console()
    console.print(
        f"A is {first.folder}, B is {second.folder}: {what_differs(first, second)}", markup=False, soft_wrap=True
    )
    for table in comparison_tables(found, first, main_metrics(found, first) if metric is None else [metric]):
        draw_table(console, table)
        console.print()


@app.command()
def export(
    folder: Folder,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Ends in .csv, .parquet or .tex.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="csv, parquet or latex; by default as FILE ends.")
    ] = None,
) -> None:
    """Write all trials of a study into one file, or its tables as LaTeX; many trials are never held in memory.

    LaTeX without a file goes to stdout.

    \b
    Examples:
      edgesim results export results/wearables trials.csv
      edgesim results export results/wearables --format latex > tables.tex
    """
    from pyarrow import csv, parquet

    from edgesim.files.whole import replacing, write_text

    result = _finished(folder)
    form = form or {".csv": "csv", ".parquet": "parquet", ".tex": "latex"}.get(file.suffix if file else "", "")
    if form not in {"csv", "parquet", "latex"}:
        wrong = f"{file} ends in none of .csv, .parquet and .tex" if file else "name a file, or --format latex"
        raise typer.BadParameter(wrong, param_hint="FILE")
    if form == "latex":
        from edgesim.report.citation import latex_tables

        text = latex_tables(result)
        if file is None:
            typer.echo(text, nl=False)
            return
        write_text(file, text)
        typer.echo(str(file))
        return
    if file is None:
        raise typer.BadParameter("trials need a file", param_hint="FILE")
    data = result.dataset()
    writer: Any = csv.CSVWriter if form == "csv" else parquet.ParquetWriter
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
