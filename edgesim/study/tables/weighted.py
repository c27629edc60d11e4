"""Estimates from trials that were drawn by importance sampling, each with its weight.

The weight w of a trial is the probability of what was drawn over that with which it was drawn, so its mean is 1, and the
mean of w x is that of x. All intervals come from *pseudo-values*: one number per trial, whose mean is the estimate and whose
spread gives its standard error, as a mean of independent values would have it.
"""

from __future__ import annotations

from dataclasses import replace
from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from edgesim.study.tables.statistics import CERTAIN, NORMAL, NOTHING, Estimate, Prior, mean, quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray


def are_equal(weights: NDArray[np.float64]) -> bool:
    """Return whether nothing is weighted: every trial was drawn as often as it happens.

    Examples
    --------
    >>> are_equal(np.array([1.0, 1.0])), are_equal(np.array([0.5, 1.5]))
    (True, False)
    """
    return bool(np.all(weights == 1.0))


def n_effective(weights: NDArray[np.float64]) -> float:
    """Return the effective sample size, (sum w)^2 / sum w^2: so many unweighted trials tell as much of a typical quantity.

    Of a quantity that hangs on rare trials the weighted ones tell far more than this; their intervals say how much.

    References
    ----------
    L. Kish, Survey Sampling, Wiley 1965, section 11.2.

    Examples
    --------
    >>> n_effective(np.array([2.0, 1.0, 1.0]))  # 16 / 6
    2.6666666666666665
    """
    total = float(np.sum(weights))
    return total * total / float(np.sum(weights * weights)) if total > 0 else 0.0


def pseudo_values(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers whose mean estimates that of weighted values; shape (n,).

    Without gaps: w x - b (w - 1), where b is the slope of w x over w. The mean of w is known to be 1; what a sample of
    weights is off by explains most of the error of the mean of w x, and is taken out (regression estimator). With gaps (NaN)
    the mean of the others is estimated by r = sum w x / sum w, and the numbers are r + w (x - r) / mean(w), with w = 0 in a gap
    (ratio estimator). Both are biased by the order of 1 / n. Without weights the values themselves, gaps left out.

    References
    ----------
    A. B. Owen, Monte Carlo Theory, Methods and Examples, 2013, sections 8.9 (control variates) and 9.2 (self-normalised).

    Examples
    --------
    With a gap: the mean of the others is (2 x 1 + 1 x 4) / 3 = 2, the mean weight there 1; 2 + 2 (1 - 2), 2 + 1 (4 - 2), and 2 in the gap.

    >>> pseudo_values(np.array([1.0, 4.0, np.nan]), np.array([2.0, 1.0, 1.0])).tolist()
    [0.0, 4.0, 2.0]
    """
    is_known = ~np.isnan(values)
    if are_equal(weights) or not is_known.any():
        return values[is_known]
    known = values[is_known]
    if np.all(known == known[0]):
        return np.full(len(values), known[0])
    if is_known.all():
        products = weights * values
        deviations = weights - np.mean(weights)
        # sums, since a dot product may round otherwise wherever its arrays lie in memory
        slope = float(np.sum(deviations * products)) / max(float(np.sum(deviations**2)), np.finfo(float).tiny)
        return products - slope * (weights - 1.0)
    here = np.where(is_known, weights, 0.0)
    filled = np.where(is_known, values, 0.0)
    ratio = float(np.sum(here * filled) / np.sum(here))
    return ratio + here * (filled - ratio) / float(np.mean(here))


def weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64], prior: Prior = CERTAIN) -> Estimate:
    """Return the mean of weighted values with the interval of a mean of `pseudo_values`; gaps (NaN) count as no value.

    Where the slope explains everything, the interval is as narrow as the rounding of the numbers, which is added to both ends.

    Examples
    --------
    >>> weighted_mean(np.array([1.0, 4.0, np.nan]), np.array([2.0, 1.0, 1.0])).value  # (2 x 1 + 1 x 4) / 3
    2.0
    """
    n_known = int(np.count_nonzero(~np.isnan(values)))
    if not n_known:
        return NOTHING
    numbers = pseudo_values(values, weights)
    found = mean(numbers, prior)
    if are_equal(weights) or np.all(numbers == numbers[0]):
        return replace(found, n=n_known)
    rounding = 16 * float(np.finfo(float).eps * np.max(np.abs(numbers)))
    low = float(np.maximum(found.low - rounding, prior.lowest))
    high = float(np.minimum(found.high + rounding, prior.highest))
    return Estimate(found.value, low, high, n_known)


def weighted_quantile(
    values: NDArray[np.float64], weights: NDArray[np.float64], probability: float, prior: Prior = CERTAIN
) -> Estimate:
    """Return a quantile of weighted values: the smallest value with at least that share of the weight not above it.

    Without weights as `edgesim.study.tables.statistics.quantile`. Otherwise the interval holds the quantiles at the ends of the
    interval of the share itself, whose error is that of a ratio estimator; where no value is above the quantile, that of a share of
    `n_effective` values.

    References
    ----------
    R. S. Woodruff, Confidence Intervals for Medians and Other Position Measures, JASA 47(260):635-646, 1952, doi
    10.1080/01621459.1952.10483443.

    Examples
    --------
    >>> weighted_quantile(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 1.0]), 0.5).value  # 1 has half of the weight
    1.0
    """
    is_known = ~np.isnan(values)
    known, own = values[is_known], weights[is_known]
    if are_equal(own):
        return quantile(known, probability, prior)
    order = np.argsort(known, kind="stable")
    known, own = known[order], own[order]
    shares = np.cumsum(own) / np.sum(own)

    def at(share: float) -> float:
        return float(known[min(int(np.searchsorted(shares, share - 1e-12)), len(known) - 1)])

    value = at(probability)
    if known[0] == known[-1]:
        return Estimate(value, value, value, len(known))
    reached = float(np.sum(own[known <= value]) / np.sum(own))
    errors = own * ((known <= value) - reached) / float(np.mean(own))
    error = float(np.std(errors, ddof=1)) / sqrt(len(known))
    if error == 0.0:  # nothing above was met, which says little
        error = sqrt(probability * (1 - probability) / n_effective(own))
    half = NORMAL * error
    low, high = probability - half, probability + half
    return Estimate(value, at(low) if low > 0 else nan, at(high) if high < 1 else nan, len(known))
