"""Bounds on how much of the accuracy is computed: which samples the networks are asked, and about which trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.model import Split
from edgesim.rng import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.evaluation import Evaluation
    from edgesim.study.design import Case


def asked(test: Split, evaluation: Evaluation, seed: int) -> Split:
    """Return the samples of the test split that are asked, in their order there."""
    if evaluation.samples is None or evaluation.samples >= len(test):
        return test
    drawn = generator(seed, "evaluation/samples").choice(len(test), evaluation.samples, replace=False)
    kept = np.sort(drawn)
    return Split(test.inputs[kept], test.labels[kept])


def is_asked(case: Case, n_trials: int, start: int = 0, *, is_enumeration: bool = False) -> NDArray[np.bool_]:
    """Return, for trials of a case, whether the networks are asked what is left of their answer.

    Parameters
    ----------
    case : without test samples nothing is asked.
    n_trials, start : number of trials, and replication of the first.
    is_enumeration : whether they are all possible outcomes of the failures; these are asked about all or not at all.
    """
    n_most = case.evaluation.patterns
    if not case.n_samples or (is_enumeration and n_most is not None and n_trials > n_most):
        return np.zeros(n_trials, dtype=np.bool_)
    return np.arange(start, start + n_trials) < (n_trials + start if n_most is None or is_enumeration else n_most)
