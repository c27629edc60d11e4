"""``edgesim explain-latency``: what the latency of a result is made of, and which change would help most."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesim.cli.code import AllowCode
from edgesim.cli.scenarios.at import At, point_of
from edgesim.units import show as quantity

if TYPE_CHECKING:
    from edgesim.study.changes.latency import Effect, Explained

N_SHOWN = 10
"""Changes in the table; ``--json`` has all."""
ROUNDING = 1e-12
"""Share of a latency below which half an interval is nothing but rounding."""


def explain_latency(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="Result folder of `edgesim run`.", show_default=False)
    ],
    at: At = None,
    strategy: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only this strategy; may be given several times.")
    ] = None,
    allow_code: AllowCode = False,
    is_json: Annotated[bool, typer.Option("--json", help="Write everything to stdout as JSON.")] = False,
) -> None:
    """Say what dominates the latency of each strategy, and which change would help most.

    The changes are simulated with the failures and arrivals of the study's first replications: each medium, class of links and link
    at twice the rate, each class of devices and device twice as fast, one device fewer. Strategies that train networks of their own
    take them from the cache, or train them again; they are not tried with a device fewer.

    \b
    Examples:
      edgesim explain-latency results/wearables
      edgesim explain-latency results/wearables --strategy modnn --at lost_devices=2
      edgesim explain-latency results/wearables --json
    """
    from edgesim.cli.progress import progress_on_stderr
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.changes.latency import explain_latency as work
    from edgesim.study.folder.names import SCENARIO
    from edgesim.study.folder.store import Result

    read = Result(result)
    read.check()
    scenario = Scenario.load(read.folder / SCENARIO, allow_code=allow_code)
    found = work(scenario, point_of(scenario, at or ()), strategy or (), progress_on_stderr())
    if is_json:
        json.dump([_document(one) for one in found], sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    for one in found:
        _show(one)


def _document(explained: Explained) -> dict[str, Any]:
    def clean(values: dict[str, Any]) -> dict[str, Any]:
        return {name: None if isinstance(value, float) and isnan(value) else value for name, value in values.items()}

    return clean({
        "strategy": explained.strategy,
        "point": dict(explained.point),
        "latency_s": explained.latency_s,
        "sentence": explained.sentence(),
        "budget": [clean(row._asdict()) for row in explained.budget],
        "changes": [clean(asdict(effect)) for effect in explained.effects],
    })  # fmt: skip


def _show(explained: Explained) -> None:
    from edgesim.cli.tables import draw_table, table_console
    from edgesim.report.table import Table

    console = table_console()
    console.print()
    console.print(explained.sentence(), markup=False)
    tried = [effect for effect in explained.effects if not effect.why_not]
    if tried:
        rows = tuple(
            (
                one.text,
                quantity(one.latency_s, "s"),
                quantity(one.saved_s, "s"),
                _half(one),
                f"{100 * one.saved_share:.1f}",
            )
            for one in tried[:N_SHOWN]
        )
        left_out = f"; {len(tried) - N_SHOWN} more with --json" if len(tried) > N_SHOWN else ""
        note = f"means over {tried[0].n} trials that have an answer with and without the change{left_out}"
        console.print()
        headers = ("change", "latency", "saved", "± half the 95 % interval", "%")
        draw_table(console, Table(f"Changes of {explained.strategy}", headers, rows, note=note))
    for why in dict.fromkeys(effect.why_not for effect in explained.effects if effect.why_not):
        names = ", ".join(effect.text for effect in explained.effects if effect.why_not == why)
        console.print(f"not tried: {names}: {why}", markup=False)


def _half(effect: Effect) -> str:
    half_s = (effect.saved_high_s - effect.saved_low_s) / 2
    is_rounding = half_s < ROUNDING * effect.latency_s
    return "" if isnan(half_s) else quantity(0.0 if is_rounding else half_s, "s")
