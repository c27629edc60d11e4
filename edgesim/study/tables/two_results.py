"""How much more of a metric one result has than another."""

from __future__ import annotations

from dataclasses import replace
from math import hypot, isnan, nan
from typing import TYPE_CHECKING

from edgesim.study.tables.paired import compared
from edgesim.study.tables.statistics import CERTAIN, Estimate
from edgesim.study.tables.weighted import weighted_mean

if TYPE_CHECKING:
    from edgesim.study.tables.paired import Weighted

ROUNDING = 1e-9
"""Relative error of numbers that tables hold with ten digits."""


def unpaired(one: Estimate, other: Estimate) -> Estimate:
    """Return the difference `other` - `one` of independent estimates, with an interval made of theirs.

    With values a and b and intervals (a1, a2) and (b1, b2) it is from d - sqrt((b - b1)^2 + (a2 - a)^2) to d + sqrt((b2 - b)^2 + (a - a1)^2),
    d = b - a. A bound that is missing is missing in the difference.

    References
    ----------
    G. Y. Zou, A. Donner, Construction of confidence limits about effect measures: a general approach, Statistics in Medicine
    27(10):1693-1702, 2008, section 2, doi 10.1002/sim.3095.

    Examples
    --------
    >>> unpaired(Estimate(1.0, 0.7, 1.3, 9), Estimate(3.0, 2.6, 3.4, 9))
    Estimate(value=2.0, low=1.5, high=2.5, n=9)
    """
    difference = other.value - one.value
    below = hypot(other.value - other.low, one.high - one.value)
    above = hypot(other.high - other.value, one.value - one.low)
    return Estimate(difference, difference - below, difference + above, min(one.n, other.n))


def paired(one: Weighted, other: Weighted, estimates: tuple[Estimate, Estimate]) -> Estimate:
    """Return the difference `other` - `one` of values of the same replications, with the interval of its mean.

    The interval is wider on each side by what those of the estimates of the results allow for beyond the intervals of means of their
    values alone: for what is rare and was not met, and for shares near 0 and 1.

    Parameters
    ----------
    one, other : values, NaN for none, and weights of the same replications, in order.
    estimates : of the whole results, which may have more replications.
    """
    found, _ = compared(other, one, CERTAIN)
    if isnan(found.low) or isnan(found.high):
        return found
    (one_below, one_above), (other_below, other_above) = (
        _allowance(values, estimate) for values, estimate in zip((one, other), estimates, strict=True)
    )
    return replace(found, low=found.low - other_below - one_above, high=found.high + other_above + one_below)


def _allowance(values: Weighted, estimate: Estimate) -> tuple[float, float]:
    """Return by how much the interval of an estimate is wider below and above than that of a mean of its values alone; NaN without a bound."""
    plain = weighted_mean(*values)
    if estimate.n < 2 or isnan(plain.low):
        return nan, nan
    rounding = ROUNDING * max(abs(estimate.low), abs(estimate.value), abs(estimate.high))
    below = (estimate.value - estimate.low) - (plain.value - plain.low)
    above = (estimate.high - estimate.value) - (plain.high - plain.value)
    return 0.0 if below <= rounding else below, 0.0 if above <= rounding else above  # NaN stays
