"""How the filters of a teacher are divided."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Literal

from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

Denominator = Literal["arrived", "all"]
"""What the sum over the students of a part is divided by: the number that arrived, or the number that there are."""


Missing = Literal["zeros", "mean"]
"""What stands in for what did not arrive: zeros, or its mean."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Disjoint, non-empty parts of the filters 0 ... n_filters - 1.

    Parameters
    ----------
    parts : filter indices of each part.
    n_filters : filters of the teacher; those in no part are dropped.
    notes : in words, what a reader should know, e.g. that a resolution was raised to get enough parts.

    Raises
    ------
    PlanError
        When a part is empty, a filter stands twice, or an index is out of range.
    """

    parts: tuple[tuple[int, ...], ...]
    n_filters: int
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kept = [index for part in self.parts for index in part]
        if not self.parts or not all(self.parts):
            raise PlanError("a partition needs at least one part, and a filter in each")
        if len(set(kept)) < len(kept):
            raise PlanError("a filter stands twice in a partition; parts must be disjoint")
        if min(kept) < 0 or max(kept) >= self.n_filters:
            raise PlanError(f"a partition names a filter outside 0 ... {self.n_filters - 1}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Filters of each part.

        Examples
        --------
        >>> Partition(((0, 3), (1,)), 5).sizes
        (2, 1)
        """
        return tuple(len(part) for part in self.parts)

    @property
    def dropped(self) -> tuple[int, ...]:
        """Filters in no part, ascending.

        Examples
        --------
        >>> Partition(((0, 3), (1,)), 5).dropped
        (2, 4)
        """
        return tuple(sorted(set(range(self.n_filters)).difference(*self.parts)))

    @property
    def imbalance(self) -> float:
        """Largest size over mean size: 1 when all parts are equally large.

        Examples
        --------
        >>> Partition(((0, 1, 2), (3,)), 4).imbalance  # 3 / 2
        1.5
        """
        return max(self.sizes) * len(self.parts) / sum(self.sizes)


def replica_weights(part_of: Sequence[int], arrived: Sequence[bool], denominator: Denominator) -> tuple[float, ...]:
    """Return what each student's output is multiplied by before those of a part are added up; 0 for one that is lost.

    Parameters
    ----------
    part_of : the part of each student.
    arrived : whether its output is there.
    denominator : see `Denominator`.

    Examples
    --------
    Students 0 and 2 stand for part 0; student 2 is lost.

    >>> replica_weights((0, 1, 0, 1), (True, True, False, True), "arrived")
    (1.0, 0.5, 0.0, 0.5)
    >>> replica_weights((0, 1, 0, 1), (True, True, False, True), "all")
    (0.5, 0.5, 0.0, 0.5)
    """
    counted = [part for part, there in zip(part_of, arrived, strict=True) if there or denominator == "all"]
    return tuple(1 / counted.count(part) if there else 0.0 for part, there in zip(part_of, arrived, strict=True))


def stand_in_weights(part_of: Sequence[int], arrived: Sequence[bool], denominator: Denominator) -> tuple[float, ...]:
    """Return what the mean output of each student is multiplied by where it stands in for what did not arrive.

    With the denominator ``arrived`` the others of a part stand in for a student, and means only for a whole part; with ``all`` the mean
    of each lost student takes its place.

    Examples
    --------
    >>> stand_in_weights((0, 1, 0, 1), (True, False, False, False), "arrived")
    (0.0, 0.5, 0.0, 0.5)
    >>> stand_in_weights((0, 1, 0, 1), (True, False, False, False), "all")
    (0.0, 0.5, 0.5, 0.5)
    """
    there = {part for part, is_there in zip(part_of, arrived, strict=True) if is_there and denominator == "arrived"}
    return tuple(
        0.0 if is_there or part in there else 1 / part_of.count(part)
        for part, is_there in zip(part_of, arrived, strict=True)
    )


def surviving_parts(part_of: Sequence[int], n_lost: int) -> dict[frozenset[int], float]:
    """Return each set of parts that may be left when some students are lost at random, with its probability.

    A part is left while one of its students is. Over students the sets are too many to be gone through; over parts they are 2^M.

    Parameters
    ----------
    part_of : the part of each student.
    n_lost : lost students, each set of that size equally likely.

    Examples
    --------
    Four students on two parts: of the six pairs two are the students of one part.

    >>> found = surviving_parts((0, 1, 0, 1), 2)
    >>> sorted((sorted(parts), round(share, 3)) for parts, share in found.items())
    [([0], 0.167), ([0, 1], 0.667), ([1], 0.167)]
    """
    ways: dict[tuple[frozenset[int], int], int] = {(frozenset(), 0): 1}
    for part in sorted(set(part_of)):
        n = part_of.count(part)
        more: dict[tuple[frozenset[int], int], int] = {}
        for (left, lost), count in ways.items():
            for gone in range(min(n, n_lost - lost) + 1):
                key = (left if gone == n else left | {part}, lost + gone)
                more[key] = more.get(key, 0) + count * comb(n, gone)
        ways = more
    every = comb(len(part_of), n_lost)
    return {left: count / every for (left, lost), count in ways.items() if lost == n_lost}
