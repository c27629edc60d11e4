"""Trainings that were interrupted go on, and end with the same weights bit by bit; see also `test_training`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.partition import Partition
from edgesim.domain.networks.training import Distillation, Training
from edgesim.interfaces import Silent
from edgesim.nn.data.datasets import Digits
from edgesim.nn.distill.student_training import StudentTraining
from edgesim.nn.distill.students import train_students
from edgesim.nn.distill.teacher_outputs import Teacher
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import train_teacher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ATTACK = Attack(0.1, 0.05, 2)


class Stopping:
    """Stops behind the second epoch, when its checkpoint is written."""

    def __init__(self) -> None:
        self.n_done = 0

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Stopping]:
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:
        self.n_done += n_done
        if self.n_done == 2:
            raise KeyboardInterrupt


def test_students_under_attack_and_failout_go_on(tmp_path: Path) -> None:
    """Random starts, failout, shuffling and views all draw; a second training takes all of them up where they were."""
    data = Digits(train_size=100).load()
    taught = train_teacher(
        SmallCNN((8,), 0), data, Training(epochs=4, batch_size=10), seed=1, progress=Silent(), cache=NetworkCache(tmp_path)
    )
    setup = StudentTraining(
        SmallCNN((4,), 0),
        Teacher(taught.network, taught.key, "relu1"),
        data,
        Distillation(beta=1.0, survival=0.7, objective="ard", alpha=0.8, attack=ATTACK),
        Training(epochs=4, batch_size=10, augmentation="shift", views=2),
        1,
        Stopping(),
        NetworkCache(tmp_path / "stopped"),
        1,
    )
    parts = Partition(((0, 1, 2), (4, 5)), 8)
    with pytest.raises(KeyboardInterrupt):
        train_students(setup, parts, n_students=2)
    assert list((tmp_path / "stopped").glob("*.checkpoint"))
    resumed = train_students(replace(setup, progress=Silent()), parts, n_students=2)
    whole = train_students(
        replace(setup, progress=Silent(), cache=NetworkCache(tmp_path / "whole")), parts, n_students=2
    )
    assert resumed.metrics == whole.metrics
    assert whole.metrics["epoch"] > 2  # else the weights would be those of before
    ours = resumed.ensemble.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in whole.ensemble.state_dict().items())
