"""The work of a study's tasks: simulate trials, and ask the networks what they answer with what arrived.

Both are pure functions of what they are given. Scores are computed apart from the trials, once per distinct `Delivery` in the whole
study, since many trials meet the same one and an answer costs far more than a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.columns import ENGINES
from edgesim.engine.events.simulation import Simulation, simulate, trace
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
from edgesim.interfaces import AttackableDeployment, GroupedDeployment, RenewalModel, SpeedModel
from edgesim.rng import ReplicationStreams, Streams
from edgesim.study.cases.design import Case
from edgesim.study.cases.outcomes import OutcomesOfPlans, outcomes_of_plans
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Block
from edgesim.study.trials.batch import drawn_batch, enumerated_batch, loaded_batch, why_not
from edgesim.study.trials.deliveries import deliveries_of, note
from edgesim.study.trials.load import by_column, reduce
from edgesim.study.trials.trials import Question, Trials, columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.load import Load
    from edgesim.domain.networks.attack import Against
    from edgesim.domain.networks.task import Score
    from edgesim.domain.records import Outage, RequestRecord, Sample, Trace
    from edgesim.interfaces import Deployment
    from edgesim.study.cases.design import Prepared
    from edgesim.study.trials.load import Reduced

SAMPLE = "sample"
"""The stream that draws about which test sample a request asks."""
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
    if block.is_enumeration:
        trials = _enumerated(shared, case, block)
    elif case.load is not None:
        return by_requests(shared, case, block, case.load, is_sampled=block.start == 0 and is_first(shared, case))
    else:
        trials = _drawn(shared, case, block)
    return _with_asked(shared, case, with_columns(shared, trials))


def with_columns(shared: Shared, trials: Trials) -> Trials:
    """Return trials with the columns that all parts of their study have."""
    if any(prepared.uses_partial for prepared in shared.prepared) and not trials.partial:
        trials = replace(trials, partial=("",) * len(trials))
    if any(prepared.plan_of_sample for prepared in shared.prepared) and not trials.sample:
        trials = replace(trials, sample=(-1,) * len(trials))
    return trials


def _drawn(shared: Shared, case: Case, block: Block) -> Trials:
    """Return the trials of some replications."""
    streams, prepared = streams_of(case.seed), shared.prepared[case.prepared]
    samples: tuple[int, ...] = ()
    if any(one.plan_of_sample for one in shared.prepared):
        samples = samples_of(streams, block, len(prepared.targets))
    record_of = _by_events(shared, case)

    def one(position: int) -> Trials:
        record, weight = record_of(block.start + position, 0)
        return columns([record], [weight])

    if not why_not(case, shared):
        return replace(drawn_batch(shared, case, streams.batch(block.start, block.stop), one), sample=samples)
    plans = map(prepared.plan_of, samples) if samples else repeat(0)
    found = [record_of(index, plan) for index, plan in zip(range(block.start, block.stop), plans, strict=False)]
    records, weights = [record for record, _ in found], [weight for _, weight in found]
    return replace(_by_column(shared, case, records, weights), sample=samples)


def samples_of(streams: Streams, block: Block, n_samples: int) -> tuple[int, ...]:
    """Return about which test sample the request of each replication asks; the same for every strategy and factor point."""
    uniforms = streams.stream(SAMPLE).numbers(0, block.start, block.stop)
    return tuple((uniforms * n_samples).astype(int).tolist())


def _by_column(shared: Shared, case: Case, records: Sequence[RequestRecord], weights: Sequence[float]) -> Trials:
    """Return records by column, with what arrived of messages that are not whole if the deployment uses that."""
    trials, prepared = columns(records, weights), shared.prepared[case.prepared]
    if not prepared.uses_partial:
        return trials
    return replace(trials, partial=tuple(note(prepared.program, case, record.partial) for record in records))


def _by_events(shared: Shared, case: Case) -> Callable[[int, int], tuple[RequestRecord, float]]:
    """Return what simulates a replication of a plan with the event engine, and its weight; what is the same in all of them is set up once."""
    failures, topology = case.failures, case.topology
    streams = streams_of(case.seed).replication(0)
    losses, slowdowns = loss_models(failures, topology), slowdown_models(failures, topology)
    has_renewals = bool(models_of(failures, RenewalModel))
    is_drawn = bool(losses or slowdowns or has_renewals)
    simulation = Simulation(
        shared.prepared[case.prepared].program,
        losses=losses,
        slowdowns=slowdowns,
        speeds=device_speeds(failures, topology),
        streams=streams,
        deadline_s=case.deadline_s,
        is_checked=shared.is_checked,
    )

    def record_of(replication: int, plan: int) -> tuple[RequestRecord, float]:
        streams.go_to(replication)
        outages = draw_outages(failures, topology, streams)
        if not is_drawn:
            return simulate_outages(shared, case, outages, plan), streams.weight
        renewals = draw_renewals(failures, topology, streams) if has_renewals else ()
        [record] = simulation.run(outages=outages, renewals=renewals, plan_of=lambda _: plan)
        return record, streams.weight

    return record_of


def _enumerated(shared: Shared, case: Case, block: Block) -> Trials:
    """Return the trials of some outcomes of the failures."""
    outcomes = _outcomes(shared, block.case)
    probability = outcomes.probability(block.start, block.stop)

    def record_of(place: int) -> RequestRecord:
        own, index = outcomes.at(place)
        outages = own.outages_of(index)
        if not own.places:
            return simulate_outages(shared, case, outages, own.plan)
        [record] = simulate(
            shared.prepared[case.prepared].program,
            outages=outages,
            losses=GivenLosses(own.lost_in(index)),
            speeds=device_speeds(case.failures, case.topology),
            deadline_s=case.deadline_s,
            is_checked=shared.is_checked,
            plan_of=lambda _: own.plan,
        )
        return record

    def one(position: int) -> Trials:
        return columns([record_of(block.start + position)], [float(probability[position])])

    if not why_not(case, shared):
        return enumerated_batch(shared, case, outcomes.plans[0], block, one)
    records = [record_of(index) for index in range(block.start, block.stop)]
    trials = _by_column(shared, case, records, probability.tolist())
    plans = shared.prepared[case.prepared].plan_of_sample
    return replace(trials, sample=tuple(plans.index(record.plan) for record in records)) if plans else trials


def _outcomes(shared: Shared, position: int) -> OutcomesOfPlans:
    """Return the outcomes of a case; those of the last case are remembered, since its tasks follow each other."""
    if position not in shared.memory.outcomes:
        case = shared.cases[position]
        found = _outcomes_of(shared, case)
        if found is None:
            raise SimulationError(f"the outcomes of {case} cannot be enumerated")
        shared.memory.outcomes.clear()
        shared.memory.outcomes[position] = found
    return shared.memory.outcomes[position]


def _outcomes_of(shared: Shared, case: Case) -> OutcomesOfPlans | None:
    return outcomes_of_plans(case, shared.prepared[case.prepared])


def is_first(shared: Shared, case: Case) -> bool:
    """Return whether a case is the first of its strategy: that is sampled."""
    return next(one for one in shared.cases if one.strategy == case.strategy) is case


def by_requests(shared: Shared, case: Case, block: Block, load: Load | None, *, is_sampled: bool = False) -> Trials:
    """Simulate trials of many requests each, or of one without a load; `is_sampled`: the first one over time, too, by single events."""
    prepared, all_streams = shared.prepared[case.prepared], streams_of(case.seed)
    replications = range(block.start, block.stop)
    by_arrays: Iterable[tuple[Trace | None, float]] = repeat((None, 1.0))
    if load is not None and not why_not(case, shared):
        by_arrays = loaded_batch(shared, case, load, replications, all_streams)
    samples: tuple[Sample, ...] = ()
    rows, weights, engines = [], [], []
    for number, (by_array, weight) in zip(replications, by_arrays, strict=False):
        found, own_weight = by_array, weight
        if found is None or (is_sampled and number == block.start):
            streams = all_streams.replication(number)
            found = trace_under_load(shared, case, streams, load, has_samples=is_sampled and number == block.start)
            own_weight = streams.weight
        samples = samples or found.samples
        rows.append(reduce(found, is_recovering=case.recovery is not None))
        weights.append(own_weight)
        engines.append(ENGINES.index("array" if found is by_array else "event"))
    notes = [_notes(prepared, case, row) for row in rows]

    def met() -> Iterator[Iterator[tuple[int | None, str, int]]]:
        return (zip(row.patterns, own, row.plans, strict=False) for row, own in zip(rows, notes, strict=True))

    distinct = tuple({(lost, text, plan) for some in met() for lost, text, plan in some if lost is not None})
    known: dict[Any, Delivery] = dict(zip(distinct, deliveries_of(prepared.program, distinct, case.seed), strict=True))
    trials = replace(columns([row.record for row in rows], weights), engine=np.array(engines, dtype=np.int8))
    asked = tuple(tuple(map(known.get, some)) for some in met())
    times = tuple(row.times for row in rows)
    whole = replace(trials, load=by_column(rows), asked_by_request=asked, times_by_request=times, samples=samples)
    return with_columns(shared, whole)


def _notes(prepared: Prepared, case: Case, row: Reduced) -> Sequence[str] | repeat[str]:
    """Return by request of a trial what arrived of messages that are not whole, if the deployment uses that."""
    if not prepared.uses_partial:
        return repeat("")
    return [note(prepared.program, case, partial) for partial in row.partial]


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
        plan_of=plans_drawn(shared.prepared[case.prepared], streams),
        recovery=case.recovery,
    )


def plans_drawn(prepared: Prepared, streams: ReplicationStreams) -> Callable[[int], int] | None:
    """Return what says which plan a request follows, by its number: that of the sample it asks about; None where there is one plan."""
    if not prepared.plan_of_sample:
        return None
    uniforms: list[float] = []

    def plan_of(number: int) -> int:
        while len(uniforms) <= number:
            uniforms.append(streams(SAMPLE).uniform())
        return prepared.plan_of(int(uniforms[number] * len(prepared.plan_of_sample)))

    return plan_of


def simulate_outages(shared: Shared, case: Case, outages: Sequence[Outage], plan: int = 0) -> RequestRecord:
    """Return the record of a trial of one plan in which nothing else is drawn; equal outages are simulated once."""
    ordered = tuple(sorted(outages, key=lambda outage: (outage.target_id, outage.start_s, outage.end_s, outage.cause)))
    slowing = tuple(models_of(case.failures, SpeedModel).values())
    key = (case.prepared, case.deadline_s, ordered, slowing, plan)
    record = shared.memory.records.get(key)
    if record is None:
        program = shared.prepared[case.prepared].program
        speeds = device_speeds(case.failures, case.topology) if slowing else None
        [record] = simulate(
            program,
            outages=ordered,
            speeds=speeds,
            deadline_s=case.deadline_s,
            is_checked=shared.is_checked,
            plan_of=lambda _: plan,
        )
        if len(shared.memory.records) < N_MOST_REMEMBERED:
            shared.memory.records[key] = record
    return record


def _with_asked(shared: Shared, case: Case, trials: Trials) -> Trials:
    """Add what the networks are asked with; trials that lost the same are asked as one."""
    prepared = shared.prepared[case.prepared]
    plans = map(prepared.plan_of, trials.sample) if trials.sample else repeat(0)
    met = list(zip(trials.lost, trials.partial or repeat(""), plans, strict=False))
    distinct = tuple(set(met))
    known = dict(zip(distinct, deliveries_of(prepared.program, distinct, case.seed), strict=True))
    return replace(trials, asked=tuple(known[pair] for pair in met))


def n_enumerated(shared: Shared, case: Case) -> int:
    """Return the number of combined outcomes of the failures of a case, or 0 when they are not enumerated."""
    outcomes = _outcomes_of(shared, case)
    return 0 if outcomes is None else len(outcomes)


def scores_of(shared: Shared, question: Question) -> list[tuple[float, ...]]:
    """Return, for each delivery, the scores of what the networks answer to the test split.

    Of a deployment with several plans, a score that is a mean over samples is that of the samples that follow the plan of the request:
    any of them may have asked, and the mean over requests is that over the test split. Another score, as mAP, is that of the whole split,
    every sample without what is missing of the transfers of its own plan; the mean over requests is then that over what requests lose.
    """
    prepared = shared.prepared[question.prepared]
    deployment = shared.deployments[question.prepared]
    if isinstance(deployment, GroupedDeployment) and all(score.against is None for score in prepared.scores):
        each = deployment.predict_each(question.deliveries)
        return [tuple(score.of(answers, prepared.targets) for score in prepared.scores) for answers in each]
    known: dict[tuple[Delivery, Against | None], NDArray[np.float32]] = {}
    found = []
    for delivery in question.deliveries:
        whole = replace(delivery, plan=0) if prepared.plan_of_sample else delivery
        for against in {score.against for score in prepared.scores}:
            if (whole, against) not in known:
                known[whole, against] = _asked(deployment, delivery, against)
        found.append(
            tuple(_score(score, known[whole, score.against], prepared, delivery.plan) for score in prepared.scores)
        )
    return found


def _score(score: Score, answers: NDArray[np.float32], prepared: Prepared, plan: int) -> float:
    if not (prepared.plan_of_sample and score.is_mean_of_samples):
        return score.of(answers, prepared.targets)
    here = [sample for sample, own in enumerate(prepared.plan_of_sample) if own == plan]
    return score.of(answers[here], prepared.targets[here])


def _asked(deployment: Deployment, delivery: Delivery, against: Against | None) -> NDArray[np.float32]:
    if against is None:
        return deployment.predict(delivery)
    if not isinstance(deployment, AttackableDeployment):
        raise SimulationError(f"a {type(deployment).__name__} cannot be attacked")
    return deployment.predict_attacked(delivery, against)
