"""A linear head for every set of students, each solved in closed form from one Gram matrix."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from edgesim.nn.models.ridge import one_hot
from edgesim.nn.train.training import forward

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset
    from edgesim.domain.networks.task import Task
    from edgesim.nn.distill.modules import StudentEnsemble

Head = tuple["NDArray[np.float32]", "NDArray[np.float32]"]
"""Weights, shape (numbers of an answer, features of those that are left), and bias."""
PENALTIES = (1e-6, 1e-4, 1e-2)
"""Of ridge regression, in shares of the mean square of a feature times the number of samples; the best on the validation split is kept."""


class GramMatrix:
    """Sums over samples from which the head of each set of students is solved: every set is a block of them.

    Parameters
    ----------
    features : of each student, shape (n, features).
    wanted : what the heads shall answer, shape (n, numbers of an answer).

    Examples
    --------
    Two students who both know the answer: any of them is enough.

    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> gram = GramMatrix([x, 2 * x], x)
    >>> [gram.head((False, True), 0.0)[0].round(6).tolist(), gram.head((False, False), 0.0)[1].tolist()]
    [[[0.5]], [1.0]]
    """

    def __init__(self, features: Sequence[NDArray[np.floating]], wanted: NDArray[np.floating]) -> None:
        self.sizes = tuple(one.shape[1] for one in features)
        known = np.concatenate([one.astype(np.float64) for one in features], axis=1)
        self.centre, self.mean = known.mean(axis=0), wanted.astype(np.float64).mean(axis=0)
        known -= self.centre
        self.gram = known.T @ known
        self.known_wanted = known.T @ (wanted - self.mean)

    def head(self, left: Sequence[bool], penalty: float) -> Head:
        """Return the weights and bias for the students that are left: those of the smallest |W f + b - y|^2 + penalty' |W|^2.

        penalty' is the penalty times the mean of the diagonal of the whole matrix.
        """
        kept = np.repeat(np.array(left, dtype=bool), self.sizes)
        block = self.gram[np.ix_(kept, kept)] + penalty * np.diag(self.gram).mean() * np.eye(int(kept.sum()))
        weights = np.linalg.lstsq(block, self.known_wanted[kept], rcond=None)[0].T
        return weights.astype(np.float32), (self.mean - weights @ self.centre[kept]).astype(np.float32)


def features_of(ensemble: StudentEnsemble, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
    """Return what each student sends for each sample, shape (n, features of its part)."""
    return [forward(network, inputs) for network in ensemble.students]


def survivor_heads(ensemble: StudentEnsemble, dataset: Dataset) -> dict[tuple[bool, ...], Head]:
    """Return the head of each set of students: least squares on the training split, with the penalty that is best on the validation split.

    A classification is fitted to its classes (1 for the right one, else 0), anything else to the targets themselves.

    Parameters
    ----------
    ensemble : trained students; their common head does not count.
    dataset : training and validation split.
    """
    task, validation = dataset.task, dataset.validation
    gram = GramMatrix(features_of(ensemble, dataset.train.inputs), wanted_of(task, dataset.train.targets))
    seen = features_of(ensemble, validation.inputs)
    wanted = wanted_of(task, validation.targets)
    score = task.scores[0]

    def rank(left: tuple[bool, ...], head: Head) -> tuple[float, float]:
        answers = answers_of(head, [own for own, is_left in zip(seen, left, strict=True) if is_left], len(validation))
        shaped = answers.reshape(-1, *task.output.shape)
        return score.worth(score.of(shaped, validation.targets)), -float(((answers - wanted) ** 2).mean())

    return {
        left: max((gram.head(left, penalty) for penalty in PENALTIES), key=lambda head: rank(left, head))
        for left in product((True, False), repeat=len(ensemble.students))
    }


def wanted_of(task: Task, targets: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return what heads are fitted to, shape (n, numbers of an answer). Raises `DataError` for a task that is no classification."""
    return one_hot(task, targets)


def answers_of(head: Head, features: Sequence[NDArray[np.float32]], n_samples: int) -> NDArray[np.float32]:
    """Return the answers of a head to the features of those that are left, shape (n, numbers of an answer)."""
    weights, bias = head
    if not features:
        return np.broadcast_to(bias, (n_samples, len(bias))).copy()
    answers: NDArray[np.float32] = np.concatenate(features, axis=1) @ weights.T + bias
    return answers
