"""Students that are trained one by one: on their parts, with a head that is fitted afterwards, or on the whole task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgesim.nn.distill.ensembles import build_student
from edgesim.nn.distill.losses import imitation_loss, transfer_loss
from edgesim.nn.distill.modules import StudentEnsemble
from edgesim.nn.distill.processes import learn_alone
from edgesim.nn.distill.setup import trained
from edgesim.nn.tensors import ask
from edgesim.nn.train.training import EVALUATION_BATCH, forward

if TYPE_CHECKING:
    from torch import nn

    from edgesim.domain.networks.partition import Partition
    from edgesim.nn.distill.setup import School


def fit_independent(
    school: School, partition: Partition, ensemble: StudentEnsemble, draws: torch.Generator, key: str
) -> int:
    """Train each student on its own, then the head on the means of what they give; return the head's selected epoch.

    Parameters
    ----------
    school : who learns from whom, and how.
    partition : the filters of each part.
    ensemble : untrained; takes the weights.
    draws : shuffles the head's samples.
    key : of the ensemble.
    """
    n_students = len(ensemble.part_of)
    lots = [(partition.parts[part], index, n_students) for index, part in enumerate(ensemble.part_of)]
    for network, alone in zip(ensemble.students, learn_alone(school, _train_alone, lots, "students"), strict=True):
        network.load_state_dict(alone.students[0].state_dict())
    ensemble.eval().requires_grad_(False)
    ensemble.head.requires_grad_(True)
    lessons, options = school.lessons(), school.distillation
    given: dict[int, torch.Tensor] = {}

    def merged(view: int) -> torch.Tensor:
        if view not in given:
            inputs = {name: tensor.numpy() for name, tensor in lessons.views.whole(view, EVALUATION_BATCH).items()}
            outputs = [torch.from_numpy(forward(network, inputs)) for network in ensemble.students]
            given[view] = ensemble.merge(outputs)
        return given[view]

    def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        view = lessons.views.of_epoch(epoch)
        answers = ensemble.shaped(ensemble.head(merged(view)[indices]))
        wanted = lessons.answers(view)[0][indices]
        return imitation_loss(school.dataset.task, answers, wanted, lessons.targets[indices], options)

    label = f"head of {len(ensemble.part_of)} students"
    epoch = school.fit(ensemble.head, batch_loss, draws=draws, label=label, key=key, whole=ensemble)
    ensemble.requires_grad_(True)
    return epoch


def _train_alone(school: School, part: tuple[int, ...], index: int, n_students: int) -> StudentEnsemble:
    """Return one student with a head of its own."""
    options, wanted = school.distillation, list(part)

    def build() -> StudentEnsemble:
        network = build_student(school.builder, school.dataset, len(part))
        return StudentEnsemble([network], (0,), (len(part),), school.dataset.task.output.shape)

    def train(alone: StudentEnsemble, draws: torch.Generator, key: str) -> int:
        lessons = school.lessons()

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            lesson = lessons.batch(indices, epoch)
            features = alone.features(lesson.inputs)
            answers = alone.shaped(alone.head(features[0]))
            imitation = imitation_loss(school.dataset.task, answers, lesson.answers, lesson.targets, options)
            return imitation + options.beta * transfer_loss(features, [lesson.activities[:, wanted]], is_per_part=True)

        return school.fit(alone, batch_loss, draws=draws, label=f"student {index + 1} of {n_students}", key=key)

    determinants = school.determinants("student", part=part, index=index, **school.teacher.reading())
    return trained(school, determinants, f"student {index}", build, train)[0]


def train_whole_students(school: School, *, n_students: int) -> list[tuple[nn.Module, str, dict[str, float]]]:
    """Return students that each learn the whole task on their own: network, key and metrics of each.

    The architecture is not cut and there is no activation transfer; with alpha 0 labels alone count.

    Parameters
    ----------
    school : who learns from whom, and how; `beta`, `normalised_over` and `survival` do not count.
    n_students : they differ in initialisation and order of samples.
    """
    return learn_alone(school, _train_whole, [(index, n_students) for index in range(n_students)], "students")


def _train_whole(school: School, index: int, n_students: int) -> tuple[nn.Module, str, dict[str, float]]:
    options = school.distillation

    def train(network: nn.Module, draws: torch.Generator, key: str) -> int:
        lessons = school.lessons(has_filters=False)

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            lesson = lessons.batch(indices, epoch)
            answers = ask(network, lesson.inputs)
            return imitation_loss(school.dataset.task, answers, lesson.answers, lesson.targets, options)

        return school.fit(network, batch_loss, draws=draws, label=f"student {index + 1} of {n_students}", key=key)

    return trained(
        school,
        school.determinants("whole student", index=index),
        f"student {index}",
        lambda: school.builder.build(school.dataset.inputs, school.dataset.task.output),
        train,
    )
