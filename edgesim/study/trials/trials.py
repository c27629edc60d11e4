"""The trials of a study, by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.columns import ENGINES, MEASURED, OUTCOMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.records import RequestRecord, Sample


NUMBERS: Mapping[str, type[np.generic]] = {"float": np.float64, "int": np.int64}
"""Types of the columns of numbers, by kind."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Some trials of one case, by column; every array has one entry per trial.

    Parameters
    ----------
    weight : probability of an enumerated outcome; of a drawn trial 1, or by importance sampling the probability of what was
        drawn over that with which it was drawn.
    latency_s : NaN without an answer.
    input_byte, intermediate_byte, result_byte, energy_j : as in `RequestRecord`.
    outcome : position in `OUTCOMES`.
    engine : which simulated it, position in `ENGINES`.
    lost : bit i is set when the i-th transfer of the plan is not whole.
    partial : where a deployment of the study uses them: what arrived of messages that are not whole; see `edgesim.study.trials.deliveries`.
    sample : where the plan of a strategy of the study depends on it: the test sample that the request asks about, -1 for any.
    asked : with what the networks are asked; nothing under load, where that is by request.
    load : of trials under load: the metrics of `edgesim.study.trials.load`, by name; the columns above are means over requests.
    asked_by_request : of trials under load: with what the networks are asked for each request, None for one without an answer.
    times_by_request : of trials under load: release and latency of each of these requests, in s, each of shape (requests, 2).
    samples : of the first trial under load of a strategy: how much was at every resource over time; it is stored in no part.
    """

    weight: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    input_byte: NDArray[np.int64]
    intermediate_byte: NDArray[np.int64]
    result_byte: NDArray[np.int64]
    energy_j: NDArray[np.float64]
    outcome: NDArray[np.int8]
    engine: NDArray[np.int8]
    lost: tuple[int, ...]
    partial: tuple[str, ...] = ()
    sample: tuple[int, ...] = ()
    asked: tuple[Delivery, ...] = ()
    load: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    asked_by_request: tuple[tuple[Delivery | None, ...], ...] = ()
    times_by_request: tuple[NDArray[np.float64], ...] = ()
    samples: tuple[Sample, ...] = ()

    def __len__(self) -> int:
        return len(self.lost)

    def outcome_name(self, index: int) -> str:
        """Return the outcome of one trial."""
        return OUTCOMES[int(self.outcome[index])]


@dataclass(frozen=True, slots=True)
class Question:
    """With what a deployment is asked for the scores of its answers; `name` says whose, in messages."""

    prepared: int
    deliveries: tuple[Delivery, ...]
    name: str

    def __str__(self) -> str:
        return f"{self.name}, answers with {len(self.deliveries)} sets of what arrived"


def columns(records: Sequence[RequestRecord], weights: Sequence[float]) -> Trials:
    """Return records of the event engine by column."""
    measured: dict[str, Any] = {
        column.name: np.array([getattr(record, column.name) for record in records], dtype=NUMBERS[column.kind])
        for column in MEASURED
        if column.kind in NUMBERS
    }
    return Trials(
        **measured,
        weight=np.array(weights, dtype=np.float64),
        outcome=np.array([OUTCOMES.index(record.outcome) for record in records], dtype=np.int8),
        engine=np.full(len(records), ENGINES.index("event"), dtype=np.int8),
        lost=tuple(record.lost for record in records),
    )


def patterns_of(is_lost: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return patterns as numbers: bit i of the n-th is set where ``is_lost[i, n]``, shape (transfers, n)."""
    packed = np.ascontiguousarray(np.packbits(is_lost, axis=0, bitorder="little").T)
    if packed.shape[1] == 0:
        return (0,) * len(packed)
    if packed.shape[1] <= 8:
        wide = np.zeros((len(packed), 8), dtype=np.uint8)
        wide[:, : packed.shape[1]] = packed
        return tuple(wide.view("<u8")[:, 0].tolist())
    return tuple(int.from_bytes(row.tobytes(), "little") for row in packed)


def bits_of(patterns: Sequence[int], n_transfers: int) -> NDArray[np.bool_]:
    """Return numbers as patterns: the opposite of `patterns_of`; shape (transfers, n)."""
    n_byte = -(-n_transfers // 8)
    joined = b"".join(pattern.to_bytes(n_byte, "little") for pattern in patterns)
    packed = np.frombuffer(joined, dtype=np.uint8).reshape(len(patterns), n_byte)
    return np.unpackbits(packed, axis=1, count=n_transfers, bitorder="little").T.astype(np.bool_)
