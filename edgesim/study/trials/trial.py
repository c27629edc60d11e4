"""The work of a study's tasks: simulate trials, and ask the networks what they answer with what arrived.

Both are pure functions of what they are given. Scores are computed apart from the trials, once per distinct `Delivery` in the whole
study, since many trials meet the same one and an answer costs far more than a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from math import inf
from typing import TYPE_CHECKING, Any

from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.servers.losses import GivenLosses
from edgesim.errors import SimulationError
from edgesim.failures.sampling.draw import (
    device_speeds,
    draw_outages,
    draw_renewals,
    loss_models,
    models_of,
    slowdown_models,
)
from edgesim.interfaces import AttackableDeployment, RenewalModel, SpeedModel
from edgesim.rng import ReplicationStreams, Streams
from edgesim.study.cases.design import Case
from edgesim.study.cases.outcomes import Outcomes, outcomes_of
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Block
from edgesim.study.trials.batch import drawn_batch, enumerated_batch, why_not
from edgesim.study.trials.deliveries import deliveries_of, note
from edgesim.study.trials.load import by_column, reduce
from edgesim.study.trials.trials import Question, Trials, columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.load import Load
    from edgesim.domain.networks.attack import Against
    from edgesim.domain.records import Outage, RequestRecord, Sample, Trace
    from edgesim.engine.program.compiled import Program
    from edgesim.interfaces import Deployment
    from edgesim.study.cases.design import Prepared
    from edgesim.study.trials.load import Reduced

N_MOST_REMEMBERED = 2**16
"""Most records that a worker keeps, to answer equal trials."""

streams_of = lru_cache(maxsize=4)(Streams)  # by seed: to make a generator takes as long as thousands of draws


def perform(shared: Shared, task: Block | Question) -> Trials | list[tuple[float, ...]]:
    """Do one task of a study."""
    return simulate_block(shared, task) if isinstance(task, Block) else scores_of(shared, task)


def simulate_block(shared: Shared, block: Block) -> Trials:
    """Simulate the trials of one task.

    Random numbers come from streams that are named by what they are for, so every case meets the same failures in the
    same replication, whatever the order and the worker.
    """
    case = shared.cases[block.case]
    program = shared.prepared[case.prepared].program
    if block.is_enumeration:
        trials = _enumerated(shared, case, block)
    elif case.load is not None:
        return by_requests(shared, case, block, case.load, is_sampled=block.start == 0 and is_first(shared, case))
    else:
        trials = _drawn(shared, case, block)
    if any(prepared.uses_partial for prepared in shared.prepared) and not trials.partial:
        trials = replace(trials, partial=("",) * len(trials))  # all parts of a study have the same columns
    return _with_asked(program, case, trials)


def _drawn(shared: Shared, case: Case, block: Block) -> Trials:
    """Return the trials of some replications."""
    streams = streams_of(case.seed)
    record_of = _by_events(shared, case)

    def one(position: int) -> Trials:
        own = streams.replication(block.start + position)
        return columns([record_of(own)], [own.weight])

    if not why_not(case, shared):
        return drawn_batch(shared, case, streams.batch(block.start, block.stop), one)
    all_streams = list(map(streams.replication, range(block.start, block.stop)))
    records = [record_of(own) for own in all_streams]
    return _by_column(shared, case, records, [own.weight for own in all_streams])


def _by_column(shared: Shared, case: Case, records: Sequence[RequestRecord], weights: Sequence[float]) -> Trials:
    """Return records by column, with what arrived of messages that are not whole if the deployment uses that."""
    trials, prepared = columns(records, weights), shared.prepared[case.prepared]
    if not prepared.uses_partial:
        return trials
    return replace(trials, partial=tuple(note(prepared.program, case, record.partial) for record in records))


def _by_events(shared: Shared, case: Case) -> Callable[[ReplicationStreams], RequestRecord]:
    """Return what simulates one replication with the event engine; what is the same for all replications is found once."""
    failures, topology = case.failures, case.topology
    program = shared.prepared[case.prepared].program
    losses, slowdowns = loss_models(failures, topology), slowdown_models(failures, topology)
    has_renewals = bool(models_of(failures, RenewalModel))

    def record_of(streams: ReplicationStreams) -> RequestRecord:
        outages = draw_outages(failures, topology, streams)
        if not (losses or slowdowns or has_renewals):
            return simulate_outages(shared, case, outages)
        [record] = simulate(
            program,
            outages=outages,
            renewals=draw_renewals(failures, topology, streams) if has_renewals else (),
            losses=losses,
            slowdowns=slowdowns,
            speeds=device_speeds(failures, topology),
            streams=streams,
            deadline_s=case.deadline_s,
            is_checked=shared.is_checked,
        )
        return record

    return record_of


def _enumerated(shared: Shared, case: Case, block: Block) -> Trials:
    """Return the trials of some outcomes of the failures."""
    outcomes = _outcomes(shared, block.case)
    probability = outcomes.probability(block.start, block.stop)

    def record_of(index: int) -> RequestRecord:
        outages = outcomes.outages_of(index)
        if not outcomes.places:
            return simulate_outages(shared, case, outages)
        [record] = simulate(
            shared.prepared[case.prepared].program,
            outages=outages,
            losses=GivenLosses(outcomes.lost_in(index)),
            speeds=device_speeds(case.failures, case.topology),
            deadline_s=case.deadline_s,
            is_checked=shared.is_checked,
        )
        return record

    def one(position: int) -> Trials:
        return columns([record_of(block.start + position)], [float(probability[position])])

    if not why_not(case, shared):
        return enumerated_batch(shared, case, outcomes, block, one)
    records = [record_of(index) for index in range(block.start, block.stop)]
    return _by_column(shared, case, records, probability.tolist())


def _outcomes(shared: Shared, position: int) -> Outcomes:
    """Return the outcomes of a case; those of the last case are remembered, since its tasks follow each other."""
    if position not in shared.memory.outcomes:
        case = shared.cases[position]
        found = _outcomes_of(shared, case)
        if found is None:
            raise SimulationError(f"the outcomes of {case} cannot be enumerated")
        shared.memory.outcomes.clear()
        shared.memory.outcomes[position] = found
    return shared.memory.outcomes[position]


def _outcomes_of(shared: Shared, case: Case) -> Outcomes | None:
    prepared = shared.prepared[case.prepared]
    return outcomes_of(case, prepared.program, is_partial_used=prepared.uses_partial)


def is_first(shared: Shared, case: Case) -> bool:
    """Return whether a case is the first of its strategy: that is sampled."""
    return next(one for one in shared.cases if one.strategy == case.strategy) is case


def by_requests(shared: Shared, case: Case, block: Block, load: Load | None, *, is_sampled: bool = False) -> Trials:
    """Simulate trials of many requests each, or of one without a load, by single events; `is_sampled`: the first one over time, too."""
    prepared = shared.prepared[case.prepared]
    all_streams = list(map(streams_of(case.seed).replication, range(block.start, block.stop)))
    samples: tuple[Sample, ...] = ()
    rows = []
    for number, streams in enumerate(all_streams):
        found = trace_under_load(shared, case, streams, load, has_samples=is_sampled and number == 0)
        samples = samples or found.samples
        rows.append(reduce(found))
    met = [list(zip(row.patterns, _notes(prepared, case, row), strict=True)) for row in rows]
    distinct = tuple({(lost, text) for pairs in met for lost, text in pairs if lost is not None})
    known: dict[Any, Delivery] = dict(zip(distinct, deliveries_of(prepared.program, distinct, case.seed), strict=True))
    trials = columns([row.record for row in rows], [streams.weight for streams in all_streams])
    asked = tuple(tuple(known.get(pair) for pair in pairs) for pairs in met)
    return replace(trials, load=by_column(rows), asked_by_request=asked, samples=samples)


def _notes(prepared: Prepared, case: Case, row: Reduced) -> list[str]:
    """Return by request of a trial what arrived of messages that are not whole, if the deployment uses that."""
    is_noted = prepared.uses_partial
    return [note(prepared.program, case, partial) if is_noted else "" for partial in row.partial]


def trace_under_load(
    shared: Shared,
    case: Case,
    streams: ReplicationStreams,
    load: Load | None,
    *,
    has_stays: bool = False,
    has_samples: bool = False,
) -> Trace:
    """Simulate one trial of many requests by single events, or of one without a load."""
    asked: dict[str, Any] = {}
    if load is not None:
        asked = {
            "arrivals": load.arrivals,
            "n_requests": load.requests,
            "horizon_s": inf if load.horizon_s is None else load.horizon_s,
            "warm_up_s": load.warm_up_s,
            "admission_limit": load.admission_limit,
        }
    failures, topology = case.failures, case.topology
    return trace(
        shared.prepared[case.prepared].program,
        outages=draw_outages(failures, topology, streams),
        renewals=draw_renewals(failures, topology, streams),
        losses=loss_models(failures, topology),
        slowdowns=slowdown_models(failures, topology),
        speeds=device_speeds(failures, topology),
        streams=streams,
        deadline_s=case.deadline_s,
        **asked,
        is_checked=shared.is_checked,
        has_stays=has_stays,
        has_samples=has_samples,
    )


def simulate_outages(shared: Shared, case: Case, outages: Sequence[Outage]) -> RequestRecord:
    """Return the record of a trial in which nothing else is drawn; equal outages are simulated once."""
    ordered = tuple(sorted(outages, key=lambda outage: (outage.target_id, outage.start_s, outage.end_s, outage.cause)))
    slowing = tuple(models_of(case.failures, SpeedModel).values())
    key = (case.prepared, case.deadline_s, ordered, slowing)
    record = shared.memory.records.get(key)
    if record is None:
        program = shared.prepared[case.prepared].program
        speeds = device_speeds(case.failures, case.topology) if slowing else None
        [record] = simulate(
            program, outages=ordered, speeds=speeds, deadline_s=case.deadline_s, is_checked=shared.is_checked
        )
        if len(shared.memory.records) < N_MOST_REMEMBERED:
            shared.memory.records[key] = record
    return record


def _with_asked(program: Program, case: Case, trials: Trials) -> Trials:
    """Add what the networks are asked with; trials that lost the same are asked as one."""
    met = list(zip(trials.lost, trials.partial or repeat(""), strict=bool(trials.partial)))
    distinct = tuple(set(met))
    known = dict(zip(distinct, deliveries_of(program, distinct, case.seed), strict=True))
    return replace(trials, asked=tuple(known[pair] for pair in met))


def n_enumerated(shared: Shared, case: Case) -> int:
    """Return the number of combined outcomes of the failures of a case, or 0 when they are not enumerated."""
    outcomes = _outcomes_of(shared, case)
    return 0 if outcomes is None else len(outcomes)


def scores_of(shared: Shared, question: Question) -> list[tuple[float, ...]]:
    """Return, for each delivery, the scores of what the networks answer to the test split."""
    prepared = shared.prepared[question.prepared]
    deployment = shared.deployments[question.prepared]
    return [_scores(deployment, delivery, prepared) for delivery in question.deliveries]


def _scores(deployment: Deployment, delivery: Delivery, prepared: Prepared) -> tuple[float, ...]:
    answers = {
        against: _asked(deployment, delivery, against) for against in {score.against for score in prepared.scores}
    }
    return tuple(score.of(answers[score.against], prepared.targets) for score in prepared.scores)


def _asked(deployment: Deployment, delivery: Delivery, against: Against | None) -> NDArray[np.float32]:
    if against is None:
        return deployment.predict(delivery)
    if not isinstance(deployment, AttackableDeployment):
        raise SimulationError(f"a {type(deployment).__name__} cannot be attacked")
    return deployment.predict_attacked(delivery, against)
