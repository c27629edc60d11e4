"""Bounds on what the networks are asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_study_run import _toys, scenario  # noqa: F401 - a fixture that is used by being there
from toy_study import run

from edgesim.domain.evaluation import EVERYTHING, Evaluation
from edgesim.domain.networks.samples import Samples
from edgesim.study.cases.evaluation import are_outcomes_asked, asked, asked_replications

WORKLOAD = {"dataset": "digits", "model": "small-cnn", "source": "hub", "sink": "hub"}


def test_samples_are_drawn_once_and_keep_their_order() -> None:
    """Twenty of a hundred, the same for the same seed, each with its own label."""
    split = Samples({"numbers": np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1)}, np.arange(100))
    some = asked(split, Evaluation(samples=20), seed=3)
    assert len(some) == 20
    assert np.array_equal(some.only[:, 0, 0, 0].astype(int), some.targets)
    assert (np.diff(some.targets) > 0).all()
    assert np.array_equal(asked(split, Evaluation(samples=20), seed=3).targets, some.targets)
    assert not np.array_equal(asked(split, Evaluation(samples=20), seed=4).targets, some.targets)
    assert asked(split, Evaluation(samples=100), seed=3) is split
    assert asked(split, EVERYTHING, seed=3) is split


def test_replications_are_drawn_from_all() -> None:
    """Fifty of a thousand, not the first; every replication is as likely as any other."""
    chosen = [asked_replications(Evaluation(patterns=50), 1000, seed) for seed in range(200)]
    assert all(one.sum() == 50 for one in chosen)
    shares = np.mean(chosen, axis=0).reshape(10, 100).mean(axis=1)
    assert np.abs(shares - 0.05).max() < 4 * np.sqrt(0.05 * 0.95 / 20_000)
    assert asked_replications(EVERYTHING, 7, 1).all()
    assert asked_replications(Evaluation(patterns=7), 7, 1).all()


@pytest.mark.parametrize(("n_outcomes", "is_asked"), [(8, True), (9, False)])
def test_outcomes_are_asked_all_or_not_at_all(n_outcomes: int, *, is_asked: bool) -> None:
    """An expectation over some of them would be wrong."""
    assert are_outcomes_asked(Evaluation(patterns=8), n_outcomes) is is_asked
    assert are_outcomes_asked(EVERYTHING, n_outcomes)


def test_a_bounded_study_is_the_whole_one_on_the_chosen_trials(tmp_path: Path) -> None:
    """The same trials; accuracies where they were asked, none elsewhere, and their number in the summary; any number of workers."""
    whole = run(scenario(), workers=1, output=tmp_path / "whole").frame()
    results = [
        run(
            scenario(workload=WORKLOAD | {"evaluation": {"patterns": 40}}),
            workers=workers,
            output=tmp_path / str(workers),
        )
        for workers in (1, 2)
    ]
    frames = [result.frame() for result in results]
    assert frames[0].equals(frames[1])
    is_asked = frames[0]["accuracy"].notna()
    assert set(is_asked.groupby(frames[0]["n_lost"]).sum()) == {40}
    assert frames[0].loc[is_asked, "accuracy"].equals(whole.loc[is_asked, "accuracy"])
    assert frames[0].drop(columns="accuracy").equals(whole.drop(columns="accuracy"))
    assert set(results[0].summary().query("metric == 'accuracy'")["n"]) == {40}
