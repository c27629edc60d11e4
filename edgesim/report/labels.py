"""Puts labels at points so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import Bbox

from edgesim.report.style import PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from numpy.typing import NDArray

_PLACES = [
    (dx * distance, dy * distance)
    for distance in (6, 10, 16, 24, 34)
    for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1.4), (0, -1.4), (1.4, 0), (-1.4, 0))
]
_RADIUS_PT = 5.0
"""Of a large marker and a little space around it."""


def label_points(
    ax: Axes,
    labels: Sequence[tuple[str, float, float, str]],
    avoid: Sequence[tuple[float, float]],
) -> list[Annotation]:
    """Write each label beside its point, at the nearest of forty places that is free and inside the axes.

    Parameters
    ----------
    ax : the axes; their limits must not change afterwards.
    labels : text, x, y and colour of each.
    avoid : points that no label may cover, in data coordinates.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        return []
    if not hasattr(figure.canvas, "get_renderer"):
        FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    scale = figure.dpi / 72.0
    radius = _RADIUS_PT * scale
    taken = []
    for point in avoid:
        x, y = ax.transData.transform(point)
        taken.append(Bbox.from_extents(x - radius, y - radius, x + radius, y + radius))
    inside = ax.get_window_extent()
    made = []
    for text, x, y, colour in labels:
        note = ax.annotate(text, (x, y), xytext=(0, 0), textcoords="offset points", color=colour, fontsize=7.5)
        best: tuple[int, Bbox, float, float, str, str] | None = None
        for dx, dy in _PLACES:
            across = "left" if dx > 0 else "right" if dx < 0 else "center"
            upright = "bottom" if dy > 0 else "top" if dy < 0 else "center"
            note.set(position=(dx, dy), horizontalalignment=across, verticalalignment=upright)
            box = note.get_window_extent().padded(0.5 * scale)
            n_covered = sum(box.overlaps(other) for other in taken)
            is_outside = not (
                inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
            )
            badness = n_covered + 100 * is_outside
            if best is None or badness < best[0]:
                best = (badness, box, dx, dy, across, upright)
            if badness == 0:
                break
        if best is not None:
            _, box, dx, dy, across, upright = best
            note.set(position=(dx, dy), horizontalalignment=across, verticalalignment=upright)
            taken.append(box)
        made.append(note)
    return made


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a point in data coordinates; `is_centred`: it may also stand on the point itself."""

    text: str
    x: float
    y: float
    colour: str
    is_centred: bool = False
    is_bold: bool = False


_NEAR = [(dx, dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))]
_GAPS_PT = (1.5, 5.0, 9.0)


def place_labels(
    ax: Axes,
    labels: Sequence[Label],
    *,
    avoid: Sequence[tuple[float, float]],
    radius_pt: float,
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
    size_pt: float = 7.0,
) -> list[Annotation | None]:
    """Write each label where it covers no marker and no other label, in this order; None for those that find no place.

    Parameters
    ----------
    ax : the axes; their limits must not change afterwards.
    labels : what is written where.
    avoid : centres of markers, in data coordinates.
    radius_pt : half the size of a marker, in points.
    lines : ends of lines, in data coordinates; of the free places, one that covers fewest of them is taken.
    size_pt : of the letters.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        return [None] * len(labels)
    if not hasattr(figure.canvas, "get_renderer"):
        FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    scale = figure.dpi / 72.0
    centres = ax.transData.transform(np.array(avoid, dtype=float).reshape(-1, 2))
    taken = np.hstack([centres - radius_pt * scale, centres + radius_pt * scale])
    ends = ax.transData.transform(np.array(lines, dtype=float).reshape(-1, 2)).reshape(-1, 4)
    page = figure.bbox
    made: list[Annotation | None] = []
    for label in labels:
        note = ax.annotate(
            label.text, (label.x, label.y), xytext=(0, 0), textcoords="offset points", color=label.colour, fontsize=size_pt,
            fontweight="bold" if label.is_bold else "normal", horizontalalignment="center", verticalalignment="center", annotation_clip=False,
            path_effects=[Stroke(linewidth=1.6, foreground=PAPER), Normal()],
        )  # fmt: skip
        size = note.get_window_extent()
        here = ax.transData.transform((label.x, label.y))
        half = np.array([size.width, size.height]) / 2 + 0.5 * scale
        free = []
        for offset in _offsets(half, radius_pt * scale, scale, is_centred=label.is_centred):
            box = np.concatenate([here + offset - half, here + offset + half])
            is_inside = page.x0 <= box[0] and box[2] <= page.x1 and page.y0 <= box[1] and box[3] <= page.y1
            if is_inside and not np.any(np.all((taken[:, :2] < box[2:]) & (taken[:, 2:] > box[:2]), axis=1)):
                free.append((_n_crossing(ends, box), offset, box))
        if not free:
            note.remove()
            made.append(None)
        else:
            _, chosen, box = min(free, key=lambda one: one[0])
            taken = np.vstack([taken, box])
            note.set_position((chosen[0] / scale, chosen[1] / scale))
            note.set_in_layout(False)
            made.append(note)
    return made


def _n_crossing(lines: NDArray[np.float64], box: NDArray[np.float64]) -> int:
    """Return how many lines, of shape (n, 4) with both ends, pass through a box (x0, y0, x1, y1)."""
    if not len(lines):
        return 0
    start, step = lines[:, :2], lines[:, 2:] - lines[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (box[:2] - start) / step, (box[2:] - start) / step
    enters = np.nan_to_num(np.minimum(first, second), nan=-np.inf).max(axis=1)
    leaves = np.nan_to_num(np.maximum(first, second), nan=np.inf).min(axis=1)
    return int(np.sum((enters <= leaves) & (leaves >= 0) & (enters <= 1)))


def _offsets(
    half: NDArray[np.float64], radius: float, scale: float, *, is_centred: bool
) -> Iterator[NDArray[np.float64]]:
    """Yield how far the centre of a label may be from its point, in pixels, nearest first."""
    if is_centred:
        yield np.zeros(2)
    for gap_pt in _GAPS_PT:
        for dx, dy in _NEAR:
            reach = radius * (0.7 if dx and dy else 1.0) + gap_pt * scale
            yield np.array([dx * (half[0] + reach), dy * (half[1] + reach)])
