"""A graph with lines and how it is meant -> devices and links of a scenario, and everything that is wrong on the way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edgesim.errors import nearest_name
from edgesim.files.untrusted import hidden_in
from edgesim.scenario.graphs.data import Edge, Fault, Graph, Node, kind_of
from edgesim.scenario.graphs.node_link import decoded
from edgesim.scenario.graphs.suspects import PLAIN_NUMBER, shown, suspects
from edgesim.scenario.topology.graph_file import DEVICE_KEYS, LINK_KEYS, AttributeSpec, FileSpec, NamesSpec
from edgesim.units import parse, show_exactly

_ID_SIGN = re.compile(r"[^A-Za-z0-9_.:-]")
_MOST_NODES_TO_SEARCH, _MOST_SEARCHES = 1000, 10
"""A search for the nearest of so many names takes milliseconds; a file can have very many wrong ones."""
_MOST_NAMES = 40
_HIDDEN = "has characters that are not shown"
_WRONG = object()
"""Stands for a value that is reported."""


@dataclass
class Parts:
    """What a graph file adds to a scenario; entries with faults are left out.

    Parameters
    ----------
    devices, links, media : entries of the lists under ``topology:``, in plain data.
    profiles : device profiles by name.
    whole : ``forwarding`` and ``routing``, as far as the graph says them.
    origins : node or edge behind each device and each link.
    """

    devices: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    media: list[Any] = field(default_factory=list)
    profiles: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)
    device_origins: list[Node] = field(default_factory=list)
    link_origins: list[Edge] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read_parts(graph: Graph, form: FileSpec, defaults: Mapping[str, Any]) -> Parts:
    """Return what a graph says.

    Parameters
    ----------
    graph : as read from its file.
    form : how it is meant.
    defaults : what devices and links have that the graph says nothing about, by key, in plain data.
    """
    reader = _Reader(graph, form, defaults)
    reader.read()
    return reader.parts


class _Reader:
    def __init__(self, graph: Graph, form: FileSpec, defaults: Mapping[str, Any]) -> None:
        self.parts = Parts(faults=[*graph.faults])
        self._graph, self._form, self._defaults = graph, form, defaults
        self._meant = form.meant
        self._n_lost_ends = 0
        self._links_of: dict[tuple[str, str], int] = {}

    def read(self) -> None:
        self._check_names_of_attributes()
        ids = self._ids()
        for node in self._graph.nodes:
            self._device(node, ids.get(node.name))
        names = {node.name for node in self._graph.nodes}
        for edge in self._graph.edges:
            said = self._link_options(edge)
            if self._has_ends(edge, names) and said is not None and edge.src in ids and edge.dst in ids:
                self._link(edge, ids[edge.src], ids[edge.dst], said)
        self._graph_attributes()
        self.parts.faults += suspects(self._graph, self._form)

    def _note(self, one: Node | Edge, message: str, expected: str = "", remedy: str = "") -> None:
        self.parts.faults.append(Fault(one.line, message, expected, remedy, one.subject))

    def _check_names_of_attributes(self) -> None:
        """Check that what the scenario names is there."""
        of_nodes = {name for node in self._graph.nodes for name in node.said}
        of_edges = {name for edge in self._graph.edges for name in edge.said}
        for key, attribute in self._meant.items():
            there = (of_nodes if key in DEVICE_KEYS else set()) | (of_edges if key in LINK_KEYS else set())
            if attribute.name not in there:
                owner = "node" if key not in LINK_KEYS else "edge" if key not in DEVICE_KEYS else "node or edge"
                some = tuple(sorted(there))[:_MOST_NAMES]
                near = nearest_name(attribute.name, some)
                expected = f"one of {', '.join(map(shown, some))}" + (f"; nearest {near!r}" if near else "")
                message = f"no {owner} has the attribute {attribute.name!r}, which gives {key!r}"
                self.parts.faults.append(
                    Fault(0, message, expected if there else "", "correct `attributes:` of the scenario")
                )

    def _ids(self) -> dict[str, str]:
        """Return the id of the device of each node that can have one."""
        naming = self._form.naming or (
            NamesSpec.model_validate({"from": self._graph.names}) if self._graph.names else None
        )
        seen: Counter[str] = Counter()
        wanted: list[tuple[Node, str]] = []
        for node in self._graph.nodes:
            seen[node.name] += 1
            if seen[node.name] > 1:
                self._note(node, "has the name of a node above", "distinct names")
                continue
            name = self._name(node, naming)
            if name is not None:
                wanted.append((node, name))
        return self._distinct(wanted, naming)

    def _name(self, node: Node, naming: NamesSpec | None) -> str | None:
        value = node.name if naming is None or naming.name == "id" else node.said.get(naming.name)
        if value is None or isinstance(value, (bool, list, dict)) or value == "":
            what = naming.name if naming else "id"
            self._note(
                node,
                f"has no {what!r} that could name a device",
                "a text or a number",
                "`names: id` takes the node's own",
            )
            return None
        name = str(value)
        if naming is not None and naming.replace is not None:
            name = _ID_SIGN.sub(naming.replace, name)
        if not name or _ID_SIGN.search(name):
            source = naming.name if naming else "id"
            self.parts.faults.append(
                Fault(
                    node.line, "has a name with signs that device ids may not have", "letters, digits and _ . : -",
                    f"`names: {{from: {shown(source)}, replace: \"-\"}}`, or `names: id` for the node's own",
                    f"{node.subject}, {name[:60]!r},",
                )
            )  # fmt: skip
            return None
        return name

    def _distinct(self, wanted: list[tuple[Node, str]], naming: NamesSpec | None) -> dict[str, str]:
        counts = Counter(name for _, name in wanted)
        numbers: Counter[str] = Counter()
        result: dict[str, str] = {}
        taken: set[str] = set()
        for node, name in wanted:
            device = name
            if counts[name] > 1 and naming is not None and naming.repeated == "number":
                numbers[name] += 1
                device = f"{name}-{numbers[name]}"
            if device in taken or (device != name and device in counts):
                remedy = "`names: {from: label, repeated: number}` adds numbers, or `names: id` takes the nodes' own"
                self._note(node, f"would be another device {device!r}", "distinct names", remedy)
                continue
            taken.add(device)
            result[node.name] = device
        return result

    def _said(self, one: Node | Edge, keys: frozenset[str]) -> dict[str, Any]:
        """Return what a node or edge says, by key of devices or links, with defaults for the rest."""
        values = {key: value for key, value in self._defaults.items() if key in keys}
        for key in sorted(keys):
            attribute = self._meant.get(key)
            value = one.said.get(attribute.name if attribute else key)
            if value is not None:
                values[key] = self._meaning(one, value, attribute) if attribute else decoded(value)
        if any(hidden_in(values)):
            self._note(one, _HIDDEN, remedy="leave them out")
            return dict.fromkeys(values, _WRONG)
        return {key: value for key, value in values.items() if value is not None}

    def _meaning(self, one: Node | Edge, value: Any, attribute: AttributeSpec) -> Any:
        text = ("true" if value else "false") if isinstance(value, bool) else str(value).strip()
        if attribute.values is not None:
            if text not in attribute.values:
                known = ", ".join(map(repr, attribute.values))
                self._note(one, f"has {attribute.name!r} {text[:60]!r}, which `values` does not say", known)
                return _WRONG
            return attribute.values[text]
        if attribute.unit is not None:
            if isinstance(value, (bool, list, dict)) or not PLAIN_NUMBER.fullmatch(text):
                remedy = f"leave the unit out: `{shown(attribute.name)}`" if isinstance(value, str) else ""
                self._note(one, f"has {attribute.name!r} {text[:60]!r}", f"a plain number, in {attribute.unit}", remedy)
                return _WRONG
            return f"{text} {attribute.unit}"
        return text if isinstance(value, str) else decoded(value)

    def _device(self, node: Node, device: str | None) -> None:
        said = self._said(node, DEVICE_KEYS)
        if "profile" not in said:
            remedy = "give all a default: `file: {path: ..., profile: phone}`"
            self._note(node, "has no profile", "an attribute `profile`", remedy)
        elif device is not None and _WRONG not in said.values():
            self.parts.devices.append({"id": device, **said})
            self.parts.device_origins.append(node)

    def _has_ends(self, edge: Edge, names: set[str]) -> bool:
        for end in dict.fromkeys((edge.src, edge.dst)):
            if end not in names:
                self._n_lost_ends += 1
                is_searched = (
                    len(names) <= _MOST_NODES_TO_SEARCH and self._n_lost_ends <= _MOST_SEARCHES and len(end) < 100
                )
                near = nearest_name(end, tuple(sorted(names))) if is_searched else None
                expected = "the name of a node" + (f"; nearest {near!r}" if near else "")
                self._note(edge, f"ends at {end!r}, which is no node", expected)
        if edge.src == edge.dst:
            self._note(edge, "joins a device with itself", "two different devices", "delete it")
        return edge.src in names and edge.dst in names and edge.src != edge.dst

    def _link_options(self, edge: Edge) -> dict[str, Any] | None:
        """Return what the link of an edge has besides its ends, or None when something of it is reported."""
        said = self._said(edge, LINK_KEYS)
        if "bandwidth" not in said:
            self._note(edge, "has no bandwidth", "an attribute `bandwidth` with a unit", self._help_without_rate)
            return None
        return None if _WRONG in said.values() else said

    def _link(self, edge: Edge, src: str, dst: str, said: dict[str, Any]) -> None:
        ends = {"from": src, "to": dst} if edge.is_directed else {"between": [src, dst]}
        pairs = ((src, dst),) if edge.is_directed else ((src, dst), (dst, src))
        first = {self._links_of.get(pair) for pair in pairs}
        if first != {None}:
            self._parallel(edge, first, said)
            return
        self._links_of |= dict.fromkeys(pairs, len(self.parts.links))
        self.parts.links.append({**ends, **said})
        self.parts.link_origins.append(edge)

    @cached_property
    def _help_without_rate(self) -> str:
        examples: dict[str, str] = {}
        for edge in self._graph.edges:
            for name, value in edge.said.items():
                if name not in LINK_KEYS:
                    examples.setdefault(shown(name), f"{value!r:.40}")
        default = "give all a default: `file: {path: ..., bandwidth: 1 Mbit/s}`"
        some = ", ".join(f"{name} {value}" for name, value in examples.items())
        return default + (
            f", or say what gives it: `attributes: {{bandwidth: NAME bit/s}}`; edges have {some}" if some else ""
        )

    def _parallel(self, edge: Edge, first: set[int | None], said: dict[str, Any]) -> None:
        """Refuse an edge that joins the same devices as one above, or make one link of them."""
        index = min(one for one in first if one is not None)
        above, link = self.parts.link_origins[index], self.parts.links[index]
        is_alike = len(first) == 1 and above.is_directed == edge.is_directed
        rest = [key for key in said.keys() | link.keys() if key not in {"between", "from", "to", "bandwidth"}]
        others = [key for key in sorted(rest) if said.get(key) != link.get(key)]
        if self._form.parallel == "refuse" or not is_alike:
            remedy = "`parallel: first` keeps the first, `parallel: sum` makes one link with the sum of their rates"
            message = f"joins the same devices as the edge in line {above.line}"
            self._note(
                edge,
                message,
                "at most one link from one device to another",
                remedy if is_alike else "delete one of them",
            )
        elif self._form.parallel == "sum" and others:
            self._note(
                edge,
                f"differs from the edge in line {above.line} in {', '.join(others)}",
                "edges that differ in rate only",
            )
        elif self._form.parallel == "sum":
            try:
                rate = parse(link["bandwidth"], "bit/s") + parse(said["bandwidth"], "bit/s")
            except ValueError as error:
                self._note(edge, f"cannot be added: {error}")
            else:
                link["bandwidth"] = show_exactly(rate, "bit/s")

    def _graph_attributes(self) -> None:
        """Read what the whole graph has: media, profiles, how messages are forwarded and routed."""
        media, profiles = (decoded(self._graph.said.get(key)) for key in ("media", "profiles"))
        for key, value, kind, form in (("media", media, list, "a list"), ("profiles", profiles, dict, "a mapping")):
            if value is not None and not isinstance(value, kind):
                self.parts.faults.append(Fault(0, f"the graph's attribute {key!r} is {kind_of(value)}", form))
        media = media if isinstance(media, list) else []
        self.parts.profiles = profiles if isinstance(profiles, dict) else {}
        entries = [one.get("id") if isinstance(one, dict) else one for one in media]
        known = {one for one in entries if isinstance(one, str)}
        used = [link.get("medium") for link in self.parts.links]
        self.parts.media = [*media, *dict.fromkeys(one for one in used if isinstance(one, str) and one not in known)]
        given = {key: decoded(self._graph.said.get(key)) for key in ("forwarding", "routing")}
        if any(hidden_in([media, self.parts.profiles, *given.values()])):
            self.parts.faults.append(Fault(0, f"the graph {_HIDDEN}", remedy="leave them out"))
        self.parts.whole = {key: value for key, value in given.items() if value is not None}
