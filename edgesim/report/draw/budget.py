"""Where the mean latency of each strategy goes: a bar of its parts."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from edgesim.domain.columns import BUDGET_PARTS
from edgesim.report.draw.figures import N_LETTERS
from edgesim.report.draw.select import NO_FIT, at_first, factors_of, strategies_of
from edgesim.report.draw.style import COLOURS, HEIGHT_IN, WIDTH_IN, house_style, new_axes
from edgesim.report.texts import fold
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from matplotlib.axes import Axes

_LOOK = {
    "compute": (COLOURS[0], ""),
    "host": (COLOURS[5], "////"),
    "sending": (COLOURS[4], ""),
    "propagation": (COLOURS[1], "...."),
    "queueing": ("#9A9A9A", ""),
    "slowest": ("#C8C8C8", "\\\\\\\\"),
    "repeated": (COLOURS[3], "xxxx"),
}
"""Colour and hatch of each part: computing in the colours of the timeline, waiting in grey."""
N_LETTERS_NAME = 16


def budget(data: pd.DataFrame, ax: Axes | None = None, *, unfit: Collection[str] = ()) -> Axes:
    """Draw which shares of the mean latency of each strategy its parts have, at the first factor point.

    Parameters
    ----------
    data : the table of parts, see `edgesim.report.result.Result.budget`.
    ax : where to draw; by default a figure of its own.
    unfit : strategies that do not fit the memory there.
    """
    with house_style():
        rows, fixed = at_first(data, factors_of(data))
        strategies = strategies_of(rows)
        totals_s = rows.groupby("strategy", sort=False)["mean_s"].sum(min_count=1)
        names = [fold(name, N_LETTERS_NAME) for name in strategies]
        n_lines = sum(name.count("\n") + 1 for name in names)
        ax = (
            new_axes(WIDTH_IN, max(1.6, min(1.1 + 0.1 * len(names) + 0.12 * n_lines, 2 * HEIGHT_IN)))
            if ax is None
            else ax
        )
        left = np.zeros(len(strategies))
        for part, (colour, hatch) in _LOOK.items():
            shares = rows[rows["part"] == part].set_index("strategy")["share"].reindex(strategies).fillna(0.0)
            widths = shares.clip(0.0, 1.0).to_numpy()
            ax.barh(
                range(len(strategies)), widths, left=left, height=0.62, color=colour, hatch=hatch, edgecolor="white", linewidth=0.0
            )  # fmt: skip
            left += widths
        for position, strategy in enumerate(strategies):
            total_s = float(totals_s[strategy])
            ax.annotate(
                show(total_s, "s") if isfinite(total_s) else NO_FIT if strategy in unfit else "no answer", (min(left[position], 1.0), position), xytext=(3, 0),
                textcoords="offset points", fontsize=7, verticalalignment="center",
            )  # fmt: skip
        ax.set_yticks(range(len(strategies)), names)
        ax.set_ylim(len(strategies) - 0.5, -0.5)
        ax.set_xlim(0, 1.22)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        ax.grid(visible=False, axis="y")
        ax.set_xlabel("share of the mean latency")
        used = [part for part in BUDGET_PARTS if (rows[rows["part"] == part]["share"] > 0.0005).any()]
        ax.legend(
            handles=[Patch(facecolor=_LOOK[part][0], hatch=_LOOK[part][1], edgecolor="white", label=part) for part in used],
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, columnspacing=1.0, handletextpad=0.4, handlelength=1.4, borderaxespad=0.2,
            title=fold(f"at {fixed}", N_LETTERS) if fixed else None, title_fontsize=7, alignment="left",
        )  # fmt: skip
    return ax
