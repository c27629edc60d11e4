"""Readers of the files in which image data sets are published."""

from __future__ import annotations

import gzip
import pickle
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
_DEEP_MODES = ("I", "F")
"""How names of image modes begin that hold more than 8 bits per value, which would be cut off at 255."""
_N_NAMED = 5
"""So many broken images are named."""
# what pickle raises on files that are none, by its documentation
_UNPICKLING_ERRORS = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, ImportError)
# what Pillow's decoders raise besides OSError on damaged files
_DECODING_ERRORS = (SyntaxError, EOFError, ValueError, IndexError, struct.error, zlib.error)
_ARRAY_PARTS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


def read_idx(path: Path, n_axes: int) -> NDArray[np.uint8]:
    """Return the array of an IDX file of bytes, packed with gzip or not.

    Parameters
    ----------
    path : the file's name without ``.gz``.
    n_axes : axes that the array must have.

    Raises
    ------
    DataError
        When it is not such a file, or is cut off.
    """
    packed = path.with_name(path.name + ".gz")
    try:
        content = path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    n_header = 4 + 4 * n_axes
    if len(content) < n_header or content[:4] != bytes((0, 0, 8, n_axes)):
        raise DataError(f"{path}: is no IDX file of bytes with {n_axes} axes; get it anew")
    shape = struct.unpack(f">{n_axes}I", content[4:n_header])
    values = np.frombuffer(content, np.uint8, offset=n_header)
    if len(values) != int(np.prod(shape)):
        raise DataError(f"{path}: holds {len(values)} values instead of {'x'.join(map(str, shape))}; get it anew")
    return values.reshape(shape)


def read_cifar(paths: Sequence[Path], label_key: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images, shape (n, 3, 32, 32), and labels of files of the python version of CIFAR, one behind the other.

    Parameters
    ----------
    paths : the files.
    label_key : what the labels are called there.

    Raises
    ------
    DataError
        When a file is not of that version, or is cut off. Nothing but arrays is unpickled.
    """
    images, labels = [], []
    for path in paths:
        try:
            with path.open("rb") as file:
                batch = _ArrayUnpickler(file, encoding="bytes").load()
            images.append(np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32))
            labels.append(np.asarray(batch[label_key.encode()], dtype=np.uint8))
        except (OSError, *_UNPICKLING_ERRORS, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{path}: is no file of the python version of CIFAR ({error}); get it anew") from error
        if len(images[-1]) != len(labels[-1]):
            raise DataError(f"{path}: has {len(images[-1])} images but {len(labels[-1])} labels; get it anew")
    return np.concatenate(images), np.concatenate(labels)


class _ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries, lists, texts, numbers and arrays, and refuses everything else, which could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")
        return super().find_class(module, name)


def read_image_folders(
    base: Path, size: tuple[int, int], *, is_grey: bool
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]], tuple[str, ...]]:
    """Return images (n, channels, height, width) and labels of the training and the test part, and the classes.

    Raises
    ------
    DataError
        When a folder or its images are missing, classes do not match, or images cannot be read: it names several.
    """
    classes = _classes(base / "train")
    strange = sorted(set(_classes(base / "test")) - set(classes))
    if strange:
        raise DataError(f"{base / 'test' / strange[0]}: there is no class {strange[0]!r} in {base / 'train'}")
    if len(classes) > 256:
        raise DataError(f"{base / 'train'}: has {len(classes)} classes; at most 256 can be read")
    images, labels = [], []
    for part in ("train", "test"):
        found = [
            (path, label)
            for label, name in enumerate(classes)
            for path in sorted((base / part / name).glob("*"))
            if path.suffix.lower() in _IMAGE_SUFFIXES
        ]
        if not found:
            raise DataError(f"{base / part}: holds no images; expected {part}/CLASS/*.png (or jpg, jpeg, bmp, gif)")
        empty = [name for label, name in enumerate(classes) if all(label != one for _, one in found)]
        if part == "train" and empty:
            raise DataError(f"{base / part / empty[0]}: holds no images; a class without images cannot be learnt")
        images.append(_read_images([path for path, _ in found], size, is_grey=is_grey))
        labels.append(np.array([label for _, label in found], dtype=np.uint8))
    few = [name for label, name in enumerate(classes) if np.count_nonzero(labels[0] == label) < 2]
    if few:
        raise DataError(
            f"{base / 'train' / few[0]}: holds one image; two are the least, since some of each class are kept for validation"
        )
    return images, labels, classes


def _read_images(paths: Sequence[Path], size: tuple[int, int], *, is_grey: bool) -> NDArray[np.uint8]:
    images, broken = [], []
    for path in paths:
        try:
            images.append(_read_image(path, size, is_grey=is_grey))
        except DataError as error:
            broken.append(str(error))
    if broken:
        more = f"; and {len(broken) - _N_NAMED} more" if len(broken) > _N_NAMED else ""
        raise DataError("; ".join(broken[:_N_NAMED]) + more)
    return np.stack(images)


def _classes(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; an image-folder has train/CLASS/ and test/CLASS/")
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _read_image(path: Path, size: tuple[int, int], *, is_grey: bool) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    height, width = size
    try:
        with Image.open(path) as image:
            if image.mode.startswith(_DEEP_MODES):
                raise DataError(f"{path}: has more than 8 bits per value (mode {image.mode}); convert it to 8 bits")
            scaled = image.convert("L" if is_grey else "RGB").resize((width, height), Image.Resampling.BILINEAR)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, *_DECODING_ERRORS) as error:
        raise DataError(f"{path}: is no image that can be read: {error}") from error
    array = np.asarray(scaled, dtype=np.uint8)
    return array[None] if is_grey else array.transpose(2, 0, 1)


def check_parts(name: str, inputs: list[NDArray[np.float32]], labels: list[NDArray[np.uint8]], n_classes: int) -> None:
    """Refuse a training and a test part that do not belong together.

    Parameters
    ----------
    name : of the data set.
    inputs : images of the two parts, shape (n, channels, height, width).
    labels : of the two parts, shape (n,).
    n_classes : labels are below it.

    Raises
    ------
    DataError
        When numbers of images and labels differ, a label is no class, or images differ in shape.
    """
    for part, images, marks in zip(("training", "test"), inputs, labels, strict=True):
        if len(images) != len(marks):
            raise DataError(f"{name}: the {part} part has {len(images)} images but {len(marks)} labels; get it anew")
        if len(marks) and marks.max() >= n_classes:
            raise DataError(
                f"{name}: the {part} part has label {marks.max()}, but classes are 0 to {n_classes - 1}; get it anew"
            )
    train, test = ("x".join(map(str, images.shape[1:])) for images in inputs)
    if train != test:
        raise DataError(f"{name}: training images are {train}, test images {test}; get it anew")
