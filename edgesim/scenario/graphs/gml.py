"""GML -> a graph with lines; the grammar of Himsolt, "GML: A portable Graph File Format", University of Passau, 1997."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
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

_TOKEN = re.compile(
    r'(?P<skip>[ \t\r\n\f]+|\#[^\n]*)|(?P<key>[A-Za-z_]\w*)|(?P<text>"[^"]*")'
    r"|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<sign>[\[\]])",
    re.ASCII,
)
_FORM = '`graph [ node [ id 0 label "a" ] edge [ source 0 target 1 ] ]`'


@dataclass(slots=True)
class _List:
    """What stands between brackets, in order: key, value and line of each entry."""

    line: int
    entries: list[tuple[str, Any, int]] = field(default_factory=list)

    def all(self, key: str) -> list[tuple[Any, int]]:
        """Return every value of a key, with its line."""
        return [(value, line) for name, value, line in self.entries if name == key]


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            what = (
                "a text is never closed" if text[position] == '"' else f"unexpected {text[position : position + 20]!r}"
            )
            raise GraphError(Fault(line, f"this is no GML: {what}", _FORM))
        kind = str(match.lastgroup)
        if kind != "skip":
            yield kind, match[0], line
        line += match[0].count("\n")
        position = match.end()


def _parse(text: str) -> _List:
    """Return the whole file as one list."""
    stack = [_List(1)]
    key: tuple[str, int] | None = None
    line = 1
    for kind, word, line in _tokens(text):
        if word == "]" and len(stack) > 1 and key is None:
            stack.pop()
        elif (kind == "key") != (key is None) or word == "]":
            expected = "a key and its value in turn, and a `]` for each `[`"
            raise GraphError(Fault(line, f"this is no GML: unexpected {word[:40]!r}", expected))
        elif key is None:
            key = (word, line)
        else:
            inside = _List(line)
            stack[-1].entries.append((key[0], inside if word == "[" else _scalar(kind, word, line), key[1]))
            key = None
            if word == "[":
                stack.append(inside)
        if len(stack) > MAX_DEPTH:
            raise GraphError(Fault(line, f"nested in more than {MAX_DEPTH} levels"))
    if key is not None or len(stack) > 1:
        raise GraphError(Fault(line, "this is no GML: it ends too early", "a `]` for each `[`"))
    return stack[0]


def _scalar(kind: str, word: str, line: int) -> Any:
    if kind == "text":
        return html.unescape(word[1:-1])
    try:
        return whole_number(word) if word.lstrip("+-").isdecimal() else finite_number(word)
    except ValueError as error:
        raise GraphError(Fault(line, f"this is no GML: {error}", "finite numbers of ordinary length")) from None


def read_gml(text: str) -> Graph:
    """Return the graph in GML. Raises `GraphError`."""
    found = _parse(text).all("graph")
    if len(found) != 1 or not isinstance(found[0][0], _List):
        what = "there is no `graph [ ... ]` in it" if len(found) != 1 else "`graph` has no list"
        what = f"there are {len(found)} graphs in it" if len(found) > 1 else what
        raise GraphError(Fault(found[-1][1] if found else 1, f"this is no GML: {what}", _FORM))
    return _Reader(found[0][0]).graph


class _Reader:
    """Turns the entries of ``graph [ ]`` into nodes and edges, and notes what is wrong on the way."""

    def __init__(self, content: _List) -> None:
        self._content = content
        self.graph = Graph()
        self.graph.said = self._said(content, "the graph")
        directed = self.graph.said.pop("directed", 0)
        if directed not in (0, 1) or isinstance(directed, float):
            self._note(content.line, f"`directed` is {directed!r}", "0 or 1")
        for value, line in content.all("node"):
            self._node(value, line)
        for value, line in content.all("edge"):
            self._edge(value, line, is_directed=directed == 1)
        if any("label" in node.said for node in self.graph.nodes):
            self.graph.names = "label"

    def _note(self, line: int, message: str, expected: str = "") -> None:
        self.graph.faults.append(Fault(line, message, expected))

    def _said(self, content: _List, what: str) -> dict[str, Any]:
        """Return the attributes of an entry; lists, which drawing programs write, are passed over."""
        said: dict[str, Any] = {}
        for key, value, line in content.entries:
            if isinstance(value, _List) or (content is self._content and key in {"node", "edge"}):
                continue
            if key in said:
                self._note(line, f"attribute {key!r} is given twice in {what}")
            said[key] = value
        return said

    def _node(self, value: Any, line: int) -> None:
        if not isinstance(value, _List):
            self._note(line, f"`node` is {kind_of(value)}", "`node [ id 0 ]`")
            return
        said = self._said(value, "one node")
        name = self._end(said, "id", "a node", line)
        if name is not None:
            self.graph.nodes.append(Node(name, {key: one for key, one in said.items() if key != "id"}, line))

    def _edge(self, value: Any, line: int, *, is_directed: bool) -> None:
        if not isinstance(value, _List):
            self._note(line, f"`edge` is {kind_of(value)}", "`edge [ source 0 target 1 ]`")
            return
        said = self._said(value, "one edge")
        src, dst = (self._end(said, key, "an edge", line) for key in ("source", "target"))
        rest = {key: one for key, one in said.items() if key not in {"source", "target", "key"}}
        if src is not None and dst is not None:
            self.graph.edges.append(Edge(src, dst, is_directed, rest, line))

    def _end(self, said: dict[str, Any], key: str, what: str, line: int) -> str | None:
        value = said.get(key)
        if isinstance(value, int):
            return str(value)
        self._note(
            line, f"{what} has no `{key}`" if value is None else f"`{key}` of {what} is {value!r}", "a whole number"
        )
        return None
