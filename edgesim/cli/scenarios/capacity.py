"""``edgesim capacity``: how many requests per second each strategy can take within the goals."""

from __future__ import annotations

import json
import sys
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.exit_codes import DONE, INCOMPLETE
from edgesim.cli.scenarios.at import At, point_of
from edgesim.units import show

if TYPE_CHECKING:
    from edgesim.study.search.capacity import Capacity, Tried
    from edgesim.study.tables.statistics import Estimate


def capacity(  # noqa: PLR0917 - typer passes options by name
    file: Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file.", show_default=False)],
    at: At = None,
    strategy: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only this strategy; may be given several times.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(metavar="SHARE", help="How near the two rates are at the end.", min=0.001, max=1.0)
    ] = 0.05,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write every rate that was tried to stdout as JSON.")] = False,
) -> None:
    """Find the largest request rate at which each strategy keeps the goals.

    The scenario needs `goals`, such as `latency_p95: <= 300 ms`, and `workload.load` with arrivals that have a rate. The rate is
    bisected; each one is simulated until intervals say whether it meets all goals, at most as often as the scenario says. Rates
    that stay undecided are shown. Exit code 1 when a strategy is not feasible.

    \b
    Examples:
      edgesim capacity study.yaml
      edgesim capacity study.yaml --strategy modnn --tolerance 0.02 --json
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.search.capacity import capacities

    scenario = Scenario.load(file, allow_code=allow_code)
    found = list(
        capacities(scenario, point_of(scenario, at or ()), strategy or (), progress_on_stderr(), tolerance=tolerance)
    )
    if is_json:
        json.dump([_document(one) for one in found], sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        _show(found, ", ".join(f"{metric} {text}" for metric, text in scenario.goals.items()))
    raise typer.Exit(INCOMPLETE if any(one.why_not for one in found) else DONE)


def _document(found: Capacity) -> dict[str, Any]:
    return {
        "strategy": found.strategy,
        "why_not": found.why_not,
        "met_up_to_hz": found.low_hz,
        "missed_from_hz": _number(found.high_hz),
        "undecided_hz": list(found.undecided_hz),
        "tried": [
            {
                "rate_hz": one.rate_hz,
                "verdict": one.verdict,
                "replications": one.n_replications,
                "metrics": {metric: _interval(estimate) for metric, estimate in one.estimates.items()},
            }
            for one in found.tried
        ],
    }


def _interval(estimate: Estimate) -> dict[str, float | None]:
    return {
        name: _number(value)
        for name, value in (("mean", estimate.value), ("low", estimate.low), ("high", estimate.high))
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def _show(found: list[Capacity], goals: str) -> None:
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.table import Table

    console = table_console()
    headers = ("strategy", "met up to", "missed from", "undecided", "rates", "replications")
    note = f"goals: {goals}; all decisions on a strategy hold together with 95 %"
    feasible = [one for one in found if not one.why_not]
    if feasible:
        draw_table(
            console, Table("Requests per second within the goals", headers, tuple(map(_row, feasible)), note=note)
        )
    for one in found:
        if one.why_not:
            console.print(f"{one.strategy} is not feasible: {one.why_not}", markup=False)
        elif one.high_hz == inf:
            console.print(f"{one.strategy}: no rate surely misses a goal; {_remedy(one.tried[-1])}", markup=False)
        elif one.low_hz == 0.0:
            console.print(f"{one.strategy}: no rate surely meets the goals; {_remedy(one.tried[0])}", markup=False)


def _remedy(furthest: Tried) -> str:
    """Return what to do about a side that was not decided, by the furthest rate on it."""
    rate = show(furthest.rate_hz, "/s")
    if furthest.verdict == "unknown":
        return f"at {rate} no request is watched or answered: give the load more `requests`, or less `warm_up`"
    if furthest.is_met or furthest.is_missed:
        return f"this was tried to {rate}: are trials long enough?"
    return f"{furthest.n_replications} replications do not decide {rate}: give more"


def _row(one: Capacity) -> tuple[str, ...]:
    unsure = one.undecided_hz
    return (
        one.strategy,
        show(one.low_hz, "/s") if one.low_hz else "none",
        show(one.high_hz, "/s") if one.high_hz < inf else "none",
        " to ".join(dict.fromkeys(show(rate, "/s") for rate in (unsure[0], unsure[-1]))) if unsure else "",
        str(len(one.tried)),
        str(sum(tried.n_replications for tried in one.tried)),
    )
