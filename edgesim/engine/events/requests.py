"""What became of the requests of a trial, by column: a trial of a million requests takes no more than 70 byte for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from typing import TYPE_CHECKING, overload

import numpy as np

from edgesim.domain.columns import OUTCOMES
from edgesim.domain.records import RequestRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 4096  # records that are made at once while they are gone through


@dataclass(frozen=True, slots=True, eq=False)
class RequestTable(Sequence[RequestRecord]):
    """Records of requests by column; it is gone through as a sequence of `RequestRecord`, which are made meanwhile.

    Parameters
    ----------
    released_s, latency_s, input_byte, intermediate_byte, result_byte, energy_j, n_retransmitted, plan : as of `RequestRecord`, each of shape (n,).
    outcome : position in `OUTCOMES`.
    pattern : position in `patterns`.
    patterns : values of `RequestRecord.lost`.
    partial : `RequestRecord.partial` by position, where it is not empty.

    Examples
    --------
    >>> record = RequestRecord(0.0, 0.5, "completed", 0, 10, 0, 2, 1.5)
    >>> table = RequestTable.of([record, record._replace(lost=4, outcome="degraded")])
    >>> table[1].lost, table.outcome.tolist(), table.is_answered.tolist()
    (4, [0, 1], [True, True])
    """

    released_s: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    outcome: NDArray[np.int8]
    pattern: NDArray[np.int32]
    input_byte: NDArray[np.int64]
    intermediate_byte: NDArray[np.int64]
    result_byte: NDArray[np.int64]
    energy_j: NDArray[np.float64]
    n_retransmitted: NDArray[np.int64]
    plan: NDArray[np.int32]
    patterns: tuple[int, ...]
    partial: Mapping[int, tuple[tuple[int, float], ...]]

    @classmethod
    def of(cls, records: Sequence[RequestRecord]) -> RequestTable:
        """Return records by column; a table as it is."""
        if isinstance(records, RequestTable):
            return records
        places: dict[int, int] = {}
        pattern = [places.setdefault(one.lost, len(places)) for one in records]
        return cls(
            released_s=np.array([one.released_s for one in records], np.float64),
            latency_s=np.array([one.latency_s for one in records], np.float64),
            outcome=np.array([OUTCOMES.index(one.outcome) for one in records], np.int8),
            pattern=np.array(pattern, np.int32),
            input_byte=np.array([one.input_byte for one in records], np.int64),
            intermediate_byte=np.array([one.intermediate_byte for one in records], np.int64),
            result_byte=np.array([one.result_byte for one in records], np.int64),
            energy_j=np.array([one.energy_j for one in records], np.float64),
            n_retransmitted=np.array([one.n_retransmitted for one in records], np.int64),
            plan=np.array([one.plan for one in records], np.int32),
            patterns=tuple(places),
            partial={position: one.partial for position, one in enumerate(records) if one.partial},
        )

    @property
    def is_answered(self) -> NDArray[np.bool_]:
        """Which requests have an answer, shape (n,)."""
        return self.outcome <= OUTCOMES.index("degraded")

    def at(self, positions: NDArray[np.int64]) -> RequestTable:
        """Return the records at some positions."""
        columns = {name: getattr(self, name)[positions] for name in _COLUMNS}
        partial = {}
        if self.partial:
            partial = {new: self.partial[old] for new, old in enumerate(positions.tolist()) if old in self.partial}
        return RequestTable(**columns, patterns=self.patterns, partial=partial)

    def lost(self, positions: NDArray[np.int64]) -> list[int]:
        """Return `RequestRecord.lost` of the records at some positions; equal ones are one object."""
        return [self.patterns[place] for place in self.pattern[positions].tolist()]

    def __len__(self) -> int:
        return len(self.outcome)

    @overload
    def __getitem__(self, index: int) -> RequestRecord: ...
    @overload
    def __getitem__(self, index: slice) -> RequestTable: ...
    def __getitem__(self, index: int | slice) -> RequestRecord | RequestTable:
        if isinstance(index, slice):
            return self.at(np.arange(len(self))[index])
        position = range(len(self))[index]
        return next(self._records(position, position + 1))

    def __iter__(self) -> Iterator[RequestRecord]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self._records(start, start + _AT_ONCE)

    def _records(self, start: int, stop: int) -> Iterator[RequestRecord]:
        here = slice(start, stop)
        outcomes = [OUTCOMES[place] for place in self.outcome[here].tolist()]
        lost = [self.patterns[place] for place in self.pattern[here].tolist()]
        partial = [self.partial.get(position, ()) for position in range(start, stop)] if self.partial else repeat(())
        times_s = (self.released_s[here].tolist(), self.latency_s[here].tolist())
        numbers = (self.input_byte, self.intermediate_byte, self.result_byte, self.energy_j)
        last = (self.n_retransmitted[here].tolist(), self.plan[here].tolist())
        values = zip(
            *times_s, outcomes, lost, *(column[here].tolist() for column in numbers), partial, *last, strict=False
        )
        return map(tuple.__new__, repeat(RequestRecord), values)  # the constructor of a named tuple takes longer

    def __eq__(self, other: object) -> bool:
        """Return whether all records are equal; those without an answer have equal latencies."""
        if not isinstance(other, Sequence):
            return NotImplemented
        if len(self) != len(other):
            return False
        there = RequestTable.of(other)
        is_equal = (
            np.array_equal(getattr(self, name), getattr(there, name), equal_nan=name == "latency_s")
            for name in _COLUMNS
            if name != "pattern"
        )
        everywhere = np.arange(len(self))
        return all(is_equal) and self.lost(everywhere) == there.lost(everywhere) and self.partial == there.partial

    __hash__ = None  # type: ignore[assignment]


_COLUMNS = tuple(one.name for one in fields(RequestTable) if one.name not in {"patterns", "partial"})
