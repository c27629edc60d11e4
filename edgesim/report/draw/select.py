"""Chooses from a summary table what a figure or table shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgesim.domain.metrics import MEMORY_AVAILABLE
from edgesim.report.texts import short, words
from edgesim.units import show

if TYPE_CHECKING:
    import pandas as pd

    from edgesim.study.folder.store import Result


def factors_of(summary: pd.DataFrame) -> list[str]:
    """Return the names of the factor columns: those that stand before ``strategy``."""
    return list(summary.columns[: list(summary.columns).index("strategy")])


def crossed_factors(summary: pd.DataFrame, factor: str | None) -> list[str]:
    """Return the names of the other factors but those that move with one (`with` in a sweep): they have one value at each of its values."""
    others = [name for name in factors_of(summary) if name != factor]
    if factor is None or summary.empty:
        return others
    n_values = summary.groupby(factor, sort=False)[others].nunique().max()
    return [name for name in others if n_values[name] > 1 or (summary[name] == summary[name].iloc[0]).all()]


def loss_factor(result: Result) -> str | None:
    """Return the factor that figures have on their axis: the first that changes failures, else the first; None without one."""
    sweep: dict[str, Any] = result.manifest["scenario"].get("sweep", {})
    losses = [name for name, factor in sweep.items() if factor["path"].startswith("failures.")]
    return next(iter([*losses, *result.factors]), None)


def strategies_of(summary: pd.DataFrame) -> list[str]:
    """Return the strategies in the order of the scenario."""
    return [str(name) for name in summary["strategy"].unique()]


def at_first(summary: pd.DataFrame, factors: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Return the rows at the first value of each of these factors, and these values as text; of a table without rows itself."""
    chosen = []
    for name in factors if len(summary) else ():
        first = summary[name].iloc[0]
        summary = summary[summary[name] == first]
        chosen.append(f"{words(name)} = {short(first)}")
    return summary, ", ".join(chosen)


NO_FIT = "does not fit"


def unfit_in(summary: pd.DataFrame) -> dict[str, str]:
    """Return the strategies that do not fit the memory at any of these factor points, with what they need and what is there, in words."""
    rows = summary[summary["metric"].isin([MEMORY_AVAILABLE.name, "peak_memory"])]
    found = {}
    for strategy in strategies_of(summary):
        here = rows[rows["strategy"] == strategy]
        there, needed = (
            here[here["metric"] == MEMORY_AVAILABLE.name]["mean"],
            here[here["metric"] == "peak_memory"]["mean"],
        )
        if len(there) and len(there) == len(needed):
            found[strategy] = (
                f"{NO_FIT}: needs {show(float(needed.iloc[0]), 'byte')}, has {show(float(there.iloc[0]), 'byte')}"
            )
    return found


def unfit_rows(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that say where strategies do not fit."""
    return summary[summary["metric"] == MEMORY_AVAILABLE.name]
