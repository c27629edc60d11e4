"""An executed study summed up from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.columns import ENGINES
from edgesim.domain.delivery import Delivery
from edgesim.domain.metrics import UNITS
from edgesim.study.cases.design import INFEASIBLE, Case, Unfit, same_point
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Work
from edgesim.study.folder.parts import Parts
from edgesim.study.tables.known import CERTAIN, known_of
from edgesim.study.tables.paired import Difference, Measured, differences_of
from edgesim.study.tables.summary import Row, summarise, values_of
from edgesim.study.trials.deliveries import lost_in
from edgesim.study.trials.trial import scores_of, simulate_outages
from edgesim.study.trials.trials import Question, Trials, columns
from edgesim.study.work.scoring import Key

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What is made of the trials of an executed study.

    Parameters
    ----------
    rows : the summary rows of each case.
    metrics : names of the metrics that any study has, with the scores that were asked.
    intact : every metric of each case when nothing is lost, in the scenario's order; of those that do not fit none.
    n_by_events : of each case: drawn trials that the event engine simulated.
    differences : between every two strategies at every factor point.
    """

    rows: list[list[Row]]
    metrics: list[str]
    intact: list[dict[str, Any]]
    n_by_events: list[int]
    differences: list[Difference]


def evaluate(shared: Shared, work: Work, parts: Parts) -> Evaluated:
    """Sum up an executed study from its parts, each of which is read once."""
    summed_up: dict[int, tuple[list[Row], int]] = {}
    differences: list[Difference] = []
    for positions in same_point(shared.cases):
        measured: dict[int, Measured] = {}
        for position in positions:
            case = shared.cases[position]
            drawn, scores = parts.read(work.of_case(position, is_enumeration=False))
            enumerated, exact_scores = parts.read(work.of_case(position, is_enumeration=True))
            values, exact = values_of(drawn, scores), values_of(enumerated, exact_scores)
            known = known_of(shared, case).within(exact, enumerated.weight)
            measured[position] = Measured(values, drawn.weight, known)
            case_rows = summarise(
                values,
                drawn.weight,
                exact,
                enumerated.weight,
                _peak_memory_byte(shared, case),
                known=known,
                scores=parts.scores,
            )
            summed_up[position] = case_rows, int(np.count_nonzero(drawn.engine == ENGINES.index("event")))
        differences += differences_of(shared, measured)
    rows = [summed_up[position][0] for position in range(len(shared.cases))]
    n_by_events = [summed_up[position][1] for position in range(len(shared.cases))]
    intact: list[dict[str, Any]] = []
    whole_scores: dict[Key, tuple[float, ...]] = {}
    for case in shared.cases:
        prepared = shared.prepared[case.prepared]
        plans = range(len(prepared.shares))
        whole = columns([simulate_outages(shared, case, (), plan) for plan in plans], prepared.shares)
        values = values_of(whole, _intact_scores(shared, case, whole, whole_scores))
        peak_memory_byte = _peak_memory_byte(shared, case)
        single = summarise(
            values, whole.weight, values, whole.weight, peak_memory_byte, known=CERTAIN, scores=parts.scores
        )
        intact.append(
            {
                **case.point,
                "strategy": case.strategy,
                "outcome": whole.outcome_name(int(whole.weight.argmax())),
                **{row.metric: None if np.isnan(row.exact) else row.exact for row in single},
            }
        )
    metrics = [row.metric for row in rows[0] if row.metric in {*parts.scores, *UNITS}]

    def nothing(unfit: Unfit) -> dict[str, Any]:
        return {**unfit.point, "strategy": unfit.strategy, "outcome": INFEASIBLE, **dict.fromkeys(metrics)}

    return Evaluated(rows, metrics, shared.with_unfit(intact, nothing)[1], n_by_events, differences)


def _peak_memory_byte(shared: Shared, case: Case) -> int:
    """Return the peak memory of the device that needs most."""
    return max(shared.prepared[case.prepared].program.devices.peak_memory_byte.values())


def _intact_scores(
    shared: Shared, case: Case, whole: Trials, known: dict[Key, tuple[float, ...]]
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of each plan when nothing is lost, asked once per deployment and pattern."""
    scores, program = shared.scores, shared.prepared[case.prepared].program
    found = np.full((len(whole), len(scores)), np.nan)
    if case.n_samples:
        found[:] = [score.without_answer for score in scores]
        answered = np.flatnonzero(~np.isnan(whole.latency_s)).tolist()
        asked = {
            plan: Delivery(lost_in(program.plans[plan], program.spans[plan].own(whole.lost[plan])), plan=plan)
            for plan in answered
        }
        new = tuple(delivery for delivery in asked.values() if (case.prepared, delivery) not in known)
        if new:
            values = scores_of(shared, Question(case.prepared, new, f"strategy {case.strategy!r}"))
            known.update({(case.prepared, delivery): value for delivery, value in zip(new, values, strict=True)})
        for plan, delivery in asked.items():
            found[plan] = known[case.prepared, delivery]
    return {score.name: found[:, position] for position, score in enumerate(scores)}
