"""Simulated time: SimPy's event queue, with callbacks instead of processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from heapq import heappop, heappush
from operator import length_hint
from typing import Any, ClassVar, TypeVar

import simpy

from edgesim.errors import SimulationError

_NORMAL, _LAST = 1, 9  # among events of one moment smaller priorities come first; SimPy's own are 0 and 1

_T = TypeVar("_T")
Call = tuple[Callable[[Any], None], Any]
"""A callback, and what it is called with."""


class Moment:
    """All that happens at one moment, in the order in which it was planned: one event of SimPy's queue.

    Equal devices do things at equal times, so that the queue is much shorter than what is to happen.

    Parameters
    ----------
    callbacks : what SimPy calls with the event.
    callback, value : what happens first; most often nothing else does.
    """

    __slots__ = ("callback", "callbacks", "calls", "value")

    _ok: ClassVar[bool] = True  # it cannot fail

    def __init__(
        self, callbacks: tuple[Callable[[Moment], None], ...], callback: Callable[[Any], None], value: Any
    ) -> None:
        self.callbacks = callbacks
        self.callback, self.value = callback, value
        self.calls: list[Call] | None = None  # what happens next

    def also(self, callback: Callable[[Any], None], value: Any) -> None:
        """Let something more happen then."""
        if self.calls is None:
            self.calls = [(callback, value)]
        else:
            self.calls.append((callback, value))


class Clock(simpy.Environment):
    """Calls back at simulated times; never back in time.

    Attributes
    ----------
    now_s : the present moment, in s from the start of the trial.
    n_events : what has happened, counted when its moment is over.
    """

    def __init__(self) -> None:
        super().__init__()
        self._callbacks = (self._perform,)
        self.begin()

    def begin(self) -> None:
        """Go back to the beginning; nothing is to happen."""
        self._queue.clear()
        self._moments: dict[float, Moment] = {}
        self._is_over = False
        self._now = self.now_s = 0.0
        self.n_events = 0

    def after(self, delay_s: float, callback: Callable[[_T], None], value: _T) -> None:
        """Call `callback` with a value, `delay_s` from now.

        Raises
        ------
        SimulationError
            When the delay is negative or not a number.
        """
        if not delay_s >= 0.0:
            raise SimulationError(f"at {self.now_s!r} s something is to happen after {delay_s!r} s")
        moment_s = self._now + delay_s
        moment = self._moments.get(moment_s)  # as `at`, written out, since every event comes by here
        if moment is None:
            moment = self._moments[moment_s] = Moment(self._callbacks, callback, value)
            heappush(self._queue, (moment_s, _NORMAL, next(self._eid), moment))  # type: ignore[misc]
            return
        calls = moment.calls
        if calls is None:
            moment.calls = [(callback, value)]
        else:
            calls.append((callback, value))

    def at(self, moment_s: float, callback: Callable[[_T], None], value: _T) -> None:
        """Call `callback` with a value at a moment, to the last digit: now plus the time until then may be another number.

        Raises
        ------
        SimulationError
            When the moment is past or not a number.
        """
        if not moment_s >= self._now:
            raise SimulationError(f"at {self.now_s!r} s something is to happen at {moment_s!r} s")
        moment = self._moments.get(moment_s)
        if moment is None:
            moment = self._moments[moment_s] = Moment(self._callbacks, callback, value)
            heappush(self._queue, (moment_s, _NORMAL, next(self._eid), moment))  # type: ignore[misc]
        else:
            moment.also(callback, value)

    def settle(self, callback: Callable[[None], None]) -> None:
        """Call `callback` with nothing when everything else of the present moment has happened."""
        moment = Moment(self._callbacks, callback, None)
        heappush(self._queue, (self._now, _LAST, next(self._eid), moment))  # type: ignore[misc]

    def _perform(self, moment: Moment) -> None:
        """Let everything of a moment happen, also what is planned for it meanwhile."""
        self.now_s = now_s = self._now
        self.n_events += 1
        moment.callback(moment.value)
        if moment.calls is not None and not self._is_over:
            self._perform_more(moment.calls)
        if self._moments.get(now_s) is moment:
            del self._moments[now_s]

    def _perform_more(self, calls: list[Call]) -> None:
        rest = iter(calls)
        for callback, value in rest:
            callback(value)
            if self._is_over:
                break
        self.n_events += len(calls) - length_hint(rest)

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

    def skip_to(self, moment_s: float) -> None:
        """Let time pass in which nothing happens."""
        self._now = self.now_s = max(self.now_s, moment_s)
