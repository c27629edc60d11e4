"""Tiles of land cover by hand and what is refused; a U-Net: what it has, that it is cut exactly, and that it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import DataError, EdgesimError
from edgesim.nn.data.packages.land_cover import LandCover
from edgesim.nn.models.maps.unet import UNet
from edgesim.nn.train.sound import check_dataset
from edgesim.strategies.layers.chain import Chain
from edgesim.strategies.modnn import MoDNN
from edgesim.tasks.dense_classification import DenseClassification
from edgesim.testing import check_strategy, deployment_context

if TYPE_CHECKING:
    from pathlib import Path

    from edgesim.interfaces import Strategy

BANDS = (10, 20)
INPUTS, OUTPUT = {"bands": TensorSpec((2, 8, 8))}, TensorSpec((3, 8, 8))


def write(folder: Path, name: str, raster: np.ndarray) -> None:
    Image.fromarray(raster.astype(np.float32)).save(folder / f"{name}.tif")


def landscape(folder: Path) -> LandCover:
    """12 x 8 pixels in six blocks of 4; the number of a pixel is in band 10, and its class is that of its block."""
    number = np.arange(96.0).reshape(12, 8)
    covers = np.kron(np.arange(1, 7).reshape(3, 2), np.ones((4, 4)))
    write(folder, "lsat7_2000_10", number)
    write(folder, "lsat7_2000_20", 2 * number)
    write(folder, "strata", covers)
    return LandCover(str(folder), tile=2, block=4, folds=3, bands=BANDS)


def test_blocks_go_as_wholes_into_one_split(tmp_path: Path) -> None:
    """Six blocks in three folds: two of each split; four tiles of 2 pixels each, nine that overlap by half in training, in eight orientations."""
    options = landscape(tmp_path)
    dataset = options.load()
    check_dataset(dataset)
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [2 * 9 * 8, 2 * 4, 2 * 4]
    classes = [set(np.unique(split.targets)) for split in (dataset.train, dataset.validation, dataset.test)]
    assert [len(some) for some in classes] == [2, 2, 2]
    assert set.union(*classes) == set(range(6)), "no block is in two splits"
    assert dataset.task == DenseClassification(7, (2, 2))


def test_targets_turn_with_their_pixels(tmp_path: Path) -> None:
    """Class and pixel go together in all eight orientations: here each pixel has a class of its own number modulo 7."""
    options = landscape(tmp_path)
    number = np.arange(96.0).reshape(12, 8)
    write(tmp_path, "strata", number % 7 + 1)
    train = options.load().train
    seen = train.only[:, 0]
    scale = np.unique(np.diff(np.unique(seen)))[0]  # of one pixel to the next
    pixel = np.rint((seen - seen.min()) / scale).astype(int)
    assert len(
        {(tuple(one.ravel()), tuple(other.ravel())) for one, other in zip(pixel, train.targets, strict=True)}
    ) == len(train)
    assert len({(a - b) % 7 for a, b in zip(pixel.ravel(), train.targets.ravel(), strict=True)}) == 1


def test_training_is_scaled_and_the_others_by_it(tmp_path: Path) -> None:
    dataset = landscape(tmp_path).load()
    assert np.abs(dataset.train.only.mean(axis=(0, 2, 3))).max() < 1e-5
    assert np.abs(dataset.train.only.std(axis=(0, 2, 3)) - 1).max() < 1e-5
    assert np.abs(dataset.test.only.mean()) > 1e-3


def test_tiles_with_a_missing_pixel_are_left_out(tmp_path: Path) -> None:
    """One pixel without band 20, in each block in turn: a tile of the other splits goes, or four overlapping ones in eight orientations."""
    options, number = landscape(tmp_path), np.arange(96.0).reshape(12, 8)
    lost = []
    for row, column in ((1, 1), (1, 5), (5, 1), (5, 5), (9, 1), (9, 5)):
        band = 2 * number
        band[row, column] = -99999
        write(tmp_path, "lsat7_2000_20", band)
        dataset = options.load()
        lost.append((8 + 8 - len(dataset.validation) - len(dataset.test), 2 * 9 * 8 - len(dataset.train)))
    assert sorted(lost) == [(0, 32), (0, 32), (1, 0), (1, 0), (1, 0), (1, 0)]


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"fold": 3}, "3 folds, from 0 to 2, and no fold 3"),
        ({"tile": 3, "block": 6}, "tiles of 3 pixels have no middle, .*; give an even tile"),
        ({"block": 5}, "blocks of 5 pixels are not divided by tiles of 2; give a multiple as block, e.g. 4"),
        ({"bands": (10, 10)}, "a band stands twice"),
        ({"bands": (10, 70)}, "there is no file .*lsat7_2000_70.tif"),
        ({"tile": 8, "block": 8}, "1 blocks of 8 pixels have tiles of 8 pixels that are whole, but there are 3 folds"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, object], finding: str) -> None:
    landscape(tmp_path)
    with pytest.raises(EdgesimError, match=finding):
        LandCover(**{"folder": str(tmp_path), "tile": 2, "block": 4, "folds": 3, "bands": BANDS, **options}).load()  # type: ignore[arg-type]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    options = landscape(tmp_path)
    write(tmp_path, "lsat7_2000_20", np.zeros((12, 9)))
    with pytest.raises(DataError, match=r"lsat7_2000_20.tif has 12x9 pixels, but strata.tif has 12x8"):
        options.load()
    Image.new("RGB", (8, 12)).save(tmp_path / "lsat7_2000_20.tif")
    with pytest.raises(DataError, match=r"lsat7_2000_20.tif has 3 bands; expected one"):
        options.load()
    (tmp_path / "lsat7_2000_20.tif").write_bytes(b"II*\x00")
    with pytest.raises(DataError, match=r"lsat7_2000_20.tif is damaged"):
        options.load()


def test_the_real_land_is_that_which_is_known() -> None:
    """Every tile is tested once: 487 of 16 pixels, 28.5 m a pixel, are 101 square kilometres."""
    try:
        folds = [LandCover(fold=fold).load() for fold in range(5)]
    except DataError as error:
        pytest.skip(f"NOT tested on the real land: {error}")
    assert [len(fold.test) for fold in folds] == [100, 99, 99, 93, 96]
    assert [len(fold.train) for fold in folds] == [6888, 6904, 6984, 7024, 6928]
    model = UNet().build(folds[0].inputs, folds[0].task.output)
    assert sum(parameter.numel() for parameter in model.parameters()) == 119_127


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return UNet(width=4).build(INPUTS, OUTPUT).eval()


def test_parameters_by_hand() -> None:
    assert sum(parameter.numel() for parameter in network().parameters()) == 9 * 2 * 4 + 459 * 16 + 40 * 4 + 3 * 4 + 3


def test_a_second_network_is_one_channel_more() -> None:
    """The first network does not see it: the same weights, and the same answers without it."""
    torch.manual_seed(0)
    both = UNet(width=4, second=2).build(INPUTS, TensorSpec((4, 8, 8))).eval()
    one, image = network(), torch.randn(1, 2, 8, 8)
    assert torch.equal(both(image)[:, :3], one(image))
    assert both(image).shape == (1, 4, 8, 8)
    with pytest.raises(DataError, match="answers with at least two channels"):
        UNet(second=2).build(INPUTS, TensorSpec((1, 8, 8)))


@pytest.mark.parametrize(
    "strategy",
    [MoDNN("hub", owner_computes=True, execution="halo"), MoDNN("hub", cut="channels"), Chain(("hub", "w1"))],
)
def test_it_is_cut_exactly(strategy: Strategy) -> None:
    """By rows over four devices, by channels, and in a chain of two; a lost message leaves an answer or none."""
    profile = DeviceProfile(
        "x", dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9), 1e10, 0, 2**30, 1, 2, 2, 2, "assumed"
    )
    ids = ("w1", "w2", "w3")
    links = [Link(f"{a}->{b}", a, b, 1e7) for i in ids for a, b in (("hub", i), (i, "hub"))]
    star = Topology(tuple(Device(i, profile) for i in ("hub", *ids)), tuple(links))
    rng = np.random.default_rng(0)
    splits = [
        Samples({"bands": rng.normal(size=(3, 2, 8, 8)).astype(np.float32)}, rng.integers(3, size=(3, 8, 8)))
        for _ in range(3)
    ]
    dataset = Dataset("drawn", *splits, DenseClassification(3, (8, 8)), "none", "drawn")
    check_strategy(strategy, deployment_context(network(), dataset, star, source_id="hub", sink_id="hub"))


def test_it_sees_across_and_learns() -> None:
    """The sign of a pixel is its class, known from the pixel itself; that of the whole image, from afar."""
    rng = np.random.default_rng(0)
    bands = torch.from_numpy(rng.normal(size=(16, 2, 8, 8)).astype(np.float32))
    bands[::2, 1] += 2
    wanted = (bands[:, 0] > 0).long() + (bands[:, 1].mean(dim=(1, 2)) > 1).long()[:, None, None]
    net, task = network().train(), DenseClassification(3, (8, 8))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        task.loss(net(bands), wanted).backward()
        optimizer.step()
    assert (net(bands).argmax(dim=1) == wanted).float().mean() > 0.95


@pytest.mark.parametrize(
    ("inputs", "output", "finding"),
    [
        ((2, 10, 8), (3, 10, 8), "unet with 3 levels halves an image 2 times, but it has 10x8 pixels; .*multiples of 4"),
        ((2, 8, 8), (3, 4, 4), "answers at each of 8x8 pixels"),
        ((2, 8, 8), (3,), "answers at each of 8x8 pixels"),
        ((2,), (3, 8, 8), "takes one float input of shape"),
    ],
)  # fmt: skip
def test_other_images_are_refused(inputs: tuple[int, ...], output: tuple[int, ...], finding: str) -> None:
    with pytest.raises(DataError, match=f"unet.*{finding}|{finding}"):
        UNet().build({"x": TensorSpec(inputs)}, TensorSpec(output))
