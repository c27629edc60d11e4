"""Many trials of several requests each at once: one request after another, each in all trials.

A request finds the queues as those before it left them, so that each server goes on by Lindley's recursion: it begins with who comes when that
one comes and the last one has gone. That is right as long as the requests come to every server in the order in which they were released, which is
checked; a trial in which one overtakes another is marked, and must be simulated by the event engine.

References
----------
D. V. Lindley, The theory of queues with a single server, Mathematical Proceedings of the Cambridge Philosophical Society 48(2):277-289,
1952, doi 10.1017/S0305004100027638.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import repeat
from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.columns import OUTCOMES
from edgesim.domain.load import uncounted
from edgesim.domain.plan import Compute
from edgesim.domain.records import Trace
from edgesim.engine.arrays.batch import Batch
from edgesim.engine.arrays.measured import Measured
from edgesim.engine.arrays.moments import Moments
from edgesim.engine.arrays.results import closed_s, degraded, lost, unchanged
from edgesim.engine.events.requests import RequestTable
from edgesim.interfaces import ClosedArrivals
from edgesim.processes import keep_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from edgesim.domain.load import Load
    from edgesim.domain.records import ResourceRecord
    from edgesim.engine.arrays.losses import BatchLosses
    from edgesim.engine.arrays.program import ArrayProgram, Server
    from edgesim.engine.arrays.queue import Queue
    from edgesim.engine.program.compiled import Program
    from edgesim.interfaces import BatchSlowdownModel
    from edgesim.rng import BatchStreams


def obstacle_of_load(program: Program, load: Load) -> str:
    """Return what keeps a load on a plan from the array engine, besides what keeps a single request; empty when nothing does."""
    if any(isinstance(step, Compute) and step.alternatives for step in program.steps.step):
        return uncounted(load) or "of alternatives, only those that come first are held in memory"
    return uncounted(load)


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of one request in n trials, shape (n,) each; moments in s, inf where something has not happened until the horizon.

    Parameters
    ----------
    released_s : when it was released.
    latency_s : NaN without an answer in time.
    ended_s : when it left the system.
    forgotten_s : when nothing of it was under way any more.
    outcome : position in `OUTCOMES`.
    traffic_byte : by kind, shape (3, n).
    work_j : energy that its work added to the idle power.
    lost : which transfers were not delivered in time, packed along the first axis, shape (transfers / 8, n).
    """

    released_s: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    ended_s: NDArray[np.float64]
    forgotten_s: NDArray[np.float64]
    outcome: NDArray[np.int8]
    traffic_byte: NDArray[np.int64]
    work_j: NDArray[np.float64]
    lost: NDArray[np.uint8]


class _Releases:
    """When the requests of n trials are released, one request after another."""

    def __init__(self, load: Load, streams: BatchStreams) -> None:
        self._n, self._left = streams.n, inf if load.requests is None else load.requests
        self._horizon_s = inf if load.horizon_s is None else load.horizon_s
        self.n_clients = load.arrivals.clients if isinstance(load.arrivals, ClosedArrivals) else 0
        self.is_open = np.zeros(self._n, np.bool_)  # one would be released after the horizon
        self._last_s = np.zeros(self._n)
        self.is_valid = np.ones(self._n, np.bool_)  # they are released in the order of their numbers
        own = [one.scope("arrivals") for one in streams.replications()]
        self._waiting: list[NDArray[np.float64]] = []  # of the clients
        if isinstance(load.arrivals, ClosedArrivals):
            self._numbers: list[Iterator[float]] = [load.arrivals.thinks_s(one) for one in own]
            self._waiting = [np.zeros(self._n)] * self.n_clients
        else:
            self._numbers = [iter(load.arrivals.releases_s(one)) for one in own]

    def following(self, last: _Ended | None) -> Moments | None:
        """Return when the next request is released, given what became of the last one; None when there is none in any trial."""
        if self.n_clients == 0:
            self._waiting.append(np.array([next(one, inf) for one in self._numbers]))
        elif last is not None:
            ends = zip(self._numbers, last.ended_s.tolist(), strict=True)
            self._waiting.append(np.array([end_s + next(one) if end_s < inf else inf for one, end_s in ends]))
        if self._left == 0:
            return None
        self._left -= 1
        released_s = self._waiting.pop(0)
        self.is_valid &= released_s >= self._last_s
        self._last_s = released_s
        is_here = released_s <= min(self._horizon_s, sys.float_info.max)
        self.is_open |= ~is_here & (released_s < inf)
        if not is_here.any():
            return None
        return Moments(released_s, None) if is_here.all() else Moments(np.where(is_here, released_s, inf), is_here)


def simulate_load(
    ready: ArrayProgram,
    load: Load,
    *,
    down: Mapping[str, NDArray[np.bool_]],
    streams: BatchStreams,
    until_s: Mapping[str, NDArray[np.float64]] | None = None,
    losses: BatchLosses | None = None,
    slowdowns: Mapping[str, BatchSlowdownModel] | None = None,
    deadline_s: float | None = None,
) -> Iterator[Trace | None]:
    """Simulate a trial of several requests for each replication of the streams, and yield what each left; None for one that is not valid.

    What a trial left is as `edgesim.engine.events.simulation.trace` has it, without single stays and events. One is not valid where an order
    differed, so that nothing of it is right.

    Parameters
    ----------
    ready : the plan, of which all that is used is shared.
    load : the requests; `obstacle_of_load` has said that there is nothing in the way.
    down, until_s, losses, slowdowns, deadline_s : as of `edgesim.engine.arrays.trials.simulate_batch`.
    streams : streams of the replications.
    """
    keep_memory()
    scoped = [(model, streams.scope(label)) for label, model in (slowdowns or {}).items()]
    horizon_s = inf if load.horizon_s is None else load.horizon_s
    measured = Measured(ready.program, streams.n, load.warm_up_s, horizon_s)
    releases = _Releases(load, streams)
    queues: dict[Server, Queue[Batch]] = {}
    found: list[_Ended] = []
    is_valid = np.ones(streams.n, np.bool_)
    while (released := releases.following(found[-1] if found else None)) is not None:
        batch = Batch(ready, streams.n, down, losses, scoped, released=released, queues=queues, measured=measured)
        batch.run(is_end_asked=True)
        ended = _ended(batch, measured.work_j, deadline_s)
        measured.close(batch.is_lost, ended.forgotten_s)
        is_valid &= batch.is_valid
        if releases.n_clients > 0 and found:
            is_valid &= ended.ended_s >= found[-1].ended_s  # its client would ask before that of the last one
        found.append(ended)
    queues.clear()  # they hold requests, which hold them and all that was measured: only the collector of garbage would find that
    if not found:
        yield from repeat(None, streams.n)
        return
    trials = _Trials(ready.program, load, found, is_open=releases.is_open)
    resources, is_certain = measured.resources(trials.released_s, trials.forgotten_s, trials.to_s, releases.n_clients)
    is_valid &= releases.is_valid & is_certain
    if until_s:
        is_valid &= unchanged(batch, trials.to_s, until_s)
    for trace, is_right in zip(trials.traces(down, resources), is_valid.tolist(), strict=True):
        yield trace if is_right else None


def _ended(batch: Batch, work_j: NDArray[np.float64], deadline_s: float | None) -> _Ended:
    """Return what became of a request, given what its work added to the idle power."""
    n, horizon_s = batch.n, batch.horizon_s
    released_s = np.broadcast_to(batch.released.s, n)
    answered_s = np.broadcast_to(batch.came[batch.program.spans[0].answer].s, n)
    nothing_left_s = closed_s(batch)
    with np.errstate(invalid="ignore"):  # inf - inf, where nothing is released
        latency_s = answered_s - released_s
    is_answered = latency_s <= (sys.float_info.max if deadline_s is None else deadline_s)
    if deadline_s is None:
        ended_s = np.where(is_answered, answered_s, nothing_left_s)
    else:
        ended_s = np.minimum(answered_s, released_s + deadline_s)
    ended_s = np.where(ended_s <= horizon_s, ended_s, inf)
    forgotten_s = np.maximum(nothing_left_s, ended_s)
    outcome = np.where(degraded(batch, answered_s), OUTCOMES.index("degraded"), OUTCOMES.index("completed"))
    without = np.where(nothing_left_s <= horizon_s, OUTCOMES.index("failed"), OUTCOMES.index("unfinished"))
    if deadline_s is not None:
        without = np.where(ended_s < inf, OUTCOMES.index("timed_out"), without)
    return _Ended(
        released_s=released_s,
        latency_s=np.where(is_answered, latency_s, nan),
        ended_s=ended_s,
        forgotten_s=np.where(forgotten_s <= horizon_s, forgotten_s, inf),
        outcome=np.where(is_answered, outcome, without).astype(np.int8),
        traffic_byte=np.stack([np.broadcast_to(n_byte, n) for n_byte in batch.traffic_byte]),
        work_j=work_j,
        lost=np.packbits(lost(batch), axis=0, bitorder="little"),
    )


class _Trials:
    """All requests of n trials, shape (requests, n) each."""

    def __init__(self, program: Program, load: Load, found: list[_Ended], *, is_open: NDArray[np.bool_]) -> None:
        self._program, self._from_s, self._found = program, load.warm_up_s, found
        horizon_s = inf if load.horizon_s is None else load.horizon_s
        self.released_s = np.stack([one.released_s for one in found])
        self._is_here = self.released_s < inf
        self._n_here = self._is_here.sum(axis=0)
        ended_s, self.forgotten_s = (
            np.stack([one.ended_s for one in found]),
            np.stack([one.forgotten_s for one in found]),
        )
        is_under_way = (self._is_here & (self.forgotten_s == inf)).any(axis=0) | is_open
        last_s = np.where(self._is_here, self.forgotten_s, 0.0).max(axis=0)
        self.to_s: NDArray[np.float64] = np.maximum(np.where(is_under_way, horizon_s, last_s), self._from_s)
        """When each trial ends, shape (n,)."""
        last_end_s = np.minimum(np.where(self._is_here, ended_s, 0.0).max(axis=0), horizon_s)
        self._span_s = np.where(self._n_here > 0, last_end_s - self.released_s[0], 0.0)  # in which idle power counts

    def traces(self, down: Mapping[str, NDArray[np.bool_]], resources: list[list[ResourceRecord]]) -> Iterator[Trace]:
        """Yield what each trial left."""
        found, n = self._found, len(self._n_here)
        idle_j = np.zeros(n)
        for device_id, power_w in zip(self._program.devices.device_ids, self._program.devices.idle_w, strict=True):
            idle_j += power_w * (np.where(down[device_id], 0.0, self._span_s) if device_id in down else self._span_s)
        idle_share_j = idle_j / np.maximum(self._n_here, 1)
        is_recorded = self._is_here & (self.released_s >= self._from_s)
        latency_s, outcome, work_j = (
            np.stack(some) for some in zip(*((one.latency_s, one.outcome, one.work_j) for one in found), strict=True)
        )
        traffic_byte, lost = np.stack([one.traffic_byte for one in found]), np.stack([one.lost for one in found])
        for trial in range(n):
            own = np.flatnonzero(is_recorded[:, trial])
            pattern, patterns = _patterns(lost[own, :, trial])
            records = RequestTable(
                released_s=self.released_s[own, trial],
                latency_s=latency_s[own, trial],
                outcome=outcome[own, trial],
                pattern=pattern,
                input_byte=traffic_byte[own, 0, trial],
                intermediate_byte=traffic_byte[own, 1, trial],
                result_byte=traffic_byte[own, 2, trial],
                energy_j=work_j[own, trial] + idle_share_j[trial],
                n_retransmitted=np.zeros(len(own), np.int64),
                plan=np.zeros(len(own), np.int32),
                patterns=patterns,
                partial={},
            )
            yield Trace(
                records, tuple(resources[trial]), self._from_s, float(self.to_s[trial]), n_events=0,
                idle_share_j=float(idle_share_j[trial]),
            )  # fmt: skip


def _patterns(lost: NDArray[np.uint8]) -> tuple[NDArray[np.int32], tuple[int, ...]]:
    """Return which of some patterns each request lost, given that packed, shape (requests, bytes), and these patterns.

    Examples
    --------
    >>> pattern, patterns = _patterns(np.array([[0, 0], [5, 1], [0, 0]], np.uint8))
    >>> pattern.tolist(), patterns
    ([0, 1, 0], (0, 261))
    """
    if not lost.any():
        return np.zeros(len(lost), np.int32), (0,)
    rows, pattern = np.unique(lost, axis=0, return_inverse=True)
    return pattern.astype(np.int32), tuple(int.from_bytes(row.tobytes(), "little") for row in rows)
