"""Student networks: distillation of a teacher into students that each know a part of its filters."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from edgesim.interfaces import LossAware
from edgesim.nn.distill.ensembles import build_ensemble
from edgesim.nn.distill.independent import fit_independent
from edgesim.nn.distill.lessons import GivenFeatures
from edgesim.nn.distill.losses import transfer_loss
from edgesim.nn.distill.parallel import ParallelFeatures
from edgesim.nn.distill.student_training import trained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.domain.networks.partition import Denominator, Partition
    from edgesim.domain.networks.task import Task
    from edgesim.domain.networks.training import Distillation
    from edgesim.interfaces import ModelBuilder
    from edgesim.nn.distill.modules import StudentEnsemble
    from edgesim.nn.distill.student_training import StudentTraining

Fitting = Literal["joint", "independent"]
"""How students and head are trained: together as one network, or each student on its own and the head on what they give."""


@dataclass(frozen=True, slots=True)
class TrainedStudents:
    """Students and their head, trained.

    Parameters
    ----------
    ensemble : in evaluation mode.
    key : hash of everything that determined the weights.
    metrics : of the whole ensemble; see `edgesim.nn.train.training.TrainedNetwork`.
    """

    ensemble: StudentEnsemble
    key: str
    metrics: dict[str, float]


def train_students(
    setup: StudentTraining,
    partition: Partition,
    *,
    n_students: int,
    fitting: Fitting = "joint",
    denominator: Denominator = "arrived",
    builders: Sequence[ModelBuilder] = (),
) -> TrainedStudents:
    """Return students distilled from a teacher, or taken from the cache.

    Student i learns part i mod M, M the number of parts; with as many students as parts this is NoNN. A student is the given
    architecture, cut at its last convolution, with a bridge to its features; see `edgesim.nn.distill.modules.student`.

    Parameters
    ----------
    setup : who learns from whom, and how.
    partition : the filters of each part.
    n_students : at least the number of parts.
    fitting : ``joint``: students and head are one network and one loss. ``independent``: each student learns its own
        part with a head of its own, which is thrown away; then the common head learns on the means of what they give.
    denominator : how replicas are merged where some are lost while they learn; see `StudentEnsemble`.
    builders : the architecture of each student where they differ, for a joint training; without them all have that of the setup.
    """
    reading = setup.teacher.reading(setup.dataset.inputs)
    differing = {"models": list(builders)} if any(one != setup.builder for one in builders) else {}
    determinants = setup.determinants("students", parts=partition.parts, n_students=n_students, **differing, **reading)
    if fitting == "independent":
        determinants["fitting"] = fitting
    if isinstance(setup.objective, LossAware):
        determinants["denominator"] = denominator
    if fitting == "independent":
        make, name = fit_independent, "head"
    else:
        make, name = _fit_joint, "students"
    ensemble, key, metrics = trained(
        setup,
        determinants,
        name,
        lambda: build_ensemble(setup.builder, partition, setup.dataset, n_students, denominator, builders=builders),
        lambda ensemble, draws, key: make(setup, partition, ensemble, draws, key),
    )
    return TrainedStudents(ensemble, key, metrics)


def _fit_joint(
    setup: StudentTraining, partition: Partition, ensemble: StudentEnsemble, draws: torch.Generator, key: str
) -> int:
    outputs, options = setup.outputs(), setup.distillation
    wanted = [list(partition.parts[part]) for part in ensemble.part_of]
    with closing(ParallelFeatures(ensemble.students, setup.n_at_once)) as parallel:
        learner = _Together(setup.dataset.task, ensemble, parallel, wanted, options)

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            return setup.objective.loss(setup.lesson(learner, outputs.batch(indices, epoch), draws))

        return setup.fit(ensemble, batch_loss, draws=draws, label=f"{len(wanted)} students", key=key)


@dataclass(frozen=True, slots=True)
class _Together:
    """Students and head that learn as one network; `wanted` has the filters of each student's part."""

    task: Task
    ensemble: StudentEnsemble
    parallel: ParallelFeatures
    wanted: list[list[int]]
    options: Distillation

    @property
    def n_students(self) -> int:
        return len(self.wanted)

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.ensemble.answers(self.ensemble.features(inputs))

    def taught(self, inputs: Mapping[str, torch.Tensor], activities: torch.Tensor) -> GivenFeatures:
        features, options = self.parallel(inputs), self.options
        targets = [activities[:, part] for part in self.wanted]
        transfer = transfer_loss(features, targets, is_per_part=options.normalised_over == "part")
        return GivenFeatures(self.ensemble, features, options.beta * transfer)
