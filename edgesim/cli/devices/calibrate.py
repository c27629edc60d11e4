"""``edgesim calibrate``: fit device profiles to measured latencies."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.exit_codes import WRONG_INPUT
from edgesim.errors import PlanError, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.report.table import Table
    from edgesim.study.calibration.calibrated import Calibrated


def calibrate(  # noqa: PLR0917 - typer passes options by name
    file: Annotated[Path, typer.Argument(metavar="TABLE", help="Table of measured latencies.", show_default=False)],
    layers: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="Layers of the networks that the table names.")
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            metavar="PROFILE", help="Catalog profile to begin with; by default the one called like the device."
        ),
    ] = "",
    free: Annotated[
        str, typer.Option(metavar="A,B,...", help="Numbers to fit; + joins rates that keep their ratio.")
    ] = "conv+linear,depthwise+other,memory_bandwidth,layer_overhead",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the profiles, for `extends:` of a scenario."),
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write the fit, or the findings, to stdout as JSON.")] = False,
) -> None:
    """Fit the free numbers of device profiles to measured latencies, and show the error of every row.

    The table has the columns device, network, latency (with a unit), and optionally n (devices that share every layer, 1) and use:
    `fit`, or `predict` for rows that have no influence on the fit and are only compared with it. A network is a scenario file beside
    the table, or a name in the table of --layers (columns network, layer, operator, work, moved, weights).

    \b
    Numbers that can be fitted: conv, depthwise, linear, other (rates), memory_bandwidth, layer_overhead, half_rate, serial_share.

    \b
    Examples:
      edgesim calibrate measured.csv --output board.yaml
      edgesim calibrate measured.csv --layers layers.csv --base raspberry-pi-4b --free conv+linear,layer_overhead --json
    """
    from edgesim.study.calibration.calibrated import document, profile_text

    try:
        found = _fitted(file, layers, base, free, allow_code=allow_code)
    except ScenarioError as error:
        if not is_json:
            raise
        typer.echo(json.dumps({"findings": [asdict(finding) for finding in error.findings]}, indent=2))
        raise typer.Exit(WRONG_INPUT) from None
    if output is not None:
        from edgesim.files.whole import write_text

        write_text(output, profile_text(found, file.name))
        typer.echo(f"{output} is written; a scenario takes it with `extends: {output.name}`", err=True)
    if is_json:
        json.dump(document(found), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    _show(found)


def _fitted(file: Path, layers: Path | None, base: str, free: str, *, allow_code: bool) -> Sequence[Calibrated]:
    """Read everything and fit; what does not fit together is wrong input, too."""
    from edgesim.compute.fitting import free_numbers
    from edgesim.study.calibration.calibrated import calibrate as work
    from edgesim.study.calibration.rows import read_latencies
    from edgesim.study.calibration.works import works_of

    try:
        numbers = free_numbers([name.strip() for name in free.split(",") if name.strip()])
        rows = read_latencies(file)
        return work(rows, works_of(rows, file, layers, allow_code=allow_code), base, numbers)
    except PlanError as error:
        raise ScenarioError(f"{file}: {error}") from None


def _show(found: Sequence[Calibrated]) -> None:
    from edgesim.cli.tables import draw_table, table_console

    console = table_console()
    for table in (table for one in found for table in _tables(one)):
        draw_table(console, table)
        console.print()


def _tables(one: Calibrated) -> list[Table]:
    from statistics import median

    from edgesim.report.table import Table
    from edgesim.study.calibration.calibrated import shown

    numbers = tuple(
        (number.name, *(shown(value, number.unit) for value in (number.value, number.low, number.high)))
        for number in one.numbers
    )
    rows = tuple(
        (
            row.row.network,
            row.row.use,
            str(row.row.n),
            shown(row.row.latency_s, "s"),
            shown(row.predicted_s, "s"),
            f"{row.error:+.1%}",
        )
        for row in one.rows
    )
    errors = {use: one.errors(use) for use in ("fit", "predict") if one.errors(use)}
    note = "; ".join(
        f"{use}: {len(some)} rows, median error {median(some):.1%}, worst {max(some):.1%}"
        for use, some in errors.items()
    )
    return [
        Table(
            f"{one.device}: fitted, with 95 % intervals", ("number", "value", "from", "to"), numbers,
            note="- is not determined by the rows" if any("-" in row for row in numbers) else "",
        ),
        Table(f"{one.device}: rows", ("network", "use", "n", "measured", "computed", "error"), rows, n_names=2, note=note),
    ]  # fmt: skip
