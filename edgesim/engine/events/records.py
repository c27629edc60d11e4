"""The records of a trial: what became of each request, and which part of the energy is its."""

from __future__ import annotations

from math import nan
from struct import Struct
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.columns import OUTCOMES
from edgesim.engine.events.requests import RequestTable
from edgesim.engine.state.energy import energy_j, idle_j, largest_w, up_s, work_of
from edgesim.engine.state.request import lost, partial, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

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
        self._kept = _Kept()  # without the share of the idle power
        self._alone: tuple[Request, Outcome, float] | None = None  # the only one so far
        self._work_j = 0.0  # what the work of requests adds to the idle power
        self._first: Request | None = None
        self._n_admitted, self._last_end_s = 0, 0.0
        self._others: Sequence[Totals] = ()

    def rejected(self, request: Request) -> None:
        """Record a request that was not admitted."""
        if self._on_record is not None:
            self._on_record(request.number, record(request, "rejected", nan, 0.0))
        else:
            self._kept.add(request, "rejected", nan, 0.0)

    def ended(self, request: Request, outcome: Outcome, latency_s: float) -> None:
        """Record a request that was admitted, and of which nothing is under way any more."""
        if self._alone is None and self._on_record is None:
            self._alone = request, outcome, latency_s
            return
        work_j = work_of(self._world.program, request)
        self._work_j += work_j
        if self._on_record is not None:
            self._on_record(request.number, record(request, outcome, latency_s, work_j))
        else:
            self._kept.add(request, outcome, latency_s, work_j)

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
        if self._alone is not None and (n_admitted > 1 or others):
            self.ended(*self._alone)
            self._alone = None
        if first is not None and checker is not None:
            from_s = 0.0 if others else first.released_s  # heartbeats come before the first request, too
            limit_j = largest_w(self._world.program) * (self._world.clock.now_s - from_s)
            work_j = self._work_j if self._alone is None else work_of(self._world.program, self._alone[0])
            checker.spent(self._total_j() + work_j, limit_j)

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
        if self._alone is None or self._kept:
            return list(self.table())
        return [record(*self._alone, self._alone_j(self._alone[0]))]  # the usual trial, in short

    def table(self) -> RequestTable:
        """Return the records by column, in order of release, and forget them; none where they were told."""
        kept, self._kept = self._kept, _Kept()
        if self._alone is None:
            return kept.table(self.idle_share_j if kept else 0.0)
        kept.add(*self._alone, self._alone_j(self._alone[0]))
        return kept.table(0.0)

    def _alone_j(self, request: Request) -> float:
        """Return the energy of the only request that was admitted, in one sum."""
        return energy_j(self._world.program, request, self._idle_s())


_ROW = [("number", "<i8"), ("released_s", "<f8"), ("latency_s", "<f8"), ("energy_j", "<f8"), ("outcome", "<i1"), ("pattern", "<i4"), ("byte", "<i8", (3,))]  # fmt: skip
_pack = Struct("<qdddbiqqq").pack  # such a row


class _Kept:
    """What is kept of requests while others are under way, a row for each, in the order in which they ended."""

    __slots__ = ("_n_again", "_partial", "_places", "_plan", "_rows")

    def __init__(self) -> None:
        self._rows = bytearray()
        self._places = {0: 0}  # of what was lost
        self._partial: dict[
            int, tuple[tuple[int, float], ...]
        ] = {}  # by number of the request, where there is something
        self._n_again: dict[int, int] = {}
        self._plan: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, request: Request, outcome: Outcome, latency_s: float, energy_j: float) -> None:
        """Keep what became of a request."""
        number = request.number
        pattern = self._places.setdefault(lost(request), len(self._places)) if 0 in request.delivered else 0
        self._rows += _pack(
            number, request.released_s, latency_s, energy_j, _PLACES[outcome], pattern, *request.traffic_byte
        )
        if request.n_retransmitted > 0:
            self._n_again[number] = request.n_retransmitted
        if request.plan > 0:
            self._plan[number] = request.plan
        if request.partial:
            self._partial[number] = partial(request)

    def table(self, share_j: float) -> RequestTable:
        """Return the records in order of release, each that was admitted with its share of the idle power."""
        rows = np.frombuffer(self._rows, _ROW)
        order = np.argsort(rows["number"])
        numbers, outcome, energy_j, by_kind = (rows[name][order] for name in ("number", "outcome", "energy_j", "byte"))
        return RequestTable(
            released_s=rows["released_s"][order],
            latency_s=rows["latency_s"][order],
            outcome=outcome,
            pattern=rows["pattern"][order],
            input_byte=by_kind[:, 0],
            intermediate_byte=by_kind[:, 1],
            result_byte=by_kind[:, 2],
            energy_j=np.where(outcome == _PLACES["rejected"], energy_j, energy_j + share_j),
            n_retransmitted=_filled(numbers, self._n_again).astype(np.int64),
            plan=_filled(numbers, self._plan).astype(np.int32),
            patterns=tuple(self._places),
            partial={
                place: self._partial[number] for place, number in enumerate(numbers.tolist()) if number in self._partial
            }
            if self._partial
            else {},
        )


def _filled(numbers: NDArray[np.int64], known: Mapping[int, int]) -> NDArray[np.int64]:
    """Return what is known of some requests, zero where it is not."""
    found = np.zeros(len(numbers), dtype=np.int64)
    if known:
        found[:] = [known.get(number, 0) for number in numbers.tolist()]
    return found


_PLACES = {outcome: place for place, outcome in enumerate(OUTCOMES)}
