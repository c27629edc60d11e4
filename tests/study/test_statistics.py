"""Estimates and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom, binomtest, chi2

from edgesim.study.tables.statistics import (
    CONFIDENCE,
    NORMAL,
    Prior,
    _successes,
    exact_mean,
    exact_quantile,
    mean,
    of_few_events,
    quantile,
    share,
)

N_STUDIES = 2000


def test_the_interval_of_a_mean_covers_the_expectation_in_95_of_100_studies() -> None:
    """Student's t on five normal values, where it is exact; the bounds are five standard errors (0.0049) of 2,000 studies."""
    rng = np.random.default_rng(1)
    found = [mean(rng.normal(size=5)) for _ in range(N_STUDIES)]
    coverage = np.mean([e.low <= 0.0 <= e.high for e in found])
    assert coverage == pytest.approx(0.95, abs=0.025)


def test_the_interval_of_a_quantile_covers_it_whatever_the_distribution() -> None:
    """Order statistics cover at least 95 %, at most 95 % and the mass of one binomial point at each side (here 0.98)."""
    rng = np.random.default_rng(2)
    true = -np.log(0.05)  # the 95th percentile of the exponential distribution
    found = [quantile(rng.exponential(size=200), 0.95) for _ in range(N_STUDIES)]
    coverage = np.mean([e.low <= true <= e.high for e in found])
    assert 0.935 < coverage < 0.985


def test_the_interval_of_a_share_covers_it_near_one() -> None:
    """Wilson's interval with 50 values at a share of 0.97: its exact coverage, summed over the binomial, is 0.9365 or more."""
    rng = np.random.default_rng(3)
    found = [share(rng.random(50) < 0.97) for _ in range(N_STUDIES)]
    coverage = np.mean([e.low <= 0.97 <= e.high for e in found])
    assert 0.91 < coverage < 0.99


def test_the_point_of_the_normal_distribution_is_that_of_scipy() -> None:
    """To the last bit: it is written down, not computed."""
    assert float(ndtri(0.5 + CONFIDENCE / 2)) == NORMAL


def test_wilson_is_scipys() -> None:
    """The formula against an independent implementation."""
    expected = binomtest(37, 40).proportion_ci(0.95, method="wilson")
    found = share(np.array([True] * 37 + [False] * 3))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_order_statistics_are_the_binomial_ones() -> None:
    """n = 100, p = 0.95: the 2.5 % and 97.5 % points of Binomial(100, 0.95) are 90 and 99, so values 90 and 100."""
    found = quantile(np.arange(1.0, 101.0), 0.95)
    assert (found.value, found.low, found.high) == (95.0, 90.0, 100.0)


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.95, 0.99])
def test_points_of_the_binomial_are_those_of_scipy(probability: float) -> None:
    """For every n up to 400 and some large ones."""
    for n in (*range(1, 400), 12_345, 10**6):
        for reached in (0.025, 0.975):
            assert _successes(reached, n, probability) == int(binom.ppf(reached, n, probability))


@pytest.mark.parametrize(("n", "n_bounds"), [(71, 0), (72, 1)])
def test_few_values_have_no_upper_bound_of_the_95th_percentile(n: int, n_bounds: int) -> None:
    """0.95**n is below 0.025 from n = 72 on: only then is the largest value an upper bound."""
    found = quantile(np.arange(float(n)), 0.95)
    assert np.isfinite(found.high) == n_bounds


def test_equal_values_collapse_the_interval() -> None:
    """A sum of equal values is rounded; the interval is still exactly the value."""
    for estimate in (mean(np.full(7, 0.1)), quantile(np.full(7, 0.1), 0.95)):
        assert (estimate.value, estimate.low, estimate.high, estimate.n) == (0.1, 0.1, 0.1, 7)


@pytest.mark.parametrize("estimate", [mean, lambda values: quantile(values, 0.95)])
def test_one_value_has_no_interval_and_none_has_no_estimate(estimate) -> None:
    """Nothing is made up where nothing is known."""
    one, none = estimate(np.array([3.0])), estimate(np.array([]))
    assert one.value == 3.0
    assert np.isnan(one.high)
    assert np.isnan(none.value)
    assert none.n == 0


def test_exact_values_of_a_small_distribution() -> None:
    """P(1) = 0.9, P(2) = 0.06, P(5) = 0.04: expectation 1.22, 95th percentile 2, 96th percentile 2, above it 5."""
    values, weights = np.array([5.0, 1.0, 2.0]), np.array([0.04, 0.9, 0.06])
    assert exact_mean(values, weights) == pytest.approx(1.22, abs=1e-15)
    assert [exact_quantile(values, weights, p) for p in (0.9, 0.95, 0.96, 0.97)] == [1.0, 2.0, 2.0, 5.0]


SCORE = Prior(0.0, 1.0, any_strike=0.02, rare_strike=0.02)


@pytest.mark.parametrize("n", [50, 200])
def test_the_interval_of_a_score_holds_when_losses_are_few(n: int) -> None:
    """A loss in 1.7 % of the trials, of 1/2, 1/3 or 1/6: Student's interval covers 0.36 to 0.8; no interval has width 0."""
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(N_STUDIES):
        values = 1 - rng.choice([0, 1 / 2, 1 / 3, 1 / 6], size=n, p=[0.983, 0.017 / 3, 0.017 / 3, 0.017 / 3])
        found = mean(values, SCORE if n * 0.017 < 3.69 else Prior(0.0, 1.0, 0.02))
        assert 0 <= found.low < found.high <= 1
        held += found.low <= 1 - 0.017 / 3 <= found.high
    assert held / N_STUDIES >= 0.95


def test_few_equal_events_have_the_exact_interval_of_poisson() -> None:
    """Garwood: 3 events lie between 0.6187 and 8.7673 expected ones; twice as heavy, the interval is twice as long."""
    found = of_few_events(1.0, np.full(3, -0.5), 100)
    assert [100 * (1 - edge) / 0.5 for edge in (found.high, found.low)] == pytest.approx([0.6187, 8.7673], abs=1e-4)


def test_many_events_have_students_interval() -> None:
    """From 25 events on nothing is wider than before; below, the bound is beyond Student's where the tail is."""
    for n_lost in (24, 25, 26):
        values = np.array([0.0] * n_lost + [1.0] * (1000 - n_lost))
        found = mean(values, Prior(0.0, 1.0, 0.03))
        student = 1.9623414611334487 * np.std(values, ddof=1) / np.sqrt(1000)
        is_students = found.high - found.low == pytest.approx(2 * student, rel=1e-9)
        assert is_students == (n_lost >= 25)


def test_events_that_were_not_met_widen_an_interval_as_far_as_they_could_have_been_overlooked() -> None:
    """Rule of three: in 100 trials nothing, so at most 1 - 0.025^(1/100) = 3.62 % of the trials, or as often as it can strike."""
    at_most = 1 - 0.025**0.01
    values = np.full(100, 0.9)
    assert mean(values, Prior(0.0, 1.0, 1.0)).low == pytest.approx(0.9 * (1 - at_most))
    assert mean(values, Prior(0.0, 1.0, 1.0)).high == pytest.approx(0.9 + 0.1 * at_most)
    assert mean(values, Prior(0.0, 1.0, 0.001)).low == pytest.approx(0.9 * 0.999)
    open_above = mean(values, Prior(0.0, np.inf, 1.0))
    assert open_above.low < 0.9
    assert np.isnan(open_above.high)
    assert np.isnan(quantile(np.full(50, 0.9), 0.95, Prior(any_strike=1.0)).high)


def test_intervals_of_scores_stay_between_their_bounds() -> None:
    """Two trials at 0.9 and 1: Student's interval would end at 1.59."""
    found = mean(np.array([0.9, 1.0]), Prior(0.0, 1.0, 1.0))
    assert (found.low, found.high) == (pytest.approx(0.314690), 1.0)


def test_events_of_unequal_weight_have_fay_and_feuers_interval() -> None:
    """Their equations 3 and 4 in chi squared, for losses of 1 and 3: y = 4, v = 10, heaviest 3."""
    low = 10 / (2 * 4) * chi2.ppf(0.025, 2 * 16 / 10)
    high = (10 + 9) / (2 * (4 + 3)) * chi2.ppf(0.975, 2 * 49 / 19)
    found = of_few_events(1.0, np.array([-1.0, -3.0]), 50)
    assert (found.value, found.low, found.high) == pytest.approx((1 - 4 / 50, 1 - high / 50, 1 - low / 50), rel=1e-9)


def test_events_in_both_directions_are_joined() -> None:
    """One gain of 2 and one loss of 1 in 10: ends at the root of the squared distances of both intervals (0.0253 to 5.5716)."""
    below, above = 1 - 0.0253178, 5.5716434 - 1
    found = of_few_events(0.0, np.array([2.0, -1.0]), 10)
    assert found.value == pytest.approx(0.1)
    assert found.value - found.low == pytest.approx(np.hypot(2 * below, above) / 10, rel=1e-6)
    assert found.high - found.value == pytest.approx(np.hypot(2 * above, below) / 10, rel=1e-6)


def test_values_that_all_differ_are_events_too_where_something_rare_can_strike() -> None:
    """One of 60 delays is very long: with a rare cause the bound lies above Student's, and neither end within it."""
    values = np.append(np.linspace(1.0, 1.1, 59), 9.0)
    plain, careful = mean(values), mean(values, Prior(any_strike=0.01, rare_strike=1e-12, lowest=0.0, highest=1e3))
    assert careful.value == plain.value
    assert careful.high > plain.high + 0.1
    assert careful.low <= plain.low + 1e-9


def test_a_rare_strike_moves_the_ends_towards_the_bounds() -> None:
    """With probability 0.01 the value is anything from 0 to 1: ends move by 1 % of the way, the mean stays."""
    values = np.array([0.4, 0.6] * 50)
    plain, wide = mean(values), mean(values, Prior(0.0, 1.0, 1.0, 0.01))
    assert wide.value == plain.value
    assert (wide.low, wide.high) == pytest.approx((0.99 * plain.low, 0.99 * plain.high + 0.01))
    below = mean(np.array([0.0, 0.1]), Prior(0.0, 1.0, 1.0))
    assert below.low == 0.0


def test_bounds_of_order_statistics_are_given_as_soon_as_they_are_there() -> None:
    """Two values: the smaller one is below the 95th percentile in more than 97.5 of 100 cases, 1 - 0.05^2."""
    found = quantile(np.array([1.0, 2.0]), 0.95)
    assert found.low == 1.0
    assert np.isnan(quantile(np.array([1.0, 2.0]), 0.05).low)


def test_shares_of_nothing_and_all_end_at_0_and_1() -> None:
    """Exactly, whatever the rounding of the formula."""
    for n in range(1, 200):
        assert share(np.zeros(n, dtype=np.bool_)).low == 0.0
        assert share(np.ones(n, dtype=np.bool_)).high == 1.0


def test_probabilities_need_not_sum_to_one() -> None:
    """Of the outcomes with an answer, say; sums are rounded, and an outcome that ends at the probability is not passed over."""
    values, weights = np.array([1.0, 2.0]), np.array([0.1, 0.3])
    assert exact_mean(values, weights) == pytest.approx(1.75)
    assert exact_quantile(values, weights, 0.25) == 1.0
    assert exact_quantile(values, weights, 0.26) == 2.0
    assert exact_quantile(np.arange(1.0, 11.0), np.full(10, 0.1), 0.3) == 3.0


def test_half_of_the_values_is_no_majority() -> None:
    """0, 1, 1, 2: Student's, t(3) = 3.1824 and s = sqrt(2 / 3)."""
    found = mean(np.array([0.0, 1.0, 1.0, 2.0]))
    assert found.high - found.value == pytest.approx(3.182446305284263 * np.sqrt(2 / 3) / 2)


def test_rounded_sums_of_probabilities_pass_over_no_outcome() -> None:
    """Nine outcomes of 1/9 each: the k-th ends at k/9, though sums of 1/9 fall short of it by rounding; and 0.1 stays 0.1."""
    outcomes, each = np.arange(1.0, 10.0), np.full(9, 1 / 9)
    assert [exact_quantile(outcomes, each, k / 9) for k in range(1, 10)] == outcomes.tolist()
    assert exact_mean(np.array([0.1, 0.1]), np.array([0.2, 0.8])) == 0.1


def test_where_most_values_are_the_same_the_few_others_alone_make_the_interval() -> None:
    """One failure in 100: Student's interval would go beyond 1, to 1.0098."""
    found, expected = mean(np.array([0.0] + [1.0] * 99)), of_few_events(1.0, np.array([-1.0]), 100)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.high < 1.0


def test_a_bound_that_misses_the_mean_by_rounding_leaves_the_mean_within() -> None:
    """The bound may come from other sums than the values."""
    value = float(np.nextafter(1.0, 0.0))
    found = mean(np.array([value, value]), Prior(lowest=1.0, highest=2.0))
    assert found.low <= found.value <= found.high
