"""Paired comparisons: strategies meet the same failures, so their differences are far surer than their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.metrics import PEOPLE_METRICS, RECOVERY_METRICS
from edgesim.study.cases.design import same_point
from edgesim.study.cases.shared import Shared
from edgesim.study.tables.known import Known, known_of, of_difference
from edgesim.study.tables.statistics import CERTAIN, NOTHING, Estimate, Prior, mean
from edgesim.study.tables.summary import UNITS, values_of
from edgesim.study.tables.weighted import are_equal, pseudo_values
from edgesim.study.trials.load import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.study.cases.tasks import Block, Work
    from edgesim.study.trials.trials import Trials

    Read = Callable[[Sequence[Block]], tuple[Trials, Mapping[str, NDArray[np.float64]]]]
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


def differences_of(shared: Shared, work: Work, read: Read) -> list[Difference]:
    """Return the differences between every two strategies at every factor point, replication by replication.

    A replication counts for a metric when both have a value: for latency, when both have an answer. `read` returns the trials of some
    tasks and their scores.
    """
    found: list[Difference] = []
    for positions in same_point(shared.cases):
        if len(positions) < 2:
            continue
        found_there = {position: read(work.of_case(position, is_enumeration=False)) for position in positions}
        values = {position: values_of(*there) for position, there in found_there.items()}
        weights = {position: trials.weight for position, (trials, _) in found_there.items()}
        known = {position: _known(shared, work, read, position) for position in positions}
        for first, second in combinations(positions, 2):
            found += [
                Difference(
                    second,
                    first,
                    metric,
                    *compared(
                        (values[second][metric], weights[second]),
                        (values[first][metric], weights[first]),
                        _prior(shared, (second, first), known, metric, len(weights[first])),
                    ),
                )
                for metric in dict.fromkeys(
                    (*(score.name for score in shared.scores), *UNITS, *METRICS, *PEOPLE_METRICS, *RECOVERY_METRICS)
                )
                if metric in values[first] and metric in values[second]
            ]
    return found


def _known(shared: Shared, work: Work, read: Read, position: int) -> Known:
    """Return what is known of a case, its enumerated outcomes included."""
    enumerated, scores = read(work.of_case(position, is_enumeration=True))
    return known_of(shared, shared.cases[position]).within(values_of(enumerated, scores), enumerated.weight)


def _prior(shared: Shared, pair: tuple[int, int], known: dict[int, Known], metric: str, n: int) -> Prior:
    """Return what is known of a difference; strategies with one deployment do not differ."""
    one, other = pair
    is_same = shared.cases[one].prepared == shared.cases[other].prepared
    return CERTAIN if is_same else of_difference(metric, known[one], known[other], n)


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
