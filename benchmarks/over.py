"""Means over seeds or folds with Student's interval: for tables of benchmarks, whose values may coincide by chance."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean and half the width of its 95 % interval, t s / sqrt(n); NaN for a single value."""

    value: float
    half_width: float
    n: int


def mean(values: NDArray[np.float64]) -> Mean:
    """Return the mean with its interval."""
    n = len(values)
    half_width = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else nan
    return Mean(float(np.mean(values)), half_width, n)
