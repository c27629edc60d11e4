"""Sketches composed of the strokes of icons, whose classes are exact."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Len

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.sketches.strokes import Sketch, Stroke, samples_of
from edgesim.tasks.stroke_segmentation import StrokeSegmentation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "@iconify-json/lucide"
RELEASE = "1.2.137"
FOLDER = f"node_modules/{PACKAGE}"
SHARES = (0.6, 0.8)
"""Up to which share of a family's icons training draws, and validation; the others are for the test."""
FRAME = 256.0
N_CURVE = 16
Icon = tuple["NDArray[np.float64]", ...]


@dataclass(frozen=True, slots=True)
class ComposedSketches:
    """Some icons in one frame: a point belongs to the class of its icon, which is a family of icons such as ``cloud``, ``cloud-rain``, ``cloud-sun``.

    Icons are those of an npm package, read where it is installed; their strokes are the lines of their SVG. The icons of a family are divided with seed 0 into
    60 % for training, 20 % for validation and 20 % for the test, so that no icon of the test was seen. Each icon of a sketch is drawn from a family drawn
    evenly, turned by up to 20 degrees, scaled to 35 to 60 % of the frame, and put anywhere in it, over others too.

    Parameters
    ----------
    folder : of the package; by default node_modules/@iconify-json/lucide in the present folder.
    families : the classes: icons called so, or so with a hyphen behind.
    icons : in a sketch.
    points : of a sketch; strokes have as many as they have length, at least two.
    train, held_out : number of sketches of the training split, and of each of the two others.

    References
    ----------
    Icons: Lucide, ISC licence. Composed sketches: our own.
    """

    kind_of_samples: ClassVar[SampleKind] = "sketches"
    folder: FolderName | None = None
    families: Annotated[tuple[str, ...], Len(2)] = ("calendar", "cloud", "message", "user")
    icons: Annotated[int, Ge(1)] = 3
    points: Annotated[int, Ge(2)] = 256
    train: Annotated[int, Ge(1)] = 600
    held_out: Annotated[int, Ge(1)] = 200

    def find(self) -> Path:
        """Return the file of the icons. Raises `DataError` when it is not there."""
        path = Path(FOLDER if self.folder is None else self.folder).expanduser() / "icons.json"
        if not path.is_file():
            raise DataError(
                f"data set composed-sketches is not there: there is no file {path}; get it with: npm install --ignore-scripts {PACKAGE}@{RELEASE}"
            )
        return path

    def load(self) -> Dataset:
        """Return the three splits. Raises `DataError` when the file is missing or damaged, or a family has too few icons."""
        import numpy as np

        families = read_families(self.find(), self.families)
        samples: list[Samples] = []
        for number, n_sketches in enumerate((self.train, self.held_out, self.held_out)):
            rng = np.random.default_rng([0, number])
            drawn = [self._sketch([_part(icons, number) for icons in families], rng) for _ in range(n_sketches)]
            samples.append(samples_of(drawn, self.points))
        return Dataset(
            name=f"composed-sketches ({self.icons} icons of {len(self.families)} families)",
            train=samples[0],
            validation=samples[1],
            test=samples[2],
            task=StrokeSegmentation(len(self.families), self.points),
            licence="ISC (Lucide)",
            source=f"{PACKAGE} {RELEASE}, icons.json",
        )

    def _sketch(self, families: Sequence[Sequence[Icon]], rng: np.random.Generator) -> Sketch:
        import numpy as np

        strokes: list[Stroke] = []
        for _ in range(self.icons):
            label = int(rng.integers(len(families)))
            icon = families[label][int(rng.integers(len(families[label])))]
            angle, side = rng.uniform(-np.pi / 9, np.pi / 9), FRAME * rng.uniform(0.35, 0.6)
            corner = rng.uniform(side / 2, FRAME - side / 2, 2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            strokes += [Stroke(corner + side * line @ turn.T, np.full(len(line), label, np.int64)) for line in icon]
        return tuple(strokes)


def _part(icons: Sequence[Icon], split: int) -> Sequence[Icon]:
    """Return the icons of a family that a split draws from."""
    bounds = [0, *(round(share * len(icons)) for share in SHARES), len(icons)]
    return icons[bounds[split] : bounds[split + 1]]


def read_families(path: Path, families: Sequence[str]) -> list[list[Icon]]:
    """Return the icons of each family, in the order in which splits are cut from them; an icon is its lines, from -0.5 to 0.5.

    Raises
    ------
    DataError
        When the file is no collection of icons, or a family has fewer than five.
    """
    import numpy as np

    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        bodies = {str(name): str(icon["body"]) for name, icon in data["icons"].items()}
        size = float(data.get("width", data.get("height", 16)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is damaged: expected a collection of icons as Iconify writes it: {error!r}") from error
    found = []
    for family in families:
        names = sorted(name for name in bodies if name == family or name.startswith(f"{family}-"))
        if len(names) < 5:
            raise DataError(
                f"{path} has {len(names)} icons of family {family!r}; expected at least five, for three splits"
            )
        order = np.random.default_rng(0).permutation(len(names))
        found.append([_lines(f"{path}: icon {names[index]}", bodies[names[index]], size) for index in order])
    return found


def _lines(place: str, body: str, size: float) -> Icon:
    """Return the lines of an icon's SVG, curves as 16 pieces."""
    import numpy as np
    from fontTools.pens.recordingPen import RecordingPen
    from fontTools.svgLib.path import SVGPath

    pen = RecordingPen()
    try:
        SVGPath.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{body}</svg>'.encode()).draw(pen)
    except (SyntaxError, ValueError, NotImplementedError) as error:
        raise DataError(f"{place}: its SVG cannot be read: {error!r}") from error
    lines: list[list[Any]] = []
    for command, ends in pen.value:
        match command:
            case "moveTo":
                lines.append([np.array(ends[0], float)])
            case "closePath":
                lines[-1].append(lines[-1][0])
            case "lineTo" | "curveTo" | "qCurveTo":
                lines[-1] += _curve([lines[-1][-1], *(np.array(end, float) for end in ends)])
    whole = tuple(np.array(line) / size - 0.5 for line in lines if len(line) > 1)
    if not whole:
        raise DataError(f"{place}: it has no lines")
    return whole


def _curve(ends: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return points behind the first of a line, or of a Bezier curve of degree two or three."""
    import numpy as np

    if len(ends) == 2:
        return ends[1:]
    points = []
    for t in np.linspace(0, 1, N_CURVE + 1)[1:]:
        level = ends
        while len(level) > 1:
            level = [(1 - t) * a + t * b for a, b in pairwise(level)]
        points.append(level[0])
    return points
