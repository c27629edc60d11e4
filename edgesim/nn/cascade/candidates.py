"""From an image to candidates, and from candidates to faces: what MTCNN does between its networks.

A box is (x0, y0, x1, y1) in pixels, float32. Boxes and the pieces of the image that they cut out go from stage to stage as bytes, so that
what is sent is known to the byte, and a stage knows nothing that has not come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn.functional import interpolate

from edgesim.nn.cascade.networks import SIDES
from edgesim.tasks.boxes import iou, kept_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.nn.cascade.networks import Output, Proposal, Refinement

    Boxes = NDArray[np.float32]
_STRIDE = 2
_LEVEL_OVERLAP, _IMAGE_OVERLAP, _LAST_OVERLAP = 0.5, 0.7, 0.7
_MIDDLE, _SCALE = 127.5, 0.0078125
_COUNT_BYTE = 4


class Thresholds(NamedTuple):
    """How sure each stage must be, the smallest face in pixels, and by how much each level of the pyramid is smaller."""

    proposal: float
    refinement: float
    output: float
    least_pixels: int
    factor: float


def level_sizes(height: int, width: int, limits: Thresholds) -> list[tuple[float, int, int]]:
    """Return scale, height and width of each level of the pyramid of an image."""
    scale, sizes = SIDES[0] / limits.least_pixels, []
    while min(height, width) * scale >= SIDES[0]:
        sizes.append((scale, int(height * scale + 1), int(width * scale + 1)))
        scale *= limits.factor
    return sizes


def proposed(network: Proposal, image: NDArray[np.float32], limits: Thresholds) -> Boxes:
    """Return the candidates of the first stage, squares, the surest first, shape (k, 4); `image` has shape (height, width), 0 to 255."""
    found = [np.empty((0, 9), np.float32)]
    rows, columns = image.shape
    for scale, height, width in level_sizes(rows, columns, limits):
        level = _network_input(torch.from_numpy(image)[None, None], (height, width))
        scores, offsets = (one[0].numpy() for one in network(level))
        down, across = np.nonzero(scores >= limits.proposal)
        corner = np.stack([across, down], axis=1) * _STRIDE + 1
        boxes = np.floor(np.concatenate([corner, corner + SIDES[0] - 1], axis=1).astype(np.float32) / np.float32(scale))
        whole = np.concatenate([boxes, scores[down, across][:, None], offsets[:, down, across].T], axis=1)
        found.append(_apart(whole, whole[:, 4], _LEVEL_OVERLAP))
    all_levels = np.concatenate(found).astype(np.float32)
    kept = _apart(all_levels, all_levels[:, 4], _IMAGE_OVERLAP)
    extent = kept[:, 2:4] - kept[:, :2]
    return _squares(kept[:, :4] + kept[:, 5:] * np.tile(extent, (1, 2)))


def refined(network: Refinement, boxes: Boxes, pieces: NDArray[np.float32], limits: Thresholds) -> Boxes:
    """Return the candidates that the second stage keeps, squares, the surest first, shape (k, 4)."""
    scores, offsets = (one.numpy() for one in network(_normalised(torch.from_numpy(pieces)[:, None])))
    is_kept = scores > limits.refinement
    whole = np.concatenate([boxes[is_kept], offsets[is_kept]], axis=1)
    kept = _apart(whole, scores[is_kept], _IMAGE_OVERLAP)
    return _squares(_moved(kept[:, :4], kept[:, 4:]))


def judged(network: Output, boxes: Boxes, pieces: NDArray[np.float32], limits: Thresholds) -> NDArray[np.float32]:
    """Return the faces: box and score, the surest first, shape (n, 5). Of two the less sure goes that shares more than 0.7 of the smaller one."""
    scores, offsets = (one.numpy() for one in network(_normalised(torch.from_numpy(pieces)[:, None])))
    is_kept = scores > limits.output
    moved, own = _moved(boxes[is_kept], offsets[is_kept]), scores[is_kept]
    kept = kept_of(_share_of_smaller(moved) > _LAST_OVERLAP, own)
    return np.concatenate([moved[kept], own[kept][:, None]], axis=1).astype(np.float32)


def cut(image: NDArray[np.float32], boxes: Boxes, side: int) -> tuple[Boxes, NDArray[np.float32], int]:
    """Return the boxes that hold a piece of the image, the pieces at `side` x `side` pixels, and how many pixels were read for them."""
    height, width = image.shape
    kept, pieces, n_pixels = [], [np.empty((0, side, side), np.float32)], 0
    for number, box in enumerate(np.trunc(boxes).astype(np.int64)):
        x0, y0, x1, y1 = max(box[0], 1), max(box[1], 1), min(box[2], width), min(box[3], height)
        if y1 > y0 - 1 and x1 > x0 - 1:
            piece = image[y0 - 1 : y1, x0 - 1 : x1]
            n_pixels += piece.size
            kept.append(number)
            pieces.append(interpolate(torch.from_numpy(piece)[None, None], size=(side, side), mode="area")[0].numpy())
    return boxes[kept], np.concatenate(pieces), n_pixels


def packed(boxes: NDArray[np.float32], pieces: NDArray[np.float32] | None = None) -> bytes:
    """Return a message: how many, boxes, and pieces.

    >>> len(packed(np.zeros((3, 4), np.float32), np.zeros((3, 24, 24), np.float32)))  # 4 + 3 x (4 + 576) x 4
    6964
    """
    return np.int32(len(boxes)).tobytes() + boxes.tobytes() + (b"" if pieces is None else pieces.tobytes())


def unpacked(message: bytes, n_numbers: int, side: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the boxes of so many numbers each, and the pieces of a message."""
    n = int(np.frombuffer(message, np.int32, 1)[0])
    numbers = np.frombuffer(message, np.float32, offset=_COUNT_BYTE)
    boxes, pieces = numbers[: n * n_numbers], numbers[n * n_numbers :]
    return boxes.reshape(n, n_numbers).copy(), pieces.reshape(n if side else 0, side, side).copy()


def _normalised(pieces: torch.Tensor) -> torch.Tensor:
    """Return pieces of grey pixels, shape (n, 1, ...), as the networks take them: three channels from -1 to 1."""
    return ((pieces - _MIDDLE) * _SCALE).expand(-1, 3, -1, -1)


def _network_input(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return _normalised(interpolate(image, size=size, mode="area"))


def _apart(rows: NDArray[np.float32], scores: NDArray[np.float32], above: float) -> NDArray[np.float32]:
    """Return rows that begin with a box, without those that overlap a surer one."""
    boxes = rows[:, :4].astype(np.float64)
    return rows[kept_of(iou(boxes, boxes) > above, scores)]


def _moved(boxes: NDArray[np.float32], offsets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return boxes moved by offsets, which are shares of their extent, the last pixel counted."""
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, (1, 2))


def _squares(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return squares about the same centres, as large as the longer side."""
    extent = boxes[:, 2:] - boxes[:, :2]
    side = extent.max(axis=1, keepdims=True)
    low = boxes[:, :2] + extent * np.float32(0.5) - side * np.float32(0.5)
    return np.concatenate([low, low + side], axis=1)


def _share_of_smaller(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much of the smaller of two boxes both share, the last pixel counted, shape (n, n)."""
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.clip(high - low + 1, 0, None).prod(axis=2)
    shares: NDArray[np.float32] = common / np.minimum(areas[:, None], areas[None, :])
    return shares
