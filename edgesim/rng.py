"""Named random streams.

Every draw comes from a stream that is named by what it is for (``"loss/link/w3->hub"``). A stream's numbers depend on the
study's seed, its name, the chunk of replications and the replication, and on nothing else: not on the strategy, the factor
point, the worker or the order of use. So all strategies of a study meet the same failures (common random numbers), adding a
device moves no other stream, and results are the same with any number of workers.

A stream is a block of uniforms of shape (replications of the chunk, `WIDTH`), row r belonging to the r-th replication of the
chunk. A replication that needs more draws goes on in an overflow stream of its own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 100
"""Replications per chunk. Part of what determines the numbers: changing it changes every study."""
WIDTH = 16
"""Draws per replication that are prepared in a block."""


def stable_hash(name: str) -> int:
    """Return a 64-bit hash of a name that is the same in every process and version."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def generator(seed: int, name: str, *key: int) -> np.random.Generator:
    """Return the generator of a named stream.

    Parameters
    ----------
    seed : the study's seed, at least 0.
    name : what the draws are for.
    key : further whole numbers that tell streams of one name apart, e.g. the chunk.
    """
    import numpy as np  # late: failure models name these types, and a scenario is checked without numpy

    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stable_hash(name), *key))))


class Draws:
    """The uniforms on [0, 1) of one stream in one replication, in order."""

    __slots__ = ("_key", "_name", "_overflow", "_position", "_row", "_seed")

    def __init__(self, row: list[float], seed: int, name: str, key: tuple[int, int]) -> None:
        self._row = row
        self._seed, self._name, self._key = seed, name, key
        self._position = 0
        self._overflow: np.random.Generator | None = None

    def uniform(self) -> float:
        """Return the next uniform on [0, 1)."""
        position = self._position
        if position < len(self._row):
            self._position = position + 1
            return self._row[position]
        if self._overflow is None:
            self._overflow = generator(self._seed, self._name, *self._key)
        return float(self._overflow.random())


class Streams:
    """All streams of one chunk of replications.

    Parameters
    ----------
    seed : the study's seed.
    chunk : index of the chunk; its replications are ``chunk * CHUNK ... chunk * CHUNK + CHUNK - 1``.
    """

    def __init__(self, seed: int, chunk: int) -> None:
        self.seed = seed
        self.chunk = chunk
        self._blocks: dict[str, NDArray[np.float64]] = {}

    def block(self, name: str) -> NDArray[np.float64]:
        """Return the uniforms of a stream for the whole chunk, shape (CHUNK, WIDTH)."""
        block = self._blocks.get(name)
        if block is None:
            block = generator(self.seed, name, self.chunk).random((CHUNK, WIDTH))
            self._blocks[name] = block
        return block

    def replication(self, index: int) -> ReplicationStreams:
        """Return the streams of the `index`-th replication of this chunk, 0 <= index < CHUNK."""
        return ReplicationStreams(self, index)


class ReplicationStreams:
    """The streams of one replication; ``streams("link/w1->hub")`` gives the draws of that name, made once.

    `scope` gives the same streams under a longer name, so that two failure models of one kind never share draws.
    """

    __slots__ = ("_draws", "_index", "_prefix", "_streams")

    def __init__(self, streams: Streams, index: int, prefix: str = "", draws: dict[str, Draws] | None = None) -> None:
        self._streams = streams
        self._index = index
        self._prefix = prefix
        self._draws: dict[str, Draws] = {} if draws is None else draws

    def scope(self, label: str) -> ReplicationStreams:
        """Return these streams with `label` put before every name."""
        return ReplicationStreams(self._streams, self._index, f"{self._prefix}{label}/", self._draws)

    def __call__(self, name: str) -> Draws:
        name = self._prefix + name
        draws = self._draws.get(name)
        if draws is None:
            streams = self._streams
            row = streams.block(name)[self._index].tolist()
            draws = Draws(row, streams.seed, name, (streams.chunk, self._index + 1))
            self._draws[name] = draws
        return draws
