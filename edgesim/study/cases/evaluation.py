"""Bounds on how much of the accuracy is computed: which samples the networks are asked, and about which trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.rng import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.evaluation import Evaluation
    from edgesim.domain.networks.samples import Samples


def asked(test: Samples, evaluation: Evaluation, seed: int) -> Samples:
    """Return the samples of the test split that are asked, in their order there."""
    if evaluation.samples is None or evaluation.samples >= len(test):
        return test
    drawn = generator(seed, "evaluation/samples").choice(len(test), evaluation.samples, replace=False)
    return test[np.sort(drawn)]


def asked_replications(evaluation: Evaluation, n_replications: int, seed: int) -> NDArray[np.bool_]:
    """Return for each replication whether the networks are asked what is left of its answer; the same for all strategies and points."""
    if evaluation.patterns is None or evaluation.patterns >= n_replications:
        return np.ones(n_replications, dtype=np.bool_)
    chosen = np.zeros(n_replications, dtype=np.bool_)
    chosen[generator(seed, "evaluation/patterns").choice(n_replications, evaluation.patterns, replace=False)] = True
    return chosen


def are_outcomes_asked(evaluation: Evaluation, n_outcomes: int) -> bool:
    """Return whether the networks are asked about the possible outcomes of the failures: about all, or not at all."""
    return evaluation.patterns is None or n_outcomes <= evaluation.patterns
