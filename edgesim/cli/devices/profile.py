"""``edgesim profile``: measure this machine."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.code import AllowCode

if TYPE_CHECKING:
    from edgesim.nn.timing.layers import TimedNetwork
    from edgesim.report.table import Table
    from edgesim.study.calibration.own_machine import OwnMachine


def profile(  # noqa: PLR0917 - typer passes options by name
    scenario: Annotated[
        Path | None,
        typer.Argument(metavar="[SCENARIO]", help="Scenario whose network is measured, in place of operators."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="How long to repeat the measurement; 10, or 120 for operators.")
    ] = None,
    name: Annotated[
        str,
        typer.Option(metavar="PROFILE", help="Profile that the times are for; this-machine, or all for a scenario."),
    ] = "",
    base: Annotated[str, typer.Option(metavar="PROFILE", help="Catalog profile whose power is taken.")] = "phone",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table of times, or the profile.")
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write the times to stdout as JSON.")] = False,
) -> None:
    """Measure this machine: operators in many sizes, or the layers of the network of a scenario; one thread, one sample.

    Without a scenario, --output FILE.yaml writes a profile, and beside it a table of operators that it names: scenarios take both with
    `extends: FILE.yaml`. With one, --output writes a table of its layers for `compute: {type: measured, file: FILE}`. Networks are untrained: weights do
    not matter for the time. Times are processor time, 5 % quantile over repetitions, so that other programs on the machine disturb
    little; the spread says how much longer the median is.

    \b
    Examples:
      edgesim profile --output my-machine.yaml
      edgesim profile scenarios/wearables.yaml --output times.csv
      edgesim profile scenarios/wearables.yaml --seconds 30 --name raspberry-pi-4b --json
    """
    if name and re.fullmatch(r"[A-Za-z0-9][\w-]{0,59}", name, re.ASCII) is None:
        raise typer.BadParameter("a profile is named by letters, digits and _ -, at most 60", param_hint="--name")
    if scenario is None:
        _operators(name or "this-machine", base, 120.0 if seconds is None else seconds, output, is_json=is_json)
        return
    from edgesim.files.whole import write_text
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.calibration.measuring import document, layer_table, measure_network

    found = measure_network(Scenario.load(scenario, allow_code=allow_code), 10.0 if seconds is None else seconds)
    if output is not None:
        write_text(output, layer_table(found, name))
        typer.echo(f"{output} is written; `compute: {{type: measured, file: {output.name}}}` takes it", err=True)
    _tell(document(found), _layers(found, str(scenario)), is_json=is_json)


def _operators(name: str, base: str, seconds: float, output: Path | None, *, is_json: bool) -> None:
    from edgesim.files.whole import write_text
    from edgesim.study.calibration.own_machine import document, machine_text, measure_machine, operator_table

    if output is not None and output.suffix not in {".yaml", ".yml"}:
        raise typer.BadParameter(f"{output} is no name of a profile; end it with .yaml", param_hint="--output")
    found = measure_machine(name, base, seconds)
    if output is not None:
        table = output.with_suffix(".csv")
        write_text(table, operator_table(found))
        write_text(output, machine_text(found, table.name))
        typer.echo(f"{output} and {table} are written; a scenario takes them with `extends: {output.name}`", err=True)
    _tell(document(found), _kinds(found), is_json=is_json)


def _tell(document: dict[str, object], table: Table, *, is_json: bool) -> None:
    if is_json:
        json.dump(document, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    from edgesim.cli.tables import draw_table, table_console

    draw_table(table_console(), table)


def _layers(found: TimedNetwork, title: str) -> Table:
    from edgesim.report.table import Table
    from edgesim.units import show

    rows = tuple(
        (work.layer_id, work.kind, show(work.work_flop, "FLOP"), show(time.low_s, "s"), f"{time.spread:.0%}")
        for work, time in found.layers
    )
    note = f"together {show(found.whole.low_s, 's')}, {found.whole.n} repetitions; {found.conditions}"
    return Table(title, ("layer", "kind", "work", "time", "spread"), rows, n_names=2, note=note)


def _kinds(found: OwnMachine) -> Table:
    from edgesim.report.table import Table
    from edgesim.units import show

    groups: dict[tuple[str, str], list[float]] = {}
    for one in found.times:
        groups.setdefault((one.operator, one.kind), []).append(one.time_s)
    rows = tuple(
        (operator, kind, str(len(times)), show(min(times), "s"), show(max(times), "s"))
        for (operator, kind), times in sorted(groups.items())
    )
    numbers = ", ".join(f"{one.name} {show(one.value, one.unit)}" for one in found.fitted.numbers)
    note = f"spread {found.spread:.0%} in the median; {found.conditions}; nearest roofline: {numbers}"
    headers = ("class", "kind", "sizes", "shortest", "longest")
    return Table(f"{found.name}: operators", headers, rows, n_names=2, note=note)
