"""``topology.file``: a graph file becomes devices and links of the scenario, and its mistakes are shown where they stand."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgesim.errors import Finding
from edgesim.scenario.form.problems import Problem
from edgesim.scenario.graphs.data import Edge, Fault, Graph, GraphError, Node, grouped
from edgesim.scenario.graphs.gml import read_gml
from edgesim.scenario.graphs.graphml import read_graphml
from edgesim.scenario.graphs.node_link import read_node_link
from edgesim.scenario.graphs.rules import Parts, read_parts
from edgesim.scenario.topology.graph_file import FileSpec
from edgesim.units import show

if TYPE_CHECKING:
    from edgesim.scenario.text.source import DataPath, Source

SUFFIXES = (".graphml", ".gml", ".json")
MAX_BYTE = 1 << 26
_PLACE: DataPath = ("topology", "file")
_OWN_KEYS = frozenset({"path", "names", "attributes", "ignore", "parallel"})
_MOST_FINDINGS = 100
_MOST_LETTERS = 400


@dataclass
class GraphFile:
    """A graph file, and which entries of the scenario come from it.

    Parameters
    ----------
    file : its name for messages.
    lines : its text.
    origins : node or edge behind an entry, None for what the graph as a whole says, by path.
    faults : what is wrong with it.
    """

    file: str = ""
    lines: list[str] = field(default_factory=list)
    origins: dict[DataPath, Node | Edge | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def holds(self, problem: Problem) -> bool:
        """Say whether the problem is about something that stands in the file."""
        return problem.path[:3] in self.origins or problem.path[:2] in self.origins

    def findings(self, problems: Iterable[Problem]) -> list[Finding]:
        """Return the file's own faults and the problems that it holds, equal ones as one."""
        told = [*grouped([*self.faults, *map(self._fault, problems)])]
        shown = [self._finding(fault) for fault in told[:_MOST_FINDINGS]]
        if len(told) > _MOST_FINDINGS:
            shown.append(
                self._finding(Fault(0, f"{len(told) - _MOST_FINDINGS} more findings", remedy="correct these first"))
            )
        return shown

    def _fault(self, problem: Problem) -> Fault:
        origin = self.origins.get(problem.path[:3], self.origins.get(problem.path[:2]))
        if origin is None:
            return Fault(0, problem.message, problem.expected, problem.remedy)
        return Fault(origin.line, problem.message, problem.expected, problem.remedy, f"{origin.subject}:")

    def _finding(self, fault: Fault) -> Finding:
        excerpt = self.lines[fault.line - 1] if 0 < fault.line <= len(self.lines) else ""
        excerpt = excerpt if len(excerpt) <= _MOST_LETTERS else ""  # of a file that is one line, say
        column = len(excerpt) - len(excerpt.lstrip()) + 1
        length = max(1, len(excerpt.strip()))
        place = (fault.line, column, length, excerpt)
        return Finding(fault.message, _PLACE, fault.expected, fault.remedy, self.file, *place)


def with_graph_file(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], GraphFile, list[Problem]]:
    """Put devices and links of a graph file behind those that the scenario lists, so that it needs the file no more.

    Returns
    -------
    data : the scenario; it keeps ``topology.file`` when the file has faults.
    graph : where the entries come from, with the faults of the file.
    problems : what is wrong with how the scenario names the file.
    """
    topology = data.get("topology")
    if not isinstance(topology, dict) or topology.get("file") is None:
        return data, GraphFile(), []
    written = topology["file"]
    named = {"path": written} if isinstance(written, str) else written
    form, problems = _form(named)
    if form is None:
        return data, GraphFile(), problems
    place = _PLACE if isinstance(written, str) else (*_PLACE, "path")
    path = source.folder_of(place) / form.path
    try:
        content = _content(path)
    except ValueError as error:
        return data, GraphFile(), [Problem(place, f"{form.path}: {error}", " or ".join(SUFFIXES))]
    graph = GraphFile(str(path), content.decode("utf-8", "replace").split("\n"))
    try:
        read = _read(path.suffix.lower(), content)
    except GraphError as error:
        graph.faults.append(error.fault)
        return data, graph, []
    parts = read_parts(read, form, {key: value for key, value in named.items() if key not in _OWN_KEYS})
    return _joined(data, topology, parts, graph), graph, []


def _form(named: object) -> tuple[FileSpec | None, list[Problem]]:
    """Return how the scenario names the file; what is wrong with it, when the scenario's own check will not say so."""
    try:
        return FileSpec.model_validate_json(json.dumps(named)), []
    except ValidationError:  # the form of the whole scenario finds the same
        return None, []
    except (TypeError, ValueError) as error:
        return None, [Problem(_PLACE, f"not plain data: {error}", "`file: lab.graphml`")]


def _content(path: Path) -> bytes:
    """Return the bytes of the file. Raises ValueError."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"this is none of {', '.join(SUFFIXES)}")
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTE + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_BYTE:
        raise ValueError(f"it has more than {show(MAX_BYTE, 'byte')}")
    return content


def _read(suffix: str, content: bytes) -> Graph:
    if suffix == ".graphml":
        return read_graphml(content)
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise GraphError(Fault(line, f"not a text file: byte {error.start + 1} is no UTF-8", "UTF-8")) from None
    return read_gml(text) if suffix == ".gml" else read_node_link(text)


def _joined(data: dict[str, Any], topology: dict[str, Any], parts: Parts, graph: GraphFile) -> dict[str, Any]:
    """Return the scenario with the entries of the graph, and note where they come from."""
    graph.faults = parts.faults
    joined = {key: value for key, value in topology.items() if key != "file" or parts.faults}
    media = topology.get("media")
    known = [*media, *(one.get("id") for one in media if isinstance(one, dict))] if isinstance(media, list) else []
    new_media = [one for one in parts.media if one not in known]
    origins: dict[str, list[Node] | list[Edge] | list[None]] = {
        "devices": parts.device_origins, "links": parts.link_origins, "media": [None] * len(new_media),
    }  # fmt: skip
    for key, added in (("devices", parts.devices), ("links", parts.links), ("media", new_media)):
        own = joined.get(key)
        if own is not None and not isinstance(own, list):
            continue  # reported with the form
        joined[key] = [*(own or []), *added]
        for index, origin in enumerate(origins[key], start=len(own or [])):
            graph.origins["topology", key, index] = origin
    whole = {key: value for key, value in parts.whole.items() if key not in topology}
    joined |= whole
    graph.origins |= {("topology", key): None for key in whole}
    profiles = data.get("profiles") or {}
    if not isinstance(profiles, dict):
        return {**data, "topology": joined}
    graph.origins |= {("profiles", name): None for name in parts.profiles if name not in profiles}
    return {**data, "topology": joined, "profiles": {**parts.profiles, **profiles}}
