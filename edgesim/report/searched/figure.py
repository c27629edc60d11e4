"""The Pareto figure of a search: every candidate by its first two metrics."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, NullFormatter

from edgesim.report.draw.figures import WIDE
from edgesim.report.draw.style import TEXT, house_style, look, new_axes
from edgesim.report.searched.table import metric_of
from edgesim.report.texts import words
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from edgesim.domain.metrics import Metric
    from edgesim.study.search.race import Runner
    from edgesim.study.search.search import Searched

GREY = "#9A9A9A"


def pareto(found: Searched, ax: Axes | None = None) -> Axes:
    """Draw the first metric of a search against its second, a point for each candidate that was simulated, by strategy.

    Candidates on the Pareto front are filled, and a dashed line shows what can be had of the one metric for the other. Others are
    hollow; small grey ones miss a goal or were stopped early, at the estimate that they had then. The best has a ring. With one
    metric the other axis is the traffic, or the latency.
    """
    with house_style():
        ax = new_axes(3.5, 3.0) if ax is None else ax
        name, other = _axes_of(found)
        looks = look(tuple(dict.fromkeys(one.candidate.strategy for one in found.runners)))
        front = {id(one) for one in found.front}
        points = [(one, one.mean(other), one.mean(name)) for one in found.runners if one.estimates]
        points = [(one, x, y) for one, x, y in points if isfinite(x) and isfinite(y)]
        for one, x, y in points:
            ax.plot(x, y, **_mark(one, found, looks[one.candidate.strategy], is_on_front=id(one) in front))
        on_front = sorted((x, y) for one, x, y in points if id(one) in front)
        if len(on_front) > 1:
            steps = "steps-pre" if found.judge.is_highest(other) else "steps-post"
            ax.plot(*zip(*on_front, strict=True), "--", color=TEXT, linewidth=0.8, zorder=1, drawstyle=steps)
        _explain(ax, found, looks, has_grey=any(_is_grey(one, found) for one, _, _ in points))
        _scale(ax, "x", metric_of(found, other), [x for _, x, _ in points])
        _scale(ax, "y", metric_of(found, name), [y for _, _, y in points])
    return ax


def _is_grey(one: Runner, found: Searched) -> bool:
    return one.state == "stopped" or found.judge.violation(one) > 0


def _mark(one: Runner, found: Searched, look_of: tuple[str, str], *, is_on_front: bool) -> dict[str, Any]:
    """Return how a candidate is drawn."""
    colour, marker = look_of
    shape: dict[str, Any] = {"marker": marker, "linestyle": "none", "color": colour}
    if is_on_front:
        return shape | {"markersize": 6, "zorder": 4}
    if _is_grey(one, found):
        return shape | {"color": GREY, "markersize": 2.5, "zorder": 2}
    return shape | {"fillstyle": "none", "markersize": 4, "markeredgewidth": 0.8, "zorder": 3}


def _explain(ax: Axes, found: Searched, looks: Mapping[str, tuple[str, str]], *, has_grey: bool) -> None:
    """Draw the ring of the best, and the legend above the axes."""
    for strategy, (colour, marker) in looks.items():
        ax.plot([], [], marker, color=colour, label=strategy)
    if found.best is not None:
        name, other = _axes_of(found)
        place = found.best.mean(other), found.best.mean(name)
        ax.plot(*place, "o", color=TEXT, fillstyle="none", markersize=11, zorder=5, label="best")
    if has_grey:
        ax.plot([], [], "o", color=GREY, markersize=2.5, label="stopped, or misses a goal")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, columnspacing=1, handletextpad=0.4)


def _axes_of(found: Searched) -> tuple[str, str]:
    first, *others = found.judge.by
    return first, others[0] if others else "latency" if first == "traffic" else "traffic"


def _scale(ax: Axes, axis: str, metric: Metric, values: list[float]) -> None:
    """Label an axis, and make it logarithmic where values differ much."""
    own = ax.xaxis if axis == "x" else ax.yaxis
    if values and min(values) > 0 and max(values) / min(values) > WIDE:
        (ax.set_xscale if axis == "x" else ax.set_yscale)("log")
        own.set_minor_formatter(NullFormatter())
    elif axis == "x":
        ax.locator_params(axis="x", nbins=5)
    if metric.is_share:
        own.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
    elif metric.unit != "1":
        own.set_major_formatter(FuncFormatter(lambda value, _: show(float(value), metric.unit)))
    (ax.set_xlabel if axis == "x" else ax.set_ylabel)(words(metric.name) + (" in %" if metric.is_share else ""))
