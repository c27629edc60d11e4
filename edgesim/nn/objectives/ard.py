"""Adversarially Robust Distillation: the teacher's answers to samples, at attacked samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edgesim.domain.networks.attack import Attack

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.objective import Lesson


@dataclass(frozen=True, slots=True)
class ARD:
    """Learn from samples that are attacked through all students what the teacher says about the samples themselves.

    Parameters
    ----------
    attack : of each batch, with batch normalisation as in training, as the authors do.

    Formula
    -------
    beta L_act + alpha T^2 n I_T(S(x'), T(x)) + (1 - alpha) L(S(x)), x' up the loss of the task, n the numbers of an answer, so that n I_T is
    the Kullback-Leibler divergence of a classification.

    Validity
    --------
    Inputs from 0 to 1, and a teacher that is robust itself.

    References
    ----------
    M. Goldblum et al., Adversarially Robust Distillation, AAAI 2020, arXiv 1905.09747.
    """

    attack: Attack = Attack()  # noqa: RUF009 - frozen

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch."""
        from edgesim.nn.attacks.projected_gradient import attacked

        task, temperature = lesson.task, lesson.temperature
        against = partial(task.loss, targets=lesson.targets)
        given = lesson.taught(attacked(lesson.answers, lesson.inputs, against, self.attack, lesson.draws))
        soft = task.output.size * temperature**2 * task.imitation(given.answers(), lesson.wanted, temperature)
        if lesson.alpha == 1:
            return soft + given.transfer
        hard = task.loss(lesson.answers(lesson.inputs), lesson.targets)
        return lesson.alpha * soft + (1 - lesson.alpha) * hard + given.transfer
