from __future__ import annotations

import gzip
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesim.errors import DataError
from edgesim.nn.data.cifar import CIFAR10, CIFAR100
from edgesim.nn.data.datasets import FashionMNIST, ImageFolder
from edgesim.nn.data.folders import FOLDER_VARIABLE

RNG = np.random.default_rng(0)


def write_idx(path: Path, array: np.ndarray, *, is_packed: bool) -> None:
    content = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    if is_packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def write_fashion(folder: Path, *, is_packed: bool, n: int = 100) -> np.ndarray:
    folder.mkdir(parents=True)
    images = RNG.integers(256, size=(n, 28, 28), dtype=np.uint8)
    labels = np.arange(n, dtype=np.uint8) % 10
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images-idx3-ubyte", images, is_packed=is_packed)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels, is_packed=is_packed)
    return images


def write_cifar100(folder: Path, n: int = 1000) -> np.ndarray:
    folder.mkdir(parents=True)
    data = RNG.integers(256, size=(n, 3072), dtype=np.uint8)
    for name in ("train", "test"):
        content = {b"data": data, b"fine_labels": [index % 100 for index in range(n)], b"batch_label": b"x"}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return data


@pytest.mark.parametrize("is_packed", [True, False])
def test_idx_files_packed_or_not(tmp_path: Path, *, is_packed: bool) -> None:
    """Values are pixel / 255; a tenth of the training part validates; the test part stays as it is."""
    images = write_fashion(tmp_path / "f", is_packed=is_packed)
    data = FashionMNIST(folder=str(tmp_path / "f")).load()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [90, 10, 100]
    np.testing.assert_array_equal(np.round(data.test.only[:, 0] * 255), images)
    assert data.inputs["images"].shape == (1, 28, 28)
    assert sorted(data.validation.targets) == list(range(10))


def test_train_and_validation_are_the_training_part(tmp_path: Path) -> None:
    """Every image once; the split is the same each time, also when fewer samples are trained on."""
    images = (
        write_fashion(tmp_path, is_packed=True)
        if not tmp_path.exists()
        else write_fashion(tmp_path / "f", is_packed=True)
    )
    folder = str(tmp_path / "f")
    data, again, few = (FashionMNIST(folder=folder, train_size=size).load() for size in (None, None, 30))
    rows = np.concatenate([data.train.only, data.validation.only]).reshape(100, -1) * 255
    assert sorted(map(tuple, np.round(rows).astype(int))) == sorted(map(tuple, images.reshape(100, -1).astype(int)))
    assert np.array_equal(data.train.only, again.train.only)
    assert np.array_equal(data.validation.only, few.validation.only)
    assert sorted(few.train.targets) == sorted(list(range(10)) * 3)
    assert few.name == "fashion-mnist (30 training samples)"


def test_cifar_in_its_published_layout(tmp_path: Path) -> None:
    """The folder itself or what holds it; each channel has mean 0 and variance 1 over the training part."""
    pixels = write_cifar100(tmp_path / "cifar-100-python")
    data = CIFAR100(folder=str(tmp_path)).load()
    assert data.inputs["images"].shape == (3, 32, 32)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [900, 100, 1000]
    everything = np.concatenate([data.train.only, data.validation.only])
    np.testing.assert_allclose(everything.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(everything.std(axis=(0, 2, 3)), 1, atol=1e-4)
    # red, green, blue planes, each row by row
    red = pixels[:, :1024].astype(float)
    np.testing.assert_allclose(data.test.only[0, 0].ravel(), (red[0] - red.mean()) / red.std(), rtol=1e-4, atol=1e-4)
    again = CIFAR100(folder=str(tmp_path / "cifar-100-python")).load()
    assert np.array_equal(again.train.targets, data.train.targets)


def test_cifar_10_reads_all_five_batches(tmp_path: Path) -> None:
    """In order."""
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        content = {b"data": np.full((20, 3072), number, np.uint8), b"labels": [index % 10 for index in range(20)]}
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=2))
    data = CIFAR10(folder=str(tmp_path)).load()
    assert len(data.train) + len(data.validation) == 100
    assert len(np.unique(np.concatenate([data.train.only, data.validation.only]))) == 5
    assert data.task.classes == 10


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (FashionMNIST(), "apt-get install dataset-fashion-mnist"),
        (CIFAR10(), "get the python version of CIFAR-10"),
        (CIFAR100(), "get the python version of CIFAR-100"),
    ],
)
def test_a_missing_set_says_where_it_looked_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: FashionMNIST | CIFAR10 | CIFAR100, remedy: str
) -> None:
    """By option or by environment variable; the variable is named as well."""
    from dataclasses import replace

    monkeypatch.setattr("edgesim.nn.data.folders.has_file", lambda _: False)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "sets"))
    with pytest.raises(DataError, match=remedy) as caught:
        source.load()
    assert str(tmp_path / "sets") in str(caught.value)
    assert FOLDER_VARIABLE in str(caught.value)
    with pytest.raises(DataError, match=f"looked in {tmp_path}/mine"):
        replace(source, folder=str(tmp_path / "mine")).load()


def test_the_environment_variable_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the set's usual name below it."""
    write_fashion(tmp_path / "fashion-mnist", is_packed=False)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert len(FashionMNIST().load().test) == 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x00\x08\x01", "no IDX file of bytes with 3 axes"),
        (bytes((0, 0, 8, 3)) + struct.pack(">3I", 9, 28, 28), "0 values instead of 9x28x28"),
    ],
)
def test_a_damaged_idx_file(tmp_path: Path, content: bytes, message: str) -> None:
    """The message names the file."""
    write_fashion(tmp_path / "f", is_packed=False)
    (tmp_path / "f" / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=f"t10k-images-idx3-ubyte: .*{message}"):
        FashionMNIST(folder=str(tmp_path / "f")).load()


def idx(values: np.ndarray) -> bytes:
    return (
        bytes((0, 0, 8, values.ndim))
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.astype(np.uint8).tobytes()
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", idx(np.arange(110) % 10), "the training part has 100 images but 110 labels"),
        ("t10k-labels-idx1-ubyte", idx(np.arange(99) % 10), "the test part has 100 images but 99 labels"),
        ("t10k-labels-idx1-ubyte", idx(np.arange(100) % 11), "the test part has label 10, but classes are 0 to 9"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((100, 14, 28))), "training images are 1x28x28, test images 1x14x28"),
    ],
)
def test_images_and_labels_that_do_not_belong_together(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """Files of two sets in one folder: what does not fit is said, and nothing is trained on it."""
    write_fashion(tmp_path / "f", is_packed=False)
    (tmp_path / "f" / name).write_bytes(content)
    with pytest.raises(DataError, match=f"fashion-mnist: {message}"):
        FashionMNIST(folder=str(tmp_path / "f")).load()


def test_a_damaged_packed_file(tmp_path: Path) -> None:
    """Wherever it is damaged."""
    write_fashion(tmp_path / "f", is_packed=True)
    path = tmp_path / "f" / "t10k-labels-idx1-ubyte.gz"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            FashionMNIST(
                folder=str(tmp_path / "f")
            ).load()  # the header holds a time and a system, which may be anything
        except DataError as error:
            assert "t10k-labels-idx1-ubyte" in str(error) or "fashion-mnist: " in str(error)  # noqa: PT017
        else:
            assert at < 10


@pytest.mark.parametrize("labels", [[300], [-1]])
def test_labels_that_are_none(tmp_path: Path, labels: list[int]) -> None:
    """Numbers that no class can have."""
    for name in ("train", "test"):
        content = {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": labels}
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match="is no file of the python version of CIFAR"):
        CIFAR100(folder=str(tmp_path)).load()


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    """Only arrays are unpickled."""

    class Evil:
        def __reduce__(self) -> tuple:
            return os.system, ("true",)

    for name in ("train", "test"):
        (tmp_path / name).write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(DataError, match="which is no array"):
        CIFAR100(folder=str(tmp_path)).load()


def write_images(base: Path, classes: tuple[str, ...] = ("cat", "dog"), n: int = 10) -> None:
    from PIL import Image

    for part in ("train", "test"):
        for label, name in enumerate(classes):
            (base / part / name).mkdir(parents=True)
            for index in range(n):
                Image.new("RGB", (20, 10), (100 * label, 50, index)).save(base / part / name / f"{index}.png")


def test_an_image_folder(tmp_path: Path) -> None:
    """Classes are the folders in order; images are scaled to one size; grey ones to [0, 1]."""
    write_images(tmp_path)
    data = ImageFolder(folder=str(tmp_path), size=(8, 12)).load()
    assert data.inputs["images"].shape == (3, 8, 12)
    assert (data.task.classes, len(data.train), len(data.validation), len(data.test)) == (2, 18, 2, 20)
    grey = ImageFolder(folder=str(tmp_path), size=(8, 8), is_grey=True).load()
    assert grey.inputs["images"].shape == (1, 8, 8)
    assert grey.train.only.min() >= 0
    assert grey.train.only.max() <= 1


def test_what_is_wrong_with_an_image_folder(tmp_path: Path) -> None:
    """No folder, no images, a class that only the test part has, a file that is no image."""
    with pytest.raises(DataError, match="there is no such folder; an image-folder has train/CLASS/"):
        ImageFolder(folder=str(tmp_path)).load()
    write_images(tmp_path / "a")
    (tmp_path / "a" / "test" / "cow").mkdir()
    with pytest.raises(DataError, match="there is no class 'cow'"):
        ImageFolder(folder=str(tmp_path / "a")).load()
    write_images(tmp_path / "b")
    (tmp_path / "b" / "train" / "cat" / "0.png").write_text("no image")
    with pytest.raises(DataError, match=r"0\.png: is no image"):
        ImageFolder(folder=str(tmp_path / "b")).load()
    (tmp_path / "c" / "train" / "cat").mkdir(parents=True)
    (tmp_path / "c" / "test" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images"):
        ImageFolder(folder=str(tmp_path / "c")).load()


def test_the_real_fashion_mnist() -> None:
    """Sizes, classes and mean pixel of the published set (0.2860 over its training images)."""
    try:
        data = FashionMNIST().load()
    except DataError as error:
        pytest.skip(f"Fashion-MNIST is not on this machine: {error}")
    assert [len(split) for split in (data.train, data.validation, data.test)] == [54000, 6000, 10000]
    assert np.bincount(data.test.targets).tolist() == [1000] * 10
    mean = (data.train.only.mean() * 54000 + data.validation.only.mean() * 6000) / 60000
    assert mean == pytest.approx(0.2860, abs=1e-4)


def test_the_real_cifar_100() -> None:
    """Sizes and classes of the published set."""
    try:
        data = CIFAR100().load()
    except DataError as error:
        pytest.skip(f"CIFAR-100 is not on this machine: {error}")
    assert [len(split) for split in (data.train, data.validation, data.test)] == [45000, 5000, 10000]
    assert np.bincount(data.test.targets).tolist() == [100] * 100


def test_more_training_samples_than_there_are(tmp_path: Path) -> None:
    """The message names both numbers; also fewer than one for each class."""
    write_fashion(tmp_path / "f", is_packed=True)
    for size in (91, 5):
        with pytest.raises(DataError, match=f"train_size {size} of 90 samples cannot be drawn"):
            FashionMNIST(folder=str(tmp_path / "f"), train_size=size).load()


def shapes(folder: Path, n: int = 4) -> Path:
    """Classes a and b with `n` images each, in both parts."""
    for part in ("train", "test"):
        for number, name in enumerate("ab"):
            (folder / part / name).mkdir(parents=True)
            for index in range(n):
                Image.new("RGB", (5 + index, 6), (40 * index, 90 * number, 7)).save(
                    folder / part / name / f"{index}.png"
                )
    return folder


def test_odd_files_beside_the_images_change_nothing(tmp_path: Path) -> None:
    """Hidden folders, texts, links to images, grey, palette and alpha among colours."""
    folder = shapes(tmp_path / "shapes")
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    (folder / "train" / "a" / "notes.txt").write_text("none")
    (folder / "train" / "a" / "linked.png").symlink_to(folder / "train" / "a" / "0.png")
    for mode in ("L", "P", "RGBA", "LA", "1"):
        Image.new(mode, (9, 4)).save(folder / "train" / "b" / f"mode {mode}.png")
    Image.new("RGB", (9, 4)).save(folder / "train" / "b" / "other.webp")
    dataset = ImageFolder(str(folder), size=(8, 8), validation_share=0.5).load()
    assert dataset.task.classes == 2
    assert len(dataset.train) + len(dataset.validation) == 4 + 1 + 4 + 6
    assert dataset.inputs["images"].shape == (3, 8, 8)


def test_broken_images_are_named_together(tmp_path: Path) -> None:
    """Cut off, no image at all, a link to nowhere, a folder, and one of 16 bits, whose values would be cut off at 255."""
    folder = shapes(tmp_path / "shapes")
    place = folder / "train" / "a"
    Image.fromarray(RNG.integers(256, size=(30, 30, 3), dtype=np.uint8)).save(place / "cut.png")
    (place / "cut.png").write_bytes((place / "cut.png").read_bytes()[:1000])
    (place / "text.png").write_text("none")
    (place / "gone.png").symlink_to(place / "nowhere.png")
    (place / "folder.png").mkdir()
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(place / "deep.png")
    with pytest.raises(DataError) as error:
        ImageFolder(str(folder), size=(8, 8)).load()
    for name in ("cut", "text", "gone", "folder"):
        assert f"{place / name}.png: is no image that can be read" in str(error.value)
    assert f"{place / 'deep.png'}: has more than 8 bits per value (mode I;16)" in str(error.value)


def test_classes_that_cannot_be_learnt_are_refused(tmp_path: Path) -> None:
    """One without images, one with a single one."""
    folder = shapes(tmp_path / "shapes")
    (folder / "train" / "c").mkdir()
    with pytest.raises(DataError, match="train/c: holds no images; a class without images cannot be learnt"):
        ImageFolder(str(folder), size=(8, 8)).load()
    Image.new("RGB", (5, 5)).save(folder / "train" / "c" / "only.png")
    with pytest.raises(DataError, match="train/c: holds one image; two are the least"):
        ImageFolder(str(folder), size=(8, 8)).load()
