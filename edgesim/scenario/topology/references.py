"""Cross-checks of a scenario: what names a device, link, medium or profile must find one.

They work on plain data, so that they find their mistakes beside those of form, and say nothing where a name cannot be read.
"""

from __future__ import annotations

import typing
from collections import deque
from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError

from edgesim.domain.system.selection import parts_of
from edgesim.domain.system.topology import Reference
from edgesim.errors import UnknownNameError
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.form.options import find_plugin, option_hints
from edgesim.scenario.form.problems import Problem, unknown
from edgesim.scenario.topology.expand import MAX_LINKS, Ids, link_ends, link_id
from edgesim.scenario.topology.outline import Outline, outline
from edgesim.scenario.topology.shapes import SHAPES
from edgesim.units import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.scenario.text.source import DataPath


def reference_problems(data: dict[str, Any], known: Outline | None = None) -> list[Problem]:
    """Return every name in the data that finds nothing, or finds something twice; `known` is the outline of its topology."""
    topology = data.get("topology")
    known = outline(topology, data.get("seed", 1)) if known is None else known
    problems = [*_repeated(known)]
    if isinstance(topology, dict):
        problems += _devices(topology, data)
        problems += _media(known)
        problems += _links(topology, known)
        problems += _wifi(known)
        problems += _ports(known)
        problems += _routes(topology.get("routing"), known)
    is_sound = not problems and known.are_links_complete
    workload = data.get("workload")
    if isinstance(workload, dict) and known.is_complete:
        ends = {key: workload[key] for key in ("source", "sink") if isinstance(workload.get(key), str)}
        for key, name in ends.items():
            found = [*_device(("workload", key), name, known)]
            problems += found
            is_sound = is_sound and not found
        if is_sound:
            problems += _connected(known, ends)
    for seam in ("strategies", "failures"):
        problems += plugin_references(data.get(seam), seam, known)
    return problems


def _repeated(known: Outline) -> Iterator[Problem]:
    for path in known.oversized:
        yield Problem(path, f"this makes more than {MAX_LINKS} links", remedy="link fewer devices")
    for name, path in known.repeated_devices:
        yield Problem(path, f"device id {name!r} is used twice", "distinct ids")
    by_entry: dict[DataPath, list[str]] = {}
    for name, path in known.repeated_links:
        by_entry.setdefault(path, []).append(name)
    for path, links in by_entry.items():
        more = f" and {len(links) - 1} more" if len(links) > 1 else ""
        first = known.links[links[0]][-1]
        other = f"entry {first + 1} of 'links'" if isinstance(first, int) else repr(first)
        message = f"link {links[0]!r}{more} is made twice, here and by {other}"
        yield Problem(path, message, "at most one link from one device to another")


def _devices(topology: dict[str, Any], data: dict[str, Any]) -> Iterator[Problem]:
    own = data.get("profiles")
    own_names = tuple(own) if isinstance(own, dict) else ()
    devices = topology.get("devices")
    for index, device in enumerate(devices if isinstance(devices, list) else ()):
        if not isinstance(device, dict):
            continue
        if device.get("position") is not None and "{" in str(device.get("id")):
            place = ("topology", "devices", index, "position")
            yield Problem(place, "a range of devices cannot stand at one position", remedy="write one entry per device")
    for path, name in named_profiles(topology):
        if name not in own_names and name not in catalog.names():
            yield unknown(path, catalog.unknown(name, own_names), "`edgesim list devices` shows them all")


def named_profiles(topology: dict[str, Any]) -> Iterator[tuple[DataPath, str]]:
    """Yield where a topology names a device profile, and the name."""
    places: list[tuple[DataPath, Any, str]] = []
    for shape in SHAPES:
        places += [(("topology", shape), topology.get(shape), key) for key in ("profile", "hub_profile")]
    devices = topology.get("devices")
    for index, device in enumerate(devices if isinstance(devices, list) else ()):
        places.append((("topology", "devices", index), device, "profile"))
    for path, entry, key in places:
        name = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(name, str):
            yield (*path, key), name


def _ports(known: Outline) -> Iterator[Problem]:
    """Check that switches have a port for every neighbour."""
    neighbours: dict[str, set[str]] = {name: set() for name in known.switches}
    for src, dst in known.pairs.values() if neighbours else ():
        for end, other in ((src, dst), (dst, src)):
            if end in neighbours:
                neighbours[end].add(other)
    for name, (path, n_ports) in known.switches.items():
        if isinstance(n_ports, int) and len(neighbours[name]) > n_ports:
            message = f"switch {name!r} has {n_ports} ports, and links to {len(neighbours[name])} neighbours"
            yield Problem((*path[:-1], "ports"), message, "a port for each", "give it more ports, or leave `ports` out")


def _media(known: Outline) -> Iterator[Problem]:
    named: set[str] = set()
    for position, name in enumerate(known.media):
        if name in named:
            yield Problem(("topology", "media", position), f"medium {name!r} is named twice", "distinct names")
        named.add(name)


def _links(topology: dict[str, Any], known: Outline) -> Iterator[Problem]:
    links, media, media_ids = topology.get("links"), topology.get("media"), Ids(known.media)
    silent = {*known.links.values(), *(path for _, path in known.repeated_links), *known.oversized}
    for index, link in enumerate(links if isinstance(links, list) else ()):
        path: DataPath = ("topology", "links", index)
        if not isinstance(link, dict):
            continue
        wrong = [*_ends(path, link, known)]
        yield from wrong
        if known.is_complete and not wrong and path not in silent and len(link_ends(link)[0]) == 2:
            yield Problem(path, "this makes no link: both ends are the same device", "two different devices")
        if media is None or isinstance(media, list):
            yield from _medium((*path, "medium"), link.get("medium"), media_ids)


def _wifi(known: Outline) -> Iterator[Problem]:
    """Check that a Wi-Fi cell has an access point and stations."""
    if known.wifi is None or not known.is_complete:
        return
    path: DataPath = ("topology", "wifi")
    if known.wifi.point_id not in known.end_ids:
        yield _no_such((*path, "access_point"), "device", known.wifi.point_id, known.device_ids)
    elif not any(known.wifi.pairs(known.end_ids)):
        yield _no_match((*path, "devices"), "device", known.wifi.devices, known.device_ids)


def _ends(path: DataPath, link: dict[str, Any], known: Outline) -> Iterator[Problem]:
    """Check that a link has two ends, and that they are there."""
    if {key for key in ("between", "from", "to") if link.get(key) is not None} not in ({"between"}, {"from", "to"}):
        yield Problem(path, "a link needs two ends", "either `between: [a, b]`, both ways, or `from: a` and `to: b`")
    elif known.is_complete:
        yield from _link_ends(path, link, known)


def _medium(path: DataPath, name: object, media: Ids) -> Iterator[Problem]:
    if isinstance(name, str) and name not in media:
        problem = _no_such(path, "medium", name, media)
        remedy = f"name it under `topology.media`, e.g. `media: [{name}]`"
        yield Problem(problem.path, problem.message, problem.expected if media.names else "", remedy)


def _routes(routing: object, known: Outline) -> Iterator[Problem]:
    """Check that the devices of each own route are there, and the links between them."""
    routes = routing.get("routes") if isinstance(routing, dict) and known.is_complete else None
    for number, route in enumerate(routes if isinstance(routes, list) else ()):
        path: DataPath = ("topology", "routing", "routes", number)
        ids = [name for name in route if isinstance(name, str)] if isinstance(route, list) else []
        wrong = [problem for place, name in enumerate(ids) for problem in _device((*path, place), name, known)]
        yield from wrong
        for src, dst in pairwise(ids) if known.are_links_complete and not wrong else ():
            if link_id(src, dst) not in known.links:
                message = f"no link leads from {src!r} to {dst!r}, which this route needs"
                yield Problem(
                    path, message, "devices that links join, one after another", "add the link, or change the route"
                )


def _link_ends(path: DataPath, link: dict[str, Any], known: Outline) -> Iterator[Problem]:
    between = link.get("between")
    places: dict[DataPath, Any] = (
        {(*path, "between", position): end for position, end in enumerate(between)}
        if isinstance(between, list)
        else {(*path, key): link.get(key) for key in ("from", "to")}
    )
    for place, end in places.items():
        if isinstance(end, str):
            yield from _selection(place, end, "device", known.end_ids)


def _device(path: DataPath, name: str, known: Outline) -> Iterator[Problem]:
    if name in known.switches and path[0] == "workload":
        yield _is_switch(path, name, known)
    elif name not in known.end_ids:
        yield _no_such(path, "device", name, known.device_ids)


def _is_switch(path: DataPath, name: str, known: Outline) -> Problem:
    expected = UnknownNameError("device", name, known.device_ids.names, None).expected().removeprefix("expected ")
    return Problem(
        path, f"{name!r} is a switch, which computes nothing", expected, "name a device that is linked with it"
    )


def _selection(path: DataPath, pattern: str, kind: str, ids: Ids) -> Iterator[Problem]:
    """Check that a pattern matches something."""
    if not ids.select(pattern):
        yield _no_match(path, kind, pattern, ids)


def _no_match(path: DataPath, kind: str, pattern: str, ids: Ids) -> Problem:
    if not any(sign in pattern for sign in "*?[{"):
        return _no_such(path, kind, pattern, ids)
    some = ", ".join(ids.names[:6]) + (", ..." if len(ids.names) > 6 else "")
    return Problem(path, f"no {kind} matches {pattern!r}", f"a pattern that matches some of {some}" if some else "")


def _no_such(path: DataPath, kind: str, name: str, ids: Ids) -> Problem:
    return unknown(path, UnknownNameError(kind, name, ids.names, ids.nearest(name)))


def _connected(known: Outline, ends: dict[str, str]) -> Iterator[Problem]:
    """Check that the devices hang together and that a route leads from the source to the sink."""
    if not known.devices:
        return
    start = ends.get("source") or next(iter(known.devices))
    pairs = list(known.pairs.values())
    linked = _reached(start, [*pairs, *((dst, src) for src, dst in pairs)])
    apart = [name for name in known.end_ids if name not in linked]
    if apart:
        names = ", ".join(repr(name) for name in apart[:4]) + (", ..." if len(apart) > 4 else "")
        one = "switch" if apart[0] in known.switches else "device"
        word = one if len(apart) == 1 else "devices"
        message = f"no chain of links joins {word} {names} with {start!r}"
        place = known.devices[apart[0]] if apart[0] in known.devices else known.switches[apart[0]][0]
        remedy = "add links under `topology.links`, or leave the device out"
        if place == ("topology", "geometric"):
            remedy = "lengthen `path_loss`, shrink the area, take another `seed`, or add links under `topology.links`"
        yield Problem(place, message, remedy=remedy)
    elif len(ends) == 2 and ends["sink"] not in _reached(start, pairs):
        message = f"no route leads from the source {start!r} to the sink {ends['sink']!r}"
        yield Problem(("workload", "sink"), message, remedy="add links in that direction, or use `between:`")


def _reached(start: str, pairs: list[tuple[str, str]]) -> set[str]:
    following: dict[str, list[str]] = {}
    for src, dst in pairs:
        following.setdefault(src, []).append(dst)
    reached, queue = {start}, deque([start])
    while queue:
        for name in following.get(queue.popleft(), ()):
            if name not in reached:
                reached.add(name)
                queue.append(name)
    return reached


def plugin_references(plugins: object, seam: str, known: Outline) -> Iterator[Problem]:
    """Check the options that are annotated as names of devices or links."""
    if not isinstance(plugins, dict) or not known.is_complete:
        return
    for label, options in plugins.items():
        name = options.get("type") if isinstance(options, dict) else None
        if not isinstance(name, str):
            continue
        try:
            owner = find_plugin(seam, name)
        except PydanticCustomError:  # reported with the form
            continue
        defaults = {field.name: field.default for field in fields(owner)}
        for field_name, hint in option_hints(owner).items():
            reference = _reference(hint)
            if reference is None:
                continue
            key = plain_name(field_name)
            value = options.get(key, defaults[field_name])
            path = (seam, label, key)
            for place, text in _texts(path, value):
                yield from _check_reference(place, text, reference, known, is_default=key not in options)


def _check_reference(
    path: DataPath, text: str, reference: Reference, known: Outline, *, is_default: bool
) -> Iterator[Problem]:
    kind, ids = reference.kind, known.device_ids if reference.kind == "device" else known.link_ids
    if kind == "target":
        kind, ids = ("link", known.link_ids) if "->" in text else ("device", known.end_ids)
    if reference.is_pattern:
        found = [] if text == "*" else [*_selection(path, text, kind, ids)]
    else:
        found = [] if text in ids else [_no_such(path, kind, text, ids)]
    switches = known.switches.keys() & parts_of(text)[0]
    if found and kind == "device" and switches:
        found = [_is_switch(path, min(switches), known)]
    for problem in found:
        default = f"; {path[-1]!r} is not given, and this is its default" if is_default else ""
        yield Problem(path, problem.message + default, problem.expected, problem.remedy)


def _reference(hint: Any) -> Reference | None:
    """Return the marker anywhere in an annotation such as ``tuple[DeviceGlob, ...]`` or ``DeviceId | None``."""
    if typing.get_origin(hint) is Annotated:
        for mark in hint.__metadata__:
            if isinstance(mark, Reference):
                return mark
    return next((mark for inner in typing.get_args(hint) if (mark := _reference(inner)) is not None), None)


def _texts(path: DataPath, value: object) -> Iterator[tuple[DataPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            if isinstance(item, str):
                yield (*path, position), item
