"""One class of several for each sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from edgesim.domain.networks.task import Score, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Classification:
    """Tell to which of several classes a sample belongs.

    Answers are logits, shape (n, classes); targets are the numbers of the classes, shape (n,). The class with the largest logit is
    chosen.

    Parameters
    ----------
    classes : their number.

    Formula
    -------
    Loss = mean cross-entropy. Imitation = mean over samples and classes of p_T log(p_T / p_S), p the softmax of logits / T.

    Validity
    --------
    Accuracy of rare classes hides behind that of frequent ones: look at the macro F1 too.

    References
    ----------
    Imitation as in the code of NoNN, K. Bhardwaj et al., ACM TECS 18(5s), 2019: the mean over the classes makes it smaller by
    their number than the Kullback-Leibler divergence.
    """

    classes: Annotated[int, Ge(1)]

    @property
    def scores(self) -> tuple[Score, ...]:
        """Accuracy, and the mean over the classes of F1."""
        return (
            Score(
                "accuracy", accuracy, label="Accuracy", low=0.0, high=1.0, is_share=True, is_mean_of_samples=True,
                summary="share of the test split that the networks answer rightly with what arrived in time",
                formula="mean over trials of (1/n) sum_i [argmax predict(delivered)_i = label_i]; 0 for a trial without an answer",
            ),
            Score(
                "f1_macro", partial(f1_macro, classes=self.classes), label="Macro F1", low=0.0, high=1.0, is_share=True,
                summary="mean over the classes of the harmonic mean of precision and recall",
                formula="mean over classes of 2 TP / (2 TP + FP + FN), 0 for a class that is neither there nor chosen; 0 without an answer",
                source="scikit-learn, f1_score",
            ),
        )  # fmt: skip

    @property
    def output(self) -> TensorSpec:
        """A logit for each class."""
        return TensorSpec((self.classes,))

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with labels: their form, or that they are no classes."""
        if self.classes < 2:
            return f"has {self.classes} class; a network is asked which of several it is"
        return class_fault(targets, (), 0, self.classes)

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy."""
        from torch.nn import functional

        return functional.cross_entropy(answers, targets)

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mean over samples and classes of p_T log(p_T / p_S)."""
        return softmax_imitation(answers, wanted, temperature)

    def guess(self, targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logarithms of the frequencies of the classes."""
        import numpy as np

        counts = np.bincount(targets.ravel(), minlength=self.classes)
        frequencies: NDArray[np.float32] = np.log(np.maximum(counts, 1e-9) / max(1, counts.sum())).astype(np.float32)
        return frequencies


def class_fault(targets: NDArray[Any], places: tuple[int, ...], lowest: int, classes: int) -> str:
    """Return what is wrong with numbers of classes, shape (n, *places); empty when nothing is."""
    if str(targets.dtype) != "int64" or targets.shape[1:] != places:
        return f"targets are {targets.dtype} of shape {targets.shape[1:]} a sample; expected int64 of shape {places}"
    low, high = int(targets.min()), int(targets.max())
    if low < lowest or high >= classes:
        return f"labels from {low} to {high}, but classes are 0 to {classes - 1}"
    return ""


def softmax_imitation(answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean of p_T log(p_T / p_S), p the softmax over axis 1 of logits / T; over samples, classes and places."""
    from torch.nn import functional

    return functional.kl_div(
        functional.log_softmax(answers / temperature, dim=1),
        functional.log_softmax(wanted / temperature, dim=1),
        reduction="none",
        log_target=True,
    ).mean()


def accuracy(answers: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the share of samples whose largest logit is at the right class.

    Examples
    --------
    >>> import numpy as np
    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0], [1.0, 0.0]]), np.array([0, 1, 1, 0]))
    0.75
    """
    return float((answers.argmax(axis=1) == targets).mean())


def f1_macro(answers: NDArray[np.float32], targets: NDArray[np.int64], classes: int) -> float:
    """Return the mean over the classes of F1.

    Examples
    --------
    >>> import numpy as np
    >>> chosen = np.eye(2)[[0, 0, 1]]  # of class 0 one right, one wrong; of class 1 one right
    >>> round(f1_macro(chosen, np.array([0, 1, 1]), classes=2), 6)  # both have 2 TP / (2 TP + FP + FN) = 2 / 3
    0.666667
    """
    from sklearn.metrics import f1_score

    chosen = answers.argmax(axis=1)
    return float(f1_score(targets, chosen, labels=range(classes), average="macro", zero_division=0.0))
