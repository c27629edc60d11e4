"""The tables of a study as plain texts, one line per strategy; whoever shows them draws the lines."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim import units
from edgesim.domain.plan import TRAFFIC_KINDS
from edgesim.report.draw.select import at_first, factors_of, loss_factor, strategies_of
from edgesim.report.draw.style import words

if TYPE_CHECKING:
    import pandas as pd

    from edgesim.study.folder.store import Result

WIDTH = 100
"""Columns of a terminal that tables are made for; figures and summary.csv have all values of a factor."""
LEVEL_WIDTH = {"accuracy": 11, "answered": 15}
N_ROWS = 40
OPEN = "±?"
"""Stands for an interval without a bound."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts: `rows` are as long as `headers`; the first `n_names` columns name the row, the others are numbers.

    `best` are the cells (row, column) that are best in their column, or whose interval meets that of the best.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_names: int = 1
    note: str = ""
    best: frozenset[tuple[int, int]] = frozenset()


def tables(result: Result) -> list[Table]:
    """Return the tables of a result: what an inference costs, accuracy by loss, and who answered if not all did."""
    summary = result.summary()
    factor = loss_factor(result)
    made = [costs(summary, result.intact(), factor)]
    if factor is not None:
        if (summary["metric"] == "accuracy").any():
            made.append(levels(summary, factor, "accuracy", "Accuracy in %, mean ± half the 95 % interval"))
        if (summary.loc[summary["metric"] == "answered", "mean"] < 1).any():
            made.append(levels(summary, factor, "answered", "Requests with an answer in %, with the 95 % interval"))
    return made


@dataclass(frozen=True, slots=True)
class Cell:
    """A mean, its interval (both ends at the mean when there is none, or nothing varies; a side without a bound is infinite), and its unit."""

    mean: float
    low: float
    high: float
    unit: str

    @property
    def half(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def cells(summary: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], Cell]:
    """Return the cells of a summary by the values of these columns."""
    found = {}
    for row in summary.to_dict(orient="records"):
        mean, low, high = (float(row[name]) for name in ("mean", "ci_low", "ci_high"))
        if isnan(mean) or row.get("n") == 1:
            low = high = mean
        low, high = -inf if isnan(low) and not isnan(mean) else low, inf if isnan(high) and not isnan(mean) else high
        found[tuple(row[key] for key in keys)] = Cell(mean, low, high, str(row["unit"]))
    return found


def costs(summary: pd.DataFrame, intact: pd.DataFrame, factor: str | None) -> Table:
    """Return what one inference costs with each strategy at the first factor point, and its accuracy with nothing lost."""
    factors = factors_of(summary)
    summary, place = at_first(summary, factors)
    whole = {str(row["strategy"]): row for row in at_first(intact, factors)[0].to_dict(orient="records")}
    cell = cells(summary, ["strategy", "metric"])
    is_asked = (summary["metric"] == "accuracy").any()
    rows = []
    for name in strategies_of(summary):
        row = [name, *(_byte(cell[name, f"traffic_{kind}"]) for kind in TRAFFIC_KINDS)]
        row += [_with_interval(cell[name, "latency"]), _quantity(cell[name, "latency_p95"])]
        row += [_with_interval(cell[name, "energy"]), _byte(cell[name, "peak_memory"])]
        if is_asked and factor is None:
            row.append(_share(cell[name, "accuracy"]) + " %")
        if is_asked:
            row.append(f"{100 * whole[name]['accuracy']:.1f} %")
        rows.append(tuple(row))
    columns = [*(f"traffic_{kind}" for kind in TRAFFIC_KINDS), "latency", "latency_p95", "energy", "peak_memory"]
    columns += ["accuracy"] if is_asked and factor is None else []
    grid = [[cell[name, metric] for metric in columns] for name in strategies_of(summary)]
    if is_asked:
        for name, line in zip(strategies_of(summary), grid, strict=True):
            accuracy = float(whole[name]["accuracy"])
            line.append(Cell(accuracy, accuracy, accuracy, "1"))
    highest = {index for index, metric in enumerate([*columns, "accuracy"]) if metric == "accuracy"}
    headers = [
        "strategy",
        "input",
        "inter-\nmediate",
        "result",
        "latency\nmean",
        "latency\np95",
        "energy",
        "peak\nmemory",
    ]
    headers += ["accuracy"] if is_asked and factor is None else []
    headers += ["accuracy,\nno loss"] if is_asked else []
    title = "Per inference" + (f", at {place}" if place else "") + ": traffic, latency, energy, memory"
    return Table(title, tuple(headers), tuple(rows), best=_best(grid, 1, highest))


def _best(grid: list[list[Cell]], n_names: int, highest: set[int]) -> frozenset[tuple[int, int]]:
    """Return which cells are best in their column, those with the highest mean in the columns `highest`, else the lowest.

    A cell whose interval meets that of the best is as good.
    """
    found = set()
    for column in range(len(grid[0])):
        rivals = {row: line[column] for row, line in enumerate(grid) if not isnan(line[column].mean)}
        if len(rivals) < 2:
            continue
        if column in highest:
            top = max(rivals.values(), key=lambda cell: (cell.mean, cell.high))
            found |= {(row, column + n_names) for row, cell in rivals.items() if cell.high >= top.low}
        else:
            top = min(rivals.values(), key=lambda cell: (cell.mean, cell.low))
            found |= {(row, column + n_names) for row, cell in rivals.items() if cell.low <= top.high}
    return frozenset(found)


def levels(summary: pd.DataFrame, factor: str, metric: str, title: str) -> Table:
    """Return a metric at the values of a factor, a line per strategy and value of the other factors."""
    keys = [*(name for name in factors_of(summary) if name != factor), "strategy"]
    rows = summary[summary["metric"] == metric]
    values = rows[factor].drop_duplicates().tolist()
    cell = cells(rows, [*keys, factor])
    places = list(dict.fromkeys(key[:-1] for key in cell))
    taken = sum(max(len(str(place[position])) for place in places) + 1 for position in range(len(keys)))
    n_levels = min(max((WIDTH - taken) // LEVEL_WIDTH[metric], 2), len(values))
    shown = [values[index] for index in np.unique(np.linspace(0, len(values) - 1, n_levels).round().astype(int))]
    write = _share_between if metric == "answered" else _share
    lines = [(*map(str, place), *(write(cell[*place, value]) for value in shown)) for place in places]
    notes = []
    if len(shown) < len(values):
        notes.append(f"{len(shown)} of {len(values)} values of {factor} shown")
    if len(lines) > N_ROWS:
        notes.append(f"{N_ROWS} of {len(lines)} lines shown")
    note = "; ".join([*notes, "summary.csv has all"]) if notes else ""
    headers = (*keys, *(str(value) for value in shown))
    groups: dict[tuple[Any, ...], list[int]] = {}  # strategies compete at the same values of the other factors
    for row, place in enumerate(places[:N_ROWS]):
        groups.setdefault(place[:-1], []).append(row)
    best = frozenset(
        (members[row], column)
        for members in groups.values()
        for row, column in _best(
            [[cell[*places[one], value] for value in shown] for one in members], len(keys), set(range(len(shown)))
        )
    )
    return Table(f"{title}, by {words(factor)}", headers, tuple(lines[:N_ROWS]), len(keys), note, best)


def _share(cell: Cell) -> str:
    """Return a share in %, with half its interval."""
    half, mean = 100 * cell.half, f"{100 * cell.mean:.1f}"
    if half == inf:
        return f"{mean} {OPEN}"
    return mean + (f" ±{half:.1f}" if half >= 0.05 else f" ±{half:.1g}" if half > 0 else "")


def _share_between(cell: Cell) -> str:
    """Return a share in %, with both ends of its interval, which may be at unequal distances."""
    return f"{100 * cell.mean:.1f}" + (f" ({100 * cell.low:.0f}-{100 * cell.high:.0f})" if cell.half > 0 else "")


def _with_interval(cell: Cell) -> str:
    if cell.half == inf:
        return f"{_quantity(cell)} {OPEN}"
    return _quantity(cell) + (f" ±{100 * cell.half / abs(cell.mean):.1g} %" if cell.half > 0 else "")


def _quantity(cell: Cell) -> str:
    return "no answer" if isnan(cell.mean) else units.show(cell.mean, cell.unit)


def _byte(cell: Cell) -> str:
    return units.show(cell.mean, "byte") if cell.mean else "0 B"
