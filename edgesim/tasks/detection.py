"""Boxes of several classes in an image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le

from edgesim.domain.networks.task import Score, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from edgesim.tasks.boxes import Curve, Found

NO_BOX = -1
"""Class of a row of targets that is no box."""
NOT_FOUND = -20.0
"""Logit of a row of answers that is no box: a probability of 2e-9."""
LEAST_SCORE = 1e-3
"""Rows that are less sure are no detections."""
_COCO_IOUS = tuple(percent / 100 for percent in range(50, 100, 5))
_BOX_WEIGHT = 5.0
_N_OF_BOX = 5  # a class or a logit, and four sides


@dataclass(frozen=True, slots=True)
class Detection:
    """Find the boxes of things of several classes in an image.

    Targets are rows of (class, x0, y0, x1, y1), float32 of shape (n, most, 5), class -1 in rows that are no box; sides are shares of the
    width and height of the image, from 0 to 1. Answers are one row for each cell of a grid over the image, in rows of cells:
    (logit, x0, y0, x1, y1, a logit for each class), shape (n, rows x columns, 5 + classes). A detection is a row: its class is the one with
    the largest logit, its score the sigmoid of its first logit times the softmax of that class; of detections of one class that overlap, the
    surer one stays. A detector without a grid fills as many rows as it needs, the others have a logit of -20.

    Parameters
    ----------
    classes : their number.
    rows, columns : of the grid.
    overlap : IoU above which the less sure one of two detections of a class is left out; 1 keeps all.

    Formula
    -------
    Loss = cross-entropy of the first logit over all cells, with 1 for those that hold the centre of a box + 5 x the mean over these of the smooth
    L1 loss of the sides (beta 1/10) + their mean cross-entropy of the class. The larger of two boxes with the centre in one cell counts.

    Validity
    --------
    Average precision is no mean over images: intervals hold the failures, not the choice of images.

    References
    ----------
    J. Redmon et al., You Only Look Once, CVPR 2016, arXiv 1506.02640 (a cell answers for the box whose centre it holds). See `edgesim.tasks.boxes` for the scores.
    """

    classes: Annotated[int, Ge(1)]
    rows: Annotated[int, Ge(1)]
    columns: Annotated[int, Ge(1)]
    overlap: Annotated[float, Gt(0), Le(1)] = 0.5

    @property
    def scores(self) -> tuple[Score, ...]:
        """Mean average precision by VOC 2010, VOC 2007 and COCO."""
        voc = "M. Everingham et al., IJCV 88, 2010, doi 10.1007/s11263-009-0275-4"
        return (
            self._score("map_voc2010", "VOC 2010", (0.5,), "area under the monotone precision-recall curve, IoU >= 0.5", voc),
            self._score("map_voc2007", "VOC 2007", (0.5,), "mean of the largest precision at recalls >= 0, 0.1, ..., 1, IoU >= 0.5", voc),
            self._score("map_coco", "COCO", _COCO_IOUS, "mean over IoU >= 0.5, 0.55, ..., 0.95 of the precision at 101 recalls", "T.-Y. Lin et al., arXiv 1405.0312"),
        )  # fmt: skip

    def _score(self, name: str, whose: str, ious: tuple[float, ...], how: str, source: str) -> Score:
        curve: Curve = name.removeprefix("map_")  # type: ignore[assignment]
        of = partial(mean_average_precision, task=self, curve=curve, ious=ious)
        return Score(
            name, of, label=f"mAP ({whose})", low=0.0, high=1.0, is_share=True, summary=f"mean over the classes of the average precision: {how}",
            formula=f"mean over the classes that are there; {how}; 0 for a trial without an answer", source=source,
        )  # fmt: skip

    @property
    def output(self) -> TensorSpec:
        """A row for each cell."""
        return TensorSpec((self.rows * self.columns, _N_OF_BOX + self.classes))

    def fault(self, targets: NDArray[Any]) -> str:
        """Return what is wrong with boxes: their form, a class that is none, or sides outside of the image or in the wrong order."""
        import numpy as np

        if targets.dtype != np.float32 or targets.ndim != 3 or targets.shape[2] != _N_OF_BOX:
            return f"targets are {targets.dtype} of shape {targets.shape}; they must be rows of (class, x0, y0, x1, y1), float32 of shape (n, most, 5)"
        image, row = np.nonzero(targets[:, :, 0] != NO_BOX)
        kinds, sides = targets[image, row, 0], targets[image, row, 1:]
        is_class = (kinds == np.floor(kinds)) & (kinds >= 0) & (kinds < self.classes)
        is_inside = ((sides >= 0) & (sides <= 1)).all(axis=1)
        has_extent = (sides[:, :2] < sides[:, 2:]).all(axis=1)
        for is_right, what in (
            (is_class, f"a class that is none of 0 to {self.classes - 1}, or -1 for no box"),
            (is_inside, "a box outside of the image: its sides must be shares of its width and height, from 0 to 1"),
            (has_extent, "a box without extent: x0 < x1 and y0 < y1"),
        ):
            if not is_right.all():
                first = int(np.flatnonzero(~is_right)[0])
                shown = ", ".join(f"{value:g}" for value in targets[image[first], row[first]])
                return f"sample {image[first]} has in row {row[first]} ({shown}): {what}"
        return ""

    def loss(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return how far the cells that hold the centre of a box are from it, and the others from holding none."""
        import torch
        from torch.nn import functional

        sample, cell, row = self._responsible(targets)
        is_there = torch.zeros_like(answers[:, :, 0])
        is_there[sample, cell] = 1.0
        loss = functional.binary_cross_entropy_with_logits(answers[:, :, 0], is_there)
        if not len(sample):
            return loss
        given, wanted = answers[sample, cell], targets[sample, row]
        sides = functional.smooth_l1_loss(given[:, 1:_N_OF_BOX], wanted[:, 1:], beta=0.1)
        kind = functional.cross_entropy(given[:, _N_OF_BOX:], wanted[:, 0].long())
        return loss + _BOX_WEIGHT * sides + kind

    def _responsible(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the sample, cell and row of each box that a cell answers for: the largest one of those with their centre in it."""
        import torch

        areas = (targets[:, :, 3] - targets[:, :, 1]) * (targets[:, :, 4] - targets[:, :, 2])
        sample, row = torch.nonzero(targets[:, :, 0] != NO_BOX, as_tuple=True)
        order = torch.argsort(areas[sample, row], descending=True, stable=True)
        sample, row = sample[order], row[order]
        boxes = targets[sample, row]
        across = ((boxes[:, 1] + boxes[:, 3]) / 2 * self.columns).long().clamp(max=self.columns - 1)
        down = ((boxes[:, 2] + boxes[:, 4]) / 2 * self.rows).long().clamp(max=self.rows - 1)
        cell = down * self.columns + across
        places = (sample * self.rows * self.columns + cell).tolist()
        known: dict[int, int] = {}
        for position, place in enumerate(places):
            known.setdefault(place, position)
        first = torch.tensor(list(known.values()), dtype=torch.long)
        return sample[first], cell[first], row[first]

    def imitation(self, answers: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mean squared difference over the temperature: of logits, and of sides."""
        return ((answers - wanted) ** 2).mean() / temperature

    def guess(self, targets: NDArray[Any]) -> NDArray[np.float32]:
        """Return the mean box of each cell, with the frequencies of boxes and classes."""
        import numpy as np

        n_cells = self.rows * self.columns
        here = targets[targets[:, :, 0] != NO_BOX]
        share = np.clip(len(here) / max(1, len(targets) * n_cells), 1e-6, 1 - 1e-6)
        counts = np.bincount(here[:, 0].astype(np.int64), minlength=self.classes)
        size = (here[:, 3:] - here[:, 1:3]).mean(axis=0) if len(here) else np.ones(2)
        down, across = np.divmod(np.arange(n_cells), self.columns)
        centre = np.stack([(across + 0.5) / self.columns, (down + 0.5) / self.rows], axis=1)
        row = np.log(np.maximum(counts, 1e-9) / max(1, counts.sum()))
        logit = np.full((n_cells, 1), np.log(share / (1 - share)))
        answer = np.concatenate([logit, centre - size / 2, centre + size / 2, np.tile(row, (n_cells, 1))], axis=1)
        return answer.astype(np.float32)


def detections(answers: NDArray[np.float32], task: Detection) -> list[list[Found]]:
    """Return what answers say was found, by sample and class.

    Examples
    --------
    >>> import numpy as np
    >>> row = np.array([[[0.0, 0.1, 0.1, 0.5, 0.5, 3.0, -30.0]]], dtype=np.float32)  # probability 1/2, surely of the first class
    >>> [found.scores.round(3).tolist() for found in detections(row, Detection(2, 1, 1))[0]]
    [[0.5], []]
    """
    import numpy as np
    from scipy.special import expit, softmax

    from edgesim.tasks.boxes import Found, suppressed

    kinds = softmax(answers[:, :, _N_OF_BOX:].astype(np.float64), axis=2)
    best = kinds.argmax(axis=2)
    scores = expit(answers[:, :, 0].astype(np.float64)) * kinds.max(axis=2)
    found: list[list[Found]] = []
    for boxes, own, kind in zip(answers[:, :, 1:_N_OF_BOX].astype(np.float64), scores, best, strict=True):
        of_class = [(own >= LEAST_SCORE) & (kind == number) for number in range(task.classes)]
        found.append([suppressed(Found(boxes[here], own[here]), task.overlap) for here in of_class])
    return found


def mean_average_precision(
    answers: NDArray[np.float32], targets: NDArray[Any], *, task: Detection, curve: Curve, ious: tuple[float, ...]
) -> float:
    """Return the mean over the classes that are there, and over some least IoUs, of the average precision; NaN where nothing is there."""
    import numpy as np

    from edgesim.tasks.boxes import average_precision

    found = detections(answers, task)
    values = []
    for number in range(task.classes):
        there = [rows[rows[:, 0] == number, 1:].astype(np.float64) for rows in targets]
        if any(len(boxes) for boxes in there):
            own = [of_class[number] for of_class in found]
            values += [average_precision(own, there, least, curve) for least in ious]
    return float(np.mean(values)) if values else float("nan")
