"""Arrays of pixels -> samples of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.nn.data.augmentations import OF_IMAGES
from edgesim.nn.data.splits import divided, some_of
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGES = "images"
"""The only input of data sets of images, shape (n, channels, height, width)."""


def image_dataset(
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
    """Divide (training part, test part) into the three splits.

    Parameters
    ----------
    inputs : images of the two parts, shape (n, channels, height, width).
    labels : of the two parts, shape (n,), below `n_classes`.
    validation_share : share of the training part that validates.
    train_size : train on so many samples of the rest, None: on all.

    Raises
    ------
    DataError
        When the parts do not belong together, or cannot be divided within each class.
    """
    import numpy as np

    from edgesim.nn.data.files import check_parts

    check_parts(name, inputs, labels, n_classes)
    train_labels, test_labels = (part.astype(np.int64) for part in labels)
    train, validation = divided(name, np.arange(len(train_labels)), train_labels, validation_share)
    train = some_of(name, train, train_labels, train_size)
    return Dataset(
        name=sized(name, train_size),
        train=samples_at(inputs[0], train_labels, np.sort(train)),
        validation=samples_at(inputs[0], train_labels, np.sort(validation)),
        test=Samples({IMAGES: inputs[1]}, test_labels),
        task=Classification(n_classes),
        augmentations=OF_IMAGES,
        licence=licence,
        source=source,
    )


def sized(name: str, train_size: int | None) -> str:
    """Return what a data set is called when it trains on so many samples only.

    >>> sized("digits", 100), sized("digits", None)
    ('digits (100 training samples)', 'digits')
    """
    return name if train_size is None else f"{name} ({train_size} training samples)"


def samples_at(inputs: NDArray[np.float32], labels: NDArray[np.int64], indices: NDArray[np.int64]) -> Samples:
    """Return some of the images with their labels."""
    return Samples({IMAGES: inputs[indices]}, labels[indices])


def grey(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale (n, height, width) to [0, 1], shape (n, 1, height, width).

    >>> import numpy as np
    >>> grey(np.array([[[0, 51, 255]]], dtype=np.uint8)).tolist() == [[[[0.0, np.float32(0.2), 1.0]]]]
    True
    """
    import numpy as np

    return np.ascontiguousarray(images[:, None], dtype=np.float32) / np.float32(255)


def standardised(parts: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """Scale each channel to mean 0 and variance 1 over the first part; sums of whole numbers, so the same everywhere.

    A first part of the pixels 10 and 14 has the mean 12 and the deviation 2:

    >>> import numpy as np
    >>> train, test = np.array([[[[10, 14]]]], dtype=np.uint8), np.array([[[[12, 18]]]], dtype=np.uint8)
    >>> [part.ravel().tolist() for part in standardised([train, test])]
    [[-1.0, 1.0], [0.0, 3.0]]
    """
    import numpy as np

    train = parts[0]
    n_values = train.size // train.shape[1]
    values = np.arange(256, dtype=np.float64)
    counts = np.stack([np.bincount(train[:, channel].ravel(), minlength=256) for channel in range(train.shape[1])])
    mean = counts @ values / n_values
    deviation = np.sqrt(np.maximum(counts @ values**2 / n_values - mean**2, 1.0))
    shift, scale = (array.astype(np.float32)[:, None, None] for array in (mean, deviation))
    return [(part.astype(np.float32) - shift) / scale for part in parts]
