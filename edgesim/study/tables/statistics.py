"""Estimates with 95 % intervals, and exact values of enumerated distributions."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, fsum, hypot, inf, isfinite, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95
NORMAL = 1.959963984540054
"""The 97.5 % point of the normal distribution, ``scipy.special.ndtri(0.975)``: loading that takes longer than a small study simulates."""
N_ENOUGH = 25
"""So many events make a mean near enough to normal: Cochran's n > 25 G^2, with G the skewness, for events that are rare and alike."""
N_SEEN = 3.69
"""Of events that are expected so many times, -ln 0.025, one is met with the probability 97.5 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate and its interval: `value`, `low` and `high` are NaN where there is none; `n` values went into it."""

    value: float
    low: float
    high: float
    n: int


NOTHING = Estimate(nan, nan, nan, 0)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a quantity before any of its values is drawn.

    Parameters
    ----------
    lowest, highest : between which its values lie.
    any_strike : probability that anything random strikes in a trial; 0: all values are the same, and that is known.
    rare_strike : the same of what is so rare that the trials at hand may not have met it.
    """

    lowest: float = -inf
    highest: float = inf
    any_strike: float = 0.0
    rare_strike: float = 0.0


CERTAIN = Prior()


def mean(values: NDArray[np.float64], prior: Prior = CERTAIN) -> Estimate:
    r"""Return the mean with Student's interval, m ± t s / sqrt(n), or a wider one where it would not hold.

    m is the mean, s the standard deviation with n - 1, t the 97.5 % point of Student's distribution with n - 1 degrees of
    freedom. It holds when the values are independent and either normal or many; for few values of a skewed distribution it
    covers less than 95 %. Therefore:

    - Where most values are the same, and the others make up fewer than `N_ENOUGH` events (Kish's effective number of their
      distances), the interval is `of_few_events`. Where something rare can strike, it is the wider one of the two.
    - Where all values are the same although something can strike, what was not met in n trials happens with a probability of at
      most 1 - 0.025^(1/n) (rule of three), and may have the value `Prior.lowest` or `Prior.highest`.
    - What is so rare that it may not have been met at all (`Prior.rare_strike`, with probability r) widens the interval to
      [(1 - r) low + r lowest, (1 - r) high + r highest]. It holds whatever such a strike does, so it covers more than 95 %.

    A side without a bound is NaN. When all values are equal and nothing can strike, the interval is the mean. One value has no
    interval.

    References
    ----------
    W. G. Cochran, Sampling Techniques, 3rd ed., Wiley 1977, section 2.15 (when the normal approximation holds). J. A. Hanley,
    A. Lippman-Hand, If Nothing Goes Wrong, Is Everything All Right?, JAMA 249(13):1743-1745, 1983, doi
    10.1001/jama.1983.03330370053031 (rule of three).

    Examples
    --------
    >>> e = mean(np.array([1.0, 2.0, 3.0]))  # s = 1, t(2) = 4.3027
    >>> f"{e.value} {e.high - e.value:.4f} {e.n}"
    '2.0 2.4841 3'
    """
    n = len(values)
    if n == 0:
        return NOTHING
    if n == 1:
        return Estimate(float(values[0]), nan, nan, 1)
    if np.all(values == values[0]):  # also keeps the rounding of the sum out of a value that is known
        middle = float(values[0])
        unmet = min(prior.any_strike, 1.0 - (0.5 - CONFIDENCE / 2) ** (1 / n))
        return _widened(Estimate(middle, middle, middle, n), unmet, prior)
    return _widened(_from_spread(values, has_rare=prior.rare_strike > 0), prior.rare_strike, prior)


def _from_spread(values: NDArray[np.float64], *, has_rare: bool) -> Estimate:
    """Return the mean of values that differ, with the interval that their spread gives."""
    centre = float(np.median(values))
    distances = values - centre
    is_event = distances != 0.0
    n_events = float(np.sum(np.abs(distances))) ** 2 / float(np.sum(distances**2))
    is_majority_equal = 2 * np.count_nonzero(is_event) < len(values)
    if n_events >= N_ENOUGH or not (is_majority_equal or has_rare):
        return student(values)
    few, other = of_few_events(centre, distances[is_event], len(values)), student(values)
    if is_majority_equal:
        return Estimate(other.value, few.low, few.high, few.n)
    # Student's allows for few values, as gamma distributions do not
    return Estimate(other.value, min(few.low, other.low), max(few.high, other.high), other.n)


def student(values: NDArray[np.float64]) -> Estimate:
    """Return the mean with Student's interval, m ± t s / sqrt(n), whatever the values: for few that are nearly normal, as means over folds.

    One value has no interval.

    Examples
    --------
    Four of five are equal, and the interval is that of any five values: s = 0.4472, t(4) = 2.7764.

    >>> e = student(np.array([1.0, 1.0, 1.0, 1.0, 2.0]))
    >>> f"{e.value} {e.high - e.value:.4f} {student(np.array([1.0])).high}"
    '1.2 0.5553 nan'
    """
    if len(values) < 2:
        return Estimate(float(np.mean(values)) if len(values) else nan, nan, nan, len(values))
    if np.all(values == values[0]):  # keeps the rounding of the sum out of it
        return Estimate(float(values[0]), float(values[0]), float(values[0]), len(values))
    from scipy.special import stdtrit  # only for values that differ, since loading it takes a while

    n, middle = len(values), float(np.mean(values))
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * float(np.std(values, ddof=1)) / sqrt(n)
    return Estimate(middle, middle - half, middle + half, n)


def of_few_events(centre: float, distances: NDArray[np.float64], n: int) -> Estimate:
    """Return the mean of n values that are all `centre` but for a few, which lie these distances from it.

    The sum of the distances of one sign is that of a Poisson number of events of unequal weight: its interval is Fay and Feuer's,
    from gamma distributions, which for equal weights is the exact one of a Poisson count. Above it takes in one more event as
    heavy as the heaviest that was met, so it rather covers more than 95 %. Both signs are joined by the squares of their distances
    from the estimate (Zou and Donner).

    References
    ----------
    M. P. Fay, E. J. Feuer, Confidence intervals for directly standardized rates: a method based on the gamma distribution,
    Statistics in Medicine 16(7):791-801, 1997. G. Y. Zou, A. Donner, Construction of confidence limits about effect measures: A
    general approach, Statistics in Medicine 27(10):1693-1702, 2008, doi 10.1002/sim.3095.

    Examples
    --------
    One of 100 values is 0, the others 1: between 0.0253 and 5.5716 losses (Poisson) per 100.

    >>> e = of_few_events(1.0, np.array([-1.0]), 100)
    >>> f"{e.value} {e.low:.6f} {e.high:.6f}"
    '0.99 0.944284 0.999747'
    """
    up, up_low, up_high = _weighted_events(distances[distances > 0])
    down, down_low, down_high = _weighted_events(-distances[distances < 0])
    middle = centre + (up - down) / n
    return Estimate(
        middle, middle - hypot(up - up_low, down_high - down) / n, middle + hypot(up_high - up, down - down_low) / n, n
    )


def _weighted_events(weights: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the sum of the weights of events, and its interval; 0 where none was met."""
    if not len(weights):
        return 0.0, 0.0, 0.0
    from scipy.special import gammaincinv

    total, squares, heaviest = float(np.sum(weights)), float(np.sum(weights**2)), float(np.max(weights))

    def point(mean: float, variance: float, probability: float) -> float:
        return float(gammaincinv(mean * mean / variance, probability)) * variance / mean

    low = point(total, squares, 0.5 - CONFIDENCE / 2)
    return total, low, point(total + heaviest, squares + heaviest**2, 0.5 + CONFIDENCE / 2)


def _widened(estimate: Estimate, unmet: float, prior: Prior) -> Estimate:
    """Return an interval that also holds when, with the probability `unmet`, a value is anything between the bounds."""

    def end(edge: float, bound: float) -> float:
        if unmet == 0.0:
            return edge
        return (1.0 - unmet) * edge + unmet * bound if isfinite(bound) else nan

    low, high = end(estimate.low, prior.lowest), end(estimate.high, prior.highest)
    # a bound that is known from other values may miss the mean by rounding
    low = float(np.minimum(np.maximum(low, prior.lowest), estimate.value))
    high = float(np.maximum(np.minimum(high, prior.highest), estimate.value))
    return Estimate(estimate.value, low, high, estimate.n)


def quantile(values: NDArray[np.float64], probability: float, prior: Prior = CERTAIN) -> Estimate:
    """Return a quantile with an interval made of two order statistics.

    The estimate is the smallest value x with at least ``probability * n`` values not above it. The number of values below
    the true quantile is binomial whatever the distribution; the interval runs from the l-th to the u-th smallest value,
    with l and u - 1 the 2.5 % and 97.5 % points of that binomial. It covers at least 95 % for independent values. Too few
    values have no bound on one side, which is then NaN: for the 95th percentile the upper bound needs 72 values. When all
    values are equal and nothing can strike, the interval is the value.

    References
    ----------
    H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed., Wiley 2003, section 7.1, doi 10.1002/0471722162.

    Examples
    --------
    The median of five values; of Binomial(5, 1/2) the 2.5 % and 97.5 % points are 0 and 5, so few values bound neither side.

    >>> e = quantile(np.array([5.0, 1.0, 4.0, 2.0, 3.0]), 0.5)
    >>> e.value, e.low, e.high
    (3.0, nan, nan)
    """
    n = len(values)
    if n == 0:
        return NOTHING
    ordered = np.sort(values)
    value = float(np.quantile(ordered, probability, method="inverted_cdf"))
    if n > 1 and ordered[0] == ordered[-1] and prior.any_strike == 0.0:
        return Estimate(value, value, value, n)
    if n == 1 and min(probability, 1 - probability) > (1 - CONFIDENCE) / 2:  # has no bound, as the binomial would say
        return Estimate(value, nan, nan, n)
    lower = _successes((1 - CONFIDENCE) / 2, n, probability)
    upper = _successes((1 + CONFIDENCE) / 2, n, probability) + 1
    low = float(ordered[lower - 1]) if lower >= 1 else nan
    high = float(ordered[upper - 1]) if upper <= n else nan
    return Estimate(value, low, high, n)


def _successes(reached: float, n: int, probability: float) -> int:
    """Return the smallest number of successes in n trials up to which this much probability lies, as ``scipy.stats.binom.ppf``.

    Only the functions behind it are loaded, which takes a third of the time.
    """
    from scipy.special import bdtr, bdtrik

    k = ceil(float(bdtrik(reached, n, probability)))
    below = max(k - 1, 0)
    return below if float(bdtr(below, n, probability)) >= reached else k


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
    z = NORMAL
    p = float(np.count_nonzero(is_true)) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # at 0 and 1 the bound on that side is the share itself; the formula gives it up to rounding
    return Estimate(p, 0.0 if p == 0 else middle - half, 1.0 if p == 1 else middle + half, n)


def exact_mean(values: NDArray[np.float64], probabilities: NDArray[np.float64]) -> float:
    """Return the expectation of a distribution given by its outcomes; NaN without outcomes.

    Examples
    --------
    >>> exact_mean(np.array([1.0, 0.0]), np.array([0.75, 0.25]))
    0.75
    """
    if len(values) == 0:
        return nan
    if np.all(values == values[0]):
        return float(values[0])
    return fsum(values * probabilities) / fsum(probabilities)


def exact_quantile(values: NDArray[np.float64], probabilities: NDArray[np.float64], probability: float) -> float:
    """Return the smallest x with P(X <= x) >= `probability`; NaN without outcomes.

    Examples
    --------
    >>> values, probabilities = np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.5, 0.25])
    >>> [exact_quantile(values, probabilities, p) for p in (0.5, 0.6, 0.95)]  # P(X <= 1, 2, 3) = 0.5, 0.75, 1
    [1.0, 2.0, 3.0]
    """
    if len(values) == 0:
        return nan
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(probabilities[order])
    # the tolerance keeps the rounding of the sum from stepping over an outcome that ends exactly at the probability
    position = int(np.searchsorted(reached, probability * reached[-1] - 1e-12))
    return float(values[order][position])
