"""Bounds on how much of the scores is computed: which of them, which samples the networks are asked, and about which trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from edgesim.domain.metrics import LOAD_METRICS, METRICS
from edgesim.domain.networks.attack import Against
from edgesim.domain.networks.task import Reviewable, robust
from edgesim.errors import DataError
from edgesim.rng import generator
from edgesim.tasks.review import ESCALATED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.evaluation import Evaluation
    from edgesim.domain.networks.escalation import Escalation
    from edgesim.domain.networks.samples import Samples
    from edgesim.domain.networks.task import Score, Task


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


def asked_scores(task: Task, evaluation: Evaluation, escalation: Escalation | None = None) -> tuple[Score, ...]:
    """Return the scores that are computed, the main one first.

    Raises
    ------
    DataError
        When the task has no score of a name that is asked for, or one is called like another metric, or a person can correct none of its answers.
    """
    known = {score.name: score for score in task.scores}
    wanted = evaluation.scores or tuple(known)[:1]
    if evaluation.attack is not None:
        for against in get_args(Against):
            attacked = [robust(score, evaluation.attack, against) for score in task.scores]
            known |= {score.name: score for score in attacked}
            wanted = evaluation.scores or (*wanted, attacked[0].name)
    if escalation is not None:
        reviewed, others = _reviewed(task, escalation, wanted[0])
        known |= reviewed
        wanted = evaluation.scores or (*wanted, *others)
        if escalation.people is not None:
            wanted = tuple(dict.fromkeys((*wanted, ESCALATED)))  # their work depends on it
    for name in wanted:
        if name not in known:
            remedy = "; robust ones need `evaluation.attack`" if name.startswith("robust_") else ""
            raise DataError(
                f"evaluation.scores: the task of the data set has no score {name!r}; it has {', '.join(known)}{remedy}"
            )
        if name in METRICS or name in LOAD_METRICS:
            raise DataError(f"the task of the data set calls a score {name!r}, as another metric is called; rename it")
    return tuple(known[name] for name in wanted)


def _reviewed(task: Task, escalation: Escalation, main: str) -> tuple[dict[str, Score], list[str]]:
    """Return the scores of answers of which a person corrects some, and which of them are computed unless others are asked for."""
    if not isinstance(task, Reviewable):
        raise DataError(
            f"workload.escalate: nothing says how uncertain answers to the task {type(task).__name__} are; leave it out"
        )
    found = {score.name: score for score in task.reviewed(escalation)}
    return found, [name for name in found if name == f"final_{main}" or not name.startswith("final_")]
