"""Sketches: strokes to points by hand, files and icons that are refused, what SketchGNN computes, and its scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError
from edgesim.nn.data.sketches.composed import FOLDER, ComposedSketches
from edgesim.nn.data.sketches.files import SketchFiles
from edgesim.nn.data.sketches.strokes import Stroke, resampled, samples_of
from edgesim.nn.models.sketches.network import EdgeConvolution
from edgesim.nn.models.sketches.sketch_gnn import SketchGNN
from edgesim.nn.train.sound import check_dataset
from edgesim.tasks.scores import SCORES
from edgesim.tasks.stroke_segmentation import StrokeSegmentation, component_accuracy, point_accuracy
from edgesim.testing import check_task

INPUTS = {"points": TensorSpec((256, 2)), "strokes": TensorSpec((256,), "int64")}
LINE, DOT = [[0, 3, 3], [0, 4, 8], [0, 0, 1]], [[9], [9], [1]]


def write(folder: Path, *sketches: Any) -> SketchFiles:
    for split in ("train", "valid", "test"):
        lines = [json.dumps({"key_id": "1", "drawing": sketch}) for sketch in sketches]
        (folder / f"box_{split}.ndjson").write_text("\n".join(lines))
    return SketchFiles(str(folder), "box", points=4)


def test_a_sketch_of_the_authors_becomes_points_by_hand(tmp_path: Path) -> None:
    """Steps of 5 and 4 pixels, a stroke of one point of weight 1, places from 0 to 1 in the box of 9 x 9."""
    dataset = write(tmp_path, [LINE, DOT]).load()
    check_dataset(dataset)
    assert dataset.task == StrokeSegmentation(2, 4)
    assert dataset.test.inputs["strokes"].tolist() == [[0, 0, 0, 1]]
    assert dataset.test.targets.tolist() == [[[0, 1, 0], [0, 5, 0], [1, 4, 0], [1, 1, 1]]]
    assert dataset.test.inputs["points"][0] == pytest.approx(np.array([[0, 0], [3, 4], [3, 8], [9, 9]]) / 9)


def test_strokes_are_resampled_by_their_length() -> None:
    """Of 12 points one is the dot; 4 are given to lines, 7 are left for lengths 30 and 5: 2 + 6 and 2 + 1."""
    long = Stroke(np.array([[0.0, 0.0], [10.0, 0.0], [30.0, 0.0]]), np.array([0, 1, 1]))
    short = Stroke(np.array([[0.0, 9.0], [5.0, 9.0]]), np.array([2, 2]))
    dot = Stroke(np.array([[1.0, 1.0]]), np.array([3]))
    found = resampled((long, short, dot), 12)
    assert [len(one.labels) for one in found] == [8, 3, 1]
    assert np.diff(found[0].places[:, 0]) == pytest.approx(30 / 7)
    assert found[0].labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    with pytest.raises(DataError, match=r"its 3 strokes need 5 points .* but only 4 are wanted; give more `points`"):
        resampled((long, short, dot), 4)
    with pytest.raises(DataError, match="its 1 strokes are dots without length, along which no 2 points can lie"):
        resampled((dot,), 2)


@pytest.mark.parametrize(
    ("sketch", "message"),
    [
        ([], "line 1: the sketch has no strokes"),
        ([[[], [], []]], "line 1: stroke 1 has 0 x, 0 y and 0 classes"),
        ([LINE, [[1, 2], [1, 2], [0]]], "line 1: stroke 2 has 2 x, 2 y and 1 classes"),
        ([[[1, 2], [1, 2], [0, -1]]], "classes that are no numbers from 0"),
        ([[[5], [5], [0]]], r"box_train\.ndjson: sketch 1: its 1 strokes are dots without length"),
        ([[[1, 2], [1, 2]]], "line 1: expected a mapping whose `drawing` is a list of strokes"),
    ],
)
def test_a_bad_sketch_is_named_with_its_line(tmp_path: Path, sketch: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write(tmp_path, sketch).load()


def test_missing_files_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither box_train\.ndjson nor box_train\.ndjson\.gz"):
        SketchFiles(str(tmp_path), "box").find()
    with pytest.raises(DataError, match="npm install --ignore-scripts @iconify-json/lucide"):
        ComposedSketches(str(tmp_path)).find()


def icons(folder: Path, families: tuple[str, ...]) -> ComposedSketches:
    """Icons of a family: one line each, the n-th of length n + 1 in a square of 24."""
    bodies = {
        f"{family}-{n}" if n else family: {"body": f'<path d="M{2 + place} 2h{n + 1}"/>'}
        for place, family in enumerate(families)
        for n in range(10)
    }
    (folder / "icons.json").write_text(json.dumps({"prefix": "x", "width": 24, "height": 24, "icons": bodies}))
    return ComposedSketches(str(folder), families=families, icons=2, points=16, train=30, held_out=20)


def test_icons_of_the_test_were_not_seen(tmp_path: Path) -> None:
    """Each line of an icon has its own length; no length is in two splits, and classes are those of the families."""
    options = icons(tmp_path, ("box", "cup"))
    from edgesim.nn.data.sketches.composed import _part, read_families

    parts = [
        {round(float(np.ptp(icon[0][:, 0])), 6) for icon in _part(family, split)}
        for family in read_families(options.find(), options.families)
        for split in range(3)
    ]
    assert [len(one) for one in parts] == [6, 2, 2] * 2
    assert parts[0] | parts[1] | parts[2] == {round((n + 1) / 24, 6) for n in range(10)}
    dataset = options.load()
    check_dataset(dataset)
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [30, 20, 20]
    assert np.array_equal(dataset.test.targets, options.load().test.targets)


def test_a_family_of_too_few_icons_is_refused(tmp_path: Path) -> None:
    icons(tmp_path, ("box", "cup"))
    with pytest.raises(DataError, match="0 icons of family 'sky'; expected at least five"):
        ComposedSketches(str(tmp_path), families=("box", "sky")).load()


def test_curves_and_shapes_are_strokes(tmp_path: Path) -> None:
    """A circle of radius 6 in a frame of 24: all its points lie 0.25 from its centre."""
    from edgesim.nn.data.sketches.composed import _lines

    (circle,) = _lines("here", '<circle cx="12" cy="12" r="6"/>', 24.0)
    assert np.hypot(*circle.T) == pytest.approx(0.25, rel=1e-3)
    with pytest.raises(DataError, match="here: it has no lines"):
        _lines("here", "<g/>", 24.0)


@pytest.mark.skipif(not Path(FOLDER, "icons.json").is_file(), reason=f"needs {FOLDER}: npm install")
def test_real_icons_compose_sketches() -> None:
    dataset = ComposedSketches(train=20, held_out=10).load()
    check_dataset(dataset)
    assert dataset.train.inputs["strokes"].max() >= 3


def test_the_network_has_as_many_parameters_as_published() -> None:
    """104,524 for four classes, 6,400 of them in the dynamic branch."""
    sizes = [
        sum(one.numel() for one in SketchGNN(dynamic=dynamic).build(INPUTS, TensorSpec((4, 256))).parameters())
        for dynamic in (True, False)
    ]
    assert sizes == [104_524, 98_124]


def test_an_edge_convolution_is_the_largest_message_of_the_neighbours() -> None:
    """Against W [x_i ; x_j - x_i] + b written out for each edge: along strokes, and to every 4th of the 32 nearest points; a lone point gets 0."""
    torch.manual_seed(0)
    strokes = torch.tensor([0] * 20 + [1] + [2] * 19)
    is_joined = torch.cat([torch.zeros(1), (strokes[1:] == strokes[:-1]).float()])[None, :, None]
    x = torch.rand(1, 40, 2)
    for dilation in (0, 4):
        layer = EdgeConvolution(2, dilation, 0.0).eval()
        own, other = layer.own.weight, layer.other.weight
        weight = torch.cat([own + other, other], dim=1)
        with torch.no_grad():
            found = layer(x, is_joined)[0]
            for i in range(40):
                near = [j for j in (i - 1, i + 1) if 0 <= j < 40 and strokes[j] == strokes[i]]
                if dilation:
                    near += torch.argsort(((x[0] - x[0, i]) ** 2).sum(dim=1))[:32:4].tolist()
                messages = [torch.relu(weight @ torch.cat([x[0, i], x[0, j] - x[0, i]]) + layer.own.bias) for j in near]
                wanted = torch.stack(messages).amax(dim=0) if messages else torch.zeros(32)
                assert torch.allclose(found[i], wanted, atol=1e-5)


def test_pooling_stays_within_strokes() -> None:
    """With the dynamic branch off and the pool over the whole sketch silenced, moving one stroke leaves the answers to the others as they were."""
    torch.manual_seed(0)
    network = SketchGNN(dynamic=False).build(INPUTS, TensorSpec((4, 256))).eval()
    torch.nn.init.zeros_(network.whole.linear.weight)
    strokes = torch.arange(256)[None] // 64
    points = torch.rand(1, 256, 2)
    moved = points.clone()
    moved[:, :64] += 1.0
    with torch.no_grad():
        change = (network(moved, strokes) - network(points, strokes)).abs().amax(dim=1)[0]
    assert change[:64].min() > 0
    assert change[64:].max() == 0


def test_what_is_no_sketch_is_refused() -> None:
    with pytest.raises(DataError, match="takes `points` and `strokes`, but the data set gives images"):
        SketchGNN().build({"images": TensorSpec((1, 8, 8))}, TensorSpec((10,)))
    with pytest.raises(DataError, match="128 nearest points, but a sketch has 64"):
        SketchGNN().build({"points": TensorSpec((64, 2)), "strokes": TensorSpec((64,), "int64")}, TensorSpec((4, 64)))


def test_scores_by_hand() -> None:
    """Two sketches: 5 of 10 and 3 of 4 of the weight; of strokes one of two, and none of one, since 75 % is not more than 75 %."""
    targets = np.array([[[0, 1, 0], [0, 4, 0], [0, 5, 1], [0, 0, 1]], [[1, 1, 0], [1, 1, 0], [1, 1, 0], [1, 1, 0]]])
    answers = np.eye(2, dtype=np.float32)[[[0, 0, 1, 0], [1, 1, 1, 0]]].transpose(0, 2, 1)
    assert point_accuracy(answers, targets) == pytest.approx((5 / 10 + 3 / 4) / 2)
    assert component_accuracy(answers, targets) == pytest.approx((1 / 2 + 0) / 2)
    check_task(StrokeSegmentation(2, 4), targets)
    assert {"point_accuracy", "component_accuracy"} <= set(SCORES), "explained without a data set"


def test_targets_of_another_form_are_refused() -> None:
    task = StrokeSegmentation(2, 4)
    good = samples_of([(Stroke(np.arange(8.0).reshape(4, 2), np.array([0, 1, 1, 0])),)], 4).targets
    assert task.fault(good) == ""
    assert "expected whole numbers of shape (n, 4, 3)" in task.fault(good[:, :, 0])
    assert "classes 0 to 2; expected 0 to 1" in task.fault(np.where(good == 1, 2, good) * [1, 0, 0] + good * [0, 1, 1])
    assert "a sketch has no weight" in task.fault(good * [1, 0, 1])
    assert "below 0" in task.fault(good * [1, 1, -1] - [0, 0, 1])
