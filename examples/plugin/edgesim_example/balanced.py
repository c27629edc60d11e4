"""Task `balanced-classification`: what answers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.domain.networks.task import Score, TensorSpec

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def balanced_accuracy(answers: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the mean over the classes of the share of their samples that are found."""
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(targets, answers.argmax(axis=1)))


@dataclass(frozen=True)
class BalancedClassification:
    """Tell to which of several classes a sample belongs, where rare classes count as much as frequent ones.

    Answers are logits, shape (n, classes); targets are the numbers of the classes, int64 of shape (n,).

    Parameters
    ----------
    classes : their number.
    """

    classes: int

    @property
    def scores(self) -> tuple[Score, ...]:
        """Balanced accuracy: no answer is worth what guessing is."""
        score = Score(
            "balanced_accuracy", balanced_accuracy, label="Balanced accuracy", low=0.0, high=1.0, is_share=True,
            without_answer=1 / self.classes, summary="mean over the classes of the share of their samples that are found",
            formula="mean over classes of TP / (TP + FN); 1 / classes for a trial without an answer",
            source="scikit-learn, balanced_accuracy_score",
        )  # fmt: skip
        return (score,)

    @property
    def output(self) -> TensorSpec:
        """A logit for each class."""
        return TensorSpec((self.classes,))

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with targets of this form, empty when nothing is."""
        if str(targets.dtype) != "int64" or targets.ndim != 1:
            return f"targets are {targets.dtype} of shape {targets.shape}; expected int64 of shape (n,)"
        is_class = (targets >= 0) & (targets < self.classes)
        return "" if is_class.all() else f"targets hold numbers beside 0 to {self.classes - 1}"

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy."""
        from torch.nn import functional

        return functional.cross_entropy(answers, targets)

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mean over samples and classes of p_T log(p_T / p_S), p the softmax of logits / T."""
        from torch.nn import functional

        ours, theirs = (functional.log_softmax(one / temperature, dim=1) for one in (answers, wanted))
        return functional.kl_div(ours, theirs, reduction="none", log_target=True).mean()

    def guess(self, targets: NDArray[Any]) -> NDArray[np.float32]:
        """Return the logarithms of the frequencies of the classes."""
        counts = np.bincount(targets, minlength=self.classes)
        logits: NDArray[np.float32] = np.log(np.maximum(counts, 1e-9) / max(1, counts.sum())).astype(np.float32)
        return logits
