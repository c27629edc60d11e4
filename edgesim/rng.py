"""Named random streams.

Every draw comes from a stream that is named by what it is for (``"loss/link/w3->hub"``). A number depends on the study's
seed, the name of its stream, the replication, and how many the replication took from the stream before; on nothing else: not on
the strategy, the factor point, the worker, the order of use, or how many replications are drawn at once. So all strategies of a
study meet the same failures (common random numbers), adding a device moves no other stream, and results are the same with any
number of workers.

A stream is the sequence of one generator, which can be entered at any place. The d-th draws of all replications follow each
other from its place d x `STRIDE` on (modulo its period): there is one row for every draw, with the replications side by side, and
any part of it is had as an array.

Notes
-----
PCG64 is a linear congruential generator with scrambled output. Its low bits have short periods, so that states which lie
a multiple of a large power of two apart agree in them, and their outputs are correlated. `STRIDE` is odd, and near 2^128 / golden ratio:
multiples of the golden ratio lie apart on a circle as evenly as those of any number can, so that of n rows any two lie at least
2^128 / (sqrt(5) n) apart (more than 2^66 for n = 2^60), and no row runs into another.

References
----------
M. E. O'Neill, PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number Generation, Harvey Mudd
College report HMC-CS-2014-0905, 2014. A. De Matteis, S. Pagnutti, Parallelization of random number generators and long-range
correlations, Numerische Mathematik 53:595-608, 1988, doi 10.1007/BF01397554 (why no powers of two). numpy, documentation of
``PCG64.jumped``, which jumps by the same number.
"""

from __future__ import annotations

import hashlib
from math import prod
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

STRIDE = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""Places of the sequence from one row to the next."""
_PERIOD = 2**128
_FACTOR = 0x2360ED051FC65DA44385DF649FCCF645  # of PCG64's generator, state -> factor x state + increment
_STRIDE_FACTOR = pow(_FACTOR, STRIDE, _PERIOD)  # the same for a whole stride at once
_STRIDE_SUM = (pow(_FACTOR, STRIDE, (_FACTOR - 1) * _PERIOD) - 1) // (_FACTOR - 1)  # 1 + f + ... + f^(STRIDE - 1)
_WINDOW, _ROWS = 128, 16  # so many numbers of so many rows are kept for who asks for single ones; changes no number
_WORD = 2**64 - 1
_NO_WINDOW: tuple[int, list[float]] = (-1, [])


def stable_hash(name: str) -> int:
    """Return a 64-bit hash of a name that is the same in every process and version.

    Examples
    --------
    >>> stable_hash("w1") == stable_hash("w1"), stable_hash("w1") == stable_hash("w2")
    (True, False)
    """
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def generator(seed: int, name: str, *key: int) -> np.random.Generator:
    """Return the generator of a name.

    Parameters
    ----------
    seed : the study's seed, at least 0.
    name : what the draws are for.
    key : further whole numbers that tell generators of one name apart.
    """
    import numpy as np  # late: failure models name these types, and a scenario is checked without numpy

    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stable_hash(name), *key))))


class Stream:
    """The uniforms on [0, 1) of one name, for all replications. Several threads may draw from it."""

    __slots__ = ("_generator", "_lock", "_place", "windows")

    def __init__(self, seed: int, name: str) -> None:
        self._generator = generator(seed, name)
        self._place = 0  # where the generator stands
        self._lock = Lock()
        self.windows: dict[int, tuple[int, list[float]]] = {}
        """Numbers of some rows that were asked for one by one: the first replication, and those of it and what follows."""

    def numbers(self, draw: int, start: int, stop: int) -> NDArray[np.float64]:
        """Return the `draw`-th uniforms, counted from 0, of the replications from `start` to before `stop`.

        Examples
        --------
        Part of a row is the same as in the whole row, whatever was drawn before.

        >>> stream = Stream(1, "loss/link/w1->hub")
        >>> row = stream.numbers(0, 0, 5)
        >>> bool((stream.numbers(0, 2, 4) == row[2:4]).all())
        True
        """
        with self._lock:
            self._go_to(draw, start)
            self._place += stop - start
            return self._generator.random(stop - start)

    def _go_to(self, draw: int, replication: int) -> None:
        place = draw * STRIDE + replication
        if place != self._place:  # a jump takes as long as to draw a thousand numbers
            self._generator.bit_generator.advance((place - self._place) % _PERIOD)  # type: ignore[attr-defined]
            self._place = place

    def number(self, draw: int, replication: int) -> float:
        """Return the `draw`-th uniform of one replication; numbers of its row are kept, for the replications that follow."""
        place = replication % _WINDOW
        start, window = self.windows.get(draw, _NO_WINDOW)
        if start != replication - place:
            start = replication - place
            window = self.numbers(draw, start, start + _WINDOW).tolist()
            self.windows[draw] = (start, window)
        return window[place]

    def column(self, draw: int, replication: int) -> Iterator[float]:
        """Yield the `draw`-th uniform of one replication and all that follow it.

        As PCG64 does it, but a whole stride in one step: jumps of numpy take several times as long.
        """
        with self._lock:
            self._go_to(draw, replication)
            state = self._generator.bit_generator.state["state"]
        number, summand = state["state"] * _FACTOR + state["inc"], state["inc"] * _STRIDE_SUM
        while True:
            number %= _PERIOD
            folded, turn = (number >> 64) ^ (number & _WORD), number >> 122
            yield ((((folded >> turn) | (folded << (64 - turn))) & _WORD) >> 11) * 2.0**-53
            number = number * _STRIDE_FACTOR + summand


class Draws:
    """The uniforms on [0, 1) of one stream in one replication, in order."""

    __slots__ = ("_column", "_n_drawn", "_place", "_replication", "_start", "_stream", "_windows")

    def __init__(self, stream: Stream, replication: int) -> None:
        self._stream = stream
        self._windows = stream.windows
        self.go_to(replication)

    def go_to(self, replication: int) -> None:
        """Begin with a replication."""
        self._replication = replication
        self._place = place = replication % _WINDOW
        self._start = replication - place
        self._n_drawn = 0
        self._column: Iterator[float] | None = None

    def uniform(self) -> float:
        """Return the next uniform on [0, 1)."""
        draw = self._n_drawn
        if draw < _ROWS:
            self._n_drawn = draw + 1
            start, window = self._windows.get(draw, _NO_WINDOW)
            return window[self._place] if start == self._start else self._stream.number(draw, self._replication)
        if self._column is None:
            self._column = self._stream.column(draw, self._replication)
        return next(self._column)


class Streams:
    """All streams of a seed.

    Parameters
    ----------
    seed : the study's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Stream] = {}

    def stream(self, name: str) -> Stream:
        """Return the stream of a name, made once."""
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self.seed, name)
        return stream

    def replication(self, index: int) -> ReplicationStreams:
        """Return the streams of one replication, counted from 0."""
        return ReplicationStreams(self, index)

    def batch(self, start: int, stop: int) -> BatchStreams:
        """Return the streams of the replications from `start` to before `stop`, at once."""
        return BatchStreams(self, start, stop)


class _Replication:
    """What the scopes of the streams of a replication share: its number, what is drawn from by whole name, and the weights."""

    __slots__ = ("draws", "index", "ratios")

    def __init__(self, index: int) -> None:
        self.index = index
        self.draws: dict[str, Draws] = {}
        self.ratios: list[float] = []


class ReplicationStreams:
    """The streams of one replication; ``streams("link/w1->hub")`` gives the draws of that name, made once.

    `scope` gives the same streams under a longer name, so that two failure models of one kind never share draws.
    """

    __slots__ = ("_own", "_prefix", "_streams", "_whole")

    def __init__(self, streams: Streams, index: int, prefix: str = "", whole: _Replication | None = None) -> None:
        self._streams = streams
        self._prefix = prefix
        self._own: dict[str, Draws] = {}  # by name without the prefix
        self._whole = _Replication(index) if whole is None else whole

    def go_to(self, index: int) -> None:
        """Go to the beginning of a replication, with all scopes; weights are forgotten.

        Examples
        --------
        >>> streams = Streams(1)
        >>> own = streams.replication(0)
        >>> draws = own.scope("model")("name")
        >>> first = draws.uniform()
        >>> own.go_to(7)
        >>> draws.uniform() == streams.replication(7)("model/name").uniform() != first
        True
        """
        self._whole.index = index
        self._whole.ratios.clear()
        for draws in self._whole.draws.values():
            draws.go_to(index)

    def scope(self, label: str) -> ReplicationStreams:
        """Return these streams with `label` put before every name."""
        return ReplicationStreams(self._streams, self._whole.index, f"{self._prefix}{label}/", self._whole)

    def again(self) -> ReplicationStreams:
        """Return these streams from their beginning, with weights of their own."""
        return ReplicationStreams(self._streams, self._whole.index, self._prefix)

    def __call__(self, name: str) -> Draws:
        draws = self._own.get(name)
        return self._meet(name) if draws is None else draws

    def _meet(self, name: str) -> Draws:
        whole = self._prefix + name
        draws = self._whole.draws.get(whole)
        if draws is None:
            draws = self._whole.draws[whole] = Draws(self._streams.stream(whole), self._whole.index)
        self._own[name] = draws
        return draws

    def weigh(self, ratio: float) -> None:
        """Take note that a value was drawn which the model itself gives `ratio` times as often (importance sampling)."""
        self._whole.ratios.append(ratio)

    @property
    def weight(self) -> float:
        """Probability of what was drawn by the models / by how it was drawn; 1 without importance sampling.

        Examples
        --------
        >>> streams = Streams(1).replication(0)
        >>> streams.weigh(0.5)  # drawn twice as often as it happens
        >>> streams.scope("model").weigh(0.5)
        >>> streams.weight
        0.25
        """
        return prod(self._whole.ratios)


class BatchDraws:
    """The uniforms of one stream in replications that follow each other, each of which goes on at its own place.

    Parameters
    ----------
    stream : the stream.
    start, stop : the replications.
    """

    __slots__ = ("_n_drawn", "_rows", "_start", "_stop", "_stream")

    def __init__(self, stream: Stream, start: int, stop: int) -> None:
        self._stream = stream
        self._start, self._stop = start, stop
        self._n_drawn: int | NDArray[np.int64] = 0  # one number as long as it is the same in all replications
        self._rows: dict[int, NDArray[np.float64]] = {}  # that some replications have come to and others have not

    def uniforms(self, is_drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the next uniform of each replication that draws, and some number for the others; a new array.

        Parameters
        ----------
        is_drawn : which replications draw, shape (n,).
        """
        import numpy as np

        if isinstance(self._n_drawn, int):
            draw = self._n_drawn
            if is_drawn.all():
                self._n_drawn = draw + 1
                return self._stream.numbers(draw, self._start, self._stop)
            self._n_drawn = np.full(len(is_drawn), draw)
        found = np.zeros(len(is_drawn))
        for draw in range(int(self._n_drawn.min()), int(self._n_drawn.max()) + 1):
            np.copyto(found, self._row(draw), where=self._n_drawn == draw)
        self._n_drawn += is_drawn
        return found

    def _row(self, draw: int) -> NDArray[np.float64]:
        if draw not in self._rows:
            self._rows[draw] = self._stream.numbers(draw, self._start, self._stop)
        return self._rows[draw]


class BatchStreams:
    """The streams of replications that follow each other, at once: `ReplicationStreams` for arrays."""

    def __init__(
        self,
        streams: Streams,
        start: int,
        stop: int,
        *,
        prefix: str = "",
        draws: dict[str, BatchDraws] | None = None,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        import numpy as np

        self._streams = streams
        self._start, self._stop = start, stop
        self._prefix = prefix
        self._draws: dict[str, BatchDraws] = {} if draws is None else draws
        self.n = stop - start
        """Number of replications."""
        self.weight: NDArray[np.float64] = np.ones(self.n) if weight is None else weight
        """As of `ReplicationStreams`, shape (n,)."""

    def scope(self, label: str) -> BatchStreams:
        """Return these streams with `label` put before every name."""
        prefix = f"{self._prefix}{label}/"
        return BatchStreams(
            self._streams, self._start, self._stop, prefix=prefix, draws=self._draws, weight=self.weight
        )

    def replications(self) -> Iterator[ReplicationStreams]:
        """Yield the streams of each replication alone, from their beginning and without scopes."""
        return map(self._streams.replication, range(self._start, self._stop))

    def __call__(self, name: str) -> BatchDraws:
        name = self._prefix + name
        draws = self._draws.get(name)
        if draws is None:
            draws = self._draws[name] = BatchDraws(self._streams.stream(name), self._start, self._stop)
        return draws

    def weigh(self, ratios: NDArray[np.float64]) -> None:
        """Take note that values were drawn which the model itself gives `ratios` times as often; shape (n,), 1 where none was."""
        self.weight *= ratios
