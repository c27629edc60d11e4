"""Attributes of a graph file that nothing reads although they look as if they mattered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache

from edgesim.scenario.graphs.data import Edge, Fault, Graph, Node
from edgesim.scenario.topology.graph_file import DEVICE_KEYS, LINK_KEYS, FileSpec
from edgesim.units import dimension_of

PLAIN_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_GRAPH_KEYS = frozenset({"media", "profiles", "forwarding", "routing"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_INSIDE = {
    "bandwidth": ("bandwidth", "capacity", "speed", "throughput", "bitrate", "datarate"),
    "latency": ("latency", "delay", "propagation"), "loss": ("packetloss",),
}  # fmt: skip
_ALONE = {
    "bandwidth": ("bw", "rate", "cap", "bps", "kbps", "mbps", "gbps", "tbps", "weight"),
    "latency": ("lat", "rtt", "ping", "jitter", "ms"), "loss": ("loss", "plr", "ber"),
    "profile": ("cpu", "flops", "gflops", "mips", "ram", "memory"),
}  # fmt: skip
_LOOKS = {
    "bandwidth": "a rate",
    "latency": "a delay",
    "loss": "a probability of loss",
    "profile": "what a device can do",
}
_RATE = re.compile(r"\d\s*[kMGT]?i?(bps|bit/s|[bB]/s|byte/s)\b|\b(OC|STM|STS|DS)-?\d", re.IGNORECASE)
_DELAY = re.compile(r"^\s*[\d.]+\s*[mun]?s\s*$")
_NOT_OF_NODES = {"lat", "ms", "cap", "weight"}  # a latitude, say


def suspects(graph: Graph, form: FileSpec) -> Iterator[Fault]:
    """Yield each attribute that looks like a rate, a delay, a loss or a device's power, where a default would be taken instead."""
    read = (
        {attribute.name for attribute in form.meant.values()}
        | set(form.ignore)
        | ({form.naming.name} if form.naming else set())
    )
    own = {key: attribute.name for key, attribute in form.meant.items()}
    parts: list[Node | Edge] = [*graph.nodes, *graph.edges]
    for one in parts:
        keys = DEVICE_KEYS if isinstance(one, Node) else LINK_KEYS
        for name, value in one.said.items():
            if name in read or name in keys or value is None:
                continue
            yield from _fault(one, name, _looks(name, value, one), own)
    for name in graph.said:
        if name not in read | _GRAPH_KEYS:
            looks = "bandwidth" if name in LINK_KEYS | DEVICE_KEYS else _named(name, is_node=True)
            near = get_close_matches(name, _GRAPH_KEYS, n=1, cutoff=0.8)
            if looks or near:
                message = f"the graph's attribute {name!r} is not read"
                yield Fault(
                    0,
                    message,
                    ", ".join(sorted(_GRAPH_KEYS)),
                    f"write it at nodes or edges, or `ignore: [{shown(name)}]`",
                )


def _fault(one: Node | Edge, name: str, looks: str | None, own: Mapping[str, str]) -> Iterator[Fault]:
    keys = DEVICE_KEYS if isinstance(one, Node) else LINK_KEYS
    near = _near(name, keys)
    ignore = f"`ignore: [{shown(name)}]`"
    if name in DEVICE_KEYS | LINK_KEYS:
        place = "edges" if isinstance(one, Node) else "nodes"
        yield Fault(one.line, f"has {name!r}, which belongs to {place}", "", f"move it, or {ignore}", one.subject)
    elif looks and (looks == "loss" or isinstance(one, Node) or one.said.get(own.get(looks, looks)) is None):
        if isinstance(one, Node) and looks == "profile" and one.said.get(own.get(looks, looks)) is not None:
            return
        message = f"has {name!r}, which looks like {_LOOKS[looks]} and is not read"
        yield Fault(one.line, message, "", f"{_remedy(one, name, looks)}, or {ignore}", one.subject)
    elif near and one.said.get(own.get(near, near)) is None:
        yield Fault(
            one.line, f"has {name!r}, which is not read; nearest {near!r}", "", f"rename it, or {ignore}", one.subject
        )


def _remedy(one: Node | Edge, name: str, looks: str) -> str:
    if looks == "loss":
        return "write a failure model such as `packet-loss` under `failures:`"
    if looks == "profile":
        return f"say which profile it means, `attributes: {{profile: {{from: {shown(name)}, values: {{...}}}}}}`"
    if isinstance(one, Node):
        return "write it at edges"
    value, unit = one.said[name], "Mbit/s" if looks == "bandwidth" else "ms"
    if not isinstance(value, str) or PLAIN_NUMBER.fullmatch(value.strip()):
        return f"say what it means, with its unit, e.g. `attributes: {{{looks}: {shown(name)} {unit}}}`"
    try:
        dimension_of(value)
    except ValueError:
        return f"say what it means, `attributes: {{{looks}: {{from: {shown(name)}, values: {{...}}}}}}`"
    return f"say what it means, `attributes: {{{looks}: {shown(name)}}}`"


def shown(name: str) -> str:
    """Return the name of an attribute for a message, without signs that a terminal obeys."""
    return name if name.isprintable() else ascii(name)


def _looks(name: str, value: object, one: Node | Edge) -> str | None:
    by_name = _named(name, is_node=isinstance(one, Node))
    if by_name or isinstance(one, Node) or not isinstance(value, str):
        return by_name
    return "bandwidth" if _RATE.search(value) else "latency" if _DELAY.match(value) else None


@lru_cache(maxsize=1024)
def _named(name: str, *, is_node: bool) -> str | None:
    """Return the key that the name of an attribute reminds of."""
    words = {word.lower() for word in _WORD.findall(name)}
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    for key, parts in _INSIDE.items():
        if any(part in plain for part in parts):
            return key
    for key, parts in _ALONE.items():
        found = words.intersection(parts) - (_NOT_OF_NODES if is_node else set())
        if found and (is_node or key != "profile"):
            return key
    return None


@lru_cache(maxsize=1024)
def _near(name: str, keys: frozenset[str]) -> str | None:
    """Return the key that a name is a misspelling of; long names are none."""
    if len(name) > 2 * max(map(len, keys)):
        return None
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower())
    return next(iter(get_close_matches(plain, sorted(keys), n=1, cutoff=0.85)), None)
