"""Named random streams.

Every draw comes from a stream that is named by what it is for (``"loss/link/w3->hub"``). A stream's numbers depend on the
study's seed, its name, the chunk of replications and the replication, and on nothing else: not on the strategy, the factor
point, the worker or the order of use. So all strategies of a study meet the same failures (common random numbers), adding a
device moves no other stream, and results are the same with any number of workers.

The d-th draws of all replications of a chunk are drawn together, so that they can be had one by one or as an array. A
replication that needs more than `DEPTH` draws goes on in an overflow stream of its own.
"""

from __future__ import annotations

import hashlib
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1000
"""Replications per chunk. Part of what determines the numbers: changing it changes every study."""
DEPTH = 16
"""Draws per replication that all replications of a chunk draw together. Part of what determines the numbers, too."""


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


class Block:
    """One stream of one chunk: row d holds the d-th draw of every replication. Rows are drawn when they are first needed."""

    __slots__ = ("_generator", "_key", "_rows")

    def __init__(self, seed: int, name: str, chunk: int) -> None:
        self._key = (seed, name, chunk)
        self._generator = generator(seed, name, chunk)
        self._rows: list[NDArray[np.float64]] = []

    def row(self, draw: int) -> NDArray[np.float64]:
        """Return the `draw`-th uniform of every replication, 0 <= draw < DEPTH; shape (CHUNK,)."""
        while len(self._rows) <= draw:
            self._rows.append(self._generator.random(CHUNK))
        return self._rows[draw]

    def overflow(self, index: int) -> np.random.Generator:
        """Return what the `index`-th replication of the chunk draws from behind its `DEPTH` draws here."""
        seed, name, chunk = self._key
        return generator(seed, name, chunk, index + 1)


class Draws:
    """The uniforms on [0, 1) of one stream in one replication, in order."""

    __slots__ = ("_block", "_index", "_overflow", "_position")

    def __init__(self, block: Block, index: int) -> None:
        self._block = block
        self._index = index
        self._position = 0
        self._overflow: np.random.Generator | None = None

    def uniform(self) -> float:
        """Return the next uniform on [0, 1)."""
        position = self._position
        if position < DEPTH:
            self._position = position + 1
            return self._block.row(position).item(self._index)
        if self._overflow is None:
            self._overflow = self._block.overflow(self._index)
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
        self._blocks: dict[str, Block] = {}

    def block(self, name: str) -> Block:
        """Return a stream for the whole chunk."""
        block = self._blocks.get(name)
        if block is None:
            block = self._blocks[name] = Block(self.seed, name, self.chunk)
        return block

    def replication(self, index: int) -> ReplicationStreams:
        """Return the streams of the `index`-th replication of this chunk, 0 <= index < CHUNK."""
        return ReplicationStreams(self, index)

    def batch(self, start: int, stop: int) -> BatchStreams:
        """Return the streams of some replications of this chunk at once, 0 <= start < stop <= CHUNK."""
        return BatchStreams(self, slice(start, stop))


class ReplicationStreams:
    """The streams of one replication; ``streams("link/w1->hub")`` gives the draws of that name, made once.

    `scope` gives the same streams under a longer name, so that two failure models of one kind never share draws.
    """

    __slots__ = ("_draws", "_index", "_prefix", "_ratios", "_streams")

    def __init__(
        self,
        streams: Streams,
        index: int,
        prefix: str = "",
        draws: dict[str, Draws] | None = None,
        ratios: list[float] | None = None,
    ) -> None:
        self._streams = streams
        self._index = index
        self._prefix = prefix
        self._draws: dict[str, Draws] = {} if draws is None else draws
        self._ratios: list[float] = [] if ratios is None else ratios

    def scope(self, label: str) -> ReplicationStreams:
        """Return these streams with `label` put before every name."""
        return ReplicationStreams(self._streams, self._index, f"{self._prefix}{label}/", self._draws, self._ratios)

    def __call__(self, name: str) -> Draws:
        name = self._prefix + name
        draws = self._draws.get(name)
        if draws is None:
            draws = self._draws[name] = Draws(self._streams.block(name), self._index)
        return draws

    def weigh(self, ratio: float) -> None:
        """Take note that a value was drawn which the model itself gives `ratio` times as often (importance sampling)."""
        self._ratios.append(ratio)

    @property
    def weight(self) -> float:
        """Probability of what was drawn by the models / by how it was drawn; 1 without importance sampling."""
        return prod(self._ratios)


class BatchDraws:
    """The uniforms of one stream in many replications of a chunk, each of which goes on at its own place."""

    __slots__ = ("_block", "_overflows", "_positions", "_window")

    def __init__(self, block: Block, window: slice) -> None:
        self._block = block
        self._window = window
        self._positions: int | NDArray[np.int64] = 0  # one number as long as it is the same in all replications
        self._overflows: dict[int, np.random.Generator] = {}

    def uniforms(self, is_drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the next uniform of each replication that draws, and some number for the others.

        Parameters
        ----------
        is_drawn : which replications draw, shape (n,).
        """
        import numpy as np

        window = self._window
        if isinstance(self._positions, int):
            draw = self._positions
            if draw < DEPTH and is_drawn.all():
                self._positions = draw + 1
                return self._block.row(draw)[window]
            self._positions = np.full(len(is_drawn), draw)
        found = np.zeros(len(is_drawn))
        for draw in np.unique(self._positions[is_drawn]).tolist():
            here = is_drawn & (self._positions == draw)
            if draw < DEPTH:
                found[here] = self._block.row(draw)[window][here]
            else:
                for position in np.flatnonzero(here).tolist():
                    found[position] = self._beyond(window.start + position).random()
        self._positions += is_drawn
        return found

    def _beyond(self, index: int) -> np.random.Generator:
        if index not in self._overflows:
            self._overflows[index] = self._block.overflow(index)
        return self._overflows[index]


class BatchStreams:
    """The streams of some replications of a chunk at once: `ReplicationStreams` for arrays."""

    def __init__(
        self,
        streams: Streams,
        window: slice,
        prefix: str = "",
        draws: dict[str, BatchDraws] | None = None,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        import numpy as np

        self._streams = streams
        self._window = window
        self._prefix = prefix
        self._draws: dict[str, BatchDraws] = {} if draws is None else draws
        self.n = window.stop - window.start
        """Number of replications."""
        self.weight: NDArray[np.float64] = np.ones(self.n) if weight is None else weight
        """As of `ReplicationStreams`, shape (n,)."""

    def scope(self, label: str) -> BatchStreams:
        """Return these streams with `label` put before every name."""
        return BatchStreams(self._streams, self._window, f"{self._prefix}{label}/", self._draws, self.weight)

    def replications(self) -> Iterator[ReplicationStreams]:
        """Yield the streams of each replication alone, from their beginning and without scopes."""
        return map(self._streams.replication, range(self._window.start, self._window.stop))

    def __call__(self, name: str) -> BatchDraws:
        name = self._prefix + name
        draws = self._draws.get(name)
        if draws is None:
            draws = self._draws[name] = BatchDraws(self._streams.block(name), self._window)
        return draws

    def weigh(self, ratios: NDArray[np.float64]) -> None:
        """Take note that values were drawn which the model itself gives `ratios` times as often; shape (n,), 1 where none was."""
        self.weight *= ratios
