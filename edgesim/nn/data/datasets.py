"""Data sets: names -> training, validation and test splits as numpy arrays. Importing this needs neither torch nor numpy.

Each set has a fixed test part. The validation split is drawn once and for all from the training part, within each class
(stratified) as scikit-learn's `train_test_split` with seed 0 does, so that every study sees the same three splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import Dataset, SampleKind
from edgesim.domain.places import FolderName
from edgesim.nn.data.augmentations import OF_IMAGES
from edgesim.nn.data.folders import find_folder
from edgesim.nn.data.images import grey, image_dataset, samples_at, sized, standardised
from edgesim.nn.data.packages.installed import installed_files
from edgesim.nn.data.splits import Share, TrainSize, divided, some_of
from edgesim.tasks.classification import Classification

DIGITS = "sklearn/datasets/data/digits.csv.gz"
FASHION_LABELS = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
FASHION_IMAGES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")


@dataclass(frozen=True, slots=True)
class Digits:
    """Handwritten digits of scikit-learn: 1,797 grey images of 8x8 pixels, 10 classes.

    Values 0 ... 16 are scaled to [0, 1]. The splits are fixed, so that every study sees the same test samples: 60 % train,
    20 % validation, 20 % test, drawn at random within each class (stratified) as scikit-learn's `train_test_split` with
    seed 0 does. They are disjoint. Writers are not known, so one writer's digits may stand in several splits.

    Parameters
    ----------
    train_size : train on so many samples only, drawn within each class; all by default.

    References
    ----------
    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    doi 10.24432/C50P49; scikit-learn ships its test part.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    train_size: TrainSize = None

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 1, 8, 8). Raises `DataError` when scikit-learn does not have them."""
        import numpy as np

        [file] = installed_files(
            "digits", "scikit-learn", (DIGITS,)
        )  # read here, since loading scikit-learn takes long
        rows = np.loadtxt(file, delimiter=",")
        inputs = np.ascontiguousarray(rows[:, :-1].reshape(-1, 1, 8, 8) / 16.0, dtype=np.float32)
        labels = rows[:, -1].astype(np.int64)
        rest, test = divided("digits", np.arange(len(labels)), labels, 0.2)
        train, validation = divided("digits", rest, labels, 0.25)
        return Dataset(
            name=sized("digits", self.train_size),
            train=samples_at(inputs, labels, some_of("digits", train, labels, self.train_size)),
            validation=samples_at(inputs, labels, validation),
            test=samples_at(inputs, labels, test),
            task=Classification(10),
            augmentations=OF_IMAGES,
            licence="BSD-3-Clause (scikit-learn); CC BY 4.0 (UCI)",
            source="sklearn.datasets.load_digits",
        )


@dataclass(frozen=True, slots=True)
class FashionMNIST:
    """Fashion-MNIST: 70,000 grey images of clothes, 28x28 pixels, 10 classes.

    Values 0 ... 255 are scaled to [0, 1]. The 10,000 test images are the published ones.

    Parameters
    ----------
    folder : where the four IDX files lie, packed (``.gz``) or not. Without it: ``fashion-mnist`` in ``$EDGESIM_DATA_DIR``,
        in the user's data directory of edgesim, and where Debian's package ``dataset-fashion-mnist`` puts them.
    validation_share : share of the training part that becomes the validation split.
    train_size : train on so many samples only, drawn within each class; all by default.

    References
    ----------
    H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, 2017,
    arXiv 1708.07747.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    folder: FolderName | None = None
    validation_share: Share = 0.1
    train_size: TrainSize = None

    def find(self) -> Path:
        """Return the folder of the files, without reading them. Raises `DataError` when they are not there."""
        return find_folder(
            "fashion-mnist",
            self.folder,
            files=(*FASHION_IMAGES, *FASHION_LABELS),
            names=("fashion-mnist",),
            system=("/usr/share/datasets/fashion-mnist",),
            remedy="on Debian: `apt-get install dataset-fashion-mnist`; elsewhere put the four published IDX files there",
        )

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 1, 28, 28).

        Raises
        ------
        DataError
            When the files are missing (it says where it looked and how to get them) or damaged.
        """
        from edgesim.nn.data.files import read_idx

        folder = self.find()
        images = [read_idx(folder / name, 3) for name in FASHION_IMAGES]
        labels = [read_idx(folder / name, 1) for name in FASHION_LABELS]
        return image_dataset(
            "fashion-mnist",
            [grey(image) for image in images],
            labels,
            n_classes=10,
            validation_share=self.validation_share,
            train_size=self.train_size,
            licence="MIT",
            source="Fashion-MNIST, arXiv 1708.07747",
        )


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Images of your own: ``FOLDER/train/CLASS/*.png`` and ``FOLDER/test/CLASS/*.png``, also jpg, jpeg, bmp, gif, tif and webp.

    Classes are the names of the folders below ``train``, sorted; hidden folders and files that are no images are left out. Each image is scaled to the wanted size (bilinear) and to
    values in [0, 1]; colour images are then scaled per channel to mean 0 and variance 1 over the training part.

    Parameters
    ----------
    folder : holds ``train`` and ``test``.
    size : height and width in pixels.
    is_grey : one channel instead of three.
    validation_share : share of the training part that becomes the validation split.
    licence : what your images may be used for; goes into the cards of networks trained on them.
    """

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    folder: FolderName
    size: tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)]] = (32, 32)
    is_grey: bool = False
    validation_share: Share = 0.1
    licence: str = "not stated"

    def load(self) -> Dataset:
        """Return the three splits.

        Raises
        ------
        DataError
            When a folder is missing, a class has fewer than two images to learn from, the test part has a class that the training
            part has not, or images cannot be read or have more than 8 bits per value.
        """
        from edgesim.nn.data.files import read_image_folders

        base = Path(self.folder).expanduser()
        parts, labels, classes = read_image_folders(base, self.size, is_grey=self.is_grey)
        images = [grey(part[:, 0]) for part in parts] if self.is_grey else standardised(parts)
        return image_dataset(
            base.name,
            images,
            labels,
            n_classes=len(classes),
            validation_share=self.validation_share,
            train_size=None,
            licence=self.licence,
            source=f"images of the user, classes {', '.join(classes)}",
        )
