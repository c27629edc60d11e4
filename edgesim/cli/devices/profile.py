"""``edgesim profile``: measure this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.code import AllowCode

if TYPE_CHECKING:
    from edgesim.nn.timing.layers import TimedNetwork


def profile(  # noqa: PLR0917 - typer passes options by name
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario whose network is measured.")],
    seconds: Annotated[float, typer.Option(min=0.0, help="How long to repeat the measurement.")] = 10.0,
    name: Annotated[str, typer.Option(metavar="PROFILE", help="Profile of the devices that the times are for.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table of times.")
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write the times to stdout as JSON.")] = False,
) -> None:
    """Measure the layers of a network on this machine, with one thread and one sample.

    With --output it writes a table that a scenario takes with `compute: {type: measured, file: FILE}`. The network is untrained: its
    weights do not matter for the time. Times are processor time, 5 % quantile over repetitions, so that other programs on the machine
    disturb little; the spread says how much longer the median is.

    \b
    Examples:
      edgesim profile scenarios/wearables.yaml --output times.csv
      edgesim profile scenarios/wearables.yaml --seconds 30 --name raspberry-pi-4b --json
    """
    from edgesim.files.whole import write_text
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.calibration.measuring import document, layer_table, measure_network

    found = measure_network(Scenario.load(scenario, allow_code=allow_code), seconds)
    if output is not None:
        write_text(output, layer_table(found, name))
        typer.echo(f"{output} is written; `compute: {{type: measured, file: {output.name}}}` takes it", err=True)
    if is_json:
        json.dump(document(found), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    _show(found, str(scenario))


def _show(found: TimedNetwork, title: str) -> None:
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.table import Table
    from edgesim.units import show

    rows = tuple(
        (work.layer_id, work.kind, show(work.work_flop, "FLOP"), show(time.low_s, "s"), f"{time.spread:.0%}")
        for work, time in found.layers
    )
    note = f"together {show(found.whole.low_s, 's')}, {found.whole.n} repetitions; {found.conditions}"
    draw_table(table_console(), Table(title, ("layer", "kind", "work", "time", "spread"), rows, n_names=2, note=note))
