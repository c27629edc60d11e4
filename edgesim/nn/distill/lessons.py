"""A batch as an objective sees it: who learns, what is taught, and the answers of sets of students from one pass of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from edgesim.nn.distill.losses import imitation_loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.domain.networks.objective import Given, Survivors
    from edgesim.domain.networks.partition import Missing
    from edgesim.domain.networks.task import Task
    from edgesim.domain.networks.training import Distillation
    from edgesim.nn.distill.modules import StudentEnsemble
    from edgesim.nn.distill.teacher_outputs import TaughtBatch


class Learner(Protocol):
    """Students that are taught."""

    @property
    def task(self) -> Task:
        """What answers mean."""

    @property
    def n_students(self) -> int:
        """How many learn together."""

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the answers of all students, nothing lost."""

    def taught(self, inputs: Mapping[str, torch.Tensor], activities: torch.Tensor) -> Given:
        """Return what the students give; activities are of the teacher."""


@dataclass(frozen=True, slots=True)
class BatchLesson:
    """A batch, its learners, and what counts for them; see `edgesim.domain.networks.objective.Lesson`."""

    learner: Learner
    batch: TaughtBatch
    options: Distillation
    draws: torch.Generator
    survivors: Survivors | None = None
    missing: Missing = "zeros"

    @property
    def task(self) -> Task:
        """What answers mean."""
        return self.learner.task

    @property
    def n_students(self) -> int:
        """How many learn together."""
        return self.learner.n_students

    @property
    def inputs(self) -> Mapping[str, torch.Tensor]:
        """The samples."""
        return self.batch.inputs

    @property
    def targets(self) -> torch.Tensor:
        """Of the samples."""
        return self.batch.targets

    @property
    def wanted(self) -> torch.Tensor:
        """The answers of the teacher."""
        return self.batch.answers

    @property
    def temperature(self) -> float:
        """T."""
        return self.options.temperature

    @property
    def alpha(self) -> float:
        """Weight of the teacher's answer against the label."""
        return self.options.alpha

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the answers of all students, nothing lost."""
        return self.learner.answers(inputs)

    def taught(self, inputs: Mapping[str, torch.Tensor]) -> Given:
        """Ask the students about samples."""
        return self.learner.taught(inputs, self.batch.activities)

    def imitation(self, answers: torch.Tensor) -> torch.Tensor:
        """Return the imitation loss of answers, or its mean over sets of students; see `imitation_loss`."""
        wanted, targets = self.wanted, self.targets
        if answers.ndim > wanted.ndim:
            n_sets = len(answers)
            answers = answers.flatten(0, 1)
            wanted = wanted.repeat(n_sets, *[1] * (wanted.ndim - 1))
            targets = targets.repeat(n_sets, *[1] * (targets.ndim - 1))
        return imitation_loss(self.task, answers, wanted, targets, self.options)


@dataclass(frozen=True, slots=True)
class GivenFeatures:
    """The features of students that share a head; `transfer` is beta L_act."""

    ensemble: StudentEnsemble
    features: Sequence[torch.Tensor]
    transfer: torch.Tensor

    def answers(self, sets: torch.Tensor | None = None, missing: Missing = "zeros") -> torch.Tensor:
        """Return the answers of all students, or of sets of them; see `answers_of_sets`."""
        if sets is None:
            return self.ensemble.answers(self.features)
        if len(sets) == 1 and missing == "zeros":
            return self.ensemble.answers(self.features, sets[0].tolist())[None]
        return answers_of_sets(self.ensemble, self.features, sets, missing)


@dataclass(frozen=True, slots=True)
class GivenAnswers:
    """The answers of one student that learns for itself."""

    whole: torch.Tensor
    transfer: torch.Tensor

    def answers(self, sets: torch.Tensor | None = None, missing: Missing = "zeros") -> torch.Tensor:  # noqa: ARG002 - the seam's form
        """Return its answers, zeros in sets without it."""
        if sets is None:
            return self.whole
        return sets.to(self.whole).reshape(-1, *[1] * self.whole.ndim) * self.whole


def answers_of_sets(
    ensemble: StudentEnsemble, features: Sequence[torch.Tensor], sets: torch.Tensor, missing: Missing
) -> torch.Tensor:
    """Return the answers of sets of students, shape (sets, n, *output): a matrix product of sets x students and what each adds.

    Parameters
    ----------
    ensemble : has the head, and says who stands for which part.
    features : of each student, shape (n, features of its part).
    sets : whether each student is left, shape (sets, students).
    missing : what stands in for a part of which nothing is left: ``zeros``, or the ``mean`` of its features over these samples.
    """
    chunks = torch.split(ensemble.head.weight, list(ensemble.part_sizes), dim=1)
    added = torch.stack([own @ chunks[part].T for own, part in zip(features, ensemble.part_of, strict=True)])
    weights, absent = weights_of_sets(ensemble, sets.to(added.device))
    numbers = (weights @ added.flatten(1)).reshape(len(sets), *added.shape[1:]) + ensemble.head.bias
    if missing == "mean":
        numbers = numbers + (absent @ added.mean(dim=1))[:, None]
    return numbers.reshape(*numbers.shape[:2], *ensemble.output)


def weights_of_sets(ensemble: StudentEnsemble, sets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight of each student, and of each as a stand-in, in each set; both of shape (sets, students).

    They are those of `edgesim.domain.networks.partition.replica_weights` and `stand_in_weights`, for many sets at once.
    """
    part_of = torch.tensor(ensemble.part_of, device=sets.device)
    is_of = torch.nn.functional.one_hot(part_of, len(ensemble.part_sizes)).to(torch.float32)
    there = sets.to(torch.float32)
    replicas = is_of.sum(dim=0)[part_of]
    if ensemble.denominator == "all":
        return there / replicas, (1 - there) / replicas
    arrived = (there @ is_of)[:, part_of]
    return there / arrived.clamp(min=1), (arrived == 0).to(torch.float32) / replicas
