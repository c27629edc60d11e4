"""The drawing of a topology: every name where it fits, none over another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from edgesim.domain.system.topology import Topology
from edgesim.report.draw.layout import N_PIVOTS, layout
from edgesim.report.draw.style import figure_of
from edgesim.report.draw.topology import topology
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
    "star of 201": {"star": {"count": 200, **WIRED}},
    "tree of 364": {"tree": {"branching": 3, "depth": 5, **WIRED}},
    "grid of 286": {"grid": {"rows": 22, "columns": 13, **WIRED}},
    "cells in a ring": {
        "devices": [{"id": "hub{1..8}", "profile": "phone"}, {"id": "w{1..8}_{1..20}", "profile": "wearable"}],
        "links": [
            *({"between": [f"hub{n}", f"w{n}_*"], "bandwidth": "20 Mbit/s"} for n in range(1, 9)),
            *({"between": [f"hub{n}", f"hub{n % 8 + 1}"], "bandwidth": "50 Mbit/s"} for n in range(1, 9)),
        ],
    },
}  # fmt: skip


def built(shape: str) -> Topology:
    """Build the topology of a scenario with this shape."""
    starts = {"star": "hub", "grid": "w1_1", "crowd": "wearable1", "cells": "hub1"}
    start = starts.get(shape.split(maxsplit=1)[0], "w1")
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


SMALL = [shape for shape in SHAPES if not shape.startswith(("star of 201", "tree of 364", "grid of 286", "cells"))]
"""Those whose names all find a place, or nearly all."""


@pytest.mark.parametrize("shape", SMALL)
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
    assert any(note.get_text().replace("\n", ", ").startswith(f"{first}, source, sink") for note in notes)


@pytest.mark.parametrize("shape", ["star of 9", "mesh of 8", "mesh of 12", "tree of 40", "line of 30"])
@pytest.mark.parametrize("n_roles", [2, 3, 4])
def test_the_label_of_a_hub_covers_no_link(shape: str, n_roles: int) -> None:
    """It goes where there is room, on shorter lines if need be; a thin line leads to one that is far."""
    data = built(shape)
    first = data.devices[0].device_id
    ax = topology(data, roles={first: ["source", "sink", "owner", "merger"][:n_roles]})
    [note] = [one for one in labels(ax) if "source" in one.get_text()]
    box, places = note.get_window_extent(), layout(data)
    steps = np.linspace(0, 1, 500)[:, None]
    for link in data.links:
        one, other = ax.transData.transform([places[link.src_id], places[link.dst_id]])
        x, y = ((1 - steps) * one + steps * other).T
        assert not ((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)).any()
    here = ax.transData.transform(places[first])
    away_pt = np.hypot(*(here - np.clip(here, (box.x0, box.y0), (box.x1, box.y1)))) * 72 / figure_of(ax).dpi
    thin = [line for line in ax.lines if line.get_linewidth() == 0.5 and len(np.asarray(line.get_xdata())) == 2]
    assert bool(thin) == (away_pt > 11)


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


def test_a_large_grid_stands_in_rows_and_columns() -> None:
    """Each link is one step long, level or upright, and the longer side lies across."""
    data = built("grid of 286")
    places = layout(data)
    assert len({*places.values()}) == 286
    for link in data.links:
        steps = sorted(abs(places[link.src_id][axis] - places[link.dst_id][axis]) for axis in (0, 1))
        assert steps == [0, 1]
    assert [max(axis) - min(axis) for axis in zip(*places.values(), strict=True)] == [21, 12]


def test_the_levels_of_a_large_tree_are_circles_around_its_root() -> None:
    """A device is as far from the root as it has links to it."""
    places = layout(built("tree of 364"))
    for number, level in ((1, 0), (2, 1), (4, 1), (5, 2), (40, 3), (41, 4), (121, 4), (122, 5), (364, 5)):
        x, y = places[f"w{number}"]
        assert x * x + y * y == pytest.approx(level**2, abs=1e-9)


@pytest.mark.parametrize("shape", ["star of 201", "tree of 364", "grid of 286", "cells in a ring"])
def test_many_devices_stand_apart_and_cost_no_distances_of_all_pairs(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither springs nor all distances, which cost time with the square or cube of their number."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    for name in ("spring_layout", "kamada_kawai_layout"):
        monkeypatch.setattr(f"networkx.{name}", never)
    calls: list[object] = []
    monkeypatch.setattr("scipy.sparse.csgraph.dijkstra", lambda *args, **kw: calls.append(kw) or dijkstra(*args, **kw))
    data = built(shape)
    points = np.array([*layout(data).values()])
    assert len(points) == len(data.devices)
    assert cKDTree(points).query(points, k=2)[0][:, 1].min() > 1e-3 * np.ptp(points, axis=0).max()
    assert len(calls) == (N_PIVOTS if shape == "cells in a ring" else 0)


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


def test_a_star_stands_on_a_circle_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far apart as all distances in the graph ask for, without the optimiser, which takes longer to load than all else to draw."""
    import networkx as nx

    wanted = layout(built("star of 9"))
    middle = np.array(wanted.pop("hub"))
    around = np.array(list(wanted.values())) - middle
    assert np.ptp(np.hypot(*around.T)) < 1e-9
    turns = np.sort(np.angle(around @ [1, 1j]))
    assert np.diff(turns) == pytest.approx(2 * np.pi / 8)
    drawn = nx.kamada_kawai_layout(nx.star_graph(8))
    found = np.array([drawn[number] for number in range(1, 9)]) - drawn[0]
    assert np.ptp(np.hypot(*found.T)) < 1e-3 * np.hypot(*found.T).mean()
    monkeypatch.setattr(nx, "kamada_kawai_layout", None)
    layout(built("star of 9"))
