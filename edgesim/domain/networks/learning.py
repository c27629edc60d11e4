"""Whether a trained network learnt something."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesim.domain.networks.task import Score

Z = 1.96
"""Quantile of the normal distribution: by chance alone, one network in forty is above the bound that it gives."""
FAR = 0.5
"""A network that gains less than this share of what its teacher gains over chance is far below it."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a trained network reached on the test split, with nothing lost, in the main score of its task.

    No better than chance is, where larger is better: reached <= c + 1.96 s, c what is reached without looking at the samples and s
    its standard error: sqrt(c (1 - c) / n) for a mean over n samples of right and wrong, (high - low) / sqrt(3 n) for other scores
    with bounds (that of ROC-AUC with as many yes as no), c / sqrt(2 n) for those without. Far below its teacher is: reached - c <
    (teacher - c) / 2.

    Parameters
    ----------
    network : what it is, for messages.
    score : the main one.
    reached : by the network.
    chance : by answering the same to every sample, at best; for accuracy the share of the most frequent class.
    n_samples : of the test split.
    teacher : what its teacher reached; None for a network without one.

    Examples
    --------
    Two classes, 100 samples: chance is 0.5, and its standard error sqrt(0.25 / 100) = 0.05, so that 0.59 may be luck.

    >>> from edgesim.domain.networks.task import Score
    >>> accuracy = Score("accuracy", of=lambda answers, targets: 0.0, is_share=True, is_mean_of_samples=True)
    >>> [Learnt("the network", accuracy, reached, 0.5, 100).is_chance for reached in (0.59, 0.61)]
    [True, False]
    """

    network: str
    score: Score
    reached: float
    chance: float
    n_samples: int
    teacher: float | None = None

    @property
    def is_chance(self) -> bool:
        """Whether it is no better than chance, or nobody can tell."""
        gained = self._gain(self.reached)
        return not gained > Z * self._error()

    @property
    def is_far_below_teacher(self) -> bool:
        """Whether it gained less than half of what its teacher did.

        Examples
        --------
        The teacher gains 0.4 over chance, so at least 0.7 is wanted.

        >>> from edgesim.domain.networks.task import Score
        >>> accuracy = Score("accuracy", of=lambda answers, targets: 0.0, is_share=True, is_mean_of_samples=True)
        >>> [Learnt("a student", accuracy, reached, 0.5, 100, teacher=0.9).is_far_below_teacher for reached in (0.65, 0.75)]
        [True, False]
        """
        return self.teacher is not None and self._gain(self.reached) < FAR * self._gain(self.teacher)

    def _gain(self, value: float) -> float:
        return self.score.worth(value) - self.score.worth(self.chance)

    def _error(self) -> float:
        score, c = self.score, self.chance
        if score.is_mean_of_samples and score.is_share:
            return sqrt(c * (1 - c) / self.n_samples)
        if isfinite(score.high - score.low):
            return (score.high - score.low) / sqrt(3 * self.n_samples)
        return abs(c) / sqrt(2 * self.n_samples)

    @property
    def warning(self) -> str:
        """What is doubtful, and what to try; empty when nothing is."""
        if not (self.is_chance or self.is_far_below_teacher):
            return ""
        taught = "" if self.teacher is None else f", its teacher {self.score.show(self.teacher)}"
        is_bad = "is far below its teacher"
        if self.is_chance:
            few = f"may be no better than chance, as far as {self.n_samples} test samples tell"
            is_bad = few if self._gain(self.reached) > 0 else "is no better than chance"
        remedy = _ALONE if self.teacher is None else _TAUGHT
        reached, chance = self.score.show(self.reached), self.score.show(self.chance)
        return f"{self.network} {is_bad}: {self.score.name} {reached}, chance {chance}{taught}; {remedy}"

    def as_data(self) -> dict[str, Any]:
        """Return it as plain JSON values, the warning included."""
        names = ("network", "reached", "chance", "n_samples", "teacher", "warning")
        found: dict[str, Any] = {name: getattr(self, name) for name in names}
        return {**found, "score": self.score.name}


_ALONE = "try more `epochs`, a smaller `batch_size` (more steps), another `learning_rate` or another model, and look at the labels"
_TAUGHT = (
    "try more `epochs`, a smaller `batch_size` (more steps), a larger `student`, and a lower `beta` where there is one: with few "
    "samples the activities (beta 10,000) leave no room for the answers, 10 does"
)
