"""Random variables by inversion of one uniform, so that a larger parameter gives a larger value from the same draw."""

from __future__ import annotations

from math import ceil, exp, inf, log1p
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def exponential(uniform: float, mean: float) -> float:
    """Return an exponential variable: -mean ln(1 - u), for u in [0, 1).

    Examples
    --------
    >>> exponential(0.0, mean=2.0), round(exponential(0.5, mean=2.0), 4)  # the median is 2 ln 2
    (0.0, 1.3863)
    """
    return -mean * log1p(-uniform)


def exponentials(uniforms: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """Return `exponential` of many uniforms, in their place; shape (m,).

    Examples
    --------
    >>> import numpy as np
    >>> exponentials(np.array([0.5, 0.75]), mean=1.0).round(4).tolist()  # ln 2 and ln 4
    [0.6931, 1.3863]
    """
    import numpy as np

    np.subtract(1.0, uniforms, out=uniforms)  # exact, since numpy's uniforms are multiples of 2^-53
    np.log(uniforms, out=uniforms)
    uniforms *= -mean
    return uniforms


def geometric(uniform: float, probability: float) -> float:
    """Return the number of trials up to the first success, at least 1; inf when there is none.

    Examples
    --------
    >>> [geometric(u, 0.5) for u in (0.0, 0.49, 0.51, 0.76)]  # P(X <= 1, 2, 3) = 0.5, 0.75, 0.875
    [1.0, 1.0, 2.0, 3.0]
    """
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


def binomials(uniforms: NDArray[np.float64], n: NDArray[np.int64], probability: float) -> NDArray[np.int64]:
    """Return `binomial` of many uniforms, each with its own number of trials; shape (m,)."""
    import numpy as np

    found = np.where(probability >= 1.0, n, np.zeros_like(n))
    if not 0.0 < probability < 1.0:
        return found
    some = np.flatnonzero((n > 0) & (uniforms >= np.exp(n * log1p(-probability))))
    if not len(some):
        return found
    from scipy.special import bdtr, bdtrik

    u, m = uniforms[some], n[some]
    k = np.ceil(bdtrik(u, m, probability) - 1e-9)
    while (is_above := (k > 0) & (bdtr(k - 1, m, probability) > u)).any():
        k -= is_above
    while (is_below := (k < m) & (bdtr(k, m, probability) <= u)).any():
        k += is_below
    found[some] = np.clip(k, 0, m).astype(np.int64)
    return found
