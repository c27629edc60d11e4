"""Node-link JSON -> a graph with lines."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from json.decoder import JSONArray, JSONDecodeError, JSONObject  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

from edgesim.scenario.graphs.data import (
    MAX_DEPTH,
    Edge,
    Fault,
    Graph,
    GraphError,
    Node,
    finite_number,
    kind_of,
    whole_number,
)

_FORM = 'a mapping with `"nodes": [{"id": "a"}, ...]` and `"links": [{"source": "a", "target": "b"}, ...]`'


class _Mapping(dict[str, Any]):
    """A mapping that knows where it begins, and which of its keys came twice."""

    line = 0
    twice: tuple[str, ...] = ()


class StrictDecoder(json.JSONDecoder):
    """JSON without NaN, endless numbers, endless nesting and keys that come twice unseen; mappings know their lines."""

    def __init__(self) -> None:
        super().__init__(parse_int=whole_number, parse_float=finite_number, parse_constant=finite_number)
        self._depth = 0
        self.faults: list[Fault] = []
        self._breaks: list[int] = []
        self.parse_object = self._inside(JSONObject)
        self.parse_array = self._inside(JSONArray)
        self.object_pairs_hook = _mapping
        self.scan_once = py_make_scanner(self)

    def decode(self, text: str, *_: Any) -> Any:
        """Return the value in a text. Raises JSONDecodeError and ValueError."""
        self._breaks = [position for position, letter in enumerate(text) if letter == "\n"]
        return super().decode(text)

    def _inside(self, parse: Callable[..., Any]) -> Callable[..., Any]:
        def counted(where: tuple[str, int], *rest: Any) -> Any:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise JSONDecodeError(f"nested in more than {MAX_DEPTH} levels", *where)
            value, end = parse(where, *rest)
            self._depth -= 1
            if isinstance(value, _Mapping):
                value.line = bisect_left(self._breaks, where[1] - 1) + 1
                self.faults += [
                    Fault(value.line, f"key {key!r} is given twice in one mapping", remedy="delete one of them")
                    for key in value.twice
                ]
            return value, end

        return counted


def _mapping(pairs: list[tuple[str, Any]]) -> _Mapping:
    made = _Mapping(pairs)
    if len(made) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        made.twice = tuple(name for name, count in counts.items() if count > 1)
    return made


def read_node_link(text: str) -> Graph:
    """Return the graph in a JSON text. Raises `GraphError`."""
    try:
        decoder = StrictDecoder()
        data = decoder.decode(text)
        json.dumps(data, ensure_ascii=False).encode()  # fails at half a character, a lone surrogate
    except JSONDecodeError as error:
        raise GraphError(Fault(error.lineno, f"this is no JSON: {error.msg}")) from None
    except ValueError as error:
        raise GraphError(Fault(0, f"this is no JSON: {error}", "finite numbers of ordinary length")) from None
    if not isinstance(data, _Mapping):
        raise GraphError(Fault(1, f"a graph in JSON is a mapping, not {kind_of(data)}", _FORM))
    return _Reader(data, decoder.faults).graph


class _Reader:
    """Turns the mapping into nodes and edges, and notes what is wrong on the way."""

    def __init__(self, data: _Mapping, faults: list[Fault]) -> None:
        self.graph = Graph(faults=faults)
        is_directed = self._flag(data, "directed")
        self._flag(data, "multigraph")
        if "links" in data and "edges" in data:
            self._note(data, "the graph has both `links` and `edges`", "one list of edges")
        said = data.get("graph", {})
        if isinstance(said, dict):
            self.graph.said = dict(said)
        elif said != []:  # older writers put a list of pairs, empty when there is none
            self._note(data, f"`graph` is {kind_of(said)}", "a mapping of attributes")
        for place, entry in enumerate(self._list(data, "nodes"), start=1):
            self._node(data, place, entry)
        for place, entry in enumerate(self._list(data, "edges" if "edges" in data else "links"), start=1):
            self._edge(data, place, entry, is_directed=is_directed)

    def _note(self, where: _Mapping, message: str, expected: str = "", remedy: str = "") -> None:
        self.graph.faults.append(Fault(where.line, message, expected, remedy))

    def _flag(self, data: _Mapping, key: str) -> bool:
        value = data.get(key, False)
        if not isinstance(value, bool):
            self._note(data, f"`{key}` is {kind_of(value)}", "true or false")
        return value is True

    def _list(self, data: _Mapping, key: str) -> list[Any]:
        value = data.get(key)
        if not isinstance(value, list):
            what = f"`{key}` is {kind_of(value)}" if key in data else f"there is no `{key}`"
            self._note(data, f"this is no node-link JSON: {what}", _FORM)
            return []
        return value

    def _node(self, data: _Mapping, place: int, entry: Any) -> None:
        if not isinstance(entry, _Mapping):
            self._note(data, f"entry {place} of `nodes` is {kind_of(entry)}", '`{"id": "a"}` and attributes')
            return
        name = self._name(entry, "id", f"entry {place} of `nodes`")
        if name is not None:
            self.graph.nodes.append(Node(name, {key: value for key, value in entry.items() if key != "id"}, entry.line))

    def _edge(self, data: _Mapping, place: int, entry: Any, *, is_directed: bool) -> None:
        if not isinstance(entry, _Mapping):
            self._note(data, f"entry {place} of the edges is {kind_of(entry)}", '`{"source": "a", "target": "b"}`')
            return
        ends = [self._name(entry, key, f"entry {place} of the edges") for key in ("source", "target")]
        said = {key: value for key, value in entry.items() if key not in {"source", "target", "key"}}
        src, dst = ends
        if src is not None and dst is not None:
            self.graph.edges.append(Edge(src, dst, is_directed, said, entry.line))

    def _name(self, entry: _Mapping, key: str, what: str) -> str | None:
        value = entry.get(key)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
        message = f"{what} has no `{key}`" if value is None else f"`{key}` of {what} is {kind_of(value)}"
        self._note(entry, message, "a text or a whole number")
        return None


def decoded(value: Any) -> Any:
    """Return what a text of JSON means, if it is a list, a mapping or a quoted text; all else as it is."""
    if isinstance(value, str) and value[:1] in {"[", "{", '"'}:
        try:
            return StrictDecoder().decode(value)
        except ValueError:
            return value
    return value
