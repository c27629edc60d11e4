"""Paired comparisons: strategies meet the same failures, so their differences are far surer than their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.metrics import PEOPLE_METRICS, RECOVERY_METRICS, UNITS
from edgesim.study.tables.known import of_difference
from edgesim.study.tables.statistics import CERTAIN, NOTHING, Estimate, Prior, mean
from edgesim.study.tables.weighted import are_equal, pseudo_values
from edgesim.study.trials.load import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.study.cases.shared import Shared
    from edgesim.study.tables.known import Known

    Weighted = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more of a metric `case` has than `other`, at the same factor point: mean over replications, interval, correlation.

    `correlation` is that of the two over replications, NaN where one of them does not vary: the variance of the difference is
    smaller than with independent failures by the share ``2 correlation s1 s2 / (s1**2 + s2**2)``.
    """

    case: int
    other: int
    metric: str
    estimate: Estimate
    correlation: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The drawn trials of a case: the values of each metric, their weights, and what is known of the case, its outcomes included."""

    values: Mapping[str, NDArray[np.float64]]
    weights: NDArray[np.float64]
    known: Known


def differences_of(shared: Shared, measured: Mapping[int, Measured]) -> list[Difference]:
    """Return the differences between every two strategies at a factor point, replication by replication.

    A replication counts for a metric when both have a value: for latency, when both have an answer. `measured` is by position of the case.
    """
    metrics = (*(score.name for score in shared.scores), *UNITS, *METRICS, *PEOPLE_METRICS, *RECOVERY_METRICS)
    found: list[Difference] = []
    for (first, one), (second, other) in combinations(measured.items(), 2):
        found += [
            Difference(
                second,
                first,
                metric,
                *compared(
                    (other.values[metric], other.weights),
                    (one.values[metric], one.weights),
                    _prior(shared, (second, first), measured, metric),
                ),
            )
            for metric in dict.fromkeys(metrics)
            if metric in one.values and metric in other.values
        ]
    return found


def _prior(shared: Shared, pair: tuple[int, int], measured: Mapping[int, Measured], metric: str) -> Prior:
    """Return what is known of a difference; strategies with one deployment do not differ."""
    one, other = pair
    is_same = shared.cases[one].prepared == shared.cases[other].prepared
    if is_same:
        return CERTAIN
    return of_difference(metric, measured[one].known, measured[other].known, len(measured[other].weights))


def compared(one: Weighted, other: Weighted, prior: Prior) -> tuple[Estimate, float]:
    """Return the mean of the differences of weighted values, and the correlation.

    With importance sampling a value that is missing in one strategy only still counts for the other.
    """
    (values, weights), (others, other_weights) = one, other
    if are_equal(weights) and are_equal(other_weights):
        both = ~np.isnan(values) & ~np.isnan(others)
        values, others = values[both], others[both]
        n = len(values)
    else:
        n = int(np.count_nonzero(~np.isnan(values) & ~np.isnan(others)))
        values, others = _spread(values, weights), _spread(others, other_weights)
    differs = len(values) > 1 and np.ptp(values) > 0 and np.ptp(others) > 0
    correlation = float(np.corrcoef(values, others)[0, 1]) if differs else float("nan")
    return (replace(mean(values - others, prior), n=n) if n else NOTHING), correlation


def _spread(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pseudo-values, one for each trial."""
    found = pseudo_values(values, weights)
    if len(found) == len(values):
        return found
    middle = float(np.mean(found)) if len(found) else np.nan  # without weights the gaps are left out
    return np.where(np.isnan(values), middle, (values - middle) * (len(values) / max(len(found), 1)) + middle)
