"""The work of a study's tasks: simulate trials, and ask the networks what they answer to a pattern of losses.

Both are pure functions of what they are given. Accuracy is computed apart from the trials, once per distinct pattern of
lost transfers in the whole study, since many trials meet the same pattern and an answer costs far more than a trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.plan import Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord, Trace
from edgesim.engine.simulation import simulate, trace
from edgesim.failures.draw import draw_outages, draw_renewals, enumerate_outages, loss_models, slowdown_models
from edgesim.rng import CHUNK, Streams
from edgesim.study.design import Block, Case, Shared
from edgesim.study.load import by_column, reduce

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.load import Load
    from edgesim.engine.program import Program

N_MOST_OUTCOMES = 2**14
"""Most combinations of outages that are enumerated for the exact expectation."""
N_MOST_REMEMBERED = 2**16
"""Most records that a worker keeps, to answer equal trials."""
OUTCOMES = ("completed", "degraded", "failed", "timed_out", "unfinished", "rejected")

streams_of = lru_cache(maxsize=4)(Streams)  # cases that follow each other read the same blocks


@dataclass(frozen=True, slots=True)
class Trials:
    """Some trials of one case, by column; every array has one entry per trial.

    Parameters
    ----------
    weight : probability of an enumerated outcome; 1 for a drawn trial.
    latency_s : NaN without an answer.
    input_byte, intermediate_byte, result_byte, energy_j : as in `RequestRecord`.
    outcome : position in `OUTCOMES`.
    lost : bit i is set when the i-th transfer of the plan was not delivered.
    asked : the pattern of lost transfers that the networks are asked; see `without_effect`.
    load : of trials under load: the metrics of `edgesim.study.load`, by name; the columns above are means over requests.
    patterns : of trials under load: what is asked for each request, None for one without an answer.
    """

    weight: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    input_byte: NDArray[np.int64]
    intermediate_byte: NDArray[np.int64]
    result_byte: NDArray[np.int64]
    energy_j: NDArray[np.float64]
    outcome: NDArray[np.int8]
    lost: tuple[int, ...]
    asked: tuple[int, ...] = ()
    load: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    patterns: tuple[tuple[int | None, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.lost)

    def outcome_name(self, index: int) -> str:
        """Return the outcome of one trial."""
        return OUTCOMES[self.outcome[index]]


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns of lost transfers of one deployment, whose accuracies are asked; `name` says whose, in messages."""

    prepared: int
    lost: tuple[int, ...]
    name: str

    def __str__(self) -> str:
        return f"{self.name}, answers to {len(self.lost)} patterns of lost transfers"


def columns(records: Sequence[RequestRecord], weights: Sequence[float]) -> Trials:
    """Return records by column."""
    return Trials(
        weight=np.array(weights, dtype=np.float64),
        latency_s=np.array([record.latency_s for record in records], dtype=np.float64),
        input_byte=np.array([record.input_byte for record in records], dtype=np.int64),
        intermediate_byte=np.array([record.intermediate_byte for record in records], dtype=np.int64),
        result_byte=np.array([record.result_byte for record in records], dtype=np.int64),
        energy_j=np.array([record.energy_j for record in records], dtype=np.float64),
        outcome=np.array([OUTCOMES.index(record.outcome) for record in records], dtype=np.int8),
        lost=tuple(record.lost for record in records),
    )


def concatenate(parts: Sequence[Trials]) -> Trials:
    """Return the trials of several parts, in order."""
    if not parts:
        return columns((), ())
    return Trials(
        weight=np.concatenate([part.weight for part in parts]),
        latency_s=np.concatenate([part.latency_s for part in parts]),
        input_byte=np.concatenate([part.input_byte for part in parts]),
        intermediate_byte=np.concatenate([part.intermediate_byte for part in parts]),
        result_byte=np.concatenate([part.result_byte for part in parts]),
        energy_j=np.concatenate([part.energy_j for part in parts]),
        outcome=np.concatenate([part.outcome for part in parts]),
        lost=tuple(lost for part in parts for lost in part.lost),
        asked=tuple(asked for part in parts for asked in part.asked),
        load={name: np.concatenate([part.load[name] for part in parts]) for name in parts[0].load},
        patterns=tuple(patterns for part in parts for patterns in part.patterns),
    )


def perform(shared: Shared, task: Block | Patterns) -> Trials | list[float]:
    """Do one task of a study."""
    return simulate_block(shared, task) if isinstance(task, Block) else accuracies(shared, task)


def simulate_block(shared: Shared, block: Block) -> Trials:
    """Simulate the trials of one task.

    Random numbers come from streams that are named by what they are for, so every case meets the same failures in the
    same replication, whatever the order and the worker.
    """
    case = shared.cases[block.case]
    program = shared.prepared[case.prepared].program
    if block.is_enumeration:
        outcomes = enumerate_outages(case.failures, case.topology, N_MOST_OUTCOMES) or []
        chosen = outcomes[block.start : block.stop]
        records = [simulate_outages(shared, case, outages) for _, outages in chosen]
        weights = [probability for probability, _ in chosen]
    elif case.load is not None:
        return _under_load(program, case, block, case.load)
    else:
        records = list(_drawn(shared, case, block))
        weights = [1.0] * len(records)
    return _with_needed(program.plan, columns(records, weights))


def _drawn(shared: Shared, case: Case, block: Block) -> Iterator[RequestRecord]:
    """Yield the record of each replication."""
    failures, topology = case.failures, case.topology
    losses = loss_models(failures, topology)
    slowdowns = slowdown_models(failures, topology)
    has_renewals = any(hasattr(model, "renewals") for model in failures.values())
    for replication in range(block.start, block.stop):
        streams = streams_of(case.seed, replication // CHUNK).replication(replication % CHUNK)
        outages = draw_outages(failures, topology, streams)
        if losses or slowdowns or has_renewals:
            [record] = simulate(
                shared.prepared[case.prepared].program,
                outages=outages,
                renewals=draw_renewals(failures, topology, streams),
                losses=losses,
                slowdowns=slowdowns,
                streams=streams,
                deadline_s=case.deadline_s,
            )
            yield record
        else:
            yield simulate_outages(shared, case, outages)


def _under_load(program: Program, case: Case, block: Block, load: Load) -> Trials:
    """Simulate trials of many requests each."""
    rows = [reduce(trace_under_load(program, case, number, load)) for number in range(block.start, block.stop)]
    needed = {lost: without_effect(program.plan, lost) for row in rows for lost in row.patterns if lost is not None}
    trials = columns([row.record for row in rows], [1.0] * len(rows))
    patterns = tuple(tuple(None if lost is None else needed[lost] for lost in row.patterns) for row in rows)
    return replace(trials, asked=trials.lost, load=by_column(rows), patterns=patterns)


def trace_under_load(program: Program, case: Case, replication: int, load: Load, *, has_stays: bool = False) -> Trace:
    """Simulate one trial of many requests."""
    failures, topology = case.failures, case.topology
    streams = streams_of(case.seed, replication // CHUNK).replication(replication % CHUNK)
    return trace(
        program,
        outages=draw_outages(failures, topology, streams),
        renewals=draw_renewals(failures, topology, streams),
        losses=loss_models(failures, topology),
        slowdowns=slowdown_models(failures, topology),
        streams=streams,
        deadline_s=case.deadline_s,
        arrivals=load.arrivals,
        n_requests=load.requests,
        horizon_s=inf if load.horizon_s is None else load.horizon_s,
        warm_up_s=load.warm_up_s,
        admission_limit=load.admission_limit,
        has_stays=has_stays,
    )


def simulate_outages(shared: Shared, case: Case, outages: Sequence[Outage]) -> RequestRecord:
    """Return the record of a trial in which nothing else is drawn; equal outages are simulated once."""
    ordered = tuple(sorted(outages, key=lambda outage: (outage.target_id, outage.start_s, outage.end_s, outage.cause)))
    key = (case.prepared, case.deadline_s, ordered)
    record = shared.records.get(key)
    if record is None:
        program = shared.prepared[case.prepared].program
        record = simulate(program, outages=ordered, deadline_s=case.deadline_s)[0]
        if len(shared.records) < N_MOST_REMEMBERED:
            shared.records[key] = record
    return record


def _with_needed(plan: Plan, trials: Trials) -> Trials:
    """Add what the networks are asked for each distinct pattern of losses."""
    needed = {lost: without_effect(plan, lost) for lost in set(trials.lost)}
    return replace(trials, asked=tuple(needed[lost] for lost in trials.lost))


def without_effect(plan: Plan, lost: int) -> int:
    """Return a pattern of lost transfers with the same answer: it adds those that were delivered but reach the answer nowhere.

    What a transfer carries can change the answer only along delivered transfers, so patterns that differ in others are one.
    A student whose features are lost, e.g., does not count, whether or not it had its input.
    """
    is_needed = {plan.answer_id}
    position = len(plan.transfers)
    for step in reversed(plan.steps):
        if isinstance(step, Transfer):
            position -= 1
            if lost >> position & 1 or step.step_id not in is_needed:
                lost |= 1 << position
                continue
        elif step.step_id not in is_needed:
            continue
        is_needed.update(step.inputs)
    return lost


def n_enumerated(case: Case) -> int:
    """Return the number of combined outcomes of the failure models, or 0 when they are too many or not finitely many."""
    if case.load is not None:
        return 0  # releases are random too, and requests wait for each other
    return len(enumerate_outages(case.failures, case.topology, N_MOST_OUTCOMES) or ())


def accuracies(shared: Shared, patterns: Patterns) -> list[float]:
    """Return, for each pattern of lost transfers, the share of the test split that the networks answer rightly."""
    prepared = shared.prepared[patterns.prepared]
    transfers = prepared.program.plan.transfers
    answers: list[float] = []
    for lost in patterns.lost:
        delivered = frozenset(transfer.step_id for index, transfer in enumerate(transfers) if not lost >> index & 1)
        logits = prepared.deployment.predict(delivered)
        answers.append(float(np.mean(np.argmax(logits, axis=1) == prepared.labels)))
    return answers
