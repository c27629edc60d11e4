"""Waiting as links and devices of a scenario do: by a virtual clock, so that what the machine wakes up late does not add up."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

_NUMBER = struct.Struct("d")


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

    def serve(
        self, ready_s: float, time_s: float, down: Collection[Sequence[float | None]] = ()
    ) -> tuple[float, float]:
        """Return when it begins and ends with what is there at `ready_s` and takes `time_s`, in s; what it is down for it goes on with later.

        Parameters
        ----------
        ready_s, time_s : as above.
        down : intervals that do not touch, in order; one without an end has None.
        """
        begun_s = after_s(max(ready_s, self.free_s), 0.0, down)
        self.free_s = after_s(begun_s, time_s, down)
        return begun_s, self.free_s


def after_s(since_s: float, time_s: float, down: Collection[Sequence[float | None]]) -> float:
    """Return when something has been up for `time_s` from a moment on, and is up, in s.

    >>> down = [[1.0, 2.0], [5.0, None]]
    >>> after_s(0.5, 0.25, down), after_s(0.5, 1.0, down), after_s(1.5, 0.0, down), after_s(4.0, 2.0, down)
    (0.75, 2.5, 2.0, inf)
    """
    for start_s, end_s in down:
        begins_s = -inf if start_s is None else start_s
        ends_s = inf if end_s is None else end_s
        if ends_s <= since_s:
            continue
        if since_s + time_s < begins_s:
            break
        time_s -= max(0.0, begins_s - since_s)
        since_s = ends_s
    return since_s + time_s


class SharedServer:
    """A server that several processes use, one after another in the order in which they come: a medium, or a link behind a switch.

    Parameters
    ----------
    path : a file of one number of 8 byte for each server: when it is free again.
    place : of this server in the file.
    """

    def __init__(self, path: Path, place: int) -> None:
        self._file = path.open("r+b", buffering=0)
        self._start = _NUMBER.size * place

    def serve(self, ready_s: float, time_s: float) -> tuple[float, float]:
        """Return when it begins and ends with what is there at `ready_s` and takes `time_s`, in s."""
        with self._alone():
            self._file.seek(self._start)
            server = Server(*_NUMBER.unpack(self._file.read(_NUMBER.size)))
            found = server.serve(ready_s, time_s)
            self._keep(server.free_s)
        return found

    @property
    def free_s(self) -> float:
        """When it is free again."""
        self._file.seek(self._start)
        (found,) = _NUMBER.unpack(self._file.read(_NUMBER.size))
        return float(found)

    @free_s.setter
    def free_s(self, moment_s: float) -> None:
        with self._alone():
            self._keep(moment_s)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_EX, _NUMBER.size, self._start)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _NUMBER.size, self._start)

    def _keep(self, moment_s: float) -> None:
        self._file.seek(self._start)
        self._file.write(_NUMBER.pack(moment_s))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @staticmethod
    def make(path: Path, n: int) -> None:
        """Write a file of so many servers that are free."""
        path.write_bytes(_NUMBER.pack(0.0) * n)


def sleep_until(moment_s: float) -> None:
    """Sleep until a moment of `time.monotonic`, which all processes of a machine share; not at all when it is past."""
    left_s = moment_s - time.monotonic()
    if left_s > 0:
        time.sleep(left_s)


_ENDS_WITH = 1
_SLACK = 29
_PRIORITY = 10


def end_with_parent() -> None:
    """Let the kernel end this process with the one that started it, where it can (Linux): one that is stopped notices nothing itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ENDS_WITH, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


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
