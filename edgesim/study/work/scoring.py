"""What the networks are asked about trials, and what the trials are worth by their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum, nan
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.delivery import Delivery
from edgesim.study.cases.design import Case
from edgesim.study.cases.evaluation import are_outcomes_asked
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Block, Work
from edgesim.study.folder.parts import Parts
from edgesim.study.trials.deliveries import deliveries_of
from edgesim.study.trials.trials import Trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.networks.task import Score

Key = tuple[int, Delivery]
"""Position of a deployment, and with what it is asked."""


def known_answers(shared: Shared, there: Sequence[Block], parts: Parts) -> dict[Key, tuple[float, ...]]:
    """Return what the networks answered in parts that are there already."""
    answers: dict[Key, tuple[float, ...]] = {}
    for block in there:
        case = parts.cases[block.case]
        prepared = shared.prepared[case.prepared]
        trials, scores = parts.read([block])
        if trials.load:
            continue  # a mean over requests tells no single answer
        met = {}
        texts = trials.partial or ("",) * len(trials)
        samples = trials.sample or (-1,) * len(trials)
        values = zip(*(scores[name].tolist() for name in parts.scores), strict=True)
        for lost, text, sample, latency_s, value in zip(
            trials.lost, texts, samples, trials.latency_s, values, strict=True
        ):
            if not np.isnan(latency_s) and not np.isnan(value[0]):
                met[lost, text, prepared.plan_of(sample)] = value
        asked = deliveries_of(prepared.program, tuple(met), case.seed)
        answers.update({(case.prepared, one): value for one, value in zip(asked, met.values(), strict=True)})
    return answers


def wanted(
    case: Case, trials: Trials, block: Block, work: Work, *, has_answer: bool | None = True
) -> NDArray[np.bool_]:
    """Return, for the trials of a block, whether the scores are wanted; only of those with an answer, unless `has_answer` is None."""
    chosen = np.zeros(len(trials), dtype=np.bool_)  # without test samples nothing is asked
    if case.n_samples and block.is_enumeration:
        chosen[:] = are_outcomes_asked(case.evaluation, work.n_outcomes[block.case])
    elif case.n_samples:
        chosen = work.is_asked[block.case][block.start : block.stop]
    return chosen if has_answer is None else chosen & ~np.isnan(trials.latency_s)


def asked_in(trials: Trials, chosen: NDArray[np.bool_]) -> set[Delivery]:
    """Return with what the networks are asked for the chosen trials."""
    if trials.load:
        requests = (trials.asked_by_request[index] for index in np.flatnonzero(chosen).tolist())
        return {asked for some in requests for asked in some if asked is not None}
    return {trials.asked[index] for index in np.flatnonzero(chosen).tolist()}


def scores_of_trials(
    case: Case,
    trials: Trials,
    chosen: NDArray[np.bool_],
    answers: Mapping[Key, tuple[float, ...]],
    scores: Sequence[Score],
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of each trial, NaN when the networks were not asked; a question without an answer has what it is worth."""
    worthless = tuple(score.without_answer for score in scores)
    if trials.load:
        rows = [
            _mean_of_requests(case, asked if is_wanted else (), answers, worthless)
            for is_wanted, asked in zip(chosen, trials.asked_by_request, strict=True)
        ]
        found = np.array(rows, dtype=np.float64).reshape(len(rows), len(scores))
    else:
        is_answered = chosen & ~np.isnan(trials.latency_s)
        known = {asked: answers[case.prepared, asked] for asked in asked_in(trials, is_answered)}
        found = np.tile(np.array(worthless), (len(trials), 1))
        if is_answered.any():
            found[is_answered] = [known[trials.asked[index]] for index in np.flatnonzero(is_answered).tolist()]
    found[~chosen] = np.nan
    return {score.name: found[:, position].copy() for position, score in enumerate(scores)}


def _mean_of_requests(
    case: Case,
    deliveries: Sequence[Delivery | None],
    answers: Mapping[Key, tuple[float, ...]],
    worthless: tuple[float, ...],
) -> tuple[float, ...]:
    """Return the means of the scores over the requests of a trial."""
    worth = [worthless if asked is None else answers[case.prepared, asked] for asked in deliveries]
    n = len(worth)
    return tuple(fsum(one[place] for one in worth) / n if n else nan for place in range(len(worthless)))
