"""Adversarial training of students: labels at attacked samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edgesim.domain.networks.attack import Attack

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.objective import Lesson


@dataclass(frozen=True, slots=True)
class Adversarial:
    """Learn the labels of samples that are attacked through all students.

    Parameters
    ----------
    attack : of each batch, with batch normalisation as in training.

    Formula
    -------
    beta L_act + L(S(x')), x' up the loss of the task; the students' activities are those at x'.

    Validity
    --------
    Inputs from 0 to 1.

    References
    ----------
    A. Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, arXiv 1706.06083.
    """

    attack: Attack = Attack()  # noqa: RUF009 - frozen

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch."""
        from edgesim.nn.attacks.projected_gradient import attacked

        against = partial(lesson.task.loss, targets=lesson.targets)
        given = lesson.taught(attacked(lesson.answers, lesson.inputs, against, self.attack, lesson.draws))
        return lesson.task.loss(given.answers(), lesson.targets) + given.transfer
