"""Every kind of figure against a picture that was looked at.

After a change that is meant: EDGESIM_APPROVE=1 python -m pytest tests/report/test_images.py, then look at the pictures in
tests/data/figures. Letters differ by a pixel between versions of the font library, hence the tolerance.
"""

from __future__ import annotations

import os
from io import BytesIO
from itertools import combinations
from pathlib import Path

import matplotlib.image as mpl_image
import numpy as np
import pytest
from example import STRATEGIES, example
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from edgesim.report.draw.costs import energy, latency, memory
from edgesim.report.draw.figures import pareto_front
from edgesim.report.draw.select import strategies_of
from edgesim.report.draw.style import COLOURS, FORMATS, figure_of, save
from edgesim.report.draw.timeline import Timeline, timeline
from edgesim.report.result import KINDS

APPROVED = Path(__file__).parents[1] / "data" / "figures"
DPI = 80
TOLERANCE = 0.02
"""Mean difference of a pixel, of 1, after blurring over 4 x 4 pixels; a moved marker or a missing curve makes more."""


def drawn_of(kind: str, folder: Path) -> Figure:
    """Return a figure of the example."""
    return figure_of(getattr(example(folder), f"plot_{kind}")())


def blurred(content: bytes) -> np.ndarray:
    """Return the brightness of a picture, averaged over squares of 4 x 4 pixels."""
    pixels = mpl_image.imread(BytesIO(content), format="png")[..., :3].mean(axis=2)
    height, width = (length // 4 * 4 for length in pixels.shape)
    return pixels[:height, :width].reshape(height // 4, 4, width // 4, 4).mean(axis=(1, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_figures_look_as_they_were_approved(kind: str, tmp_path: Path) -> None:
    """Same size, same picture up to the tolerance."""
    stream = BytesIO()
    drawn_of(kind, tmp_path).savefig(stream, format="png", dpi=DPI)
    path = APPROVED / f"{kind}.png"
    if os.environ.get("EDGESIM_APPROVE") == "1":
        path.write_bytes(stream.getvalue())
    drawn, approved = blurred(stream.getvalue()), blurred(path.read_bytes())
    assert np.allclose(drawn.shape, approved.shape, atol=2)
    height, width = np.minimum(drawn.shape, approved.shape)
    difference = np.abs(drawn[:height, :width] - approved[:height, :width])
    assert difference.mean() < TOLERANCE
    assert np.quantile(difference, 0.99) < 0.35


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_of_a_figure_covers_another(kind: str, tmp_path: Path) -> None:
    """Legends, labels, ticks and titles."""
    figure = drawn_of(kind, tmp_path)
    FigureCanvasAgg(figure).draw()
    page = figure.bbox.padded(1)
    boxes = []
    for text in figure.findobj(Text):
        box = text.get_window_extent()
        if text.get_text().strip() and text.get_visible() and box.width > 0:
            boxes.append((text.get_text(), box))
    boxes = [
        (name, box) for name, box in boxes if page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 <= page.y1
    ]
    for (one, first), (other, second) in combinations(boxes, 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert min(width, height) <= 0.5, f"{one!r} and {other!r}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_equal_figures_are_equal_files(kind: str, form: str, tmp_path: Path) -> None:
    """No date, no random ids."""
    for name in ("one", "two"):
        save(drawn_of(kind, tmp_path / "result"), tmp_path / name, (form,))
    assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes()


def test_a_strategy_has_one_colour_everywhere(tmp_path: Path) -> None:
    """In every figure that shows strategies, also where the trials come in another order."""
    result = example(tmp_path)
    names = strategies_of(result.summary())
    frame = result.frame().sort_values("strategy")
    ax = latency(frame, factors=("lost_devices",), strategies=names)
    shown = {str(line.get_label()).split(" (")[0]: to_hex(str(line.get_color())) for line in ax.get_lines()}
    assert {name: shown[name] for name in STRATEGIES} == {
        name: COLOURS[index].lower() for index, name in enumerate(STRATEGIES)
    }


def test_the_latency_curve_of_a_silent_strategy_ends_below_one(tmp_path: Path) -> None:
    """At the last of four levels a tenth of the trials has no answer; each drawn level has lines of its own, and the legend says how many."""
    ax = latency(example(tmp_path).frame(), factors=("lost_devices",), types={})
    curves = [line for line in ax.get_lines() if len(line.get_xdata())]
    assert [(line.get_linestyle(), line.get_ydata()[-1]) for line in curves] == [
        *[("-", 1.0)] * 3, ("--", 1.0), ("--", 1.0), ("--", pytest.approx(0.9)),
    ]  # fmt: skip
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "single", "modnn", "nonn (no answer: 0, 10 %)", "lost devices 0", "lost devices 3",
    ]  # fmt: skip


def test_energy_and_memory_are_drawn_at_their_values(tmp_path: Path) -> None:
    """One row per strategy, in order, units on the axes."""
    summary = example(tmp_path).summary()
    for draw, metric in ((energy, "energy"), (memory, "peak_memory")):
        ax = draw(summary)
        rows = summary[(summary["metric"] == metric) & (summary["lost_devices"] == 0)]
        drawn = [float(container[0].get_xdata()[0]) for container in ax.containers]
        assert drawn == pytest.approx(rows["mean"].tolist())
        assert [label.get_text() for label in ax.get_yticklabels()] == list(STRATEGIES)


def test_a_timeline_has_a_bar_for_each_stay(tmp_path: Path) -> None:
    """Start and length in s, a row for each resource, the busiest of many."""
    one = example(tmp_path).timelines()[1]
    ax = timeline(one)
    drawn = sorted((bar.get_x(), bar.get_width()) for bar in ax.patches)
    assert np.allclose(drawn, sorted((start, length) for _, _, start, length, _ in one.bars))
    many = Timeline("many", tuple((f"d{number}", "compute", 0.0, 1.0 + number, 0.0) for number in range(60)))
    ax = timeline(many)
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"d{number}" for number in range(36, 60)]
    legend = ax.get_legend()
    assert legend is not None
    assert "24 busiest of 60" in legend.get_title().get_text()


def test_the_default_timeline_is_of_a_distributed_strategy(tmp_path: Path) -> None:
    """One device alone is no story."""
    legend = example(tmp_path).plot_timeline().get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "modnn"


def test_the_pareto_front_keeps_what_nothing_beats() -> None:
    """Equal points count once; more traffic must bring more accuracy."""
    assert pareto_front([(5, 0.5), (1, 0.5), (1, 0.4), (7, 0.6), (7, 0.6)]) == [(1, 0.5), (7, 0.6)]


def test_the_pareto_line_ends_at_its_last_point(tmp_path: Path) -> None:
    """From the whole network without traffic on, nothing is better: where two are not dominated, the line ends at the second."""
    from edgesim.report.draw.figures import tradeoff
    from edgesim.tasks.scores import SCORES

    result = example(tmp_path)
    intact = result.intact().replace({"accuracy": {0.99: 0.9}})
    [line] = [
        line
        for line in tradeoff(result.summary(), SCORES["accuracy"], intact=intact).get_lines()
        if line.get_color() == "#777777"
    ]
    assert (max(line.get_xdata()), max(line.get_ydata())) == (5e4, 0.98)


def test_a_short_bar_of_a_timeline_is_wide_enough_to_be_seen() -> None:
    """A microsecond in a second is a two-hundredth of the whole."""
    ax = timeline(Timeline("s", (("d", "compute", 0.0, 1.0, 0.0), ("w", "compute", 0.5, 1e-6, 0.0))))
    assert min(bar.get_width() for bar in ax.patches) == pytest.approx(1 / 200)


def test_the_value_of_a_mean_stands_beside_its_interval(tmp_path: Path) -> None:
    summary = example(tmp_path).summary()
    summary["ci_high"] = summary["ci_high"].where(summary["metric"] != "energy", 2 * summary["mean"])
    rows = summary[(summary["metric"] == "energy") & (summary["lost_devices"] == 0)]
    assert [text.xy[0] for text in energy(summary).texts] == pytest.approx((2 * rows["mean"]).tolist())
