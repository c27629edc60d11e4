"""``edgesim testbed``: a scenario executed by real processes, beside its simulation."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.exit_codes import DONE, INCOMPLETE
from edgesim.processes import n_cpus
from edgesim.units import show as quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.compute.measured import LayerTime
    from edgesim.testbed.comparison import Compared, Measured
    from edgesim.testbed.outcome.steps import StepFigures
    from edgesim.testbed.places import Network
    from edgesim.testbed.written.overlay import Fit

N_NAMED = 3
"""Steps that are named, those with the largest differences."""


class Mode(StrEnum):
    """Where the devices are."""

    loopback = "loopback"
    netns = "netns"
    hosts = "hosts"


def execute(
    file: Annotated[Path | None, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)] = None,
    *,
    mode: Annotated[
        Mode,
        typer.Option(
            help="loopback: on 127.0.0.1; netns: in namespaces of the kernel, for root; hosts: on machines of yours, see --hosts."
        ),
    ] = Mode.loopback,
    hosts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Which machine is which device, and how commands are run there.", show_default=False
        ),
    ] = None,
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
            metavar="LABEL",
            help="Fit the host overhead per message, and the least time of a computation, on this strategy; simulate all with it.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what was fitted as a scenario that extends this one.", show_default=False
        ),
    ] = None,
    unpaced: Annotated[
        bool,
        typer.Option(
            "--unpaced", help="Computations take as long as they do here, and not as long as their profiles say."
        ),
    ] = False,
    has_failures: Annotated[
        bool,
        typer.Option(
            "--failures/--no-failures", help="Meet the losses and outages of the scenario, or leave them out."
        ),
    ] = True,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a timeline of one request of each strategy, simulated and measured, for chrome://tracing or Perfetto.",
            show_default=False,
        ),
    ] = None,
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
      edgesim testbed study.yaml --fit-on single --overlay fitted.yaml
      edgesim testbed study.yaml --strategy chain --trace timeline.json
      edgesim testbed study.yaml --mode hosts --hosts machines.yaml --unpaced
      edgesim testbed --clean
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.scenario.scenario import Scenario
    from edgesim.testbed.comparison import check, check_machine, measure
    from edgesim.testbed.loopback import Loopback
    from edgesim.testbed.prepared import prepared
    from edgesim.testbed.written.overlay import compared, fit

    if clean:
        _clean()
    if file is None:
        raise typer.BadParameter("name a scenario, or give --clean")
    how = Loopback(requests, port=port, network=_network(mode, hosts))
    scenario = Scenario.load(file, allow_code=allow_code)
    _check_file("--trace", trace, file)
    if trace is not None and overlay is not None and trace.resolve() == overlay.resolve():
        raise typer.BadParameter(f"--trace {trace}: --overlay is written there")
    _check_fit(file, overlay, fit_on, strategy or tuple(scenario.strategies))
    ready = list(prepared(scenario, strategy or (), progress_on_stderr(), has_failures=has_failures))
    for one in ready:
        check(one, how)
        check_machine(one, how, tolerance, is_paced=not unpaced)
    measured = [measure(one, how, tolerance, has_repeat=True, is_paced=not unpaced) for one in ready]
    fitted = next((fit(one, is_paced=not unpaced) for one in measured if one.prepared.label == fit_on), None)
    found = [compared(fitted, one, tolerance) for one in measured]
    if overlay is not None and fitted is not None:
        _write_overlay(overlay, file, fitted, found, f"{mode.value}{' --unpaced' * unpaced}")
    if trace is not None:
        _write_timeline(trace, measured, fitted)
    if is_json:
        document = {"fitted": _fit_document(fitted), "strategies": [asdict(one) for one in found]}
        json.dump(document, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        _show(found, fitted, has_steps=steps)
    raise typer.Exit(DONE if all(one.is_right for one in found) else INCOMPLETE)


def _network(mode: Mode, hosts: Path | None) -> Network:
    from edgesim.testbed.hosts.file import read_machines
    from edgesim.testbed.hosts.network import HostNetwork
    from edgesim.testbed.namespaces import NamespaceNetwork, check_tools
    from edgesim.testbed.places import LoopbackNetwork

    if (mode is Mode.hosts) != (hosts is not None):
        raise typer.BadParameter(
            "--mode hosts and --hosts FILE go together: the file says which machine is which device"
        )
    if hosts is not None:
        return HostNetwork(read_machines(hosts))
    if mode is Mode.netns:
        check_tools()  # before anything is trained
        return NamespaceNetwork()
    return LoopbackNetwork()


def _clean() -> None:
    """Remove what killed runs left, and end."""
    from edgesim.files.temporary import remove_ownerless
    from edgesim.testbed.namespaces import clean

    remove_ownerless()
    for name in clean():
        typer.echo(f"removed {name}", err=True)
    raise typer.Exit(DONE)


def _check_file(option: str, file: Path | None, scenario: Path) -> None:
    """Refuse a file that cannot be written, or is the scenario."""
    if file is None:
        return
    if file.resolve() == scenario.resolve():
        raise typer.BadParameter(f"{option} {file}: this is the scenario itself; name another file")
    if not file.parent.is_dir():
        raise typer.BadParameter(f"{option} {file}: there is no folder {file.parent}")
    if file.is_dir():
        raise typer.BadParameter(f"{option} {file}: this is a folder; name a file in it")


def _check_fit(file: Path, overlay: Path | None, fit_on: str | None, labels: Sequence[str]) -> None:
    """Refuse a fit on what is not executed, and an overlay that cannot be written, before anything is measured."""
    from edgesim.domain.system.topology import HostOverhead
    from edgesim.testbed.written.overlay import Fit, overlay_text

    if fit_on is not None and fit_on not in labels:
        raise typer.BadParameter(f"--fit-on {fit_on}: no strategy of this name is executed")
    if overlay is None:
        return
    if fit_on is None:
        raise typer.BadParameter("--overlay FILE needs --fit-on LABEL: it says on which strategy it was fitted")
    _check_file("--overlay", overlay, file)
    overlay_text(Fit(fit_on, HostOverhead()), file, overlay, "")


def _write_overlay(overlay: Path, file: Path, fitted: Fit, found: Sequence[Compared], mode: str) -> None:
    from edgesim.files.whole import write_text
    from edgesim.testbed.written.overlay import overlay_text

    own = next(one for one in found if one.strategy == fitted.label)
    how = (
        f"edgesim testbed {file.name} --fit-on {own.strategy} --mode {mode}: mean {quantity(own.mean_s, 's')} of {own.n_requests} requests, "
        f"noise {100 * own.noise:.1f} %"
    )
    write_text(overlay, overlay_text(fitted, file, overlay, how))
    typer.echo(f"{overlay}: extends {file.name} by what was fitted on {own.strategy}", err=True)


def _write_timeline(file: Path, measured: Sequence[Measured], fitted: Fit | None) -> None:
    from edgesim.files.whole import write_text
    from edgesim.testbed.written.overlay import applied
    from edgesim.testbed.written.timeline import timeline

    beside = measured if fitted is None else [applied(fitted, one) for one in measured]
    document = timeline(beside, None if fitted is None else fitted.overhead)
    write_text(file, json.dumps(document, indent=1, allow_nan=False) + "\n")
    typer.echo(f"{file}: a timeline for chrome://tracing or ui.perfetto.dev", err=True)


def _fit_document(found: Fit | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "strategy": found.label,
        "per_message_s": found.overhead.per_message_s,
        "least_computation_s": found.overhead.least_computation_s,
        "times": [_public(one) for one in found.times],
    }


def _public(one: LayerTime) -> dict[str, Any]:
    return {"layer": one.layer, "profile": one.profile, "work_flop": one.work_flop, "time_s": one.time_s}


def _note(found: Sequence[Compared], fitted: Fit | None) -> str:
    off_s = max((one.clock_error_s for one in found), default=0.0)
    clocks = [f"clocks of hosts are known to {quantity(off_s, 's')}, and so are times of messages"] if off_s > 0 else []
    plain = [one.strategy for one in found if one.n_real_time < one.n_devices]
    delayed = (
        [f"not all nodes of {', '.join(plain)} were of the real-time class, so that other programs delay them"]
        if plain
        else []
    )
    few = [
        f"the devices of {one.strategy} share this machine (cores: {n_cpus()}), which makes a request about {quantity(one.sharing_s, 's')} longer"
        for one in found
        if one.verdict == "too few cores"
    ]
    return "; ".join([*([] if fitted is None else [_fit_note(fitted)]), *clocks, *delayed, *few])


def _fit_note(found: Fit) -> str:
    times = f" and times of {len(found.times)} layers" if found.times else ""
    own = found.overhead
    numbers = f"{quantity(own.per_message_s, 's')} per message, at least {quantity(own.least_computation_s, 's')} a computation"
    return f"host overhead of {numbers}{times}, fitted on {found.label}"


def _show(found: Sequence[Compared], fitted: Fit | None, *, has_steps: bool) -> None:
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
    draw_table(console, Table("simulated and measured latency", headers, rows, 1, note=_note(found, fitted)))
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
