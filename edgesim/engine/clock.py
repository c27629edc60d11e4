"""Simulated time: SimPy's event queue, with callbacks instead of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import simpy
from simpy.events import Event, Timeout

Callback = Callable[[Event], None]

_LAST = 9  # SimPy's own priorities are 0 and 1; smaller ones come first among events of one moment


class _Settling(Event):
    """An event of the present moment that comes after all others of it."""

    def __init__(self, clock: Clock, callback: Callback) -> None:
        super().__init__(clock)
        self._ok = True
        self._value = None
        self.callbacks.append(callback)
        clock.schedule(self, priority=_LAST)  # type: ignore[arg-type]


class Clock(simpy.Environment):
    """Calls back at simulated times; never back in time."""

    @property
    def now_s(self) -> float:
        """The present moment, in s from the start of the trial."""
        return self._now

    def after(self, delay_s: float, callback: Callback, value: Any = None) -> None:
        """Call `callback` with an event that carries `value`, `delay_s` from now."""
        Timeout(self, delay_s, value).callbacks.append(callback)

    def settle(self, callback: Callback) -> None:
        """Call `callback` when everything else of the present moment has happened."""
        _Settling(self, callback)
