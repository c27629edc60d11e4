"""Whether a trained network learnt something."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

Z = 1.96
"""Quantile of the normal distribution: by chance alone, one network in forty is above the bound that it gives."""
FAR = 0.5
"""A network that gains less than this share of what its teacher gains over chance is far below it."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a trained network reached on the test split, with nothing lost, in the main score of its task.

    No better than chance is: reached <= c + 1.96 sqrt(c (1 - c) / n), c what is reached without looking at the samples, n the
    number of samples. Far below its teacher is: reached - c < (teacher - c) / 2.

    Parameters
    ----------
    network : what it is, for messages.
    score : name of the score.
    reached : by the network.
    chance : by answering the same to every sample, at best; for accuracy the share of the most frequent class.
    n_samples : of the test split.
    teacher : what its teacher reached; None for a network without one.
    """

    network: str
    score: str
    reached: float
    chance: float
    n_samples: int
    teacher: float | None = None

    @property
    def is_chance(self) -> bool:
        """Whether it is no better than chance."""
        return self.reached <= self.chance + Z * sqrt(self.chance * (1 - self.chance) / self.n_samples)

    @property
    def is_far_below_teacher(self) -> bool:
        """Whether it gained less than half of what its teacher did."""
        return self.teacher is not None and self.reached - self.chance < FAR * (self.teacher - self.chance)

    @property
    def warning(self) -> str:
        """What is doubtful, and what to try; empty when nothing is."""
        if not (self.is_chance or self.is_far_below_teacher):
            return ""
        taught = "" if self.teacher is None else f", its teacher {self.teacher:.1%}"
        is_bad = "is no better than chance" if self.is_chance else "is far below its teacher"
        remedy = _ALONE if self.teacher is None else _TAUGHT
        return f"{self.network} {is_bad}: {self.score} {self.reached:.1%}, chance {self.chance:.1%}{taught}; {remedy}"

    def as_data(self) -> dict[str, Any]:
        """Return it as plain JSON values, the warning included."""
        return {**asdict(self), "warning": self.warning}


_ALONE = "try more `epochs`, a smaller `batch_size` (more steps), another `learning_rate` or another model, and look at the labels"
_TAUGHT = (
    "try more `epochs`, a smaller `batch_size` (more steps), a larger `student`, and a lower `beta` where there is one: with few "
    "samples the activities (beta 10,000) leave no room for the answers, 10 does"
)
