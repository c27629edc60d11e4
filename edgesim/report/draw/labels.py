"""Puts labels at points so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import BboxBase

from edgesim.report.draw.cells import Boxes, Lines, spans
from edgesim.report.draw.style import PAPER, lay_out

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a point in data coordinates.

    Parameters
    ----------
    text : what is written.
    x, y : of the point.
    colour : of the letters.
    is_centred : whether it may also stand on the point itself.
    is_bold : whether it is bold, and may be farther from its point; a thin line leads to those.
    narrow : the same on more and shorter lines, written where it covers fewer links, or is nearer to its point.
    """

    text: str
    x: float
    y: float
    colour: str
    is_centred: bool = False
    is_bold: bool = False
    narrow: str = ""


_NEAR = [(dx, dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))]
_GAPS_PT = (1.5, 5.0, 9.0)
_AWAY_PT = 8.0
"""A narrow text is taken where it is nearer by about so much."""
_FAR_GAPS_PT = (*_GAPS_PT, 14.0, 20.0, 27.0)
"""Distances from a marker; the far ones are for few labels whose markers may stand in a crowd."""
_AMONG_LINKS = [
    *_NEAR,
    *((dx, dy) for dx in (-1, 1) for dy in (-0.5, 0.5)),
    *((dx, dy) for dx in (-0.5, 0.5) for dy in (-1, 1)),
]
_AMONG_LINKS_PT = (*_FAR_GAPS_PT, 35.0, 44.0)
"""Directions and distances for bold labels, whose markers stand where links meet."""


def place_labels(
    ax: Axes,
    labels: Sequence[Label],
    *,
    avoid: Sequence[tuple[float, float]],
    radius_pt: float,
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
    others: Sequence[Artist] = (),
    size_pt: float = 7.0,
    is_inside: bool = False,
) -> list[Annotation | None]:
    """Write each label where it covers no marker and no other label, in this order; None for those that find no place.

    Parameters
    ----------
    ax : the axes; their limits must not change afterwards.
    labels : what is written where.
    avoid : centres of markers, in data coordinates.
    radius_pt : half the size of a marker, in points.
    lines : ends of lines, in data coordinates; of the free places, one that covers fewest of them is taken.
    others : what else may not be covered, e.g. a legend.
    size_pt : of the letters.
    is_inside : whether labels stay inside the axes, and all may be farther from their points.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        return [None] * len(labels)
    if not hasattr(figure.canvas, "get_renderer"):
        FigureCanvasAgg(figure)
    lay_out(figure)
    scale = figure.dpi / 72.0
    page = ax.get_window_extent() if is_inside else figure.bbox
    centres = ax.transData.transform(np.array(avoid, dtype=float).reshape(-1, 2))
    taken = Boxes()
    for box in (
        *np.hstack([centres - radius_pt * scale, centres + radius_pt * scale]),
        *(other.get_window_extent().extents for other in others),
    ):
        taken.add(box)
    ends = Lines(
        ax.transData.transform(np.array(lines, dtype=float).reshape(-1, 2)).reshape(-1, 4), np.array(page.extents)
    )
    made: list[Annotation | None] = []
    written: list[NDArray[np.float64]] = []
    leads: list[tuple[NDArray[np.float64], NDArray[np.float64], str]] = []
    for label in labels:
        note = ax.annotate(
            label.text, (label.x, label.y), xytext=(0, 0), textcoords="offset points", color=label.colour, fontsize=size_pt,
            fontweight="bold" if label.is_bold else "normal", horizontalalignment="center", verticalalignment="center", annotation_clip=False,
            path_effects=[Stroke(linewidth=1.6, foreground=PAPER), Normal()],
        )  # fmt: skip
        here = ax.transData.transform((label.x, label.y))
        is_far = is_inside or label.is_bold
        ways: list[tuple[tuple[int, int], str, NDArray[np.float64], NDArray[np.float64]]] = []
        for text in filter(None, (label.text, label.narrow)):
            note.set_text(text)
            size = note.get_window_extent()
            half = np.array([size.width, size.height]) / 2 + 0.5 * scale
            offsets = np.array([*_offsets(half, radius_pt * scale, scale, label, is_inside=is_inside)])
            places = np.hstack([here + offsets - half, here + offsets + half])
            if is_far:
                is_clear = _are_clear(here, places, written, leads)
                offsets, places = offsets[is_clear], places[is_clear]
            for n_met, best in _best(places, taken, ends, page):
                away_pt = np.hypot(*(here - np.clip(here, places[best, :2], places[best, 2:]))) / scale
                ways.append(((n_met, round(away_pt / _AWAY_PT)), text, offsets[best], places[best]))
        if not ways:
            note.remove()
            made.append(None)
        else:
            _, text, chosen, box = min(ways, key=lambda way: way[0])
            taken.add(box)
            written.append(box)
            note.set_text(text)
            note.set_position((chosen[0] / scale, chosen[1] / scale))
            note.set_in_layout(False)
            made.append(note)
            if is_far:
                leads.append((here, np.clip(here, box[:2], box[2:]), label.colour))
    if not is_inside or None not in made:
        for start, end, colour in leads:
            _lead(ax, start, end, colour, least_px=(radius_pt + _GAPS_PT[1]) * scale)
    return made


def _lead(ax: Axes, here: NDArray[np.float64], there: NDArray[np.float64], colour: str, *, least_px: float) -> None:
    """Draw a thin line from a point to its label, both in pixels, where these are farther apart than this."""
    if np.hypot(*(there - here)) > least_px:
        ends = ax.transData.inverted().transform([here, there])
        ax.plot(*ends.T, color=colour, linewidth=0.5, zorder=2, scalex=False, scaley=False)


def _are_clear(
    here: NDArray[np.float64],
    places: NDArray[np.float64],
    written: Sequence[NDArray[np.float64]],
    leads: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], str]],
) -> NDArray[np.bool_]:
    """Return of which boxes, of shape (n, 4), the line to the point crosses no label, and which no other label's line crosses."""
    own = np.hstack([np.broadcast_to(here, (len(places), 2)), np.clip(here, places[:, :2], places[:, 2:])])
    others = np.array([np.concatenate([start, end]) for start, end, _ in leads]).reshape(-1, 4)
    boxes = np.array(written).reshape(-1, 4)
    pairs = (spans(own, boxes[:, None]), spans(others, places[:, None]))
    met = [(enters <= leaves) & (leaves >= 0) & (enters <= 1) for enters, leaves in pairs]
    is_clear: NDArray[np.bool_] = ~(np.any(met[0], axis=0) | np.any(met[1], axis=1))
    return is_clear


def _best(places: NDArray[np.float64], taken: Boxes, lines: Lines, page: BboxBase) -> Iterator[tuple[int, int]]:
    """Yield how many lines the free box meets that meets fewest, and which of the boxes, of shape (n, 4), it is, the first of those; nothing where none is free."""
    if not len(places):
        return
    around = np.concatenate([places[:, :2].min(axis=0), places[:, 2:].max(axis=0)])
    if not np.isfinite(around).all():
        return
    others = taken.near(around)
    is_free = (places[:, :2] >= (page.x0, page.y0)).all(axis=1) & (places[:, 2:] <= (page.x1, page.y1)).all(axis=1)
    meets = (others[:, :2] < places[:, None, 2:]) & (others[:, 2:] > places[:, None, :2])
    free = np.flatnonzero(is_free & ~np.any(np.all(meets, axis=2), axis=1))
    if not len(free):
        return
    enters, leaves = spans(lines.near(around), places[free, None])
    n_met = np.sum((enters <= leaves) & (leaves >= 0) & (enters <= 1), axis=1)
    least = int(np.argmin(n_met))
    yield int(n_met[least]), int(free[least])


def _offsets(
    half: NDArray[np.float64], radius: float, scale: float, label: Label, *, is_inside: bool
) -> Iterator[NDArray[np.float64]]:
    """Yield how far the centre of a label may be from its point, in pixels, nearest first."""
    if label.is_centred:
        yield np.zeros(2)
    far = (_AMONG_LINKS_PT, _AMONG_LINKS) if label.is_bold else (_FAR_GAPS_PT, _NEAR)
    gaps_pt, directions = far if label.is_bold or is_inside else (_GAPS_PT, _NEAR)
    for gap_pt in gaps_pt:
        for dx, dy in directions:
            reach = radius * (0.7 if dx and dy else 1.0) + gap_pt * scale
            yield np.array([dx * (half[0] + reach), dy * (half[1] + reach)])
