"""One class of several for each place of a sample: segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Len

from edgesim.domain.networks.task import Score, TensorSpec
from edgesim.errors import DataError
from edgesim.tasks.classification import class_fault, softmax_imitation
from edgesim.tasks.review import IGNORED, reviewed_scores
from edgesim.tasks.uncertainty import dirichlet_loss

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.domain.networks.escalation import Escalation


@dataclass(frozen=True, slots=True)
class DenseClassification:
    """Tell for each place of a sample to which of several classes it belongs.

    Answers are logits, shape (n, classes, *places); targets are the numbers of the classes, shape (n, *places), or -1 for places that
    do not count.

    Parameters
    ----------
    classes : their number.
    places : extents of the map, e.g. (height, width).
    has_uncertainty : whether answers have a channel more, in which a second network says how uncertain each place is.

    Formula
    -------
    Loss = mean cross-entropy over places that count. Imitation as in ``classification``, the mean over all places too. Mean IoU =
    mean over the classes that are there or chosen of TP / (TP + FP + FN), over all samples together. A channel of uncertainty adds its own loss
    (`edgesim.tasks.uncertainty`), of which the logits learn nothing; it is not imitated.

    Validity
    --------
    Places of one sample are not independent: intervals over samples are wider than those over places.

    References
    ----------
    scikit-learn, jaccard_score.
    """

    classes: Annotated[int, Ge(1)]
    places: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)]
    has_uncertainty: bool = False

    @property
    def scores(self) -> tuple[Score, ...]:
        """Share of places answered rightly, and mean intersection over union."""
        return (
            Score(
                "pixel_accuracy", partial(pixel_accuracy, classes=self.classes), label="Pixel accuracy", low=0.0, high=1.0, is_share=True,
                summary="share of the places that are answered rightly",
                formula="sum over samples and places that count of [argmax = target] / number of them; 0 for a trial without an answer",
            ),
            Score(
                "mean_iou", partial(mean_iou, classes=self.classes), label="Mean IoU", low=0.0, high=1.0, is_share=True,
                summary="mean over the classes of intersection over union",
                formula="mean over classes that are there or chosen of TP / (TP + FP + FN); 0 for a trial without an answer",
                source="scikit-learn, jaccard_score",
            ),
        )  # fmt: skip

    @property
    def output(self) -> TensorSpec:
        """A logit for each class and place, and the channel of uncertainty."""
        return TensorSpec((self.classes + self.has_uncertainty, *self.places))

    def reviewed(self, escalation: Escalation) -> tuple[Score, ...]:
        """Return the scores of answers of which a person corrects some. Raises `DataError` when no second network says how uncertain they are."""
        if escalation.uncertainty == "second-network" and not self.has_uncertainty:
            raise DataError(
                "escalate: no second network says how uncertain answers are; the data set wants `uncertainty: true`, the model `second`"
            )
        return reviewed_scores(self.scores, escalation, self.classes)

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with labels: their form, or that they are no classes."""
        return class_fault(targets, self.places, IGNORED, self.classes)

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy over the places that count."""
        from torch.nn import functional

        logits = answers[:, : self.classes]
        loss = functional.cross_entropy(logits, targets, ignore_index=IGNORED)
        return (
            loss + dirichlet_loss(logits, answers[:, self.classes], targets, IGNORED) if self.has_uncertainty else loss
        )

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mean over samples, classes and places of p_T log(p_T / p_S)."""
        return softmax_imitation(answers[:, : self.classes], wanted[:, : self.classes], temperature)

    def guess(self, targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logarithms of the frequencies of the classes, the same for all places."""
        import numpy as np

        counts = np.bincount(targets[targets != IGNORED].ravel(), minlength=self.classes)
        logits = np.log(np.maximum(counts, 1e-9) / max(1, counts.sum())).astype(np.float32)
        each = np.append(logits, np.zeros(int(self.has_uncertainty), np.float32))
        everywhere: NDArray[np.float32] = np.broadcast_to(
            each.reshape(-1, *[1] * len(self.places)), self.output.shape
        ).copy()
        return everywhere


def pixel_accuracy(answers: NDArray[np.float32], targets: NDArray[np.int64], classes: int) -> float:
    """Return the share of places that count whose largest logit is at the right class; NaN when none counts.

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.array([[[3.0, 0.0, 1.0]], [[1.0, 2.0, 0.0]]]).transpose(1, 0, 2)  # one sample, 2 classes, 3 places
    >>> pixel_accuracy(answers, np.array([[0, 0, -1]]), classes=2)
    0.5
    """
    counts = targets != IGNORED
    return float((answers[:, :classes].argmax(axis=1) == targets)[counts].mean()) if counts.any() else float("nan")


def mean_iou(answers: NDArray[np.float32], targets: NDArray[np.int64], classes: int) -> float:
    """Return the mean intersection over union of the classes that are there or chosen; NaN when no place counts.

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.eye(3)[[[0, 0, 1]]].transpose(0, 2, 1)  # one sample, 3 classes, 3 places; nothing is of class 2
    >>> mean_iou(answers, np.array([[0, 1, 1]]), classes=3)  # 1 of 2 places for either class
    0.5
    """
    import numpy as np
    from sklearn.metrics import jaccard_score

    counts = targets != IGNORED
    right, chosen = targets[counts], answers[:, :classes].argmax(axis=1)[counts]
    there = [label for label in range(classes) if (right == label).any() or (chosen == label).any()]
    return float(jaccard_score(right, chosen, labels=there, average="macro")) if np.any(counts) else float("nan")
