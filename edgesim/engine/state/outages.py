"""When devices and links are down: outages known beforehand, and renewals that are drawn as time goes on; and which way messages take then."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from edgesim.domain.records import Outage
from edgesim.errors import PlanError, SimulationError

if TYPE_CHECKING:
    from edgesim.domain.plan import Transfer
    from edgesim.engine.program.channels import Crossings
    from edgesim.engine.program.ways import Way

_MOST_DRAWN = 1_000_000
"""Most outages of renewals in one trial; a trial with more is refused, since it would take hours, or never end."""


class Downtime:
    """When one target is down: half-open intervals that do not touch, in order; the next one is drawn when it is needed.

    Parameters
    ----------
    outages : known beforehand.
    sources : outages that come again and again, each in order of time.
    numbers : has a number for each outage that may still be drawn, for all targets together.

    Examples
    --------
    Down from 1 to 2 s and, where two outages touch, from 4 to 6 s.

    >>> outages = [Outage("w1", 4.0, 5.0), Outage("w1", 1.0, 2.0), Outage("w1", 5.0, 6.0)]
    >>> down = Downtime(outages, (), iter(()))
    >>> down.first_s(0.0, 9.0), down.up_s(4.5), down.next_s(1.0), down.total_s(0.0, 5.0)
    (1.0, 6.0, 4.0, 2.0)
    """

    __slots__ = ("_ends_s", "_next_s", "_numbers", "_sources", "_starts_s", "_waiting")

    def __init__(self, outages: Iterable[Outage], sources: Iterable[Iterator[Outage]], numbers: Iterator[int]) -> None:
        self._starts_s, self._ends_s = array("d"), array("d")
        self._numbers = numbers
        drawn = [(source, outage) for source in sources if (outage := next(source, None)) is not None]
        self._sources = [source for source, _ in drawn]
        self._waiting = [outage for _, outage in drawn]  # the next one of each source
        self._next_s = min((outage.start_s for outage in self._waiting), default=inf)  # what starts before is known
        for outage in sorted(outages, key=lambda outage: (outage.start_s, outage.end_s)):
            self._add(outage)

    def _add(self, outage: Outage) -> None:
        """Add an outage, merged with those that it touches."""
        start_s, end_s = outage.start_s, outage.end_s
        if end_s <= start_s:
            return
        first = bisect_left(self._ends_s, start_s)
        last = bisect_right(self._starts_s, end_s)
        if first < last:
            start_s = min(start_s, self._starts_s[first])
            end_s = max(end_s, self._ends_s[last - 1])
        self._starts_s[first:last] = array("d", (start_s,))
        self._ends_s[first:last] = array("d", (end_s,))

    def _draw(self) -> None:
        """Draw the outage that starts next.

        Raises
        ------
        PlanError
            When too many were drawn.
        SimulationError
            When a source is not in order of time.
        """
        position = min(range(len(self._waiting)), key=lambda index: self._waiting[index].start_s)
        outage = self._waiting[position]
        if next(self._numbers, None) is None:
            raise PlanError(
                f"{outage.target_id!r} and others went down {_MOST_DRAWN:,} times in one trial, the last time at {outage.start_s:g} s: "
                "something takes far longer than what is between two failures; correct rate, size, mtbf or mttr, or give the load a "
                "horizon"
            )
        self._add(outage)
        following = next(self._sources[position], None)
        if following is None:
            del self._sources[position], self._waiting[position]
        elif following.start_s < outage.start_s:
            raise SimulationError(f"the outages of {outage.target_id!r} are not in order of time")
        else:
            self._waiting[position] = following
        self._next_s = min((waiting.start_s for waiting in self._waiting), default=inf)

    def first_s(self, start_s: float, end_s: float) -> float:
        """Return when the target is first down within [start, end), or at start; inf when it is up all the time."""
        while True:
            index = bisect_right(self._ends_s, start_s)
            down_s = self._starts_s[index] if index < len(self._starts_s) else inf
            if self._next_s > end_s or down_s <= self._next_s:
                break
            self._draw()
        if down_s <= start_s:
            return start_s
        return down_s if down_s < end_s else inf

    def up_s(self, time_s: float) -> float:
        """Return the first moment at or after `time_s` at which the target is up; inf if there is none."""
        while time_s < inf:
            while self._next_s <= time_s:
                self._draw()
            index = bisect_right(self._ends_s, time_s)
            if index == len(self._starts_s) or self._starts_s[index] > time_s:
                break
            time_s = self._ends_s[index]
        return time_s

    def next_s(self, time_s: float) -> float:
        """Return the start of the first outage that starts after `time_s`; inf if there is none."""
        while True:
            index = bisect_right(self._starts_s, time_s)
            start_s = self._starts_s[index] if index < len(self._starts_s) else inf
            if start_s <= self._next_s:
                return start_s
            self._draw()

    def total_s(self, start_s: float, end_s: float) -> float:
        """Return how long the target is down within [start, end)."""
        while self._next_s < end_s:
            self._draw()
        first = bisect_right(self._ends_s, start_s)
        last = bisect_left(self._starts_s, end_s)
        return sum(
            min(until_s, end_s) - max(from_s, start_s)
            for from_s, until_s in zip(self._starts_s[first:last], self._ends_s[first:last], strict=True)
        )


class Downtimes:
    """When each target is down; false when nothing ever is."""

    __slots__ = ("_of",)

    def __init__(self, outages: Iterable[Outage], renewals: Iterable[Mapping[str, Iterator[Outage]]]) -> None:
        fixed: dict[str, list[Outage]] = {}
        for outage in outages:
            fixed.setdefault(outage.target_id, []).append(outage)
        drawn: dict[str, list[Iterator[Outage]]] = {}
        for sources in renewals:
            for target_id, source in sources.items():
                drawn.setdefault(target_id, []).append(source)
        numbers = iter(range(_MOST_DRAWN))
        self._of = {
            target_id: Downtime(fixed.get(target_id, ()), drawn.get(target_id, ()), numbers)
            for target_id in (*fixed, *(name for name in drawn if name not in fixed))
        }

    def __bool__(self) -> bool:
        return bool(self._of)

    def get(self, target_id: str) -> Downtime | None:
        """Return the downtime of a target, or None when it is never down."""
        return self._of.get(target_id)

    def among(self, target_ids: Sequence[str]) -> dict[int, Downtime]:
        """Return the downtimes of some targets, by position, without those that are never down."""
        return {position: self._of[name] for position, name in enumerate(target_ids) if name in self._of}

    def first_s(self, target_id: str, start_s: float, end_s: float) -> float:
        """Return when a target is first down within [start, end), or at start; inf when it is up all the time."""
        downtime = self._of.get(target_id)
        return inf if downtime is None else downtime.first_s(start_s, end_s)

    def are_up(self, target_ids: Iterable[str], start_s: float, end_s: float) -> bool:
        """Return whether some targets are up all the time within [start, end), and at start."""
        for downtime in map(self._of.get, target_ids):
            if downtime is not None and downtime.first_s(start_s, end_s) < inf:
                return False
        return True

    def up_s(self, target_ids: Iterable[str], time_s: float) -> float:
        """Return the first moment at or after `time_s` at which all targets are up; inf if there is none.

        Examples
        --------
        One is down from 1 to 2 s, the other from 2 to 3 s.

        >>> downtimes = Downtimes([Outage("a", 1.0, 2.0), Outage("b", 2.0, 3.0)], ())
        >>> downtimes.up_s(["a", "b"], 1.5)
        3.0
        """
        downtimes = [self._of[target_id] for target_id in target_ids if target_id in self._of]
        while True:
            latest_s = max((downtime.up_s(time_s) for downtime in downtimes), default=time_s)
            if latest_s in {time_s, inf}:
                return latest_s
            time_s = latest_s

    def down_at(self, time_s: float) -> frozenset[str]:
        """Return the targets that are down at a moment."""
        return frozenset(name for name, downtime in self._of.items() if downtime.up_s(time_s) > time_s)

    def total_s(self, target_id: str, start_s: float, end_s: float) -> float:
        """Return how long a target is down within [start, end)."""
        downtime = self._of.get(target_id)
        return 0.0 if downtime is None else downtime.total_s(start_s, end_s)


NEVER = Downtimes((), ())
"""Nothing is ever down."""


def downtimes_of(outages: Sequence[Outage], renewals: Sequence[Mapping[str, Iterator[Outage]]]) -> Downtimes:
    """Return when each target is down."""
    return Downtimes(outages, renewals) if outages or renewals else NEVER


class Detours:
    """Finds which way a message takes at a moment.

    Parameters
    ----------
    crossings : how messages get across.
    downtimes : when devices, switches and links are down.
    """

    __slots__ = ("_between", "_crossings", "_downtimes")

    def __init__(self, crossings: Crossings, downtimes: Downtimes) -> None:
        self._crossings, self._downtimes = crossings, downtimes
        self._between: dict[
            int, tuple[str, ...]
        ] = {}  # by step: the links of its own way, and what they join but its ends

    def way(self, index: int, transfer: Transfer, own: Way, now_s: float) -> Way:
        """Return the way of a message: its own, or another where that has something that is down."""
        if index not in self._between:
            links = [hop.link for stage in own.stages for hop in stage.hops]
            self._between[index] = (*(link.link_id for link in links), *(link.src_id for link in links[1:]))
        if self._downtimes.up_s(self._between[index], now_s) == now_s:
            return own
        return self._crossings.around(transfer, self._downtimes.down_at(now_s)) or own
