"""The records of a trial: what became of each request, and which part of the energy is its."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from edgesim.engine.state.energy import energy_j, idle_j, largest_w, up_s, work_of
from edgesim.engine.state.request import record, with_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgesim.domain.records import Outcome, RequestRecord
    from edgesim.engine.state.request import Request, Totals
    from edgesim.engine.state.world import World


class Records:
    """The records of one trial. The idle power is shared when it has ended, so that they are made then.

    Parameters
    ----------
    world : the trial's surroundings.
    on_record : hears of each record as soon as its request has ended, without the share of the idle power; nothing is kept then. Or None.
    """

    __slots__ = (
        "_alone",
        "_first",
        "_kept",
        "_last_end_s",
        "_n_admitted",
        "_on_record",
        "_others",
        "_work_j",
        "_world",
    )

    def __init__(self, world: World, on_record: Callable[[int, RequestRecord], None] | None) -> None:
        self._world = world
        self._on_record = on_record
        self._kept: dict[int, RequestRecord] = {}  # without the share of the idle power
        self._alone: tuple[Request, Outcome, float] | None = None  # the only one so far
        self._work_j = 0.0  # what the work of requests adds to the idle power
        self._first: Request | None = None
        self._n_admitted, self._last_end_s = 0, 0.0
        self._others: Sequence[Totals] = ()

    def rejected(self, request: Request) -> None:
        """Record a request that was not admitted."""
        self._keep(request, "rejected", nan, 0.0)

    def ended(self, request: Request, outcome: Outcome, latency_s: float) -> None:
        """Record a request that was admitted, and of which nothing is under way any more."""
        if self._alone is None and self._on_record is None:
            self._alone = request, outcome, latency_s
            return
        self._work(request, outcome, latency_s)

    def _work(self, request: Request, outcome: Outcome, latency_s: float) -> None:
        work_j = work_of(self._world.program, request)
        self._work_j += work_j
        self._keep(request, outcome, latency_s, work_j)

    def _keep(self, request: Request, outcome: Outcome, latency_s: float, work_j: float) -> None:
        if self._on_record is not None:
            self._on_record(request.number, record(request, outcome, latency_s, work_j))
        else:
            self._kept[request.number] = record(request, outcome, latency_s, work_j)

    def close(self, first: Request | None, n_admitted: int, last_end_s: float, others: Sequence[Totals]) -> None:
        """End the trial.

        Parameters
        ----------
        first : the first request that was admitted.
        n_admitted : how many were.
        last_end_s : when the last of them ended, in s.
        others : what messages that belong to no request cost.
        """
        self._first, self._n_admitted, self._last_end_s, self._others = first, n_admitted, last_end_s, others
        checker = self._world.checker
        if self._alone is not None and (n_admitted > 1 or others or checker is not None):
            self._work(*self._alone)
        if first is not None and checker is not None:
            from_s = 0.0 if others else first.released_s  # heartbeats come before the first request, too
            limit_j = largest_w(self._world.program) * (self._world.clock.now_s - from_s)
            checker.spent(self._total_j() + self._work_j, limit_j)

    def _idle_s(self) -> list[float]:
        """Return for how long each device took its idle power."""
        from_s = 0.0 if self._first is None else self._first.released_s
        return up_s(self._world.program, self._world.downtimes, from_s, self._last_end_s - from_s)

    def _total_j(self) -> float:
        """Return the energy of the trial that no request's work added."""
        program = self._world.program
        total_j = idle_j(program, self._idle_s())
        if self._others:
            total_j += sum(work_of(program, one) for one in self._others)
        return total_j

    @property
    def idle_share_j(self) -> float:
        """The share of the idle power of each request that was admitted, in J."""
        return self._total_j() / self._n_admitted if self._n_admitted else 0.0

    def all(self) -> list[RequestRecord]:
        """Return the records, in order of release; none where they were told."""
        if self._alone is not None and self._n_admitted == 1 and not self._others:  # in one sum, to round as ever
            request, outcome, latency_s = self._alone
            whole_j = energy_j(self._world.program, request, self._idle_s())
            self._kept[request.number] = record(request, outcome, latency_s, whole_j)
            share_j = 0.0
        else:
            share_j = self.idle_share_j if self._kept else 0.0
        kept = self._kept
        return [
            own if own.outcome == "rejected" else with_share(own, share_j)
            for own in (kept.pop(number) for number in sorted(kept))
        ]
