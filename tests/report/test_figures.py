"""Figures: what is drawn, what the axes say, and that no text covers another."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from edgesim.domain import metrics
from edgesim.report.draw.costs import energy, memory
from edgesim.report.draw.figures import pareto_front, resilience, tradeoff
from edgesim.report.draw.style import COLOURS, MARKERS, look, positions, save
from edgesim.tasks.scores import SCORES

METRICS = {"accuracy": "1", "traffic": "byte", "answered": "1"}

ACCURACY = SCORES["accuracy"]


def summary(
    strategies: dict[str, float], factor: str = "lost_devices", values=(0, 1, 2, 3), *, exact: bool = True
) -> pd.DataFrame:
    """A summary table in which accuracy falls with the factor and traffic is fixed per strategy."""
    rows = []
    for level, value in enumerate(values):
        for name, traffic in strategies.items():
            for metric, unit in METRICS.items():
                mean = traffic if metric == "traffic" else 1 - 0.2 * level
                half = 0.0 if metric == "traffic" else 0.03
                expected = mean if exact else np.nan
                rows.append((value, name, metric, unit, mean, mean - half, mean + half, 50, expected))
    columns = [factor, "strategy", "metric", "unit", "mean", "ci_low", "ci_high", "n", "exact"]
    return pd.DataFrame(rows, columns=columns)


def intact(strategies: dict[str, float], factor: str = "lost_devices") -> pd.DataFrame:
    """Every strategy is right when nothing is lost."""
    return pd.DataFrame(
        {factor: 0, "strategy": list(strategies), "traffic": list(strategies.values()), "accuracy": 1.0}
    )


def visible_texts(ax: Axes) -> list[Text]:
    """All texts that are drawn, tick labels included; those of ticks beyond the limits exist but lie outside the axes."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    ticks = {
        label
        for axis, low, high in ((ax.xaxis, *ax.get_xlim()), (ax.yaxis, *ax.get_ylim()))
        for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        if low <= place <= high
    }
    every_tick = {label for axis in (ax.xaxis, ax.yaxis) for label in axis.findobj(Text)} - {
        ax.xaxis.label,
        ax.yaxis.label,
    }
    return [
        text
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and (text in ticks or text not in every_tick)
    ]


def assert_no_overlap(ax: Axes) -> None:
    """No two drawn texts share a pixel."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in visible_texts(ax)]
    for (first, one), (second, other) in combinations(boxes, 2):
        shared_width = min(one.x1, other.x1) - max(one.x0, other.x0)
        shared_height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(shared_width, shared_height) <= 0.5, f"{first!r} and {second!r} overlap"


STRATEGIES = {"single": 0.0, "modnn": 5e4, "nonn": 2e3}
CROWD = {f"strategy-{i}": 2000.0 * (1 + 0.02 * i) for i in range(6)}


FEW = dict(list(CROWD.items())[:3])


@pytest.mark.parametrize("strategies", [STRATEGIES, FEW, {"one": 0.0}, {"one": 700.0}])
def test_tradeoff_labels_cover_nothing(strategies: dict[str, float]) -> None:
    """Every strategy is named beside its point, also where some are near, and no text covers another."""
    ax = tradeoff(summary(strategies), ACCURACY, intact=intact(strategies))
    assert {text.get_text() for text in ax.texts} == set(strategies)
    assert_no_overlap(ax)


LONG = {f"every-layer-cut-over-{i}-wearables-and-a-phone-with-degradation": 2000.0 * (1 + i) for i in range(5)}


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_a_far_label_has_a_line_to_its_point_that_crosses_no_label(n: int) -> None:
    """In a crowd a name stands apart from its marker; where lines would cross names, all names stand in the legend."""
    crowd = dict(list(CROWD.items())[:n])
    ax = tradeoff(summary(crowd), ACCURACY, intact=intact(crowd))
    lines = [line for line in ax.lines if line.get_linewidth() == 0.5]
    if n == 4:
        (x, y), _ = zip(*lines[0].get_data(), strict=True)
        assert y == pytest.approx(1.0)
        assert any(x == pytest.approx(traffic) for traffic in crowd.values())
    assert {text.get_text() for text in ax.texts or ax.get_legend().get_texts()} == set(crowd)
    for line in lines:
        path = line.get_path().transformed(line.get_transform())
        assert sum(path.intersects_bbox(note.get_window_extent().padded(-1)) for note in ax.texts) <= 1  # its own


def test_names_that_find_no_place_stand_in_a_legend() -> None:
    """All of them, in lines that fit the width; the figure grows, and nothing is cut off or covered."""
    ax = tradeoff(summary(LONG), ACCURACY, intact=intact(LONG))
    assert not ax.texts
    assert [text.get_text().replace("\n", "") for text in ax.get_legend().get_texts()] == list(LONG)
    assert_inside(ax)
    assert_no_overlap(ax)
    assert ax.get_window_extent().height > 0.4 * tradeoff(summary(STRATEGIES), ACCURACY).get_window_extent().height


@pytest.mark.parametrize("metric", ["energy", "peak_memory"])
def test_long_names_leave_room_for_the_values(metric: str) -> None:
    """They go on in the next line."""
    data = summary(LONG, factor="number_of_wearables_that_are_lost")
    data["metric"] = data["metric"].replace("answered", metric)
    ax = {"energy": energy, "peak_memory": memory}[metric](data)
    assert_inside(ax)
    assert_no_overlap(ax)
    figure = ax.get_figure(root=True)
    assert ax.get_window_extent().width > 0.5 * figure.bbox.width


def assert_inside(ax: Axes) -> None:
    """No text leaves the page."""
    texts = visible_texts(ax)
    page = ax.get_figure(root=True).bbox.padded(1)
    for text in texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text.get_text()
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text.get_text()


def test_without_failures_no_hollow_marker_is_explained() -> None:
    """There is none to be seen."""
    data = summary(STRATEGIES, values=(0,))
    data = data.drop(columns="lost_devices")
    whole = intact(STRATEGIES).drop(columns="lost_devices")
    assert tradeoff(data, ACCURACY, intact=whole).get_title(loc="left") == "filled: nothing lost"
    assert "hollow: with failures" in tradeoff(data, ACCURACY, intact=whole.assign(accuracy=0.9)).get_title(loc="left")
    assert tradeoff(data, ACCURACY, intact=whole.assign(accuracy=0.9)).get_ylim()[0] < 0.9


def test_latency_against_traffic_has_its_front_below() -> None:
    """Where no accuracy is asked, the lower value is the better one."""
    data = summary(STRATEGIES, values=(0,))
    data.loc[data["metric"] == "accuracy", ["metric", "unit"]] = "latency", "s"
    data.loc[(data["metric"] == "latency") & (data["strategy"] == "nonn"), ["mean", "ci_low", "ci_high"]] = 0.5
    ax = tradeoff(data, metrics.METRICS["latency"])
    (front,) = [line for line in ax.lines if line.get_color() == "#777777"]
    assert list(front.get_ydata()) == [1.0, 1.0, 0.5]  # it ends at its last point
    assert ax.get_ylabel() == "latency"
    assert pareto_front([(1, 2), (2, 1), (3, 3)], is_highest=False) == [(1, 2), (2, 1)]


def test_widely_spread_values_stand_at_equal_distances_of_their_logarithms() -> None:
    """On both axes, labelled by the values themselves."""
    data = summary(STRATEGIES, factor="rate", values=("1 Mbit/s", "10 Mbit/s", "100 Mbit/s"), exact=False)
    data.loc[data["metric"] == "accuracy", ["metric", "unit"]] = "latency", "s"
    data.loc[(data["metric"] == "latency") & (data["strategy"] == "nonn"), "mean"] = 1e-3
    ax = resilience(data, metrics.METRICS["latency"])
    places = ax.containers[0].lines[0].get_xdata()
    assert np.diff(places) == pytest.approx([1.0, 1.0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "10", "100"]
    assert ax.get_yscale() == "log"
    assert_no_overlap(ax)


def test_tradeoff_says_what_its_axes_are() -> None:
    """Names and units; the traffic axis is logarithmic and has a place for zero."""
    ax = tradeoff(summary(STRATEGIES), ACCURACY, intact=intact(STRATEGIES))
    assert ax.get_xlabel() == "traffic per inference (byte)"
    assert ax.get_ylabel() == "accuracy"
    assert ax.get_xscale() == "symlog"
    assert ax.xaxis.get_ticklabels()[0].get_text() == "0"
    assert ax.get_title(loc="left") == "filled: nothing lost; hollow: lost devices 0 to 3"
    assert tradeoff(summary({"a": 10.0}), ACCURACY).get_xscale() == "log"


def test_tradeoff_draws_each_strategy_once_with_intervals() -> None:
    """One path with intervals per strategy, one large marker for nothing lost."""
    ax = tradeoff(summary(STRATEGIES), ACCURACY, intact=intact(STRATEGIES))
    bars = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
    assert len(bars) == 3
    large = [line for line in ax.lines if line.get_markersize() == 7]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in large] == [(x, 1.0) for x in STRATEGIES.values()]


@pytest.mark.parametrize(
    "values", [(0, 1, 2, 3), (0.0, 0.01, 0.1, 0.5), ("5 ms", "10 ms", "50 ms"), ("louvain", "random")]
)
@pytest.mark.parametrize("strategies", [STRATEGIES, {**STRATEGIES, **CROWD}])
def test_resilience_texts_cover_nothing(strategies: dict[str, float], values) -> None:
    """Legend above the axes, in rows; tick labels apart."""
    ax = resilience(summary(strategies, values=values), ACCURACY)
    assert_no_overlap(ax)
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y0 >= ax.get_window_extent().y1 - 1
    figure = ax.get_figure(root=True)
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_resilience_draws_intervals_and_the_exact_expectation() -> None:
    """Means with bars for each strategy; thin lines for the exact values, named once; without them the means are joined."""
    ax = resilience(summary(STRATEGIES), ACCURACY)
    assert len(ax.containers) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["single", "modnn", "nonn", "exact"]
    thin = [line for line in ax.lines if line.get_zorder() == 1.5 and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in thin] == [[1.0, 0.8, 0.6, pytest.approx(0.4)]] * 3
    simulated = resilience(summary(STRATEGIES, exact=False), ACCURACY)
    assert "exact" not in [text.get_text() for text in simulated.get_legend().get_texts()]
    assert all(container.lines[0].get_linestyle() == "-" for container in simulated.containers)


def test_units_of_a_factor_stand_on_the_axis() -> None:
    """Quantities of one unit are numbers, other texts are names side by side."""
    assert (
        resilience(summary(STRATEGIES, factor="step_deadline", values=("5 ms", "10 ms")), ACCURACY).get_xlabel()
        == "step deadline (ms)"
    )
    assert positions(["5 ms", "1 s"]) == ([0.0, 1.0], "", False)
    assert positions([True, False])[2] is False


def test_other_factors_stay_at_their_first_value_and_the_figure_says_so() -> None:
    """A second factor is neither averaged over nor forgotten."""
    table = pd.concat([summary(STRATEGIES).assign(rate=rate) for rate in ("5 Mbit/s", "1 Mbit/s")])
    table = table[["rate", *summary(STRATEGIES).columns]]
    ax = resilience(table, ACCURACY, factor="lost_devices")
    assert ax.get_legend().get_title().get_text() == "rate = 5 Mbit/s"
    assert len(ax.containers[0].lines[0].get_xdata()) == 4
    assert "rate = 5 Mbit/s" in tradeoff(table, ACCURACY, factor="lost_devices").get_title(loc="left")


def test_given_axes_are_used() -> None:
    """For figures that a user arranges."""
    ax = Figure().add_subplot()
    assert resilience(summary(STRATEGIES), ACCURACY, ax) is ax
    assert tradeoff(summary(STRATEGIES), ACCURACY, ax) is ax


def test_one_look_per_strategy_in_all_figures() -> None:
    """The same colour and marker in both figures; no two strategies share both below 56."""
    trade = tradeoff(summary(STRATEGIES), ACCURACY, intact=intact(STRATEGIES))
    fall = resilience(summary(STRATEGIES), ACCURACY)
    for one, other in zip(trade.containers, fall.containers, strict=True):
        assert to_hex(one.lines[0].get_color()) == to_hex(other.lines[0].get_color())
        assert one.lines[0].get_marker() == other.lines[0].get_marker()
    assert len(set(look([str(i) for i in range(56)]).values())) == len(COLOURS) * len(MARKERS)


def test_figures_are_the_same_files_in_every_run_and_leave_settings_alone(tmp_path: Path) -> None:
    """No dates, no random ids, nothing below 7 pt, no change of the user's settings."""
    before = dict(rcParams)
    for name in ("a", "b"):
        ax = resilience(summary(STRATEGIES), ACCURACY)
        save(ax.get_figure(root=True), tmp_path / name)
        assert min(text.get_fontsize() for text in visible_texts(ax)) >= 7
    assert dict(rcParams) == before
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_powers_of_ten_are_written_with_raised_digits() -> None:
    """Formulas are off in figures, since results of strangers are drawn: no label may need one."""
    wide = summary({"a": 10.0, "b": 1e4})
    spread = wide.assign(mean=wide["mean"] ** 9, exact=np.nan)
    free = metrics.Metric("answered", "1", "", "", "")
    for ax in (tradeoff(wide, ACCURACY), resilience(spread, free)):
        labels = [text.get_text() for text in visible_texts(ax)]
        assert not any("$" in label for label in labels)
        assert any(label.startswith("10") and label[-1] in "⁰¹²³⁴" for label in labels)


def test_a_strategy_keeps_its_colour_in_every_study() -> None:
    """By type and label, not by its place; where two would share a colour, one takes the next."""
    types = {"single": "single", "nonn": "nonn", "mean": "nonn", "mine": "half"}
    assert (
        look(["nonn", "mean"], types)["nonn"]
        == look(["single", "mine", "nonn"], types)["nonn"]
        == look(["nonn"])["nonn"]
    )
    assert look(["mean"], types)["mean"] == look(["nonn"])["nonn"]
    assert look(["nonn", "mean"], types)["mean"][0] != look(["nonn"])["nonn"][0]
    assert look(["mine", "single"], types) == {
        name: look(["single", "mine"], types)[name] for name in ("mine", "single")
    }


def test_an_axis_of_shares_begins_higher_where_all_are_high_and_says_so() -> None:
    """Values from 0.96 with an interval from 0.95: the axis begins there, with a mark; from 0.4 on it begins at 0."""
    data = summary(STRATEGIES)
    is_score = data["metric"] == "accuracy"
    data.loc[is_score, ["mean", "ci_low", "ci_high", "exact"]] = 0.97, 0.955, 0.98, 0.97
    ax = resilience(data, ACCURACY)
    assert ax.get_ylim()[0] == pytest.approx(0.95, abs=0.002)
    assert ax.get_ylabel() == "accuracy (axis from 0.95)"
    assert sum(line.get_transform() == ax.transAxes for line in ax.lines) == 2
    data.loc[is_score, ["ci_low"]] = 0.4
    assert resilience(data, ACCURACY).get_ylim()[0] < 0
    assert_no_overlap(ax)


def test_identical_curves_are_both_seen() -> None:
    """Those below are wider than those that cover them."""
    data = summary(STRATEGIES, exact=False)
    data.loc[data["metric"] == "accuracy", ["mean", "ci_low", "ci_high"]] = 0.9
    widths = [container.lines[0].get_linewidth() for container in resilience(data, ACCURACY).containers]
    assert widths[0] > widths[1] + 1 > widths[2] + 2


def test_long_values_of_factors_have_three_digits() -> None:
    """On axes and in captions, of numbers with and without a unit."""
    data = summary(
        STRATEGIES,
        factor="rate",
        values=("1.0 Mbit/s", "3.1622776601683795 Mbit/s", "31.622776601683793 Mbit/s"),
        exact=False,
    )
    ax = resilience(data, ACCURACY)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "3.16", "31.6"]
    title = tradeoff(data, ACCURACY).get_title(loc="left")
    assert title == "hollow: rate 1 Mbit/s to 31.6 Mbit/s"
