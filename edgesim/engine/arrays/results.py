"""What the array engine found, summed up request by request."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from edgesim.engine.arrays.moments import earliest
from edgesim.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgesim.engine.arrays.batch import Batch


@dataclass(frozen=True, slots=True)
class ArrayTrials:
    """What became of n trials of one request each, by column; see `edgesim.domain.records.RequestRecord`.

    Parameters
    ----------
    latency_s, energy_j : shape (n,); latency is NaN without an answer.
    traffic_byte : by kind, shape (3, n).
    is_degraded, is_timed_out : shape (n,).
    is_lost : whether each transfer of the plan was not delivered in time, shape (transfers, n).
    is_valid : False where the order differed, so that nothing of the trial is right.
    """

    latency_s: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    traffic_byte: NDArray[np.int64]
    is_degraded: NDArray[np.bool_]
    is_timed_out: NDArray[np.bool_]
    is_lost: NDArray[np.bool_]
    is_valid: NDArray[np.bool_]


def lost(batch: Batch) -> NDArray[np.bool_]:
    """Return which transfers were not delivered in time, shape (transfers, n); most are known since they came."""
    steps = batch.program.steps
    for index in batch.inputs.kept:
        users = batch.inputs.gathered.intersection(steps.users[index])
        if steps.transfer_index[index] < 0 or not users:
            continue
        came_s, row = batch.came[index].s, batch.is_lost[steps.transfer_index[index]]
        until_s = next((batch.until_s[user] for user in users if user in batch.until_s), inf)
        np.greater_equal(came_s, until_s, out=row)
        if steps.rivals[index]:  # behind as many of a group as are enough it came, though nobody waits for it any more
            rivals = [batch.came[rival] for rival in steps.rivals[index]]
            enough_s = earliest(rivals, steps.n_enough[index]).s
            is_behind = np.less(enough_s, came_s) & np.less(enough_s, until_s) & np.less(came_s, inf)
            np.logical_and(row, ~is_behind, out=row)
    return batch.is_lost


def degraded(batch: Batch, answered_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a step before the answer went on without something, shape (n,)."""
    is_degraded = np.zeros(batch.n, dtype=np.bool_)
    for is_late, begun_s in batch.is_late:
        is_degraded |= is_late & ~(answered_s < begun_s)
    return is_degraded


def energy_j(batch: Batch, waited_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the energy, given how long each request was waited for; as in `edgesim.engine.state.request`."""
    idle_w = dict(zip(batch.program.devices.device_ids, batch.program.devices.idle_w, strict=True))
    total_j = sum(idle_w.values()) * waited_s
    total_j += batch.work_j
    for name, is_down in batch.down.items():
        if name in idle_w:
            total_j -= np.where(is_down, idle_w[name] * waited_s, 0.0)
    return total_j


def closed_s(batch: Batch) -> NDArray[np.float64]:
    """Return when the last of what was under way has ended."""
    if batch.last_s is None:
        raise SimulationError("nobody has noted when what was under way ended")
    return batch.last_s


def unchanged(
    batch: Batch, last_s: NDArray[np.float64], until_s: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.bool_]:
    """Return the trials in which everything that the plan uses stays up, or down, until something of the request last happens.

    What waits for the end of an outage makes a trial longer, so that no outage may end where something does.
    """
    is_kept = np.ones(batch.n, dtype=np.bool_)
    for name, own_s in until_s.items():
        if name not in batch.ready.targets:
            continue
        is_kept &= own_s > last_s
        if batch.ready.resumes and name in batch.down:
            is_kept &= ~(batch.down[name] & (own_s < inf))
    return is_kept


def summary(batch: Batch, deadline_s: float | None, until_s: Mapping[str, NDArray[np.float64]]) -> ArrayTrials:
    """Sum up; `until_s` as of `edgesim.engine.arrays.trials.simulate_batch`."""
    n = batch.n
    answered_s = np.broadcast_to(batch.came[batch.program.spans[0].answer].s, n)
    limit_s = np.finfo(np.float64).max if deadline_s is None else deadline_s
    is_answered = answered_s <= limit_s
    latency_s, ended_s = answered_s.copy(), answered_s
    if not is_answered.all():
        latency_s[~is_answered] = np.nan
        ended_s = np.where(is_answered, answered_s, closed_s(batch) if deadline_s is None else deadline_s)
    traffic_byte = np.empty((len(batch.traffic_byte), n), dtype=np.int64)
    for row, n_byte in zip(traffic_byte, batch.traffic_byte, strict=True):
        row[:] = n_byte
    return ArrayTrials(
        latency_s=latency_s,
        energy_j=energy_j(batch, ended_s),
        traffic_byte=traffic_byte,
        is_degraded=degraded(batch, answered_s),
        is_timed_out=np.zeros(n, dtype=np.bool_) if deadline_s is None else ~is_answered,
        is_lost=lost(batch),
        is_valid=batch.is_valid & unchanged(batch, np.maximum(closed_s(batch), ended_s), until_s)
        if until_s
        else batch.is_valid,
    )
