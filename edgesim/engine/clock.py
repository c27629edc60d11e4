"""Simulated time: SimPy's event queue, with callbacks instead of processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, ClassVar, TypeVar

import simpy

from edgesim.errors import SimulationError

_NORMAL, _LAST = 1, 9  # among events of one moment smaller priorities come first; SimPy's own are 0 and 1


class Event:
    """All that SimPy's queue asks of an event, which calls one function back with itself.

    What waits for one thing at a time (a computation, a message) is an event itself, so that nothing else is made for it.
    """

    __slots__ = ("callbacks",)

    _ok: ClassVar[bool] = True  # it cannot fail
    callbacks: tuple[Callable[[Any], None], ...]


class Call(Event):
    """An event that carries a value."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        self.value = value


_EventT = TypeVar("_EventT", bound=Event)


class Clock(simpy.Environment):
    """Calls back at simulated times; never back in time."""

    def __init__(self) -> None:
        super().__init__()
        self._is_over = False

    now_s: property = property(attrgetter("_now"), doc="The present moment, in s from the start of the trial.")

    def after(self, delay_s: float, callback: Callable[[_EventT], None], event: _EventT) -> None:
        """Call `callback` with an event, which waits for nothing else, `delay_s` from now.

        Raises
        ------
        SimulationError
            When the delay is negative or not a number.
        """
        if not delay_s >= 0.0:
            raise SimulationError(f"at {self._now!r} s something is to happen after {delay_s!r} s")
        event.callbacks = (callback,)
        heappush(self._queue, (self._now + delay_s, _NORMAL, next(self._eid), event))  # type: ignore[misc]

    def settle(self, callback: Callable[[Call], None]) -> None:
        """Call `callback` when everything else of the present moment has happened."""
        event = Call()
        event.callbacks = (callback,)
        heappush(self._queue, (self._now, _LAST, next(self._eid), event))  # type: ignore[misc]

    def happen(self, until_s: float, watch: Callable[[float], None] | None) -> int:
        """Let events happen in order of time, until `stop` or `until_s`, and return their number.

        This is SimPy's `step` in a loop, without what only processes and failing events need.

        Parameters
        ----------
        until_s : the last moment, in s; what is to happen at infinity never does.
        watch : is told each moment before it comes, or None.
        """
        queue = self._queue
        last_s = min(until_s, sys.float_info.max)
        n_events = 0
        while queue and queue[0][0] <= last_s and not self._is_over:
            moment_s, _, _, event = heappop(queue)
            if watch is not None:
                watch(moment_s)
            self._now = moment_s
            event.callbacks[0](event)
            n_events += 1
        return n_events

    def stop(self) -> None:
        """Let nothing more happen."""
        self._is_over = True

    def skip_to(self, moment_s: float) -> None:
        """Let time pass in which nothing happens."""
        self._now = max(self._now, moment_s)
