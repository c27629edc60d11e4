"""Figures of a study: functions from its summary table to matplotlib axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullLocator

from edgesim.report.labels import label_points
from edgesim.report.select import at_first, factors_of, strategies_of
from edgesim.report.style import house_style, look, new_axes, positions, words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


EXACT = "exact"


def tradeoff(
    data: pd.DataFrame,
    ax: Axes | None = None,
    *,
    intact: pd.DataFrame | None = None,
    factor: str | None = None,
    metric: str = "accuracy",
) -> Axes:
    """Draw accuracy, or another metric, against traffic per inference, the strategies labelled.

    A large filled marker shows a strategy when nothing is lost, small hollow ones its means at the values of `factor`, with
    the 95 % interval of the accuracy. Traffic is on a logarithmic axis, with a place for zero where a strategy needs none.

    Parameters
    ----------
    data : the summary table.
    ax : where to draw; by default a figure of its own.
    intact : every metric when nothing is lost, by strategy; see `Result.intact`.
    factor : the factor whose values are drawn; others stay at their first value. By default the first.
    metric : name of the metric.
    """
    with house_style():
        ax = new_axes() if ax is None else ax
        factors = factors_of(data)
        factor = factor or next(iter(factors), None)
        others = [name for name in factors if name != factor]
        data, fixed = at_first(data, others)
        whole = None if intact is None else at_first(intact, others)[0]
        colours = look(strategies_of(data))
        table = data.pivot_table(
            index=["strategy", *([factor] if factor else [])], columns="metric", values="mean", sort=False
        )
        drawn = data[data["metric"] == metric]
        labels: list[tuple[str, float, float, str]] = []
        points: list[tuple[float, float]] = []
        for strategy, (colour, marker) in colours.items():
            here = drawn[drawn["strategy"] == strategy]
            traffic = np.atleast_1d(table.loc[strategy]["traffic"])
            ax.errorbar(
                traffic, here["mean"], yerr=half_widths(here), color=colour, marker=marker, markersize=3.5,
                markerfacecolor="white", markeredgewidth=0.8, linewidth=0.7, elinewidth=0.8,
            )  # fmt: skip
            points += list(zip(traffic, here["mean"], strict=True))
            best = (float(traffic[0]), float(here["mean"].iloc[0]))
            if whole is not None:
                row = whole[whole["strategy"] == strategy].iloc[0]
                best = (float(row["traffic"]), float(row[metric]))
                ax.plot(*best, color=colour, marker=marker, markersize=7, linestyle="none", zorder=3)
                points.append(best)
            labels.append((strategy, *best, colour))
        if metric == "accuracy":
            _pareto_front(ax, [(x, y) for _, x, y, _ in labels])
        _traffic_axis(ax, [x for x, _ in points])
        if metric == "accuracy":
            ax.set_ylim(-0.05, 1.1)
            ax.set_yticks(np.linspace(0, 1, 6))
        ax.set_ylabel(_with_unit(drawn, metric))
        shown = {"is_intact_shown": whole is not None, "is_front_shown": metric == "accuracy" and len(labels) > 1}
        ax.set_title(_tradeoff_key(data, factor, fixed, **shown), loc="left")
        label_points(ax, labels, points)
    return ax


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other beats: none has less or equal traffic and more accuracy, or less and equal.

    >>> pareto_front([(0, 0.9), (10, 0.95), (20, 0.94), (10, 0.8)])
    [(0, 0.9), (10, 0.95)]
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _pareto_front(ax: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Draw the front as steps: what can be had for so much traffic."""
    front = pareto_front(points)
    last = max(x for x, _ in points)
    if len(points) > 1:
        x, y = [*(x for x, _ in front), last], [*(y for _, y in front), front[-1][1]]
        ax.plot(x, y, drawstyle="steps-post", color="#777777", linestyle=(0, (4, 2)), linewidth=0.8, zorder=1)


def _tradeoff_key(
    data: pd.DataFrame, factor: str | None, fixed: str, *, is_intact_shown: bool, is_front_shown: bool
) -> str:
    """Return what the markers mean, in words."""
    lines = []
    if factor is not None:
        values = list(data[factor].unique())
        among = f"{values[0]} to {values[-1]}" if len(values) > 1 else f"{values[0]}"
        lines.append(f"hollow: {words(factor)} {among}")
    elif is_intact_shown:
        lines.append("hollow: with the scenario's failures")
    if is_intact_shown:
        lines.insert(0, "filled: nothing lost")
    dashed = ["dashed: Pareto front"] if is_front_shown else []
    return "\n".join(text for text in ("; ".join(lines), ", ".join([*dashed, *([fixed] if fixed else [])])) if text)


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
    ax.xaxis.set_major_formatter(FuncFormatter(_show_bytes))
    ax.set_xlabel("traffic per inference (byte)")


def _show_bytes(value: float, _position: int | None = None) -> str:
    return "0" if value == 0 else f"$10^{{{round(np.log10(value))}}}$"


def half_widths(rows: pd.DataFrame) -> Any:
    """Return the lengths of the interval below and above each mean, shape (2, n); 0 where there is no interval."""
    below = (rows["mean"] - rows["ci_low"]).fillna(0.0)
    above = (rows["ci_high"] - rows["mean"]).fillna(0.0)
    return np.clip(np.stack([below.to_numpy(), above.to_numpy()]), 0.0, None)


def resilience(
    data: pd.DataFrame, ax: Axes | None = None, *, factor: str | None = None, metric: str = "accuracy"
) -> Axes:
    """Draw a metric against a swept factor: simulated means with 95 % intervals, exact expectations as a thin line.

    Parameters
    ----------
    data : the summary table, with at least one factor.
    ax : where to draw; by default a figure of its own.
    factor : the factor on the axis; others stay at their first value. By default the first.
    metric : name of the metric.
    """
    with house_style():
        ax = new_axes() if ax is None else ax
        factors = factors_of(data)
        factor = factor or factors[0]
        data, fixed = at_first(data, [name for name in factors if name != factor])
        data = data[data["metric"] == metric]
        values = data[factor].drop_duplicates().tolist()  # Python numbers, not numpy ones
        at, unit, is_number = positions(values)
        place = dict(zip(values, at, strict=True))
        colours = look(strategies_of(data))
        apart = _distance_apart(at, len(colours)) if is_number else 0.6 / len(colours)
        for index, (strategy, (colour, marker)) in enumerate(colours.items()):
            rows = data[data["strategy"] == strategy]
            x = np.array([place[value] for value in rows[factor]]) + apart * (index - (len(colours) - 1) / 2)
            is_joined = is_number and not rows["exact"].notna().all()
            ax.errorbar(
                x, rows["mean"], yerr=half_widths(rows), color=colour, marker=marker, markersize=4,
                linestyle="-" if is_joined else "none", elinewidth=1.0, label=strategy,
            )  # fmt: skip
            if rows["exact"].notna().any():
                ax.plot(x, rows["exact"], color=colour, zorder=1.5, **_exact_line(is_number=is_number))
        if data["exact"].notna().any():
            ax.plot([], [], color="#555555", label=EXACT, **_exact_line(is_number=is_number))
        _factor_axis(ax, factor, values, at, unit, is_number=is_number)
        ax.set_ylabel(_with_unit(data, metric))
        if metric in ("accuracy", "answered"):
            ax.set_ylim(-0.03, 1.05)
            ax.set_yticks(np.linspace(0, 1, 6))
        legend_above(ax, fixed)
    return ax


def _with_unit(rows: pd.DataFrame, metric: str) -> str:
    """Return the name of a metric with its unit."""
    unit = rows["unit"].iloc[0]
    return words(metric) + ("" if unit == "1" else f" ({unit})")


def _distance_apart(at: list[float], n: int) -> float:
    """Return how far apart strategies stand at one value, so that intervals of equal means stay readable."""
    if len(at) < 2:
        return 0.02
    return float(min(0.012 * (max(at) - min(at)), 0.7 * np.median(np.diff(sorted(at))) / n))


def _exact_line(*, is_number: bool) -> dict[str, Any]:
    """Return the look of exact expectations: a thin line, or a dash at each value that has no order."""
    return {"linewidth": 0.7} if is_number else {"linestyle": "none", "marker": "_", "markersize": 9}


def legend_above(ax: Axes, title: str) -> None:
    """Put the legend above the axes, where it covers nothing: strategies first, in rows that fit the width."""
    entries = sorted(zip(*ax.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] == EXACT)
    n_letters = max(len(str(label)) for _, label in entries) + 4
    ax.legend(
        *zip(*entries, strict=True), loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=max(1, 52 // n_letters),
        borderaxespad=0.2, columnspacing=1.0, handletextpad=0.4, handlelength=1.4, title=title or None,
        title_fontsize=7, alignment="left",
    )  # fmt: skip


def _factor_axis(ax: Axes, factor: str, values: list[Any], at: list[float], unit: str, *, is_number: bool) -> None:
    ax.set_xlabel(words(factor) + (f" ({unit})" if unit else ""))
    if not is_number:
        ax.set_xticks(at, [str(value) for value in values])
        ax.set_xlim(-0.5, len(at) - 0.5)
    elif len(values) <= 9 and all(isinstance(value, int) for value in values):
        ax.xaxis.set_major_locator(FixedLocator(at))
        ax.xaxis.set_major_formatter(FixedFormatter([str(value) for value in values]))
