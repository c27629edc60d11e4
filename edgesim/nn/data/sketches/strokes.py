"""From strokes to points that a network takes: resampled, scaled, with classes and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesim.domain.networks.samples import Samples
from edgesim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


POINTS, STROKES = "points", "strokes"
"""The inputs of data sets of sketches: float32 of shape (n, points, 2), and int64 of shape (n, points), the stroke of each point."""


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """A line drawn without lifting the pen.

    Parameters
    ----------
    places : of its points, shape (points, 2), in pixels of a frame of about 256.
    labels : class of each point, shape (points,).
    """

    places: NDArray[np.float64]
    labels: NDArray[np.int64]


Sketch = tuple[Stroke, ...]


def samples_of(sketches: Sequence[Sketch], n_points: int) -> Samples:
    """Return sketches as samples: places from 0 to 1 in the box around them, the stroke of each point; classes, weights and strokes as targets.

    A sketch of other than `n_points` points is resampled (`resampled`). Weights are those of `edgesim.tasks.stroke_segmentation`, measured in pixels.

    Raises
    ------
    DataError
        When a sketch has more strokes than points are wanted, or nothing but dots; it says which one, from 1.
    """
    import numpy as np

    places, strokes, targets = [], [], []
    for position, sketch in enumerate(sketches, 1):
        try:
            drawn = sketch if sum(len(one.labels) for one in sketch) == n_points else resampled(sketch, n_points)
        except DataError as error:
            raise DataError(f"sketch {position}: {error}") from None
        number = np.repeat(np.arange(len(drawn)), [len(one.labels) for one in drawn])
        weight = [np.concatenate([[1.0], np.hypot(*np.diff(one.places, axis=0).T)]) for one in drawn]
        at = np.concatenate([one.places for one in drawn])
        low, high = at.min(axis=0), at.max(axis=0)
        places.append((at - low) / np.where(high > low, high - low, 1.0))
        strokes.append(number)
        labels = np.concatenate([one.labels for one in drawn])
        targets.append(np.stack([labels, np.floor(np.concatenate(weight)).astype(np.int64), number], axis=1))
    inputs: dict[str, NDArray[Any]] = {
        POINTS: np.asarray(places, np.float32).reshape(-1, n_points, 2),
        STROKES: np.asarray(strokes, np.int64).reshape(-1, n_points),
    }
    return Samples(inputs, np.asarray(targets, np.int64).reshape(-1, n_points, 3))


def resampled(sketch: Sketch, n_points: int) -> Sketch:
    """Return a sketch of so many points, evenly along each stroke; a stroke has points as it has length, and at least two.

    A stroke of one point, or without length, stays one point, in place.

    Raises
    ------
    DataError
        When there are too few points for the strokes, or no stroke has length.

    Examples
    --------
    >>> import numpy as np
    >>> line = Stroke(np.array([[0.0, 0.0], [6.0, 0.0]]), np.array([0, 1]))
    >>> dot = Stroke(np.array([[9.0, 9.0]]), np.array([1]))
    >>> [one.places.tolist() for one in resampled((line, dot), 5)]
    [[[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [6.0, 0.0]], [[9.0, 9.0]]]
    """
    import numpy as np

    along = [np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(one.places, axis=0).T))]) for one in sketch]
    lengths = np.array([one[-1] for one in along])
    fewest = np.where(lengths > 0, 2, 1)
    n_free = n_points - int(fewest.sum())
    if n_free < 0:
        raise DataError(
            f"its {len(sketch)} strokes need {int(fewest.sum())} points (two each, one without length), but only {n_points} are wanted; give more `points`"
        )
    if n_free and not lengths.any():
        raise DataError(
            f"its {len(sketch)} strokes are dots without length, along which no {n_points} points can lie; leave the sketch out, or draw a line"
        )
    wanted = fewest + n_free * lengths / max(lengths.sum(), 1e-12)
    counts = np.floor(wanted).astype(np.int64)
    for index in np.argsort(counts - wanted, kind="stable")[: n_points - int(counts.sum())]:
        counts[index] += 1
    return tuple(_evenly(*one) for one in zip(sketch, along, counts.tolist(), strict=True))


def _evenly(stroke: Stroke, along: NDArray[np.float64], n_points: int) -> Stroke:
    """Return a stroke of so many points at even distances; each has the class of the nearest point before."""
    import numpy as np

    if n_points == 1:
        return Stroke(stroke.places[:1], stroke.labels[:1])
    at = np.linspace(0.0, along[-1], n_points)
    places = np.stack([np.interp(at, along, axis) for axis in stroke.places.T], axis=1)
    return Stroke(places, stroke.labels[np.searchsorted(along, at, side="right").clip(1) - 1])
