"""Paired comparisons: strategies meet the same failures, so their differences are far surer than their values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from edgesim.study.design import Shared, same_point
from edgesim.study.load import METRICS
from edgesim.study.statistics import Estimate, mean
from edgesim.study.summary import UNITS, values_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.study.execute import Work
    from edgesim.study.parts import Parts


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


def differences_of(shared: Shared, work: Work, parts: Parts) -> list[Difference]:
    """Return the differences between every two strategies at every factor point, replication by replication.

    A replication counts for a metric when both have a value: for latency, when both have an answer.
    """
    found: list[Difference] = []
    for positions in same_point(shared.cases):
        if len(positions) < 2:
            continue
        values = {
            position: values_of(*parts.read(work.of_case(position, is_enumeration=False))) for position in positions
        }
        for first, second in combinations(positions, 2):
            found += [
                Difference(second, first, metric, *_compare(values[second][metric], values[first][metric]))
                for metric in (*UNITS, *METRICS)
                if metric in values[first] and metric in values[second]
            ]
    return found


def _compare(values: NDArray[np.float64], others: NDArray[np.float64]) -> tuple[Estimate, float]:
    both = ~np.isnan(values) & ~np.isnan(others)
    values, others = values[both], others[both]
    differs = len(values) > 1 and np.ptp(values) > 0 and np.ptp(others) > 0
    return mean(values - others), float(np.corrcoef(values, others)[0, 1]) if differs else float("nan")
