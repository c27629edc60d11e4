"""Topologies of one line."""

from __future__ import annotations

from itertools import combinations
from math import dist
from typing import Any

import networkx as nx
import pytest

from edgesim.domain.system.topology import Topology
from edgesim.errors import ScenarioError
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.scenario.topology import shapes
from edgesim.scenario.topology.shapes import _near_pairs, _places

WIRED = {"profile": "wearable", "bandwidth": "20 Mbit/s", "latency": "2 ms"}
AREA = {"profile": "wearable", "width": "100 m", "height": "50 m"}
TABLE = [{"distance": "12 m", "bandwidth": "50 Mbit/s"}, {"distance": "25 m", "bandwidth": "10 Mbit/s"}]


def topology(shape: dict[str, Any], start: str = "w1", **scenario: Any) -> Topology:
    """Build the topology of a scenario that has this shape."""
    data = {
        "name": "shape",
        "topology": shape,
        "workload": {"dataset": "digits", "model": "small-cnn", "source": start, "sink": start},
        "strategies": {"single": {}},
    }
    read = Scenario.from_data(data | scenario)
    built = build(read).topology
    assert build(Scenario.from_data(read.resolved())).topology == built
    return built


def graph(built: Topology) -> nx.DiGraph:
    """Return its devices and links as a graph of networkx."""
    made = nx.DiGraph()
    made.add_nodes_from(device.device_id for device in built.devices)
    made.add_edges_from((link.src_id, link.dst_id) for link in built.links)
    return made


@pytest.mark.parametrize(
    ("shape", "start", "same"),
    [
        ({"star": {"count": 8, **WIRED}}, "hub", nx.star_graph(8)),
        ({"line": {"count": 5, **WIRED}}, "w1", nx.path_graph(5)),
        ({"ring": {"count": 6, **WIRED}}, "w1", nx.cycle_graph(6)),
        ({"grid": {"rows": 3, "columns": 4, **WIRED}}, "w1_1", nx.grid_2d_graph(3, 4)),
        ({"tree": {"branching": 3, "depth": 2, **WIRED}}, "w1", nx.balanced_tree(3, 2)),
        ({"mesh": {"count": 5, **WIRED}}, "w1", nx.complete_graph(5)),
    ],
)
def test_shapes_are_the_graphs_of_networkx(shape: dict[str, Any], start: str, same: nx.Graph) -> None:
    """Linked both ways, with the same rate everywhere."""
    built = topology(shape, start)
    assert nx.is_isomorphic(graph(built).to_undirected(reciprocal=True), same)
    assert len(built.links) == 2 * same.number_of_edges()
    assert {(link.bandwidth_bit_per_s, link.latency_s) for link in built.links} == {(2e7, 0.002)}


@pytest.mark.parametrize(
    ("width", "height", "farthest"), [(100.0, 50.0, 25.0), (100.0, 50.0, 300.0), (40.0, 0.0, 7.0), (9.0, 90.0, 0.5)]
)
def test_near_devices_are_found_as_if_all_were_compared(width: float, height: float, farthest: float) -> None:
    """In the order of the devices, whatever the area and the reach."""
    ranges = ((farthest / 3, 50e6), (farthest, 10e6))
    ids = tuple(f"w{number}" for number in range(1, 121))
    places = _places(ids, width, height, 7)
    expected = [
        (left, right, rate)
        for (left, here), (right, there) in combinations(places.items(), 2)
        if (rate := next((rate for far, rate in ranges if dist(here, there) <= far), None)) is not None
    ]
    assert expected
    assert [*_near_pairs(ids, width, height, 7, ranges)] == expected


def test_the_distances_that_are_computed_grow_with_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an area that grows with them; and they are computed once, however often a scenario is checked and built."""
    calls: list[object] = []
    monkeypatch.setattr(shapes, "dist", lambda *ends: calls.append(ends) or dist(*ends))

    def n_distances(count: int) -> int:
        calls.clear()
        area = {"profile": "wearable", "width": "50 m", "height": f"{count} m"}
        shape = {"geometric": {"count": count, **area, "path_loss": [{"distance": "20 m", "bandwidth": "1 Mbit/s"}]}}
        topology(shape, seed=4711)
        return len(calls)

    few = n_distances(150)
    assert few < 150 * 149 / 4
    assert n_distances(300) < 2.3 * few


def test_rates_of_a_random_geometric_graph_follow_the_table() -> None:
    """The first row that reaches as far as the link; no link beyond the last row; places inside the area."""
    built = topology({"geometric": {"count": 60, **AREA, "path_loss": TABLE}})
    place = {device.device_id: device.position_m for device in built.devices}
    rates = {(link.src_id, link.dst_id): link.bandwidth_bit_per_s for link in built.links}
    for a, here in place.items():
        assert here is not None
        assert 0 <= here[0] < 100
        assert 0 <= here[1] < 50
        for b, there in place.items():
            if a != b and there is not None:
                length = dist(here, there)
                expected = 5e7 if length <= 12 else 1e7 if length <= 25 else None
                assert rates.get((a, b)) == expected


def test_places_follow_the_seed_and_the_id_alone() -> None:
    """A further device moves none; another seed moves all; a seed of its own is independent of the study's."""

    def places(count: int, study_seed: int, **more: Any) -> dict[str, Any]:
        shape = {
            "geometric": {"count": count, **AREA, "path_loss": [{"distance": "200 m", "bandwidth": "1 Mbit/s"}], **more}
        }
        return {device.device_id: device.position_m for device in topology(shape, seed=study_seed).devices}

    five, six, other = places(5, 1), places(6, 1), places(5, 2)
    assert five == {name: six[name] for name in five}
    assert not set(five.values()) & set(other.values())
    assert places(5, 1, seed=9) == places(5, 2, seed=9)


def test_places_are_uniform() -> None:
    """The mean of 2 x 200 uniforms lies within 4 standard errors of 1/2, and a tenth of the area holds about a tenth."""
    shape = {"geometric": {"count": 200, "profile": "wearable", "width": "1 m", "height": "1 m", "path_loss": [
        {"distance": "2 m", "bandwidth": "1 Mbit/s"}]}}  # fmt: skip
    numbers = [value for device in topology(shape).devices for value in device.position_m or ()]
    assert abs(sum(numbers) / 400 - 0.5) < 4 * (1 / 12 / 400) ** 0.5
    assert abs(sum(value < 0.1 for value in numbers) - 40) < 4 * (400 * 0.09) ** 0.5


def test_a_shape_joins_with_devices_and_links() -> None:
    """A gateway beside a star; the medium of a shape needs no entry under `media:`."""
    built = topology(
        {
            "star": {"count": 2, "medium": "cell", "hub_profile": "phone", **WIRED},
            "devices": [{"id": "gate", "profile": "phone"}],
            "links": [{"between": ["hub", "gate"], "bandwidth": "1 Gbit/s"}],
        },
        "gate",
    )
    assert [device.device_id for device in built.devices] == ["hub", "w1", "w2", "gate"]
    assert [device.profile.name for device in built.devices] == ["phone", "wearable", "wearable", "phone"]
    assert [medium.medium_id for medium in built.media] == ["cell"]
    assert built.links[-1].link_id == "gate->hub"


def test_devices_of_a_shape_take_the_options_of_devices() -> None:
    """Cores, sharing and what outages do: of all devices, and of the hub of a star on its own."""
    star = {"count": 2, **WIRED, "service": {"cores": 2, "sharing": "fair"}, "hub_service": {"cores": 8}}
    built = topology({"star": star}, "hub")
    assert [(one.device_id, one.n_cores, one.sharing) for one in built.devices] == [
        ("hub", 8, "fifo"), ("w1", 2, "fair"), ("w2", 2, "fair"),
    ]  # fmt: skip
    built = topology({"line": {"count": 2, **WIRED, "service": {"on_outage": "resume"}}})
    assert {one.on_outage for one in built.devices} == {"resume"}
    assert {one.on_outage for one in built.links} == {"lost"}


def test_the_size_of_a_shape_can_be_swept() -> None:
    """`topology.star.count` is a path like any other."""
    data = {
        "name": "sizes",
        "topology": {"star": {"count": 2, **WIRED}},
        "workload": {"dataset": "digits", "model": "small-cnn", "source": "hub", "sink": "hub"},
        "strategies": {"single": {}},
        "sweep": {"devices": {"path": "topology.star.count", "values": [1, 4]}},
    }
    scenario = Scenario.from_data(data)
    assert [len(build(scenario.at(point)).topology.devices) for point in scenario.points()] == [2, 5]


def test_a_graph_that_falls_apart_is_refused_with_the_remedy() -> None:
    """At the shape, not somewhere in the list of its 30 devices."""
    shape = {"geometric": {"count": 30, **AREA, "path_loss": [{"distance": "3 m", "bandwidth": "1 Mbit/s"}]}}
    with pytest.raises(ScenarioError) as caught:
        topology(shape)
    (finding,) = caught.value.findings
    assert finding.path == ("topology", "geometric")
    assert "lengthen `path_loss`" in finding.help


def test_absurd_sizes_are_refused() -> None:
    """Before anything of that size is made."""
    for shape in ({"mesh": {"count": 9000, **WIRED}}, {"tree": {"branching": 9, "depth": 90, **WIRED}}):
        with pytest.raises(ScenarioError, match="more than 10000 devices or 200000 links"):
            topology(shape)
