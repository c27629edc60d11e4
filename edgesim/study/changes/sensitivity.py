"""What the means of each strategy, and who is best, would be if an assumed number were half or twice what it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isclose, nan
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from edgesim.domain.load import n_expected
from edgesim.domain.metrics import METRICS
from edgesim.engine.program.compiled import compile_plans
from edgesim.errors import InfeasiblePlanError, ScenarioError
from edgesim.scenario.build import build
from edgesim.study.cases.design import Deployments
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Block
from edgesim.study.changes.assumed import FACTORS, assumed_numbers, scaled
from edgesim.study.tables.statistics import NOTHING
from edgesim.study.tables.weighted import weighted_mean
from edgesim.study.trials.trial import by_requests, scores_of
from edgesim.study.trials.trials import Question
from edgesim.study.work.scoring import asked_in, scores_of_trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.metrics import Metric
    from edgesim.domain.networks.task import Score
    from edgesim.engine.program.compiled import Program
    from edgesim.scenario.build import System
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.cases.design import Case, Unfit
    from edgesim.study.changes.assumed import Assumed
    from edgesim.study.tables.statistics import Estimate
    from edgesim.study.trials.trials import Trials

N_MOST = 5
"""Replications that are simulated with each change; one where nothing is drawn."""
N_STEPS = 50_000
"""Steps that a study simulates for this at most; with more it is left to `edgesim sensitivity`."""
N_MOST_ASKED = 50
"""Sets of what arrived that a study asks networks for this; with more, the main score is left out."""
_ROUNDING = 1e-9


Answers: TypeAlias = dict[tuple[int, "Delivery"], tuple[float, ...]]
"""The main score of what networks answer, by position of a deployment and what arrived."""
Values: TypeAlias = "NDArray[np.float64] | None"
"""Of each trial; None of what does not fit."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """The main score of the study, its answers where they are asked, and the weights of the trials of each case."""

    score: Score
    answers: Answers | None
    weights: Sequence[NDArray[np.float64]]

    @property
    def metrics(self) -> dict[str, Metric | Score]:
        """What is compared, by name."""
        asked: dict[str, Metric | Score] = {name: METRICS[name] for name in ("latency", "energy", "answered")}
        return asked if self.answers is None else asked | {self.score.name: self.score}


class Sensitivity(NamedTuple):
    """What a change of an assumed number does to a metric of a strategy.

    Parameters
    ----------
    assumed : the number, in words.
    value : as it is assumed, a text.
    strategy, metric, unit : of which mean.
    factor : by which the number is multiplied.
    before, after : the mean without and with the change; NaN where there is none, as of what does not fit.
    ci_low, ci_high : the 95 % interval of after - before over the trials that have both; NaN where there is none.
    n : trials.
    led, leads : whether the strategy is best in the metric, without and with the change: no other is better beyond the paired interval.
    """

    assumed: str
    value: str
    strategy: str
    metric: str
    unit: str
    factor: float
    before: float
    after: float
    ci_low: float
    ci_high: float
    n: int
    led: bool
    leads: bool


def sensitivity(
    shared: Shared,
    scenario: Scenario,
    *,
    n_most: int,
    point: Mapping[str, Any] | None = None,
    n_steps: int | None = N_STEPS,
    n_asked: int | None = N_MOST_ASKED,
) -> list[Sensitivity]:
    """Return what half and twice each assumed number does at a factor point, all with the same random draws.

    Plans stay as they were made, and nothing is trained: a number that was assumed wrongly is found out when a plan is executed. Latency, energy, the
    share of answers and the main score are compared. Of strategies that do not fit, it is told where a larger memory might change that.

    Parameters
    ----------
    shared : the prepared study.
    scenario : of it, with its sweep.
    n_most : most replications.
    point : the factor point; by default the first.
    n_steps : steps that may be simulated; None: any number.
    n_asked : sets of what arrived that networks may be asked about; None: any number.
    """
    point = scenario.points()[0] if point is None else dict(point)
    base = scenario.at(point)
    cases = [case for case in shared.cases if case.point == point]
    numbers = assumed_numbers(base, frozenset(factor.path for factor in scenario.sweep.values()))
    n = _n_trials(shared, cases, n_most, n_steps, len(FACTORS) * len(numbers) + 1)
    if not cases or not numbers or n < 1:
        return []
    before: list[Trials] = [_trials(shared, case, n, shared.prepared[case.prepared].program) for case in cases]
    tried = _tried(shared, base, cases, numbers, n)
    answers = _answers(shared, cases, [before, *(one.trials for one in tried)], n_asked)
    scored = _Scored(shared.scores[0], answers, [one.weight for one in before])
    old = _values(cases, before, scored)
    return [row for one in tried for row in _rows(one, cases, old, scored)]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A change, the trials of each case with it, None where it does not fit, and which strategies may fit only then."""

    number: Assumed
    factor: float
    trials: Sequence[Trials | None]
    may_fit: tuple[str, ...]


def _tried(shared: Shared, base: Scenario, cases: Sequence[Case], numbers: Sequence[Assumed], n: int) -> list[_Tried]:
    """Return the trials with half and twice each number."""
    unfit = [one for one in shared.unfit if one.point == cases[0].point]
    found = []
    for number in numbers:
        for factor in FACTORS:
            try:
                system = build(scaled(base, number, factor))
            except ScenarioError:
                continue  # no scenario may have this value
            after = [_changed(shared, case, n, system) for case in cases]
            found.append(_Tried(number, factor, after, tuple(one.strategy for one in unfit if _may_fit(one, system))))
    return found


def _n_trials(shared: Shared, cases: Sequence[Case], n_most: int, n_steps: int | None, n_variants: int) -> int:
    """Return how many replications are simulated: 1 where nothing is drawn, 0 when it would take too many steps."""
    is_drawn = any(case.failures or case.load is not None for case in cases)
    n = min(n_most, N_MOST) if is_drawn else 1
    programs = [(shared.prepared[case.prepared].program, case.load) for case in cases]
    own = sum(len(program.steps.step) * n_expected(load) for program, load in programs)
    return n if n_steps is None or own * n_variants * n <= n_steps else 0


def _trials(shared: Shared, case: Case, n: int, program: Program) -> Trials:
    ready = replace(shared.prepared[case.prepared], program=program)
    one = Shared((ready,), (case,), Deployments(()))
    return by_requests(one, replace(case, prepared=0), Block(0, 0, n, is_enumeration=False, name=str(case)), case.load)


def _changed(shared: Shared, case: Case, n: int, system: System) -> Trials | None:
    """Return the trials with another system, None where the plan does not fit it."""
    try:
        before = shared.prepared[case.prepared].program
        is_same_network = before.takeover is not None and before.takeover.is_same_network
        program = compile_plans(
            before.plans, system.topology, system.compute, case.recovery, is_same_network=is_same_network
        )
    except InfeasiblePlanError:
        return None
    return _trials(shared, replace(case, topology=system.topology), n, program)


def _may_fit(unfit: Unfit, system: System) -> bool:
    """Return whether the device that was too small is large enough now; another one may be too small still."""
    device = system.topology.device_of.get(unfit.device_id)
    return device is not None and device.profile.memory_byte >= unfit.needed_byte


def _answers(
    shared: Shared, cases: Sequence[Case], trials: Sequence[Sequence[Trials | None]], n_most: int | None
) -> Answers | None:
    """Return what networks answer to all that arrived; None where changes let nothing else arrive, or too much would be asked.

    The first trials are those without a change.
    """
    wanted: dict[int, set[Delivery]] = {}
    is_same = True
    for position, case in enumerate(cases):
        there = [one for some in trials if (one := some[position]) is not None]
        for one in there:
            wanted.setdefault(case.prepared, set()).update(asked_in(one, np.ones(len(one), dtype=np.bool_)))
            is_same &= one.asked_by_request == there[0].asked_by_request
    too_many = n_most is not None and sum(map(len, wanted.values())) > n_most
    if is_same or too_many or not cases[0].n_samples:
        return None
    found: Answers = {}
    for place, deliveries in wanted.items():
        asked = tuple(deliveries)
        scores = scores_of(shared, Question(place, asked, "assumed numbers"))
        found |= {(place, one): values[:1] for one, values in zip(asked, scores, strict=True)}
    return found


def _values(cases: Sequence[Case], trials: Sequence[Trials | None], scored: _Scored) -> dict[str, list[Values]]:
    """Return the values of each metric by trial, for each case; None where it does not fit."""
    found: dict[str, list[Values]] = {name: [] for name in scored.metrics}
    for case, one in zip(cases, trials, strict=True):
        values: dict[str, NDArray[np.float64]] = {}
        if one is not None:
            values = {"latency": one.latency_s, "energy": one.energy_j, "answered": one.load["answered"]}
            if scored.answers is not None:
                everyone = np.ones(len(one), dtype=np.bool_)
                values |= scores_of_trials(case, one, everyone, scored.answers, [scored.score])
        for name, own in found.items():
            own.append(values.get(name))
    return found


def _rows(
    tried: _Tried, cases: Sequence[Case], before: Mapping[str, list[Values]], scored: _Scored
) -> Iterator[Sensitivity]:
    about: dict[str, Any] = {"assumed": tried.number.text, "value": tried.number.value, "factor": tried.factor}
    after = _values(cases, tried.trials, scored)
    for name, metric in scored.metrics.items():
        old, new = before[name], after[name]
        led, leads = (_best(values, scored.weights, is_larger_better=metric.is_larger_better) for values in (old, new))
        for position, case in enumerate(cases):
            one, other, weights = old[position], new[position], scored.weights[position]
            found = _difference(one, other, weights)
            yield Sensitivity(
                **about, strategy=case.strategy, metric=name, unit=metric.unit, before=_mean(one, weights), after=_mean(other, weights),
                ci_low=found.low, ci_high=found.high, n=found.n, led=position in led, leads=position in leads,
            )  # fmt: skip
    for strategy in tried.may_fit:
        yield Sensitivity(
            **about, strategy=strategy, metric="peak_memory", unit="byte", before=nan, after=nan, ci_low=nan, ci_high=nan, n=0,
            led=False, leads=True,
        )  # fmt: skip


def _mean(values: Values, weights: NDArray[np.float64]) -> float:
    return nan if values is None else weighted_mean(values, weights).value


def _difference(one: Values, other: Values, weights: NDArray[np.float64]) -> Estimate:
    """Return the mean difference of two over the trials that have both, with its interval where there are several."""
    if one is None or other is None:
        return NOTHING
    found = weighted_mean(other - one, weights)
    return found if found.n > 1 else replace(found, low=nan, high=nan)


def _best(values: Sequence[Values], weights: Sequence[NDArray[np.float64]], *, is_larger_better: bool) -> set[int]:
    """Return which are best: the one with the best mean, and those that it does not beat beyond the paired interval."""
    means = {position: _mean(one, weights[position]) for position, one in enumerate(values)}
    known = {position: mean for position, mean in means.items() if not np.isnan(mean)}
    if not known:
        return set()
    first = (max if is_larger_better else min)(known, key=lambda position: known[position])
    return {position for position in known if not _is_beaten(values[first], values[position], weights[first])}


def _is_beaten(best: Values, other: Values, weights: NDArray[np.float64]) -> bool:
    if isclose(_mean(best, weights), _mean(other, weights), rel_tol=_ROUNDING, abs_tol=_ROUNDING**2):
        return False
    found = _difference(best, other, weights)
    return bool(found.n < 2 or found.low > 0 or found.high < 0)
