"""``edgesim plan``: who computes what, what is sent, and how long it would take without contention."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.code import AllowCode
from edgesim.units import show as quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.plan import Pool
    from edgesim.report.table import Table
    from edgesim.strategies.students.bound import Bound
    from edgesim.study.preparation.plans import PlannedStep, PlannedStrategy
    from edgesim.study.preparation.several import Spread

WIDE = 90
"""Columns of a terminal from which on the table says when steps end."""


def plan(
    file: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)],
    strategy: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only this strategy; may be given several times.")
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write the plans to stdout as JSON.")] = False,
) -> None:
    """Show the plan of each strategy: layers, device, rows or tiles, FLOP, bytes, memory, time.

    Nothing is simulated, and nothing is trained where only shapes matter. A swept value is the one that the scenario gives.
    A step is called after its first layer; +2 says that two more follow in it. Its memory is that of the tensors alive in it;
    weights are in the table of devices. Where the plan depends on the sample, a table says which ways samples take, how many, and
    how long and how much that is; steps and devices are means over the test samples then. With `compute: {type: multi-core}` a table says how many cores work on each layer. Where students divide a teacher's filters, a line says what perfect students would
    keep; see edgesim bound. Times are without contention: in a simulation, messages that share a medium wait for
    each other.

    \b
    Examples:
      edgesim plan scenarios/vgg16-cost.yaml
      edgesim plan scenarios/layer-partitioning.yaml --strategy degrade-8 --strategy nonn
      edgesim plan scenarios/vgg16-cost.yaml --json
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.preparation.plans import plans

    found = plans(Scenario.load(file, allow_code=allow_code), strategy or (), progress_on_stderr())
    if is_json:
        json.dump([_document(planned) for planned in found], sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    for planned in found:
        _show(planned)


def _document(planned: PlannedStrategy) -> dict[str, Any]:
    from edgesim.study.preparation.plans import totals, transfers

    return {
        "strategy": planned.label,
        "latency_s": planned.latency_s,
        "steps": [asdict(step) for step in planned.steps],
        "transfers": transfers(planned),
        "devices": totals(planned),
        "pools": [asdict(pool) for pool in planned.plan.pools],
        "divided": [asdict(layer) for layer in planned.divided],
        "ways": [asdict(way) for way in planned.ways],
        "bound": None if planned.bound is None else asdict(planned.bound),
    }


def _show(planned: PlannedStrategy) -> None:
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.table import Table
    from edgesim.study.preparation.plans import totals
    from edgesim.study.preparation.pooled import enough, sent

    console = table_console()
    if planned.ways:
        draw_table(console, _ways(planned))
        console.print()
        title = "every step, means over the samples that have it"
    else:
        n_messages, n_byte = sent(planned.plan)
        up_to = "up to " if planned.plan.pools else ""
        title = (
            f"{planned.label}: {quantity(planned.latency_s, 's')} without contention, {up_to}{n_messages} messages, "
            f"{up_to}{quantity(n_byte, 'byte')}"
        )
    note = "" if planned.bound is None else _kept(planned.bound)
    headers = (
        "layers",
        "device",
        "samples" if planned.ways else "part",
        "FLOP",
        "in",
        "out",
        "memory",
        "time",
        "ends at",
    )
    n_columns = len(headers) if console.width >= WIDE else len(headers) - 1
    rows = tuple(_row(step)[:n_columns] for step in planned.steps)
    draw_table(console, Table(title, headers[:n_columns], rows, 3))
    console.print()
    if planned.divided:
        draw_table(console, Table("", ("layer", "device", "FLOP", "cores", "time", "on one core"), _cores(planned), 2))
        console.print()
    note = "; ".join(
        [
            *(["means over the samples; of weights and memory the most"] if planned.ways else []),
            *(_pooled(pool) for pool in planned.plan.pools),
            *(_enough(*one) for one in enough(planned.plan)),
            *([note] if note else []),
        ]
    )
    devices = tuple(
        (row["device"], *(quantity(row[key], unit) for key, unit in _TOTALS.items())) for row in totals(planned)
    )
    draw_table(
        console, Table("", ("device", "FLOP", "weights", "peak memory", "sends", "receives"), devices, note=note)
    )
    console.print()


def _pooled(pool: Pool) -> str:
    """Say who does the tasks of a pool, and what the numbers of devices hold of them."""
    how = "go to whichever device asks first" if pool.turns else "are dealt out before"
    again = "" if pool.again_s is None else f", and to another one when not back after {quantity(pool.again_s, 's')}"
    return f"{len(pool.tasks)} tasks {how}{again}; sums of devices are as if each did all of them, times as if all began at once"


def _enough(n: int, n_all: int, n_times: int) -> str:
    """Say how many of some alternatives are enough."""
    return f"any {n} of {n_all} inputs {'is' if n == 1 else 'are'} enough, {'once' if n_times == 1 else f'{n_times} times'}"


_TOTALS = {
    "work_flop": "FLOP", "weight_byte": "byte", "peak_memory_byte": "byte", "sent_byte": "byte", "received_byte": "byte",
}  # fmt: skip


def _ways(planned: PlannedStrategy) -> Table:
    """Return the table of the ways that samples take."""
    from edgesim.report.table import Table
    from edgesim.study.preparation.several import sent_byte, spread

    n_samples = sum(one.n_samples for one in planned.plans)
    latency_s = spread((one.latency_s, one.n_samples) for one in planned.plans)
    n_byte = spread((sent_byte(one.plan), one.n_samples) for one in planned.plans)
    title = (
        f"{planned.label}: the plan depends on the sample, {len(planned.plans)} plans for {n_samples} test samples; in the mean "
        f"{quantity(latency_s.mean, 's')} without contention, {quantity(n_byte.mean, 'byte')} sent"
    )
    rows = tuple(
        (
            " > ".join(way.steps),
            str(way.n_samples),
            str(way.n_plans),
            str(way.n_messages),
            _spread(way.latency_s, "s"),
            _spread(way.sent_byte, "byte"),
            _spread(way.work_flop, "FLOP").replace("FLOP", "").strip(),
        )
        for way in planned.ways
    )
    headers = ("steps", "samples", "plans", "messages", "time", "sent", "FLOP")
    return Table(title, headers, rows, 1, note="mean (least to most) over the samples")


def _spread(found: Spread, unit: str) -> str:
    mean, least, most = (quantity(value, unit) for value in (found.mean, found.least, found.most))
    return mean if least == most else f"{mean} ({least} to {most})"


def _cores(planned: PlannedStrategy) -> tuple[tuple[str, ...], ...]:
    """Return a row for each layer that cores may divide."""
    return tuple(
        (
            one.layer,
            one.device_id,
            quantity(one.work_flop, "FLOP").removesuffix("FLOP").strip(),
            str(one.n_cores),
            quantity(one.duration_s, "s"),
            quantity(one.alone_s, "s"),
        )
        for one in planned.divided
    )


def _kept(bound: Bound) -> str:
    """Say what perfect students would keep."""
    values = ", ".join(f"{value:.3f}" for value in bound.by_lost)
    return f"perfect students, {bound.score} with 0, 1, ... lost: {values} (teacher {bound.teacher:.3f})"


def _row(step: PlannedStep) -> tuple[str, ...]:
    return (
        _layers(step.layers),
        step.device_id,
        step.part if step.n_samples is None else str(step.n_samples),
        quantity(step.work_flop, "FLOP").removesuffix("FLOP").strip(),
        quantity(step.in_byte, "byte"),
        quantity(step.out_byte, "byte"),
        quantity(step.activation_byte, "byte"),
        quantity(step.duration_s, "s"),
        quantity(step.ended_s, "s"),
    )


def _layers(names: Sequence[str]) -> str:
    """Return the first layer of a step, and how many are behind it."""
    if not names:
        return "-"
    return names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}"
