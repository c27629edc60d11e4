"""Where the time of an answer goes: its latency divided among computing, handling, sending, propagating and waiting.

A step's time is that of its inputs, and its own. Of several inputs that are messages, as of a merger, the mean one's is divided, and by how much
the last one comes later is waiting for the slowest. What is divided is all there is: the parts sum to the latency.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from math import isclose, isnan, nan
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from edgesim.domain.columns import BUDGET_PARTS
from edgesim.domain.load import Load, n_expected
from edgesim.domain.plan import Compute
from edgesim.errors import SimulationError
from edgesim.study.trials.trial import streams_of, trace_under_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgesim.domain.records import Course, Stay, Trace
    from edgesim.engine.program.compiled import Program
    from edgesim.study.cases.design import Case
    from edgesim.study.cases.shared import Shared

N_MOST = 20
"""Replications of a case that are divided, of plans of up to `N_STEPS` / `N_MOST` steps; fewer of larger ones, and of studies with many cases."""
N_STEPS, N_STEPS_ALL = 20_000, 400_000
"""Computations and messages that are divided: of a case beyond its first trial, and of a study beyond those, or of a single trial."""
_COMPUTE, _HOST, _SENDING, _PROPAGATION, _QUEUEING, _SLOWEST, _REPEATED = range(len(BUDGET_PARTS))
_ROUNDING = 1e-9

Split = list[float]


class BudgetRow(NamedTuple):
    """A part of the mean latency of a case, in s and as a share, over so many trials with an answer."""

    part: str
    mean_s: float
    share: float
    n: int


NO_BUDGET = [BudgetRow(part, nan, nan, 0) for part in BUDGET_PARTS]
"""Of what is not simulated."""


def budgets(shared: Shared, n_replications: int = N_MOST) -> list[list[BudgetRow]]:
    """Return the rows of the budget of each case: its first replications, simulated once more by events."""
    return [budget(shared, case, n_trials(shared, case, n_replications)) for case in shared.cases]


def n_trials(shared: Shared, case: Case, n_replications: int) -> int:
    """Return how many trials of a case are divided: the smaller, the larger plans, loads and studies are; at least 1."""
    n_requests = n_expected(case.load)
    n_steps = n_requests * _steps_of_request(shared, case)
    return max(1, min(n_replications, N_MOST, N_STEPS // n_steps, N_STEPS_ALL // (n_steps * len(shared.cases))))


def _steps_of_request(shared: Shared, case: Case) -> int:
    program = shared.prepared[case.prepared].program
    return len(program.steps.step) // len(program.plans)


def first_requests(load: Load | None, n_steps: int) -> Load | None:
    """Return a load that ends when requests of so many steps have made `N_STEPS_ALL` after the warm-up, if it does not end before.

    >>> from edgesim.arrivals.periodic import Periodic
    >>> [first_requests(Load(Periodic(1.0), requests=n, warm_up_s=60.0), 4).requests for n in (50_000, 1_000_000)]
    [50000, 100060]
    """
    if load is None:
        return None
    before = replace(load, requests=None, horizon_s=load.warm_up_s, warm_up_s=0.0) if load.warm_up_s else None
    n_most = max(1, N_STEPS_ALL // n_steps) + (0 if before is None else n_expected(before))
    return load if n_expected(load) <= n_most else replace(load, requests=n_most)


def budget(shared: Shared, case: Case, n: int) -> list[BudgetRow]:
    """Return the parts of the mean latency of the first trials of a case; of a very long trial, those of its first requests."""
    program = shared.prepared[case.prepared].program
    load = first_requests(case.load, _steps_of_request(shared, case))
    trials: list[Split] = []
    weights: list[float] = []
    for number in range(n):
        streams = streams_of(case.seed).replication(number)
        splits = divided(program, trace_under_load(shared, case, streams, load, has_stays=True))
        if splits:
            trials.append(_mean(splits))
            weights.append(streams.weight)
    mean = _mean(trials, weights) if trials else [nan] * len(BUDGET_PARTS)
    total_s = sum(mean)
    return [
        BudgetRow(part, part_s, part_s / total_s if total_s > 0 else nan, len(trials))
        for part, part_s in zip(BUDGET_PARTS, mean, strict=True)
    ]


def divided(program: Program, trace: Trace) -> list[Split]:
    """Return for each request of a trial with an answer how its latency divides among `BUDGET_PARTS`, in s.

    Raises
    ------
    SimulationError
        When the parts do not sum to the latency to 1e-9 of it.
    """
    courses: dict[int, dict[int, Course]] = defaultdict(dict)
    for course in trace.courses:
        courses[course.request][course.step] = course
    position = {step.step_id: index for index, step in enumerate(program.steps.step)}
    stays: dict[tuple[int, int], list[Stay]] = defaultdict(list)
    for stay in trace.stays:
        stays[stay.request, position[stay.step_id]].append(stay)
    answered = {(one.released_s, one.latency_s) for one in trace.records if one.outcome in {"completed", "degraded"}}
    answers, found = {span.answer for span in program.spans}, []
    for number, steps in courses.items():
        answer = next(iter(answers & steps.keys()), -1)
        last = steps.get(answer)
        if last is not None and (last.released_s, last.ended_s - last.released_s) in answered:
            own = {index: stays[number, index] for index in steps}
            split = _divided(program, position, steps, own)[answer]
            if not isclose(sum(split), last.ended_s - last.released_s, rel_tol=_ROUNDING, abs_tol=_ROUNDING**2):
                raise SimulationError(f"the parts {split} of a latency do not sum to it; please report this")
            found.append(split)
    return found


def _divided(
    program: Program, position: Mapping[str, int], courses: Mapping[int, Course], stays: Mapping[int, Sequence[Stay]]
) -> dict[int, Split]:
    """Return by step how the time from the release to its end divides."""
    found: dict[int, Split] = {}
    done = [index for index in sorted(courses) if not isnan(courses[index].ended_s)]
    if program.pools:  # what lets a step begin may be behind it in the plan
        done.sort(key=lambda index: (courses[index].began_s, courses[index].ended_s))
    for index in done:
        step, course = program.steps.step[index], courses[index]
        inputs = [number for number in _inputs(step, position, courses) if number in found]
        inputs = [number for number in inputs if courses[number].ended_s <= course.began_s]
        inputs += _let_begin(program, index, courses, found, course.began_s)
        split = _before(program, inputs, courses, found, course)
        own = _computing if isinstance(step, Compute) else _sending
        own(program, index, course.ended_s - course.began_s, stays[index], split)
        found[index] = split
    return found


def _let_begin(
    program: Program, index: int, courses: Mapping[int, Course], found: Mapping[int, Split], began_s: float
) -> list[int]:
    """Return the step whose end let a pool begin another: the last ask or computation of the worker before."""
    pools = next((own for own, span in zip(program.pools, program.spans, strict=False) if index in span.steps), ())
    before = [
        one for pool in pools for one in pool.lets_begin(index) if one in found and courses[one].ended_s <= began_s
    ]
    return sorted(before, key=lambda one: courses[one].ended_s)[-1:]


def _inputs(step: object, position: Mapping[str, int], courses: Mapping[int, Course]) -> Iterable[int]:
    """Return the inputs of a step, of alternatives as many as are enough, the first that came."""
    inputs = [position[name] for name in step.inputs]  # type: ignore[attr-defined]
    for group in step.alternatives if isinstance(step, Compute) else ():
        came = [index for name in group if (index := position[name]) in courses and courses[index].ended_s >= 0.0]
        first = sorted(came, key=lambda index: courses[index].ended_s)[: step.n_enough]  # type: ignore[attr-defined]
        inputs = [index for index in inputs if index in first or all(index != position[name] for name in group)]
    return inputs


def _before(
    program: Program,
    inputs: Sequence[int],
    courses: Mapping[int, Course],
    found: Mapping[int, Split],
    course: Course,
) -> Split:
    """Return how the time until a step begins divides."""
    if not inputs:
        split, last_s = [0.0] * len(BUDGET_PARTS), course.released_s
    else:
        last = max(inputs, key=lambda index: courses[index].ended_s)
        is_message = program.steps.device[last] < 0
        peers = [index for index in inputs if program.steps.device[index] < 0] if is_message else [last]
        split, last_s = _mean([found[index] for index in peers]), courses[last].ended_s
        split[_SLOWEST] += last_s - sum(courses[index].ended_s for index in peers) / len(peers)
    split[_REPEATED] += course.began_s - last_s  # it went on at its deadline, without what was lost
    return split


def _computing(program: Program, index: int, span_s: float, stays: Sequence[Stay], split: Split) -> None:
    """Add the time of a computation."""
    device = program.devices.device[program.steps.device[index]]
    served_s = program.steps.duration_s[index] if device.sharing == "fair" else _served_s(stays)
    is_shared = device.sharing == "fair"
    _add(split, span_s, ((_COMPUTE, served_s), (_QUEUEING, _waited_s(stays))), _QUEUEING if is_shared else _REPEATED)


def _sending(program: Program, index: int, span_s: float, stays: Sequence[Stay], split: Split) -> None:
    """Add the time of a message."""
    way, hops, cost = program.steps.ways[index], program.steps.hops[index], program.steps.host_costs.get(index)
    if way is None:
        return
    alone_s = sum(max(hop.occupation_s for hop in stage.hops) for stage in way.stages)
    if any(hop.link.burst_byte > 0 for hop in hops):  # of which a part may leave at once
        alone_s = min(alone_s, _served_s(stays))
    first_s = sum(hop.link.first_message_s for hop in hops)
    if first_s > 0.0:
        alone_s = max(alone_s, min(alone_s + first_s, _served_s(stays)))
    parts = (
        (_HOST, 0.0 if cost is None else cost.sending_s + cost.receiving_s(1.0)),
        (_SENDING, alone_s),
        (_PROPAGATION, sum(hop.link.latency_s for hop in hops)),
        (_QUEUEING, _waited_s(stays)),
    )
    is_repeating = any(hop.link.transport is not None for hop in hops)
    _add(split, span_s, parts, _REPEATED if is_repeating else _QUEUEING)


def _add(split: Split, span_s: float, parts: Iterable[tuple[int, float]], rest: int) -> None:
    """Divide a time among parts that want so much each, in order; what is left goes to another part, or by rounding to the largest."""
    left_s, largest, most_s = span_s, rest, -1.0
    for part, wanted_s in parts:
        given_s = max(0.0, min(wanted_s, left_s))
        split[part] += given_s
        left_s -= given_s
        if given_s > most_s:
            largest, most_s = part, given_s
    split[rest if left_s > _ROUNDING * span_s else largest] += left_s


def _waited_s(stays: Sequence[Stay]) -> float:
    return sum(stay.started_s - stay.arrived_s for stay in stays)


def _served_s(stays: Sequence[Stay]) -> float:
    return sum(stay.ended_s - stay.started_s for stay in stays)


def _mean(splits: Sequence[Split], weights: Sequence[float] = ()) -> Split:
    weights = weights or [1.0] * len(splits)
    return [sum(map(mul, values, weights)) / sum(weights) for values in zip(*splits, strict=True)]
