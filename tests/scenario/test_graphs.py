"""Topologies through GraphML, node-link JSON and Python."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.errors import DataError
from edgesim.registry import TRANSPORTS
from edgesim.scenario.build import build
from edgesim.scenario.graphs.writing import topology_data, write_graph
from edgesim.scenario.help.starter import starter
from edgesim.scenario.scenario import Scenario
from edgesim.scenario.topology.shapes import SHAPES

ROOT = Path(__file__).parents[2]


def scenario(topology: dict[str, Any], **more: Any) -> Scenario:
    """Return a scenario with this topology."""
    devices = more.pop("start", "hub")
    return Scenario.from_data(
        {
            "name": "graph", "topology": topology, "strategies": {"single": {}},
            "workload": {"dataset": "digits", "model": "small-cnn", "source": devices, "sink": devices}, **more,
        }
    )  # fmt: skip


def through_python(topology: Topology) -> Topology:
    """Write a topology as plain data and read it again."""
    data = topology_data(topology)
    return build(scenario(**data, start=topology.devices[0].device_id)).topology


@pytest.mark.parametrize("suffix", [".graphml", ".gml", ".json"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_topologies_come_back_unchanged_from_files(shape: str, suffix: str, tmp_path: Path) -> None:
    """Devices, profiles with their numbers, places, links, rates, media, and the order of all."""
    before = build(Scenario.from_text(starter("x", shape, ("single",)))).topology
    path = tmp_path / f"graph{suffix}"
    write_graph(before, path)
    assert build(scenario({"file": str(path)})).topology == before
    assert through_python(before) == before


def test_the_shipped_scenario_comes_back_unchanged(tmp_path: Path) -> None:
    """With its medium."""
    before = build(Scenario.load(ROOT / "scenarios" / "wearables.yaml")).topology
    write_graph(before, tmp_path / "w.graphml")
    assert build(scenario({"file": str(tmp_path / "w.graphml")})).topology == before


rates = st.floats(1e-3, 1e12, allow_nan=False)
seconds = st.floats(0, 1e3, allow_nan=False)
profiles = st.builds(
    DeviceProfile, st.just("own"), st.fixed_dictionaries(dict.fromkeys(("conv", "depthwise", "linear", "other"), rates)),
    rates, seconds, st.integers(0, 2**50), seconds, seconds, seconds, seconds, st.text("ab <&\"'é\n{", max_size=8).filter(str.strip),
)  # fmt: skip


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Draw a chain of devices with links there and back, some on a medium, and odd numbers everywhere."""
    n = draw(st.integers(1, 4))
    profile = draw(profiles)
    sharing, on_outage = st.sampled_from(["fifo", "fair"]), st.sampled_from(["lost", "resume"])
    places = st.none() | st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
    devices = tuple(
        Device(f"d{index}", profile, draw(places), draw(st.integers(1, 4)), draw(sharing), draw(on_outage))
        for index in range(n)
    )
    pairs = [(f"d{i}", f"d{i + 1}") for i in range(n - 1)]
    pairs = draw(st.permutations([*pairs, *((dst, src) for src, dst in pairs)]))
    name = draw(st.text("a [{\"'<&é\n\t", min_size=1, max_size=5))
    medium = st.none() | st.just(name)
    links = tuple(
        Link(f"{src}->{dst}", src, dst, draw(rates), draw(seconds), draw(seconds), draw(st.integers(1, 9000)),
             draw(st.integers(0, 99)), draw(medium), draw(sharing),
             draw(st.none() | st.just(TRANSPORTS.get("arq")())), draw(on_outage))
        for src, dst in pairs
    )  # fmt: skip
    return Topology(
        devices, links, (Medium(name, draw(sharing)),), draw(st.sampled_from(["store_and_forward", "cut_through"]))
    )


@settings(max_examples=60, deadline=None)
@given(topologies())
def test_any_topology_comes_back_unchanged(topology: Topology) -> None:
    """Through each format and through plain data, to the last bit of every number."""
    assert through_python(topology) == topology
    with TemporaryDirectory() as folder:
        for suffix in (".graphml", ".gml", ".json"):
            path = Path(folder) / f"graph{suffix}"
            write_graph(topology, path)
            assert build(scenario({"file": str(path)}, start="d0")).topology == topology


def test_a_plain_graph_gets_what_it_lacks_from_the_scenario(tmp_path: Path) -> None:
    """A graph as networkx makes it: numbered nodes, no attributes, undirected."""
    path = tmp_path / "plain.graphml"
    nx.write_graphml(nx.cycle_graph(4), path)
    topology = build(
        scenario({"file": {"path": str(path), "profile": "wearable", "bandwidth": "1 Mbit/s"}}, start="0")
    ).topology
    assert [device.device_id for device in topology.devices] == ["0", "1", "2", "3"]
    assert len(topology.links) == 8
    assert {link.bandwidth_bit_per_s for link in topology.links} == {1e6}


def test_what_scenarios_cannot_say_is_refused(tmp_path: Path) -> None:
    """Two profiles of one name, a link id of one's own, a file of another kind."""
    topology = build(Scenario.from_text(starter("x", "star", ("single",)))).topology
    hub, *rest = topology.devices
    clash = Device(
        "z", DeviceProfile(**{name: getattr(hub.profile, name) for name in hub.profile.__slots__} | {"busy_w": 99.0})
    )
    with pytest.raises(DataError, match="two device profiles"):
        topology_data(Topology((hub, clash)))
    with pytest.raises(DataError, match="must be 'w1->w2'"):
        topology_data(Topology(tuple(rest), (Link("mine", "w1", "w2", 1e6),)))
    with pytest.raises(DataError, match=r"none of \.graphml, \.gml, \.json"):
        write_graph(topology, tmp_path / "x.png")
