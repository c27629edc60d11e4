"""The largest request rate at which a strategy keeps the goals of a scenario, by bisection with intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import TYPE_CHECKING, get_args

from edgesim.domain.load import ScalableArrivals
from edgesim.domain.metrics import Goal, Verdict
from edgesim.errors import PlanError, UnknownNameError, nearest_name
from edgesim.scenario.build import build
from edgesim.scenario.form.goals import read_goal
from edgesim.study.preparation.prepare import prepare
from edgesim.study.search.sample import Sample, widened
from edgesim.study.work.division import check_goals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from edgesim.interfaces import Bar, Progress
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.cases.design import Case
    from edgesim.study.cases.shared import Shared
    from edgesim.study.tables.statistics import Estimate
    from edgesim.study.work.scoring import Key

N_FIRST = 10
"""Replications of a rate after which is first decided; there are twice as many each time after that."""
N_MOST_RATES = 40
"""Most rates that are tried for one strategy."""
FURTHEST = 2.0**20
"""So many times the rate of the scenario, and so small a part of it, are looked at."""
N_UNDECIDED = 4
"""So many rates in a row, each twice the last, that are not decided end the search on that side: more replications are needed, not more rates."""
_ORDER: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True)
class Tried:
    """One rate, whether all goals are met there, and by what estimates after how many replications.

    The intervals are so wide that all decisions on a strategy hold together with 95 %.
    """

    rate_hz: float
    verdict: Verdict
    n_replications: int
    estimates: Mapping[str, Estimate]

    @property
    def is_met(self) -> bool:
        """Whether the goals are surely met."""
        return self.verdict == "met"

    @property
    def is_missed(self) -> bool:
        """Whether some goal is surely missed."""
        return self.verdict == "not met"


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many requests per second a strategy can take.

    Parameters
    ----------
    strategy : its label.
    tried : the rates, in ascending order.
    why_not : why the strategy is not feasible; empty when it is.
    """

    strategy: str
    tried: tuple[Tried, ...] = ()
    why_not: str = ""

    @property
    def low_hz(self) -> float:
        """Largest rate up to which every rate tried surely meets the goals or is undecided; 0 when none meets them."""
        return max((one.rate_hz for one in self.tried if one.is_met and one.rate_hz < self.high_hz), default=0.0)

    @property
    def high_hz(self) -> float:
        """Smallest rate that surely misses a goal; infinite when none does."""
        return min((one.rate_hz for one in self.tried if one.is_missed), default=inf)

    @property
    def undecided_hz(self) -> tuple[float, ...]:
        """The rates between that the replications did not decide."""
        return tuple(one.rate_hz for one in self.tried if self.low_hz < one.rate_hz < self.high_hz)


def capacities(
    scenario: Scenario, point: Mapping[str, Any], labels: Sequence[str], progress: Progress, *, tolerance: float = 0.05
) -> Iterator[Capacity]:
    """Yield for each strategy the largest request rate at which the goals are met.

    The rate of the load's arrivals is doubled or halved from what the scenario says until one rate surely meets the goals and another
    surely misses one, then bisected (by the geometric mean) until they are near each other. Each rate is simulated until the
    intervals of all metrics with a goal lie on one side, at most as often as the scenario says; one that is not decided by then is
    kept as such, and the sides next to it are bisected. Outwards the search ends where four rates in a row are not decided, or where a
    goal's metric is not defined, since no request is watched. All rates meet the same draws, so that a quicker rate has the same
    requests closer together.

    Valid where more requests never help, and where trials are long beside the time in which queues settle: a trial with few requests
    ends before its queues are long.

    Parameters
    ----------
    scenario : with goals, and a load whose arrivals have a rate.
    point : value by factor; those that are left out have their first.
    labels : of the strategies; none: all.
    progress : where training and trials report.
    tolerance : largest ratio of neighbouring rates, less 1, at the end.

    Raises
    ------
    PlanError
        When there is no goal, no load, or one whose arrivals have no rate.
    UnknownNameError
        When a label names no strategy.
    """
    known = tuple(scenario.strategies)
    for label in labels:
        if label not in known:
            raise UnknownNameError("strategy of this scenario", label, known, nearest_name(label, known))
    first = scenario.points()[0]
    at = scenario.at({**first, **point}) if first else scenario
    goals = tuple(read_goal(metric, text) for metric, text in scenario.goals.items())
    rate_hz = _rate_of(at)
    if not goals:
        raise PlanError("capacity: the scenario has no goals; add e.g. `goals: {latency_p95: <= 300 ms}`")
    system = build(at)
    shared = prepare([({}, system)], progress)
    check_goals(scenario.goals, shared)
    unfit = {one.strategy: one for one in shared.unfit}
    cases = {case.strategy: case for case in shared.cases}
    for label in labels or known:
        if label in unfit:
            needed, there = unfit[label].needed_byte, unfit[label].available_byte
            yield Capacity(label, why_not=f"it needs {needed} byte on {unfit[label].device_id}, which has {there}")
            continue
        with progress.task(f"rates of {label}", N_MOST_RATES) as bar:
            trying = _Trying(replace(shared, cases=(cases[label],), unfit=()), goals, scenario.n_most, bar)
            yield Capacity(label, trying.bisected(rate_hz, 1 + tolerance))


def _rate_of(scenario: Scenario) -> float:
    load = scenario.workload.load
    if load is None:
        raise PlanError(
            "capacity: the workload has no load; add e.g. `load: {arrivals: {type: poisson, rate: 5 /s}, requests: 500}`"
        )
    if not isinstance(load.arrivals, ScalableArrivals):
        raise PlanError("capacity: the load's arrivals have no rate; take `poisson`, `periodic` or `bursts`")
    return load.arrivals.mean_rate_hz


@dataclass
class _Trying:
    """Rates of one case."""

    shared: Shared
    goals: Sequence[Goal]
    n_most: int
    bar: Bar

    def bisected(self, rate_hz: float, most: float) -> tuple[Tried, ...]:
        """Return the rates that were tried, in order, from a first one until neighbours have at most this ratio."""
        tried: list[Tried] = []
        answers: dict[Key, tuple[float, ...]] = {}
        wanted: float | None = rate_hz
        while wanted is not None and len(tried) < N_MOST_RATES:
            found = self._judged(wanted, answers)
            self.bar.advance(1, f"{wanted:.4g} /s: {found.verdict}")
            tried = sorted([*tried, found], key=lambda one: one.rate_hz)
            wanted = _next(tried, rate_hz, most)
        return tuple(tried)

    def _judged(self, rate_hz: float, answers: dict[Key, tuple[float, ...]]) -> Tried:
        """Return whether a rate meets the goals, after as few replications as say so."""
        case = _at_rate(self.shared.cases[0], rate_hz)
        sample = Sample(replace(self.shared, cases=(case,)), self.n_most, answers=answers)
        n_looks = sum(N_FIRST << look < self.n_most for look in range(30)) + 1
        n = N_FIRST
        while True:
            sample.grow(n)
            found = {row.metric: widened(row.estimate, n_looks * N_MOST_RATES) for row in sample.rows()}
            own = {goal.metric: found[goal.metric] for goal in self.goals}
            verdicts = [
                goal.verdict(one.value, one.low, one.high) for goal, one in zip(self.goals, own.values(), strict=True)
            ]
            verdict = "not met" if "not met" in verdicts else max(verdicts, key=_ORDER.index)
            if verdict in {"met", "not met"} or sample.n >= self.n_most:
                return Tried(rate_hz, verdict, sample.n, own)
            n *= 2


def _at_rate(case: Case, rate_hz: float) -> Case:
    load = case.load
    if load is None or not isinstance(load.arrivals, ScalableArrivals):
        raise PlanError("capacity: the load's arrivals have no rate")
    return replace(case, load=replace(load, arrivals=load.arrivals.at_rate(rate_hz)))


def _next(tried: Sequence[Tried], start_hz: float, most: float) -> float | None:
    """Return the rate to try next; None when neighbours are near enough, or the search has gone as far as it goes.

    Examples
    --------
    >>> met, missed, unsure = (Tried(rate, verdict, 10, {}) for rate, verdict in ((1.0, "met"), (16.0, "not met"), (4.0, "likely")))
    >>> _next([met], 1.0, 1.05), _next([missed], 16.0, 1.05), _next([met, missed], 1.0, 1.05)
    (2.0, 8.0, 4.0)
    >>> _next([met, unsure, missed], 1.0, 1.05), _next([met, missed], 1.0, 16.0)
    (2.0, None)
    >>> _next([met, Tried(2.0, "unknown", 10, {})], 1.0, 1.05) is None  # nothing is watched: quicker requests say nothing either
    True
    """
    high = min((one.rate_hz for one in tried if one.is_missed), default=inf)
    low = max((one.rate_hz for one in tried if one.is_met and one.rate_hz < high), default=0.0)
    unsure = [one.rate_hz for one in tried if low < one.rate_hz < high]
    if low == 0.0:
        lower = tried[0].rate_hz / 2
        return lower if lower >= start_hz / FURTHEST and _is_worth_it(tried) else None
    if high == inf:
        higher = tried[-1].rate_hz * 2
        return higher if higher <= start_hz * FURTHEST and _is_worth_it(tried[::-1]) else None
    for below, above in ((low, min(unsure, default=high)), (max(unsure, default=low), high)):
        if above / below > most:
            return sqrt(below * above)
    return None


def _is_worth_it(outwards: Sequence[Tried]) -> bool:
    """Return whether rates still further out than the first of these may be decided."""
    last = outwards[:N_UNDECIDED]
    is_undecided = len(last) == N_UNDECIDED and not any(one.is_met or one.is_missed for one in last)
    return last[0].verdict != "unknown" and not is_undecided
