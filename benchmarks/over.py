"""Means over seeds or folds with Student's interval, for tables of benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.study.tables.statistics import student

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean and half the width of its 95 % interval; NaN for a single value."""

    value: float
    half_width: float
    n: int


def mean(values: NDArray[np.float64]) -> Mean:
    """Return the mean with its interval."""
    found = student(values)
    return Mean(found.value, found.high - found.value, found.n)
