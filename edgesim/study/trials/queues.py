"""How much waits at every resource over time, in one trial under load of each strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.study.trials.trial import streams_of, trace_under_load

if TYPE_CHECKING:
    from edgesim.domain.records import Trace
    from edgesim.study.cases.design import Case
    from edgesim.study.cases.shared import Shared

QUEUES = "queues.csv"
N_SAMPLES = 200


def queues(shared: Shared) -> list[tuple[str, str, float, int, int]] | None:
    """Return the rows of `QUEUES`, or None when no trial has many requests.

    The first replication of every strategy at its first factor point, with its failures, is simulated once more. The time that is
    measured is cut into `N_SAMPLES` equal spans; at the start of each span and at the end of the last, there is a row
    per resource that anything came to.
    """
    first: dict[str, Case] = {}
    for case in shared.cases:
        first.setdefault(case.strategy, case)
    rows: list[tuple[str, str, float, int, int]] = []
    for case in first.values():
        if case.load is None:
            return None
        streams = streams_of(case.seed).replication(0)
        rows += _rows(case.strategy, trace_under_load(shared, case, streams, case.load, has_stays=True))
    return rows


def _rows(strategy: str, trace: Trace) -> list[tuple[str, str, float, int, int]]:
    """Return how many computations or messages have come but are not served, and not gone, at each moment."""
    times_s = np.linspace(trace.from_s, trace.to_s, N_SAMPLES + 1)
    rows: list[tuple[str, str, float, int, int]] = []
    for resource in trace.resources:
        stays = [stay for stay in trace.stays if stay.resource_id == resource.resource_id]
        if not stays:
            continue
        came, served, went = (
            np.searchsorted(np.sort(moments_s), times_s, side="right")
            for moments_s in zip(*((stay.arrived_s, stay.started_s, stay.ended_s) for stay in stays), strict=True)
        )
        rows += [
            (strategy, resource.resource_id, float(time_s), int(n_waiting), int(n_present))
            for time_s, n_waiting, n_present in zip(times_s, came - served, came - went, strict=True)
        ]
    return rows
