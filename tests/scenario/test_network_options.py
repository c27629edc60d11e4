"""How links, media and devices are shared, repaired and interrupted: from the scenario to the topology and back."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.system.topology import Medium
from edgesim.errors import ScenarioError
from edgesim.network.transport import Arq, Tcp
from edgesim.scenario.build import build
from edgesim.scenario.graphs.writing import topology_data
from edgesim.scenario.scenario import Scenario

TEXT = """
name: options
topology:
  devices:
    - {id: hub, profile: phone, cores: 4, sharing: fair, on_outage: resume}
    - {id: "w{1..2}", profile: wearable}
  media: [plain, {id: cell, contention: 0.065}, {id: air, sharing: fair}]
  forwarding: cut_through
  links:
    - {between: [hub, w1], bandwidth: 20 Mbit/s, medium: cell, transport: {type: arq, retries: 3, timeout: 5 ms}}
    - {between: [hub, w2], bandwidth: 20 Mbit/s, sharing: fair, transport: tcp, on_outage: resume}
workload: {dataset: digits, model: small-cnn, source: hub, sink: hub}
strategies: {single: {device: hub}}
"""


def test_options_reach_the_topology() -> None:
    """Every option arrives; what is not said keeps its default."""
    topology = build(Scenario.from_text(TEXT)).topology
    hub, w1, _ = topology.devices
    assert (hub.n_cores, hub.sharing, hub.on_outage) == (4, "fair", "resume")
    assert (w1.n_cores, w1.sharing, w1.on_outage) == (1, "fifo", "lost")
    assert topology.media == (Medium("plain"), Medium("cell", contention=0.065), Medium("air", "fair"))
    assert topology.forwarding == "cut_through"
    links = {link.link_id: link for link in topology.links}
    assert links["hub->w1"].transport == Arq(retries=3, timeout_s=0.005)
    assert links["w2->hub"].transport == Tcp()
    assert (links["w2->hub"].sharing, links["w2->hub"].on_outage) == ("fair", "resume")


def test_options_survive_the_round_trip() -> None:
    """Scenario -> plain data -> scenario is equal; so is topology -> plain data -> topology."""
    scenario = Scenario.from_text(TEXT)
    assert Scenario.from_data(scenario.resolved()) == scenario
    topology = build(scenario).topology
    again = build(Scenario.from_data({**scenario.resolved(), **topology_data(topology)})).topology
    assert again.devices == topology.devices
    assert again.links == topology.links
    assert again.media == topology.media


def test_defaults_are_not_written() -> None:
    """So that scenarios of before these options keep their hash."""
    resolved = Scenario.from_text(TEXT).resolved()["topology"]
    assert "cores" not in resolved["devices"][1]
    assert "transport" in resolved["links"][0]
    assert "on_outage" not in resolved["links"][0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("topology.devices.0.cores", 8),
        ("topology.links.0.sharing", "fair"),
        ("topology.links.1.transport.handshake", False),
    ],
)
def test_options_can_be_swept(path: str, value: Any) -> None:
    """Also those that were not written, or are options of a plug-in."""
    text = TEXT + f"sweep: {{x: {{path: {path}, values: [{str(value).lower()}]}}}}\n"
    scenario = Scenario.from_text(text)
    assert scenario.at({"x": value}).resolved() != Scenario.from_text(TEXT).resolved()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("cores: 4", "cores: 0", "devices.0.cores"),
        ("sharing: fair, on", "sharing: equal, on", "devices.0.sharing"),
        ("transport: tcp", "transport: tpc", "links.1.transport"),
        ("{id: air, sharing: fair}", "{id: air, sharing: fair, contention: 1.0}", "media.2"),
    ],
)
def test_mistakes_are_found_where_they_stand(old: str, new: str, found: str) -> None:
    """The path of the finding leads to the option."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(TEXT.replace(old, new))
    paths = [".".join(map(str, finding.path)) for finding in caught.value.findings]
    assert any(found in path for path in paths), paths
