"""Puts labels at points so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

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
