"""A topology -> plain data of a scenario, and graph files from which `edgesim.scenario.graphs.files` reads it unchanged.

A node is a device and an edge is a link of one direction. Attributes have the names and texts that scenarios use (``profile``,
``position``, ``bandwidth``, ``latency``, ...); lists and mappings are JSON texts. Attributes of the graph itself are ``media``,
``profiles``, ``forwarding`` and ``routing``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from edgesim.domain.system.topology import Cores, Device, DeviceProfile, Medium, Topology
from edgesim.errors import DataError
from edgesim.files.whole import write_text
from edgesim.scenario.form.options import write_options
from edgesim.scenario.graphs.files import SUFFIXES
from edgesim.scenario.topology.expand import link_id
from edgesim.scenario.topology.hardware import (
    CoresSpec,
    DeviceSpec,
    LinkSpec,
    MediumSpec,
    PowerSpec,
    ProfileSpec,
    RatesSpec,
)
from edgesim.units import plain_name

if TYPE_CHECKING:
    from pydantic import BaseModel

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
    if topology.switches:
        raise DataError("graph files have devices only; switches cannot be written into them")
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
        cores=None if profile.cores is None else _cores_data(profile.cores),
    )
    return spec.model_dump(mode="json", by_alias=True)


def _cores_data(cores: Cores) -> CoresSpec:
    return CoresSpec.model_construct(
        count=cores.n_cores,
        vector_width=cores.vector_width,
        local_memory=cores.local_memory_byte,
        shared_memory=cores.shared_memory_byte,
        shared_bandwidth=cores.shared_bandwidth_byte_per_s,
        synchronisation=cores.synchronisation_s,
        interrupt=cores.interrupt_s,
    )


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


def write_graph(topology: Topology, path: Path) -> None:
    """Write the topology as GraphML, GML or node-link JSON, by the suffix of the file.

    Raises
    ------
    DataError
        When the suffix is another one, or as `topology_data`.
    ResultError
        When the file cannot be written.
    """
    write = {".graphml": _graphml, ".gml": _gml, ".json": _node_link}.get(path.suffix.lower())
    if write is None:
        raise DataError(f"{path.name} is none of {', '.join(SUFFIXES)}")
    write_text(path, write(_plain_graph(topology)))


@dataclasses.dataclass(frozen=True, slots=True)
class _PlainGraph:
    """Attributes of the graph, of each node by its name, of each edge by its ends; all of them texts or numbers."""

    said: dict[str, str | int | float]
    nodes: dict[str, dict[str, str | int | float]]
    edges: list[tuple[str, str, dict[str, str | int | float]]]


def _plain_graph(topology: Topology) -> _PlainGraph:
    data = topology_data(topology)
    form = data["topology"]
    whole = {"profiles": data["profiles"], "media": form["media"]}
    whole |= {key: form[key] for key in ("forwarding", "routing") if key in form}
    return _PlainGraph(
        _texts(whole, ()),
        {device["id"]: _texts(device, ("id",)) for device in form["devices"]},
        [(link["from"], link["to"], _texts(link, ("from", "to"))) for link in form["links"]],
    )


def _texts(values: Mapping[str, Any], left_out: tuple[str, ...]) -> dict[str, str | int | float]:
    return {key: _text(value) for key, value in values.items() if key not in left_out}


def _text(value: Any) -> str | int | float:
    """Return a value that every format can hold: plain texts and numbers as they are, all else as JSON."""
    is_plain = (
        isinstance(value, str)
        and value.isprintable()
        and value == value.strip()
        and value[:1] not in {"[", "{", '"', ""}
    )
    return value if is_plain or isinstance(value, (int, float)) else json.dumps(value)


def _node_link(graph: _PlainGraph) -> str:
    data = {
        "directed": True, "multigraph": False, "graph": graph.said,
        "nodes": [{"id": name, **said} for name, said in graph.nodes.items()],
        "links": [{"source": src, "target": dst, **said} for src, dst, said in graph.edges],
    }  # fmt: skip
    return json.dumps(data, indent=1) + "\n"


def _graphml(graph: _PlainGraph) -> str:
    owners = (("graph", [graph.said]), ("node", graph.nodes.values()), ("edge", [said for *_, said in graph.edges]))
    keys: dict[tuple[str, str, str], str] = {}
    for owner, all_said in owners:
        for key, value in ((key, value) for said in all_said for key, value in said.items()):
            keys.setdefault((owner, key, _XML_TYPES[type(value)]), f"d{len(keys)}")

    def element(owner: str, head: str, said: dict[str, str | int | float], inside: str = "") -> str:
        values = ((keys[owner, key, _XML_TYPES[type(value)]], value) for key, value in said.items())
        data = "".join(f'<data key="{name}">{escape(str(value))}</data>' for name, value in values)
        return f"<{owner}{head}>{data}{inside}</{owner}>\n"

    nodes = [element("node", f" id={quoteattr(name)}", said) for name, said in graph.nodes.items()]
    edges = [
        element("edge", f" source={quoteattr(src)} target={quoteattr(dst)}", said) for src, dst, said in graph.edges
    ]
    declared = "".join(
        f'<key id="{name}" for="{owner}" attr.name="{key}" attr.type="{kind}"/>\n'
        for (owner, key, kind), name in keys.items()
    )
    whole = element("graph", ' edgedefault="directed"', graph.said, "\n" + "".join((*nodes, *edges)))
    return f'<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="{_NAMESPACE}">\n{declared}{whole}</graphml>\n'


_NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
_XML_TYPES: dict[type, str] = {str: "string", int: "long", float: "double", bool: "boolean"}


def _gml(graph: _PlainGraph) -> str:
    numbers = {name: number for number, name in enumerate(graph.nodes)}
    entries = [("node", {"id": numbers[name], "label": name, **said}) for name, said in graph.nodes.items()]
    entries += [("edge", {"source": numbers[src], "target": numbers[dst], **said}) for src, dst, said in graph.edges]
    lines = ["graph [", "  directed 1", *_gml_lines(graph.said, "  ")]
    for kind, said in entries:
        lines += [f"  {kind} [", *_gml_lines(said, "    "), "  ]"]
    return "\n".join((*lines, "]", ""))


def _gml_lines(said: Mapping[str, str | int | float], indent: str) -> Iterator[str]:
    for key, value in said.items():
        if isinstance(value, str):
            text = value.replace("&", "&amp;").replace('"', "&quot;").encode("ascii", "xmlcharrefreplace").decode()
            yield f'{indent}{key} "{text}"'
        else:
            yield f"{indent}{key} {value!r}"
