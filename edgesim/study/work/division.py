"""A study divided into tasks, each so large that its own cost does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.load import n_expected
from edgesim.domain.metrics import UNITS
from edgesim.domain.stopping import Stopping
from edgesim.engine.arrays.program import held_byte
from edgesim.errors import PlanError
from edgesim.failures.sampling.draw import models_of
from edgesim.interfaces import OutageModel, RenewalModel
from edgesim.study.cases.design import Case
from edgesim.study.cases.evaluation import asked_replications
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import (
    MOST_BYTE,
    MOST_STEPS,
    PART,
    PART_BY_EVENTS,
    PART_OF_FEW,
    PART_OF_OUTCOMES,
    REQUESTS,
    SIZES,
    Work,
    blocks,
    together,
)
from edgesim.study.trials.batch import why_not
from edgesim.study.trials.load import METRICS
from edgesim.study.trials.trial import n_enumerated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgesim.engine.program.compiled import Program


def plan_work(shared: Shared, replications: int | Stopping) -> Work:
    """Divide a study into tasks; with a rule, into all that can be needed."""
    n_most = replications if isinstance(replications, int) else replications.ceiling
    if isinstance(replications, Stopping):
        _check_targets(replications, shared)
    n_outcomes = tuple(n_enumerated(shared, case) for case in shared.cases)
    is_asked = tuple(asked_replications(case.evaluation, n_most, case.seed) for case in shared.cases)
    stopping = None if isinstance(replications, int) else replications
    sizes = [_part_sizes(shared, case, is_stopping=stopping is not None) for case in shared.cases]
    tasks = tuple(blocks(shared.cases, n_most, n_outcomes, sizes))
    most = [
        _most_together(case, own, is_stopping=stopping is not None)
        for case, own in zip(shared.cases, sizes, strict=True)
    ]
    return Work(tasks, n_outcomes, is_asked, stopping, together=together(tasks, most))


def _most_together(case: Case, sizes: tuple[int, int], *, is_stopping: bool) -> tuple[int, int]:
    """Return most rows of a part that a case shares with others: as many as a task of it may have.

    None where its trials may have columns of their own, and of replications whose number is to be found.
    """
    drawn, enumerated = sizes if case.load is None and case.recovery is None else (0, 0)
    return 0 if is_stopping else drawn, enumerated


def _check_targets(rule: Stopping, shared: Shared) -> None:
    known = [*(score.name for score in shared.scores), *UNITS]
    for target in rule.targets:
        if target.metric not in known:
            raise PlanError(
                f"replications.until: the study has no metric {target.metric!r}; it has {', '.join(known)}; further scores of a task are "
                "computed where `evaluation.scores` names them"
            )


def check_goals(goals: Iterable[str], shared: Shared) -> None:
    """Raise `PlanError` when a goal is of a metric that the study has not."""
    load = METRICS if any(case.load is not None for case in shared.cases) else ()
    scores = shared.scores if any(case.n_samples for case in shared.cases) else ()
    known = [*(score.name for score in scores), *UNITS, *load]
    for metric in goals:
        if metric not in known:
            raise PlanError(
                f"goals: the study has no metric {metric!r}; it has {', '.join(known)}; further scores of a task are computed where "
                "`evaluation.scores` names them, and metrics of many requests with `workload.load`"
            )


def _part_sizes(shared: Shared, case: Case, *, is_stopping: bool) -> tuple[int, int]:
    """Return how many replications, and how many outcomes, make a task: so many that its own cost does not count, so few that
    progress is seen and the memory suffices.
    """
    program, is_by_events = shared.prepared[case.prepared].program, bool(why_not(case, shared))
    most = PART_BY_EVENTS if is_by_events else PART
    if is_stopping or (case.load is not None and is_by_events):
        most = PART_OF_FEW
    elif case.load is not None:
        most = max(PART_OF_FEW, min(PART_BY_EVENTS, REQUESTS // n_expected(case.load)))
    n_at_once = max(1, MOST_STEPS // len(program.steps.step) if is_by_events else _n_by_arrays(case, program))
    return next(size for size in SIZES if size <= min(most, n_at_once)), min(PART_OF_OUTCOMES, n_at_once)


def _n_by_arrays(case: Case, program: Program) -> int:
    """Return how many trials of a request fit the memory of a task of the array engine."""
    return MOST_BYTE // held_byte(program, may_be_down=bool(models_of(case.failures, OutageModel, RenewalModel)))
