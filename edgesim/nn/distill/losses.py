"""The losses by which students learn from a teacher; see `edgesim.domain.networks.training.Distillation`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from edgesim.nn.attacks.projected_gradient import attacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.domain.networks.task import Task
    from edgesim.domain.networks.training import Distillation
    from edgesim.nn.distill.teacher_outputs import TaughtBatch


class Learner(Protocol):
    """Students that are taught."""

    @property
    def task(self) -> Task:
        """What answers mean."""

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the answers of all students, nothing lost."""

    def taught(self, inputs: Mapping[str, torch.Tensor], activities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the answers, without students that failout takes away, and beta L_act; activities are of the teacher."""


def imitation_loss(
    task: Task, answers: torch.Tensor, wanted: torch.Tensor, targets: torch.Tensor, options: Distillation
) -> torch.Tensor:
    """Return 2 alpha T^2 I_T + (1 - alpha) L, I_T the imitation of the teacher's answers and L the loss of the task."""
    soft = task.imitation(answers, wanted, options.temperature)
    return 2 * options.alpha * options.temperature**2 * soft + (1 - options.alpha) * task.loss(answers, targets)


def transfer_loss(
    features: Sequence[torch.Tensor], targets: Sequence[torch.Tensor], *, is_per_part: bool
) -> torch.Tensor:
    """Return mean((f_S / |f_S| - f_T / |f_T|)^2) over samples and features, f scaled to length 1 for each sample.

    Parameters
    ----------
    features, targets : of each student, shape (n, features of its part).
    is_per_part : whether each student's features are scaled on their own, or all together.
    """
    if not is_per_part:
        features, targets = [torch.cat(list(features), dim=1)], [torch.cat(list(targets), dim=1)]
    differences = [
        nn.functional.normalize(feature, dim=1) - nn.functional.normalize(target, dim=1)
        for feature, target in zip(features, targets, strict=True)
    ]
    return torch.cat(differences, dim=1).square().mean()


def objective_loss(learner: Learner, batch: TaughtBatch, options: Distillation, draws: torch.Generator) -> torch.Tensor:
    """Return what students learn from a batch; see `edgesim.domain.networks.training.Distillation`.

    Attacks go through all students with batch normalisation as in training, as the authors of ARD do.
    """
    task = learner.task
    if options.objective == "distillation":
        answers, transfer = learner.taught(batch.inputs, batch.activities)
        return imitation_loss(task, answers, batch.answers, batch.targets, options) + transfer
    against = partial(task.loss, targets=batch.targets)
    if options.objective == "rslad":
        against = partial(task.imitation, wanted=batch.answers, temperature=1.0)
    moved = attacked(learner.answers, batch.inputs, against, options.attack, draws)
    answers, transfer = learner.taught(moved, batch.activities)
    if options.objective == "adversarial":
        return task.loss(answers, batch.targets) + transfer
    n_numbers = task.output.size
    if options.objective == "rslad":
        clean = task.imitation(learner.answers(batch.inputs), batch.answers, 1.0)
        return n_numbers * (5 * task.imitation(answers, batch.answers, 1.0) + clean) / 6 + transfer
    soft = n_numbers * options.temperature**2 * task.imitation(answers, batch.answers, options.temperature)
    if options.alpha == 1:
        return soft + transfer
    hard = task.loss(learner.answers(batch.inputs), batch.targets)
    return options.alpha * soft + (1 - options.alpha) * hard + transfer
