"""``edgesim testbed``: a scenario executed by real processes, beside its simulation."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.exit_codes import DONE, INCOMPLETE
from edgesim.units import show as quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.testbed.comparison import Compared
    from edgesim.testbed.outcome.steps import StepFigures

N_NAMED = 3
"""Steps that are named, those with the largest differences."""


class Mode(StrEnum):
    """Where the devices are."""

    loopback = "loopback"
    netns = "netns"


def execute(
    file: Annotated[Path | None, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)] = None,
    *,
    mode: Annotated[
        Mode, typer.Option(help="loopback: on 127.0.0.1; netns: in namespaces of the kernel, for root.")
    ] = Mode.loopback,
    strategy: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only this strategy; may be given several times.")
    ] = None,
    requests: Annotated[
        int, typer.Option(min=2, max=10_000, help="Requests of each strategy, one after another; all is done twice.")
    ] = 20,
    tolerance: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the mean latency, as a share.")] = 0.1,
    port: Annotated[int, typer.Option(min=0, max=65_000, help="Of the first device, the others follow; 0: any.")] = 0,
    fit_on: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL", help="Fit the host overhead per message on this strategy, and simulate all with it."
        ),
    ] = None,
    has_failures: Annotated[
        bool,
        typer.Option(
            "--failures/--no-failures", help="Meet the losses and outages of the scenario, or leave them out."
        ),
    ] = True,
    steps: Annotated[
        bool,
        typer.Option("--steps", help="Show every step of each strategy, and not only those that take most otherwise."),
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Only remove what runs left that were killed: namespaces, files.")
    ] = False,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write to stdout as JSON.")] = False,
) -> None:
    """Execute the plan of each strategy with real processes, sockets and networks, and hold it against the simulation.

    One process per device executes what `edgesim export` writes. Devices take the times of their profiles, links their rates and
    latencies: senders pace packets by a virtual clock, or with --mode netns token buckets of the kernel do. Request r meets the losses, outages and slowdowns of replication r of the
    simulation: messages are dropped, devices stopped. Exit code 0 when latencies agree within the tolerance and bytes, what came in time, and answers are as simulated, 1 when not or
    when the machine is too noisy to tell, 3 when it cannot be executed, or not honestly on this machine.

    \b
    Examples:
      edgesim testbed study.yaml --mode loopback
      edgesim testbed study.yaml --strategy chain --requests 50 --json
      edgesim testbed study.yaml --fit-on single
      edgesim testbed --clean
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.files.temporary import remove_ownerless
    from edgesim.scenario.scenario import Scenario
    from edgesim.testbed.comparison import compare, fitted_overhead_s, measure
    from edgesim.testbed.loopback import Loopback
    from edgesim.testbed.namespaces import NamespaceNetwork
    from edgesim.testbed.namespaces import clean as removed
    from edgesim.testbed.places import LoopbackNetwork
    from edgesim.testbed.prepared import prepared

    if clean:
        remove_ownerless()
        for name in removed():
            typer.echo(f"removed {name}", err=True)
        raise typer.Exit(DONE)
    if file is None:
        raise typer.BadParameter("name a scenario, or give --clean")
    network = NamespaceNetwork() if mode is Mode.netns else LoopbackNetwork()
    how = Loopback(requests, port=port, network=network)
    scenario = Scenario.load(file, allow_code=allow_code)
    if fit_on is not None and fit_on not in (strategy or scenario.strategies):
        raise typer.BadParameter(f"--fit-on {fit_on}: no strategy of this name is executed")
    measured = [
        measure(one, how, tolerance, has_repeat=True)
        for one in prepared(scenario, strategy or (), progress_on_stderr(), has_failures=has_failures)
    ]
    overhead_s = next((fitted_overhead_s(one) for one in measured if one.prepared.label == fit_on), None)
    found = [compare(one, tolerance, overhead_s) for one in measured]
    if is_json:
        fit = None if overhead_s is None else {"strategy": fit_on, "per_message_s": overhead_s}
        json.dump({"fitted": fit, "strategies": [asdict(one) for one in found]}, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        _show(
            found,
            ""
            if overhead_s is None
            else f"host overhead of {quantity(overhead_s, 's')} per message, fitted on {fit_on}",
            has_steps=steps,
        )
    raise typer.Exit(DONE if all(one.is_right for one in found) else INCOMPLETE)


def _show(found: Sequence[Compared], note: str, *, has_steps: bool) -> None:
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.table import Table
    from edgesim.testbed.outcome.steps import largest

    console = table_console()
    headers = (
        "strategy",
        "devices",
        "simulated",
        "mean",
        "median",
        "p95",
        "error",
        "noise",
        "bytes",
        "equal deliveries",
        "equal answers",
        "verdict",
    )
    rows = tuple(
        (
            one.strategy, str(one.n_devices), quantity(one.simulated_s, "s"), quantity(one.mean_s, "s"), quantity(one.median_s, "s"),
            quantity(one.p95_s, "s"), f"{100 * one.error:+.1f} %", f"{100 * one.noise:.1f} %", _bytes(one), f"{one.n_equal_sets} of {one.n_requests}",
            f"{one.n_equal_answers} of {one.n_requests}", one.verdict,
        )
        for one in found
    )  # fmt: skip
    draw_table(console, Table("simulated and measured latency", headers, rows, 1, note=note))
    for one in found:
        console.print()
        named = one.steps if has_steps else largest(one.steps, N_NAMED)
        title = "all steps" if has_steps else "steps that take most otherwise"
        draw_table(console, Table(f"{one.strategy}: {title}", _STEP_HEADERS, tuple(map(_step_row, named)), 1))


_STEP_HEADERS = ("step", "where", "bytes", "simulated", "mean", "median", "p95", "difference")


def _step_row(one: StepFigures) -> tuple[str, ...]:
    size = "" if one.kind == "compute" else f"{one.size_byte}"
    difference = f"{1e3 * one.difference_s:+.2f} ms"
    return (
        one.step_id,
        one.where,
        size,
        *(quantity(time_s, "s") for time_s in (one.simulated_s, one.mean_s, one.median_s, one.p95_s)),
        difference,
    )


def _bytes(one: Compared) -> str:
    is_same = one.measured_byte == one.simulated_byte
    return "as simulated" if is_same else f"{one.measured_byte:g} of {one.simulated_byte:g}"
