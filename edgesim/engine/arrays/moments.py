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
        """Return the same with inf where it does not happen."""
        return self if self.happens is None else Moments(np.where(self.happens, self.s, inf), self.happens)


AT_ONCE = Moments(0.0, None)


def latest(moments: Sequence[Moments]) -> Moments:
    """Return the last of several moments, the beginning if there are none; it happens where all do.

    Examples
    --------
    >>> float(latest([Moments(1.0, None), Moments(3.0, None)]).s)
    3.0
    """
    if len(moments) <= 1:
        return moments[0] if moments else AT_ONCE
    return _of_all(np.maximum, moments, is_sure=all(one.happens is None for one in moments))


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
    return _of_all(np.minimum, moments, is_sure=any(one.happens is None for one in moments))


def _of_all(choice: np.ufunc, moments: Sequence[Moments], *, is_sure: bool) -> Moments:
    """Return a choice of several moments."""
    chosen_s = choice(moments[0].s, moments[1].s) if len(moments) > 1 else moments[0].s
    for one in moments[2:]:
        chosen_s = choice(chosen_s, one.s, out=chosen_s if isinstance(chosen_s, np.ndarray) else None)
    return Moments(chosen_s, None if is_sure else np.less(chosen_s, inf))


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
    return ~other if one is None else one & ~other
