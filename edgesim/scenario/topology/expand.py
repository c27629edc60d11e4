"""Short forms of the topology: brace ranges that name many devices, patterns that select them.

Everything here works on plain data and passes over what is not of the expected kind, so that the checks of a scenario can
use it beside other mistakes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from edgesim.domain.system.selection import parts_of, written_out
from edgesim.registry import nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgesim.scenario.text.source import DataPath
    from edgesim.scenario.topology.shapes import ShapeSpec

_ID = re.compile(r"[A-Za-z0-9_.:-]+")
MAX_LINKS = 200_000


def expand_range(text: str) -> tuple[str, ...]:
    """Write out the brace ranges of an id.

    Raises
    ------
    ValueError
        When a range is empty or too long, or an expanded id holds characters that ids may not have.

    Examples
    --------
    >>> expand_range("w{1..3}")
    ('w1', 'w2', 'w3')
    >>> expand_range("row{08..10}")
    ('row08', 'row09', 'row10')
    """
    ids = written_out(text)
    if not _ID.fullmatch(ids[0]):
        raise ValueError(f"{text!r} is no device id; use letters, digits and _ . : -, and ranges such as w{{1..8}}")
    return ids


class Ids:
    """Distinct ids in their order, and which of them a pattern selects: only ids that begin as the pattern does are looked at.

    Examples
    --------
    >>> ids = Ids(["hub", "w1", "w2", "w3"])
    >>> ids.select("w*"), ids.select("w{2..3}"), ids.select("w4")
    (('w1', 'w2', 'w3'), ('w2', 'w3'), ())
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The ids."""
        return tuple(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def select(self, pattern: str) -> tuple[str, ...]:
        """Return the ids that a glob pattern selects, in their order; ranges in it are written out first."""
        plain, globs = parts_of(pattern)
        found = {name for name in plain if name in self._places}
        found.update(name for glob in globs for name in self._like(glob) if fnmatchcase(name, glob))
        return tuple(sorted(found, key=self._places.__getitem__))

    def nearest(self, name: str) -> str | None:
        """Return the most similar id, if one is similar; of many, only those around its place in the alphabet are looked at."""
        place = bisect_left(self._sorted, name)
        return nearest_name(name, tuple(self._sorted[max(0, place - _N_AROUND) : place + _N_AROUND]))

    def _like(self, glob: str) -> Iterator[str]:
        """Yield the ids that begin as a glob pattern does."""
        begin = re.split(r"[*?\[]", glob, maxsplit=1)[0]
        return takewhile(
            lambda name: name.startswith(begin), islice(self._sorted, bisect_left(self._sorted, begin), None)
        )

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._places)


_N_AROUND = 25


def link_pairs(link: Mapping[str, Any], ids: Ids) -> Iterator[tuple[str, str]]:
    """Yield source and destination of every link that one entry of ``links:`` makes, without repetition.

    Raises
    ------
    ValueError
        When there are more than `MAX_LINKS`.
    """
    made: set[tuple[str, str]] = set()
    ends, is_both_ways = link_ends(link)
    if len(ends) != 2:
        return
    sources, destinations = ids.select(ends[0]), ids.select(ends[1])
    if len(sources) * len(destinations) > MAX_LINKS:
        raise ValueError(f"more than {MAX_LINKS} links")
    for src in sources:
        for dst in destinations:
            for pair in ((src, dst), (dst, src)) if is_both_ways else ((src, dst),):
                if src != dst and pair not in made:
                    made.add(pair)
                    yield pair


def link_ends(link: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Return the two end patterns of an entry of ``links:`` and whether it goes both ways; fewer ends when unreadable."""
    between = link.get("between")
    if between is not None and (link.get("from"), link.get("to")) != (None, None):
        return (), False
    if between is not None:
        ends = tuple(end for end in between if isinstance(end, str)) if isinstance(between, (list, tuple)) else ()
        return ends, True
    return tuple(end for end in (link.get("from"), link.get("to")) if isinstance(end, str)), False


def link_id(src_id: str, dst_id: str) -> str:
    """Return the id of the link between two devices."""
    return f"{src_id}->{dst_id}"


@dataclass
class Outline:
    """What a topology names, read from plain data.

    Parameters
    ----------
    devices : path of the entry that makes each device, by device id.
    links : path of the entry that makes each link, by link id.
    pairs : source and destination of each link, by link id.
    media : the shared channels.
    repeated_devices, repeated_links : ids that a later entry makes again, with the path of that entry.
    oversized : entries that would make more than `MAX_LINKS` links.
    is_complete : whether every device id could be read; otherwise nothing can be said about what is missing.
    are_links_complete : whether both ends of every entry of ``links:`` could be read.
    """

    devices: dict[str, DataPath] = field(default_factory=dict)
    links: dict[str, DataPath] = field(default_factory=dict)
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    repeated_devices: list[tuple[str, DataPath]] = field(default_factory=list)
    repeated_links: list[tuple[str, DataPath]] = field(default_factory=list)
    oversized: list[DataPath] = field(default_factory=list)
    is_complete: bool = True
    are_links_complete: bool = True

    @cached_property
    def device_ids(self) -> Ids:
        """The ids of the devices, once all are noted."""
        return Ids(self.devices)

    @cached_property
    def link_ids(self) -> Ids:
        """The ids of the links, once all are noted."""
        return Ids(self.links)

    def add_shape(self, shape: ShapeSpec | None, seed: int, path: DataPath) -> None:
        """Note the devices, links and medium of a shape; None is one whose form is wrong."""
        if shape is None:
            self.is_complete = False
            return
        for name in shape.ids():
            self._add_id(name, path)
        for left, right, _ in shape.pairs(seed):
            self._add_link(left, right, path)
            self._add_link(right, left, path)
        if shape.medium is not None and shape.medium not in self.media:
            self.media = (*self.media, shape.medium)

    def add_device(self, device: object, path: DataPath) -> None:
        """Note the ids that an entry of ``devices:`` makes."""
        text = device.get("id") if isinstance(device, dict) else None
        try:
            ids = expand_range(text) if isinstance(text, str) else ()
        except ValueError:
            ids = ()
        self.is_complete = self.is_complete and bool(ids)
        for name in ids:
            self._add_id(name, path)

    def _add_id(self, name: str, path: DataPath) -> None:
        if name in self.devices:
            self.repeated_devices.append((name, path))
        self.devices.setdefault(name, path)

    def add_link(self, link: object, path: DataPath) -> None:
        """Note the links that an entry of ``links:`` makes."""
        if not isinstance(link, dict) or len(link_ends(link)[0]) != 2:
            self.are_links_complete = False
            return
        try:
            pairs = tuple(link_pairs(link, self.device_ids))
        except ValueError:
            self.oversized.append(path)
            return
        for src, dst in pairs:
            self._add_link(src, dst, path)

    def _add_link(self, src: str, dst: str, path: DataPath) -> None:
        name = link_id(src, dst)
        if name in self.links:
            self.repeated_links.append((name, path))
        else:
            self.links[name] = path
            self.pairs[name] = (src, dst)


def outline(topology: object, seed: object = 1) -> Outline:
    """Read the outline of a ``topology:`` from plain data; the seed places the devices of a random geometric shape."""
    from edgesim.scenario.topology.shapes import SHAPES, read_shape

    if not isinstance(topology, dict):
        return Outline(is_complete=False)
    media, devices, links = (topology.get(key) for key in ("media", "devices", "links"))
    shapes = [name for name in SHAPES if topology.get(name) is not None]
    if not isinstance(devices, list) and (devices is not None or not shapes):
        return Outline(is_complete=False)
    entries = [one.get("id") if isinstance(one, dict) else one for one in media] if isinstance(media, list) else []
    is_read = topology.get("file") is None  # a graph file that could be read stands for nothing any more
    result = Outline(media=tuple(name for name in entries if isinstance(name, str)), is_complete=is_read)
    for name in shapes:
        result.add_shape(read_shape(name, topology[name]), seed if isinstance(seed, int) else 1, ("topology", name))
    for index, device in enumerate(devices if isinstance(devices, list) else ()):
        result.add_device(device, ("topology", "devices", index, "id"))
    for index, link in enumerate(links if isinstance(links, list) else ()):
        result.add_link(link, ("topology", "links", index))
    return result
