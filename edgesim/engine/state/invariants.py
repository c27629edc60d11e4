"""What must hold in every trial, checked while it runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import isclose

from edgesim.errors import SimulationError

_ROUNDING = 1e-9


class Checker:
    """Watches a trial; raises `SimulationError` as soon as something is wrong, which is always a mistake of the program.

    Time never goes back. A server of a `fifo` resource serves one thing at a time, so it is never busy for longer than time
    passes, nor for more than all of the watched time; a fair channel gives away at most all its time. Packets sent on a link = received + lost. Every request has one
    outcome. No step of a request is done twice, and no task of a pool is given to a device twice or when it is done. Little's law: the integral of the number of requests in the system = the sum of their times in it. Energy is at most
    the largest power of the devices x time. Only the requests in the system are remembered, so the memory does not grow with
    those that have ended.
    """

    __slots__ = ("_area_s", "_changed_s", "_done", "_n_ended", "_now_s", "_present", "_sojourn_s", "n_checks")

    def __init__(self) -> None:
        self.n_checks = 0
        self.begin()

    def begin(self) -> None:
        """Watch another trial."""
        self._now_s = 0.0
        self._area_s = self._sojourn_s = self._changed_s = 0.0
        self._n_ended = 0
        self._present: set[int] = set()
        self._done: dict[int, set[int]] = {}  # by request of which something is under way, the steps that are done

    def _require(self, condition: object, text: str) -> None:
        self.n_checks += 1
        if not condition:
            raise SimulationError(f"invariant broken at {self._now_s!r} s: {text}; please report this")

    def moment(self, now_s: float) -> None:
        """Check that time does not go back."""
        self._require(now_s >= self._now_s, f"time goes back to {now_s!r} s")
        self._now_s = now_s

    def served(self, resource_id: str, free_s: float, start_s: float, end_s: float) -> None:
        """Check one service of a `fifo` server that was free at `free_s`."""
        self._require(
            start_s >= free_s and start_s >= self._now_s and end_s >= start_s,
            f"{resource_id!r}, free at {free_s!r} s, serves from {start_s!r} to {end_s!r} s",
        )

    def loaded(self, load: Mapping[int, float]) -> None:
        """Check the loads of fair channels, as shares of their time."""
        for channel, value in load.items():
            self._require(value <= 1 + _ROUNDING, f"channel {channel} has a load of {value!r}")

    def used(self, resource_id: str, utilisation: float) -> None:
        """Check how busy a resource was, as a share of the watched time."""
        self._require(
            -_ROUNDING <= utilisation <= 1 + _ROUNDING, f"{resource_id!r} was busy for {utilisation!r} of the time"
        )

    def crossed(self, link_id: str, n_sent: int, n_received: int, n_lost: int) -> None:
        """Check the packets of one message on one link."""
        self._require(
            n_sent == n_received + n_lost and min(n_sent, n_received, n_lost) >= 0,
            f"on {link_id!r} {n_sent} packets were sent, {n_received} received, {n_lost} lost",
        )

    def delivered(self, step_id: str, size_byte: int, received_byte: float) -> None:
        """Check the bytes of a message that is said to be whole."""
        self._require(
            isclose(size_byte, received_byte, rel_tol=_ROUNDING, abs_tol=_ROUNDING),
            f"{step_id!r} has {size_byte} byte, of which {received_byte} arrived",
        )

    def entered(self, number: int) -> None:
        """A request comes in."""
        self._count()
        self._present.add(number)

    def left(self, number: int, sojourn_s: float) -> None:
        """A request goes."""
        self._require(number in self._present, f"request {number} ends, but is not in the system")
        self._count()
        self._present.discard(number)
        self._n_ended += 1
        self._sojourn_s += sojourn_s

    def done(self, number: int, step: int) -> None:
        """A step of a request is done: a computation has ended, or a message was delivered in time."""
        steps = self._done.setdefault(number, set())
        self._require(step not in steps, f"step {step} of request {number} is done twice")
        steps.add(step)

    def gives(self, task: int, worker: int, *, is_new: bool, is_open: bool, is_free: bool) -> None:
        """A pool gives a task to a worker: never twice the same, none that is done, and one at a time to workers that ask."""
        self._require(
            is_new and is_open, f"task {task} of a pool is given to worker {worker} twice, or when it is done"
        )
        self._require(is_free, f"task {task} of a pool is given to worker {worker}, which has another")

    def forgotten(self, number: int) -> None:
        """Nothing of a request is under way any more."""
        self._done.pop(number, None)

    def _count(self) -> None:
        self._area_s += len(self._present) * (self._now_s - self._changed_s)
        self._changed_s = self._now_s

    def spent(self, energy_j: float, limit_j: float) -> None:
        """Check the energy of the whole trial against the largest power of all devices x the time of the trial."""
        self._require(
            energy_j <= limit_j * (1 + _ROUNDING) + sys.float_info.min,
            f"the devices take {energy_j!r} J, more than the {limit_j!r} J of their largest power",
        )

    def closed(self, n_requests: int, present_s: float) -> None:
        """Check the whole trial; `present_s` is the sum of the times of requests that are still in the system."""
        self._count()
        self._require(
            self._n_ended + len(self._present) == n_requests,
            f"{n_requests} requests, of which {self._n_ended} ended and {len(self._present)} are present",
        )
        total_s = self._sojourn_s + present_s
        self._require(
            isclose(self._area_s, total_s, rel_tol=_ROUNDING, abs_tol=_ROUNDING),
            f"Little's law: integral {self._area_s!r} s, sum of times {total_s!r} s",
        )
