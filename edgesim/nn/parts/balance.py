"""Parts of equal size: how large each is, and the assignment of points to centres of which each takes its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.networks.partition import Partition
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MAX_ROUNDS = 50
"""Rounds of moving centres; they end earlier when no point changes its part."""


def equal_sizes(n_filters: int, n_parts: int) -> tuple[int, ...]:
    """Return sizes that differ by at most one, the larger ones first.

    Raises
    ------
    PlanError
        When there are fewer filters than parts.

    Examples
    --------
    >>> equal_sizes(10, 4)
    (3, 3, 2, 2)
    """
    if n_parts > n_filters:
        raise PlanError(
            f"{n_filters} filters cannot be divided into {n_parts} parts; use fewer parts or a teacher with more filters"
        )
    share, rest = divmod(n_filters, n_parts)
    return (share + 1,) * rest + (share,) * (n_parts - rest)


def sliced(order: Sequence[int], n_parts: int) -> Partition:
    """Cut an order of all filters into consecutive parts of equal size.

    Examples
    --------
    >>> sliced([3, 0, 2, 1, 4], 2).parts
    ((0, 2, 3), (1, 4))
    """
    cuts = np.cumsum(equal_sizes(len(order), n_parts))[:-1]
    parts = np.split(np.asarray(order), cuts)
    return Partition(tuple(tuple(sorted(int(index) for index in part)) for part in parts), len(order))


def unit_rows(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale the vector of each filter to length 1; that of a filter without any stays 0.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.where(lengths > 0, lengths, 1.0)


def balanced_k_means(points: NDArray[np.float64], n_parts: int) -> Partition:
    """Divide points so that sizes differ by at most one and squared distances to the parts' means are small.

    Lloyd's rounds with an assignment step that is optimal under the sizes (`scipy.optimize.linear_sum_assignment`). The first
    centre is the point farthest from the mean, each further one the point farthest from all centres so far, so that
    nothing is drawn and the result does not depend on the order of points.

    Parameters
    ----------
    points : shape (filters, axes).
    n_parts : at most the number of points.

    Examples
    --------
    >>> balanced_k_means(np.array([[0.0], [1.0], [10.0], [11.0]]), 2).parts
    ((0, 1), (2, 3))
    """
    n_filters = len(points)
    equal_sizes(n_filters, n_parts)  # refuses too many parts
    chosen = [int(np.argmax(_distances(points, points.mean(axis=0, keepdims=True))))]
    while len(chosen) < n_parts:
        nearest = _distances(points, points[chosen]).min(axis=1)
        nearest[chosen] = -1.0
        chosen.append(int(np.argmax(nearest)))
    centres = points[chosen]
    part_of = np.full(n_filters, -1)
    for _ in range(_MAX_ROUNDS):
        before, part_of = part_of, _assigned(_distances(points, centres))
        if np.array_equal(before, part_of):
            break
        centres = np.stack([points[part_of == part].mean(axis=0) for part in range(n_parts)])
    parts = (tuple(int(index) for index in np.flatnonzero(part_of == part)) for part in range(n_parts))
    return Partition(tuple(parts), n_filters)


def _assigned(distances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the part of each filter: least sum of distances with equal sizes."""
    from scipy.optimize import linear_sum_assignment

    n_filters, n_parts = distances.shape
    share, rest = divmod(n_filters, n_parts)
    # every part has `share` places that must be filled, which is forced by a bonus, and, if need be, one that may be
    bonus = (float(distances.max()) + 1.0) * n_filters
    places = [distances - bonus] * share + ([distances] if rest else [])
    _, place = linear_sum_assignment(np.hstack(places))
    part_of: NDArray[np.int64] = place % n_parts
    return part_of


def _distances(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances, shape (points, centres)."""
    squares: NDArray[np.float64] = (
        (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)[None]
    )
    return np.maximum(squares, 0.0)
