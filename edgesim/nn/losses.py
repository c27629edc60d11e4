"""The losses by which students learn from a teacher; see `edgesim.domain.training.Distillation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


def imitation_loss(
    answers: torch.Tensor, wanted: torch.Tensor, labels: torch.Tensor, temperature: float, alpha: float
) -> torch.Tensor:
    """Return 2 alpha T^2 mean(p_T log(p_T / p_S)) + (1 - alpha) CE, p the softmax of logits / T of teacher and students.

    The mean is over samples and classes, as in NoNN's code: the first term is smaller by the number of classes than the
    Kullback-Leibler divergence per sample.
    """
    soft = nn.functional.kl_div(
        nn.functional.log_softmax(answers / temperature, dim=1),
        nn.functional.log_softmax(wanted / temperature, dim=1),
        reduction="none",
        log_target=True,
    ).mean()
    return 2 * alpha * temperature**2 * soft + (1 - alpha) * nn.functional.cross_entropy(answers, labels)


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
