"""Trials by the array engine: many replications at once, the few that it cannot do by the event engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.columns import ENGINES, OUTCOMES, TRIAL_COLUMNS
from edgesim.domain.load import n_expected
from edgesim.engine.arrays.load import obstacle_of_load, simulate_load
from edgesim.engine.arrays.losses import BatchLosses, DrawnLosses, GivenLosses
from edgesim.engine.arrays.program import ArrayProgram, array_program, obstacle
from edgesim.engine.arrays.results import ArrayTrials
from edgesim.engine.arrays.trials import simulate_batch
from edgesim.errors import PlanError
from edgesim.failures.sampling.draw import batch_obstacle, draw_down, loss_models, slowdown_models
from edgesim.study.trials.trials import NUMBERS, Trials, patterns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from edgesim.domain.load import Load
    from edgesim.domain.records import Trace
    from edgesim.engine.program.compiled import Program
    from edgesim.interfaces import BatchSlowdownModel
    from edgesim.rng import BatchStreams, Streams
    from edgesim.study.cases.design import Case
    from edgesim.study.cases.outcomes import Outcomes
    from edgesim.study.cases.shared import Shared
    from edgesim.study.cases.tasks import Block

MOST_HELD = 4_000_000
"""Steps x requests x trials that are simulated at once under load."""
FEWEST = 8
"""Fewest trials under load that are simulated at once: for fewer, events are as fast."""


def why_not(case: Case, shared: Shared) -> str:
    """Return why the trials of a case are not simulated by the array engine, in words; empty when they are."""
    if case.engine == "event" and shared.is_checked:
        return "only the event engine checks the invariants"
    if case.engine == "event":
        return "the scenario asks for the event engine"
    if case.recovery is not None:
        return "what is lost is recovered by single events"
    if shared.prepared[case.prepared].uses_partial:
        return "the strategy uses messages of which only some packets arrived"
    if shared.prepared[case.prepared].plan_of_sample:
        return "the plan depends on the sample"
    program = shared.prepared[case.prepared].program
    of_load = "" if case.load is None else obstacle_of_load(program, case.load)
    if case.load is not None and _n_at_once(program, case.load) < FEWEST:
        of_load = "a trial has very many requests"
    return batch_obstacle(case.failures, case.topology) or obstacle(program) or of_load


def _n_at_once(program: Program, load: Load) -> int:
    """Return how many trials under load are simulated at once, given how large one is."""
    return MOST_HELD // (2 * n_expected(load) * len(program.steps.step))


def loaded_batch(
    shared: Shared, case: Case, load: Load, replications: range, streams: Streams
) -> Iterator[tuple[Trace | None, float]]:
    """Yield what each trial under load left, and its weight; None where the event engine must simulate it."""
    program = shared.prepared[case.prepared].program
    losses = loss_models(case.failures, case.topology)
    slowdowns: dict[str, BatchSlowdownModel] = slowdown_models(case.failures, case.topology)  # type: ignore[assignment]
    n = _n_at_once(program, load)
    for start in range(replications.start, replications.stop, n):
        own = streams.batch(start, min(start + n, replications.stop))
        if own.n < FEWEST:
            yield from repeat((None, 1.0), own.n)
            continue
        down, until_s = draw_down(case.failures, case.topology, own)
        traces = simulate_load(
            _ready(shared, case), load, down=down, until_s=until_s, losses=DrawnLosses(losses, own) if losses else None,
            slowdowns=slowdowns, streams=own, deadline_s=case.deadline_s,
        )  # fmt: skip
        found = list(traces)  # all that is drawn, before it is weighed
        yield from zip(found, own.weight.tolist(), strict=True)


def checked(shared: Shared) -> Shared:
    """Return a study in which the invariants are checked, so that every trial is simulated by the event engine.

    Raises
    ------
    PlanError
        When the scenario asks for the array engine, in which there is nothing to check.
    """
    for case in shared.cases:
        if case.engine == "array":
            raise PlanError(
                f"{case}: only the event engine checks the invariants; write `engine: auto`, or leave the check out"
            )
    return replace(shared, cases=tuple(replace(case, engine="event") for case in shared.cases), is_checked=True)


def drawn_batch(shared: Shared, case: Case, streams: BatchStreams, one: Callable[[int], Trials]) -> Trials:
    """Return drawn trials; `one` simulates a single one by its position with the event engine."""
    down, until_s = draw_down(case.failures, case.topology, streams)
    losses = loss_models(case.failures, case.topology)
    slowdowns: dict[str, BatchSlowdownModel] = slowdown_models(case.failures, case.topology)  # type: ignore[assignment]
    found = simulate_batch(
        _ready(shared, case),
        streams.n,
        down=down,
        until_s=until_s,
        losses=DrawnLosses(losses, streams) if losses else None,
        slowdowns=slowdowns,
        streams=streams,
        deadline_s=case.deadline_s,
    )
    return _completed(by_column(found, streams.weight), found.is_valid, one)


def enumerated_batch(
    shared: Shared, case: Case, outcomes: Outcomes, block: Block, one: Callable[[int], Trials]
) -> Trials:
    """Return the trials of the enumerated outcomes of a task; `one` simulates a single one by its position in it."""
    start, stop = block.start, block.stop
    down, until_s = outcomes.down(start, stop)
    losses: BatchLosses | None = GivenLosses(outcomes.lost(start, stop)) if outcomes.places else None
    found = simulate_batch(
        _ready(shared, case), stop - start, down=down, until_s=until_s, losses=losses, deadline_s=case.deadline_s
    )
    return _completed(by_column(found, outcomes.probability(start, stop)), found.is_valid, one)


def _ready(shared: Shared, case: Case) -> ArrayProgram:
    """Return the plan of a case, made ready once per worker."""
    key = case.prepared, case.load is not None
    ready = shared.memory.array_programs.get(key)
    if ready is None:
        program = shared.prepared[case.prepared].program
        ready = shared.memory.array_programs[key] = array_program(program, is_repeated=case.load is not None)
    return ready


def by_column(found: ArrayTrials, weight: NDArray[np.float64]) -> Trials:
    """Return what the array engine found in the form of the results."""
    is_answered = ~np.isnan(found.latency_s)
    outcome = np.where(found.is_degraded, OUTCOMES.index("degraded"), OUTCOMES.index("completed"))
    outcome[~is_answered] = OUTCOMES.index("failed")
    outcome[found.is_timed_out] = OUTCOMES.index("timed_out")
    input_byte, intermediate_byte, result_byte = found.traffic_byte
    n = len(found.latency_s)
    return Trials(
        weight=weight,
        latency_s=found.latency_s,
        input_byte=input_byte,
        intermediate_byte=intermediate_byte,
        result_byte=result_byte,
        energy_j=found.energy_j,
        outcome=outcome.astype(np.int8),
        engine=np.full(n, ENGINES.index("array"), dtype=np.int8),
        lost=patterns_of(found.is_lost),
    )


def _completed(trials: Trials, is_valid: NDArray[np.bool_], one: Callable[[int], Trials]) -> Trials:
    """Replace the trials that are not valid."""
    if is_valid.all():
        return trials
    lost = list(trials.lost)
    for position in np.flatnonzero(~is_valid).tolist():
        single = one(position)
        for column in TRIAL_COLUMNS:
            if column.kind in {*NUMBERS, "name"}:
                getattr(trials, column.name)[position] = getattr(single, column.name)[0]
        lost[position] = single.lost[0]
    return replace(trials, lost=tuple(lost))
