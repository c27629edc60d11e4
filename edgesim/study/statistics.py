"""Estimates with 95 % intervals, and exact values of enumerated distributions."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate and its interval: `value`, `low` and `high` are NaN where there is none; `n` values went into it."""

    value: float
    low: float
    high: float
    n: int


NOTHING = Estimate(nan, nan, nan, 0)


def mean(values: NDArray[np.float64]) -> Estimate:
    r"""Return the mean with Student's interval, m ± t s / sqrt(n).

    m is the mean, s the standard deviation with n - 1, t the 97.5 % point of Student's distribution with n - 1 degrees of
    freedom. Valid when the values are independent and either normal or many; for few values of a skewed distribution the
    interval covers less than 95 %. When all values are equal the interval collapses onto the mean: that is right where
    nothing is random, and says nothing about rare events that were not met. One value has no interval, unless nothing
    differs, which cannot be seen from one value: low and high are NaN.

    Examples
    --------
    >>> e = mean(np.array([1.0, 2.0, 3.0]))  # s = 1, t(2) = 4.3027
    >>> f"{e.value} {e.high - e.value:.4f} {e.n}"
    '2.0 2.4841 3'
    """
    n = len(values)
    if n == 0:
        return NOTHING
    if np.all(values == values[0]):  # also keeps the rounding of the sum out of a value that is known
        edge = float(values[0]) if n > 1 else nan
        return Estimate(float(values[0]), edge, edge, n)
    from scipy.special import stdtrit

    middle = float(np.mean(values))
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * float(np.std(values, ddof=1)) / sqrt(n)
    return Estimate(middle, middle - half, middle + half, n)


def quantile(values: NDArray[np.float64], probability: float) -> Estimate:
    """Return a quantile with an interval made of two order statistics.

    The estimate is the smallest value x with at least ``probability * n`` values not above it. The number of values below
    the true quantile is binomial whatever the distribution; the interval runs from the l-th to the u-th smallest value,
    with l and u - 1 the 2.5 % and 97.5 % points of that binomial. It covers at least 95 % for independent values. Too few
    values have no bound on one side, which is then NaN: for the 95th percentile the upper bound needs 72 values. When all
    values are equal the interval collapses, as for `mean`.

    References
    ----------
    H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed., Wiley 2003, section 7.1, doi 10.1002/0471722162.
    """
    n = len(values)
    if n == 0:
        return NOTHING
    ordered = np.sort(values)
    value = float(np.quantile(ordered, probability, method="inverted_cdf"))
    if n > 1 and ordered[0] == ordered[-1]:
        return Estimate(value, value, value, n)
    from scipy.stats import binom

    lower = int(binom.ppf((1 - CONFIDENCE) / 2, n, probability))
    upper = int(binom.ppf((1 + CONFIDENCE) / 2, n, probability)) + 1
    low = float(ordered[lower - 1]) if lower >= 1 else nan
    high = float(ordered[upper - 1]) if upper <= n else nan
    return Estimate(value, low, high, n)


def share(is_true: NDArray[np.bool_]) -> Estimate:
    """Return a share with Wilson's score interval, which is valid for few values and near 0 and 1.

    References
    ----------
    E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22(158):209-212, 1927,
    doi 10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> e = share(np.array([True] * 8 + [False] * 2))
    >>> f"{e.value} {e.low:.4f} {e.high:.4f}"
    '0.8 0.4902 0.9433'
    """
    n = len(is_true)
    if n == 0:
        return NOTHING
    from scipy.special import ndtri

    z = float(ndtri(0.5 + CONFIDENCE / 2))
    p = float(np.count_nonzero(is_true)) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # at 0 and 1 the bound on that side is the share itself; the formula gives it up to rounding
    return Estimate(p, 0.0 if p == 0 else middle - half, 1.0 if p == 1 else middle + half, n)


def exact_mean(values: NDArray[np.float64], probabilities: NDArray[np.float64]) -> float:
    """Return the expectation of a distribution given by its outcomes; NaN without outcomes."""
    if len(values) == 0:
        return nan
    if np.all(values == values[0]):
        return float(values[0])
    return fsum(values * probabilities) / fsum(probabilities)


def exact_quantile(values: NDArray[np.float64], probabilities: NDArray[np.float64], probability: float) -> float:
    """Return the smallest x with P(X <= x) >= `probability`; NaN without outcomes."""
    if len(values) == 0:
        return nan
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(probabilities[order])
    # the tolerance keeps the rounding of the sum from stepping over an outcome that ends exactly at the probability
    position = int(np.searchsorted(reached, probability * reached[-1] - 1e-12))
    return float(values[order][position])
