"""When devices and links are down: outages known beforehand, and renewals that are drawn as time goes on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from math import inf

from edgesim.domain.records import Outage
from edgesim.errors import SimulationError


class Downtime:
    """When one target is down: half-open intervals that do not touch, in order; more are drawn when they are needed."""

    __slots__ = ("_ends_s", "_known_s", "_sources", "_starts_s")

    def __init__(self, outages: Iterable[Outage], sources: Iterable[Iterator[Outage]]) -> None:
        self._starts_s: list[float] = []
        self._ends_s: list[float] = []
        self._sources = [(source, next(source, None)) for source in sources]
        self._known_s = -inf if self._sources else inf
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
        self._starts_s[first:last] = [start_s]
        self._ends_s[first:last] = [end_s]

    def _draw_until(self, time_s: float) -> None:
        """Draw from every source until its next outage starts after `time_s`."""
        for position, (source, waiting) in enumerate(self._sources):
            outage = waiting
            while outage is not None and outage.start_s <= time_s:
                self._add(outage)
                following = next(source, None)
                if following is not None and following.start_s < outage.start_s:
                    raise SimulationError(f"the outages of {outage.target_id!r} are not in order of time")
                outage = following
            self._sources[position] = (source, outage)
        self._known_s = time_s

    def first_s(self, start_s: float, end_s: float) -> float:
        """Return when the target is first down within [start, end), or at start; inf when it is up all the time."""
        if end_s > self._known_s:
            self._draw_until(end_s)
        index = bisect_right(self._ends_s, start_s)
        if index == len(self._starts_s):
            return inf
        down_s = self._starts_s[index]
        if down_s <= start_s:
            return start_s
        return down_s if down_s < end_s else inf

    def up_s(self, time_s: float) -> float:
        """Return the first moment at or after `time_s` at which the target is up; inf if there is none."""
        while True:
            if time_s > self._known_s:
                self._draw_until(time_s)
            index = bisect_right(self._ends_s, time_s)
            if index == len(self._starts_s) or self._starts_s[index] > time_s:
                return time_s
            time_s = self._ends_s[index]
            if time_s == inf:
                return inf

    def next_s(self, time_s: float) -> float:
        """Return the start of the first outage that starts after `time_s`; inf if there is none."""
        while True:
            index = bisect_right(self._starts_s, time_s)
            if index < len(self._starts_s):
                start_s = self._starts_s[index]
                if start_s > self._known_s:  # an earlier one may still be drawn
                    self._draw_until(start_s)
                    start_s = self._starts_s[bisect_right(self._starts_s, time_s)]
                return start_s
            waiting = [outage.start_s for _, outage in self._sources if outage is not None]
            if not waiting or min(waiting) == inf:
                return inf
            self._draw_until(max(time_s, min(waiting)))

    def total_s(self, start_s: float, end_s: float) -> float:
        """Return how long the target is down within [start, end)."""
        if end_s > self._known_s:
            self._draw_until(end_s)
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
        self._of = {
            target_id: Downtime(fixed.get(target_id, ()), drawn.get(target_id, ()))
            for target_id in (*fixed, *(name for name in drawn if name not in fixed))
        }

    def __bool__(self) -> bool:
        return bool(self._of)

    def get(self, target_id: str) -> Downtime | None:
        """Return the downtime of a target, or None when it is never down."""
        return self._of.get(target_id)

    def first_s(self, target_id: str, start_s: float, end_s: float) -> float:
        """Return when a target is first down within [start, end), or at start; inf when it is up all the time."""
        downtime = self._of.get(target_id)
        return inf if downtime is None else downtime.first_s(start_s, end_s)

    def up_s(self, target_ids: Iterable[str], time_s: float) -> float:
        """Return the first moment at or after `time_s` at which all targets are up; inf if there is none."""
        downtimes = [self._of[target_id] for target_id in target_ids if target_id in self._of]
        while True:
            latest_s = max((downtime.up_s(time_s) for downtime in downtimes), default=time_s)
            if latest_s in {time_s, inf}:
                return latest_s
            time_s = latest_s

    def total_s(self, target_id: str, start_s: float, end_s: float) -> float:
        """Return how long a target is down within [start, end)."""
        downtime = self._of.get(target_id)
        return 0.0 if downtime is None else downtime.total_s(start_s, end_s)
