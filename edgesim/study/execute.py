"""Executes a prepared study: all trials, then the answers of the networks, then the rows of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.interfaces import Progress
from edgesim.study.design import Case, Shared, blocks
from edgesim.study.evaluation import is_asked
from edgesim.study.executor import completed, local_executor
from edgesim.study.summary import Row, summarise, values_of
from edgesim.study.trial import (
    Patterns,
    Trials,
    accuracies,
    columns,
    concatenate,
    n_enumerated,
    simulate_block,
    simulate_outages,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATTERNS_PER_TASK = 8
"""Few, so that workers end together."""

Accuracies = Mapping[tuple[int, int], float]
"""Accuracy by position of the deployment and pattern of lost transfers."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The trials of one case.

    Parameters
    ----------
    drawn, enumerated, intact : the drawn trials, all possible outcomes (none when too many), and the trial without losses.
    """

    drawn: Trials
    enumerated: Trials
    intact: Trials


def execute(shared: Shared, replications: int, workers: int, progress: Progress) -> tuple[list[Outcome], Accuracies]:
    """Simulate all trials, then ask the networks once per distinct pattern of losses.

    Returns
    -------
    outcomes
        By case.
    accuracy
        By (position of the deployment, pattern of lost transfers).
    """
    tasks = blocks(shared.cases, replications, [n_enumerated(case) for case in shared.cases])
    intact = [columns([simulate_outages(shared, case, ())], [1.0]) for case in shared.cases]
    workers = min(workers, len(tasks))
    drawn: list[list[Trials]] = [[] for _ in shared.cases]
    enumerated: list[list[Trials]] = [[] for _ in shared.cases]
    with local_executor(workers, shared) as executor:
        parts: dict[int, Trials] = {}
        with progress.task("trials", sum(task.stop - task.start for task in tasks)) as bar:
            for position, trials in completed(executor, workers, simulate_block, tasks):
                parts[position] = trials
                bar.advance(len(trials))
        for position, task in enumerate(tasks):  # in the order of the tasks, whatever the order they ended in
            (enumerated if task.is_enumeration else drawn)[task.case].append(parts[position])
        outcomes = [
            Outcome(concatenate(drawn[position]), concatenate(enumerated[position]), intact[position])
            for position in range(len(shared.cases))
        ]
        return outcomes, _ask(executor, workers, shared, outcomes, progress)


def _ask(
    executor: Executor, workers: int, shared: Shared, outcomes: Sequence[Outcome], progress: Progress
) -> Accuracies:
    """Return the accuracy of every pattern of losses that an answered trial met."""
    met: dict[int, set[int]] = {}
    names: dict[int, str] = {}
    for case, outcome in zip(shared.cases, outcomes, strict=True):
        names.setdefault(case.prepared, f"strategy {case.strategy!r}")
        for trials in (outcome.drawn, outcome.enumerated, outcome.intact):
            is_enumeration = trials is outcome.enumerated
            wanted = ~np.isnan(trials.latency_s) & is_asked(case, len(trials), is_enumeration=is_enumeration)
            met.setdefault(case.prepared, set()).update(
                lost for lost, is_wanted in zip(trials.lost, wanted, strict=True) if is_wanted
            )
    tasks = [
        Patterns(prepared, tuple(patterns[start : start + PATTERNS_PER_TASK]), names[prepared])
        for prepared, patterns in ((prepared, sorted(lost)) for prepared, lost in sorted(met.items()))
        for start in range(0, len(patterns), PATTERNS_PER_TASK)
    ]
    accuracy: dict[tuple[int, int], float] = {}
    with progress.task("answers of the networks", sum(len(task.lost) for task in tasks)) as bar:
        for position, answers in completed(executor, workers, accuracies, tasks):
            task = tasks[position]
            accuracy.update({(task.prepared, lost): answer for lost, answer in zip(task.lost, answers, strict=True)})
            bar.advance(len(answers))
    return accuracy


def evaluate(
    shared: Shared, outcomes: Sequence[Outcome], accuracy: Accuracies
) -> tuple[list[list[Row]], list[dict[str, Any]]]:
    """Return the summary rows of each case, and every metric of each case when nothing is lost."""
    rows: list[list[Row]] = []
    intact: list[dict[str, Any]] = []
    for case, outcome in zip(shared.cases, outcomes, strict=True):
        peak_memory_byte = max(shared.prepared[case.prepared].program.peak_memory_byte.values())
        drawn, enumerated, whole = (
            values_of(trials, accuracy_of(case, trials, accuracy, is_enumeration=trials is outcome.enumerated))
            for trials in (outcome.drawn, outcome.enumerated, outcome.intact)
        )
        rows.append(summarise(drawn, enumerated, outcome.enumerated.weight, peak_memory_byte))
        single = summarise(whole, whole, outcome.intact.weight, peak_memory_byte)
        intact.append(
            {
                **case.point,
                "strategy": case.strategy,
                "outcome": outcome.intact.outcome_name(0),
                **{row.metric: None if np.isnan(row.exact) else row.exact for row in single},
            }
        )
    return rows, intact


def accuracy_of(
    case: Case, trials: Trials, accuracy: Accuracies, *, is_enumeration: bool = False
) -> NDArray[np.float64]:
    """Return the accuracy of each trial, NaN when the networks were not asked; a question without an answer is answered wrongly."""
    asked = is_asked(case, len(trials), is_enumeration=is_enumeration)
    return np.array(
        [
            np.nan if not is_wanted else 0.0 if np.isnan(latency_s) else accuracy[case.prepared, lost]
            for is_wanted, latency_s, lost in zip(asked, trials.latency_s, trials.lost, strict=True)
        ],
        dtype=np.float64,
    )
