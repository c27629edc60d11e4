"""Waiting as links and devices of a scenario do: by a virtual clock, so that what the machine wakes up late does not add up."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Server:
    """What serves one thing after another: a link, or a device.

    Parameters
    ----------
    free_s : when it is free again.

    Examples
    --------
    The second begins when the first has ended; the third when it is there.

    >>> link = Server()
    >>> link.serve(1.0, 0.5), link.serve(1.2, 0.5), link.serve(4.0, 0.5)
    ((1.0, 1.5), (1.5, 2.0), (4.0, 4.5))
    """

    free_s: float = field(default=0.0)

    def serve(self, ready_s: float, time_s: float) -> tuple[float, float]:
        """Return when it begins and ends with what is there at `ready_s` and takes `time_s`, in s."""
        begun_s = max(ready_s, self.free_s)
        self.free_s = begun_s + time_s
        return begun_s, self.free_s


def sleep_until(moment_s: float) -> None:
    """Sleep until a moment of `time.monotonic`, which all processes of a machine share; not at all when it is past."""
    left_s = moment_s - time.monotonic()
    if left_s > 0:
        time.sleep(left_s)


_SLACK = 29
_PRIORITY = 10


def be_prompt() -> bool:
    """Let this process wake up when it shall: without the slack of timers, and before all others where that is allowed.

    Returns
    -------
    is_before_others : whether it is of the scheduler's real-time class, which is root's on Linux.
    """
    if not hasattr(os, "sched_setscheduler"):
        return False
    ctypes.CDLL(None).prctl(_SLACK, 1, 0, 0, 0)  # PR_SET_TIMERSLACK: 1 ns in place of 50 us
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except OSError:
        return False
    return True
