"""A graph as its file says it: nodes, edges and attributes with their lines, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

MAX_DEPTH = 30
"""Levels of lists and mappings inside each other."""
_MAX_DIGITS = 60
_MOST_PLACES = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in a graph file.

    Parameters
    ----------
    line : where it stands, counted from 1; 0 for the file as a whole.
    message, expected, remedy : see `edgesim.errors.Finding`.
    subject : the node or edge, which the message begins with; equal mistakes of several are told together.
    """

    line: int
    message: str
    expected: str = ""
    remedy: str = ""
    subject: str = ""


class GraphError(ValueError):
    """A graph file cannot be read any further."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault)


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its name as a text, its attributes, its line."""

    name: str
    said: dict[str, Any]
    line: int

    @property
    def subject(self) -> str:
        """How messages name it."""
        return f"node {self.name!r}"


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge: the names of its ends, whether it leads one way only, its attributes, its line."""

    src: str
    dst: str
    is_directed: bool
    said: dict[str, Any]
    line: int

    @property
    def subject(self) -> str:
        """How messages name it."""
        return f"edge {self.src!r} {'->' if self.is_directed else '-'} {self.dst!r}"


@dataclass(slots=True)
class Graph:
    """What a file says.

    Parameters
    ----------
    names : attribute of nodes that names devices when nothing else is asked for; None: the nodes' own names.
    said : attributes of the graph itself.
    """

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    names: str | None = None


def whole_number(text: str) -> int:
    """Return a whole number of ordinary length. Raises ValueError."""
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def finite_number(text: str) -> float:
    """Return a finite number. Raises ValueError."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def kind_of(value: object) -> str:
    """Name the kind of a value of a file, for messages."""
    kinds = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a text"),
        (dict, "a mapping"),
        (list, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "nothing")


def grouped(faults: Iterable[Fault]) -> Iterator[Fault]:
    """Yield the faults, equal ones of several nodes or edges as one that names the first and the lines of the others."""
    alike: dict[tuple[str, str, str, bool], list[Fault]] = {}
    for fault in faults:
        alike.setdefault((fault.message, fault.expected, fault.remedy, bool(fault.subject)), []).append(fault)
    for first, *others in alike.values():
        text = f"{first.subject} {first.message}".lstrip()
        yield replace(first, message=text + _more(first, others), subject="")


def _more(first: Fault, others: list[Fault]) -> str:
    if not others:
        return ""
    is_one_line = all(one.line == first.line for one in others)
    places = list(dict.fromkeys(one.subject.strip(",: ") if is_one_line else str(one.line) for one in others))
    some = ", ".join(places[:_MOST_PLACES]) + (", ..." if len(places) > _MOST_PLACES else "")
    return f"; and so {len(others)} more{': ' if is_one_line else ', in lines '}{some}"
