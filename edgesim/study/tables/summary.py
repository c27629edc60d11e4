"""From trials to the rows of the summary table: every metric of every case with its interval and exact expectation."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.metrics import MEMORY_AVAILABLE, UNITS
from edgesim.study.tables.statistics import NOTHING, Estimate, exact_mean, exact_quantile, share
from edgesim.study.tables.weighted import are_equal, n_effective, weighted_mean, weighted_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.study.cases.design import Unfit
    from edgesim.study.tables.known import Known
    from edgesim.study.trials.trials import Trials

P95 = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one case; `exact` is NaN where no exact expectation exists, `n_effective` see `edgesim.study.tables.weighted`."""

    metric: str
    estimate: Estimate
    exact: float
    n_effective: float


def values_of(trials: Trials, scores: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the values of every metric that each trial has, by metric; latency is NaN without an answer."""
    parts = [trials.input_byte, trials.intermediate_byte, trials.result_byte]
    return {
        **trials.load,
        **scores,
        "latency": trials.latency_s,
        "traffic": np.sum(parts, axis=0).astype(np.float64),
        "traffic_input": parts[0].astype(np.float64),
        "traffic_intermediate": parts[1].astype(np.float64),
        "traffic_result": parts[2].astype(np.float64),
        "energy": trials.energy_j,
    }


def summarise(
    drawn: dict[str, NDArray[np.float64]],
    weights: NDArray[np.float64],
    enumerated: dict[str, NDArray[np.float64]],
    probabilities: NDArray[np.float64],
    peak_memory_byte: int,
    *,
    known: Known,
    scores: Sequence[str],
) -> list[Row]:
    """Return the rows of one case.

    Latency is over the trials with an answer, and its number of values says how many those are. A trial without an answer
    counts in the scores with what it is worth.

    Parameters
    ----------
    drawn : values of the drawn trials, by metric; see `values_of`.
    weights : of the drawn trials; 1 but with importance sampling.
    enumerated : the same of all possible outcomes; empty arrays when they were not enumerated.
    probabilities : of the outcomes.
    peak_memory_byte : of the device that needs most.
    known : what is known of the case besides.
    scores : which of the metrics are scores; they come first.
    """
    is_answered = ~np.isnan(drawn["latency"])
    exact_latency_s = enumerated["latency"]
    can_answer = ~np.isnan(exact_latency_s) & (probabilities > 0)
    answer_weights = probabilities[can_answer]
    known = known.within(enumerated, probabilities)
    rows = []
    for metric in dict.fromkeys((*scores, *UNITS, *drawn)):
        values, exact = drawn.get(metric, drawn["latency"]), nan
        prior = known.prior(metric, len(weights))
        if metric in drawn and metric not in enumerated:  # of trials under load, which are never enumerated
            estimate = weighted_mean(values, weights, prior)
        elif metric == "latency":
            estimate = weighted_mean(values, weights, prior)
            exact = exact_mean(exact_latency_s[can_answer], answer_weights)
        elif metric == "latency_p95":
            estimate = weighted_quantile(values, weights, P95, prior)
            exact = exact_quantile(exact_latency_s[can_answer], answer_weights, P95)
        elif metric in scores:
            if np.isnan(drawn[scores[0]]).all():
                continue  # nothing was asked; a score alone may be undefined everywhere
            estimate, exact = weighted_mean(values, weights, prior), exact_mean(enumerated[metric], probabilities)
        elif metric == "answered":
            values = is_answered.astype(np.float64)
            estimate = share(is_answered) if are_equal(weights) else weighted_mean(values, weights, prior)
            exact = exact_mean(can_answer.astype(np.float64), probabilities)
        elif metric == "peak_memory":
            exact = float(peak_memory_byte)
            estimate = Estimate(exact, exact, exact, len(is_answered))
        else:
            estimate, exact = weighted_mean(values, weights, prior), exact_mean(enumerated[metric], probabilities)
        is_known = ~np.isnan(values) if metric != "peak_memory" else slice(None)
        rows.append(Row(metric, estimate, exact, n_effective(weights[is_known])))
    return rows


def summarise_unfit(unfit: Unfit, metrics: Sequence[str]) -> list[Row]:
    """Return the rows of a strategy that does not fit: nothing of these metrics but the memory it needs, and what is there."""
    known = {"peak_memory": float(unfit.needed_byte), MEMORY_AVAILABLE.name: float(unfit.available_byte)}
    return [
        Row(metric, Estimate(known[metric], known[metric], known[metric], 0), known[metric], 0.0)
        if metric in known
        else Row(metric, NOTHING, nan, 0.0)
        for metric in (*metrics, MEMORY_AVAILABLE.name)
    ]


def show_number(value: float) -> str:
    """Return a number with ten significant digits, the same everywhere; empty when there is none.

    Examples
    --------
    >>> show_number(1 / 3), show_number(-0.0), show_number(float("nan"))
    ('0.3333333333', '0', '')
    """
    return "" if isnan(value) else f"{value + 0.0:.10g}"  # adding 0.0 turns -0.0 into 0.0
