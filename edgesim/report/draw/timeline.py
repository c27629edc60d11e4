"""What each device and channel does when: the timeline of one request, and under load how much waits over time."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any, Literal

from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from edgesim.report.draw.figures import legend_above
from edgesim.report.draw.select import strategies_of
from edgesim.report.draw.style import COLOURS, WIDTH_IN, house_style, look, new_axes
from edgesim.report.texts import fold
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

KINDS = {
    "compute": "computing",
    "input": "sending the input",
    "intermediate": "sending between layers",
    "result": "sending the result",
}
_COLOURS = dict(zip(KINDS, (COLOURS[0], COLOURS[4], COLOURS[1], COLOURS[2]), strict=True))
_HATCHES = {"compute": "", "input": "////", "intermediate": "....", "result": "\\\\\\\\"}
N_MOST_ROWS = 24
N_MOST_CURVES = 5
_STEPS: dict[str, Literal["pre", "post"]] = {"waiting": "post", "utilisation": "pre"}
"""What a column is at a moment holds from there on; utilisation is that of the span before."""


Bar = tuple[str, str, float, float, float]
"""Resource, kind, start and length in s, waiting time before it in s."""


@dataclass(frozen=True)
class Timeline:
    """One request of a strategy.

    Parameters
    ----------
    strategy : its label.
    bars : what each resource does when.
    """

    strategy: str
    bars: tuple[Bar, ...]


N_MOST_EVENTS = 1_000_000
LONGEST_S = 1e12


def read_timelines(trace: dict[str, Any]) -> list[Timeline]:
    """Return the timelines in a trace that `edgesim.study.trials.timeline` wrote.

    Raises
    ------
    ValueError, LookupError, TypeError, AttributeError
        When it is none.
    """
    if len(trace["traceEvents"]) > N_MOST_EVENTS:
        raise ValueError("more events than anybody can look at")
    processes: dict[int, str] = {}
    threads: dict[tuple[int, int], str] = {}
    bars: dict[int, list[Bar]] = {}
    for event in trace["traceEvents"]:
        process, thread = event["pid"], event["tid"]
        if event["name"] == "process_name":
            processes[process] = event["args"]["name"]
        elif event["name"] == "thread_name":
            threads[process, thread] = event["args"]["name"]
        elif event["ph"] == "X":
            times = [1e-6 * value for value in (event["ts"], event["dur"], event["args"]["waited"])]
            if event["cat"] not in KINDS or not all(0 <= time <= LONGEST_S for time in times):
                raise ValueError("a bar of no known kind, or outside of time")
            bars.setdefault(process, []).append((threads[process, thread], event["cat"], *times))
    if not all(isinstance(name, str) for name in (*processes.values(), *threads.values())):
        raise TypeError("a name is no text")
    return [Timeline(name, tuple(bars.get(process, ()))) for process, name in processes.items()]


def timeline(data: Timeline, ax: Axes | None = None) -> Axes:
    """Draw a bar for each computation and message, a row for each device, link and medium, thin lines for waiting.

    Parameters
    ----------
    data : one request of a strategy.
    ax : where to draw; by default a figure of its own, as high as it has rows.
    """
    with house_style():
        busy: dict[str, float] = {}
        for resource, _, _, length_s, _ in data.bars:
            busy[resource] = busy.get(resource, 0.0) + length_s
        kept = set(sorted(busy, key=lambda name: -busy[name])[:N_MOST_ROWS])
        rows = {name: row for row, name in enumerate(name for name in busy if name in kept)}
        ax = new_axes(WIDTH_IN, 1.1 + 0.17 * max(len(rows), 2)) if ax is None else ax
        end_s = max((start + length for _, _, start, length, _ in data.bars), default=1.0) or 1.0
        _draw_bars(ax, [bar for bar in data.bars if bar[0] in rows], rows, least_s=end_s / 200)
        ax.set_yticks(range(len(rows)), [_short(name) for name in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(0, end_s * 1.02)
        ax.grid(visible=False, axis="y")
        ax.locator_params(axis="x", nbins=5)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show(float(value), "s")))
        ax.set_xlabel("time since the request")
        used = [kind for kind in KINDS if any(bar[1] == kind for bar in data.bars)]
        handles = [
            Patch(facecolor=_COLOURS[kind], hatch=_HATCHES[kind], edgecolor="white", label=KINDS[kind]) for kind in used
        ]
        left_out = len(busy) - len(rows)
        title = data.strategy + (f", the {len(rows)} busiest of {len(busy)} devices and channels" if left_out else "")
        ax.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, title=fold(title, 50), title_fontsize=7,
            alignment="left", borderaxespad=0.2,
        )  # fmt: skip
    return ax


def _draw_bars(ax: Axes, bars: Sequence[Bar], rows: Mapping[str, int], *, least_s: float) -> None:
    """Draw bars, none shorter than this, and the waiting before them as one line with gaps."""
    ax.barh(
        [rows[bar[0]] for bar in bars], [max(bar[3], least_s) for bar in bars], left=[bar[2] for bar in bars], height=0.72,
        color=[_COLOURS[bar[1]] for bar in bars], hatch=[_HATCHES[bar[1]] for bar in bars], edgecolor="white", linewidth=0.0, zorder=2,
    )  # fmt: skip
    waits = [(start_s - waited_s, start_s, rows[name]) for name, _, start_s, _, waited_s in bars if waited_s > 0]
    x = [x for begin_s, end_s, _ in waits for x in (begin_s, end_s, nan)]
    ax.plot(x, [row for *_, row in waits for _ in range(3)], color="#8A8A8A", linewidth=0.6, zorder=1)


def over_time(
    data: pd.DataFrame,
    column: str,
    ax: Axes | None = None,
    *,
    strategy: str | None = None,
    types: Mapping[str, str] | None = None,
) -> Axes:
    """Draw how much waits, or how busy something is, over time in one trial under load.

    Parameters
    ----------
    data : the table of what is at every resource over time, see `edgesim.study.folder.store.Result.queues`.
    column : ``waiting`` or ``utilisation``.
    ax : where to draw; by default a figure of its own.
    strategy : of which the resources with most of it are drawn, up to `N_MOST_CURVES`; by default one resource of every strategy, that with most.
    types : of the strategies, by label, for their colours.
    """
    with house_style():
        is_own, ax = ax is None, ax or new_axes()
        if strategy is None:
            looks = look(strategies_of(data), types)
            most = {name: _most(data[data["strategy"] == name], column, 1) for name in looks}
            curves = [(name, one, f"{name}: {one}", looks[name][0]) for name, [one] in most.items()]
        else:
            found = _most(data[data["strategy"] == strategy], column, N_MOST_CURVES)
            curves = [(strategy, one, one, COLOURS[place]) for place, one in enumerate(found)]
        for place, (name, resource, label, colour) in enumerate(curves):
            rows = data[(data["strategy"] == name) & (data["resource"] == resource)]
            ax.step(
                rows["time_s"], rows[column], where=_STEPS[column], color=colour, label=fold(label, 44), linewidth=1.0 + 0.5 * (len(curves) - 1 - place) / len(curves)
            )  # fmt: skip
        ax.set_ylim(0, 1.05 * max(1.0, float(data[column].max())))
        start_s, end_s = float(data["time_s"].min()), float(data["time_s"].max())
        ax.set_xlim(start_s, end_s if end_s > start_s else start_s + 1.0)  # of a trial that ends when it begins
        ax.locator_params(axis="x", nbins=5)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show(float(value), "s")))
        ax.set_xlabel("time in the first trial")
        ax.set_ylabel(column)
        if column == "waiting":
            ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        legend_above(ax, strategy or "", may_grow=is_own)
    return ax


def _most(rows: pd.DataFrame, column: str, n: int) -> list[str]:
    """Return the resources with the largest mean of a column, those with most first."""
    means = rows.groupby("resource", sort=False)[column].mean()
    return [str(name) for name in means.sort_values(ascending=False, kind="stable").index[:n]]


def _short(name: str, n_most: int = 20) -> str:
    """Return a name that leaves room for the bars."""
    return name if len(name) <= n_most else f"{name[: n_most // 2 - 1]}…{name[-n_most // 2 :]}"
