"""Indices of samples divided at random within each class: once and for all, so that every study sees the same splits."""

from __future__ import annotations

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
    """Divide samples at random within each class (stratified), with scikit-learn's `train_test_split` and seed 0.

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
    from sklearn.model_selection import train_test_split

    try:
        first, second = train_test_split(samples, test_size=share, stratify=labels[samples], random_state=0)
    except ValueError as error:
        raise DataError(f"{name}: the training part cannot be divided: {error}") from error
    return first, second


def some_of(name: str, train: Indices, labels: Indices, n_wanted: int | None) -> Indices:
    """Draw some of the training samples within each class; all when no number is wanted. Raises `DataError`.

    >>> import numpy as np
    >>> drawn = some_of("six", np.arange(6), np.array([0, 0, 0, 1, 1, 1]), 2)
    >>> sorted(int(index) // 3 for index in drawn)
    [0, 1]
    """
    from sklearn.model_selection import train_test_split

    if n_wanted is None or n_wanted == len(train):
        return train
    some: Indices
    try:
        some, _ = train_test_split(train, train_size=n_wanted, stratify=labels[train], random_state=0)
    except ValueError as error:
        raise DataError(f"{name}: train_size {n_wanted} of {len(train)} samples cannot be drawn: {error}") from error
    return some
