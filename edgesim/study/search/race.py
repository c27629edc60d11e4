"""Candidates against one another: all are simulated a little, and those that are surely beaten no further."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Literal

from edgesim.domain.metrics import Goal, Metric, Verdict, metric_named
from edgesim.study.search.sample import Sample, widened
from edgesim.study.tables.known import known_of, of_difference
from edgesim.study.tables.paired import compared
from edgesim.study.tables.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.study.search.space import Candidate

N_FIRST = 50
"""Replications after which candidates are first compared; there are twice as many each time after that."""
_SURENESS: tuple[Verdict, ...] = ("met", "likely", "unlikely", "unknown", "not met")
State = Literal["finished", "stopped", "infeasible"]


@dataclass
class Runner:
    """A candidate in the race.

    Parameters
    ----------
    candidate : who.
    sample : its trials; None where it is not feasible.
    why_not : why it is not, or by whom it is surely beaten.
    state : whether it was simulated to the end.
    estimates : by metric.
    is_exact : whether these are expectations over all outcomes of the failures.
    n : replications that were simulated.
    """

    candidate: Candidate
    sample: Sample | None = None
    why_not: str = ""
    state: State = "finished"
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    is_exact: bool = False
    n: int = 0

    def mean(self, metric: str) -> float:
        """Return the estimate of a metric, exact where that is known; NaN where there is none."""
        return self.estimates[metric].value if metric in self.estimates else nan

    def grow(self, n: int) -> None:
        """Simulate up to n replications; where all outcomes are enumerated they are simulated instead."""
        if self.sample is None or self.is_exact:
            return
        self.is_exact = self.sample.has_outcomes
        self.sample.grow(1 if self.is_exact else n)
        rows, self.n = self.sample.rows(), self.sample.n
        exact = {row.metric: Estimate(row.exact, row.exact, row.exact, 0) for row in rows}
        self.estimates = exact if self.is_exact else {row.metric: row.estimate for row in rows}


@dataclass(frozen=True, slots=True)
class Judge:
    """What is better.

    Parameters
    ----------
    by : metrics, the first before the others.
    scores : what those that are scores of the task are, by name.
    goals : bounds that candidates are to keep.
    n_decisions : so many comparisons shall hold together.
    """

    by: Sequence[str]
    scores: Mapping[str, Metric]
    goals: Sequence[Goal]
    n_decisions: int

    def is_highest(self, metric: str) -> bool:
        """Return whether more of a metric is better."""
        return (self.scores.get(metric) or metric_named(metric)).is_larger_better

    def cost(self, runner: Runner, metric: str) -> float:
        """Return what is to be as small as possible; infinite where there is no value."""
        value = runner.mean(metric)
        return inf if isnan(value) else -value if self.is_highest(metric) else value

    def violation(self, runner: Runner) -> float:
        """Return the sum over the goals of how far their limits are passed, as shares of these."""
        total = 0.0
        for goal in self.goals:
            value = runner.mean(goal.metric)
            beyond = (value - goal.limit) * (1 if goal.is_most else -1)
            total += inf if isnan(value) else max(0.0, beyond) / (abs(goal.limit) or 1.0)
        return total

    def rank(self, runner: Runner) -> tuple[float, ...]:
        """Return what candidates are sorted by: those that meet the goals first, then the metrics in their order."""
        return (self.violation(runner), *(self.cost(runner, metric) for metric in self.by))

    def verdict(self, runner: Runner) -> Verdict:
        """Return whether a candidate meets all goals."""
        found: list[Verdict] = []
        for goal in self.goals:
            estimate = runner.estimates.get(goal.metric, Estimate(nan, nan, nan, 0))
            estimate = estimate if runner.is_exact else widened(estimate, self.n_decisions)
            found.append(goal.verdict(estimate.value, estimate.low, estimate.high))
        return max(found, key=_SURENESS.index, default="met")

    def front(self, runners: Sequence[Runner]) -> list[Runner]:
        """Return the Pareto front of those that meet the goals best: nobody else is as good in all metrics and better in one."""
        least = min((self.violation(one) for one in runners), default=0.0)
        chosen = [one for one in runners if self.violation(one) == least]
        costs = {id(one): tuple(self.cost(one, metric) for metric in self.by) for one in chosen}
        kept: list[Runner] = []
        for one in sorted(chosen, key=lambda runner: costs[id(runner)]):
            own = costs[id(one)]
            if not any(all(a <= b for a, b in zip(costs[id(other)], own, strict=True)) for other in kept):
                kept.append(one)
        return kept

    def beats(self, one: Runner, other: Runner) -> bool:
        """Return whether a candidate is surely better than another: in some metric, and in none worse.

        It has to keep the goals at least as surely; one that keeps them beats one that surely misses some.
        """
        own, others = self.verdict(one), self.verdict(other)
        if own not in {"met", "likely"} or _SURENESS.index(own) > _SURENESS.index(others):
            return False
        if others == "not met":
            return True
        margins = [self._margin(one, other, metric) for metric in self.by]
        return all(low >= 0 for low in margins) and any(low > 0 for low in margins)

    def _margin(self, one: Runner, other: Runner, metric: str) -> float:
        """Return how much better a candidate surely is; NaN where nothing is sure."""
        found = difference(one, other, metric)
        if not (one.is_exact and other.is_exact):
            found = widened(found, self.n_decisions)
        return found.low if self.is_highest(metric) else -found.high


def difference(one: Runner, other: Runner, metric: str) -> Estimate:
    """Return how much more of a metric a candidate has than another: exactly, replication by replication, or by both intervals.

    With both intervals it is the difference of their far ends, which is wider than needed.
    """
    a, b = (runner.estimates.get(metric, Estimate(nan, nan, nan, 0)) for runner in (one, other))
    if one.sample is not None and other.sample is not None and not (one.is_exact or other.is_exact):
        (values, weights), (others, other_weights) = one.sample.values(), other.sample.values()
        if metric in values and metric in others:
            n = min(len(weights), len(other_weights))
            first, second = (known_of(x.shared, x.shared.cases[0]) for x in (one.sample, other.sample))
            prior = of_difference(metric, first, second, n)
            return compared((values[metric][:n], weights[:n]), (others[metric][:n], other_weights[:n]), prior)[0]
    return Estimate(a.value - b.value, a.low - b.high, a.high - b.low, min(a.n, b.n))


def race(runners: Sequence[Runner], rivals: Sequence[Runner], judge: Judge, n_most: int) -> None:
    """Simulate candidates further and further, and stop those that are surely beaten by another, or by rivals that have finished.

    After `N_FIRST` replications, twice as many, and so on, each candidate that is left is compared with those on the present front, in
    the replications that both have: all meet the same failures. Who is beaten keeps the estimates it has.

    Parameters
    ----------
    runners : the candidates; they are changed.
    rivals : that have finished.
    judge : what is better.
    n_most : replications at the end.
    """
    running = [one for one in runners if one.sample is not None]
    n = 0
    while running and n < n_most:
        n = min(max(2 * n, N_FIRST), n_most)
        for one in running:
            one.grow(n)
        front = judge.front([*rivals, *(one for one in runners if one.sample is not None and one.state == "finished")])
        running = [one for one in running if not one.is_exact]
        for one in running if n < n_most else ():
            winner = next((other for other in front if other is not one and judge.beats(other, one)), None)
            if winner is not None:
                one.sample, one.state, one.why_not = None, "stopped", f"surely beaten by {winner.candidate}"
        running = [one for one in running if one.state == "finished"]


def rungs(n_most: int) -> int:
    """Return how often candidates are compared at most.

    Examples
    --------
    >>> rungs(50), rungs(400)  # 50, 100, 200, 400
    (1, 4)
    """
    n, found = N_FIRST, 1
    while n < n_most:
        n, found = 2 * n, found + 1
    return found
