"""Simulated time: SimPy's event queue, with callbacks instead of processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, ClassVar, TypeVar

import simpy

from edgesim.errors import SimulationError

_NORMAL, _LAST = 1, 9  # among events of one moment smaller priorities come first; SimPy's own are 0 and 1

_T = TypeVar("_T")
Call = tuple[Callable[[Any], None], Any]
"""A callback, and what it is called with."""


class Moment(list[Call]):
    """All that happens at one moment, in the order in which it was planned: one event of SimPy's queue.

    Equal devices do things at equal times, so that the queue is much shorter than what is to happen.

    Attributes
    ----------
    callbacks : what SimPy calls with the event.
    """

    __slots__ = ("callbacks",)

    callbacks: tuple[Callable[[Moment], None], ...]
    _ok: ClassVar[bool] = True  # it cannot fail


class Clock(simpy.Environment):
    """Calls back at simulated times; never back in time.

    Attributes
    ----------
    now_s : the present moment, in s from the start of the trial.
    moments : what is to happen, by moment in s.
    n_events : what has happened, counted when its moment is over.
    """

    def __init__(self) -> None:
        super().__init__()
        self._callbacks = (self._perform,)
        self.moments: dict[float, Moment] = {}
        self.begin()

    def begin(self) -> None:
        """Go back to the beginning; nothing is to happen."""
        self._queue.clear()
        self.moments.clear()
        self._is_over = False
        self._rest: Iterator[Call] = iter(())  # of the present moment
        self._now = self.now_s = 0.0
        self.n_events = 0

    def after(self, delay_s: float, callback: Callable[[_T], None], value: _T) -> None:
        """Call `callback` with a value, `delay_s` from now.

        Raises
        ------
        SimulationError
            When the delay is negative or not a number.
        """
        moment_s = self._now + delay_s
        moment = self.moments.get(moment_s)
        if moment is None:
            moment = self.new_moment(moment_s)
        moment.append((callback, value))

    def at(self, moment_s: float, callback: Callable[[_T], None], value: _T) -> None:
        """Call `callback` with a value at a moment, to the last digit: now plus the time until then may be another number.

        Raises
        ------
        SimulationError
            When the moment is past or not a number.
        """
        moment = self.moments.get(moment_s)
        if moment is None:
            moment = self.new_moment(moment_s)
        moment.append((callback, value))

    def new_moment(self, moment_s: float) -> Moment:
        """Return a moment that is not among `moments`.

        Raises
        ------
        SimulationError
            When it is past or not a number.
        """
        if not moment_s >= self._now:
            raise SimulationError(f"at {self._now!r} s something is to happen after {moment_s - self._now!r} s")
        moment = self.moments[moment_s] = Moment()
        moment.callbacks = self._callbacks
        heappush(self._queue, (moment_s, _NORMAL, next(self._eid), moment))  # type: ignore[misc]
        return moment

    def settle(self, callback: Callable[[None], None]) -> None:
        """Call `callback` with nothing when everything else of the present moment has happened."""
        moment = Moment(((callback, None),))
        moment.callbacks = self._callbacks
        heappush(self._queue, (self._now, _LAST, next(self._eid), moment))  # type: ignore[misc]

    def _perform(self, moment: Moment) -> None:
        """Let everything of a moment happen, also what is planned for it meanwhile."""
        self.now_s = now_s = self._now
        self._rest = iter(moment)
        for callback, value in self._rest:
            callback(value)
        self.n_events += len(moment)
        if self.moments.get(now_s) is moment:
            del self.moments[now_s]

    def happen(self, until_s: float, watch: Callable[[float], None] | None) -> None:
        """Let events happen in order of time, until `stop` or `until_s`.

        This is SimPy's `step` in a loop, without what only processes and failing events need.

        Parameters
        ----------
        until_s : the last moment, in s; what is to happen at infinity never does.
        watch : is told each moment before it comes, or None.
        """
        queue, perform = self._queue, self._perform
        last_s = min(until_s, sys.float_info.max)
        while queue and queue[0][0] <= last_s and not self._is_over:
            moment_s, _, _, moment = heappop(queue)
            if watch is not None:
                watch(moment_s)
            self._now = moment_s
            perform(moment)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Let nothing more happen."""
        self._is_over = True
        self.moments.pop(self._now, None)  # what is planned for it from now on is not of the present moment
        self.n_events -= sum(1 for _ in self._rest)  # what was planned before, and does not happen either

    def skip_to(self, moment_s: float) -> None:
        """Let time pass in which nothing happens."""
        self._now = self.now_s = max(self.now_s, moment_s)
