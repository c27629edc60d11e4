"""What the array engine found, summed up request by request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.engine.array_trials import Batch


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


def delivered(batch: Batch) -> NDArray[np.bool_]:
    """Return which transfers were delivered in time, shape (transfers, n)."""
    program = batch.program
    found = np.zeros((len(program.plan.transfers), batch.n), dtype=np.bool_)
    for index, transfer in enumerate(program.transfer_index):
        if transfer < 0:
            continue
        came_s = batch.came_s[index]
        found[transfer] = came_s < inf
        for user in program.users[index]:
            if user in batch.is_late:
                in_time = (came_s < batch.began_s[user]) | ((came_s == batch.began_s[user]) & ~batch.is_late[user])
                if program.rivals[index]:  # behind the first of a group it came, though nobody waits for it any more
                    in_time |= came_s > earliest([batch.came_s[rival] for rival in program.rivals[index]])
                found[transfer] &= in_time
    return found


def energy_j(batch: Batch, waited_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the energy, given how long each request was waited for; as in `edgesim.engine.trial`."""
    program = batch.program
    total_j = np.zeros(batch.n)
    for device, device_id in enumerate(program.device_ids):
        up_s = np.where(batch.down[device_id], 0.0, waited_s) if device_id in batch.down else waited_s
        idle_w = program.idle_w[device]
        total_j += (
            idle_w * up_s
            + (program.busy_w[device] - idle_w) * batch.busy_s[device]
            + (program.transmit_w[device] - idle_w) * batch.transmit_s[device]
            + (program.receive_w[device] - idle_w) * batch.receive_s[device]
        )
    return total_j


def summary(batch: Batch, deadline_s: float | None) -> ArrayTrials:
    """Sum up."""
    answered_s = batch.came_s[batch.program.answer]
    is_answered = answered_s < inf
    is_timed_out = np.zeros(batch.n, dtype=np.bool_)
    if deadline_s is not None:
        is_timed_out = ~(answered_s <= deadline_s)
        is_answered = ~is_timed_out
        ended_s = np.minimum(answered_s, deadline_s)
    else:
        ended_s = np.where(is_answered, answered_s, batch.closed_s)
    is_degraded = np.logical_or.reduce([*batch.is_late.values(), np.zeros(batch.n, dtype=np.bool_)])
    return ArrayTrials(
        latency_s=np.where(is_answered, answered_s, np.nan),
        energy_j=energy_j(batch, ended_s),
        traffic_byte=batch.traffic_byte,
        is_degraded=is_degraded,
        is_timed_out=is_timed_out,
        is_lost=~delivered(batch),
        is_valid=batch.is_valid,
    )


def earliest(moments_s: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the first of several moments in each trial."""
    return moments_s[0] if len(moments_s) == 1 else np.minimum.reduce(moments_s)
