"""Who waits for a server in many trials."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.engine.arrays.moments import Flags, Number


class Queue:
    """The queue of a device or channel that several tasks use: when each core is next free, and who came.

    Parameters
    ----------
    n, n_cores : trials, and cores.

    Examples
    --------
    Two cores in one trial: who comes first and second is served at once, the third when the first core is free.

    >>> queue = Queue(1, 2)
    >>> queue.occupy(np.array([3.0]), None)
    >>> queue.occupy(np.array([5.0]), None)
    >>> queue.start_s(1.0).tolist()
    [3.0]
    """

    __slots__ = ("came", "free_s", "last_s")

    def __init__(self, n: int, n_cores: int) -> None:
        self.free_s = np.zeros((n_cores, n))
        self.last_s: Number = -inf
        """When the last one came."""
        self.came: list[tuple[int, Flags]] = []
        """Steps in order, -1 for a message from another link, and in which trials they came."""

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
