"""Sketches in files of the authors of SketchGNN."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.sketches.strokes import Sketch, Stroke, samples_of
from edgesim.tasks.stroke_segmentation import StrokeSegmentation

if TYPE_CHECKING:
    from collections.abc import Iterator

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class SketchFiles:
    """Sketches of one category from files as the authors of SketchGNN publish them: CATEGORY_train.ndjson, _valid and _test, packed (``.gz``) or not.

    A line is a JSON mapping whose `drawing` is a list of strokes, each the lists of its x, its y in pixels, and the class of each of its points. Sketches of
    another number of points are resampled, evenly along each stroke; strokes of one point stay one point, which is joined to no other on a stroke.

    Parameters
    ----------
    folder : holds the files.
    category : as the files are called, e.g. ``airplane``.
    points : of a sketch.

    References
    ----------
    The data: K. Li, K. Pang, J. Song, Y. Song, T. Xiang, T. Hospedales, H. Zhang, Universal Sketch Perceptual Grouping, ECCV 2018; resampled to 256 points by L. Yang et al.
    (sYeaLumin/SketchGNN).
    """

    kind_of_samples: ClassVar[SampleKind] = "sketches"
    folder: FolderName
    category: str
    points: Annotated[int, Ge(2)] = 256

    def find(self) -> list[Path]:
        """Return the files. Raises `DataError` when one is not there."""
        folder = Path(self.folder).expanduser()
        found = []
        for split in SPLITS:
            names = [f"{self.category}_{split}.ndjson{ending}" for ending in ("", ".gz")]
            there = [folder / name for name in names if (folder / name).is_file()]
            if not there:
                raise DataError(
                    f"data set sketch-files: there is neither {names[0]} nor {names[1]} in {folder}; put the files of SketchGNN's authors there"
                )
            found.append(there[0])
        return found

    def load(self) -> Dataset:
        """Return the three splits. Raises `DataError` when files are missing or damaged."""
        files = self.find()
        drawn = [read_sketches(path) for path in files]
        n_classes = 1 + max(int(stroke.labels.max()) for split in drawn for sketch in split for stroke in sketch)
        train, validation, test = (self._samples(path, split) for path, split in zip(files, drawn, strict=True))
        return Dataset(
            name=f"sketches of {self.category} ({self.points} points)",
            train=train,
            validation=validation,
            test=test,
            task=StrokeSegmentation(n_classes, self.points),
            licence="labels: MIT (the authors' repository); drawings: CC BY 4.0 (Quick, Draw!)",
            source="sYeaLumin/SketchGNN, data/SPG256",
        )

    def _samples(self, path: Path, sketches: list[Sketch]) -> Samples:
        try:
            return samples_of(sketches, self.points)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def read_sketches(path: Path) -> list[Sketch]:
    """Return the sketches of a file, one a line.

    Raises
    ------
    DataError
        When the file cannot be read, holds no sketch, or a line is none; it names the line.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            found = [
                tuple(_strokes(f"{path}: line {number}", line)) for number, line in enumerate(lines, 1) if line.strip()
            ]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged: it cannot be read: {error}") from error
    if not found:
        raise DataError(f"{path} holds no sketches")
    return found


def _strokes(place: str, line: str) -> Iterator[Stroke]:
    import numpy as np

    try:
        data: Any = json.loads(line)
        drawing = data["drawing"]
        strokes = [[np.asarray(row, np.float64) for row in (x, y, labels)] for x, y, labels in drawing]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{place}: expected a mapping whose `drawing` is a list of strokes [x, y, classes]: {error!r}"
        ) from None
    if not strokes:
        raise DataError(f"{place}: the sketch has no strokes")
    for number, (x, y, labels) in enumerate(strokes, 1):
        if not (x.ndim == 1 and x.shape == y.shape == labels.shape and len(x)):
            raise DataError(
                f"{place}: stroke {number} has {x.size} x, {y.size} y and {labels.size} classes; expected as many of each, at least one"
            )
        if not (
            np.isfinite(x).all()
            and np.isfinite(y).all()
            and (labels >= 0).all()
            and (labels == labels.astype(np.int64)).all()
        ):
            raise DataError(
                f"{place}: stroke {number} has places that are not finite, or classes that are no numbers from 0"
            )
        yield Stroke(np.stack([x, y], axis=1), labels.astype(np.int64))
