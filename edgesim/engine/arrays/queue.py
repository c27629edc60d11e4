"""Who waits for a server in many trials."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.engine.arrays.moments import Flags, Number


Whose = TypeVar("Whose")
_ROOM = 16  # for so many more who are kept


class Queue(Generic[Whose]):
    """The queue of a device or channel that several tasks use: when each core is next free, and who came.

    Parameters
    ----------
    n, n_cores : trials, and cores.

    Examples
    --------
    Two cores in one trial: who comes first and second is served at once, the third when the first core is free.

    >>> queue: Queue[object] = Queue(1, 2)
    >>> queue.occupy(np.array([3.0]), None)
    >>> queue.occupy(np.array([5.0]), None)
    >>> queue.start_s(1.0).tolist()
    [3.0]
    """

    __slots__ = ("_start", "_stays", "_stop", "came", "free_s", "last_s")

    def __init__(self, n: int, n_cores: int) -> None:
        self.free_s = np.zeros((n_cores, n))
        self.last_s: Number = -inf
        """When the last one came."""
        self._stays = np.full((2, 1, n), -inf)  # when those came and left who are kept, in order
        self._start, self._stop = 0, 1
        self.came: list[tuple[Whose, int, Flags]] = []
        """Requests and steps in order, -1 for a message from another link, and in which trials they came; of the last two requests."""

    def note(self, request: Whose, step: int, happens: Flags) -> None:
        """Take note of who came; what came before the last request is forgotten."""
        if self.came and self.came[-1][0] is not request:
            last = self.came[-1][0]
            self.came = [one for one in self.came if one[0] is last]
        self.came.append((request, step, happens))

    def keep(self, arrived_s: Number, until_s: Number, is_used: Flags) -> None:
        """Keep when somebody came and left, for who came before and is asked about later."""
        if self._stop == self._stays.shape[1]:
            kept = self._stays[:, self._start : self._stop]
            self._stays = np.concatenate([kept, np.empty((2, max(_ROOM, kept.shape[1]), kept.shape[2]))], axis=1)
            self._start, self._stop = 0, kept.shape[1]
        row = self._stays[:, self._stop]
        row[0], row[1] = arrived_s, until_s
        if is_used is not None:  # the others are as before
            np.copyto(row, self._stays[:, self._stop - 1], where=~is_used)
        self._stop += 1

    def start_between_s(self, now_s: Number, since_s: Number) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return when service begins for somebody who may have come before others that were asked about, and in which trials that is certain.

        Parameters
        ----------
        now_s : when that one comes.
        since_s : when the first comes of all who are asked about from now on.

        Examples
        --------
        Somebody came at 3 s and left at 4 s, in each of three trials.

        >>> queue: Queue[object] = Queue(3, 1)
        >>> queue.keep(3.0, 4.0, None)
        >>> start_s, is_certain = queue.start_between_s(np.array([2.0, 3.0, 3.5]), 0.0)
        >>> start_s.tolist(), is_certain.tolist()
        ([2.0, 3.0, 4.0], [True, False, True])
        """
        while self._start + 1 < self._stop and np.less(self._stays[0, self._start + 1], since_s).all():
            self._start += 1
        arrived_s, until_s = self._stays[:, self._start : self._stop]
        last = np.less(arrived_s, now_s).sum(axis=0) - 1  # who came before
        everywhere = np.arange(len(last))
        following = np.minimum(last + 1, len(arrived_s) - 1)
        is_met = (arrived_s[following, everywhere] == now_s) & (until_s[following, everywhere] > now_s)
        return np.maximum(now_s, until_s[last, everywhere]), ~is_met

    def start_s(self, now_s: Number) -> NDArray[np.float64]:
        """Return when service begins for somebody who comes now."""
        free_s = self.free_s[0] if len(self.free_s) == 1 else self.free_s.min(axis=0)
        start_s: NDArray[np.float64] = np.maximum(now_s, free_s)
        return start_s

    def occupy(self, until_s: NDArray[np.float64], is_used: Flags) -> None:
        """Let a core be used until some moments, in some trials."""
        where = True if is_used is None else is_used
        if len(self.free_s) == 1:
            np.copyto(self.free_s[0], until_s, where=where)
            return
        core = self.free_s.argmin(axis=0)[None]
        free_s = np.take_along_axis(self.free_s, core, axis=0)[0]
        np.put_along_axis(self.free_s, core, np.where(where, until_s, free_s)[None], axis=0)
