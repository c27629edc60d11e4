"""Training on another device than the processor: asked for by name, found or refused, and all tensors are there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.partition import Partition
from edgesim.domain.networks.training import Distillation, Training
from edgesim.errors import DataError
from edgesim.interfaces import Silent
from edgesim.nn.data.datasets import Digits
from edgesim.nn.distill.independent import train_whole_students
from edgesim.nn.distill.student_training import StudentTraining
from edgesim.nn.distill.students import train_students
from edgesim.nn.distill.teacher_outputs import Teacher
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.objectives.ard import ARD
from edgesim.nn.objectives.distillation import JointDistillation
from edgesim.nn.objectives.failout import Failout
from edgesim.nn.objectives.mel import MEL
from edgesim.nn.train import device
from edgesim.nn.train import training as loop
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.cards import content_key, provenance
from edgesim.nn.train.training import train_teacher

if TYPE_CHECKING:
    from pathlib import Path

    from edgesim.domain.networks.samples import Dataset

TINY = SmallCNN((4,), pool_after=0)
ON_GPU = Training(epochs=1, augmentation="shift", device="gpu")


@pytest.fixture(scope="module")
def some() -> Dataset:
    return Digits(train_size=64).load()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, some: Dataset, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "_gpu", lambda: None)
    with pytest.raises(DataError, match="finds no GPU on this machine; write `device: cpu`"):
        train_teacher(TINY, some, ON_GPU, seed=1, progress=Silent(), cache=NetworkCache(tmp_path))


def test_the_device_is_recorded_and_the_default_changes_no_key() -> None:
    """A card of before the option has the same key as one of now that says `cpu`; one of a GPU has another."""
    now = provenance("teacher", training=Training())
    before = {**now, "training": {name: value for name, value in now["training"].items() if name != "device"}}
    assert now["training"]["device"] == "cpu"
    assert content_key(now) == content_key(before)
    assert content_key(provenance("teacher", training=Training(device="gpu"))) != content_key(now)


class FirstStepError(DataError):
    """Raised in place of the first step."""


@pytest.mark.parametrize(
    "who",
    [
        "teacher",
        "attacked teacher",
        "students",
        "students, ard",
        "students, mel",
        "students, failout",
        "whole students",
        "head",
    ],
)
def test_all_of_a_step_is_on_the_device(
    who: str, monkeypatch: pytest.MonkeyPatch, some: Dataset, tmp_path: Path
) -> None:
    """torch's device `meta` stands for a GPU: it refuses to mix its tensors with those of the processor, and computes shapes only."""
    cache, plain = NetworkCache(tmp_path), Training(epochs=1, augmentation="shift")
    teacher = train_teacher(SmallCNN((8,), 0), some, plain, seed=1, progress=Silent(), cache=cache)
    taught_by = Teacher(teacher.network, teacher.key, "relu1")
    objectives = {"students, ard": ARD(), "students, mel": MEL(), "students, failout": Failout(1.0)}
    objective = objectives.get(who, JointDistillation())
    setup = StudentTraining(TINY, taught_by, some, Distillation(alpha=0.5), ON_GPU, 1, Silent(), cache, 1, objective)
    parts = Partition(((0, 1, 2), (4, 5)), 8)
    seen: list[tuple[str, set[str]]] = []

    def step(run: loop._Run, loss: torch.Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in run.network.parameters()]
        seen.append((loss.device.type, {gradient.device.type for gradient in gradients if gradient is not None}))
        raise FirstStepError

    if who == "head":  # its students are trained on the processor before
        train_students(replace(setup, training=plain), parts, n_students=2, fitting="independent")
    monkeypatch.setattr(loop._Run, "step", step)
    monkeypatch.setattr(device, "_gpu", lambda: torch.device("meta"))
    attacked = replace(ON_GPU, attack=Attack() if who == "attacked teacher" else None)
    teach = partial(train_teacher, TINY, some, attacked, seed=1, progress=Silent(), cache=cache)
    train = {
        "teacher": teach,
        "attacked teacher": teach,
        "whole students": partial(train_whole_students, setup, n_students=1),
        "head": partial(train_students, setup, parts, n_students=2, fitting="independent"),
    }.get(who, partial(train_students, setup, parts, n_students=2))
    with pytest.raises(FirstStepError):
        train()
    assert seen == [("meta", {"meta"})]
