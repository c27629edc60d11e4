"""Rare losses: drawn more often than they happen, and weighed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from toy_study import PLAN, shared

from edgesim.domain.delivery import Delivery
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.interfaces import Silent
from edgesim.study.cases.tasks import Block
from edgesim.study.folder.parts import Parts
from edgesim.study.tables.weighted import n_effective, pseudo_values, weighted_mean, weighted_quantile
from edgesim.study.trials.deliveries import lost_in
from edgesim.study.trials.trial import perform, scores_of, simulate_block
from edgesim.study.trials.trials import Question
from edgesim.study.work.division import plan_work
from edgesim.study.work.evaluation import evaluate
from edgesim.study.work.execute import execute
from edgesim.study.work.executor import local_pool

RARE = 1e-6


def rows_of(study, replications: int, folder: Path):
    """Run a study; return the rows of each case by metric, and the differences."""
    work, parts = plan_work(study, replications), Parts(folder, study.cases, scores=["accuracy"])
    work = execute(study, work, parts, partial(local_pool, 1, perform), Silent())
    found = evaluate(study, work, parts)
    return [{row.metric: row for row in case} for case in found.rows], found.differences


@pytest.mark.parametrize("model", [Bernoulli, PacketBernoulli])
@pytest.mark.parametrize("engine", ["array", "event"])
def test_losses_of_one_in_a_million_are_estimated_from_2000_trials(tmp_path: Path, model, engine: str) -> None:
    """Each message is lost with p = 1e-6, so the accuracy is 1 - p: it comes out to a tenth of p, and p95 stays 0.1 s."""
    study = shared([{"loss": model(RARE, sampled_at=0.3)}], engine=engine)
    [rows], _ = rows_of(study, 2000, tmp_path)
    accuracy = rows["accuracy"]
    assert accuracy.exact == pytest.approx(1 - RARE, abs=1e-15)
    assert abs(accuracy.estimate.value - accuracy.exact) < 0.15 * RARE
    assert 0 < accuracy.estimate.high - accuracy.estimate.low < 0.3 * RARE
    assert accuracy.estimate.n == 2000
    assert accuracy.n_effective == pytest.approx(2000 * 0.7**3, rel=0.1)  # of three messages none is lost
    assert rows["latency_p95"].estimate.value == rows["latency_p95"].exact == 0.1
    assert rows["traffic"].estimate.value == 300.0


def test_both_engines_weigh_alike() -> None:
    study = shared([{"loss": Bernoulli(0.01, sampled_at=0.3)}], engine="array")
    other = shared([{"loss": Bernoulli(0.01, sampled_at=0.3)}], engine="event")
    fast, slow = (simulate_block(one, Block(0, 0, 1000, False, "toy")) for one in (study, other))
    assert fast.weight == pytest.approx(slow.weight, rel=1e-12)
    assert fast.lost == slow.lost
    assert np.mean(fast.weight) == pytest.approx(1, abs=0.2)


def test_weighted_intervals_cover_the_exact_value_in_95_of_100_studies() -> None:
    """Accuracy 1 - p with p = 0.001, drawn at 0.2: 1,000 studies of 200 trials: 93 to 97 %."""
    study = shared([{"loss": Bernoulli(0.001, sampled_at=0.2)}])
    deliveries = tuple(Delivery(lost_in(PLAN, pattern)) for pattern in range(8))
    known = dict(zip(range(8), (score for (score,) in scores_of(study, Question(0, deliveries, "toy"))), strict=True))
    n_held = 0
    for seed in range(1000):
        repeated = replace(study, cases=(replace(study.cases[0], seed=seed),))
        trials = simulate_block(repeated, Block(0, 0, 200, False, "toy"))
        estimate = weighted_mean(np.array([known[lost] for lost in trials.lost]), trials.weight)
        n_held += estimate.low <= 1 - 0.001 <= estimate.high
    assert 930 <= n_held <= 970


def test_differences_are_weighted(tmp_path: Path) -> None:
    """A strategy that loses with p = 1e-6 against one that loses nothing: the difference is p."""
    study = shared([{"loss": Bernoulli(RARE, sampled_at=0.3)}, {}])
    cases = tuple(replace(case, point={}, strategy=name) for case, name in zip(study.cases, "ab", strict=True))
    _, differences = rows_of(replace(study, cases=cases), 2000, tmp_path)
    [accuracy] = [one.estimate for one in differences if one.metric == "accuracy"]
    assert accuracy.value == pytest.approx(RARE, rel=0.15)
    assert accuracy.low < RARE < accuracy.high


def test_nothing_is_weighted_without_importance_sampling() -> None:
    values = np.array([3.0, np.nan, 1.0])
    assert pseudo_values(values, np.ones(3)).tolist() == [3.0, 1.0]
    assert weighted_mean(values, np.ones(3)).n == 2
    assert n_effective(np.ones(3)) == 3


def test_a_weighted_quantile_is_that_of_the_weights() -> None:
    """Half of the weight at 1, the other half spread from 2 to 100."""
    values = np.array([1.0, *range(2, 101)])
    weights = np.array([99.0, *[1.0] * 99])
    estimate = weighted_quantile(values, weights, 0.75)
    assert estimate.value == pytest.approx(51, abs=1)
    assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize("engine", ["array", "event"])
def test_a_common_cause_can_be_drawn_more_often(tmp_path: Path, engine: str) -> None:
    """All three lost at once with probability 1e-4, never alone: accuracy 1 - 1e-4, to a tenth of that from 2,000 trials."""
    study = shared([{"cc": CommonCause(1e-4, 1.0, "w*", sampled_at=0.4)}], engine=engine, exact_up_to=0)
    [rows], _ = rows_of(study, 2000, tmp_path)
    accuracy = rows["accuracy"]
    assert abs(accuracy.estimate.value - (1 - 1e-4)) < 1e-5
    assert accuracy.estimate.low <= 1 - 1e-4 <= accuracy.estimate.high
    assert accuracy.estimate.high - accuracy.estimate.low < 3e-5
    assert accuracy.n_effective == pytest.approx(2000 * 0.6, rel=0.1)


def test_an_interval_as_narrow_as_its_rounding_holds_the_exact_value() -> None:
    """Lost with p, drawn with q, worth 0 or 1: the weights explain everything, and the estimate is 1 - p but for its last digits."""
    for p, q in ((1e-4, 0.4), (1e-6, 0.3), (1e-3, 0.2), (3e-5, 0.25), (1e-5, 0.5)):
        for seed in range(40):
            is_lost = np.random.default_rng(seed).random(2000) < q
            weights = np.where(is_lost, p / q, (1 - p) / (1 - q))
            found = weighted_mean(np.where(is_lost, 0.0, 1.0), weights)
            assert found.low <= 1 - p <= found.high
            assert found.high - found.low < 1e-13


def test_sampling_a_common_cause_moves_no_other_draw() -> None:
    """Who is lost alone is the same as without, in every replication; both engines draw and weigh alike."""
    plain, often = (shared([{"cc": CommonCause(0.3, 0.1, "w*", sampled_at=q)}], engine="array") for q in (None, 0.5))
    block = Block(0, 0, 500, False, "toy")
    before, after = simulate_block(plain, block), simulate_block(often, block)
    assert set(before.weight) == {1.0}
    is_alone = after.weight > 1  # no common cause: (1 - 0.03) / (1 - 0.5)
    assert 200 < np.count_nonzero(is_alone) < 300
    assert [lost for lost, alone in zip(after.lost, is_alone, strict=True) if alone] == [
        lost for lost, alone in zip(before.lost, is_alone, strict=True) if alone
    ]
    slow = simulate_block(replace(often, cases=(replace(often.cases[0], engine="event"),)), block)
    assert slow.weight == pytest.approx(after.weight, rel=1e-12)
    assert slow.lost == after.lost


def test_gaps_are_left_out_by_the_ratio_of_weighted_sums() -> None:
    """Weights 4 and 1, and a gap: r = (4 x 1 + 1 x 3) / 5; the errors w (x - r) / mean(w), w = 0 in the gap, are 0 there."""
    values, weights = np.array([1.0, 3.0, np.nan]), np.array([4.0, 1.0, 1.0])
    found = weighted_mean(values, weights)
    ratio = 7 / 5
    errors = np.array([4 * (1 - ratio), 3 - ratio, 0.0]) / (5 / 3)
    assert found.value == pytest.approx(ratio)
    assert found.n == 2
    assert found.high - found.value == pytest.approx(4.302652729749464 * np.std(errors, ddof=1) / np.sqrt(3))


def test_the_mean_of_weights_is_known_and_takes_its_error_out() -> None:
    """Values a + b / w are estimated without error, since w x = a w + b: their mean is a + b, whatever was drawn."""
    weights = np.array([0.2, 0.5, 1.9, 3.0, 0.7])
    found = weighted_mean(2.0 + 3.0 / weights, weights)
    assert (found.value, found.high - found.low) == (pytest.approx(5.0), pytest.approx(0.0, abs=1e-12))


def test_the_interval_of_a_weighted_quantile_is_woodruffs() -> None:
    """By its formula, written anew: the quantiles at the ends of the share's interval."""
    rng = np.random.default_rng(3)
    values, weights = np.arange(1.0, 401.0), rng.uniform(0.5, 1.5, 400)
    found = weighted_quantile(values, weights, 0.75)
    reached = np.cumsum(weights) / weights.sum()
    is_below = values <= found.value
    error = np.std(weights * (is_below - np.average(is_below, weights=weights)) / weights.mean(), ddof=1) / np.sqrt(400)
    ends = [values[np.searchsorted(reached, 0.75 + sign * 1.959963984540054 * error)] for sign in (-1, 1)]
    assert [found.low, found.high] == ends


def test_a_weighted_quantile_without_room_for_a_bound_has_none() -> None:
    """Ten values say nothing above the 95th percentile, nor below the fifth."""
    values, weights = np.arange(10.0), np.linspace(0.9, 1.1, 10)
    assert np.isnan(weighted_quantile(values, weights, 0.95).high)
    assert np.isnan(weighted_quantile(values, weights, 0.05).low)
