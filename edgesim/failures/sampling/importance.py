"""Importance sampling: how much a trial weighs whose losses were drawn with another probability than theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def ratio_of(probability: float, sampled_at: float, n_lost: int, n: int) -> float:
    """Return the probability of losing certain `n_lost` of `n` things at `probability`, over that at `sampled_at`.

    (p / q)^k ((1 - p) / (1 - q))^(n - k), for p = `probability`, q = `sampled_at`, k = `n_lost`.

    Examples
    --------
    >>> ratio_of(0.01, 0.5, 1, 2)  # 0.02 * 1.98
    0.0396
    """
    return float((probability / sampled_at) ** n_lost * ((1 - probability) / (1 - sampled_at)) ** (n - n_lost))


def ratios_of(
    probability: float,
    sampled_at: float,
    n_lost: NDArray[np.int64] | NDArray[np.bool_],
    n: NDArray[np.int64] | NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return `ratio_of` for many numbers; shape (m,)."""
    import numpy as np

    lost = np.asarray(n_lost, dtype=np.float64)
    lost_ratio, kept_ratio = probability / sampled_at, (1 - probability) / (1 - sampled_at)
    ratios: NDArray[np.float64] = lost_ratio**lost * kept_ratio ** (np.asarray(n, dtype=np.float64) - lost)
    return ratios
