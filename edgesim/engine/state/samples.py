"""How much waits at every resource over time, at a bounded number of moments however long a trial is."""

from __future__ import annotations

from array import array
from math import ceil, inf, isfinite
from typing import TYPE_CHECKING

from edgesim.domain.records import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

N_MOST = 256
"""Spans between moments; when a trial goes beyond, they become twice as long."""
FIRST_S = 2.0**-40
"""Length of a span at first, a picosecond; a power of two, so that moments are exact however often it is doubled."""


class _Counts:
    """What came, was served and went between moments, and for how long anything was served, by span."""

    __slots__ = ("came", "served", "served_s", "went")

    def __init__(self) -> None:
        self.came, self.served, self.went = (array("q", [0]) * (N_MOST + 1) for _ in range(3))
        self.served_s = array("d", [0.0]) * (N_MOST + 1)

    def halve(self) -> None:
        """Put every two spans together; what is at the first moment stays there."""
        for name in ("came", "served", "went", "served_s"):
            old = getattr(self, name)
            new = type(old)(old.typecode, [old[0]])
            new.extend(old[place] + old[place + 1] for place in range(1, N_MOST, 2))
            new.extend(type(old)(old.typecode, [0]) * (N_MOST // 2))
            setattr(self, name, new)


class Samples:
    """Samples how many computations or messages are at each resource.

    Moment k is `from_s` + k x span, so with spans numbered from 1 what happened until moment k is the sum of the first k. Where a trial is longer than
    `N_MOST` spans, each two become one, which leaves every second moment exact. Memory does not grow with the trial.

    Parameters
    ----------
    window_s : when sampling begins, and after which nothing counts, in s.

    Examples
    --------
    Two computations come at 0 and 1 s to a device that takes 4 s for each: one waits from 1 to 4 s, all is over at 8 s.

    >>> samples = Samples((0.0, inf))
    >>> samples.add("d", 0.0, 0.0, 4.0)
    >>> samples.add("d", 1.0, 4.0, 8.0)
    >>> found = {one.time_s: one for one in samples.at(8.0, {"d": 1})}
    >>> len(found), found[3.0].n_waiting, found[3.0].n_present, found[4.0].n_waiting, found[8.0].n_present, found[8.0].utilisation
    (257, 1, 2, 0, 0, 1.0)
    """

    __slots__ = ("_counts", "_from_s", "_span_s", "_until_s")

    def __init__(self, window_s: tuple[float, float]) -> None:
        self._from_s, self._until_s = window_s
        self._span_s = FIRST_S
        self._counts: dict[str, _Counts] = {}

    def add(self, resource_id: str, came_s: float, served_s: float, went_s: float) -> None:
        """Add one computation or message that came to a resource, was served from a moment on, and went."""
        last_s = max((one for one in (came_s, served_s, went_s) if isfinite(one) and one <= self._until_s), default=0.0)
        while last_s - self._from_s > N_MOST * self._span_s:
            self._span_s *= 2
            for counts in self._counts.values():
                counts.halve()
        own = self._counts.get(resource_id)
        if own is None:
            own = self._counts[resource_id] = _Counts()
        for happened, moment_s in ((own.came, came_s), (own.served, served_s), (own.went, went_s)):
            if moment_s <= self._until_s and isfinite(moment_s):
                happened[max(0, ceil((moment_s - self._from_s) / self._span_s))] += 1
        self._add_served(own, served_s, min(went_s, self._until_s))

    def _add_served(self, own: _Counts, start_s: float, end_s: float) -> None:
        """Divide the time for which something was served among spans."""
        start, end = (max(0.0, (moment_s - self._from_s) / self._span_s) for moment_s in (start_s, end_s))
        if not (isfinite(start) and isfinite(end)):
            return
        place = int(start)
        while start < end and place < N_MOST:
            until = min(end, place + 1)
            own.served_s[place + 1] += (until - start) * self._span_s
            start, place = until, place + 1

    def at(self, to_s: float, n_servers: dict[str, int]) -> Iterator[Sample]:
        """Yield for every resource that anything came to how much was there at each moment until the end of a trial, in order of `n_servers`."""
        while to_s < inf and to_s - self._from_s > N_MOST * self._span_s:
            self._span_s *= 2
            for counts in self._counts.values():
                counts.halve()
        n_moments = min(N_MOST, int((to_s - self._from_s) / self._span_s)) + 1
        for resource_id, n in n_servers.items():
            own = self._counts.get(resource_id)
            if own is None:
                continue
            came = served = went = 0
            for place in range(n_moments):
                came, served, went = came + own.came[place], served + own.served[place], went + own.went[place]
                used = own.served_s[place] / (self._span_s * n)
                yield Sample(resource_id, self._from_s + place * self._span_s, came - served, came - went, used)
