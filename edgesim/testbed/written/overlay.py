"""What was fitted on one strategy, as a scenario on top of another."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from edgesim.compute.measured import LayerTime
from edgesim.compute.measured import Measured as MeasuredCompute
from edgesim.domain.system.topology import HostOverhead
from edgesim.errors import ExecutionError
from edgesim.scenario.text.extend import read_with_bases
from edgesim.testbed.comparison import Measured, compare, fitted_overhead, least_computation_s
from edgesim.units import show_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgesim.domain.plan import Compute
    from edgesim.testbed.comparison import Compared

_DIGITS = 5
_SUFFIX = "-fitted"


@dataclass(frozen=True, slots=True)
class Fit:
    """What makes the simulation of one strategy take as long as was measured.

    Parameters
    ----------
    label : the strategy.
    overhead : of all devices.
    times : of its layers as they were measured; none where computations took the times of the profiles.
    """

    label: str
    overhead: HostOverhead
    times: tuple[LayerTime, ...] = ()


def fit(measured: Measured, *, is_paced: bool) -> Fit:
    """Fit the times of layers, then the least time of a computation, and then the host overhead per message.

    A layer gets the share of the measured time of its computation that it has of the simulated one. Layers of one name and work on
    devices of one profile get the mean.

    Parameters
    ----------
    measured : one strategy.
    is_paced : whether its computations took the times of the profiles, which say nothing new then.
    """
    label = measured.prepared.label
    timed = Fit(label, HostOverhead(), () if is_paced else _layer_times(measured))
    beside = applied(timed, measured)
    found = fitted_overhead(beside, _rounded(least_computation_s(beside)))
    return replace(timed, overhead=replace(found, per_message_s=_rounded(found.per_message_s)))


def applied(found: Fit, measured: Measured) -> Measured:
    """Return what was measured of a strategy beside a simulation with fitted times; layers without one take that of the roofline."""
    if not found.times:
        return measured
    context = replace(measured.prepared.context, compute=MeasuredCompute(found.times, otherwise="roofline"))
    return replace(measured, prepared=replace(measured.prepared, context=context))


def compared(found: Fit | None, measured: Measured, tolerance: float) -> Compared:
    """Hold what was measured against the simulation with what was fitted, or as the scenario says; see `edgesim.testbed.comparison.compare`."""
    if found is None:
        return compare(measured, tolerance)
    return compare(applied(found, measured), tolerance, found.overhead)


def _layer_times(measured: Measured) -> tuple[LayerTime, ...]:
    found: dict[tuple[str, str, float], list[float]] = {}
    for step in measured.prepared.bundle.plan.computes:
        took_s = [times[step.step_id] for times in measured.executed.took_s.values() if step.step_id in times]
        if took_s and step.work:
            for key, time_s in _shares(measured, step, fmean(took_s)):
                found.setdefault(key, []).append(time_s)
    return tuple(
        LayerTime(layer, work_flop, _rounded(fmean(times_s)), profile)
        for (profile, layer, work_flop), times_s in found.items()
    )


def _shares(measured: Measured, step: Compute, took_s: float) -> Iterator[tuple[tuple[str, str, float], float]]:
    """Divide the time of a computation among its layers."""
    context = measured.prepared.context
    profile = context.topology.device_of[step.device_id].profile
    alone_s = [context.compute.duration_s(replace(step, work=(one,), fixed_s=0.0), profile) for one in step.work]
    left_s, whole_s = max(0.0, took_s - step.fixed_s), sum(alone_s)
    for one, time_s in zip(step.work, alone_s, strict=True):
        share = time_s / whole_s if whole_s > 0 else 1 / len(step.work)
        yield (profile.name, one.layer_id, one.work_flop), left_s * share


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def overlay_text(found: Fit, scenario: Path, overlay: Path, how: str) -> str:
    """Return a scenario that extends another one by what was fitted.

    Parameters
    ----------
    found : what was.
    scenario : the file that is extended.
    overlay : where the text will stand; `scenario` is named from there.
    how : it was measured, in words.

    Raises
    ------
    ExecutionError
        When devices come from a graph file, which has no place for an overhead.
    ScenarioError
        When the scenario cannot be read.
    """
    source = read_with_bases(scenario)
    name = str(source.data.get("name", scenario.stem)).removesuffix(_SUFFIX) + _SUFFIX
    base = os.path.relpath(scenario.resolve(), overlay.resolve().parent)
    lines = [
        f"# Fitted on strategy {json.dumps(found.label)} alone; what this scenario says of others is a prediction.",
        f"# {how}",
        f"extends: {json.dumps(base, ensure_ascii=False)}",
        f"name: {json.dumps(name, ensure_ascii=False)}",
        *_topology(source.data["topology"], _overhead(found.overhead)),
    ]
    if found.times:
        lines += _compute(source.data.get("compute"), found)
    return "\n".join(lines) + "\n"


def _overhead(found: HostOverhead) -> dict[str, str]:
    return {
        "per_message": show_exactly(found.per_message_s, "s"),
        "least_computation": show_exactly(found.least_computation_s, "s"),
    }


def _topology(topology: Mapping[str, Any], overhead: Mapping[str, str]) -> list[str]:
    """Give every device the overhead: those of shapes by their service, those of the list in the list, which is replaced as a whole."""
    if topology.get("file") is not None:
        raise ExecutionError(
            "the devices of this scenario come from a graph file, which an overlay cannot change; write host_overhead among its `attributes`, "
            "or list the devices in the scenario"
        )
    lines = ["topology:"]
    for shape, said in topology.items():
        if not isinstance(said, dict) or "profile" not in said:
            continue
        lines.append(f"  {shape}:")
        services = ["service"] + (["hub_service"] if "hub_service" in said else [])
        lines += [f"    {one}: {_flow({'host_overhead': overhead})}" for one in services]
    devices = topology.get("devices", ())
    if devices:
        lines.append("  devices:")
        lines += [
            f"    - {_flow({**device, 'host_overhead': {**(device.get('host_overhead') or {}), **overhead}})}"
            for device in devices
        ]
    return lines


def _compute(before: Any, found: Fit) -> list[str]:
    lines = ["compute:", "  type: measured", "  otherwise: roofline # of layers that this strategy has not"]
    if isinstance(before, dict) and "file" in before:
        lines.append("  file: # taken away: what was measured stands here")
    lines.append("  times:")
    for one in found.times:
        entry = {
            "layer": one.layer,
            "work": show_exactly(one.work_flop, "FLOP"),
            "time": show_exactly(one.time_s, "s"),
            "profile": one.profile,
        }
        lines.append(f"    - {_flow(entry)}")
    return lines


def _flow(value: Any) -> str:
    """Return plain data as YAML in one line, which JSON is."""
    return json.dumps(value, ensure_ascii=False)
