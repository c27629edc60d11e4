"""Ridge regression on classes, with the penalty that is best on other samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.errors import DataError
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edgesim.domain.networks.task import Task

Weights = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
"""Weights, shape (numbers of an answer, features), and bias."""


def ridges(features: NDArray[Any], wanted: NDArray[np.float64], penalties: Sequence[float]) -> Iterator[Weights]:
    """Yield for each penalty the weights W and bias b that make sum |W f + b - y|^2 + penalty |W|^2 smallest.

    With the thin singular value decomposition F = U S T of the centred features it is W' = T' S / (S^2 + penalty) U' (Y - mean), which holds for fewer samples
    than features, too; b is not penalised.

    Parameters
    ----------
    features : shape (n, features).
    wanted : y, shape (n, numbers of an answer).
    penalties : above 0.

    References
    ----------
    A. E. Hoerl, R. W. Kennard, Ridge Regression, Technometrics 12(1), 1970, doi 10.1080/00401706.1970.10488634.

    Examples
    --------
    Features -1, 0, 1 and y equal to them: W = 2 / (2 + penalty).

    >>> ((weights, bias),) = ridges(np.array([[-1.0], [0.0], [1.0]]), np.array([[-1.0], [0.0], [1.0]]), [2.0])
    >>> round(weights.item(), 12), round(bias.item(), 12) + 0.0
    (0.5, 0.0)
    """
    known = features.astype(np.float64)
    centre, mean = known.mean(axis=0), wanted.mean(axis=0)
    left, values, right = np.linalg.svd(known - centre, full_matrices=False)
    projected = left.T @ (wanted - mean)
    for penalty in penalties:
        weights: NDArray[np.float64] = (right.T @ (projected * (values / (values**2 + penalty))[:, None])).T
        yield weights, mean - weights @ centre


def failout_ridges(
    features: NDArray[Any], wanted: NDArray[np.float64], penalties: Sequence[float], n_blocks: int, survival: float
) -> Iterator[Weights]:
    """Yield for each penalty the ridge regression whose expected error is smallest when blocks of features are lost at random.

    With F the centred features, each of its blocks F_i kept with probability q, otherwise at its mean, E |sum_i m_i F_i W_i' + b - Y|^2 + penalty |W|^2 is
    smallest at W' = (q F'F + (1 - q) D + penalty / q)^-1 F'(Y - mean), D the blocks F_i'F_i on the diagonal. With q = 1 it is `ridges`.

    Parameters
    ----------
    features : shape (n, features), blocks of equal size side by side.
    wanted, penalties : as for `ridges`.
    n_blocks : their number.
    survival : q, above 0.

    References
    ----------
    The expectation over what is dropped in closed form: S. Wager, S. Wang, P. Liang, Dropout Training as Adaptive Regularization, NIPS 2013, arXiv
    1307.1493; ours is that of blocks.

    Examples
    --------
    Two equal features -1, 0, 1, of which one may be lost: F'F has 2 everywhere, D has it on the diagonal.

    >>> both = np.array([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    >>> ((weights, _),) = failout_ridges(both, both[:, :1], [1.0], 2, 0.5)  # (1 + 1 + 2) a + 1 a = 2 by symmetry
    >>> weights.round(12).tolist()
    [[0.4, 0.4]]
    """
    known = features.astype(np.float64)
    centre, mean = known.mean(axis=0), wanted.mean(axis=0)
    gram = (known - centre).T @ (known - centre)
    block_of = np.arange(gram.shape[0]) * n_blocks // max(1, gram.shape[0])
    values, vectors = np.linalg.eigh(np.where(block_of[:, None] == block_of, gram, survival * gram))
    projected = vectors.T @ ((known - centre).T @ (wanted - mean))
    for penalty in penalties:
        weights: NDArray[np.float64] = (
            vectors @ (projected / (np.maximum(values, 0.0) + penalty / survival)[:, None])
        ).T
        yield weights, mean - weights @ centre


def one_hot(task: Task, targets: NDArray[Any]) -> NDArray[np.float64]:
    """Return classes as what a regression is fitted to, shape (n, classes). Raises `DataError` for another task."""
    if not isinstance(task, Classification):
        raise DataError(
            f"its read-out is fitted to classes, but the task is {type(task).__name__}; choose another model"
        )
    rows: NDArray[np.float64] = np.eye(task.classes)[targets]
    return rows


def best_ridge(
    task: Task,
    train: tuple[NDArray[Any], NDArray[Any]],
    validation: tuple[NDArray[Any], NDArray[Any]],
    penalties: Sequence[float],
    *,
    n_blocks: int = 1,
    survival: float = 1.0,
) -> Weights:
    """Return the ridge regression on the training samples whose penalty is best on the validation samples.

    The best is that of the best main score, among equal ones that of the smallest squared error there.

    Parameters
    ----------
    task : a classification.
    train, validation : features, shape (n, features), and classes, shape (n,).
    penalties : that are tried.
    n_blocks, survival : below 1 the regression is one of `failout_ridges`.
    """
    wanted = one_hot(task, validation[1])
    known = one_hot(task, train[1])
    if survival < 1:
        found = failout_ridges(train[0], known, penalties, n_blocks, survival)
    else:
        found = ridges(train[0], known, penalties)

    def rank(found: Weights) -> tuple[float, float]:
        answers = (validation[0] @ found[0].T + found[1]).astype(np.float32)
        return task.scores[0].worth(task.scores[0].of(answers, validation[1])), -float(((answers - wanted) ** 2).mean())

    best: Weights = max(found, key=rank)
    return best
