"""Short forms of the topology: brace ranges that name many devices, patterns that select them.

Everything here works on plain data and passes over what is not of the expected kind, so that the checks of a scenario can
use it beside other mistakes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from edgesim.domain.system.selection import parts_of, written_out
from edgesim.errors import nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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

    `hidden` are further ids, which only their names and ranges select, and signs such as ``*`` do not.

    Examples
    --------
    >>> ids = Ids(["hub", "w1", "w2", "w3"])
    >>> ids.select("w*"), ids.select("w{2..3}"), ids.select("w4")
    (('w1', 'w2', 'w3'), ('w2', 'w3'), ())
    >>> Ids(["hub"], ["switch"]).select("*"), Ids(["hub"], ["switch"]).select("switch")
    (('hub',), ('switch',))
    """

    def __init__(self, names: Iterable[str], hidden: Iterable[str] = ()) -> None:
        self._hidden = frozenset(hidden := tuple(hidden))
        self._places = {name: place for place, name in enumerate((*names, *hidden))}

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
            lambda name: name.startswith(begin), islice(self._shown, bisect_left(self._shown, begin), None)
        )

    @cached_property
    def _shown(self) -> list[str]:
        return [name for name in self._sorted if name not in self._hidden] if self._hidden else self._sorted

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
