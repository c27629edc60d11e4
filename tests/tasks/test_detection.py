"""Boxes in images: average precision by hand and against pycocotools, the loss, and boxes that are none."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch

from edgesim.tasks.boxes import Found, average_precision, iou, suppressed
from edgesim.tasks.detection import NOT_FOUND, Detection, detections

SQUARE = np.array([0.0, 0.0, 2.0, 2.0])


def at(*lefts: float) -> np.ndarray:
    """Squares of 2 x 2 that begin there."""
    return np.array([SQUARE + np.array([left, 0, left, 0]) for left in lefts]).reshape(-1, 4)


def found(*pairs: tuple[float, float]) -> Found:
    """Squares that begin somewhere, each with its score."""
    return Found(at(*(left for left, _ in pairs)), np.array([score for _, score in pairs]))


@pytest.mark.parametrize(
    ("one", "there", "voc2007", "voc2010", "coco"),
    [
        ([found((0, 0.9))], [at(0)], 1, 1, 1),
        ([found((9, 0.9))], [at(0)], 0, 0, 0),
        ([found()], [at(0)], 0, 0, 0),
        # the surest is wrong: precision 1/2 at every recall
        ([found((9, 0.9), (0, 0.8))], [at(0)], 1 / 2, 1 / 2, 1 / 2),
        # found twice: the second one is wrong, and comes too late to count
        ([found((0, 0.9), (0, 0.8))], [at(0)], 1, 1, 1),
        # one of two: recalls 0 to 0.5, which are 6 of 11 and 51 of 101
        ([found((0, 0.9))], [at(0, 9)], 6 / 11, 1 / 2, 51 / 101),
        # over two images: right, wrong, right of three: 1 up to 1/3 (4 of 11, 34 of 101), 2/3 up to 2/3 (3 and 33)
        ([found((0, 0.9)), found((5, 0.8), (0, 0.7))], [at(0), at(0, 9)],
         (4 + 3 * 2 / 3) / 11, 1 / 3 + 2 / 9, (34 + 33 * 2 / 3) / 101),
        # nothing is in the second image, so what is found there is wrong: 1/2 for the box of the third
        ([found((0, 0.9)), found((0, 0.8)), found((0, 0.7))], [at(0), at(), at(0)],
         (6 + 5 * 2 / 3) / 11, 1 / 2 + 1 / 3, (51 + 50 * 2 / 3) / 101),
    ],
)  # fmt: skip
def test_average_precision_by_hand(one, there, voc2007, voc2010, coco) -> None:
    wanted = {"voc2007": voc2007, "voc2010": voc2010, "coco": coco}
    assert {curve: average_precision(one, there, 0.5, curve) for curve in wanted} == pytest.approx(wanted)  # type: ignore[arg-type]


def test_voc_and_coco_differ_in_who_may_be_taken() -> None:
    """Both detections are nearest to the first box; by COCO the second takes the other one, IoU 1.5/2.5 = 0.6."""
    one, there = [found((0.0, 0.9), (0.1, 0.8))], [at(0, 0.6)]
    assert average_precision(one, there, 0.5, "voc2010") == pytest.approx(0.5)
    assert average_precision(one, there, 0.5, "coco") == pytest.approx(1.0)


def test_what_nobody_looks_for_has_no_precision() -> None:
    assert np.isnan(average_precision([found((0, 0.9))], [at()], 0.5, "coco"))


def test_overlap_by_hand() -> None:
    """2 x 2 squares side by side: common 2, 1 and 0 of unions 6, 7 and 8."""
    assert iou(at(0), at(1, 1.5, 2))[0] == pytest.approx([2 / 6, 1 / 7, 0])
    kept = suppressed(found((0, 0.5), (0.5, 0.9), (3, 0.1)), 0.5)
    assert kept.scores.tolist() == [0.9, 0.1]
    assert suppressed(found((0, 0.5), (0.5, 0.9)), 0.7).scores.tolist() == [0.9, 0.5]


def test_coco_is_that_of_pycocotools() -> None:
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(0)
    task = Detection(3, 5, 5, overlap=1.0)
    targets = np.full((12, 6, 5), -1, dtype=np.float32)
    answers = np.full((12, *task.output.shape), NOT_FOUND, dtype=np.float32)
    there, results = [], []
    for image in range(12):
        for row in range(rng.integers(0, 6)):
            low = rng.uniform(0, 0.6, 2)
            box = np.concatenate([low, low + rng.uniform(0.1, 0.4, 2)]).astype(np.float32)
            kind = int(rng.integers(3))
            targets[image, row] = [kind, *box]
            there.append({"id": len(there) + 1, "image_id": image, "category_id": kind, "iscrowd": 0, **_xywh(box)})
            for copy in range(2):
                moved = box + rng.normal(0, 0.02, 4).astype(np.float32)
                logits = np.full(3, -30.0)
                logits[kind if rng.random() < 0.8 else (kind + 1) % 3] = 30.0
                answers[image, 2 * row + copy] = [rng.normal(), *moved, *logits]
    for image, of_class in enumerate(detections(answers, task)):
        for kind, own in enumerate(of_class):
            results += [
                {"image_id": image, "category_id": kind, "score": float(score), **_xywh(box)}
                for box, score in zip(own.boxes, own.scores, strict=True)
            ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": image} for image in range(12)],
            "annotations": there,
            "categories": [{"id": kind} for kind in range(3)],
        }
        truth.createIndex()
        judge = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
        judge.params.imgIds = list(range(12))
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    scores = {score.name: score.of(answers, targets) for score in task.scores}
    assert 0.2 < scores["map_coco"] < 0.8
    assert scores["map_coco"] == pytest.approx(judge.stats[0], abs=1e-9)
    for kind in range(3):
        own = [of_class[kind] for of_class in detections(answers, task)]
        boxes = [rows[rows[:, 0] == kind, 1:].astype(float) for rows in targets]
        wanted = judge.eval["precision"][0, :, kind, 0, -1].mean()
        assert average_precision(own, boxes, 0.5, "coco") == pytest.approx(wanted, abs=1e-9)


def _xywh(box: np.ndarray) -> dict[str, object]:
    x0, y0, x1, y1 = (float(side) for side in box)
    return {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}


def test_answers_that_are_right_are_worth_everything() -> None:
    """The cell that holds the centre says the box, the loss of which is nearly 0."""
    task = Detection(2, 2, 2)
    targets = np.array([[[1, 0.6, 0.1, 0.8, 0.3], [0, 0.1, 0.7, 0.5, 0.9]], [[-1] * 5] * 2], dtype=np.float32)
    answers = np.full((2, 4, 7), NOT_FOUND, dtype=np.float32)
    answers[0, 1] = [20, *targets[0, 0, 1:], -20, 20]  # centre (0.7, 0.2): right above
    answers[0, 2] = [20, *targets[0, 1, 1:], 20, -20]  # centre (0.3, 0.8): left below
    assert [score.of(answers, targets) for score in task.scores] == pytest.approx([1.0] * 3)
    assert float(task.loss(torch.from_numpy(answers), torch.from_numpy(targets))) < 1e-6
    wrong = answers.copy()
    wrong[0, [1, 2]] = answers[0, [2, 1]]
    assert float(task.loss(torch.from_numpy(wrong), torch.from_numpy(targets))) > 10


def test_the_larger_of_two_boxes_in_a_cell_counts() -> None:
    task = Detection(1, 1, 1)
    targets = torch.tensor([[[0, 0.4, 0.4, 0.6, 0.6], [0, 0.1, 0.1, 0.9, 0.9]]])
    _, _, row = task._responsible(targets)
    assert row.tolist() == [1]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([0, 0.2, 0.2, 1.2, 0.5], "sample 1 has in row 0 (0, 0.2, 0.2, 1.2, 0.5): a box outside of the image"),
        ([0, -0.1, 0.2, 0.4, 0.5], "a box outside of the image"),
        ([0, np.nan, 0.2, 0.4, 0.5], "a box outside of the image"),
        ([0, 0.5, 0.2, 0.4, 0.5], "a box without extent"),
        ([2, 0.2, 0.2, 0.4, 0.5], "a class that is none of 0 to 1, or -1 for no box"),
        ([0.5, 0.2, 0.2, 0.4, 0.5], "a class that is none"),
    ],
)
def test_boxes_that_are_none(row, text) -> None:
    targets = np.array([[[1, 0.1, 0.1, 0.2, 0.2]], [row]], dtype=np.float32)
    assert text in Detection(2, 3, 3).fault(targets)
    assert not Detection(2, 3, 3).fault(targets[:1])
