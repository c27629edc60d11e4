"""Robust Soft Label Adversarial Distillation: the teacher's answers everywhere, also in the attack."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edgesim.domain.networks.attack import Attack

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.objective import Lesson


@dataclass(frozen=True, slots=True)
class RSLAD:
    """Learn the teacher's answers at samples and at attacked ones, which are attacked away from these answers.

    Parameters
    ----------
    attack : of each batch, with batch normalisation as in training.

    Formula
    -------
    beta L_act + n (5/6 I_1(S(x'), T(x)) + 1/6 I_1(S(x), T(x))), x' up I_1, n the numbers of an answer.

    Validity
    --------
    Inputs from 0 to 1, and a teacher that is robust itself.

    References
    ----------
    B. Zi et al., Revisiting Adversarial Robustness Distillation, ICCV 2021, arXiv 2108.07969.
    """

    attack: Attack = Attack()  # noqa: RUF009 - frozen

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch."""
        from edgesim.nn.attacks.projected_gradient import attacked

        task = lesson.task
        against = partial(task.imitation, wanted=lesson.wanted, temperature=1.0)
        given = lesson.taught(attacked(lesson.answers, lesson.inputs, against, self.attack, lesson.draws))
        moved = task.imitation(given.answers(), lesson.wanted, 1.0)
        clean = task.imitation(lesson.answers(lesson.inputs), lesson.wanted, 1.0)
        return task.output.size * (5 * moved + clean) / 6 + given.transfer
