"""The drawing of a topology: every name where it fits, none over another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation

from edgesim.domain.system.topology import Topology
from edgesim.report.draw.style import figure_of
from edgesim.report.draw.topology import layout, topology
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario

WIRED = {"profile": "wearable", "bandwidth": "20 Mbit/s"}
TABLE = [{"distance": "20 m", "bandwidth": "50 Mbit/s"}, {"distance": "30 m", "bandwidth": "10 Mbit/s"}]
SHAPES: dict[str, dict[str, Any]] = {
    "star of 9": {"star": {"count": 8, "hub_profile": "phone", **WIRED}},
    "grid of 25": {"grid": {"rows": 5, "columns": 5, **WIRED}},
    "random geometric of 200": {
        "geometric": {"count": 200, "profile": "wearable", "width": "200 m", "height": "200 m", "path_loss": TABLE}
    },
    "crowd of 90": {
        "geometric": {"count": 90, "name": "wearable", "profile": "wearable", "width": "20 m", "height": "20 m", "path_loss": TABLE}
    },
    "mesh of 8": {"mesh": {"count": 8, "medium": "wifi", **WIRED}},
    "mesh of 12": {"mesh": {"count": 12, **WIRED}},
    "tree of 40": {"tree": {"branching": 3, "depth": 3, **WIRED}},
    "line of 30": {"line": {"count": 30, **WIRED}},
}  # fmt: skip


def built(shape: str) -> Topology:
    """Build the topology of a scenario with this shape."""
    start = {"star of 9": "hub", "grid of 25": "w1_1", "crowd of 90": "wearable1"}.get(shape, "w1")
    data = {
        "name": "drawn",
        "topology": SHAPES[shape],
        "workload": {"dataset": "digits", "model": "small-cnn", "source": start, "sink": start},
        "strategies": {"single": {}},
    }
    return build(Scenario.from_data(data)).topology


def labels(ax: Axes) -> list[Annotation]:
    """The labels that were placed."""
    FigureCanvasAgg(figure_of(ax)).draw()
    return [text for text in ax.texts if isinstance(text, Annotation)]


@pytest.mark.parametrize("shape", list(SHAPES))
def test_no_label_covers_another_or_leaves_the_picture(shape: str) -> None:
    """And what does not fit is counted in the caption."""
    data = built(shape)
    first = data.devices[0].device_id
    ax = topology(data, roles={first: ["source", "sink", "owner", "merger"]})
    notes = labels(ax)
    page = figure_of(ax).bbox
    boxes = [note.get_window_extent() for note in notes]
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    legend, title = ax.get_legend(), ax._left_title
    assert legend is not None
    for box in boxes:
        assert not box.overlaps(legend.get_window_extent())
        assert not box.overlaps(title.get_window_extent())
    n_left_out = len(data.devices) - len(notes)
    caption = ax.get_title(loc="left")
    assert (f"{n_left_out} of {len(data.devices)} labels left out" in caption) == (n_left_out > 0)
    if shape != "crowd of 90":
        assert n_left_out <= len(data.devices) // 20
    assert any(note.get_text().startswith(f"{first}\nsource, sink") for note in notes)


def test_devices_with_a_position_stand_there() -> None:
    """In metres; others near what they are linked with."""
    data = built("random geometric of 200")
    assert layout(data) == {device.device_id: device.position_m for device in data.devices}


def test_a_grid_stands_upright() -> None:
    """Rows level, columns upright."""
    data = built("grid of 25")
    places = layout(data)
    for link in data.links:
        across, up = (abs(places[link.src_id][axis] - places[link.dst_id][axis]) for axis in (0, 1))
        assert min(across, up) < 0.1 * max(across, up)


def test_the_legend_names_profiles_and_rates() -> None:
    """With numbers of devices, fastest rate first, below the picture."""
    ax = topology(built("random geometric of 200"))
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["wearable (200)", "50 Mbit/s", "10 Mbit/s"]


def test_few_links_of_different_rates_carry_their_rates() -> None:
    """One text for each pair, both directions where they differ."""
    data = Scenario.from_data(
        {
            "name": "rates",
            "topology": {
                "devices": [{"id": "w{1..3}", "profile": "wearable"}],
                "links": [
                    {"between": ["w1", "w2"], "bandwidth": "5 Mbit/s"},
                    {"from": "w2", "to": "w3", "bandwidth": "8 Mbit/s"},
                    {"from": "w3", "to": "w2", "bandwidth": "1 Mbit/s"},
                    {"from": "w1", "to": "w3", "bandwidth": "2 Mbit/s"},
                ],
            },
            "workload": {"dataset": "digits", "model": "small-cnn", "source": "w1", "sink": "w1"},
            "strategies": {"single": {}},
        }
    )
    texts = {note.get_text() for note in labels(topology(build(data).topology))}
    assert texts == {"w1", "w2", "w3", "5 Mbit/s", "8 Mbit/s / 1 Mbit/s", "2 Mbit/s one way"}
