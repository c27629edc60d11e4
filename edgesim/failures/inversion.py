"""Random variables by inversion of one uniform, so that a larger parameter gives a larger value from the same draw."""

from __future__ import annotations

from math import ceil, exp, inf, log1p


def exponential(uniform: float, mean: float) -> float:
    """Return an exponential variable: -mean ln(1 - u), for u in [0, 1)."""
    return -mean * log1p(-uniform)


def geometric(uniform: float, probability: float) -> float:
    """Return the number of trials up to the first success, at least 1; inf when there is none."""
    if probability >= 1.0:
        return 1.0
    if probability <= 0.0:
        return inf
    return 1.0 + float(int(log1p(-uniform) / log1p(-probability)))


def binomial(uniform: float, n: int, probability: float) -> int:
    """Return the number of successes in n trials: the smallest k with P(X <= k) > u.

    Examples
    --------
    >>> [binomial(u, 2, 0.5) for u in (0.2, 0.3, 0.74, 0.76)]  # P(X <= 0, 1, 2) = 0.25, 0.75, 1
    [0, 1, 1, 2]
    """
    if probability >= 1.0 or n == 0:
        return n
    if probability <= 0.0 or uniform < exp(n * log1p(-probability)):
        return 0
    from scipy.special import bdtr, bdtrik  # only when something is lost, since loading it takes a while

    k = ceil(float(bdtrik(uniform, n, probability)) - 1e-9)
    while k > 0 and float(bdtr(k - 1, n, probability)) > uniform:
        k -= 1
    while k < n and float(bdtr(k, n, probability)) <= uniform:
        k += 1
    return min(max(k, 0), n)
