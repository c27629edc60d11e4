"""Differences of two strategies, replication by replication, from values that a reader can subtract."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.study.tables.paired import _spread, compared
from edgesim.study.tables.statistics import CERTAIN, NOTHING

NONE = float("nan")


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers)


def test_replications_count_in_which_both_have_a_value() -> None:
    """Differences 2 and 4 of four: their mean 3, Student's t(1) = 12.7062 times s / sqrt(2) = 1; both grow together."""
    found, correlation = compared((values(3, NONE, 5, 7), np.ones(4)), (values(1, 2, NONE, 3), np.ones(4)), CERTAIN)
    assert (found.value, found.high - found.value, found.n) == pytest.approx((3.0, 12.7062, 2), abs=1e-4)
    assert correlation == pytest.approx(1.0)


def test_what_falls_while_the_other_rises_has_a_negative_correlation() -> None:
    """Deviations -1, 0, 1 and 1, 0, -1."""
    assert compared((values(1, 2, 3), np.ones(3)), (values(6, 5, 4), np.ones(3)), CERTAIN)[1] == pytest.approx(-1.0)


@pytest.mark.parametrize(("one", "other"), [((1, 2), (5, 5)), ((5, 5), (1, 2)), ((1, NONE), (2, 3))])
def test_no_correlation_with_what_does_not_vary(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    """Also where one replication is left."""
    assert np.isnan(compared((values(*one), np.ones(2)), (values(*other), np.ones(2)), CERTAIN)[1])


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 1.5)])
def test_no_difference_without_a_common_value(weights: tuple[float, float]) -> None:
    """Whether trials are weighted or not."""
    own = values(*weights)
    found, _ = compared((values(1, NONE), own), (values(NONE, 1), own), CERTAIN)
    assert repr(found) == repr(NOTHING)


def test_a_gap_in_one_weighted_strategy_leaves_the_other_its_value() -> None:
    """The ratio (2 x 1 + 1 x 4) / 3 = 2 less 0; two of the three trials have both values."""
    own = values(2, 1, 1)
    found, _ = compared((values(1, 4, NONE), own), (values(0, 0, 0), own), CERTAIN)
    assert found.value == pytest.approx(2.0)
    assert found.n == 2


def test_gaps_between_unweighted_values_are_filled_so_that_mean_and_error_stay() -> None:
    """Of 3 trials 1 and 4 are known: the mean 2.5 in the gap, and deviations 3/2 as large."""
    assert _spread(values(1, NONE, 4), np.ones(3)).tolist() == [0.25, 2.5, 4.75]


def test_weights_of_one_strategy_are_enough_to_be_weighted() -> None:
    """The same ratio, 2, and not the plain mean of 1 and 4."""
    found, _ = compared((values(1, 4, NONE), values(2, 1, 1)), (values(0, 0, 0), np.ones(3)), CERTAIN)
    assert found.value == pytest.approx(2.0)


def test_one_common_replication_has_a_difference_without_an_interval() -> None:
    """3 less 1."""
    found, _ = compared((values(3, NONE), np.ones(2)), (values(1, 2), np.ones(2)), CERTAIN)
    assert (found.value, found.n) == (2.0, 1)
    assert np.isnan(found.high)
