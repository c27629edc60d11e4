"""The array engine: many trials of a plan at once; see `edgesim.engine.arrays.batch` for how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgesim.engine.arrays.batch import Batch
from edgesim.engine.arrays.results import ArrayTrials, summary
from edgesim.processes import keep_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.engine.arrays.losses import BatchLosses
    from edgesim.engine.arrays.program import ArrayProgram, Server
    from edgesim.engine.arrays.queue import Queue
    from edgesim.interfaces import BatchSlowdownModel
    from edgesim.rng import BatchStreams


def simulate_batch(
    ready: ArrayProgram,
    n: int,
    *,
    down: Mapping[str, NDArray[np.bool_]],
    until_s: Mapping[str, NDArray[np.float64]] | None = None,
    losses: BatchLosses | None = None,
    slowdowns: Mapping[str, BatchSlowdownModel] | None = None,
    streams: BatchStreams | None = None,
    deadline_s: float | None = None,
) -> ArrayTrials:
    """Simulate n trials of one request each.

    Parameters
    ----------
    ready : the plan.
    n : number of trials. `edgesim.engine.arrays.program.held_byte` tells their memory; some ten thousand make the cost of an operation itself small.
    down : by device or link: in which trials it is down at the beginning, shape (n,).
    until_s : by device or link: until when that stays so, in s, shape (n,); inf, or left out: to the end. Trials in which it changes are not valid.
    losses : what loses packets.
    slowdowns : models that make computations longer, by label.
    streams : streams of the replications; needed when something slows.
    deadline_s : as of `edgesim.engine.events.simulation.simulate`.
    """
    scoped = (
        [(model, streams.scope(label)) for label, model in (slowdowns or {}).items()] if streams is not None else []
    )
    keep_memory()
    queues: dict[Server, Queue[Batch]] = {}
    batch = Batch(ready, n, down, losses, scoped, queues=queues)
    may_fail = bool(batch.down) or (losses is not None and not ready.inputs.is_sure)
    batch.run(is_end_asked=bool(until_s) or (deadline_s is None and may_fail))
    queues.clear()  # they hold the batch, which holds them: only the collector of garbage would find that
    return summary(batch, deadline_s, until_s or {})
