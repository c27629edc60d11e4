"""Figures of a study: functions from its summary table to matplotlib axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite, isnan, log10
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator

from edgesim.report.draw.labels import Label, place_labels
from edgesim.report.draw.select import (
    NO_FIT,
    at_first,
    crossed_factors,
    factors_of,
    strategies_of,
    unfit_in,
    unfit_rows,
)
from edgesim.report.draw.style import TEXT, figure_of, house_style, look, new_axes, positions
from edgesim.report.texts import fold, short, shorts, words
from edgesim.units import show

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from edgesim.domain.metrics import Metric


Segment = tuple[tuple[float, float], tuple[float, float]]
"""Both ends of a line."""
EXACT = "exact"
N_LETTERS = 54
"""Letters of 7 pt that fit above the axes of a figure one column wide."""
N_LETTERS_HIGH = 34
"""Letters of 8 pt that fit beside the axes."""
LINE_IN = 0.14
"""Height of a line of a legend."""
MARKER_PT = 5.0
"""Half a large marker and a little space around it."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
"""Exponents are plain letters: in figures of results of strangers no formula is set."""
WIDE = 30.0
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""


def tradeoff(
    data: pd.DataFrame,
    metric: Metric,
    ax: Axes | None = None,
    *,
    intact: pd.DataFrame | None = None,
    factor: str | None = None,
    types: Mapping[str, str] | None = None,
) -> Axes:
    """Draw a metric against traffic per inference, the strategies labelled.

    A large filled marker shows a strategy when nothing is lost, small hollow ones its means at the values of `factor`, with
    the 95 % interval of the metric. A dashed line is the Pareto front: what can be had for so much traffic. Traffic is on a
    logarithmic axis, with a place for zero where a strategy needs none. Where names find no place beside their markers, a
    legend above the axes has them.

    Parameters
    ----------
    data : the summary table.
    metric : what is drawn.
    ax : where to draw; by default a figure of its own.
    intact : every metric when nothing is lost, by strategy; see `Result.intact`.
    factor : the factor whose values are drawn; others stay at their first value. By default the first.
    types : of the strategies, by label, for their colours.
    """
    with house_style():
        is_own, ax = ax is None, ax or new_axes()
        factors = factors_of(data)
        factor = factor or next(iter(factors), None)
        others = crossed_factors(data, factor)
        data, fixed = at_first(data, others)
        looks = look(strategies_of(data), types)
        paths = {name: _path(data[data["strategy"] == name], metric.name) for name in looks}
        whole = {} if intact is None else _intact_points(at_first(intact, others)[0], metric.name)
        for name, (colour, marker) in looks.items():
            _draw_path(ax, paths[name], whole.get(name), colour, marker)
        best = {name: whole.get(name) or _points(rows)[0] for name, rows in paths.items() if name not in unfit_in(data)}
        steps = _draw_front(ax, list(best.values()), is_highest=metric.is_larger_better)
        points = {name: [best[name], *_points(paths[name])] for name in best}
        _traffic_axis(ax, [x for path in points.values() for x, _ in path])
        _value_axis(
            ax,
            data[data["metric"] == metric.name],
            metric,
            share_limits=(-0.05, 1.1),
            also=[y for _, y in whole.values()],
        )
        marks = _marks(data, factor, points) if whole else _hollow(data, factor) if factor else ""
        key = _key(marks, "dashed: Pareto front" if steps else "", fixed, unfit_in(data))
        drawn = [*steps, *(line for path in points.values() for line in pairwise(path[1:]))]
        _name_strategies(ax, key, looks, points, drawn, may_grow=is_own)
    return ax


def _intact_points(intact: pd.DataFrame, metric: str) -> dict[str, tuple[float, float]]:
    """Return traffic and a metric when nothing is lost, by strategy."""
    rows = intact.dropna(subset="traffic").drop_duplicates("strategy").to_dict(orient="records")
    return {str(row["strategy"]): (float(row["traffic"]), float(row[metric])) for row in rows}


def _draw_path(ax: Axes, rows: pd.DataFrame, whole: tuple[float, float] | None, colour: str, marker: str) -> None:
    """Draw the means of a strategy with their intervals, and with a large marker where it is when nothing is lost."""
    ax.errorbar(
        rows["traffic"], rows["mean"], yerr=half_widths(rows), color=colour, marker=marker, markersize=3.5,
        markerfacecolor="white", markeredgewidth=0.8, linewidth=0.7, elinewidth=0.8,
    )  # fmt: skip
    if whole is not None:
        ax.plot(*whole, color=colour, marker=marker, markersize=7, linestyle="none", zorder=3)


def _key(marks: str, front: str, fixed: str, unfit: Mapping[str, str]) -> str:
    """Return what stands above the axes."""
    lines = (marks, ", ".join(filter(None, (front, fixed))), *(f"{name} {text}" for name, text in unfit.items()))
    return "\n".join(fold(line, N_LETTERS) for line in lines if line)


def _marks(data: pd.DataFrame, factor: str | None, points: Mapping[str, list[tuple[float, float]]]) -> str:
    """Return what filled markers mean, and hollow ones where any are beside them."""
    is_alone = all(np.allclose(path, path[0], equal_nan=True) for path in points.values())
    return "filled: nothing lost" + ("" if is_alone else f"; {_hollow(data, factor)}")


def _path(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows of a metric of one strategy, with the traffic at the same factor points."""
    here, traffic = rows[rows["metric"] == metric], rows[rows["metric"] == "traffic"]
    found = here.assign(traffic=traffic["mean"].to_numpy())
    return found[found["traffic"].notna()]  # where it fits


def _points(rows: pd.DataFrame) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(rows["traffic"], rows["mean"], strict=True)]


def pareto_front(points: Sequence[tuple[float, float]], *, is_highest: bool = True) -> list[tuple[float, float]]:
    """Return the points that no other beats: none has less or equal traffic and a better value, or less and an equal one.

    `is_highest` says whether the higher value is the better one.

    >>> pareto_front([(0, 0.9), (10, 0.95), (20, 0.94), (10, 0.8)])
    [(0, 0.9), (10, 0.95)]
    """
    sign = 1.0 if is_highest else -1.0
    front: list[tuple[float, float]] = []
    for x, y in sorted(
        {point for point in points if not isnan(point[1])}, key=lambda point: (point[0], -sign * point[1])
    ):
        if not front or sign * y > sign * front[-1][1]:
            front.append((x, y))
    return front


def _draw_front(ax: Axes, points: Sequence[tuple[float, float]], *, is_highest: bool) -> list[Segment]:
    """Draw the front as steps from its first to its last point, and return them; nothing where it is one point."""
    front = pareto_front(points, is_highest=is_highest)
    if len(front) < 2:
        return []
    corners = [front[0]]
    for x, y in front[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    ax.plot(*zip(*corners, strict=True), color="#777777", linestyle=(0, (4, 2)), linewidth=0.8, zorder=1)
    return list(pairwise(corners))


def _hollow(data: pd.DataFrame, factor: str | None) -> str:
    """Return what the hollow markers mean, in words."""
    if factor is None:
        return "hollow: with failures"
    values = list(data[factor].unique())
    return f"hollow: {words(factor)} {short(values[0])}" + (f" to {short(values[-1])}" if len(values) > 1 else "")


def _name_strategies(
    ax: Axes,
    key: str,
    looks: Mapping[str, tuple[str, str]],
    points: Mapping[str, list[tuple[float, float]]],
    lines: list[Segment],
    *,
    may_grow: bool,
) -> None:
    """Write the key above the axes and names beside the first point of each, or all in a legend where one finds no place."""
    title = ax.set_title(key, loc="left")
    placed = place_labels(
        ax, [Label(name, *path[0], looks[name][0]) for name, path in points.items()],
        avoid=[point for path in points.values() for point in path], radius_pt=MARKER_PT, lines=lines, size_pt=7.5, is_inside=True,
    )  # fmt: skip
    if None in placed:
        for note in placed:
            if note is not None:
                note.remove()
        title.set_text("")
        for name, (colour, marker) in ((name, looks[name]) for name in points):
            ax.plot([], [], color=colour, marker=marker, markersize=5, linestyle="none", label=name)
        legend_above(ax, key, may_grow=may_grow)


def _traffic_axis(ax: Axes, traffic: list[float]) -> None:
    """Set up a logarithmic axis of bytes, with room at the sides and a place for zero when it is needed."""
    positive = [value for value in traffic if value > 0] or [1.0]
    low, high = np.floor(np.log10(min(positive))), np.ceil(np.log10(max(positive)))
    low, high = (low, high) if high > low else (low, low + 1)
    decades = [10.0**power for power in np.arange(low, high + 1)]
    if min(traffic) > 0:
        ax.set_xscale("log")
        ax.set_xlim(decades[0] / 1.6, decades[-1] * 1.6)
        ticks = decades
    else:
        ax.set_xscale("symlog", linthresh=decades[0], linscale=0.7)
        ax.set_xlim(-0.35 * decades[0], decades[-1] * 1.6)
        ticks = [0.0, *decades]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(_show_power))
    ax.set_xlabel("traffic per inference (byte)")


def _show_power(value: float, _position: int | None = None) -> str:
    return "0" if value == 0 else f"10{str(round(np.log10(value))).translate(RAISED)}"


_OPEN: Any = {"markersize": 4, "markerfacecolor": "white", "linestyle": "none"}
"""How a mean is drawn whose interval has no bound."""


_UNFIT: Any = {"marker": "x", "markersize": 5, "linestyle": "none"}
"""How it is drawn that a strategy does not fit, at the foot of the axes."""


WIDER = 1.8
"""By so many points a line is wider than one that covers it, so that it is seen at both sides."""


def are_open(rows: pd.DataFrame) -> Any:
    """Return of which means of several values the interval has no bound on some side, shape (n,)."""
    is_open = rows["mean"].notna() & (rows["ci_low"].isna() | rows["ci_high"].isna()) & (rows["n"] > 1)
    return is_open.to_numpy()


def half_widths(rows: pd.DataFrame) -> Any:
    """Return the lengths of the interval below and above each mean, shape (2, n); 0 where there is no interval."""
    below = (rows["mean"] - rows["ci_low"]).fillna(0.0)
    above = (rows["ci_high"] - rows["mean"]).fillna(0.0)
    return np.clip(np.stack([below.to_numpy(), above.to_numpy()]), 0.0, None)


def resilience(
    data: pd.DataFrame,
    metric: Metric,
    ax: Axes | None = None,
    *,
    factor: str | None = None,
    types: Mapping[str, str] | None = None,
) -> Axes:
    """Draw a metric against a swept factor: simulated means with 95 % intervals, exact expectations as a thin line.

    Parameters
    ----------
    data : the summary table, with at least one factor.
    metric : what is drawn.
    ax : where to draw; by default a figure of its own.
    factor : the factor on the axis; others stay at their first value. By default the first.
    types : of the strategies, by label, for their colours.
    """
    with house_style():
        is_own, ax = ax is None, ax or new_axes()
        factors = factors_of(data)
        factor = factor or factors[0]
        data, fixed = at_first(data, crossed_factors(data, factor))
        unfit, order = unfit_rows(data), strategies_of(data)
        data = data[data["metric"] == metric.name]
        values = data[factor].drop_duplicates().tolist()  # Python numbers, not numpy ones
        at, unit, is_number = positions(values)
        is_log = is_number and min(at) > 0 and max(at) / min(at) > WIDE
        at = [log10(value) for value in at] if is_log else at
        place = dict(zip(values, at, strict=True))
        colours = look(order, types)
        apart = _distance_apart(at, len(colours)) if is_number else 0.6 / len(colours)
        for index, (strategy, (colour, marker)) in enumerate(colours.items()):
            aside = apart * (index - (len(colours) - 1) / 2)
            too_large = unfit.loc[unfit["strategy"] == strategy, factor].tolist()
            foot = ax.get_xaxis_transform()
            ax.plot(
                [place[value] + aside for value in too_large],
                [0.03] * len(too_large),
                **_UNFIT,
                color=colour,
                transform=foot,
            )
            rows = data[(data["strategy"] == strategy) & ~data[factor].isin(too_large)]
            x = np.array([place[value] for value in rows[factor]]) + aside
            is_joined = is_number and not rows["exact"].notna().all()
            wider = WIDER * sum(_same(data, strategy, other) for other in list(colours)[index + 1 :])
            ax.errorbar(
                x, rows["mean"], yerr=half_widths(rows), color=colour, marker=marker, markersize=4,
                linestyle="-" if is_joined else "none", linewidth=1.2 + wider, elinewidth=1.0, label=strategy,
            )  # fmt: skip
            is_open = are_open(rows)
            if is_open.any():
                ax.plot(x[is_open], rows["mean"][is_open], **_OPEN, color=colour, marker=marker)
            if rows["exact"].notna().any():
                ax.plot(x, rows["exact"], color=colour, zorder=1.5, **_exact_line(is_number=is_number, wider=wider))
        _explain(ax, data, is_number=is_number, has_unfit=bool(len(unfit)))
        _factor_axis(ax, factor, values, at, unit, is_log=is_log, is_number=is_number)
        _value_axis(ax, data, metric)
        legend_above(ax, fixed, may_grow=is_own)
    return ax


def _explain(ax: Axes, data: pd.DataFrame, *, is_number: bool, has_unfit: bool) -> None:
    """Put into the legend what marks and thin lines mean, where there are some."""
    if are_open(data).any():
        ax.plot([], [], **_OPEN, color="#555555", marker="o", label="no bound: too little was met")
    if has_unfit:
        ax.plot([], [], **_UNFIT, color="#555555", label=NO_FIT)
    if data["exact"].notna().any():
        ax.plot([], [], color="#555555", label=EXACT, **_exact_line(is_number=is_number))


def _same(data: pd.DataFrame, one: str, other: str) -> bool:
    """Return whether two strategies have the same means."""
    first, second = (data.loc[data["strategy"] == name, "mean"].to_numpy() for name in (one, other))
    return len(first) == len(second) and bool(np.allclose(first, second, equal_nan=True))


def _distance_apart(at: list[float], n: int) -> float:
    """Return how far apart strategies stand at one value, so that intervals of equal means stay readable."""
    if len(at) < 2:
        return 0.02
    return float(min(0.012 * (max(at) - min(at)), 0.7 * np.median(np.diff(sorted(at))) / n))


def _exact_line(*, is_number: bool, wider: float = 0.0) -> dict[str, Any]:
    """Return the look of exact expectations: a thin line, or a dash at each value that has no order."""
    return {"linewidth": 0.7 + wider} if is_number else {"linestyle": "none", "marker": "_", "markersize": 9}


def legend_above(ax: Axes, title: str, *, may_grow: bool) -> None:
    """Put the legend above the axes, where it covers nothing: strategies first, in rows that fit the width.

    `may_grow` says whether the figure may become higher by what the legend needs beyond three lines.
    """
    entries = sorted(zip(*ax.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] in {EXACT, NO_FIT})
    handles, labels = [handle for handle, _ in entries], [fold(str(label), N_LETTERS - 6) for _, label in entries]
    n_letters = max(len(line) for label in labels for line in label.split("\n")) + 4
    n_columns = max(1, (N_LETTERS - 2) // n_letters)
    title = "\n".join(fold(line, N_LETTERS) for line in title.split("\n"))
    n_lines = sum(label.count("\n") + 1 for label in labels) / n_columns + (title.count("\n") + 1 if title else 0)
    if may_grow and n_lines > 3:
        figure = figure_of(ax)
        figure.set_figheight(figure.get_figheight() + LINE_IN * (n_lines - 3))
    ax.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=n_columns,
        borderaxespad=0.2, columnspacing=1.0, handletextpad=0.4, handlelength=1.4,
        title=title or None, title_fontsize=7, alignment="left",
    )  # fmt: skip


def _factor_axis(
    ax: Axes, factor: str, values: list[Any], at: list[float], unit: str, *, is_log: bool, is_number: bool
) -> None:
    """Label the axis of a factor: numbers with their unit, other texts side by side; logarithms by the values themselves."""
    ax.set_xlabel(words(factor) + (f" ({unit})" if unit else ""))
    if not is_number:
        n_letters = max(3, N_LETTERS // len(values) - 1)
        ax.set_xticks(at, [fold(value, n_letters) for value in shorts(values)])
        ax.set_xlim(-0.5, len(at) - 0.5)
    elif is_log or (len(values) <= 9 and all(isinstance(value, int) for value in values)):
        shown = dict.fromkeys(np.linspace(0, len(at) - 1, min(len(at), 9)).round().astype(int))
        ax.xaxis.set_major_locator(FixedLocator([at[index] for index in shown]))
        ax.xaxis.set_major_formatter(
            FixedFormatter([shorts(values)[index].removesuffix(unit).strip() for index in shown])
        )


_ZOOMS = (0.99, 0.98, 0.95, 0.9, 0.8)
"""Where an axis of shares begins when all of them lie above."""


def _share_axis(ax: Axes, values: Sequence[float], limits: tuple[float, float]) -> None:
    """Let an axis of shares go from 0 to 1, or begin higher where all values and intervals do, and mark that."""
    lowest = np.nanmin([1.0, *values])
    start = next((zoom for zoom in _ZOOMS if lowest >= zoom), 0.0)
    length = 1.0 - start
    ax.set_ylim(start + limits[0] * length, start + limits[1] * length)
    ax.set_yticks(np.linspace(start, 1, 6))
    if start:
        ax.set_ylabel(fold(f"{ax.get_ylabel()} (axis from {start:g})", N_LETTERS_HIGH))
        for y in (0.015, 0.035):
            ax.plot(
                [-0.015, 0.015], [y - 0.01, y + 0.01], color=TEXT, linewidth=0.8, transform=ax.transAxes, clip_on=False
            )


def _value_axis(
    ax: Axes,
    rows: pd.DataFrame,
    metric: Metric,
    share_limits: tuple[float, float] = (-0.03, 1.05),
    also: Sequence[float] = (),
) -> None:
    """Label the axis of a metric; shares lie between 0 and 1, what varies widely is drawn logarithmically."""
    name, unit = words(metric.label) if metric.label else words(metric.name), metric.unit
    ax.set_ylabel(name if metric.is_share or unit == "1" else f"{name} ({unit})")
    if metric.is_share:
        _share_axis(ax, [*rows["mean"], *rows["ci_low"], *also], share_limits)
        return
    values = rows["mean"].dropna()
    if isfinite(metric.highest - metric.lowest):
        margin = 0.03 * (metric.highest - metric.lowest)
        ax.set_ylim(metric.lowest - margin, metric.highest + margin)
    elif len(values) and values.min() > 0 and values.max() / values.min() > WIDE:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(_show_power))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif not len(values) or values.min() >= 0:
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.08 * float(values.max())) if len(values) else None)
    if unit != "1":
        ax.set_ylabel(name)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: show(float(value), unit)))
