"""From the many requests of a trial under load to its one row: means over its requests, and what its resources did.

The requests of one trial wait for each other, so they are no independent samples; trials are. Each trial gives one value per
metric, and intervals are over trials.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce as reduce_by
from math import inf, nan
from operator import or_
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.columns import OUTCOMES
from edgesim.domain.metrics import LOAD_METRICS, PEOPLE_METRICS, RECOVERY_METRICS, RESOURCE_METRICS
from edgesim.domain.records import Outcome, RequestRecord, Trace
from edgesim.engine.events.requests import RequestTable
from edgesim.study.trials.service import service_of, watching_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

METRICS = {"latency_p95": "s", "answered": "1", **{name: metric.unit for name, metric in LOAD_METRICS.items()}}
"""What a trial under load has besides the metrics of a single request, and units. Outcomes are shares of the requests."""
PER_RESOURCE = tuple(RESOURCE_METRICS)
"""Metrics of every device, link and medium: their names go on with its id."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """One trial under load.

    Parameters
    ----------
    record : means over the requests, in the form of a single one; `lost` has the transfers that any request lost.
    values : the metrics of `METRICS` and `PER_RESOURCE`.
    patterns : by request, the pattern of lost transfers; None for one without an answer. Requests that are unfinished at the
        horizon are left out, since nobody knows what would have become of them.
    partial, plans : of the same requests, `RequestRecord.partial` and `RequestRecord.plan`.
    times : of the same requests, release and latency, in s, shape (n, 2).
    """

    record: RequestRecord
    values: Mapping[str, float]
    patterns: tuple[int | None, ...]
    partial: tuple[tuple[tuple[int, float], ...], ...]
    plans: tuple[int, ...]
    times: NDArray[np.float64]


def reduce(trace: Trace, *, is_recovering: bool = False) -> Reduced:
    """Return the row of a trial; `is_recovering`: with what the service was over time, too."""
    records = RequestTable.of(trace.records)
    ended = np.flatnonzero(records.outcome != OUTCOMES.index("unfinished"))
    latencies = records.latency_s[records.is_answered]
    outcomes = Counter(map(OUTCOMES.__getitem__, records.outcome.tolist()))
    share = 1 / len(records) if records else nan
    values = {
        "latency_p95": float(np.quantile(latencies, 0.95)) if len(latencies) else nan,
        "answered": len(latencies) / len(ended) if len(ended) else nan,
        "throughput": len(latencies) / (trace.to_s - trace.from_s) if trace.to_s > trace.from_s else 0.0,
        "requests": float(len(records)),
        **{name: outcomes[name] * share for name in ("degraded", "failed", "timed_out", "rejected", "unfinished")},
        "utilisation": max((resource.utilisation for resource in trace.resources), default=0.0),
        "peak_memory": float(max((resource.peak_memory_byte for resource in trace.resources), default=0)),
    }
    values |= service_of(records) if is_recovering else {}
    values |= watching_of(trace.watch, records) | _of_resources(trace)
    return Reduced(
        _record_of(trace, records, latencies, outcomes),
        values,
        tuple(
            lost if is_answered else None
            for lost, is_answered in zip(records.lost(ended), records.is_answered[ended].tolist(), strict=True)
        ),
        tuple(records.partial.get(position, ()) for position in ended.tolist()),
        tuple(records.plan[ended].tolist()),
        np.stack([records.released_s[ended], records.latency_s[ended]], axis=1),
    )


def _of_resources(trace: Trace) -> dict[str, float]:
    """Return the metrics of each device, link and medium."""
    values: dict[str, float] = {}
    for resource in trace.resources:
        values[f"{PER_RESOURCE[0]} {resource.resource_id}"] = resource.utilisation
        values[f"{PER_RESOURCE[1]} {resource.resource_id}"] = resource.n_waiting
        if resource.kind == "device":
            values[f"{PER_RESOURCE[2]} {resource.resource_id}"] = float(resource.peak_memory_byte)
    for device_id, empty_s in trace.batteries:
        values[f"{PER_RESOURCE[3]} {device_id}"] = empty_s if empty_s < inf else nan
    return values


def _record_of(
    trace: Trace, records: RequestTable, latencies: NDArray[np.float64], outcomes: Counter[Outcome]
) -> RequestRecord:
    """Return the requests of a trial as one: their means, and all that any of them lost."""
    share = 1 / len(records) if records else nan
    of_no_request = 0 if trace.watch is None or not records else trace.watch.traffic_byte
    return RequestRecord(
        released_s=trace.from_s,
        latency_s=float(latencies.mean()) if len(latencies) else nan,
        outcome=outcomes.most_common(1)[0][0] if outcomes else "unfinished",
        lost=reduce_by(or_, records.lost(np.unique(records.pattern, return_index=True)[1]), 0),
        input_byte=_mean(records.input_byte),
        intermediate_byte=_mean(records.intermediate_byte, of_no_request),
        result_byte=_mean(records.result_byte),
        energy_j=sum(records.energy_j.tolist()) * share if records else 0.0,
    )


def _mean(values: NDArray[np.int64], more: int = 0) -> int:
    return round((int(values.sum()) + more) / len(values)) if len(values) else 0


def unit_of(metric: str, units: Mapping[str, str]) -> str:
    """Return the unit of a metric; `units` has those of a single request."""
    own = next((one.unit for start, one in RESOURCE_METRICS.items() if metric.startswith(f"{start} ")), None)
    return own or units.get(metric) or METRICS.get(metric) or (PEOPLE_METRICS | RECOVERY_METRICS)[metric].unit


def by_column(rows: Sequence[Reduced]) -> dict[str, NDArray[np.float64]]:
    """Return the values of several trials of one case, by metric."""
    names = rows[0].values if rows else ()
    return {name: np.array([row.values[name] for row in rows]) for name in names}
