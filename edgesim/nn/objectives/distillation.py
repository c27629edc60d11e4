"""The plain objective: the teacher's answers and the labels, with everything delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.objective import Lesson


@dataclass(frozen=True, slots=True)
class JointDistillation:
    """Learn the teacher's answers and the labels with nothing lost, as NoNN does.

    Formula
    -------
    beta L_act + 2 alpha T^2 I_T + (1 - alpha) L of the answers of all students together, L the loss of the task and I_T its imitation at
    temperature T; see `edgesim.domain.networks.training.Distillation`.

    Validity
    --------
    Students that are rarely lost: the head never sees a loss.

    References
    ----------
    K. Bhardwaj et al., ACM TECS 18(5s), 2019, arXiv 1907.11804, and its published code.
    """

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch."""
        given = lesson.taught(lesson.inputs)
        return lesson.imitation(given.answers()) + given.transfer
