"""Scenes with faces: boxes, splits, what is refused; and the one-stage detector: its form, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError
from edgesim.nn.cost.layers import measure
from edgesim.nn.data.packages import faces
from edgesim.nn.data.packages.faces import Faces
from edgesim.nn.models.maps.grid_detector import GridDetector
from edgesim.nn.train.sound import check_dataset
from edgesim.tasks.detection import Detection

SMALL = Faces(train=6, validation=3, test=12, side=64, most=3, least=16, largest=24)
INPUTS, TASK = {"image": TensorSpec((1, 32, 32))}, Detection(2, 4, 4)


def there(source: Faces):
    try:
        return source.load()
    except DataError as missing:
        if "pip install" not in str(missing):
            raise
        pytest.skip(str(missing))


def test_the_box_of_a_face_holds_its_patch() -> None:
    """Cut out and scaled back, it is the patch of a test face and of no other one."""
    dataset = there(SMALL)
    check_dataset(dataset)
    patches = np.load(SMALL.find()["patches"][0])
    numbers = []
    for image, rows in zip(dataset.test.inputs["image"][:, 0], dataset.test.targets, strict=True):
        for x0, y0, x1, y1 in rows[rows[:, 0] == 0, 1:] * 64:
            piece = image[round(y0) : round(y1), round(x0) : round(x1)]
            assert 16 <= piece.shape[0] == piece.shape[1] <= 24
            away = [np.abs(faces._scaled(patch, len(piece)) - piece).max() for patch in patches]
            assert min(away) == 0
            numbers.append(int(np.argmin(away)))
    assert len(numbers) > 6
    assert all(75 <= number < 100 for number in numbers)


def test_equal_options_give_equal_scenes() -> None:
    one, other, more = there(SMALL), SMALL.load(), Faces(6, 3, 20, 64, 3, 16, 24).load()
    assert (one.test.inputs["image"] == other.test.inputs["image"]).all()
    assert (one.test.targets == more.test.targets[:12]).all()
    n_faces = (there(Faces(1, 1, 200, 64, 2, 16, 24)).test.targets[:, :, 0] == 0).sum(axis=1)
    assert {int(n) for n in n_faces} == {0, 1, 2}


@pytest.mark.parametrize("source", [Faces(side=100), Faces(least=40, largest=30), Faces(side=64, largest=40)])
def test_sizes_that_do_not_fit_are_refused(source: Faces) -> None:
    with pytest.raises(DataError, match="expected a side that is a multiple of 16"):
        source.find()


def test_a_cell_says_a_box_about_a_place_in_it() -> None:
    """By hand where all logits are 0: centres in the middle of cells, sides half of the image."""
    network = GridDetector((4, 4, 4)).build(INPUTS, TASK.output).eval()
    torch.nn.init.zeros_(network.head.weight)  # type: ignore[union-attr, arg-type]
    torch.nn.init.zeros_(network.head.bias)  # type: ignore[union-attr, arg-type]
    answer = network(torch.zeros(1, 1, 32, 32))[0]
    assert answer.shape == (16, 7)
    assert answer[5].tolist() == pytest.approx([0, 0.375 - 0.25, 0.375 - 0.25, 0.375 + 0.25, 0.375 + 0.25, 0, 0])
    assert measure(network, INPUTS).layers[0].work_flop == 2 * 9 * 4 * 16 * 16


@pytest.mark.parametrize(
    ("inputs", "output", "text"),
    [
        (TensorSpec((1, 32, 32)), TensorSpec((10,)), "a row of a logit, four sides and classes"),
        (TensorSpec((1, 32, 32)), TensorSpec((15, 6)), "for each cell of a square grid"),
        (TensorSpec((1, 32, 16)), TensorSpec((16, 6)), "give square images of 4 x 2^k pixels"),
        (
            TensorSpec((1, 64, 64)),
            TensorSpec((16, 6)),
            "with 3 convolutions brings an image of 64x64 pixels to 8 cells",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(inputs: TensorSpec, output: TensorSpec, text: str) -> None:
    with pytest.raises(DataError) as raised:
        GridDetector((4, 4, 4)).build({"image": inputs}, output)
    assert text in str(raised.value)


def test_it_learns_where_bright_squares_are() -> None:
    """Sixty steps on squares of two sizes on black; guessing has next to nothing."""
    rng = np.random.default_rng(0)
    images, targets = np.zeros((64, 1, 32, 32), np.float32), np.full((64, 1, 5), -1, np.float32)
    for number in range(64):
        side = 8 + 8 * (number % 2)
        row, column = rng.integers(33 - side, size=2)
        images[number, 0, row : row + side, column : column + side] = 1
        targets[number, 0] = [number % 2, column / 32, row / 32, (column + side) / 32, (row + side) / 32]
    torch.manual_seed(0)
    network = GridDetector((8, 16, 16)).build(INPUTS, TASK.output)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        TASK.loss(network(torch.from_numpy(images)), torch.from_numpy(targets)).backward()
        optimiser.step()
    answers = network.eval()(torch.from_numpy(images)).detach().numpy()
    assert TASK.scores[0].of(answers, targets) > 0.7
    guess = np.broadcast_to(TASK.guess(targets), answers.shape)
    assert TASK.scores[0].of(guess, targets) < 0.2
