"""Students that are trained one by one: on their parts, with a head that is fitted afterwards, or on the whole task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from edgesim.nn.distill.ensembles import build_student
from edgesim.nn.distill.lessons import GivenAnswers
from edgesim.nn.distill.losses import imitation_loss, transfer_loss
from edgesim.nn.distill.modules import StudentEnsemble
from edgesim.nn.distill.processes import learn_alone
from edgesim.nn.distill.student_training import trained
from edgesim.nn.tensors import ask
from edgesim.nn.train.device import training_device
from edgesim.nn.train.training import EVALUATION_BATCH, forward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from edgesim.domain.networks.partition import Partition
    from edgesim.domain.networks.task import Task
    from edgesim.nn.distill.student_training import StudentTraining


def fit_independent(
    setup: StudentTraining, partition: Partition, ensemble: StudentEnsemble, draws: torch.Generator, key: str
) -> int:
    """Train each student on its own, then the head on the means of what they give; return the head's selected epoch.

    Parameters
    ----------
    setup : who learns from whom, and how.
    partition : the filters of each part.
    ensemble : untrained; takes the weights.
    draws : shuffles the head's samples.
    key : of the ensemble.
    """
    n_students = len(ensemble.part_of)
    students = [(partition.parts[part], index, n_students) for index, part in enumerate(ensemble.part_of)]
    for network, alone in zip(ensemble.students, learn_alone(setup, _train_alone, students, "students"), strict=True):
        network.load_state_dict(alone.students[0].state_dict())
    ensemble.to(training_device(setup.training.device)).eval().requires_grad_(False)
    ensemble.head.requires_grad_(True)
    outputs, options = setup.outputs(), setup.distillation
    given: dict[int, torch.Tensor] = {}

    def merged(view: int) -> torch.Tensor:
        if view not in given:
            inputs = {name: tensor.numpy() for name, tensor in outputs.views.whole(view, EVALUATION_BATCH).items()}
            features = [torch.from_numpy(forward(network, inputs)) for network in ensemble.students]
            given[view] = ensemble.merge(features)
        return given[view]

    def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        view = outputs.views.of_epoch(epoch)
        answers = ensemble.shaped(ask(ensemble.head, {"features": merged(view)[indices]}))
        wanted, targets = outputs.answers(view)[0][indices], outputs.targets[indices]
        return imitation_loss(
            setup.dataset.task, answers, wanted.to(answers.device), targets.to(answers.device), options
        )

    label = f"head of {len(ensemble.part_of)} students"
    epoch = setup.fit(ensemble.head, batch_loss, draws=draws, label=label, key=key, whole=ensemble)
    ensemble.cpu().requires_grad_(True)
    return epoch


def _train_alone(setup: StudentTraining, part: tuple[int, ...], index: int, n_students: int) -> StudentEnsemble:
    """Return one student with a head of its own."""
    options, wanted = setup.distillation, list(part)

    def build() -> StudentEnsemble:
        network = build_student(setup.builder, setup.dataset, len(part))
        return StudentEnsemble([network], (0,), (len(part),), setup.dataset.task.output.shape)

    def train(alone: StudentEnsemble, draws: torch.Generator, key: str) -> int:
        outputs = setup.outputs()

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            batch = outputs.batch(indices, epoch)
            features = alone.features(batch.inputs)
            answers = alone.shaped(alone.head(features[0]))
            imitation = imitation_loss(setup.dataset.task, answers, batch.answers, batch.targets, options)
            return imitation + options.beta * transfer_loss(features, [batch.activities[:, wanted]], is_per_part=True)

        return setup.fit(alone, batch_loss, draws=draws, label=f"student {index + 1} of {n_students}", key=key)

    determinants = setup.determinants("student", part=part, index=index, **setup.teacher.reading(setup.dataset.inputs))
    return trained(setup, determinants, f"student {index}", build, train)[0]


def train_whole_students(setup: StudentTraining, *, n_students: int) -> list[tuple[nn.Module, str, dict[str, float]]]:
    """Return students that each learn the whole task on their own: network, key and metrics of each.

    The architecture is not cut and there is no activation transfer; with alpha 0 labels alone count.

    Parameters
    ----------
    setup : who learns from whom, and how; `beta` and `normalised_over` do not count.
    n_students : they differ in initialisation and order of samples.
    """
    return learn_alone(setup, _train_whole, [(index, n_students) for index in range(n_students)], "students")


@dataclass(frozen=True, slots=True)
class _Alone:
    """A student that learns the whole task, without activities."""

    task: Task
    network: nn.Module
    n_students: int = 1

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        answers: torch.Tensor = ask(self.network, inputs)
        return answers

    def taught(self, inputs: Mapping[str, torch.Tensor], activities: torch.Tensor) -> GivenAnswers:
        return GivenAnswers(self.answers(inputs), activities.new_zeros(()))


def _train_whole(setup: StudentTraining, index: int, n_students: int) -> tuple[nn.Module, str, dict[str, float]]:
    def train(network: nn.Module, draws: torch.Generator, key: str) -> int:
        outputs, learner = setup.outputs(has_filters=False), _Alone(setup.dataset.task, network)

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            return setup.objective.loss(setup.lesson(learner, outputs.batch(indices, epoch), draws))

        return setup.fit(network, batch_loss, draws=draws, label=f"student {index + 1} of {n_students}", key=key)

    return trained(
        setup,
        setup.determinants("whole student", index=index),
        f"student {index}",
        lambda: setup.builder.build(setup.dataset.inputs, setup.dataset.task.output),
        train,
    )
