"""Simulated time: SimPy's event queue, with callbacks instead of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import simpy

from edgesim.errors import SimulationError

_NORMAL, _LAST = 1, 9  # among events of one moment smaller priorities come first; SimPy's own are 0 and 1


class Call:
    """An event that calls one function back: all that SimPy's queue asks of an event, in a third of the memory.

    Parameters
    ----------
    callback : called with the event.
    value : what the event carries.
    """

    __slots__ = ("callbacks", "value")

    _ok: ClassVar[bool] = True  # it cannot fail

    def __init__(self, callback: Callback, value: Any) -> None:
        self.callbacks = (callback,)
        self.value = value


Callback = Callable[[Call], None]


class Clock(simpy.Environment):
    """Calls back at simulated times; never back in time."""

    @property
    def now_s(self) -> float:
        """The present moment, in s from the start of the trial."""
        return self._now

    def after(self, delay_s: float, callback: Callback, value: Any = None) -> None:
        """Call `callback` with an event that carries `value`, `delay_s` from now.

        Raises
        ------
        SimulationError
            When the delay is negative or not a number.
        """
        if not delay_s >= 0.0:
            raise SimulationError(f"at {self._now!r} s something is to happen after {delay_s!r} s")
        self.schedule(Call(callback, value), _NORMAL, delay_s)  # type: ignore[arg-type]

    def settle(self, callback: Callback) -> None:
        """Call `callback` when everything else of the present moment has happened."""
        self.schedule(Call(callback, None), _LAST)  # type: ignore[arg-type]
