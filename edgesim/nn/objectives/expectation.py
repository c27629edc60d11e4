"""The expected loss over what fails, enumerated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from edgesim.domain.networks.partition import Missing
from edgesim.errors import PlanError
from edgesim.interfaces import FailureModel
from edgesim.plugins import Plugin

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.objective import Lesson


@dataclass(frozen=True, slots=True)
class Expectation:
    """Learn for the failures that the scenario has: the loss is its expectation over the sets of students that are left.

    The sets and their probabilities come from the failure models, listed to the last; one pass of the students serves all sets.

    Parameters
    ----------
    failure : the failure model that is learnt for; by default those of the scenario, at each point of a sweep those of that point, so that a
        sweep over failures trains students for each of its points.

    Formula
    -------
    beta L_act + sum over sets S of students P(S is left) (2 alpha T^2 I_T + (1 - alpha) L)(answers of S).

    Validity
    --------
    Failures that last for a whole request and can be listed: exactly-k, common-cause, and own models with `outcomes`. Models that lose single
    messages or slow devices are refused; give the objective a `failure` of its own there.

    References
    ----------
    Our own. Expectations over dropped inputs in closed form: S. Wager, S. Wang, P. Liang, NIPS 2013, arXiv 1307.1493.
    """

    failure: Annotated[FailureModel | None, Plugin("failures")] = None

    def learns_for(self, failures: Mapping[str, FailureModel]) -> Mapping[str, FailureModel] | None:
        """Return the failure models that it learns for."""
        return failures if self.failure is None else {"failure": self.failure}

    def stand_in(self, missing: Missing) -> Missing:
        """Return that what stands in for a lost part does so in training, too."""
        return missing

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch. Raises `PlanError` when nobody says what fails."""
        import torch

        if lesson.survivors is None:
            raise PlanError("objective expectation: nobody says what fails; give it a `failure`")
        given = lesson.taught(lesson.inputs)
        total = given.transfer
        for probability, sets in lesson.survivors.grouped().items():
            answers = given.answers(torch.tensor(sets), lesson.missing)
            total = total + probability * len(sets) * lesson.imitation(answers)
        return total
