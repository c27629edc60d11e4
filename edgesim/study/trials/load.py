"""From the many requests of a trial under load to its one row: means over its requests, and what its resources did.

The requests of one trial wait for each other, so they are no independent samples; trials are. Each trial gives one value per
metric, and intervals are over trials.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.metrics import LOAD_METRICS, PEOPLE_METRICS, RECOVERY_METRICS, RESOURCE_METRICS
from edgesim.domain.records import Outcome, RequestRecord, Trace
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
    times : of the same requests, release and latency, in s.
    """

    record: RequestRecord
    values: Mapping[str, float]
    patterns: tuple[int | None, ...]
    partial: tuple[tuple[tuple[int, float], ...], ...]
    plans: tuple[int, ...]
    times: tuple[tuple[float, float], ...]


def reduce(trace: Trace, *, is_recovering: bool = False) -> Reduced:
    """Return the row of a trial; `is_recovering`: with what the service was over time, too."""
    records = trace.records
    answered = [record for record in records if record.outcome in {"completed", "degraded"}]
    ended = [record for record in records if record.outcome != "unfinished"]
    latencies = np.array([record.latency_s for record in answered])
    outcomes = Counter(record.outcome for record in records)
    share = 1 / len(records) if records else nan
    values = {
        "latency_p95": float(np.quantile(latencies, 0.95)) if len(latencies) else nan,
        "answered": len(answered) / len(ended) if ended else nan,
        "throughput": trace.throughput_per_s,
        "requests": float(len(records)),
        **{name: outcomes[name] * share for name in ("degraded", "failed", "timed_out", "rejected", "unfinished")},
        "utilisation": max((resource.utilisation for resource in trace.resources), default=0.0),
        "peak_memory": float(max((resource.peak_memory_byte for resource in trace.resources), default=0)),
    }
    values |= service_of(records) if is_recovering else {}
    values |= watching_of(trace.watch, records) | _of_resources(trace)
    record = _record_of(trace, latencies, outcomes)
    is_answered = {id(record) for record in answered}
    patterns = tuple(one.lost if id(one) in is_answered else None for one in ended)
    return Reduced(
        record,
        values,
        patterns,
        tuple(one.partial for one in ended),
        tuple(one.plan for one in ended),
        tuple((one.released_s, one.latency_s) for one in ended),
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


def _record_of(trace: Trace, latencies: NDArray[np.float64], outcomes: Counter[Outcome]) -> RequestRecord:
    """Return the requests of a trial as one: their means, and all that any of them lost."""
    records = trace.records
    share = 1 / len(records) if records else nan
    of_no_request = 0 if trace.watch is None or not records else trace.watch.traffic_byte
    lost = 0
    for record in records:
        lost |= record.lost
    return RequestRecord(
        released_s=trace.from_s,
        latency_s=float(latencies.mean()) if len(latencies) else nan,
        outcome=outcomes.most_common(1)[0][0] if outcomes else "unfinished",
        lost=lost,
        input_byte=_mean([record.input_byte for record in records]),
        intermediate_byte=_mean([record.intermediate_byte for record in records], of_no_request),
        result_byte=_mean([record.result_byte for record in records]),
        energy_j=sum(record.energy_j for record in records) * share if records else 0.0,
    )


def _mean(values: Sequence[int], more: int = 0) -> int:
    return round((sum(values) + more) / len(values)) if values else 0


def unit_of(metric: str, units: Mapping[str, str]) -> str:
    """Return the unit of a metric; `units` has those of a single request."""
    own = next((one.unit for start, one in RESOURCE_METRICS.items() if metric.startswith(f"{start} ")), None)
    return own or units.get(metric) or METRICS.get(metric) or (PEOPLE_METRICS | RECOVERY_METRICS)[metric].unit


def by_column(rows: Sequence[Reduced]) -> dict[str, NDArray[np.float64]]:
    """Return the values of several trials of one case, by metric."""
    names = rows[0].values if rows else ()
    return {name: np.array([row.values[name] for row in rows]) for name in names}
