"""The figures of a result by name, as the command line and the report offer them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgesim.errors import ResultError
from edgesim.report.costs import energy, latency, memory
from edgesim.report.figures import resilience, tradeoff
from edgesim.report.select import loss_factor, strategies_of
from edgesim.report.style import figure_of
from edgesim.report.timeline import Timeline, read_timelines, timeline
from edgesim.report.topology import roles_of, topology
from edgesim.study.timeline import TIMELINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgesim.study.store import Result


def main_metric(result: Result) -> str:
    """Return what the figures show: accuracy, or latency where no accuracy was asked."""
    return "accuracy" if (result.summary()["metric"] == "accuracy").any() else "latency"


def draw_tradeoff(result: Result) -> Figure:
    """Accuracy against traffic, with the Pareto front."""
    metric, factor = main_metric(result), loss_factor(result)
    return figure_of(tradeoff(result.summary(), intact=result.intact(), factor=factor, metric=metric))


def draw_resilience(result: Result, metric: str | None = None, factor: str | None = None) -> Figure:
    """Accuracy, or another metric, against the swept loss, or another factor."""
    factor = factor or loss_factor(result)
    if factor is None:
        raise ResultError(f"{result.folder} has no sweep; sweep a failure model to see accuracy against loss")
    return figure_of(resilience(result.summary(), factor=factor, metric=metric or main_metric(result)))


def draw_latency(result: Result) -> Figure:
    """Distribution of the latency by strategy."""
    trials, main = result.frame(columns=[*result.factors, "strategy", "latency_s"]), loss_factor(result)
    factors = sorted(result.factors, key=lambda name: name != main)
    return figure_of(latency(trials, factors=factors, strategies=strategies_of(result.summary())))


def draw_energy(result: Result) -> Figure:
    """Energy per inference by strategy."""
    return figure_of(energy(result.summary()))


def draw_memory(result: Result) -> Figure:
    """Peak memory by strategy."""
    return figure_of(memory(result.summary()))


def draw_timeline(result: Result, strategy: str | None = None) -> Figure:
    """One request of a strategy, by default of the first that uses several devices."""
    found = timelines(result)
    if strategy is not None:
        found = [one for one in found if one.strategy == strategy]
        if not found:
            known = ", ".join(one.strategy for one in timelines(result))
            raise ResultError(f"there is no timeline of strategy {strategy!r}; there are those of {known}")
    if not found:
        raise ResultError(f"{result.folder} has no timelines; run the scenario again with --fresh")
    chosen = next((one for one in found if len({bar[0] for bar in one.bars}) > 1), found[0])
    return figure_of(timeline(chosen))


def draw_topology(result: Result) -> Figure:
    """Devices and links, at the first factor point."""
    from edgesim.scenario.build import build
    from edgesim.scenario.schema import Scenario

    scenario = Scenario.from_data(result.manifest["scenario"])
    system = build(scenario.at(scenario.points()[0]))
    return figure_of(topology(system.topology, roles=roles_of(system.source_id, system.sink_id, system.strategies)))


def timelines(result: Result) -> list[Timeline]:
    """Return the timelines of a result.

    Raises
    ------
    ResultError
        When it has none, because it is of an older version, or they are damaged.
    """
    try:
        return read_timelines(json.loads((result.folder / TIMELINE).read_text(encoding="utf-8")))
    except OSError as error:
        raise ResultError(f"{result.folder} has no timelines; run the scenario again with --fresh") from error
    except (ValueError, LookupError, TypeError) as error:
        raise ResultError(f"{result.folder / TIMELINE} is damaged; run the scenario again with --fresh") from error


FIGURES: dict[str, Callable[[Result], Figure]] = {
    "tradeoff": draw_tradeoff, "resilience": draw_resilience, "latency": draw_latency, "energy": draw_energy,
    "memory": draw_memory, "timeline": draw_timeline, "topology": draw_topology,
}  # fmt: skip
"""What draws each kind of figure."""
