"""Graph files are checked as strictly as scenarios: what is wrong is named with node or edge and its line."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario

_BESIDE = (folder / "shared" / "data" / "topologies" for folder in Path(__file__).parents)
TOPOLOGIES = Path(os.environ.get("EDGESIM_TOPOLOGIES") or next(filter(Path.is_dir, _BESIDE), "topologies"))
"""Five networks of the Internet Topology Zoo, each as GML and GraphML; not part of the project."""
DEFAULTS = {"profile": "phone", "bandwidth": "1 Mbit/s"}


def load(file: Any, start: str = "a", **more: Any) -> Scenario:
    """Return a scenario whose topology is this file."""
    work = {"dataset": "digits", "model": "small-cnn", "source": start, "sink": start}
    data = {"name": "g", "topology": {"file": file}, "strategies": {"single": {}}, "workload": work, **more}
    return Scenario.from_data(data)


def rates(scenario: Scenario) -> dict[str, float]:
    """Return the rate of each link, in bit/s."""
    return {link.link_id: link.bandwidth_bit_per_s for link in build(scenario).topology.links}


def write(folder: Path, name: str, content: str | bytes) -> str:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def node_link(edges: list[dict[str, Any]], nodes: str | list[dict[str, Any]] = "ab", **more: Any) -> str:
    """Return node-link JSON with an edge in each line."""
    lines = ",\n".join(json.dumps(edge) for edge in edges)
    whole = {"directed": False, "nodes": [one if isinstance(one, dict) else {"id": one} for one in nodes], **more}
    return json.dumps(whole)[:-1] + f',\n"links": [\n{lines}\n]}}'


def messages(file: Any, **more: Any) -> list[str]:
    """Return what is wrong, each with its line in front."""
    with pytest.raises(ScenarioError) as caught:
        load(file, **more)
    return [f"{one.line}: {one.message} | {one.help}" for one in caught.value.findings]


A_B = {"source": "a", "target": "b"}


@pytest.mark.parametrize("is_directed", [True, False])
@pytest.mark.parametrize("suffix", ["json", "graphml", "gml"])
def test_a_pair_that_comes_twice_is_refused(suffix: str, *, is_directed: bool, tmp_path: Path) -> None:
    """1 and 9 Mbit/s: neither the first nor the last, unless the scenario says so; both together are 10 Mbit/s."""
    graph = (nx.MultiDiGraph if is_directed else nx.MultiGraph)()
    graph.add_edge("a", "b", bandwidth="1 Mbit/s")
    graph.add_edge("a", "b", bandwidth="9 Mbit/s")
    path = tmp_path / f"g.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(nx.node_link_data(graph, edges="links"), indent=0), encoding="utf-8")
    else:
        (nx.write_graphml if suffix == "graphml" else nx.write_gml)(graph, path)
    names = {"names": "id"} if suffix == "graphml" else {}
    back = {} if is_directed else {"b->a"}
    file = {"path": str(path), "profile": "phone", **names}
    (found,) = [one for one in messages(file) if "joins the same devices as the edge in line" in one]
    assert int(found.partition(":")[0]) > 0
    assert "`parallel: first`" in found
    if not is_directed:
        assert rates(load(file | {"parallel": "first"})) == dict.fromkeys({"a->b", *back}, 1e6)
        assert rates(load(file | {"parallel": "sum"})) == dict.fromkeys({"a->b", *back}, 10e6)


def test_a_pair_there_and_back_is_twice_when_undirected_and_right_when_directed(tmp_path: Path) -> None:
    """b-a is a-b; b->a is another link, with its own rate."""
    edges = [A_B | {"bandwidth": "1 Mbit/s"}, {"source": "b", "target": "a", "bandwidth": "9 Mbit/s"}]
    file = {"path": write(tmp_path, "u.json", node_link(edges)), "profile": "phone"}
    assert messages(file) == [
        "4: edge 'b' - 'a' joins the same devices as the edge in line 3 | `parallel: first` keeps the first, `parallel: sum` makes one link with the sum of their rates"
    ]
    file = {"path": write(tmp_path, "d.json", node_link(edges, directed=True)), "profile": "phone"}
    assert rates(load(file)) == {"a->b": 1e6, "b->a": 9e6}


def test_a_sum_needs_edges_that_differ_in_rate_only(tmp_path: Path) -> None:
    """Whose latency would it be?"""
    edges = [A_B | {"latency": "1 ms"}, A_B | {"latency": "2 ms"}]
    file = {"path": write(tmp_path, "g.json", node_link(edges)), "parallel": "sum", **DEFAULTS}
    assert messages(file) == ["4: edge 'a' - 'b' differs from the edge in line 3 in latency | "]


@pytest.mark.parametrize(
    "name", ["bw", "capacity", "LinkSpeedRaw", "link_speed", "data-rate", "mbps", "weight", "maxThroughput"]
)
def test_a_rate_that_nothing_reads_is_refused(name: str, tmp_path: Path) -> None:
    """It is not replaced by the default; the scenario says what it means, or that it means nothing."""
    file = {"path": write(tmp_path, "g.json", node_link([A_B | {name: 9}])), **DEFAULTS}
    (found,) = messages(file)
    assert found == (
        f"3: edge 'a' - 'b' has {name!r}, which looks like a rate and is not read | "
        f"say what it means, with its unit, e.g. `attributes: {{bandwidth: {name} Mbit/s}}`, or `ignore: [{name}]`"
    )
    assert set(rates(load(file | {"attributes": {"bandwidth": f"{name} Mbit/s"}})).values()) == {9e6}
    assert set(rates(load(file | {"ignore": [name]})).values()) == {1e6}


@pytest.mark.parametrize(
    ("owner", "said", "message"),
    [
        ("edge", {"delay": 3}, "'delay', which looks like a delay"),
        ("edge", {"propagationTime": "3"}, "'propagationTime', which looks like a delay"),
        ("edge", {"rtt": 3}, "'rtt', which looks like a delay"),
        ("edge", {"loss": 0.1}, "'loss', which looks like a probability of loss"),
        ("edge", {"note": "45 Mbps DS-3"}, "'note', which looks like a rate"),
        ("edge", {"note": "5 ms"}, "'note', which looks like a delay"),
        ("edge", {"Latncy": "5"}, "'Latncy', which is not read; nearest 'latency'"),
        ("edge", {"profile": "phone"}, "'profile', which belongs to nodes"),
        ("node", {"latency": "5 ms"}, "'latency', which belongs to edges"),
        ("node", {"ram_mb": 512}, "'ram_mb', which looks like what a device can do"),
        ("node", {"Profile": "phone"}, "'Profile', which is not read; nearest 'profile'"),
    ],
)  # fmt: skip
def test_what_looks_as_if_it_mattered_is_not_passed_over(
    owner: str, said: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Delays, losses, sizes of devices, misspelt keys, keys at the wrong place."""
    nodes = [{"id": "a"}, {"id": "b", **(said if owner == "node" else {})}]
    edge = A_B | (said if owner == "edge" else {})
    file = {"path": write(tmp_path, "g.json", node_link([edge], nodes=nodes)), **DEFAULTS}
    (found,) = messages(file)
    assert message in found
    assert load(file | {"ignore": list(said)})


def test_attributes_beside_those_that_are_read_may_stay(tmp_path: Path) -> None:
    """Names, places on a map, and further forms of a rate that is read; but not where that one is missing."""
    edge = A_B | {"speed_raw": 1e9, "label": "1 Gbps", "speed": 1, "color": "red", "id": 3}
    nodes = [{"id": "a", "Latitude": 3.1, "label": "x", "type": "router"}, {"id": "b"}, {"id": "c"}]
    file: dict[str, Any] = {"profile": "phone", "attributes": {"bandwidth": "speed_raw bit/s"}, "bandwidth": "1 Mbit/s"}
    file["path"] = write(tmp_path, "g.json", node_link([edge], nodes=nodes[:2]))
    assert set(rates(load(file)).values()) == {1e9}
    file["path"] = write(
        tmp_path, "h.json", node_link([edge, {"source": "b", "target": "c", "label": "2 Gbps"}], nodes=nodes)
    )
    (found,) = messages(file)
    assert found.startswith("4: edge 'b' - 'c' has 'label', which looks like a rate")


def test_every_mistake_is_told_at_once_and_equal_ones_together(tmp_path: Path) -> None:
    """In the order of the file, with its name and its lines, beside those of the scenario."""
    edges = [
        {"source": "a", "target": "a"}, {"source": "a", "target": "nobody"}, A_B | {"bandwidth": 3}, {"source": "b", "target": "c", "bandwidth": 4},
        A_B, {"source": "c", "target": "d", "medium": [1]}, {"source": "c"},
    ]  # fmt: skip
    path = write(tmp_path, "g.json", node_link(edges, nodes="abcd"))
    found = messages({"path": path, **DEFAULTS}, seed="x")
    assert [one.partition(" | ")[0] for one in found] == [
        "0: 'seed' is the text 'x'",
        "3: edge 'a' - 'a' joins a device with itself",
        "4: edge 'a' - 'nobody' ends at 'nobody', which is no node",
        "5: edge 'a' - 'b': 'bandwidth': a bare number has no unit; and so 1 more, in lines 6",
        "7: edge 'a' - 'b' joins the same devices as the edge in line 5",
        "8: edge 'c' - 'd': 'medium' is a list",
        "9: entry 7 of the edges has no `target`",
    ]


def test_a_file_of_one_line_names_what_it_cannot_point_at(tmp_path: Path) -> None:
    """As programs write it; no line of megabytes is shown."""
    edges = [{"source": 0, "target": n, "bandwidth": "1 Mbit/s", "delay": 1} for n in range(1, 9)]
    text = json.dumps({"nodes": [{"id": n, "profile": "phone"} for n in range(9)], "links": edges})
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, "g.json", text), start="0")
    (found,) = caught.value.findings
    assert found.excerpt == ""
    assert found.message == (
        "edge '0' - '1' has 'delay', which looks like a delay and is not read; "
        "and so 7 more: edge '0' - '2', edge '0' - '3', edge '0' - '4', edge '0' - '5', edge '0' - '6', ..."
    )


def test_a_path_starts_at_the_scenario_in_which_it_stands(tmp_path: Path) -> None:
    """Also when another file on top of it says more about the graph."""
    (tmp_path / "base").mkdir()
    write(tmp_path / "base", "g.json", node_link([A_B]))
    write(
        tmp_path / "base", "base.yaml",
        "name: base\ntopology: {file: {path: g.json, profile: phone, bandwidth: 1 Mbit/s}}\nstrategies: {single: }\n"
        "workload: {dataset: digits, model: small-cnn, source: a, sink: b}\n",
    )  # fmt: skip
    write(tmp_path, "top.yaml", "extends: base/base.yaml\ntopology: {file: {bandwidth: 2 Mbit/s}}\n")
    assert set(rates(Scenario.load(tmp_path / "top.yaml")).values()) == {2e6}


def test_a_scenario_names_the_file_and_its_line(tmp_path: Path) -> None:
    """With the line itself; what both lack is said once."""
    graph = nx.DiGraph()
    graph.add_node("hub", profile="fone")
    graph.add_edge("hub", "a", bandwidth="3")
    nx.write_graphml(graph, tmp_path / "bad.graphml")
    text = "name: x\ntopology: {file: bad.graphml}\nworkload: {dataset: digits, model: small-cnn, source: hub, sink: hub}\nstrategies: {single: }\n"
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(text, folder=tmp_path)
    shown = [str(one).replace(str(tmp_path), "") for one in caught.value.findings]
    assert shown[0].startswith(
        "/bad.graphml:6:5: node 'hub': unknown device profile 'fone'\n    6 |     <node id=\"hub\">"
    )
    assert shown[1].startswith("/bad.graphml:9:5: node 'a' has no profile")
    assert shown[2].startswith("/bad.graphml:10:5: edge 'hub' -> 'a': 'bandwidth': a bare number has no unit")
    assert len(shown) == 3


NAMED = [{"id": 0, "city": "New York"}, {"id": 1, "city": "Rom"}, {"id": 2, "city": "Rom"}]


def test_an_attribute_of_nodes_names_devices(tmp_path: Path) -> None:
    """Signs that ids may not have are replaced, and all of several equal names get numbers, if the scenario says so."""
    edges = [{"source": 0, "target": 1}, {"source": 1, "target": 2}]
    path = write(tmp_path, "g.json", node_link(edges, nodes=NAMED))
    assert "0->1" in rates(load({"path": path, **DEFAULTS}, start="0"))
    found = messages({"path": path, "names": "city", **DEFAULTS})
    assert [one.partition(" | ")[0] for one in found] == [
        "1: node '0', 'New York', has a name with signs that device ids may not have",
        "1: node '2' would be another device 'Rom'",
    ]
    names = {"from": "city", "replace": "-", "repeated": "number"}
    made = rates(load({"path": path, "names": names, **DEFAULTS}, start="New-York"))
    assert set(made) == {"New-York->Rom-1", "Rom-1->New-York", "Rom-1->Rom-2", "Rom-2->Rom-1"}
    assert any("has no 'town'" in one for one in messages({"path": path, "names": "town", **DEFAULTS}))


def test_a_number_that_is_added_takes_no_name_of_another(tmp_path: Path) -> None:
    """Rom-1 is there already."""
    path = write(tmp_path, "g.json", node_link([], nodes=[*NAMED[1:], {"id": 3, "city": "Rom-1"}]))
    found = messages({"path": path, "names": {"from": "city", "repeated": "number"}, **DEFAULTS})
    assert found[0].startswith("1: node '1' would be another device 'Rom-1'")


def test_values_of_an_attribute_have_a_meaning(tmp_path: Path) -> None:
    """A table; a unit; the attribute's own text; and of nodes."""
    edge = A_B | {"kind": "DS-3", "d": "2.5", "text": " 45 Mbps "}
    nodes = [{"id": "a", "class": "big"}, {"id": "b", "class": 2}]
    file: dict[str, Any] = {"path": write(tmp_path, "g.json", node_link([edge], nodes=nodes))}
    classes = {"profile": {"from": "class", "values": {"big": "phone", "2": "wearable"}}}
    table = {"from": "kind", "values": {"DS-3": "44.736 Mbit/s"}}
    system = build(load(file | {"attributes": {"bandwidth": table, "latency": "d ms"} | classes}))
    assert [device.profile.name for device in system.topology.devices] == ["phone", "wearable"]
    assert {(link.bandwidth_bit_per_s, link.latency_s) for link in system.topology.links} == {(44.736e6, 0.0025)}
    assert set(rates(load(file | {"attributes": {"bandwidth": "text"} | classes})).values()) == {45e6}
    (found,) = messages(
        file | {"attributes": {"bandwidth": {"from": "kind", "values": {"OC-3": "1 Mbit/s"}}} | classes}
    )
    assert found.startswith("3: edge 'a' - 'b' has 'kind' 'DS-3', which `values` does not say")
    (found,) = messages(file | {"attributes": {"bandwidth": "text Mbit/s"} | classes})
    assert found == "3: edge 'a' - 'b' has 'text' '45 Mbps' | leave the unit out: `text`"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributes": {"bandwith": "bw Mbit/s"}}, "devices and links have no 'bandwith'"),
        ({"attributes": {"bandwidth": "bw ms"}}, "unit 'ms' does not go with 'bandwidth'"),
        ({"attributes": {"cores": "n W"}}, "unit 'W' does not go with 'cores'"),
        ({"attributes": {"bandwidth": {"from": "bw", "unit": "nits"}}}, "unknown unit 'nits'"),
        ({"attributes": {"bandwidth": {"from": "bw", "unit": "bit/s", "values": {"1": "1 bit/s"}}}}, "exclude each other"),
        ({"attributes": {"bandwidth": "speed Mbit/s"}}, "no edge has the attribute 'speed'"),
        ({"bandwith": "1 Mbit/s"}, "unknown key 'bandwith'"),
        ({"bandwidth": "1 ms"}, "'ms' is a time, not a data rate"),
        ({"parallel": "last"}, "'parallel' is the text 'last'"),
        ({"names": {"from": "id", "replace": " "}}, "no usable name"),
        ({"ignore": "bw"}, "'ignore' is the text 'bw'"),
        ({"path": 3}, "'path' is the number 3"),
    ],
)  # fmt: skip
def test_how_a_scenario_names_a_file_is_checked(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Unknown keys, units of another kind, attributes that are not there."""
    file = {"path": write(tmp_path, "g.json", node_link([A_B | {"bw": 1}])), **DEFAULTS}
    found = messages(file | changes)
    assert any(message in one for one in found), found


HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d" for="edge" attr.name="mtu" attr.type="int"/>'
ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.graphml", None, "there is no such file"),
        ("odd.txt", "x", "none of .graphml, .gml, .json"),
        ("odd.json", b"\xff\xfe", "no UTF-8"),
        ("odd.json", "", "1: this is no JSON: Expecting value"),
        ("odd.json", "[1, 2]", "1: a graph in JSON is a mapping, not a list"),
        ("odd.json", '{\n"nodes": 3}', "1: this is no node-link JSON: `nodes` is a number"),
        ("odd.json", '{"nodes": [\n{"id": [1]}, 3], "links": []}', "2: `id` of entry 1 of `nodes` is a list"),
        ("odd.json", '{"nodes": [], "links": [], "edges": []}', "both `links` and `edges`"),
        ("odd.json", '{"directed": "yes", "nodes": [], "links": []}', "`directed` is a text"),
        ("odd.json", '{"graph": 3, "nodes": [], "links": []}', "`graph` is a number"),
        ("odd.json", '{"graph": {"media": 3}, "nodes": [], "links": []}', "the graph's attribute 'media' is a number"),
        ("odd.json", '{"graph": {"media": [3, {}]}, "nodes": [{"id": "a"}], "links": []}', "'id'"),
        ("odd.json", '{"graph": {"profiles": [3]}, "nodes": [], "links": []}', "'profiles' is a list"),
        ("odd.json", '{"graph": {"profiles": {"phone": 3}}, "nodes": [{"id": "a"}], "links": []}', "'phone' is the number 3"),
        ("odd.json", '{"graph": {"forwarding": {}}, "nodes": [{"id": "a"}], "links": []}', "'forwarding' is a mapping"),
        ("odd.json", '{"graph": {"media": ["\\u001b[2J"]}, "nodes": [{"id": "a"}], "links": []}', "the graph has characters that are not"),
        ("odd.json", '{"nodes": [{"id": "a", "profile": "\\u001b"}], "links": []}', "node 'a' has characters that are not shown"),
        ("odd.json", '{"graph": {"routing": "[3]"}, "nodes": [{"id": "a"}], "links": []}', "this is a mapping of options"),
        ("odd.json", '{"graph": {"bandwidth": 3}, "nodes": [], "links": []}', "'bandwidth' is not read"),
        ("odd.json", '{"nodes": [{"id": "a",\n "id": "b"}], "links": []}', "1: key 'id' is given twice"),
        ("odd.json", '{"nodes": [{"id": "a"},\n{"id": "a"}], "links": []}', "2: node 'a' has the name of a node above"),
        ("odd.json", '{"nodes": [{"id": 1},\n{"id": "1"}], "links": []}', "2: node '1' has the name of a node above"),
        ("odd.json", '{"nodes": [{"id": "w{1..3}"}], "links": []}', "signs that device ids may not have"),
        ("odd.json", "[" * 100_000, "nested in more than 30 levels"),
        ("odd.json", '{"a":' * 100_000, "nested in more than 30 levels"),
        ("odd.json", f'{{"nodes": [], "x": {"9" * 5000}}}', "a number of 5000 digits"),
        ("odd.json", '{"nodes": [], "x": 1e999}', "no finite number"),
        ("odd.json", '{"nodes": [], "x": NaN}', "no finite number"),
        ("odd.json", '{"nodes": [{"id": "a", "profile": "\\ud800"}], "links": []}', "this is no JSON"),
        ("odd.graphml", "<graph", "1: this is no GraphML: unclosed token"),
        ("odd.graphml", "<svg/>", "begins with <svg>"),
        ("odd.graphml", HEAD + "</graphml>", "there is no <graph> in it"),
        ("odd.graphml", HEAD + "<graph>\n<node/></graph></graphml>", "2: <node> has no `id`"),
        ("odd.graphml", HEAD + '<graph><node id="a"/><hyperedge/></graph></graphml>', "a hyperedge"),
        ("odd.graphml", HEAD + '<graph><node id="a"><graph/></node></graph></graphml>', "a graph inside a node"),
        ("odd.graphml", HEAD + '<graph edgedefault="odd"/></graphml>', "edgedefault is 'odd'"),
        ("odd.graphml", HEAD + '<graph><data key="x">1</data></graph></graphml>', "key 'x', which is not declared"),
        ("odd.graphml", HEAD + '<graph><edge source="a" target="b"><data key="d">x</data></edge></graph></graphml>', "'mtu' is 'x'"),
        ("odd.graphml", HEAD + f'<graph><edge source="a" target="b"><data key="d">{"9" * 5000}</data></edge></graph></graphml>', "'mtu' is"),
        ("odd.graphml", HEAD.replace("int", "NaN") + "<graph/></graphml>", "attr.type of key 'd' is 'NaN'"),
        ("odd.graphml", "<graphml>" * 100_000, "nested in more than 30 levels"),
        ("odd.graphml", f"<!DOCTYPE g [{ENTITIES}]><graphml>&l11;</graphml>", "a document type, which can hold entities"),
        ("odd.graphml", '<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/passwd">]><graphml>&x;</graphml>', "a document type"),
        ("odd.graphml", '<?xml version="1.0" encoding="odd"?><graphml/>', "this is no GraphML"),
        ("odd.gml", "node []", "there is no `graph [ ... ]`"),
        ("odd.gml", "graph 3", "`graph` has no list"),
        ("odd.gml", "graph [ node [\n id ] ]", "2: this is no GML: unexpected ']'"),
        ("odd.gml", "graph [ node [ id 0 ]", "it ends too early"),
        ("odd.gml", 'graph [ node [ label "x ] ]', "a text is never closed"),
        ("odd.gml", "graph [ node [ id 0 ] node 3 edge [ source 0 ] ]", "`node` is a number"),
        ("odd.gml", "graph [ node [ id 0 ] edge [ source 0 ] ]", "an edge has no `target`"),
        ("odd.gml", "graph [ directed 2 node [ id 0 ] ]", "`directed` is 2"),
        ("odd.gml", "graph [ node [ id 1.5 ] ]", "`id` of a node is 1.5"),
        ("odd.gml", f"graph [ node [ id {'9' * 5000} ] ]", "a number of 5000 digits"),
        ("odd.gml", "graph [ x 1e999 ]", "no finite number"),
        ("odd.gml", "x [ " * 100_000, "nested in more than 30 levels"),
        ("odd.gml", "graph [ ; ]", "unexpected '; ]'"),
    ],
)  # fmt: skip
def test_files_that_are_no_graph_are_refused(
    name: str, content: str | bytes | None, message: str, tmp_path: Path
) -> None:
    """No traceback of a parser, no expansion, no other file."""
    if content is not None:
        write(tmp_path, name, content)
    found = messages({"path": str(tmp_path / name), **DEFAULTS})
    assert any(message in one for one in found), found


def test_defaults_of_graphml_keys_count_and_drawings_are_passed_over(tmp_path: Path) -> None:
    """``<default>`` is what elements without the attribute have; yEd's shapes have no ``attr.name``."""
    text = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
    <key id="r" for="edge" attr.name="speed" attr.type="double"><default>5</default></key>
    <key id="g" for="node" yfiles.type="nodegraphics"/>
    <graph edgedefault="directed"><node id="a"><data key="g"><y:ShapeNode><y:NodeLabel>A</y:NodeLabel></y:ShapeNode></data></node><node id="b"/>
    <node id="c"/><edge source="a" target="b"/><edge source="b" target="c" directed="false"><data key="r">7</data></edge></graph></graphml>"""
    file = {"path": write(tmp_path, "g.graphml", text), "profile": "phone", "attributes": {"bandwidth": "speed Mbit/s"}}
    assert rates(load(file)) == {"a->b": 5e6, "b->c": 7e6, "c->b": 7e6}


def test_gml_names_devices_by_labels_and_else_by_ids(tmp_path: Path) -> None:
    """As other readers do; comments, character references and drawings are read over."""
    text = 'Creator "x" # y\ngraph [ node [ id 0 label "a" graphics [ x 1.5 ] ] node [ id 1 label "&#98;" ] edge [ source 0 target 1 bandwidth "2 Mbit/s" ] ]'
    path = write(tmp_path, "g.gml", text)
    assert rates(load({"path": path, "profile": "phone"})) == {"a->b": 2e6, "b->a": 2e6}
    assert set(rates(load({"path": path, "profile": "phone", "names": "id"}, start="0"))) == {"0->1", "1->0"}
    path = write(tmp_path, "h.gml", "graph [ node [ id 0 ] node [ id 1 ] edge [ source 0 target 1 ] ]")
    assert set(rates(load({"path": path, **DEFAULTS}, start="0"))) == {"0->1", "1->0"}


def test_a_file_beside_devices_of_the_scenario(tmp_path: Path) -> None:
    """Equal devices are not one device in silence; an unreadable file makes no other name unknown."""
    path = write(tmp_path, "g.json", node_link([A_B]))
    own = {"devices": [{"id": "a", "profile": "phone"}], "file": {"path": path, **DEFAULTS}}
    assert any("'a' is used twice" in one for one in messages(None, topology=own))
    (found,) = messages(None, topology=own | {"file": write(tmp_path, "h.json", "{")}, start="b")
    assert "this is no JSON" in found


ZOO: dict[str, tuple[str, dict[str, Any], dict[float, int]]] = {
    "Abilene": ("New-York", {"attributes": {"bandwidth": {"from": "LinkType", "values": {"OC-192": "9.953 Gbit/s"}}}}, {9.953e9: 28}),
    "Geant2012": (
        "NL", {"attributes": {"bandwidth": "LinkSpeedRaw bit/s"}, "bandwidth": "622 Mbit/s"},
        {10e9: 52, 1e9: 12, 2.5e9: 10, 155e6: 4, 622e6: 44},
    ),
    "Uunet": ("Montreal", {"attributes": {"bandwidth": "LinkNote"}, "bandwidth": "622 Mbit/s"}, {45e6: 154, 622e6: 14}),
    "Cogentco": ("Timisoara", {"bandwidth": "1 Gbit/s", "parallel": "sum"}, {1e9: 482, 2e9: 4}),
    "Kdl": ("Rolla", {"bandwidth": "1 Gbit/s", "parallel": "first"}, {1e9: 1790}),
}  # fmt: skip
"""A device, what the scenario says about the file, and how many links have which rate."""


@pytest.mark.parametrize("suffix", ["gml", "graphml"])
@pytest.mark.parametrize("name", list(ZOO))
def test_real_networks_can_be_read_with_a_mapping(name: str, suffix: str) -> None:
    """Each of the zoo, from both formats alike; without a mapping what is missing is said."""
    path = TOPOLOGIES / f"{name}.{suffix}"
    if not path.is_file():
        pytest.skip(f"{path} is not there; EDGESIM_TOPOLOGIES names the folder of the five networks")
    start, said, expected = ZOO[name]
    names = {"from": "label", "replace": "-", "repeated": "number"}
    made = rates(load({"path": str(path), "profile": "wearable", "names": names, **said}, start=start))
    assert Counter(made.values()) == expected
    found = messages({"path": str(path)}, start=start)
    assert any("has no bandwidth" in one for one in found)
    assert any("has no profile" in one for one in found)


def test_the_example_of_the_page_works(tmp_path: Path) -> None:
    """Rates and latencies, by the words of docs/scenario.md."""
    page = (Path(__file__).parents[2] / "docs" / "scenario.md").read_text(encoding="utf-8")
    page = page[page.index("## Topologies from graph files") :]
    example, network = (re.findall(rf"```{kind}\n(.*?)```", page, flags=re.DOTALL)[0] for kind in ("yaml", "text"))
    write(tmp_path, "network.gml", network)
    topology = build(Scenario.from_text(example, folder=tmp_path)).topology
    assert {device.device_id: device.profile.name for device in topology.devices} == {
        "New-York": "phone", "London-1": "wearable", "London-2": "wearable"
    }  # fmt: skip
    there = {link.link_id: (link.bandwidth_bit_per_s, link.latency_s) for link in topology.links[::2]}
    assert there == {"New-York->London-1": (12.5e9, 0.035), "London-1->London-2": (155e6, 0.0005)}


def test_equal_pairs_and_names_grow_linearly(tmp_path: Path) -> None:
    """A chain of 20,000 nodes is read, and as many mistakes are told in a few words."""
    from edgesim.scenario.graphs.files import with_graph_file
    from edgesim.scenario.text.source import Source

    nodes = [{"id": n} for n in range(20_000)]
    edges = [{"source": n, "target": n + 1} for n in range(len(nodes))]
    for said, n_links, n_findings in ((DEFAULTS, 19_999, 1), ({}, 0, 3)):
        file = {"path": write(tmp_path, "g.json", json.dumps({"nodes": nodes, "links": edges})), **said}
        data, graph, _ = with_graph_file({"topology": {"file": file}}, Source({}))
        assert len(data["topology"]["links"]) == n_links
        assert len(graph.findings([])) == n_findings
