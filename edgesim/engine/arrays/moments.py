"""Moments in many trials: numbers where they are the same in all, arrays where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Number = float | NDArray[np.float64]
    Flags = NDArray[np.bool_] | None


class Moments(NamedTuple):
    """When something happens in each of n trials.

    Parameters
    ----------
    s : the moment, in s; shape (n,), or one number for all trials.
    happens : in which trials it happens, shape (n,); None: in all.
    """

    s: Number
    happens: Flags

    def masked(self) -> Moments:
        """Return the same with inf where it does not happen; its array, which nobody else may hold, is changed."""
        if self.happens is None:
            return self
        if not isinstance(self.s, np.ndarray):
            return Moments(np.where(self.happens, self.s, inf), self.happens)
        np.copyto(self.s, inf, where=~self.happens)
        return self

    def until(self, horizon_s: float) -> Moments:
        """Return the same with what happens later left out."""
        is_before = np.less_equal(self.s, horizon_s)
        if is_before.all():
            return self
        return Moments(np.where(is_before, self.s, inf), both(np.asarray(is_before), self.happens))


AT_ONCE = Moments(0.0, None)


class Last:
    """The last of moments that come one after another; none of them is kept.

    Examples
    --------
    >>> last = Last(Moments(1.0, None))
    >>> last.add(Moments(np.array([3.0, 0.0]), None))
    >>> last.moment.s.tolist()
    [3.0, 1.0]
    """

    __slots__ = ("_first", "_is_sure", "_s")

    def __init__(self, first: Moments) -> None:
        self._first: Moments | None = first  # the only one so far: its array is its own
        self._s, self._is_sure = first.s, first.happens is None

    def add(self, other: Moments) -> None:
        """Take another moment."""
        if self._first is None and isinstance(self._s, np.ndarray):
            np.maximum(self._s, other.s, out=self._s)
        else:
            self._s = np.maximum(self._s, other.s)
        self._is_sure = self._is_sure and other.happens is None
        self._first = None

    @property
    def moment(self) -> Moments:
        """The last one so far; it happens where all do."""
        return self._first or Moments(self._s, None if self._is_sure else np.less(self._s, inf))


class Sum:
    """Adds up numbers by rank, whatever order they come in: the last bits of a sum tell in which order it was made.

    Examples
    --------
    >>> total = Sum()
    >>> total.add(1, [(2.0**-53, None)])
    >>> total.add(0, [(1.0, None), (2.0**-53, np.array([True, True])), (1.0, np.array([True, False]))])
    >>> total.number.tolist()
    [2.0, 1.0]
    """

    __slots__ = ("_early", "_rank", "number")

    def __init__(self) -> None:
        self.number: Number = 0.0
        """Of all ranks from 0 on that have come."""
        self._rank = 0  # the next one
        self._early: dict[int, list[tuple[Number, Flags]]] = {}  # those that came before it

    def add(self, rank: int, numbers: list[tuple[Number, Flags]]) -> None:
        """Take all numbers of a rank, with the trials in which they count."""
        self._early[rank] = numbers
        while self._rank in self._early:
            for number, counts in self._early.pop(self._rank):
                self.number += number if counts is None else np.where(counts, number, 0.0)
            self._rank += 1


def latest(moments: Sequence[Moments]) -> Moments:
    """Return the last of several moments, the beginning if there are none; it happens where all do.

    Examples
    --------
    >>> float(latest([Moments(1.0, None), Moments(3.0, None)]).s)
    3.0
    """
    if not moments:
        return AT_ONCE
    last = Last(moments[0])
    for one in moments[1:]:
        last.add(one)
    return last.moment


def earliest(moments: Sequence[Moments], n: int = 1) -> Moments:
    """Return the first of several moments, or that when n of them have come; it happens where so many do.

    Examples
    --------
    >>> float(earliest([Moments(1.0, None), Moments(3.0, None)]).s)
    1.0
    >>> float(earliest([Moments(1.0, None), Moments(3.0, None), Moments(2.0, None)], 2).s)
    2.0
    """
    if n > 1:
        nth_s = np.partition(np.stack(np.broadcast_arrays(*(one.s for one in moments))), n - 1, axis=0)[n - 1]
        return Moments(nth_s, None if sum(one.happens is None for one in moments) >= n else np.less(nth_s, inf))
    first_s = moments[0].s
    for one in moments[1:]:
        first_s = np.minimum(first_s, one.s)
    return Moments(first_s, None if any(one.happens is None for one in moments) else np.less(first_s, inf))


def both(one: NDArray[np.bool_], other: Flags) -> NDArray[np.bool_]:
    """Return where both hold."""
    return one if other is None else one & other


def unless(one: Flags, other: Flags) -> Flags:
    """Return where the one holds and the other does not; None as the one: everywhere, as the other: nowhere.

    Examples
    --------
    >>> unless(np.array([True, True]), np.array([True, False])).tolist()
    [False, True]
    """
    if other is None:
        return one
    return ~other if one is None else np.greater(one, other)  # of flags: one and not the other
