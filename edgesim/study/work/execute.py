"""Executes a prepared study: simulates what is missing, asks the networks, and writes each finished part.

A part is written when its trials are simulated and the networks have answered with everything that arrived in it. The same is
asked once per study, since many trials meet the same one and an answer costs far more than a trial. Tables are made from
the parts on the disk, so an interrupted study and one that ran through have the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.columns import ENGINES
from edgesim.domain.delivery import Delivery
from edgesim.domain.stopping import Stopping
from edgesim.errors import PlanError
from edgesim.interfaces import Bar, Progress
from edgesim.study.cases.design import Case, show_point
from edgesim.study.cases.evaluation import are_outcomes_asked, asked_replications
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import (
    MOST_AT_ONCE,
    PART,
    PART_BY_EVENTS,
    PART_OF_FEW,
    PART_OF_OUTCOMES,
    SIZES,
    Block,
    Work,
    blocks,
)
from edgesim.study.folder.parts import Parts
from edgesim.study.tables.known import CERTAIN, known_of
from edgesim.study.tables.summary import UNITS, Row, summarise, values_of
from edgesim.study.trials.batch import why_not
from edgesim.study.trials.deliveries import deliveries_of, in_order, lost_in
from edgesim.study.trials.trial import n_enumerated, scores_of, simulate_outages
from edgesim.study.trials.trials import Question, Trials, columns
from edgesim.study.work.executor import Flow, OpenPool, WorkerPool
from edgesim.study.work.stopping import Batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.networks.task import Score

DELIVERIES_PER_TASK = 8
"""Few, so that workers end together."""

Key = tuple[int, Delivery]
"""Position of a deployment, and with what it is asked."""


def plan_work(shared: Shared, replications: int | Stopping) -> Work:
    """Divide a study into tasks; with a rule, into all that can be needed."""
    n_most = replications if isinstance(replications, int) else replications.ceiling
    if isinstance(replications, Stopping):
        _check_targets(replications, shared)
    n_outcomes = tuple(n_enumerated(shared, case) for case in shared.cases)
    is_asked = tuple(asked_replications(case.evaluation, n_most, case.seed) for case in shared.cases)
    stopping = None if isinstance(replications, int) else replications
    sizes = [_part_sizes(shared, case, is_stopping=stopping is not None) for case in shared.cases]
    return Work(tuple(blocks(shared.cases, n_most, n_outcomes, sizes)), n_outcomes, is_asked, stopping)


def _check_targets(rule: Stopping, shared: Shared) -> None:
    known = [*(score.name for score in shared.scores), *UNITS]
    for target in rule.targets:
        if target.metric not in known:
            raise PlanError(
                f"replications.until: the study has no metric {target.metric!r}; it has {', '.join(known)}; further scores of a task are "
                "computed where `evaluation.scores` names them"
            )


def _part_sizes(shared: Shared, case: Case, *, is_stopping: bool) -> tuple[int, int]:
    """Return how many replications, and how many outcomes, make a task: so many that its own cost does not count, so few that
    progress is seen and the memory suffices.
    """
    most = PART_BY_EVENTS if why_not(case, shared) else PART
    if case.load is not None or is_stopping:
        most = PART_OF_FEW
    n_at_once = max(1, MOST_AT_ONCE // len(shared.prepared[case.prepared].program.steps.step))
    return next(size for size in SIZES if size <= min(most, n_at_once)), min(PART_OF_OUTCOMES, n_at_once)


def execute(shared: Shared, work: Work, parts: Parts, open_pool: OpenPool, progress: Progress) -> Work:
    """Run the tasks that are needed and whose parts are not there, and write their parts; return the tasks that were needed.

    Raises
    ------
    EdgesimError
        When a worker or a plug-in fails, or a part cannot be written; finished parts stay.
    """
    parts.begin()
    batches = Batches(shared, work.blocks, parts, work.stopping)
    missing = batches.first()
    if missing:
        answers = _known_answers(shared, batches.there, parts)
        with (
            open_pool(shared) as pool,
            progress.task("trials", sum(block.stop - block.start for block in work.blocks)) as bar,
        ):
            n_there = sum(block.stop - block.start for block in batches.there)
            if n_there:
                bar.advance(n_there, "from an earlier run")
            _Execution(shared, work, parts, answers=answers, batches=batches, bar=bar).run(pool, missing)
    return replace(work, blocks=batches.used(), stops=batches.stops())


def _known_answers(shared: Shared, there: Sequence[Block], parts: Parts) -> dict[Key, tuple[float, ...]]:
    """Return what the networks answered in parts that are there already."""
    answers: dict[Key, tuple[float, ...]] = {}
    for block in there:
        case = shared.cases[block.case]
        program = shared.prepared[case.prepared].program
        trials, scores = parts.read([block])
        if trials.load:
            continue  # a mean over requests tells no single answer
        met = {}
        texts = trials.partial or ("",) * len(trials)
        values = zip(*(scores[name].tolist() for name in parts.scores), strict=True)
        for lost, text, latency_s, value in zip(trials.lost, texts, trials.latency_s, values, strict=True):
            if not np.isnan(latency_s) and not np.isnan(value[0]):
                met[lost, text] = value
        asked = deliveries_of(program, tuple(met), case.seed)
        answers.update({(case.prepared, one): value for one, value in zip(asked, met.values(), strict=True)})
    return answers


class _Execution:
    """The state of a running study: which answers are known, and which parts wait for which."""

    def __init__(
        self,
        shared: Shared,
        work: Work,
        parts: Parts,
        *,
        answers: dict[Key, tuple[float, ...]],
        batches: Batches,
        bar: Bar,
    ) -> None:
        self.shared, self.work, self.parts, self.answers = shared, work, parts, answers
        self.batches, self.bar = batches, bar
        self.needed: list[Block] = []  # by what has just been written
        self.waiting: dict[Key, list[Block]] = {}  # blocks that need an answer, by what they need
        self.open: dict[Block, tuple[Trials, set[Key]]] = {}
        self.sums: dict[int, _Sums] = {}

    def run(self, pool: WorkerPool, missing: Sequence[Block]) -> None:
        """Run tasks until every part is written."""
        flow = Flow(pool, missing)
        for task, answer in flow:
            if isinstance(task, Block):
                for question in self._simulated(task, answer):
                    flow.add(question)
            else:
                self._answered(task, answer)
            while self.needed:
                flow.add(self.needed.pop(0))

    def _simulated(self, block: Block, trials: Trials) -> Iterator[Question]:
        """Take simulated trials; yield what must be asked for them that nobody has asked yet."""
        case = self.shared.cases[block.case]
        asked = asked_in(trials, wanted(case, trials, block, self.work))
        unknown = {(case.prepared, delivery) for delivery in asked} - self.answers.keys()
        plan = self.shared.prepared[case.prepared].program.plan
        new = in_order(plan, (delivery for _, delivery in unknown - self.waiting.keys()))
        for key in unknown:
            self.waiting.setdefault(key, []).append(block)
        self.open[block] = (trials, unknown)
        for start in range(0, len(new), DELIVERIES_PER_TASK):
            name = f"strategy {case.strategy!r}"
            yield Question(case.prepared, tuple(new[start : start + DELIVERIES_PER_TASK]), name)
        self._close(block)

    def _answered(self, task: Question, answer: Sequence[tuple[float, ...]]) -> None:
        """Take answers of the networks, and write the parts that need no other."""
        for delivery, value in zip(task.deliveries, answer, strict=True):
            key = (task.prepared, delivery)
            self.answers[key] = value
            for block in self.waiting.pop(key, ()):
                self.open[block][1].discard(key)
                self._close(block)

    def _close(self, block: Block) -> None:
        """Write the part of a block, if everything that it needs is known."""
        trials, unknown = self.open[block]
        if unknown:
            return
        del self.open[block]
        case = self.shared.cases[block.case]
        chosen = wanted(case, trials, block, self.work, has_answer=None)
        scores = scores_of_trials(case, trials, chosen, self.answers, self.shared.scores)
        self.parts.write(block, trials, scores)
        self.needed += self.batches.after(block)
        self.bar.advance(block.stop - block.start + self.batches.n_spared(block), self._note(block, trials, scores))

    def _note(self, block: Block, trials: Trials, scores: Mapping[str, NDArray[np.float64]]) -> str:
        """Return the present estimate of the case in which something has just ended, and how often there was no answer."""
        case = self.shared.cases[block.case]
        if not block.is_enumeration:
            main = self.shared.scores[0].name
            self.sums.setdefault(block.case, _Sums(main)).add(trials, scores[main])
        place = show_point(case.point)
        found = str(self.sums.get(block.case, ""))
        return f"{case.strategy}{' at ' + place if place else ''}{': ' + found if found else ''}"


@dataclass(slots=True)
class _Sums:
    """What progress shows of a case: counts of trials, of those without an answer, and of those whose main score is known."""

    score: str
    n: int = 0
    n_failed: int = 0
    n_known: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, trials: Trials, values: NDArray[np.float64]) -> None:
        """Count some drawn trials."""
        is_known = ~np.isnan(values)
        self.n += len(trials)
        self.n_failed += int(np.isnan(trials.latency_s).sum())
        self.n_known += int(is_known.sum())
        weighted = (values * trials.weight)[is_known]
        self.total += float(weighted.sum())
        self.squares += float((weighted**2).sum())

    def __str__(self) -> str:
        texts = []
        if self.n_known:
            mean = self.total / self.n_known
            half = 1.96 * (max(0.0, self.squares / self.n_known - mean**2) / self.n_known) ** 0.5
            texts.append(f"{self.score} {mean:.3f} ±{half:.3f}")
        if self.n_failed:
            texts.append(f"{100 * self.n_failed / self.n:.1f} % without an answer")
        return ", ".join(texts)


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
    return tuple(fsum(values) / len(values) for values in zip(*worth, strict=True)) or (nan,) * len(worthless)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What is made of the trials of an executed study.

    Parameters
    ----------
    rows : the summary rows of each case.
    intact : every metric of each case when nothing is lost.
    n_by_events : of each case: drawn trials that the event engine simulated.
    """

    rows: list[list[Row]]
    intact: list[dict[str, Any]]
    n_by_events: list[int]


def evaluate(shared: Shared, work: Work, parts: Parts) -> Evaluated:
    """Sum up an executed study from its parts."""
    rows: list[list[Row]] = []
    intact: list[dict[str, Any]] = []
    n_by_events: list[int] = []
    whole_scores: dict[Key, tuple[float, ...]] = {}
    for position, case in enumerate(shared.cases):
        peak_memory_byte = max(shared.prepared[case.prepared].program.devices.peak_memory_byte.values())
        drawn, scores = parts.read(work.of_case(position, is_enumeration=False))
        enumerated, exact_scores = parts.read(work.of_case(position, is_enumeration=True))
        n_by_events.append(int(np.count_nonzero(drawn.engine == ENGINES.index("event"))))
        rows.append(
            summarise(
                values_of(drawn, scores),
                drawn.weight,
                values_of(enumerated, exact_scores),
                enumerated.weight,
                peak_memory_byte,
                known=known_of(shared, case),
                scores=parts.scores,
            )
        )
        whole = columns([simulate_outages(shared, case, ())], [1.0])
        values = values_of(whole, _intact_scores(shared, case, whole, whole_scores))
        single = summarise(
            values, whole.weight, values, whole.weight, peak_memory_byte, known=CERTAIN, scores=parts.scores
        )
        intact.append(
            {
                **case.point,
                "strategy": case.strategy,
                "outcome": whole.outcome_name(0),
                **{row.metric: None if np.isnan(row.exact) else row.exact for row in single},
            }
        )
    return Evaluated(rows, intact, n_by_events)


def _intact_scores(
    shared: Shared, case: Case, whole: Trials, known: dict[Key, tuple[float, ...]]
) -> dict[str, NDArray[np.float64]]:
    """Return the scores when nothing is lost, asked once per deployment and pattern."""
    scores = shared.scores
    found = (np.nan,) * len(scores)
    if case.n_samples and np.isnan(whole.latency_s[0]):
        found = tuple(score.without_answer for score in scores)
    elif case.n_samples:
        plan = shared.prepared[case.prepared].program.plan
        key = (case.prepared, Delivery(lost_in(plan, whole.lost[0])))
        if key not in known:
            known[key] = scores_of(shared, Question(case.prepared, (key[1],), f"strategy {case.strategy!r}"))[0]
        found = known[key]
    return {score.name: np.array([value]) for score, value in zip(scores, found, strict=True)}
