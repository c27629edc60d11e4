"""Data sets: names -> training, validation and test splits as numpy arrays. Importing this needs neither torch nor numpy.

Each set has a fixed test part. The validation split is drawn once and for all from the training part, within each class
(stratified) with scikit-learn's `train_test_split` and seed 0, so that every study sees the same three splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Lt

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.augmentations import OF_IMAGES
from edgesim.nn.data.folders import find_folder
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Share = Annotated[float, Gt(0), Lt(1)]
TrainSize = Annotated[int, Ge(1)] | None
IMAGES = "images"
"""The only input of data sets of images, shape (n, channels, height, width)."""
Parts = tuple[tuple[str, ...], tuple[str, ...]]
CIFAR10_FILES: Parts = (tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",))
CIFAR100_FILES: Parts = (("train",), ("test",))
"""The files of the training and of the test part."""
FASHION_LABELS = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
FASHION_IMAGES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")


@dataclass(frozen=True, slots=True)
class Digits:
    """Handwritten digits of scikit-learn: 1,797 grey images of 8x8 pixels, 10 classes.

    Values 0 ... 16 are scaled to [0, 1]. The splits are fixed, so that every study sees the same test samples: 60 % train,
    20 % validation, 20 % test, drawn at random within each class (stratified) with scikit-learn's `train_test_split` and
    seed 0. They are disjoint. Writers are not known, so one writer's digits may stand in several splits.

    Parameters
    ----------
    train_size : train on so many samples only, drawn within each class; all by default.

    References
    ----------
    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    doi 10.24432/C50P49; scikit-learn ships its test part.
    """

    train_size: TrainSize = None

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 1, 8, 8)."""
        import numpy as np
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        inputs, labels = load_digits(return_X_y=True)
        inputs = np.ascontiguousarray(inputs.reshape(-1, 1, 8, 8) / 16.0, dtype=np.float32)
        labels = labels.astype(np.int64)
        rest, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
        train, validation = train_test_split(rest, test_size=0.25, stratify=labels[rest], random_state=0)
        return Dataset(
            name=_name("digits", self.train_size),
            train=_take(inputs, labels, _some("digits", train, labels, self.train_size)),
            validation=_take(inputs, labels, validation),
            test=_take(inputs, labels, test),
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
        return _dataset(
            _name("fashion-mnist", self.train_size),
            [_grey(image) for image in images],
            labels,
            n_classes=10,
            validation_share=self.validation_share,
            train_size=self.train_size,
            licence="MIT",
            source="Fashion-MNIST, arXiv 1708.07747",
        )


@dataclass(frozen=True, slots=True)
class CIFAR10:
    """CIFAR-10: 60,000 colour images of 32x32 pixels, 10 classes.

    Each channel is scaled to mean 0 and variance 1 over the whole training part. The 10,000 test images are the published ones.

    Parameters
    ----------
    folder : the folder ``cifar-10-batches-py`` of the published python version, or the one that holds it. Without it:
        ``cifar-10-batches-py`` in ``$EDGESIM_DATA_DIR`` and in the user's data directory of edgesim.
    validation_share : share of the training part that becomes the validation split.
    train_size : train on so many samples only, drawn within each class; all by default.

    References
    ----------
    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    folder: FolderName | None = None
    validation_share: Share = 0.1
    train_size: TrainSize = None

    def find(self) -> Path:
        """Return the folder of the files, without reading them. Raises `DataError` when they are not there."""
        return _cifar_folder("cifar-10", self.folder, CIFAR10_FILES, "cifar-10-batches-py")

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 3, 32, 32). Raises `DataError` when the files are missing."""
        return _cifar("cifar-10", self, files=CIFAR10_FILES, label_key="labels", n_classes=10)


@dataclass(frozen=True, slots=True)
class CIFAR100:
    """CIFAR-100: 60,000 colour images of 32x32 pixels, 100 classes (the fine labels).

    Each channel is scaled to mean 0 and variance 1 over the whole training part. The 10,000 test images are the published ones.

    Parameters
    ----------
    folder : the folder ``cifar-100-python`` of the published python version, or the one that holds it. Without it:
        ``cifar-100-python`` in ``$EDGESIM_DATA_DIR`` and in the user's data directory of edgesim.
    validation_share : share of the training part that becomes the validation split.
    train_size : train on so many samples only, drawn within each class; all by default.

    References
    ----------
    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    folder: FolderName | None = None
    validation_share: Share = 0.1
    train_size: TrainSize = None

    def find(self) -> Path:
        """Return the folder of the files, without reading them. Raises `DataError` when they are not there."""
        return _cifar_folder("cifar-100", self.folder, CIFAR100_FILES, "cifar-100-python")

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 3, 32, 32). Raises `DataError` when the files are missing."""
        return _cifar("cifar-100", self, files=CIFAR100_FILES, label_key="fine_labels", n_classes=100)


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
        images = [_grey(part[:, 0]) for part in parts] if self.is_grey else _standardised(parts)
        return _dataset(
            base.name,
            images,
            labels,
            n_classes=len(classes),
            validation_share=self.validation_share,
            train_size=None,
            licence=self.licence,
            source=f"images of the user, classes {', '.join(classes)}",
        )


def _cifar_folder(name: str, folder: str | None, files: Parts, folder_name: str) -> Path:
    return find_folder(
        name,
        folder,
        files=(*files[0], *files[1]),
        names=(folder_name,),
        remedy=f"get the python version of {name.upper()} from its author's page (A. Krizhevsky), unpack it there",
    )


def _cifar(
    name: str,
    options: CIFAR10 | CIFAR100,
    *,
    files: Parts,
    label_key: str,
    n_classes: int,
) -> Dataset:
    from edgesim.nn.data.files import read_cifar

    folder = options.find()
    parts = [read_cifar([folder / file for file in part], label_key) for part in files]
    return _dataset(
        _name(name, options.train_size),
        _standardised([images for images, _ in parts]),
        [labels for _, labels in parts],
        n_classes=n_classes,
        validation_share=options.validation_share,
        train_size=options.train_size,
        licence="none stated",
        source=f"{name.upper()}, A. Krizhevsky, 2009",
    )


def _name(name: str, train_size: int | None) -> str:
    return name if train_size is None else f"{name} ({train_size} training samples)"


def _dataset(
    name: str,
    inputs: list[NDArray[np.float32]],
    labels: list[NDArray[np.uint8]],
    *,
    n_classes: int,
    validation_share: float,
    train_size: int | None,
    licence: str,
    source: str,
) -> Dataset:
    """Divide (training part, test part) into the three splits."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    from edgesim.nn.data.files import check_parts

    check_parts(name, inputs, labels, n_classes)
    train_labels, test_labels = (part.astype(np.int64) for part in labels)
    try:
        train, validation = train_test_split(
            np.arange(len(train_labels)), test_size=validation_share, stratify=train_labels, random_state=0
        )
    except ValueError as error:
        raise DataError(f"{name}: the training part cannot be divided: {error}") from error
    train = _some(name, train, train_labels, train_size)
    return Dataset(
        name=name,
        train=_take(inputs[0], train_labels, np.sort(train)),
        validation=_take(inputs[0], train_labels, np.sort(validation)),
        test=Samples({IMAGES: inputs[1]}, test_labels),
        task=Classification(n_classes),
        augmentations=OF_IMAGES,
        licence=licence,
        source=source,
    )


def _some(name: str, train: NDArray[np.int64], labels: NDArray[np.int64], n_wanted: int | None) -> NDArray[np.int64]:
    """Draw some of the training samples within each class."""
    from sklearn.model_selection import train_test_split

    if n_wanted is None or n_wanted == len(train):
        return train
    some: NDArray[np.int64]
    try:
        some, _ = train_test_split(train, train_size=n_wanted, stratify=labels[train], random_state=0)
    except ValueError as error:
        raise DataError(f"{name}: train_size {n_wanted} of {len(train)} samples cannot be drawn: {error}") from error
    return some


def _grey(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale (n, height, width) to [0, 1], shape (n, 1, height, width)."""
    import numpy as np

    return np.ascontiguousarray(images[:, None], dtype=np.float32) / np.float32(255)


def _standardised(parts: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """Scale each channel to mean 0 and variance 1 over the first part; sums of whole numbers, so the same everywhere."""
    import numpy as np

    train = parts[0]
    n_values = train.size // train.shape[1]
    values = np.arange(256, dtype=np.float64)
    counts = np.stack([np.bincount(train[:, channel].ravel(), minlength=256) for channel in range(train.shape[1])])
    mean = counts @ values / n_values
    deviation = np.sqrt(np.maximum(counts @ values**2 / n_values - mean**2, 1.0))
    shift, scale = (array.astype(np.float32)[:, None, None] for array in (mean, deviation))
    return [(part.astype(np.float32) - shift) / scale for part in parts]


def _take(inputs: NDArray[np.float32], labels: NDArray[np.int64], indices: NDArray[np.int64]) -> Samples:
    return Samples({IMAGES: inputs[indices]}, labels[indices])
