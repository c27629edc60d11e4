"""Executes a prepared study: simulates what is missing, asks the networks, and writes each finished part.

A part is written when its trials are simulated and the networks have answered with everything that arrived in it. The same is
asked once per study, since many trials meet the same one and an answer costs far more than a trial. Tables are made from
the parts on the disk, so an interrupted study and one that ran through have the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgesim.interfaces import Bar, Progress
from edgesim.study.cases.design import show_point
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Block, Work
from edgesim.study.folder.parts import Parts
from edgesim.study.tables.known import known_of
from edgesim.study.tables.weighted import weighted_mean
from edgesim.study.trials.deliveries import deliveries_of, in_order
from edgesim.study.trials.people import with_people
from edgesim.study.trials.service import with_lost_score
from edgesim.study.trials.trial import with_columns
from edgesim.study.trials.trials import Question, Trials
from edgesim.study.work.earlier import NOTHING, Earlier, joined
from edgesim.study.work.executor import Flow, OpenPool, WorkerPool
from edgesim.study.work.scoring import Key, asked_in, known_answers, scores_of_trials, wanted
from edgesim.study.work.stopping import Batches
from edgesim.tasks.review import ESCALATED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.metrics import Metric
    from edgesim.domain.records import Sample
    from edgesim.study.cases.design import Case
    from edgesim.study.tables.known import Known

DELIVERIES_PER_TASK = 16
"""Few, so that workers end together; several, since layer partitioning runs the network once without losses for all of them."""


def execute(
    shared: Shared,
    work: Work,
    parts: Parts,
    open_pool: OpenPool,
    progress: Progress,
    *,
    earlier: Earlier = NOTHING,
    sampled: dict[str, Sequence[Sample]] | None = None,
) -> Work:
    """Run the tasks that are needed and whose parts are not there, and write their parts; return the tasks that were needed.

    Of a task of which an earlier study has the first trials only the others are simulated. What was sampled over time under load goes into
    `sampled`, by strategy.

    Raises
    ------
    EdgesimError
        When a worker or a plug-in fails, or a part cannot be written; finished parts stay.
    """
    parts.begin()
    batches = Batches(shared, work.blocks, parts, work.stopping)
    missing = batches.first()
    if missing:
        answers = known_answers(shared, batches.there, parts)
        if earlier.parts is not None:
            answers |= known_answers(shared, earlier.blocks, earlier.parts)
        needed = set(work.blocks).difference(batches.there)
        n_left = sum(block.stop - block.start - earlier.n_of(block) for block in needed)
        with open_pool(shared) as pool, progress.task(_label(work, n_left), n_left) as bar:
            execution = _Execution(shared, work, parts, answers=answers, batches=batches, bar=bar, earlier=earlier)
            execution.run(pool, missing)
        if sampled is not None:
            sampled.update(execution.sampled)
    return replace(work, blocks=batches.used(), stops=batches.stops())


def _label(work: Work, n_left: int) -> str:
    """Return what is simulated, and how much of the study is there already."""
    n_kept = sum(block.stop - block.start for block in work.blocks) - n_left
    what = "trials and outcomes" if any(block.is_enumeration for block in work.blocks) else "trials"
    return what + (", at most" if work.stopping is not None else "") + (f" ({n_kept:,} kept)" if n_kept else "")


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
        earlier: Earlier,
    ) -> None:
        self.shared, self.work, self.parts, self.answers = shared, work, parts, answers
        self.batches, self.bar, self.earlier = batches, bar, earlier
        self.wholes: dict[Block, Block] = {}  # tasks of which only the end is simulated, by that end
        self.needed: list[Block] = []  # by what has just been written
        self.waiting: dict[Key, list[Block]] = {}  # blocks that need an answer, by what they need
        self.open: dict[Block, tuple[Trials, set[Key]]] = {}
        self.so_far: dict[int, _SoFar] = {}
        self.sampled: dict[str, Sequence[Sample]] = {}

    def run(self, pool: WorkerPool, missing: Sequence[Block]) -> None:
        """Run tasks until every part is written."""
        flow = Flow(pool, self._ends(missing))
        for task, answer in flow:
            if isinstance(task, Block):
                for question in self._simulated(task, answer):
                    flow.add(question)
            else:
                self._answered(task, answer)
            while self.needed:
                for block in self._ends([self.needed.pop(0)]):
                    flow.add(block)

    def _ends(self, blocks: Sequence[Block]) -> list[Block]:
        """Return what is to be simulated of some tasks; those that an earlier study has wholly are written."""
        left, queue = [], list(blocks)
        while queue:
            block = queue.pop(0)
            n = self.earlier.n_of(block)
            end = replace(block, start=block.start + n)
            if end.start < block.stop:
                self.wholes[end] = block
                left.append(end)
            else:
                found = self.earlier.of(block)
                self._write(block, *found, self._note(block, *found))
                queue += self.needed
                self.needed.clear()
        return left

    def _simulated(self, block: Block, trials: Trials) -> Iterator[Question]:
        """Take simulated trials; yield what must be asked for them that nobody has asked yet."""
        case = self.shared.cases[block.case]
        if trials.samples:
            self.sampled[case.strategy] = trials.samples
        chosen = wanted(case, trials, block, self.work)
        asked = asked_in(trials, chosen)
        if case.recovery is not None and chosen.any():
            asked |= {one for one in (self._whole(case),) if one is not None}
        unknown = {(case.prepared, delivery) for delivery in asked} - self.answers.keys()
        plans = self.shared.prepared[case.prepared].program.plans
        new = in_order(plans, (delivery for _, delivery in unknown - self.waiting.keys()))
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
        if case.people is not None:
            place = [score.name for score in self.shared.scores].index(ESCALATED)
            asked = asked_in(trials, chosen)
            escalated = {one: self.answers[case.prepared, one][place] for one in asked}
            trials, scores = with_people(
                case, trials, first=block.start, chosen=chosen, scores=scores, escalated=escalated
            )
        if case.recovery is not None:
            intact = self._whole(case)
            asked = asked_in(trials, chosen) | ({intact} if intact is not None and chosen.any() else set())
            worth = {one: self.answers[case.prepared, one][0] for one in asked}
            trials = with_lost_score(trials, chosen, self.shared.scores[0], worth, intact)
        whole = self.wholes.pop(block)
        found = (trials, scores) if whole == block else joined([self.earlier.of(whole), (trials, scores)])
        self._write(whole, *found, self._note(whole, *found))

    def _whole(self, case: Case) -> Delivery | None:
        """Return with what the networks of a case are asked when nothing is lost; None where that depends on the sample."""
        prepared = self.shared.prepared[case.prepared]
        return None if prepared.plan_of_sample else deliveries_of(prepared.program, [(0, "", 0)], case.seed)[0]

    def _write(self, block: Block, trials: Trials, scores: Mapping[str, NDArray[np.float64]], note: str) -> None:
        """Write the part of a task, and find out which further ones are needed now."""
        self.parts.write(block, with_columns(self.shared, trials), scores)
        self.needed += self.batches.after(block)
        self.bar.advance(block.stop - block.start - self.earlier.n_of(block), note)

    def _note(self, block: Block, trials: Trials, scores: Mapping[str, NDArray[np.float64]]) -> str:
        """Return the present estimate of the case in which something has just ended, and how often there was no answer."""
        case = self.shared.cases[block.case]
        if block.case not in self.so_far:
            about = known_of(self.shared, case), self.shared.scores[0].metric(), self.work.n_outcomes[block.case]
            self.so_far[block.case] = _SoFar(*about)
            there = [one for one in self.batches.there if one.case == block.case and not one.is_enumeration]
            if there:
                self.so_far[block.case].add(*self.parts.read(there), is_enumeration=False)
        so_far = self.so_far[block.case]
        so_far.add(trials, scores, is_enumeration=block.is_enumeration)
        place = show_point(case.point)
        found = str(so_far)
        return f"{case.strategy}{' at ' + place if place else ''}{': ' + found if found else ''}"


class _SoFar:
    """What progress shows of a case: its main score with the interval that the table would have now, and the share without an answer."""

    def __init__(self, known: Known, score: Metric, n_outcomes: int) -> None:
        self._known, self._score, self._n_outcomes = known, score, n_outcomes
        self._drawn: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._enumerated: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._n_failed = 0

    def add(self, trials: Trials, scores: Mapping[str, NDArray[np.float64]], *, is_enumeration: bool) -> None:
        """Count some drawn trials, or take in enumerated outcomes, which bound the interval when all are there."""
        (self._enumerated if is_enumeration else self._drawn).append((scores[self._score.name], trials.weight))
        self._n_failed += 0 if is_enumeration else int(np.isnan(trials.latency_s).sum())

    def __str__(self) -> str:
        if not self._drawn:
            return ""
        (values, weights), known, texts = _joined(self._drawn), self._known, []
        if self._n_outcomes and sum(len(weight) for _, weight in self._enumerated) == self._n_outcomes:
            outcomes, probabilities = _joined(self._enumerated)
            known = known.within({self._score.name: outcomes}, probabilities)
        found = weighted_mean(values, weights, known.prior(self._score.name, len(values)))
        if found.n:
            half = (found.high - found.low) / 2
            scale, unit = (100, " %") if self._score.is_share else (1, "")
            digits = 1 if self._score.is_share else 3
            interval = f" ±{scale * half:.{digits}f}" if not np.isnan(half) else " ±?" if found.n > 1 else ""
            texts.append(f"{self._score.name} {scale * found.value:.{digits}f}{interval}{unit}")
        if self._n_failed:
            texts.append(f"{100 * self._n_failed / len(values):.1f} % without an answer")
        return ", ".join(texts)


def _joined(
    pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.concatenate([one for one, _ in pairs]), np.concatenate([other for _, other in pairs])
