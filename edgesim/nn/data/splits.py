"""Indices of samples divided at random within each class: once and for all, so that every study sees the same splits."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Lt

from edgesim.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

Share = Annotated[float, Gt(0), Lt(1)]
TrainSize = Annotated[int, Ge(1)] | None


def divided(name: str, samples: Indices, labels: Indices, share: float) -> tuple[Indices, Indices]:
    """Divide samples at random within each class (stratified), as scikit-learn's `train_test_split` with seed 0 does.

    Parameters
    ----------
    name : of the data set, for messages.
    samples : indices, shape (n,).
    labels : class of every sample of the set.
    share : of the samples in the second part.

    Raises
    ------
    DataError
        When a class has too few samples.

    Examples
    --------
    >>> import numpy as np
    >>> first, second = divided("six", np.arange(6), np.array([0, 0, 0, 1, 1, 1]), 1 / 3)
    >>> len(first), sorted(int(index) // 3 for index in second)
    (4, [0, 1])
    """
    n_second = ceil(share * len(samples))
    try:
        first, second = _stratified(labels[samples], len(samples) - n_second, n_second)
    except ValueError as error:
        raise DataError(f"{name}: the training part cannot be divided: {error}") from error
    return samples[first], samples[second]


def some_of(name: str, train: Indices, labels: Indices, n_wanted: int | None) -> Indices:
    """Draw some of the training samples within each class; all when no number is wanted. Raises `DataError`.

    >>> import numpy as np
    >>> drawn = some_of("six", np.arange(6), np.array([0, 0, 0, 1, 1, 1]), 2)
    >>> sorted(int(index) // 3 for index in drawn)
    [0, 1]
    """
    if n_wanted is None or n_wanted == len(train):
        return train
    try:
        some, _ = _stratified(labels[train], n_wanted, len(train) - n_wanted)
    except ValueError as error:
        raise DataError(f"{name}: train_size {n_wanted} of {len(train)} samples cannot be drawn: {error}") from error
    return train[some]


def _stratified(classes: Indices, n_first: int, n_second: int) -> tuple[Indices, Indices]:
    """Return the places of two parts that are drawn at random within each class, those of scikit-learn's `StratifiedShuffleSplit` with seed 0.

    Loading scikit-learn takes longer than a small study, and its draws could change with its releases.

    Parameters
    ----------
    classes : of the samples, shape (n,).
    n_first, n_second : samples in the two parts; they add up to n.

    Raises
    ------
    ValueError
        When a part or a class has too few samples.
    """
    import numpy as np

    known, number, counts = np.unique(classes, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise ValueError(f"a class needs two samples at least, but there is one of {known[counts < 2].tolist()}")
    if min(n_first, n_second) < len(known):
        raise ValueError(f"{n_first} and {n_second} samples, but both parts need one of each of {len(known)} classes")
    places = np.split(np.argsort(number, kind="stable"), np.cumsum(counts)[:-1])
    rng = np.random.RandomState(0)  # the stream of scikit-learn with seed 0
    in_first = _shares(counts, n_first, rng)
    in_second = _shares(counts - in_first, n_second, rng)
    first, second = [], []
    for place, n_one, n_other in zip(places, in_first, in_second, strict=True):
        drawn = place[rng.permutation(len(place))]
        first.append(drawn[:n_one])
        second.append(drawn[n_one : n_one + n_other])
    return rng.permutation(np.concatenate(first)), rng.permutation(np.concatenate(second))


def _shares(counts: Indices, n_drawn: int, rng: np.random.RandomState) -> Indices:
    """Return how many of so many draws fall to each class: its share, rounded down; what is left over goes to the largest remainders, ties at random."""
    import numpy as np

    wanted = counts / counts.sum() * n_drawn
    shares = np.floor(wanted)
    remainders = wanted - shares
    n_left = int(n_drawn - shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if n_left <= 0:
            break
        tied = np.flatnonzero(remainders == remainder)
        taken = rng.choice(tied, size=min(len(tied), n_left), replace=False)
        shares[taken] += 1
        n_left -= len(taken)
    whole: Indices = shares.astype(np.int64)
    return whole
