"""Topologies as graphs: GraphML and node-link JSON in, and out again unchanged.

A node is a device and an edge is a link, in both directions when the graph is undirected. Attributes have the names and texts
that scenarios use (``profile``, ``position``, ``bandwidth``, ``latency``, ...); lists and mappings are JSON texts. Attributes of
the graph itself are ``media`` and ``profiles``. Other attributes, which drawing programs add, are passed over.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.topology import Device, DeviceProfile, Medium, Topology
from edgesim.errors import DataError
from edgesim.scenario.expand import link_id
from edgesim.scenario.hardware import DeviceSpec, LinkSpec, MediumSpec, PowerSpec, ProfileSpec, RatesSpec
from edgesim.scenario.options import write_options
from edgesim.units import plain_name

if TYPE_CHECKING:
    import networkx as nx
    from pydantic import BaseModel

SUFFIXES = (".graphml", ".json")
INLINE = "inline"
_KEYS = {"n_cores": "cores", "medium_id": "medium"}
"""Keys of a scenario that are not the field's name without its unit."""


def topology_data(topology: Topology) -> dict[str, Any]:
    """Return ``profiles`` and ``topology`` of a scenario, in plain data, that make an equal topology.

    Raises
    ------
    DataError
        When it has something that scenarios cannot say, e.g. a link whose id is not ``src->dst``.
    """
    profiles = {
        device.profile.name: _profile_data(device.profile)
        for device in topology.devices
        if device.profile.name != INLINE
    }
    for device in topology.devices:
        if device.profile.name in profiles and _profile_data(device.profile) != profiles[device.profile.name]:
            raise DataError(f"two device profiles are called {device.profile.name!r}; profiles need distinct names")
    for link in topology.links:
        if link.link_id != link_id(link.src_id, link.dst_id):
            raise DataError(
                f"link {link.link_id!r} cannot be written; its id must be {link_id(link.src_id, link.dst_id)!r}"
            )
    form: dict[str, Any] = {
        "devices": [_device_data(device) for device in topology.devices],
        "media": [_medium_data(medium) for medium in topology.media],
        "links": [
            {"from": link.src_id, "to": link.dst_id, **_fields(link, LinkSpec, ("link_id", "src_id", "dst_id"))}
            for link in topology.links
        ],
    }
    if topology.forwarding != Topology.forwarding:
        form["forwarding"] = topology.forwarding
    if topology.routing != Topology.routing:
        form["routing"] = write_options(topology.routing)
    return {"profiles": profiles, "topology": form}


def _device_data(device: Device) -> dict[str, Any]:
    profile = _profile_data(device.profile) if device.profile.name == INLINE else device.profile.name
    return {"id": device.device_id, "profile": profile, **_fields(device, DeviceSpec, ("device_id", "profile"))}


def _medium_data(medium: Medium) -> str | dict[str, Any]:
    if medium == Medium(medium.medium_id):
        return medium.medium_id
    return {"id": medium.medium_id, **_fields(medium, MediumSpec, ("medium_id",))}


def _profile_data(profile: DeviceProfile) -> dict[str, Any]:
    spec = ProfileSpec.model_construct(
        compute_rate=RatesSpec.model_construct(None, **profile.flop_per_s),
        memory_bandwidth=profile.memory_bandwidth_byte_per_s,
        layer_overhead=profile.layer_overhead_s,
        memory=profile.memory_byte,
        power=PowerSpec.model_construct(
            idle=profile.idle_w, busy=profile.busy_w, transmit=profile.transmit_w, receive=profile.receive_w
        ),
        source=profile.source,
    )
    return spec.model_dump(mode="json", by_alias=True)


def _fields(entity: Any, form: type[BaseModel], left_out: Iterable[str]) -> dict[str, Any]:
    """Return what an entity says beyond its defaults, in the form of a scenario."""
    values: dict[str, Any] = {}
    for one in dataclasses.fields(entity):
        value = getattr(entity, one.name)
        if one.name in left_out or (one.default is not MISSING and value == one.default):
            continue
        key = _KEYS.get(one.name, plain_name(one.name))
        if key not in form.model_fields:
            raise DataError(f"{one.name} = {value!r} cannot be written; scenarios have no such key")
        values[key] = value
    return form.model_construct(**values).model_dump(mode="json", by_alias=True, include=set(values), warnings=False)


def to_graph(topology: Topology) -> nx.DiGraph[str]:
    """Return the topology as a graph of networkx, with all that it says as texts in attributes. Raises as `topology_data`."""
    import networkx as nx

    data = topology_data(topology)
    made: nx.DiGraph[str] = nx.DiGraph()
    made.graph |= {"profiles": json.dumps(data["profiles"]), "media": json.dumps(data["topology"]["media"])}
    made.graph |= {key: _text(data["topology"][key]) for key in ("forwarding", "routing") if key in data["topology"]}
    for device in data["topology"]["devices"]:
        made.add_node(device["id"], **{key: _text(value) for key, value in device.items() if key != "id"})
    for place, link in enumerate(data["topology"]["links"]):
        rest = {key: _text(value) for key, value in link.items() if key not in {"from", "to"}}
        made.add_edge(link["from"], link["to"], place=place, **rest)  # graphs keep no order of edges of their own
    return made


def from_graph(graph: nx.Graph[Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return ``profiles`` and ``topology`` of a scenario, in plain data.

    Parameters
    ----------
    graph : directed or not, without parallel edges.
    defaults : what nodes and edges have that do not say otherwise, by key.

    Raises
    ------
    DataError
        When two edges join the same devices in the same direction.
    """
    defaults = defaults or {}
    if graph.is_multigraph() and len(set(graph.edges())) < graph.number_of_edges():
        raise DataError("the graph has parallel edges; at most one link leads from one device to another")
    devices = [{"id": str(node), **_known(DeviceSpec, defaults, said)} for node, said in graph.nodes(data=True)]
    edges = sorted(graph.edges(data=True), key=lambda edge: edge[2].get("place", 0))
    links = []
    for src, dst, said in edges:
        ends = {"from": str(src), "to": str(dst)} if graph.is_directed() else {"between": [str(src), str(dst)]}
        links.append({**ends, **_known(LinkSpec, defaults, said)})
    profiles, media = (_value(graph.graph.get(key, empty)) for key, empty in (("profiles", "{}"), ("media", "[]")))
    known = {one["id"] if isinstance(one, dict) else one for one in media}
    named = dict.fromkeys(link["medium"] for link in links if "medium" in link and link["medium"] not in known)
    form = {"devices": devices, "media": [*media, *named], "links": links}
    form |= {key: _value(graph.graph[key]) for key in ("forwarding", "routing") if key in graph.graph}
    return {"profiles": profiles, "topology": form}


def _known(form: type[BaseModel], defaults: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    keys = {info.alias or name for name, info in form.model_fields.items()} - {"id", "between", "from", "to"}
    return {key: _value(value) for key, value in {**defaults, **said}.items() if key in keys and value is not None}


def _text(value: Any) -> str | int | float:
    """Return a value that GraphML can hold: texts and numbers as they are, all else as JSON."""
    return value if isinstance(value, (str, int, float)) else json.dumps(value)


def _value(value: Any) -> Any:
    """Read what `_text` wrote; texts that are no JSON lists or mappings stay as they are."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def write_graph(topology: Topology, path: Path) -> None:
    """Write the topology as GraphML or node-link JSON, by the suffix of the file.

    Raises
    ------
    DataError
        When the suffix is another one, or as `topology_data`.
    """
    import networkx as nx

    _check_suffix(path)
    made = to_graph(topology)
    if path.suffix == ".json":
        path.write_text(json.dumps(nx.node_link_data(made, edges="links"), indent=1) + "\n", encoding="utf-8")
    else:
        nx.write_graphml_xml(made, path)


def read_graph(path: Path, defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read GraphML or node-link JSON; see `from_graph`.

    Raises
    ------
    DataError
        When the file is missing, has another suffix, or is not what its suffix says.
    """
    from xml.etree.ElementTree import ParseError

    import networkx as nx

    _check_suffix(path)
    try:
        if path.suffix == ".json":
            data = json.loads(path.read_text(encoding="utf-8"))
            made = nx.node_link_graph(data, edges="edges" if "edges" in data else "links")
        else:
            made = nx.read_graphml(path)
    except FileNotFoundError:
        raise DataError("there is no such file") from None
    except (OSError, ParseError, ValueError, KeyError, TypeError, AttributeError, nx.NetworkXError) as error:
        raise DataError(f"this is no {'node-link JSON' if path.suffix == '.json' else 'GraphML'} ({error})") from None
    return from_graph(made, defaults)


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise DataError("this is neither .graphml nor .json")
