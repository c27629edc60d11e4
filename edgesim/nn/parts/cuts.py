"""How good a partition of filters is, seen on their graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.networks.partition import Partition


def cut_ratio(partition: Partition, affinity: NDArray[np.float64]) -> float:
    """Return the share of all affinity that lies between filters of different parts; dropped filters lose all of theirs.

    On the graph of co-activation this is the share of correlation that the partition loses.

    Examples
    --------
    >>> from edgesim.domain.networks.partition import Partition
    >>> path = np.array([[0.0, 3.0, 0.0], [3.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> cut_ratio(Partition(((0, 1), (2,)), 3), path)
    0.25
    """
    total = float(affinity.sum())
    kept = sum(float(affinity[np.ix_(part, part)].sum()) for part in partition.parts)
    return 1.0 - kept / total if total > 0 else 0.0


def modularity(partition: Partition, affinity: NDArray[np.float64], resolution: float = 1.0) -> float:
    """Return Q = sum over parts of (links inside / 2m - gamma (strength / 2m)^2); every dropped filter is a part of its own.

    Parameters
    ----------
    partition : of the filters.
    affinity : symmetric, zero diagonal; 2m is its sum.
    resolution : gamma.

    Examples
    --------
    Two pairs with a link of weight 1 each: each part has half of all, (1/2 - (1/2)^2) twice.

    >>> from edgesim.domain.networks.partition import Partition
    >>> affinity = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    >>> modularity(Partition(((0, 1), (2, 3)), 4), affinity)
    0.5
    """
    total = float(affinity.sum())
    if total == 0:
        return 0.0
    strength = affinity.sum(axis=1) / total
    quality = -resolution * float((strength[list(partition.dropped)] ** 2).sum())
    for part in partition.parts:
        members = list(part)
        inside = float(affinity[np.ix_(members, members)].sum()) / total
        quality += inside - resolution * float(strength[members].sum()) ** 2
    return quality
