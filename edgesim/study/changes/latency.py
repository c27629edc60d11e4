"""Why an answer takes as long as it does, and which change would help most: each change is simulated with the same random draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.columns import BUDGET_PARTS
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import EdgesimError, InfeasiblePlanError
from edgesim.interfaces import needs_training
from edgesim.scenario.build import build
from edgesim.study.cases.design import Case, Deployments, Prepared, show_point
from edgesim.study.cases.shared import Shared
from edgesim.study.changes.variants import Kind, left_out, variants
from edgesim.study.preparation.deploy import deployed
from edgesim.study.preparation.plans import deploy
from edgesim.study.tables.weighted import weighted_mean
from edgesim.study.trials.budget import N_MOST, BudgetRow, budget, n_trials
from edgesim.study.trials.trial import streams_of, trace_under_load
from edgesim.units import show

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.engine.program.compiled import Program
    from edgesim.interfaces import Deployment, DeploymentContext, Progress, Strategy
    from edgesim.scenario.scenario import Scenario
    from edgesim.study.changes.variants import Variant

LITTLE = 0.01
"""Share of the latency below which a change does not help."""
RETRAINED = "other networks would be trained for fewer devices; leave the device out of the scenario and run that"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to the mean latency.

    Parameters
    ----------
    kind, text, targets, is_single : see `edgesim.study.changes.variants.Variant`.
    latency_s : mean with the change, in s, over the trials that have an answer with and without it; NaN without any.
    saved_s : mean of what is saved in each trial, in s; negative when it takes longer.
    saved_low_s, saved_high_s : its 95 % interval over the trials; NaN where there is none.
    saved_share : of the mean latency.
    n : trials.
    why_not : why it could not be tried; empty otherwise.
    """

    kind: Kind
    text: str
    targets: tuple[str, ...]
    is_single: bool
    latency_s: float = nan
    saved_s: float = nan
    saved_low_s: float = nan
    saved_high_s: float = nan
    saved_share: float = nan
    n: int = 0
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """Where the mean latency of a strategy at one factor point goes, and what changes would do to it.

    Parameters
    ----------
    strategy, point : the case.
    latency_s : mean over the trials, in s; NaN when none has an answer.
    budget : its parts.
    effects : of the changes, the one that saves most first; those that could not be tried last.
    why_not : why nothing can be said, where the strategy does not fit the memory.
    """

    strategy: str
    point: Mapping[str, Any]
    latency_s: float
    budget: tuple[BudgetRow, ...]
    effects: tuple[Effect, ...] = field(default=())
    why_not: str = ""

    @property
    def best(self) -> Effect | None:
        """The change of a single thing that helps most, or None when none helps."""
        return next((one for one in self.effects if one.is_single and one.saved_share >= LITTLE), None)

    @property
    def best_of_several(self) -> Effect | None:
        """The change of several things at once that helps most, or None when none helps more than a single one."""
        single = self.best.saved_share if self.best else 0.0
        more = single + LITTLE
        return next((one for one in self.effects if not one.is_single and one.saved_share >= more), None)

    def sentence(self) -> str:
        """Return in one sentence what dominates and what would help most."""
        place = show_point(self.point)
        name = self.strategy + (f" at {place}" if place else "")
        if self.why_not:
            return f"{name}: it does not fit: {self.why_not}."
        if isnan(self.latency_s):
            return f"{name}: no request has an answer."
        largest = max(self.budget, key=lambda row: row.mean_s)
        found = f"{name}: {BUDGET_PARTS[largest.part]} is the largest part of the {show(self.latency_s, 's')}, {_percent(largest.share)}; "
        best, several = self.best, self.best_of_several
        if best is None and several is None:
            return found + f"no change that was tried saves {_percent(LITTLE)}."
        parts = [
            f"of single changes, {best.text} would help most, {_effect(best)}" if best else "no single change helps"
        ]
        parts += [f"of several at once, {several.text}, {_effect(several)}"] if several else []
        return found + "; ".join(parts) + "."


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _effect(effect: Effect) -> str:
    return f"to {show(effect.latency_s, 's')} ({-100 * effect.saved_share:+.3g} %)"


def explain_latency(
    scenario: Scenario, point: Mapping[str, Any], labels: Sequence[str], progress: Progress
) -> list[Explained]:
    """Return for some strategies of a scenario, or for all, where their mean latency goes and what changes would do to it.

    The trials are the first of the study (`edgesim.study.trials.budget.n_trials`), with the same random draws.

    Parameters
    ----------
    scenario : with its sweep.
    point : value by factor; those that are left out have their first.
    labels : of the strategies; none: all.
    progress : where training and the changes report.

    Raises
    ------
    UnknownNameError
        When a label names no strategy, or the point no factor.
    PlanError
        When a strategy does not fit the topology.
    DataError
        When the data set cannot be loaded.
    """
    whole = {**scenario.points()[0], **point}
    system = build(scenario.at(whole))
    n_most = scenario.rule if isinstance(scenario.rule, int) else N_MOST
    found = []
    for label, deployment, context in deploy(system, labels, progress):
        case = Case(whole, label, 0, system.topology, system.failures, system.deadline_s, system.seed, load=system.load)
        try:
            found.append(_explained(_Base(case, system.strategies[label], deployment, context), progress, n_most))
        except InfeasiblePlanError as error:
            found.append(Explained(label, whole, nan, (), why_not=str(error)))
    return found


@dataclass(frozen=True, slots=True)
class _Base:
    """What is changed: a case, its strategy, and what that made from what."""

    case: Case
    strategy: Strategy
    deployment: Deployment
    context: DeploymentContext


def _explained(base: _Base, progress: Progress, n_most: int) -> Explained:
    case, context = base.case, base.context
    program = compile_plan(base.deployment.plan, case.topology, context.compute)
    shared = _shared(program, case)
    n = n_trials(shared, case, n_most)
    parts = budget(shared, case, n)
    before_s, weights = _latencies(shared, case, n)
    latency_s = sum(row.mean_s for row in parts)
    if isnan(latency_s):
        return Explained(case.strategy, case.point, latency_s, tuple(parts))
    tried = [
        *variants(program, case.topology, context.compute),
        *left_out(program, case.topology, context.compute, (context.source_id, context.sink_id)),
    ]
    effects = []
    with progress.task(f"changes of {case.strategy}", len(tried)) as bar:
        for variant in tried:
            try:
                effects.append(_compared(variant, before_s, _changed(base, variant, n), weights))
            except EdgesimError as error:
                effects.append(_effect_of(variant, why_not=str(error)))
            bar.advance()
    effects.sort(key=lambda effect: (bool(effect.why_not), isnan(effect.saved_share), -effect.saved_share))
    return Explained(case.strategy, case.point, latency_s, tuple(parts), tuple(effects))


def _changed(base: _Base, variant: Variant, n: int) -> NDArray[np.float64]:
    """Return the latency of each trial with a change, in s."""
    deployment = base.deployment
    if variant.kind == "fewer":
        if needs_training(base.strategy):
            raise EdgesimError(RETRAINED)
        deployment = deployed(base.strategy, replace(base.context, topology=variant.topology))
    program = compile_plan(deployment.plan, variant.topology, variant.compute)
    changed = replace(base.case, topology=variant.topology)
    return _latencies(_shared(program, changed), changed, n)[0]


def _shared(program: Program, case: Case) -> Shared:
    return Shared((Prepared(program, np.empty(0), ()),), (case,), Deployments(()))


def _latencies(shared: Shared, case: Case, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean latency of the answered requests of each trial, in s, NaN without any, and its weight, each of shape (n,)."""
    latencies_s, weights = np.full(n, nan), np.ones(n)
    for number in range(n):
        streams = streams_of(case.seed).replication(number)
        records = trace_under_load(shared, case, streams, case.load).records
        answered_s = [one.latency_s for one in records if one.outcome in {"completed", "degraded"}]
        weights[number] = streams.weight
        if answered_s:
            latencies_s[number] = sum(answered_s) / len(answered_s)
    return latencies_s, weights


def _compared(
    variant: Variant, before_s: NDArray[np.float64], after_s: NDArray[np.float64], weights: NDArray[np.float64]
) -> Effect:
    both = ~np.isnan(before_s) & ~np.isnan(after_s)
    if not both.any():
        return _effect_of(variant, why_not="no request has an answer then")
    saved = weighted_mean((before_s - after_s)[both], weights[both])
    mean_s = float(np.average(before_s[both], weights=weights[both]))
    return _effect_of(
        variant, latency_s=mean_s - saved.value, saved_s=saved.value, saved_low_s=saved.low, saved_high_s=saved.high,
        saved_share=saved.value / mean_s if mean_s > 0 else nan, n=int(both.sum()),
    )  # fmt: skip


def _effect_of(variant: Variant, **values: Any) -> Effect:
    return Effect(variant.kind, variant.text, variant.targets, variant.is_single, **values)
