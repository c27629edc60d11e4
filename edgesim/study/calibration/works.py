"""From the names of networks in a table of latencies to the work of their layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.domain.plan import LayerWork
from edgesim.domain.system.devices import OPERATORS
from edgesim.errors import EdgesimError, PlanError, ScenarioError
from edgesim.study.calibration.rows import Lines
from edgesim.units import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.study.calibration.rows import MeasuredRow

Works = dict[str, tuple[LayerWork, ...]]
"""The layers of networks by name, each as one device computes it alone."""


def divided(work: tuple[LayerWork, ...], n: int) -> tuple[LayerWork, ...]:
    """Return what one of n devices computes that divide work, weights and tensors of every layer evenly."""
    return tuple(
        replace(one, work_flop=one.work_flop / n, moved_byte=one.moved_byte / n, weight_byte=one.weight_byte / n)
        for one in work
    )


def read_layers(path: Path) -> Works:
    """Return the networks of a table with the columns network, layer, operator, work, moved and weights.

    ``work`` is arithmetic work (FLOP); ``moved`` are the bytes of input, weights and output; ``weights`` those of the weights among them.

    Raises
    ------
    ScenarioError
        With all findings, each with its line.
    """
    table = Lines(path, ("network", "layer", "operator", "work", "moved", "weights"))
    found: dict[str, list[LayerWork]] = {}
    for line in table.rows:
        network, layer = table.cell(line, "network", str), table.cell(line, "layer", str)
        operator = table.cell(line, "operator", _operator)
        work_flop = table.cell(line, "work", lambda text: parse(text, "FLOP"))
        moved_byte, weight_byte = (
            table.cell(line, name, lambda text: parse(text, "byte")) for name in ("moved", "weights")
        )
        if None in (operator, work_flop, moved_byte, weight_byte):
            continue
        try:
            found.setdefault(network, []).append(LayerWork(layer, operator, work_flop, moved_byte, weight_byte))
        except PlanError as error:
            table.add(line, "layer", str(error))
    table.refuse()
    return {name: tuple(layers) for name, layers in found.items()}


def _operator(text: str) -> str:
    if text not in OPERATORS:
        raise ValueError(f"{text!r} is no operator class; {', '.join(OPERATORS)}")
    return text


def works_of(rows: Sequence[MeasuredRow], path: Path, layers: Path | None, *, allow_code: bool = False) -> Works:
    """Return the layers of all networks that the rows of a table name.

    A name is that of a network in the table of layers, or a scenario file beside the table of latencies, whose network is meant: it is built
    and counted, and not trained.

    Raises
    ------
    ScenarioError
        With all findings: names that mean nothing, scenarios that are not valid.
    """
    known = read_layers(layers) if layers is not None else {}
    table = Lines(path, ("device", "network", "latency"), ("n", "use"))
    found: Works = {}
    for row in rows:
        if row.network in found:
            continue
        scenario = path.parent / row.network
        if row.network in known:
            found[row.network] = known[row.network]
        elif scenario.is_file():
            try:
                found[row.network] = scenario_work(scenario, allow_code=allow_code)
            except EdgesimError as error:
                table.add(
                    row.line, "network", str(error).split("\n", maxsplit=1)[0], remedy=f"edgesim validate {scenario}"
                )
        else:
            expected = f"a network of {layers}" if layers is not None else "a scenario file beside the table"
            remedy = "" if layers is not None else "--layers TABLE gives the layers of networks by name"
            table.add(row.line, "network", f"unknown network {row.network!r}", expected, remedy)
    table.refuse()
    return found


def scenario_work(path: Path, *, allow_code: bool = False) -> tuple[LayerWork, ...]:
    """Return the layers of the network of a scenario on one device.

    Raises
    ------
    EdgesimError
        When the scenario is not valid, or its network cannot be built or counted.
    """
    from edgesim.nn.cost.layers import graph_work, measure
    from edgesim.nn.models.untrained import untrained
    from edgesim.scenario.build import build
    from edgesim.scenario.scenario import Scenario

    system = build(Scenario.load(path, allow_code=allow_code))
    dataset = system.dataset.load()
    work = graph_work(measure(untrained(system.model, dataset).network, dataset.inputs))
    if not work:
        raise ScenarioError(f"{path}: its network has no layers")
    return work
