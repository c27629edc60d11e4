"""Measures the network of a scenario on this machine, and writes what the compute model `measured` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError
from edgesim.scenario.build import build
from edgesim.units import show_exactly

if TYPE_CHECKING:
    from edgesim.domain.plan import LayerWork
    from edgesim.nn.timing.clock import Timed
    from edgesim.nn.timing.layers import TimedNetwork
    from edgesim.scenario.scenario import Scenario

_DIGITS = 5


def measure_network(scenario: Scenario, seconds: float) -> TimedNetwork:
    """Measure the layers of the network of a scenario, untrained, on one sample and with one thread.

    Raises
    ------
    DataError
        When the data set is not there, or the network cannot be built or traced.
    """
    import torch

    from edgesim.nn.timing.layers import sample_of, time_network

    system = build(scenario)
    dataset = system.dataset.load()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(scenario.seed)
        network = system.model.build(dataset.inputs, dataset.task.output)
    found = time_network(network, dataset.inputs, sample_of(dataset), seconds)
    if not found.layers:
        raise DataError("the network of the scenario has no layers to measure")
    return found


def layer_table(found: TimedNetwork, name: str) -> str:
    """Return the layers as a table for ``compute: {type: measured, file: ...}``; `name` is the profile of the devices, empty for all."""
    lines = [
        f"# measured by `edgesim profile`: {found.conditions}",
        f"layer,work,time,spread{',profile' if name else ''}",
    ]
    lines += [",".join(_fields(work, time, name)) for work, time in found.layers]
    return "\n".join(lines) + "\n"


def _fields(work: LayerWork, time: Timed, name: str) -> list[str]:
    said = [work.layer_id, show_exactly(work.work_flop, "FLOP"), f"{_round(time.low_s)!r} s", f"{time.spread:.3f}"]
    return [*said, name] if name else said


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def document(found: TimedNetwork) -> dict[str, Any]:
    """Return what was measured as plain data."""
    return {
        "whole_s": found.whole.low_s,
        "whole_median_s": found.whole.median_s,
        "repetitions": found.whole.n,
        "processor_share": found.conditions.processor_share,
        "temperature_c": found.conditions.temperature_c,
        "clock_hz": found.conditions.clock_hz,
        "layers": [
            {
                "layer": work.layer_id, "operator": work.operator, "kind": work.kind, "work_flop": work.work_flop,
                "time_s": time.low_s, "median_s": time.median_s,
            }
            for work, time in found.layers
        ],
    }  # fmt: skip
