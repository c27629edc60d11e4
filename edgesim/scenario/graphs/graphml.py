"""GraphML -> a graph with lines. Document types and entities are refused, so that no file expands or reads another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from edgesim.scenario.graphs.data import (
    MAX_DEPTH,
    Edge,
    Fault,
    Graph,
    GraphError,
    Node,
    finite_number,
    whole_number,
)

_NUMBERS = {
    "int": whole_number,
    "long": whole_number,
    "integer": whole_number,
    "float": finite_number,
    "double": finite_number,
}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_LATER = {"hyperedge": "a hyperedge joins more than two nodes", "graph": "a graph inside a node"}


@dataclass(slots=True)
class _Key:
    """What ``<key>`` declares: an attribute, what has it, of which type, with which default."""

    name: str | None
    owner: str
    kind: str
    default: str | None = None


@dataclass(slots=True)
class _Open:
    """An element that is being read: node, edge or graph, with the attributes met so far."""

    kind: str
    given: dict[str, str]
    line: int
    said: dict[str, Any] = field(default_factory=dict)


def read_graphml(content: bytes) -> Graph:
    """Return the graph in GraphML. Raises `GraphError`."""
    reader = _Reader()
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise GraphError(Fault(error.lineno, f"this is no GraphML: {expat.ErrorString(error.code)}")) from None
    except (LookupError, ValueError) as error:
        if isinstance(error, GraphError):
            raise
        raise GraphError(Fault(1, f"this is no GraphML: {error}", "UTF-8")) from None
    if not reader.n_graphs:
        reader.note("this is no GraphML: there is no <graph> in it")
    return reader.graph


class _Reader:
    """Follows the parser from element to element."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.n_graphs = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add_text
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._keys: dict[str, _Key] = {}
        self._open: list[_Open] = []
        self._depth = 0
        self._is_directed = False
        self._data: tuple[str, int] | None = None
        self._text: list[str] = []
        self._default_of: _Key | None = None

    def note(self, message: str, expected: str = "", remedy: str = "", *, line: int = 0) -> None:
        """Note a fault, by default at the line where the parser is."""
        self.graph.faults.append(Fault(line or self.parser.CurrentLineNumber, message, expected, remedy))

    def _refuse_doctype(self, *_: Any) -> None:
        line = self.parser.CurrentLineNumber
        fault = Fault(line, "a document type, which can hold entities", "GraphML without <!DOCTYPE>", "delete it")
        raise GraphError(fault)

    def _start(self, name: str, given: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise GraphError(Fault(self.parser.CurrentLineNumber, f"nested in more than {MAX_DEPTH} levels"))
        element = name.rpartition(" ")[2]
        begin = {
            "key": self._begin_key, "default": self._begin_default, "graph": self._begin_graph, "node": self._begin,
            "edge": self._begin, "data": self._begin_data, "hyperedge": self._refuse,
        }.get(element)  # fmt: skip
        if self._depth == 1 and element != "graphml":
            line = self.parser.CurrentLineNumber
            raise GraphError(Fault(line, f"this is no GraphML: it begins with <{element}>", "<graphml>"))
        if begin is not None and self._data is None:
            begin(element, given)

    def _begin_key(self, _: str, given: dict[str, str]) -> None:
        kind, identifier = given.get("attr.type", "string"), given.get("id", "")
        if "attr.name" in given and kind not in {*_NUMBERS, "boolean", "string"}:
            self.note(f"attr.type of key {identifier!r} is {kind!r}", "boolean, int, long, float, double or string")
        if identifier in self._keys:
            self.note(f"key id {identifier!r} is used twice", "distinct ids")
        self._default_of = _Key(given.get("attr.name"), given.get("for", "all"), kind)
        self._keys[identifier] = self._default_of

    def _begin_default(self, *_: Any) -> None:
        self._data, self._text = ("", self.parser.CurrentLineNumber), []

    def _begin_graph(self, element: str, given: dict[str, str]) -> None:
        self.n_graphs += 1
        if self._open:
            self._refuse("graph", given)
        elif self.n_graphs > 1:
            self.note("a second <graph>", "one graph per file")
        direction = given.get("edgedefault", "undirected")
        if direction not in {"directed", "undirected"}:
            self.note(f"edgedefault is {direction!r}", "directed or undirected")
        self._is_directed = direction == "directed"
        self._begin(element, given)

    def _begin(self, element: str, given: dict[str, str]) -> None:
        self._open.append(_Open(element, given, self.parser.CurrentLineNumber))

    def _refuse(self, element: str, _: dict[str, str]) -> None:
        self.note(f"{_LATER[element]}, which no topology has", "nodes, and edges between two of them")

    def _begin_data(self, _: str, given: dict[str, str]) -> None:
        self._data, self._text = (given.get("key", ""), self.parser.CurrentLineNumber), []

    def _add_text(self, text: str) -> None:
        if self._data is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        element = name.rpartition(" ")[2]
        if self._data is not None:
            if element == "default" and self._default_of is not None:
                self._default_of.default, self._data = "".join(self._text), None
            elif element == "data":
                self._end_data(*self._data)
        elif self._open and self._open[-1].kind == element:
            self._close(self._open.pop())

    def _end_data(self, identifier: str, line: int) -> None:
        self._data = None
        key = self._keys.get(identifier)
        if key is None:
            self.note(f"<data> names the key {identifier!r}, which is not declared", "the id of a <key>", line=line)
        elif key.name is not None and self._open:
            said = self._open[-1].said
            if key.name in said:
                self.note(f"attribute {key.name!r} is given twice in one {self._open[-1].kind}", line=line)
            said[key.name] = self._value(key, "".join(self._text), line)

    def _value(self, key: _Key, text: str, line: int) -> Any:
        try:
            if key.kind == "boolean":
                return _TRUTH[text.strip().lower()]
            return _NUMBERS[key.kind](text.strip()) if key.kind in _NUMBERS else text
        except (ValueError, KeyError):
            self.note(f"attribute {key.name!r} is {text[:40]!r}", f"{key.kind}, as its <key> says", line=line)
            return None

    def _close(self, one: _Open) -> None:
        for key in self._keys.values():
            if (
                key.name is not None
                and key.default is not None
                and key.owner in {one.kind, "all"}
                and key.name not in one.said
            ):
                one.said[key.name] = self._value(key, key.default, one.line)
        if one.kind == "graph":
            self.graph.said |= one.said
        elif one.kind == "node" and self._has(one, "id"):
            self.graph.nodes.append(Node(one.given["id"], one.said, one.line))
        elif one.kind == "edge" and self._has(one, "source", "target"):
            directed = one.given.get("directed", "")
            if directed and directed not in _TRUTH:
                self.note(f"`directed` of an edge is {directed!r}", "true or false", line=one.line)
            is_directed = _TRUTH.get(directed, self._is_directed)
            self.graph.edges.append(Edge(one.given["source"], one.given["target"], is_directed, one.said, one.line))

    def _has(self, one: _Open, *names: str) -> bool:
        missing = [name for name in names if name not in one.given]
        for name in missing:
            self.note(f"<{one.kind}> has no `{name}`", line=one.line)
        return not missing
