"""Trials of one case, ever more of them, with what the networks answer, until something is known surely enough."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from edgesim.study.cases.evaluation import asked_replications
from edgesim.study.cases.tasks import Block, Work, blocks
from edgesim.study.tables.known import known_of
from edgesim.study.tables.statistics import CONFIDENCE, Estimate
from edgesim.study.tables.summary import summarise, values_of
from edgesim.study.trials.trial import n_enumerated, scores_of, simulate_block
from edgesim.study.trials.trials import Question, columns
from edgesim.study.work.earlier import joined
from edgesim.study.work.scoring import asked_in, scores_of_trials, wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.study.cases.shared import Shared
    from edgesim.study.folder.parts import Parts
    from edgesim.study.tables.summary import Row
    from edgesim.study.trials.trials import Trials
    from edgesim.study.work.scoring import Key

    Kept = tuple[Trials, Mapping[str, NDArray[np.float64]]]


MOST_OUTCOMES = 2**14
"""Outcomes of the failures that are enumerated at once."""


@dataclass
class Sample:
    """Trials of the only case of a study, the first n replications, and all outcomes where they are few.

    Parameters
    ----------
    shared : the study.
    n_most : most replications that may be asked for.
    parts : where blocks of trials are kept, and found again; None: nowhere.
    answers : of the networks so far; samples of one deployment may share them.
    """

    shared: Shared
    n_most: int
    parts: Parts | None = None
    answers: dict[Key, tuple[float, ...]] = field(default_factory=dict)
    n: int = 0
    _drawn: list[Kept] = field(default_factory=list)
    _outcomes: list[Kept] | None = None

    def grow(self, n: int) -> None:
        """Simulate replications until there are n."""
        n = min(n, self.n_most)
        if n > self.n:
            self._drawn.append(self._kept(Block(0, self.n, n, is_enumeration=False, name=str(self.shared.cases[0]))))
            self.n = n

    @property
    def has_outcomes(self) -> bool:
        """Whether all outcomes of the failures are enumerated, so that expectations are exact."""
        return bool(self._enumerated()) and bool(len(self._enumerated()[0][0]))

    def values(self) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
        """Return the values of every metric by replication, and the weights of the replications."""
        trials, scores = _together(self._drawn, self.shared)
        return values_of(trials, scores), trials.weight

    def rows(self) -> list[Row]:
        """Return every metric with its interval, and its exact expectation where there is one."""
        (drawn, scores), (outcomes, exact) = (
            _together(kept, self.shared) for kept in (self._drawn, self._enumerated())
        )
        case = self.shared.cases[0]
        peak_memory_byte = max(self.shared.prepared[case.prepared].program.devices.peak_memory_byte.values())
        return summarise(
            values_of(drawn, scores), drawn.weight, values_of(outcomes, exact), outcomes.weight, peak_memory_byte,
            known=known_of(self.shared, case), scores=[score.name for score in self.shared.scores],
        )  # fmt: skip

    def _enumerated(self) -> list[Kept]:
        """Return all outcomes of the failures; nothing where they are too many, or not asked about."""
        if self._outcomes is None:
            n = n_enumerated(self.shared, self.shared.cases[0])
            found = blocks(self.shared.cases, 0, (n,), [(1, MOST_OUTCOMES)])
            self._outcomes = [self._kept(block) for block in found]
        return self._outcomes

    def _kept(self, block: Block) -> Kept:
        """Return a block of trials, simulated where it is not kept already."""
        if self.parts is not None and not self.parts.missing([block]):
            return self.parts.read([block])
        case = self.shared.cases[0]
        trials = simulate_block(self.shared, block)
        n_outcomes = block.stop if block.is_enumeration else 0
        is_asked = asked_replications(case.evaluation, self.n_most, case.seed)
        work = Work((block,), (n_outcomes,), (is_asked,))
        self._ask(trials, wanted(case, trials, block, work))
        chosen = wanted(case, trials, block, work, has_answer=None)
        scores = scores_of_trials(case, trials, chosen, self.answers, self.shared.scores)
        if self.parts is not None:
            self.parts.write(block, trials, scores)
        return trials, scores

    def _ask(self, trials: Trials, chosen: NDArray[np.bool_]) -> None:
        """Ask the networks what has not been asked yet."""
        position = self.shared.cases[0].prepared
        unknown = tuple(one for one in asked_in(trials, chosen) if (position, one) not in self.answers)
        found = scores_of(self.shared, Question(position, unknown, str(self.shared.cases[0])))
        self.answers.update({(position, one): scores for one, scores in zip(unknown, found, strict=True)})


def _together(kept: Sequence[Kept], shared: Shared) -> Kept:
    if kept:
        return joined(kept)
    return columns((), ()), {score.name: np.array([]) for score in shared.scores}


def widened(estimate: Estimate, n_decisions: int) -> Estimate:
    """Return an estimate with an interval so much wider that this many of them hold together with 95 % (Bonferroni).

    Both halves are scaled by z(1 - 0.025 / n) / z(0.975), as of a normal distribution.

    Examples
    --------
    >>> e = widened(Estimate(1.0, 0.9, 1.2, 50), 10)  # 2.807 / 1.960
    >>> f"{e.low:.4f} {e.high:.4f}"
    '0.8568 1.2864'
    """
    from scipy.special import ndtri

    alone = (1 - CONFIDENCE) / 2
    ratio = float(ndtri(alone / n_decisions) / ndtri(alone))
    low, high = (estimate.value + ratio * (end - estimate.value) for end in (estimate.low, estimate.high))
    return replace(estimate, low=low, high=high)
