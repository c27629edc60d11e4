"""Failout: in each step each student is lost at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt, Le

from edgesim.domain.bounds import positive, share
from edgesim.domain.networks.partition import Missing
from edgesim.interfaces import FailureModel

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.objective import Lesson


@dataclass(frozen=True, slots=True)
class Failout:
    """Lose each student with a probability in each training step, which prepares the head for losses.

    Parameters
    ----------
    survival : probability with which a student's features reach the head, one draw per student and batch.

    Formula
    -------
    beta L_act + 2 alpha T^2 I_T + (1 - alpha) L of the answers of the students that are drawn; zeros for a part of which none is, whatever
    `missing` says. One set of students a batch.

    Validity
    --------
    Students that are lost independently of each other.

    References
    ----------
    A. Yousefpour et al., ResiliNet: Failure-Resilient Inference in Distributed Neural Networks, 2020, arXiv 2002.07386.
    """

    survival: Annotated[float, Gt(0), Le(1)]

    def __post_init__(self) -> None:
        positive("failout", survival=self.survival)
        share("failout", survival=self.survival)

    def learns_for(self, failures: Mapping[str, FailureModel]) -> Mapping[str, FailureModel] | None:  # noqa: ARG002 - the seam's form
        """Return that it learns for no failures of the scenario."""
        return None

    def stand_in(self, missing: Missing) -> Missing:  # noqa: ARG002 - the seam's form
        """Return that zeros stand for what is lost in training."""
        return "zeros"

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch."""
        import torch

        given = lesson.taught(lesson.inputs)
        left = torch.rand(lesson.n_students, generator=lesson.draws) < self.survival
        return lesson.imitation(given.answers(left[None])[0]) + given.transfer
