"""Boxes in images: how far they overlap, which of many are kept, and how well those that are found match those that are there.

A box is (x0, y0, x1, y1) with x0 < x1 and y0 < y1, in any one unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Curve = Literal["voc2007", "voc2010", "coco"]
"""How the area under a curve of precision over recall is taken."""
N_MOST_COCO = 100
"""Detections of an image that COCO looks at, the surest ones."""
_COCO_RECALLS = np.linspace(0.0, 1.0, 101)
_VOC_RECALLS = np.linspace(0.0, 1.0, 11)
_ROUNDING = 1e-10


class Found(NamedTuple):
    """What a detector found of one class in one image: boxes, shape (n, 4), and how sure it is, shape (n,)."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


def iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over the union of boxes, shape (len(one), len(other)).

    Examples
    --------
    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0], [4.0, 4.0, 5.0, 5.0]])).round(3).tolist()
    [[0.333, 0.0]]
    """
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.clip(high - low, 0.0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - common
    shares: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0.0)
    return shares


def suppressed(found: Found, above: float) -> Found:
    """Return the boxes of which none that is kept and surer overlaps by more than `above`: non-maximum suppression, the surest first.

    Examples
    --------
    >>> boxes = np.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    >>> suppressed(Found(boxes, np.array([0.5, 0.9, 0.4])), 0.5).scores.tolist()
    [0.9, 0.4]
    """
    kept = kept_of(iou(found.boxes, found.boxes) > above, found.scores)
    return Found(found.boxes[kept], found.scores[kept])


def kept_of(overlaps: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> list[int]:
    """Return which boxes are kept, the surest first, given which overlap too much, shape (n, n)."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if not overlaps[index, kept].any():
            kept.append(index)
    return kept


def average_precision(
    found: Sequence[Found], there: Sequence[NDArray[np.float64]], least_iou: float, curve: Curve
) -> float:
    """Return the average precision of one class; NaN where none of it is there.

    Detections of all images are taken from the surest on. One is right if its box has an IoU of at least `least_iou` with a box that is
    there and not taken. By VOC it is held against the box with the largest IoU, and is wrong if that is taken; by COCO against the largest of
    those that are free.

    Parameters
    ----------
    found, there : what was found and what is there, by image.
    least_iou : from which on a box is right.
    curve : ``voc2007``: mean over the recalls 0, 0.1, ..., 1 of the largest precision at that recall or above; ``voc2010``: area under
        the precision that never rises with recall; ``coco``: mean of that over the recalls 0, 0.01, ..., 1, with at most 100 detections
        of an image.

    References
    ----------
    M. Everingham et al., The Pascal Visual Object Classes (VOC) Challenge, IJCV 88, 2010, section 4.2, doi 10.1007/s11263-009-0275-4, and
    the VOC 2010 development kit. T.-Y. Lin et al., Microsoft COCO, arXiv 1405.0312, and pycocotools.

    Examples
    --------
    Two boxes are there; of three that are found the surest and the last are right: precision 1 up to recall 1/2, then 2/3.

    >>> there = [np.array([[0.0, 0.0, 2.0, 2.0], [4.0, 4.0, 6.0, 6.0]])]
    >>> boxes = np.array([[0.0, 0.0, 2.0, 2.0], [8.0, 8.0, 9.0, 9.0], [4.0, 4.0, 6.0, 6.0]])
    >>> found = [Found(boxes, np.array([0.9, 0.8, 0.7]))]
    >>> [round(average_precision(found, there, 0.5, curve), 4) for curve in ("voc2007", "voc2010", "coco")]
    [0.8485, 0.8333, 0.835]
    """
    n_there = sum(len(boxes) for boxes in there)
    if n_there == 0:
        return float("nan")
    scores: list[NDArray[np.float64]] = []
    rights: list[NDArray[np.bool_]] = []
    for one, boxes in zip(found, there, strict=True):
        order = np.argsort(-one.scores, kind="stable")[: N_MOST_COCO if curve == "coco" else None]
        scores.append(one.scores[order])
        rights.append(_are_right(iou(one.boxes[order], boxes), least_iou, is_free_only=curve == "coco"))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    is_right = np.concatenate(rights)[order]
    if not len(is_right):
        return 0.0
    n_right = np.cumsum(is_right)
    recall, precision = n_right / n_there, n_right / np.arange(1, len(is_right) + 1)
    largest = np.maximum.accumulate(precision[::-1])[::-1]  # at that recall or above
    if curve == "voc2010":
        return float(np.sum(np.diff(recall, prepend=0.0) * largest))
    recalls = _VOC_RECALLS if curve == "voc2007" else _COCO_RECALLS
    place = np.searchsorted(recall, recalls - _ROUNDING, side="left")
    return float(np.mean(np.append(largest, 0.0)[place]))


def _are_right(overlap: NDArray[np.float64], least_iou: float, *, is_free_only: bool) -> NDArray[np.bool_]:
    """Return which detections of an image, from the surest on, are right, given their IoU with each box that is there."""
    n_found, n_there = overlap.shape
    is_right, is_taken = np.zeros(n_found, dtype=np.bool_), np.zeros(n_there, dtype=np.bool_)
    for number in range(n_found if n_there else 0):
        candidates = np.where(is_taken, -1.0, overlap[number]) if is_free_only else overlap[number]
        best = int(candidates.argmax())
        if candidates[best] >= least_iou - _ROUNDING and not is_taken[best]:
            is_right[number] = is_taken[best] = True
    return is_right
