"""What the worst loss of up to two devices does to a candidate, every loss simulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isnan
from typing import TYPE_CHECKING

from edgesim.domain.records import Outage
from edgesim.study.cases.shared import Memory
from edgesim.study.trials.deliveries import deliveries_of, note
from edgesim.study.trials.trial import scores_of, simulate_outages
from edgesim.study.trials.trials import Question

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgesim.domain.records import RequestRecord
    from edgesim.study.cases.shared import Shared
    from edgesim.study.work.scoring import Key

N_MOST_LOST = 2
"""Devices that are lost at most."""


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst that the loss of so many devices can do.

    Parameters
    ----------
    n_lost : number of devices lost, from the start and for good; the source and the sink are never.
    n_sets : number of sets of so many devices among those that the plan uses: all of them were simulated.
    n_unanswered : in how many of them there is no answer.
    metric : of which the worst value is shown: the first score, or the latency where no network is asked.
    value : the worst; an infinite latency where a set has no answer.
    lost : the devices of the first set that has it.
    """

    n_lost: int
    n_sets: int
    n_unanswered: int
    metric: str
    value: float
    lost: tuple[str, ...]


def certificate(shared: Shared, ends: Collection[str], answers: dict[Key, tuple[float, ...]]) -> list[Worst]:
    """Return the worst that the loss of none, one and two devices does to the only case of a study, for a single request.

    Nothing else fails. Devices are lost from the start, as by the failure model ``exactly-k``; each set is simulated and asked.
    Where requests follow several plans (`workload.escalate`) there is none.

    Parameters
    ----------
    shared : the study.
    ends : the source and the sink, which are not lost.
    answers : of its networks so far; those that are asked are added.
    """
    case = replace(shared.cases[0], failures={}, load=None)
    alone = replace(shared, cases=(case,), memory=Memory())
    if len(shared.prepared[case.prepared].program.spans) > 1:
        return []  # answers of several plans are mixed
    used = sorted(set(shared.prepared[case.prepared].program.devices.device_ids) - set(ends))
    return [
        _worst(alone, list(combinations(used, n_lost)), answers) for n_lost in range(min(N_MOST_LOST, len(used)) + 1)
    ]


def _worst(shared: Shared, sets: Sequence[tuple[str, ...]], answers: dict[Key, tuple[float, ...]]) -> Worst:
    case = shared.cases[0]
    records = [simulate_outages(shared, case, [Outage(one, cause="certificate") for one in lost]) for lost in sets]
    is_answered = [not isnan(record.latency_s) for record in records]
    n_unanswered = len(sets) - sum(is_answered)
    if case.n_samples:
        score = shared.scores[0]
        values = _scores(shared, records, answers)
        sign, metric = (1.0 if score.metric().is_larger_better else -1.0), score.name
    else:
        values = [inf if isnan(record.latency_s) else record.latency_s for record in records]
        sign, metric = -1.0, "latency"
    place = min(range(len(sets)), key=lambda place: sign * values[place])
    return Worst(len(sets[0]), len(sets), n_unanswered, metric, values[place], sets[place])


def _scores(shared: Shared, records: Sequence[RequestRecord], answers: dict[Key, tuple[float, ...]]) -> list[float]:
    """Return the first score of each record; of one without an answer what that is worth."""
    case = shared.cases[0]
    prepared = shared.prepared[case.prepared]
    met = [(one.lost, note(prepared.program, case, one.partial) if prepared.uses_partial else "", 0) for one in records]
    asked = deliveries_of(prepared.program, met, case.seed)
    is_answered = [not isnan(one.latency_s) for one in records]
    unknown = dict.fromkeys(
        one
        for one, is_there in zip(asked, is_answered, strict=True)
        if is_there and (case.prepared, one) not in answers
    )
    found = scores_of(shared, Question(case.prepared, tuple(unknown), str(case)))
    answers.update({(case.prepared, one): scores for one, scores in zip(unknown, found, strict=True)})
    return [
        answers[case.prepared, one][0] if is_there else shared.scores[0].without_answer
        for one, is_there in zip(asked, is_answered, strict=True)
    ]
