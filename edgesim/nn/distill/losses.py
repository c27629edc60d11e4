"""The losses by which students learn from a teacher; see `edgesim.domain.networks.training.Distillation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.networks.task import Task
    from edgesim.domain.networks.training import Distillation


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
