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
from edgesim.nn.objectives.ard import ARD
from edgesim.nn.objectives.failout import Failout
from edgesim.nn.objectives.mel import MEL
from edgesim.nn.train import training as loop
from edgesim.nn.train.cache import NetworkCache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgesim.domain.networks.objective import Objective


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


@pytest.mark.parametrize("objective", [ARD(Attack(0.1, 0.05, 2)), Failout(0.7), MEL(2)], ids=["ard", "failout", "mel"])
def test_students_under_attack_and_failout_go_on(
    objective: Objective, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random starts, failout, sets of survivors, shuffling and views all draw; a second training takes all of them up, so that its losses are those of one without a stop."""
    data = Digits(train_size=100).load()
    teacher = Teacher(SmallCNN((8,), 0).build(data.inputs, data.task.output).eval(), "untrained", "relu1")
    options = Distillation(alpha=0.8)
    training = Training(epochs=4, augmentation="shift", views=2)
    cache = NetworkCache(tmp_path / "stopped")
    setup = StudentTraining(SmallCNN((4,), 0), teacher, data, options, training, 1, Stopping(), cache, 1, objective)
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", 0.0)
    losses: list[float] = []
    step = loop._Run.step

    def recorded(run: loop._Run, loss: torch.Tensor) -> None:
        losses.append(loss.item())
        step(run, loss)

    monkeypatch.setattr(loop._Run, "step", recorded)
    parts = Partition(((0, 1, 2), (4, 5)), 8)
    with pytest.raises(KeyboardInterrupt):
        train_students(setup, parts, n_students=2)
    assert list(cache.folder.glob("*.checkpoint"))
    resumed = train_students(replace(setup, progress=Silent()), parts, n_students=2)
    in_two, losses[:] = losses.copy(), []
    whole = train_students(replace(setup, progress=Silent(), cache=NetworkCache(tmp_path)), parts, n_students=2)
    assert len(losses) == 4 * 2
    assert in_two == losses
    assert resumed.metrics == whole.metrics
    ours = resumed.ensemble.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in whole.ensemble.state_dict().items())


@pytest.mark.parametrize(("epoch_s", "kept"), [(0.4, [3, 6]), (1.5, [1, 2, 3, 4, 5, 6])])
def test_states_of_short_epochs_are_kept_each_second_only(
    epoch_s: float, kept: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that the epochs move: keeping a state takes as long as a short epoch itself."""
    clock, states = [0.0], []
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(loop, "save_checkpoint", lambda _, state: states.append(state["epoch"]))
    validated = loop.validated

    def slow(*given: object) -> loop.Reached:
        clock[0] += epoch_s
        return validated(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "validated", slow)
    data = Digits(train_size=64).load()
    cache = NetworkCache(tmp_path)
    loop.train_teacher(SmallCNN((4,), 0), data, Training(epochs=6), seed=1, progress=Silent(), cache=cache)
    assert states == kept
