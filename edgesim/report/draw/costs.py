"""Figures of what an inference costs: latency and traffic as distributions, energy and memory by strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter

from edgesim.domain.plan import TRAFFIC_KINDS
from edgesim.report.draw.figures import N_LETTERS, WIDE, WIDER, half_widths, legend_above
from edgesim.report.draw.select import NO_FIT, at_first, factors_of, strategies_of, unfit_in
from edgesim.report.draw.style import HEIGHT_IN, PAPER, WIDTH_IN, house_style, look, new_axes
from edgesim.report.texts import fold, short, words
from edgesim.units import show

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

LINES = ("-", "--", "-.", ":")
N_LETTERS_NAME = 18
"""Letters of a name beside the axis, before it goes on in the next line."""
N_STEPS = 1000
"""Steps of a distribution that are drawn at most, so that a page of a large study stays small."""


def latency(
    data: pd.DataFrame,
    ax: Axes | None = None,
    *,
    factors: Sequence[str] = (),
    strategies: Sequence[str] = (),
    types: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the distribution of the latency of each strategy: the share of trials that have their answer by then.

    At the first and the last value of the first factor, each in a line of its own kind. A curve that ends below 1 belongs to a strategy
    that leaves requests without an answer; the legend says how many.

    Parameters
    ----------
    data : the trials, one per row.
    ax : where to draw; by default a figure of its own.
    factors : names of the factor columns; others than the first stay at their first value.
    strategies : all strategies in their order; by default as the rows have it.
    types : of the strategies, by label, for their colours.
    """
    shown = ("latency_s", "s", "latency", "share of trials answered by then")
    return _distribution(data, ax, factors, strategies, types, shown)


def traffic(
    data: pd.DataFrame,
    ax: Axes | None = None,
    *,
    factors: Sequence[str] = (),
    strategies: Sequence[str] = (),
    types: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the distribution of the bytes of a request with each strategy: the share of trials with no more; parameters as of `latency`."""
    parts = [data[f"{kind}_byte"] for kind in TRAFFIC_KINDS]
    shown = ("traffic_byte", "byte", "traffic of a request", "share of trials with no more")
    return _distribution(data.assign(traffic_byte=sum(parts)), ax, factors, strategies, types, shown)


def _distribution(  # noqa: PLR0917 - what both figures are given
    data: pd.DataFrame,
    ax: Axes | None,
    factors: Sequence[str],
    strategies: Sequence[str],
    types: Mapping[str, str] | None,
    shown: tuple[str, str, str, str],
) -> Axes:
    """Draw the distribution of a column; `shown` is its name, unit, and what the axes say."""
    column, unit, label, share = shown
    with house_style():
        is_own, ax = ax is None, ax or new_axes()
        data, fixed = at_first(data, factors[1:])
        looks = look(strategies or strategies_of(data), types)
        values = list(data[factors[0]].unique()) if factors else []
        values = [values[0], values[-1]] if len(values) > 1 else []
        curves = {}
        for value in values or [None]:
            rows = data if value is None else data[data[factors[0]] == value]
            for strategy in looks:
                here = rows.loc[rows["strategy"] == strategy, column]
                if len(here):
                    curves[strategy, value] = np.sort(here.dropna().to_numpy()), len(here)
        is_log = _value_axis(ax, unit, [answered for answered, _ in curves.values() if len(answered)])
        low, high = ax.get_xlim()
        for number, ((strategy, value), (answered, n)) in enumerate(curves.items()):
            later = list(curves.items())[number + 1 :]
            n_equal = sum(name != strategy and np.array_equal(one, answered) for (name, _), (one, _) in later)
            colour, marker = looks[strategy]
            drawn = np.unique(np.linspace(0, len(answered) - 1, min(len(answered), N_STEPS)).astype(int))
            x = np.concatenate([[low], answered[drawn], [high]])
            y = np.concatenate([[0], drawn + 1, [len(answered)]]) / max(n, 1)
            ax.plot(
                x, y, drawstyle="steps-post", color=colour, linestyle=LINES[values.index(value) if values else 0], marker=marker,
                markevery=[len(x) // 2], markersize=4, linewidth=1.2 + WIDER * n_equal,
            )  # fmt: skip
        for strategy, (colour, marker) in looks.items():
            ax.plot([], [], color=colour, marker=marker, markersize=4, label=strategy + _unanswered(strategy, curves))
        for value, line in zip(values, LINES, strict=False):
            ax.plot([], [], color="#555555", linestyle=line, label=f"{words(factors[0])} {short(value)}")
        if not is_log:
            ax.locator_params(axis="x", nbins=5)
        ax.set_ylim(-0.02, 1.05)
        ax.set_xlabel(label)
        ax.set_ylabel(share)
        legend_above(ax, fixed, may_grow=is_own)
    return ax


def _value_axis(ax: Axes, unit: str, known: Sequence[NDArray[np.float64]]) -> bool:
    """Let an axis hold all values, and return whether it is logarithmic."""
    largest, smallest = max((one[-1] for one in known), default=0.0), min((one[0] for one in known), default=np.inf)
    is_log = bool(largest > 0 and smallest > 0 and largest / smallest > WIDE)
    if is_log:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show(float(value), unit)))
    ax.set_xlim(*((smallest / 2, largest * 2) if is_log else (0.0, largest * 1.05 or 1.0)))
    return is_log


def _unanswered(strategy: str, curves: Mapping[tuple[str, Any], tuple[NDArray[np.float64], int]]) -> str:
    """Return what share of the trials of a strategy has no answer, at each value that is drawn; nothing where all have one."""
    own = [(answered, n) for (name, _), (answered, n) in curves.items() if name == strategy]
    if not own:
        return f": {NO_FIT}"
    shares = [100 * (1 - len(answered) / n) for answered, n in own]
    return f" (no answer: {', '.join(f'{share:.3g}' for share in shares)} %)" if any(shares) else ""


def energy(data: pd.DataFrame, ax: Axes | None = None, *, types: Mapping[str, str] | None = None) -> Axes:
    """Draw the energy of one inference by strategy, with its 95 % interval, at the first factor point.

    Parameters
    ----------
    data : the summary table.
    ax : where to draw; by default a figure of its own.
    types : of the strategies, by label, for their colours.
    """
    return _by_strategy(data, ax, "energy", ("J", "energy per inference"), types)


def memory(data: pd.DataFrame, ax: Axes | None = None, *, types: Mapping[str, str] | None = None) -> Axes:
    """Draw the memory that the fullest device needs, by strategy, at the first factor point.

    Parameters
    ----------
    data : the summary table.
    ax : where to draw; by default a figure of its own.
    types : of the strategies, by label, for their colours.
    """
    return _by_strategy(data, ax, "peak_memory", ("byte", "peak memory of the fullest device"), types)


def _by_strategy(
    data: pd.DataFrame, ax: Axes | None, metric: str, shown: tuple[str, str], types: Mapping[str, str] | None
) -> Axes:
    unit, label = shown
    with house_style():
        strategies = strategies_of(data)
        names = [fold(name, N_LETTERS_NAME) for name in strategies]
        rows_in = sum(0.2 + 0.1 * (name.count("\n") + 1) for name in names)
        ax = new_axes(WIDTH_IN, max(1.2, min(0.55 + rows_in, 2 * HEIGHT_IN))) if ax is None else ax
        rows, fixed = at_first(data, factors_of(data))
        unfit = unfit_in(rows)
        rows = rows[(rows["metric"] == metric) & ~rows["strategy"].isin(unfit)]
        colours = look(strategies, types)
        values = rows.set_index("strategy")["mean"].reindex(strategies)
        highest, positive = float(max(values.dropna(), default=0.0)), values[values > 0]
        is_log = 0 < len(positive) == len(values) - len(unfit) and highest / float(positive.min()) > WIDE
        for position, (strategy, (colour, marker)) in enumerate(colours.items()):
            here = rows[rows["strategy"] == strategy]
            ax.errorbar(
                here["mean"], [position] * len(here), xerr=half_widths(here), color=colour, marker=marker,
                markersize=6, linestyle="none",
            )  # fmt: skip
            value = float(values[strategy])
            if strategy in unfit:
                ax.annotate(
                    unfit[strategy], (0.02, position), xycoords=("axes fraction", "data"), fontsize=7, verticalalignment="center",
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
                )  # fmt: skip
            if np.isfinite(value):
                ax.annotate(
                    show(value, unit), (value + float(half_widths(here)[1].max(initial=0.0)), position),
                    xytext=(7, 0), textcoords="offset points", fontsize=7,
                    verticalalignment="center",
                )  # fmt: skip
        if is_log:
            ax.set_xscale("log")
            ax.set_xlim(float(positive.min()) / 3, highest * 8)
            ax.xaxis.set_minor_formatter(NullFormatter())
        else:
            ax.set_xlim(0, highest * 1.35 or 1.0)
            ax.locator_params(axis="x", nbins=5 if max(map(len, names)) < N_LETTERS_NAME else 3)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda at, _: show(float(at), unit)))
        ax.set_yticks(range(len(strategies)), names)
        ax.set_ylim(len(strategies) - 0.5, -0.5)
        ax.set_xlabel(label)
        if fixed:
            ax.set_title(fold(f"at {fixed}", N_LETTERS - N_LETTERS_NAME), loc="left")
    return ax
