"""Speeds that change with time, step by step, and how long work takes at them.

Work is counted in the seconds that it takes at speed 1, so that a link at half of its bandwidth has speed 0.5.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import tee
from math import inf
from typing import TYPE_CHECKING

from edgesim.errors import SimulationError

if TYPE_CHECKING:
    from edgesim.engine.program.compiled import Program
    from edgesim.engine.program.ways import Hop

_ROUNDING = 1e-14
"""Work that a change of speed meets so shortly before its end, relative to the time, has ended."""


class Pace:
    """A speed over time: 1 until the first change; changes are asked for only as far as a trial goes.

    Parameters
    ----------
    changes : when the speed changes, in s, in order, and to what, at least 0.

    Examples
    --------
    Half the speed from 2 s on: work of 3 s that begins at 1 s is done by 1 + 1 + 2 / 0.5.

    >>> pace = Pace([(2.0, 0.5)])
    >>> pace.end_s(1.0, 3.0), pace.work_s(1.0, 6.0), pace.next_s(0.0)
    (6.0, 3.0, 2.0)
    """

    __slots__ = ("_changes", "_next", "_speeds", "_times_s")

    def __init__(self, changes: Iterable[tuple[float, float]]) -> None:
        self._changes = iter(changes)
        self._times_s = [0.0]
        self._speeds = [1.0]
        self._next = next(self._changes, (inf, 1.0))

    def _take(self) -> None:
        """Note the next change."""
        time_s, speed = self._next
        if time_s < self._times_s[-1] or not 0.0 <= speed < inf:
            raise SimulationError(f"a speed of {speed!r} at {time_s!r} s, after {self._times_s[-1]!r} s, is none")
        if time_s == self._times_s[-1]:
            self._speeds[-1] = speed
        else:
            self._times_s.append(time_s)
            self._speeds.append(speed)
        self._next = next(self._changes, (inf, 1.0))

    def _at(self, time_s: float) -> int:
        """Return the number of the step at a time."""
        while self._next[0] <= time_s < inf:
            self._take()
        return bisect_right(self._times_s, time_s) - 1

    def speed(self, time_s: float) -> float:
        """Return the speed at a time, and right after it."""
        return self._speeds[self._at(time_s)]

    def next_s(self, time_s: float) -> float:
        """Return the time of the first step behind a time; inf when there is none."""
        index = self._at(time_s) + 1
        return self._times_s[index] if index < len(self._times_s) else self._next[0]

    def end_s(self, start_s: float, work_s: float) -> float:
        """Return when work that begins at `start_s` is done.

        Raises
        ------
        SimulationError
            When it never is, since the speed stays 0.
        """
        if work_s <= 0.0:
            return start_s
        left_s, speed, until_s = work_s, self.speed(start_s), self.next_s(start_s)
        since_s = start_s
        while True:
            end_s = since_s + left_s / speed if speed > 0.0 else inf
            if end_s <= until_s + _ROUNDING * max(1.0, until_s):
                if end_s == inf:
                    raise SimulationError(f"a speed that is 0 from {since_s!r} s on lets nothing end")
                return end_s
            new = self.speed(until_s)
            if new != speed:  # a step that changes nothing must not change the rounding either
                left_s -= speed * (until_s - since_s)
                since_s, speed = until_s, new
            until_s = self.next_s(until_s)

    def work_s(self, start_s: float, end_s: float) -> float:
        """Return the work that is done between two times."""
        return sum(speed * (min(until_s, end_s) - since_s) for since_s, until_s, speed in self._until(start_s, end_s))

    def moving_s(self, start_s: float, end_s: float) -> float:
        """Return for how long between two times the speed is above 0."""
        steps = self._until(start_s, end_s)
        return sum(min(until_s, end_s) - since_s for since_s, until_s, speed in steps if speed > 0.0)

    def _until(self, start_s: float, end_s: float) -> Iterator[tuple[float, float, float]]:
        """Yield steps as long as they begin before a time."""
        since_s = start_s
        while since_s < end_s:
            until_s = min(self.next_s(since_s), end_s)
            yield since_s, until_s, self.speed(since_s)
            since_s = until_s


@dataclass(frozen=True, slots=True)
class Leg:
    """What is left of a message on a `fifo` link whose rate changes: the overhead, which no rate shortens, then its bits.

    Parameters
    ----------
    pace : the speed of the link.
    start_s : when it begins, in s.
    overhead_s, work_s : time of what is left of the overhead, and of the bits at the link's bandwidth, in s.
    """

    pace: Pace
    start_s: float
    overhead_s: float
    work_s: float

    @property
    def end_s(self) -> float:
        """When all of it has left, in s."""
        return self.pace.end_s(self.start_s + self.overhead_s, self.work_s)

    def share(self, moment_s: float) -> float:
        """Return which share of it has left at a moment."""
        whole_s = self.overhead_s + self.work_s
        bits_from_s = self.start_s + self.overhead_s
        done_s = max(0.0, min(moment_s - self.start_s, self.overhead_s)) + self.pace.work_s(bits_from_s, moment_s)
        return min(1.0, done_s / whole_s) if whole_s > 0.0 else 1.0

    def sending_s(self, until_s: float) -> float:
        """Return for how long until a moment it is sent at a rate above 0, in s."""
        bits_from_s = self.start_s + self.overhead_s
        return max(0.0, min(until_s - self.start_s, self.overhead_s)) + self.pace.moving_s(bits_from_s, until_s)


def leg_of(hop: Hop, pace: Pace, start_s: float, parts: tuple[float, float, float]) -> Leg:
    """Return what is left of a message on a link.

    Parameters
    ----------
    hop, pace : the link.
    start_s : when it begins, in s.
    parts : packets sent on the link / packets of the message; which share of that has been sent; how many times as long it takes.
    """
    sent, done, stretch = parts
    whole_s = hop.time_s(sent)
    overhead_s = min(hop.link.message_overhead_s, whole_s)
    gone_s = done * whole_s
    rest_s = max(0.0, overhead_s - gone_s)
    return Leg(pace, start_s, rest_s * stretch, (whole_s - max(overhead_s, gone_s)) * stretch)


def paces_of(program: Program) -> dict[str, Pace]:
    """Return the speed of each link whose rate changes, by its id: the lower of its own rate and its medium's, / bandwidth."""
    media: dict[int, Iterator[tuple[float, float]]] = {}
    paces = {}
    for hop in program.channels.changing:
        shared = program.channels.channel[hop.channel].rate_at
        if shared is not None:
            media[hop.channel], limits = tee(media.get(hop.channel) or shared.changes())
        else:
            limits = iter(())
        own = iter(()) if hop.link.rate_at is None else hop.link.rate_at.changes()
        paces[hop.link.link_id] = Pace(_speeds(own, limits, hop.link.bandwidth_bit_per_s))
    return paces


def _speeds(
    own: Iterator[tuple[float, float]], limits: Iterator[tuple[float, float]], bandwidth: float
) -> Iterator[tuple[float, float]]:
    """Yield when the lower of two rates changes, and its share of the bandwidth."""
    rates = [bandwidth, inf]
    for time_s, number, rate in merge(_tagged(0, own), _tagged(1, limits)):
        rates[number] = rate
        yield time_s, min(rates) / bandwidth


def _tagged(number: int, changes: Iterator[tuple[float, float]]) -> Iterator[tuple[float, int, float]]:
    for time_s, rate in changes:
        yield time_s, number, rate
