"""From the operators that were measured on this machine to a profile of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from edgesim.compute.fitting import Fit, TimedWork, fit, free_numbers
from edgesim.compute.profiled import OperatorTime, since_last
from edgesim.scenario.topology.build import catalog_profile
from edgesim.units import show_exactly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.nn.timing.clock import Conditions
    from edgesim.nn.timing.layers import Layers

FREE = ("conv", "depthwise", "linear", "other", "memory_bandwidth", "layer_overhead")
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class OwnMachine:
    """What was measured of a machine.

    Parameters
    ----------
    name : of its profile.
    base : catalog profile whose power it takes, which cannot be measured here.
    times : operators by kind and size.
    spread : median over the operators of how much longer the median repetition is than the 5 % quantile.
    fitted : the roofline that is nearest to the operators.
    conditions : the state of the machine.
    """

    name: str
    base: str
    times: tuple[OperatorTime, ...]
    spread: float
    fitted: Fit
    conditions: Conditions


def measure_machine(name: str, base: str, seconds: float) -> OwnMachine:
    """Measure the operators of the probes, and fit a roofline to them, one by one.

    Raises
    ------
    UnknownNameError
        When the catalog has no profile `base`.
    """
    from edgesim.nn.timing.operators import time_operators

    start = catalog_profile(base)
    measured, conditions = time_operators(seconds)
    runs = [TimedWork((work,), time.low_s) for layers in measured for work, time in layers]
    spread = median(time.spread for layers in measured for _, time in layers)
    return OwnMachine(
        name, base, operator_times(measured, name), spread, fit(runs, start, free_numbers(FREE)), conditions
    )


def operator_times(measured: Sequence[Layers], profile: str = "") -> tuple[OperatorTime, ...]:
    """Return the layers of measured networks as the compute model `profiled` takes them."""
    return tuple(
        OperatorTime(
            work.operator,
            work.kind,
            work.work_flop,
            work.moved_byte,
            work.weight_byte,
            network_byte,
            since_byte,
            _round(time.low_s),
            profile,
        )
        for layers in measured
        for network_byte in [sum(work.moved_byte for work, _ in layers)]
        for (work, time), since_byte in zip(layers, since_last([work for work, _ in layers]), strict=True)
    )


def operator_table(machine: OwnMachine) -> str:
    """Return the operators as a table for ``compute: {type: profiled, file: ...}``."""
    lines = [
        f"# measured by `edgesim profile`: {_conditions(machine)}",
        "operator,kind,work,moved,weight,network,since,time,profile",
    ]
    for one in machine.times:
        moved = one.moved_byte, one.weight_byte, one.network_byte, one.since_byte
        sizes = [show_exactly(value, "byte") for value in moved]
        work, time = show_exactly(one.work_flop, "FLOP"), show_exactly(one.time_s, "s")
        lines.append(",".join([one.operator, one.kind, work, *sizes, time, one.profile]))
    return "\n".join(lines) + "\n"


def machine_text(machine: OwnMachine, table: str) -> str:
    """Return the profile, and the compute model with its table, as a file that a scenario takes with ``extends:``."""
    found = machine.fitted.profile
    return "\n".join(
        [
            f"# Measured by `edgesim profile`: {_conditions(machine)}.",
            "# A scenario takes it with `extends:` and the name of this file.",
            "profiles:",
            f"  {machine.name}:",
            f"    extends: {machine.base} # its power, which was not measured",
            "    compute_rate: # of the roofline that is nearest to the operators; `compute` below does not use it",
            *(f"      {name}: {show_exactly(_round(rate), 'FLOP/s')}" for name, rate in found.flop_per_s.items()),
            f"    memory_bandwidth: {show_exactly(_round(found.memory_bandwidth_byte_per_s), 'byte/s')}",
            f"    layer_overhead: {show_exactly(_round(found.layer_overhead_s), 's')}",
            f"    memory: {memory_byte()} B",
            '    source: "compute_rate, memory_bandwidth, layer_overhead, memory: measured by edgesim profile; power: assumed"',
            f"compute: {{type: profiled, file: {table}, otherwise: roofline}} # other profiles of the scenario go by their roofline",
            "",
        ]
    )


def document(machine: OwnMachine) -> dict[str, Any]:
    """Return what was measured as plain data, in base units."""
    return {
        "profile": machine.name,
        "spread": machine.spread,
        "processor_share": machine.conditions.processor_share,
        "temperature_c": machine.conditions.temperature_c,
        "clock_hz": machine.conditions.clock_hz,
        "memory_byte": memory_byte(),
        "numbers": {
            one.name: {"value": one.value, "unit": one.unit, "low": one.low, "high": one.high}
            for one in machine.fitted.numbers
        },
        "operators": [
            {
                "operator": one.operator, "kind": one.kind, "work_flop": one.work_flop, "moved_byte": one.moved_byte,
                "weight_byte": one.weight_byte, "network_byte": one.network_byte, "since_byte": one.since_byte, "time_s": one.time_s,
            }
            for one in machine.times
        ],
    }  # fmt: skip


def memory_byte() -> int:
    """Return the memory of this machine, in byte."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _conditions(machine: OwnMachine) -> str:
    return f"median spread {machine.spread:.0%}, {machine.conditions}"


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
