"""What each point of a sketch is part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from edgesim.domain.networks.task import Score, TensorSpec
from edgesim.tasks.classification import softmax_imitation

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

RIGHT_SHARE = 0.75
"""A stroke is right when more than this share of its length is."""
SOURCE = "L. Yang et al., ACM TOG 40(3), 2021, and the authors' code; component accuracy: Z. Huang, H. Fu, R. W. H. Lau, ACM TOG 33(6), 2014"


@dataclass(frozen=True, slots=True)
class StrokeSegmentation:
    """Tell for each point of a sketch to which of several classes it belongs.

    Answers are logits, shape (n, classes, points). Targets are whole numbers, shape (n, points, 3): class of the point, its weight, and its stroke. The weight
    is the distance to the point before on its stroke, rounded down; that of the first point of a stroke is 1.

    Parameters
    ----------
    classes : their number.
    points : of a sketch.

    Formula
    -------
    Of a sketch, P = sum of the weights of right points / sum of all weights, and C = the share of its strokes of which more than 75 % of the weight is right;
    both are the mean over the sketches. Loss = mean cross-entropy over points, without weights. Imitation as in ``classification``, the mean over all points too.

    Validity
    --------
    Points of one sketch are not independent: intervals over sketches are wider than those over points.

    References
    ----------
    L. Yang et al., SketchGNN, ACM TOG 40(3), 2021, arXiv 2003.00678, and the authors' code.
    """

    classes: Annotated[int, Ge(1)]
    points: Annotated[int, Ge(2)]

    @property
    def scores(self) -> tuple[Score, ...]:
        """Share of the drawn length, and of the strokes, that is answered rightly."""
        return (
            Score(
                "point_accuracy", point_accuracy, label="Point accuracy", low=0.0, high=1.0, is_share=True, is_mean_of_samples=True,
                summary="share of the drawn length that is answered rightly",
                formula="mean over sketches of sum of w [argmax = target] / sum of w; 0 for a trial without an answer",
                source=SOURCE,
            ),
            Score(
                "component_accuracy", component_accuracy, label="Component accuracy", low=0.0, high=1.0, is_share=True, is_mean_of_samples=True,
                summary="share of the strokes that are answered rightly in more than 75 % of their length",
                formula="mean over sketches of the share of strokes with sum of w [argmax = target] > 0.75 sum of w; 0 for a trial without an answer",
                source=SOURCE,
            ),
        )  # fmt: skip

    @property
    def output(self) -> TensorSpec:
        """A logit for each class and point."""
        return TensorSpec((self.classes, self.points))

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with targets: their form, that classes are none, that something is below 0, or that a sketch has no weight."""
        if targets.shape[1:] != (self.points, 3) or targets.dtype.kind != "i":
            return f"targets are {targets.dtype} of shape {targets.shape}; expected whole numbers of shape (n, {self.points}, 3): class, weight, stroke"
        if len(targets) and not 0 <= targets[..., 0].min() <= targets[..., 0].max() < self.classes:
            return f"targets have classes {targets[..., 0].min()} to {targets[..., 0].max()}; expected 0 to {self.classes - 1}"
        if len(targets) and targets[..., 1:].min() < 0:
            return "a weight or the number of a stroke is below 0"
        if len(targets) and not targets[..., 1].sum(axis=1).all():
            return "a sketch has no weight"
        return ""

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy over all points."""
        from torch.nn import functional

        return functional.cross_entropy(answers, targets[..., 0])

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mean over samples, classes and points of p_T log(p_T / p_S)."""
        return softmax_imitation(answers, wanted, temperature)

    def guess(self, targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logarithms of the frequencies of the classes, the same for all points."""
        import numpy as np

        counts = np.bincount(targets[..., 0].ravel(), minlength=self.classes)
        logits = np.log(np.maximum(counts, 1e-9) / max(1, counts.sum())).astype(np.float32)
        everywhere: NDArray[np.float32] = np.repeat(logits[:, None], self.points, axis=1)
        return everywhere


def point_accuracy(answers: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the mean over sketches of the share of the weight that is answered rightly; NaN without a sketch.

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.eye(2)[[[0, 0, 1]]].transpose(0, 2, 1)  # one sketch, three points, of classes 0, 0, 1
    >>> point_accuracy(answers, np.array([[[0, 1, 0], [0, 4, 0], [0, 5, 0]]]))  # (1 + 4) / 10
    0.5
    """
    right = answers.argmax(axis=1) == targets[..., 0]
    weight = targets[..., 1]
    return float(((weight * right).sum(axis=1) / weight.sum(axis=1)).mean()) if len(targets) else float("nan")


def component_accuracy(answers: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the mean over sketches of the share of strokes of which more than 75 % of the weight is right; NaN without a sketch.

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.eye(2)[[[0, 0, 1, 0]]].transpose(0, 2, 1)
    >>> component_accuracy(answers, np.array([[[0, 1, 0], [0, 4, 0], [0, 5, 0], [0, 1, 1]]]))  # of two strokes, 5 / 10 and 1 / 1
    0.5
    """
    import numpy as np

    right = answers.argmax(axis=1) == targets[..., 0]
    shares = []
    for is_right, (weight, stroke) in zip(right, targets[..., 1:].transpose(0, 2, 1), strict=True):
        total = np.bincount(stroke, weight)
        there = np.bincount(stroke) > 0
        shares.append(float((np.bincount(stroke, weight * is_right)[there] > RIGHT_SHARE * total[there]).mean()))
    return float(np.mean(shares)) if shares else float("nan")
