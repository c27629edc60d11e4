"""Graph files: node-link JSON, GraphML, GML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgesim.scenario.build import build
from edgesim.scenario.graphs.writing import write_graph
from edgesim.scenario.scenario import Scenario

from .harness import Kind

JSON = (
    b"""\
{"directed": true, "multigraph": false,
 "graph": {"media": ["cell", {"id": "air", "contention": 0.1}], "profiles": {"mine": {"extends": "phone", "memory": "1 GiB"}},
           "forwarding": "cut_through", "routing": {"metric": "latency"}},
 "nodes": [
  {"id": "a", "profile": "mine", "cores": 2, "position": ["0 m", "2 m"]},
  {"id": "b", "label": "b b", "profile": "phone"},
  {"id": 3, "profile": "{\\"extends\\": \\"phone\\"}"}],
 "links": [
  {"source": "a", "target": "b", "bandwidth": "20 Mbit/s", "medium": "cell", "place": 1},
  {"source": "b", "target": "a", "bandwidth": "2 Mbit/s", "transport": {"type": "arq"}, "mtu": "1000 B"},
  {"source": "b", "target": 3, "bandwidth": "1 kbit/s", "latency": "2 ms"},
  {"source": 3, "target": "b", "bandwidth": "1 kbit/s", "message_overhead": "1 ms"}]}
""",
    b"""\
{"nodes": [{"id": 1, "label": "a"}, {"id": 2, "label": "x y"}, {"id": "3", "label": "x y"}],
 "edges": [
  {"source": 1, "target": 2, "speed": 2.5, "delay": 3, "weight": 1},
  {"source": 3, "target": "2", "speed": "7"}]}
""",
)
GRAPHML = (
    b"""\
<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="p" for="node" attr.name="profile" attr.type="string"><default>phone</default></key>
<key id="b" for="edge" attr.name="bandwidth" attr.type="string"/>
<key id="l" for="edge" attr.name="latency" attr.type="string"/>
<key id="c" for="node" attr.name="cores" attr.type="int"/>
<key id="m" for="graph" attr.name="media" attr.type="string"/>
<graph edgedefault="directed"><data key="m">["cell"]</data>
<node id="a"><data key="c">2</data></node>
<node id="b"><data key="p">{"extends": "phone"}</data></node>
<edge source="a" target="b"><data key="b">20 Mbit/s</data></edge>
<edge source="b" target="a"><data key="b">1 Mbit/s</data><data key="l">2 ms</data></edge>
</graph></graphml>
""",
    b"""\
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="s" for="edge" attr.name="speed" attr.type="double"><default>1e3</default></key>
<key id="d" for="edge" attr.name="delay" attr.type="float"/>
<key id="w" for="edge" attr.name="weight" attr.type="int"/>
<key id="n" for="node" attr.name="label" attr.type="string"/>
<key id="i" for="node" attr.name="inner" attr.type="boolean"/>
<graph edgedefault="undirected">
<node id="a"><data key="n">a</data><data key="i">true</data></node>
<node id="b"><data key="n">New York</data></node>
<edge source="a" target="b"><data key="s">2.5</data><data key="d">1</data></edge>
<edge source="b" target="c" directed="true"/>
<node id="c"><data key="n">New York</data></node>
</graph></graphml>
""",
)
GML = (
    b"""\
Creator "x"
graph [
  directed 1 media "[&quot;cell&quot;]"
  node [ id 0 label "a" profile "phone" cores 2 graphics [ x 1.5 y -2 ] ]
  node [ id 1 label "b" profile "phone" ]
  edge [ source 0 target 1 bandwidth "20 Mbit/s" medium "cell" ]
  edge [ source 1 target 0 bandwidth "1 Mbit/s" latency "2 ms" ]
]
""",
    b"""\
graph [
  # two of one name
  node [ id 0 label "a" ]
  node [ id 1 label "b &#228;" ]
  edge [ source 0 target 1 speed 2500.0 delay 3 weight 1 ]
  edge [ source 1 target 0 speed 1E3 delay 3 weight 7 ]
]
""",
)
MEANT = {
    "names": {"from": "label", "replace": "-", "repeated": "number"}, "parallel": "sum", "ignore": ["weight"],
    "attributes": {"bandwidth": "speed kbit/s", "latency": "delay ms"}, "profile": "phone", "bandwidth": "1 Mbit/s",
}  # fmt: skip
"""What a scenario says about files whose attributes are not those of scenarios."""


def scenario(path: Path, said: dict[str, Any]) -> Scenario:
    """Return a scenario on the topology of a file."""
    work = {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "a", "sink": "a"}
    topology = {"file": {"path": str(path), **said}}
    return Scenario.from_data({"name": "g", "topology": topology, "workload": work, "strategies": {"single": {}}})


def read(path: Path) -> None:
    """Read a graph, with a mapping where it needs one; what is read is written in each format, and comes back unchanged."""
    topology = build(scenario(path, MEANT if b"speed" in path.read_bytes() else {})).topology
    for suffix in (".json", ".graphml", ".gml"):
        again = path.with_name(f"again{suffix}")
        write_graph(topology, again)
        assert build(scenario(again, {})).topology == topology


KINDS = (
    Kind("graph-json", JSON, read, "mutant.json", data_of=json.loads),
    Kind("graph-graphml", GRAPHML, read, "mutant.graphml"),
    Kind("graph-gml", GML, read, "mutant.gml"),
)
