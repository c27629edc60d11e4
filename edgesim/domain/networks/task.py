"""What answers mean, and how good they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf, prod
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from edgesim.domain.metrics import Metric
from edgesim.domain.networks.attack import Against, Attack

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.domain.networks.escalation import Escalation


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor of one sample.

    Parameters
    ----------
    shape : without the batch axis.
    dtype : name of the type of its elements, as numpy and torch call it, e.g. ``"float32"`` or ``"int64"``.
    n_values : of whole numbers that name something, as tokens do: how many there are, 0 to n - 1.

    Examples
    --------
    >>> TensorSpec((3, 32, 32)).size
    3072
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    n_values: int | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


VALIDITY = (
    "real inference of real networks on the test split; the interval covers the failures that were drawn, not the choice of test samples "
    "nor the training seed"
)


@dataclass(frozen=True, slots=True)
class Score:
    """One way to say how good answers are, and what a report must know of it.

    Parameters
    ----------
    name : as in ``summary.csv``.
    of : computes it, given the answers, shape (n, *output), and the targets; NaN where it is not defined. A function of a module,
        or a `functools.partial` of one, so that worker processes can receive it.
    label : for axes and headings; the name when it is not given.
    unit : base unit; ``"1"`` for a share or a coefficient.
    low, high : no value lies outside of them.
    is_share : whether it is shown in per cent.
    is_larger_better : whether it is.
    without_answer : what a request without an answer is worth: what guessing gives, or less. Accuracy 0, ROC-AUC 0.5, MCC 0.
    is_mean_of_samples : whether the score of many samples is the mean of the scores of each.
    against : whom the samples that are asked were attacked through; None for samples as they are.
    summary, formula, source : what it is, in one line; how it is computed; where the definition comes from.

    Examples
    --------
    >>> rmse = Score("rmse", of=lambda answers, targets: 0.0, unit="K", is_larger_better=False)
    >>> rmse.show(0.25), rmse.worth(0.25) > rmse.worth(0.5), rmse.title
    ('0.250 K', True, 'rmse')
    """

    name: str
    of: Callable[[NDArray[np.float32], NDArray[Any]], float] = field(repr=False)
    label: str = ""
    unit: str = "1"
    low: float = -inf
    high: float = inf
    is_share: bool = False
    is_larger_better: bool = True
    without_answer: float = 0.0
    is_mean_of_samples: bool = False
    summary: str = ""
    formula: str = ""
    source: str = "edgesim's own definition"
    against: Against | None = None

    def worth(self, value: float) -> float:
        """Return a number that is larger for better values."""
        return value if self.is_larger_better else -value

    def metric(self) -> Metric:
        """Return what tables and figures say of it."""
        return Metric(
            self.name, self.unit, self.summary, self.formula, VALIDITY, self.source, self.low, self.high, self.title, self.is_share,
            self.is_larger_better,
        )  # fmt: skip

    def show(self, value: float) -> str:
        """Return a value for readers: in per cent, or with three digits behind the point and its unit."""
        if self.is_share:
            return f"{value:.1%}"
        return f"{value:.3f}" + ("" if self.unit == "1" else f" {self.unit}")

    @property
    def title(self) -> str:
        """The label, or the name."""
        return self.label or self.name


def robust(score: Score, attack: Attack, against: Against) -> Score:
    """Return a score of the answers to attacked samples.

    Examples
    --------
    >>> found = robust(Score("accuracy", of=lambda answers, targets: 0.0), Attack(), "adaptive")
    >>> found.name, found.against
    ('robust_accuracy_adaptive', 'adaptive')
    """
    whom = "all networks" if against == "transfer" else "the networks that arrived"
    return replace(
        score,
        name=f"robust_{score.name}_{against}",
        label=f"Robust {score.title} ({against})",
        summary=f"{score.name} on samples that are attacked through {whom} by {attack.title}",
        formula=f"{score.formula}; samples x + d, d by projected gradient up the loss through {whom}",
        source="A. Madry et al., ICLR 2018, arXiv 1706.06083",
        against=against,
    )


class Task(Protocol):
    """Seam ``tasks``: what answers mean."""

    @property
    def scores(self) -> tuple[Score, ...]:
        """How good answers are; the first is the main one, which epochs are selected by and comparisons are made with."""

    @property
    def output(self) -> TensorSpec:
        """The answer to one sample."""

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with targets of this form, empty when nothing is."""

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return what training makes small, for some samples."""

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return how far the answers of one network are from those of another, divided by the temperature.

        Distillation adds 2 alpha T^2 times it to (1 - alpha) times the loss; see `edgesim.domain.networks.training.Distillation`.
        """

    def guess(self, targets: NDArray[Any]) -> NDArray[np.float32]:
        """Return the best answer to one sample that does not look at it, given the targets of others, of the shape of `output`."""


@runtime_checkable
class Reviewable(Task, Protocol):
    """What a task may be besides: one whose answers say how uncertain they are, so that a person can look at some."""

    def reviewed(self, escalation: Escalation) -> tuple[Score, ...]:
        """Return the scores of answers of which a person corrects some; a score of this task called x is called ``final_x``."""
