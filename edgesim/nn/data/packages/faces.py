"""Scenes with faces, composed of real photographs that packages ship. Importing this needs neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.errors import DataError
from edgesim.nn.data.packages.installed import installed_files
from edgesim.rng import generator
from edgesim.tasks.detection import NO_BOX, Detection

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Images = list[NDArray[np.float32]]

PATCHES = "skimage/data/lfw_subset.npy"
N_FACES = 100
"""Of the patches these are faces, the others are none."""
BACKGROUNDS = {
    "train": ("coffee.png", "chelsea.png", "rocket.jpg", "grass.png", "brick.png", "motorcycle_left.png"),
    "validation": ("gravel.png", "hubble_deep_field.jpg"),
    "test": ("china.jpg", "flower.jpg"),
}
_OF_SCIKIT_LEARN = BACKGROUNDS["test"]
_SPLITS = {"train": (0, 60), "validation": (60, 75), "test": (75, N_FACES)}
_MOST_TRIES = 50
_CELL = 16


@dataclass(frozen=True, slots=True)
class Faces:
    """Find faces: real photographs as background, on which patches of Labelled Faces in the Wild lie, in grey.

    A scene is a random square of a photograph with 0 to `most` faces, each number as likely, and as many patches without a face, of `least` to
    `largest` pixels; none covers another. The box of a face is that of its patch, exactly. The 100 faces, the 100 other patches and the photographs are divided among the
    splits: no test face or background is in the training split.

    Parameters
    ----------
    train, validation, test : number of scenes.
    side : of a scene in pixels, a multiple of 16: answers have a cell for 16 x 16 pixels.
    most : faces in a scene.
    least, largest : side of a patch, in pixels.
    seed : of the scenes.

    References
    ----------
    G. Huang et al., Labeled Faces in the Wild, University of Massachusetts report 07-49, 2007 (the patches of 25 x 25 pixels are scikit-image's);
    photographs of scikit-image and scikit-learn.
    """

    kind_of_samples: ClassVar[SampleKind] = "images with boxes"
    train: Annotated[int, Ge(1)] = 3000
    validation: Annotated[int, Ge(1)] = 200
    test: Annotated[int, Ge(1)] = 100
    side: Annotated[int, Ge(48)] = 128
    most: Annotated[int, Ge(0), Le(6)] = 4
    least: Annotated[int, Ge(8)] = 24
    largest: Annotated[int, Ge(8)] = 48
    seed: Annotated[int, Ge(0)] = 0

    def find(self) -> dict[str, list[Path]]:
        """Return the files: the patches, and the backgrounds by split. Raises `DataError` when one is not there, or sizes do not fit."""
        if self.side % _CELL or not self.least <= self.largest <= self.side // 2:
            raise DataError(
                f"faces: patches of {self.least} to {self.largest} pixels in scenes of {self.side}; expected a side that is a multiple of {_CELL}, and "
                "patches of at most half of it, the least not above the largest"
            )
        found = {"patches": installed_files("faces", "scikit-image==0.26.0", (PATCHES,))}
        for split, names in BACKGROUNDS.items():
            own = tuple(f"skimage/data/{name}" for name in names if name not in _OF_SCIKIT_LEARN)
            found[split] = installed_files("faces", "scikit-image==0.26.0", own)
            theirs = tuple(f"sklearn/datasets/images/{name}" for name in names if name in _OF_SCIKIT_LEARN)
            found[split] += installed_files("faces", "scikit-learn", theirs)
        return found

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 1, side, side), from 0 to 1. Raises `DataError` when a file is missing."""
        import numpy as np

        files = self.find()
        patches = np.load(files["patches"][0], allow_pickle=False)
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        splits: dict[str, Samples] = {}
        for split, (start, stop) in _SPLITS.items():
            faces, others = patches[start:stop], patches[N_FACES + start : N_FACES + stop]
            photographs = [_grey(path) for path in files[split]]
            splits[split] = self._scenes(split, sizes[split], photographs, list(faces), list(others))
        return Dataset(
            name=f"faces ({self.side} x {self.side})",
            train=splits["train"],
            validation=splits["validation"],
            test=splits["test"],
            task=Detection(1, self.side // _CELL, self.side // _CELL),
            licence="photographs: as stated by scikit-image and scikit-learn; patches of LFW: not stated",
            source="scikit-image 0.26.0, data; scikit-learn, datasets/images",
        )

    def _scenes(self, split: str, n: int, photographs: Images, faces: Images, others: Images) -> Samples:
        """Return some scenes of one split."""
        import numpy as np

        inputs = np.empty((n, 1, self.side, self.side), np.float32)
        targets = np.full((n, max(1, self.most), 5), NO_BOX, np.float32)
        for number in range(n):
            rng = generator(self.seed, f"faces/{split}", number)
            scene = self._background(photographs, rng)
            n_faces = int(rng.integers(self.most + 1))
            taken: list[tuple[int, int, int]] = []
            for place in range(2 * n_faces):
                spot = self._free_spot(taken, rng)
                if spot is None:
                    continue
                row, column, side = spot
                of = faces if place < n_faces else others
                scene[row : row + side, column : column + side] = _scaled(of[rng.integers(len(of))], side)
                if place < n_faces:
                    sides = np.array([column, row, column + side, row + side]) / self.side
                    targets[number, place] = (0, *sides)
                taken.append(spot)
            inputs[number, 0] = scene
        return Samples({"image": inputs}, targets)

    def _background(self, photographs: Images, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a random square of a random photograph, at least half as wide as its shorter side, as large as a scene."""
        photograph = photographs[rng.integers(len(photographs))]
        height, width = photograph.shape
        side = int(rng.integers(min(height, width) // 2, min(height, width) + 1))
        row, column = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        return _scaled(photograph[row : row + side, column : column + side], self.side)

    def _free_spot(self, taken: list[tuple[int, int, int]], rng: np.random.Generator) -> tuple[int, int, int] | None:
        """Return row, column and side of a square that covers none of those taken; None when none was found."""
        for _ in range(_MOST_TRIES):
            side = int(rng.integers(self.least, self.largest + 1))
            row, column = (int(at) for at in rng.integers(self.side - side + 1, size=2))
            if all(row >= r + s or r >= row + side or column >= c + s or c >= column + side for r, c, s in taken):
                return row, column, side
        return None


def _grey(path: Path) -> NDArray[np.float32]:
    """Return a photograph in grey, from 0 to 1."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def _scaled(image: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """Return an image at another size, in steps of 1/255 as cameras give them."""
    import numpy as np
    from PIL import Image

    scaled = Image.fromarray(image.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return (np.asarray(scaled) * 255).round().astype(np.float32) / np.float32(255)
