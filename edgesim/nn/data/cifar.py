"""CIFAR-10 and CIFAR-100 from the files of their published python versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgesim.domain.networks.samples import Dataset, SampleKind
from edgesim.domain.places import FolderName
from edgesim.nn.data.folders import find_folder
from edgesim.nn.data.images import image_dataset, standardised
from edgesim.nn.data.splits import Share, TrainSize


@dataclass(frozen=True, slots=True)
class _Version:
    """What the python version of one of the sets holds: the files of the training and of the test part, and its labels."""

    name: str
    folder_name: str
    files: tuple[tuple[str, ...], tuple[str, ...]]
    label_key: str
    n_classes: int


@dataclass(frozen=True, slots=True)
class _CIFAR:
    folder: FolderName | None = None
    validation_share: Share = 0.1
    train_size: TrainSize = None

    kind_of_samples: ClassVar[SampleKind] = "images of one class each"
    version: ClassVar[_Version]

    def find(self) -> Path:
        """Return the folder of the files, without reading them. Raises `DataError` when they are not there."""
        train, test = self.version.files
        return find_folder(
            self.version.name,
            self.folder,
            files=(*train, *test),
            names=(self.version.folder_name,),
            remedy=f"get the python version of {self.version.name.upper()} from its author's page (A. Krizhevsky), unpack it there",
        )

    def load(self) -> Dataset:
        """Return the three splits; inputs have shape (n, 3, 32, 32). Raises `DataError` when the files are missing."""
        from edgesim.nn.data.files import read_cifar

        version, folder = self.version, self.find()
        parts = [read_cifar([folder / file for file in part], version.label_key) for part in version.files]
        return image_dataset(
            version.name,
            standardised([images for images, _ in parts]),
            [labels for _, labels in parts],
            n_classes=version.n_classes,
            validation_share=self.validation_share,
            train_size=self.train_size,
            licence="none stated",
            source=f"{version.name.upper()}, A. Krizhevsky, 2009",
        )


@dataclass(frozen=True, slots=True)
class CIFAR10(_CIFAR):
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

    version = _Version(
        name="cifar-10",
        folder_name="cifar-10-batches-py",
        files=(("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"), ("test_batch",)),
        label_key="labels",
        n_classes=10,
    )


@dataclass(frozen=True, slots=True)
class CIFAR100(_CIFAR):
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

    version = _Version(
        name="cifar-100",
        folder_name="cifar-100-python",
        files=(("train",), ("test",)),
        label_key="fine_labels",
        n_classes=100,
    )
