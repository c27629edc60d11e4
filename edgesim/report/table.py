"""The tables of a study as plain texts, one line per strategy; whoever shows them draws the lines."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Any, Literal

from edgesim import units
from edgesim.domain.metrics import LOAD_METRICS, METRICS
from edgesim.domain.plan import TRAFFIC_KINDS
from edgesim.report.draw.select import (
    NO_FIT,
    at_first,
    crossed_factors,
    factors_of,
    loss_factor,
    strategies_of,
    unfit_in,
    unfit_rows,
)
from edgesim.report.texts import short, shorts, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from edgesim.domain.metrics import Metric
    from edgesim.study.folder.store import Result

WIDTH = 100
"""Columns of a terminal that tables are made for; figures and summary.csv have all values of a factor."""
LEVEL_WIDTH, LEVEL_WIDTH_WIDE = 11, 15
N_ROWS = 40
SAME = 1e-6
"""Relative difference up to which two means are the same."""
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
    """Return the tables of a result: what an inference costs, what does not fit, scores by loss, and who answered if not all did."""
    summary = result.summary()
    factor = loss_factor(result)
    asked = [metric for name, metric in result.scores.items() if (summary["metric"] == name).any()]
    made = [costs(summary, result.intact(), factor, asked)]
    if len(result.infeasible()):
        n_points = len(summary[factors_of(summary)].drop_duplicates()) if factors_of(summary) else 1
        made.append(too_large(result.infeasible(), n_points))
    if factor is not None:
        made += [
            levels(summary, factor, metric, f"{_heading(metric)}, mean ± half the 95 % interval") for metric in asked
        ]
        made += [
            levels(summary, factor, METRICS[name], f"{_heading(METRICS[name])} with half the 95 % interval")
            for name in ("latency",)
            if _varies(summary, name)
        ]
        if (summary.loc[summary["metric"] == "answered", "mean"] < 1).any():
            title = "Requests with an answer in %, with the 95 % interval"
            made.append(levels(summary, factor, METRICS["answered"], title))
    return made


def _varies(summary: pd.DataFrame, metric: str) -> bool:
    """Return whether a metric of a strategy changes with the factor points."""
    means = summary[summary["metric"] == metric].groupby("strategy", sort=False)["mean"].agg(["min", "max"])
    return bool((means["max"] > means["min"] * (1 + SAME)).any())


def _heading(metric: Metric) -> str:
    title = metric.title[:1].upper() + metric.title[1:]
    return f"{title} in %" if metric.is_share else title


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


_NOISE = 1e-9
"""Half an interval, as it is written, below which it is rounding."""
NOTHING = Cell(nan, nan, nan, "")
"""Stands where a study has no such factor point."""
UNFIT = Cell(nan, nan, nan, NO_FIT)
"""Stands where a strategy does not fit."""


def _written(cell: Cell, write: Callable[[Cell], str]) -> str:
    """Return a cell as a text."""
    return "" if cell is NOTHING else "no fit" if cell is UNFIT else write(cell)


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


def costs(summary: pd.DataFrame, intact: pd.DataFrame, factor: str | None, scores: Sequence[Metric]) -> Table:
    """Return what one inference costs with each strategy at the first factor point, and its scores with nothing lost."""
    factors = factors_of(summary)
    summary, place = at_first(summary, factors)
    whole = {str(row["strategy"]): row for row in at_first(intact, factors)[0].to_dict(orient="records")}
    cell = cells(summary, ["strategy", "metric"])
    names, unfit = strategies_of(summary), unfit_in(summary)
    columns = [
        (header, [UNFIT if name in unfit else cell[name, metric] for name in names], METRICS[metric])
        for metric, header in _COSTS.items()
    ]
    for score in scores:
        if factor is None:
            columns.append((score.title, [UNFIT if name in unfit else cell[name, score.name] for name in names], score))
        certain = [UNFIT if name in unfit else _certain(whole[name][score.name], score) for name in names]
        columns.append((f"{score.title},\nno loss", certain, score))
    rows = tuple(zip(names, *(_column(column, metric) for _, column, metric in columns), strict=True))
    grid = [list(line) for line in zip(*(column for _, column, _ in columns), strict=True)]
    highest = {place for place, (*_, metric) in enumerate(columns) if metric.is_larger_better}
    title = "Per inference" + (f", at {place}" if place else "") + ": traffic, latency, energy, memory"
    return Table(title, ("strategy", *(header for header, *_ in columns)), rows, best=_best(grid, 1, highest))


_COSTS = {
    **{f"traffic_{kind}": kind.replace("intermediate", "inter-\nmediate") for kind in TRAFFIC_KINDS},
    "latency": "latency\nmean",
    "latency_p95": "latency\np95",
    "energy": "energy",
    "peak_memory": "peak\nmemory",
}
"""The metrics of the first table, and their headers."""


def _column(column: Sequence[Cell], metric: Metric) -> list[str]:
    """Return the cells of a column of the first table as texts, scores with their unit."""
    unit = " %" if metric.is_share else "" if metric.unit == "1" or metric.name in METRICS else f" {metric.unit}"
    write: Callable[[Cell], str] = Writer.of(metric, column)
    if metric.unit == "byte":
        write = _byte
    elif metric.name == "latency_p95":
        write = _quantity
    return [_written(one, write) + (unit if one is not UNFIT else "") for one in column]


def too_large(infeasible: pd.DataFrame, n_points: int) -> Table:
    """Return which strategies do not fit the memory where, with the bytes needed and there; one line for what is alike at all `n_points` factor points."""
    names = list(infeasible.columns[: list(infeasible.columns).index("needed_byte")])
    factors = [name for name in names if name not in {"strategy", "device"}]
    alike = ["strategy", "device", "needed_byte", "available_byte"]
    is_everywhere = infeasible.groupby(alike)["strategy"].transform("size") == n_points
    infeasible = infeasible.astype(dict.fromkeys(factors, object))
    infeasible.loc[is_everywhere, factors] = "all"
    rows = infeasible.drop_duplicates().to_dict(orient="records")
    lines = [
        (
            *(short(row[name]) for name in names),
            *(units.show(row[key], "byte") for key in ("needed_byte", "available_byte")),
        )
        for row in rows[:N_ROWS]
    ]
    note = f"{N_ROWS} of {len(rows)} lines shown; summary.csv has all" if len(rows) > N_ROWS else ""
    return Table(f"What {NO_FIT}", (*names, "memory needed", "memory there"), tuple(lines), len(names), note)


def _certain(value: float, metric: Metric) -> Cell:
    return Cell(float(value), float(value), float(value), metric.unit)


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


def levels(summary: pd.DataFrame, factor: str, metric: Metric, title: str) -> Table:
    """Return a metric at the values of a factor, a line per strategy and value of the other factors that do not move with it."""
    keys = [*crossed_factors(summary, factor), "strategy"]
    rows = summary[summary["metric"] == metric.name]
    import numpy as np

    values = rows[factor].drop_duplicates().tolist()
    cell = cells(rows, [*keys, factor])
    cell |= dict.fromkeys(cells(unfit_rows(summary), [*keys, factor]), UNFIT)
    places = list(dict.fromkeys(key[:-1] for key in cell))
    taken = sum(max(len(short(place[position])) for place in places) + 1 for position in range(len(keys)))
    is_wide = metric.name == "answered" or (metric.unit != "1" and metric.name in METRICS)
    n_levels = min(max((WIDTH - taken) // (LEVEL_WIDTH_WIDE if is_wide else LEVEL_WIDTH), 2), len(values))
    shown = [values[index] for index in np.unique(np.linspace(0, len(values) - 1, n_levels).round().astype(int))]
    grid = [[cell.get((*place, value), NOTHING) for value in shown] for place in places]  # `skip` leaves points out
    write = [Writer.of(metric, column) for column in zip(*grid, strict=True)]
    lines = [
        (*map(short, place), *(_written(one, of) for one, of in zip(line, write, strict=True)))
        for place, line in zip(places, grid, strict=True)
    ]
    best = _best_of_rivals(places[:N_ROWS], grid, len(keys), is_highest=metric.is_larger_better)
    note = _left_out(factor, (len(shown), len(values)), (N_ROWS, len(lines)))
    headers = (*keys, *shorts(shown))
    return Table(f"{title}, by {words(factor)}", headers, tuple(lines[:N_ROWS]), len(keys), note, best)


def _left_out(factor: str, values: tuple[int, int], lines: tuple[int, int]) -> str:
    """Return what a table does not show of so many values and lines; empty when nothing."""
    notes = [f"{values[0]} of {values[1]} values of {factor} shown"] if values[0] < values[1] else []
    notes += [f"{lines[0]} of {lines[1]} lines shown"] if lines[0] < lines[1] else []
    return "; ".join([*notes, "summary.csv has all"]) if notes else ""


def _best_of_rivals(
    places: Sequence[tuple[Any, ...]], grid: Sequence[list[Cell]], n_names: int, *, is_highest: bool
) -> frozenset[tuple[int, int]]:
    """Return the best cells; strategies compete at the same values of the other factors."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, place in enumerate(places):
        groups.setdefault(place[:-1], []).append(row)
    highest = set(range(len(grid[0]))) if is_highest else set()
    return frozenset(
        (members[row], column)
        for members in groups.values()
        for row, column in _best([grid[one] for one in members], n_names, highest)
    )


@dataclass(frozen=True, slots=True)
class Writer:
    """How the cells of a column are written: with as many digits behind the point each, so that intervals can be compared.

    Parameters
    ----------
    kind : ``share`` in %, ``number``, ``between`` (a share with both ends of its interval) or ``quantity`` (with half its interval in %).
    n_digits : behind the point, of shares and numbers and half their intervals, and of the % of quantities.
    """

    kind: Literal["share", "number", "between", "quantity"]
    n_digits: int

    @classmethod
    def of(cls, metric: Metric, column: Iterable[Cell]) -> Writer:
        """Return how a metric is written: with the digits that the longest interval of a column needs, and no more."""
        column = list(column)
        if metric.name == "answered":
            return cls("between", 1)
        if metric.is_share:
            return cls("share", _digits((100 * cell.half for cell in column), 1, 3))
        if metric.unit == "1" or metric.name not in {**METRICS, **LOAD_METRICS}:
            return cls("number", _digits((cell.half for cell in column), 3, 5))
        return cls("quantity", _digits((100 * cell.half / abs(cell.mean) for cell in column if cell.mean), 0, 2))

    def __call__(self, cell: Cell) -> str:
        """Return a cell as a text."""
        if self.kind == "quantity":
            return _with_interval(cell, self.n_digits)
        if self.kind == "between":
            return _share_between(cell)
        scale = 100 if self.kind == "share" else 1
        return _with_half(f"{scale * cell.mean:.{self.n_digits}f}", scale * cell.half, self.n_digits)


def _digits(halves: Iterable[float], least: int, most: int) -> int:
    """Return how many digits behind the point show a digit of the largest of some halves of intervals; `least` where rounding alone makes them.

    >>> _digits([0.0301, 0.1], 1, 3), _digits([0.0301, 0.002], 1, 3), _digits([1e-15], 1, 3)
    (1, 2, 1)
    """
    largest = max((half for half in halves if 0 < half < inf), default=0.0)
    found = next((n for n in range(least, most + 1) if float(f"{largest:.{n}f}")), most)
    return found if largest > _NOISE else least


def _with_half(mean: str, half: float, n_digits: int) -> str:
    """Return a mean with half its interval, with so many digits behind the point.

    >>> _with_half("97.4", 0.12, 1), _with_half("97.4", 0.0301, 1), _with_half("97.4", 0.0, 1)
    ('97.4 ±0.1', '97.4 ±<0.1', '97.4')
    """
    if half == inf:
        return f"{mean} {OPEN}"
    return f"{mean} ±{_not_zero(half, n_digits)}" if half > 0 else mean


def _not_zero(value: float, n_digits: int) -> str:
    """Return a positive number with so many digits behind the point, or what it is less than.

    >>> _not_zero(12.34, 1), _not_zero(0.0004, 2), _not_zero(0.4, 0)
    ('12.3', '<0.01', '<1')
    """
    text = f"{value:.{n_digits}f}"
    return text if float(text) else f"<{10**-n_digits:.{n_digits}f}"


def _share_between(cell: Cell) -> str:
    """Return a share in %, with both ends of its interval, which may be at unequal distances."""
    return f"{100 * cell.mean:.1f}" + (f" ({100 * cell.low:.0f}-{100 * cell.high:.0f})" if cell.half > 0 else "")


def _with_interval(cell: Cell, n_digits: int) -> str:
    """Return a quantity with half its interval in % of it, with so many digits behind the point."""
    if cell.half == inf:
        return f"{_quantity(cell)} {OPEN}"
    return _quantity(cell) + (f" ±{_not_zero(100 * cell.half / abs(cell.mean), n_digits)} %" if cell.half > 0 else "")


def _quantity(cell: Cell) -> str:
    return "no answer" if isnan(cell.mean) else units.show(cell.mean, cell.unit)


def _byte(cell: Cell) -> str:
    return units.show(cell.mean, "byte") if cell.mean else "0 B"
