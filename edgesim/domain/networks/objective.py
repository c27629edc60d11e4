"""What students learn: the form of an objective, and what it is given for each batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.partition import Missing
from edgesim.domain.networks.task import Task
from edgesim.errors import PlanError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Survivors:
    """The sets of students that may be left, and how probable each is.

    Parameters
    ----------
    sets : whether each student is left, for each set; no set stands twice.
    probabilities : of the sets, above 0; they add up to 1.

    Raises
    ------
    PlanError
        When sets and probabilities do not match.
    """

    sets: tuple[tuple[bool, ...], ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.sets) != len(self.probabilities) or len(set(self.sets)) < len(self.sets):
            raise PlanError("survivors need a probability for each set, and no set twice")
        if min(self.probabilities, default=0.0) <= 0 or abs(sum(self.probabilities) - 1) > 1e-9:
            raise PlanError("the probabilities of survivors must be above 0 and add up to 1")

    def grouped(self) -> dict[float, list[tuple[bool, ...]]]:
        """Return the sets of each probability: a loss that is a mean over samples is asked about those of one at once.

        Examples
        --------
        >>> one, none = (True, False), (False, False)
        >>> Survivors((one, none, (False, True)), (0.25, 0.5, 0.25)).grouped()
        {0.25: [(True, False), (False, True)], 0.5: [(False, False)]}
        """
        found: dict[float, list[tuple[bool, ...]]] = {}
        for one, probability in zip(self.sets, self.probabilities, strict=True):
            found.setdefault(probability, []).append(one)
        return found

    def of_copies(self, n_parts: int) -> Survivors:
        """Return the survivors among networks of which student i is copy i mod `n_parts`: one is left if any of its copies is.

        Examples
        --------
        >>> Survivors(((True, True), (False, True), (True, False)), (0.5, 0.25, 0.25)).of_copies(1)
        Survivors(sets=((True,),), probabilities=(1.0,))
        """
        found: dict[tuple[bool, ...], float] = {}
        for one, probability in zip(self.sets, self.probabilities, strict=True):
            left = tuple(any(one[first::n_parts]) for first in range(n_parts))
            found[left] = found.get(left, 0.0) + probability
        return Survivors(tuple(found), tuple(found.values()))


class Given(Protocol):
    """What students gave for a batch, with gradients."""

    @property
    def transfer(self) -> torch.Tensor:
        """Beta L_act of all students, whoever is lost; see `edgesim.domain.networks.training.Distillation`."""

    def answers(self, sets: torch.Tensor | None = None, missing: Missing = "zeros") -> torch.Tensor:
        """Return the answers of all students, shape (n, *output), or of each set of students.

        One pass of the students serves all sets: the answers are a matrix product of the weights of replicas and what each student adds.

        Parameters
        ----------
        sets : whether each student is left, shape (sets, students); then the answers have shape (sets, n, *output).
        missing : what stands in for a part of which nothing is left; the mean is that of the batch.
        """


class Lesson(Protocol):
    """A batch, those who learn from it, and what a teacher says about it."""

    @property
    def task(self) -> Task:
        """What answers mean."""

    @property
    def inputs(self) -> Mapping[str, torch.Tensor]:
        """The samples."""

    @property
    def targets(self) -> torch.Tensor:
        """Of the samples."""

    @property
    def wanted(self) -> torch.Tensor:
        """The answers of the teacher, shape (n, *output)."""

    @property
    def temperature(self) -> float:
        """T of the options of the strategy."""

    @property
    def alpha(self) -> float:
        """Weight of the teacher's answer against the label."""

    @property
    def n_students(self) -> int:
        """How many learn together; 1 for those that learn each for itself."""

    @property
    def survivors(self) -> Survivors | None:
        """For what sets of students an objective learns that asked for failures; see `edgesim.interfaces.LossAware`."""

    @property
    def missing(self) -> Missing:
        """What will stand in for a part of which nothing is left."""

    @property
    def draws(self) -> torch.Generator:
        """For whatever is drawn; on no other does the result depend."""

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the answers of all students, nothing lost, e.g. for an attack."""

    def taught(self, inputs: Mapping[str, torch.Tensor]) -> Given:
        """Ask the students about the samples or changed ones; their activities are compared to those of the teacher at the samples."""

    def imitation(self, answers: torch.Tensor) -> torch.Tensor:
        """Return 2 alpha T^2 I_T + (1 - alpha) L of answers of shape (n, *output), or its mean over sets for (sets, n, *output)."""


class Objective(Protocol):
    """Seam ``objectives``: what students learn from a batch."""

    def loss(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss of a batch, one number with gradients."""


@runtime_checkable
class Attacking(Protocol):
    """What an objective may be besides: one that attacks the samples; epochs are then selected on attacked validation samples."""

    @property
    def attack(self) -> Attack:
        """How."""
