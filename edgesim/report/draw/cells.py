"""Finds the boxes and lines near a place of a page, by a grid of square cells."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SIDE_PX = 40.0
"""Side of a cell: about as long as a label."""
_AT_ONCE = 10_000
"""Lines that are cut into pieces at once."""


class Boxes:
    """Boxes (x0, y0, x1, y1), of which those near another box are found without a look at the others."""

    def __init__(self) -> None:
        self._boxes: list[NDArray[np.float64]] = []
        self._in_cell: defaultdict[tuple[int, int], list[int]] = defaultdict(list)

    def add(self, box: NDArray[np.float64]) -> None:
        """Add a box; one that is nowhere, as of what cannot be drawn, meets none."""
        if not np.isfinite(box).all():
            return
        for cell in _cells(box):
            self._in_cell[cell].append(len(self._boxes))
        self._boxes.append(box)

    def near(self, box: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, of shape (n, 4), all boxes that meet this one, and some beside it."""
        found = {place for cell in _cells(box) for place in self._in_cell.get(cell, ())}
        return np.array([self._boxes[place] for place in sorted(found)]).reshape(-1, 4)


class Lines:
    """Lines (x0, y0, x1, y1) on a page (x0, y0, x1, y1), of which those near a box are found without a look at the others.

    Ends that are no finite numbers, as of what cannot be drawn, are near every box.
    """

    def __init__(self, lines: NDArray[np.float64], page: NDArray[np.float64]) -> None:
        is_finite = np.isfinite(lines).all(axis=1)
        self._lines = lines
        self._everywhere = np.flatnonzero(~is_finite)
        finite = np.flatnonzero(is_finite)
        n_columns = int(page[2] // _SIDE_PX) + 3
        self._n_columns = n_columns
        parts = [
            _pieces(lines, finite[first : first + _AT_ONCE], page, n_columns)
            for first in range(0, len(finite), _AT_ONCE)
        ]
        codes = np.concatenate([code for code, _ in parts]) if parts else np.zeros(0, dtype=int)
        places = np.concatenate([place for _, place in parts]) if parts else np.zeros(0, dtype=int)
        order = np.argsort(codes, kind="stable")
        known, begins = np.unique(codes[order], return_index=True)
        in_cells = np.split(places[order], begins[1:]) if len(known) else []
        self._in_cell = dict(zip(known.tolist(), in_cells, strict=True))

    def near(self, box: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, of shape (n, 4), all lines that pass through a box, and some beside it."""
        cells = [self._in_cell.get(row * self._n_columns + column) for column, row in _cells(box)]
        found = [self._everywhere, *(cell for cell in cells if cell is not None)]
        lines: NDArray[np.float64] = self._lines[np.unique(np.concatenate(found))]
        return lines


def _cells(box: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Yield column and row of the cells that a box covers."""
    left, low, right, high = (int(value // _SIDE_PX) for value in box)
    for column in range(left, right + 1):
        for row in range(low, high + 1):
            yield column, row


def _pieces(
    lines: NDArray[np.float64], places: NDArray[np.intp], page: NDArray[np.float64], n_columns: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells that lines pass through on the page, as row * n_columns + column, and the place of the line of each."""
    start, step = lines[places, :2], lines[places, 2:] - lines[places, :2]
    enters, leaves = spans(lines[places], page)
    enters, leaves = np.maximum(enters, 0.0), np.minimum(leaves, 1.0)
    is_seen = enters <= leaves
    places = places[is_seen]
    start, step, enters, leaves = (one[is_seen] for one in (start, step, enters, leaves))
    n_pieces = np.ceil(np.hypot(*step.T) * (leaves - enters) / (_SIDE_PX / 2)).astype(int) + 1
    whose = np.repeat(np.arange(len(places)), n_pieces)
    number = np.arange(len(whose)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    length = ((leaves - enters) / n_pieces)[whose]
    first = start[whose] + step[whose] * (enters[whose] + number * length)[:, None]
    last = first + step[whose] * length[:, None]
    low = np.floor((np.minimum(first, last) - 1.0) / _SIDE_PX).astype(int)  # a pixel more on each side, for rounding
    high = np.floor((np.maximum(first, last) + 1.0) / _SIDE_PX).astype(int)
    corners = [row * n_columns + column for column in (low[:, 0], high[:, 0]) for row in (low[:, 1], high[:, 1])]
    codes = np.concatenate(corners)
    pairs = np.unique(np.stack([codes, np.tile(places[whose], 4)]), axis=1)
    return pairs[0], pairs[1]


def spans(lines: NDArray[np.float64], box: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where lines enter and leave boxes, as shares of their lengths; entered after it is left: not met.

    Parameters
    ----------
    lines : both ends, of shape (n, 4).
    box : (x0, y0, x1, y1), or several, of shape (k, 1, 4); the results then have shape (k, n).
    """
    start, step = lines[:, :2], lines[:, 2:] - lines[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (box[..., :2] - start) / step, (box[..., 2:] - start) / step
    enters = np.nan_to_num(np.minimum(first, second), nan=-np.inf, posinf=np.inf, neginf=-np.inf).max(axis=-1)
    leaves = np.nan_to_num(np.maximum(first, second), nan=np.inf, posinf=np.inf, neginf=-np.inf).min(axis=-1)
    return enters, leaves
