"""Student networks: joint distillation of a teacher into students that each know a part of its filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from edgesim.nn.activations import filter_activities
from edgesim.nn.cache import NetworkCache, content_key, fingerprint, provenance
from edgesim.nn.modules import StudentEnsemble, student, up_to
from edgesim.nn.training import about, fit, forward, logits, measured, reproducible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.model import Dataset
    from edgesim.domain.partition import Partition
    from edgesim.domain.training import Distillation, Training
    from edgesim.interfaces import ModelBuilder, Progress


@dataclass(frozen=True, slots=True)
class Teacher:
    """What students learn from.

    Parameters
    ----------
    network : in evaluation mode.
    key : hash of everything that determined its weights.
    layer : submodule whose output channels are its filters.
    """

    network: nn.Module
    key: str
    layer: str


@dataclass(frozen=True, slots=True)
class TrainedStudents:
    """Students and their head, trained.

    Parameters
    ----------
    ensemble : in evaluation mode.
    key : hash of everything that determined the weights.
    metrics : of the whole ensemble; see `edgesim.nn.training.TrainedNetwork`.
    """

    ensemble: StudentEnsemble
    key: str
    metrics: dict[str, float]


def train_students(
    builder: ModelBuilder,
    teacher: Teacher,
    partition: Partition,
    dataset: Dataset,
    *,
    n_students: int,
    distillation: Distillation,
    training: Training,
    seed: int,
    progress: Progress,
    cache: NetworkCache,
) -> TrainedStudents:
    """Return students distilled from a teacher, all together with their head as one network, or taken from the cache.

    Student i learns part i mod M, M the number of parts; with as many students as parts this is NoNN.

    Parameters
    ----------
    builder : architecture of one student; it is cut at its last convolution and a bridge is put behind.
    teacher : what they learn from.
    partition : the filters of each part.
    dataset : trains on ``train``, selects the epoch on ``validation``; ``test`` is only measured, at the end.
    n_students : at least the number of parts.
    distillation : the loss.
    training : options.
    seed : of the initialisation and the order of samples.
    progress : one unit per epoch; nothing is shown when they come from the cache.
    cache : where they are looked up and kept.
    """
    determinants = provenance(
        "students",
        dataset=fingerprint(dataset),
        teacher=teacher.key,
        layer=teacher.layer,
        model=builder,
        parts=partition.parts,
        n_students=n_students,
        distillation=distillation,
        training=training,
        seed=seed,
    )
    key = content_key(determinants)
    with reproducible(seed, "students") as draws:
        ensemble = build_ensemble(builder, partition, dataset, n_students)
        found = cache.load(key)
        if found is not None:
            ensemble.load_state_dict(found[0])
            return TrainedStudents(ensemble.eval(), key, dict(found[1]["metrics"]))
        epoch = fit(
            ensemble,
            _Distiller(ensemble, teacher, partition, dataset, distillation),
            training,
            n_samples=len(dataset.train),
            validation=dataset.validation,
            draws=draws,
            label=f"{n_students} students on {dataset.name}",
            progress=progress,
        )
        metrics = measured(ensemble, dataset, epoch)
    cache.store(key, ensemble.state_dict(), determinants, metrics, about(dataset, ensemble))
    return TrainedStudents(ensemble, key, metrics)


def build_ensemble(builder: ModelBuilder, partition: Partition, dataset: Dataset, n_students: int) -> StudentEnsemble:
    """Return untrained students and head."""
    part_of = [index % len(partition.parts) for index in range(n_students)]
    networks = [
        student(
            up_to(builder.build(dataset.input_shape, dataset.n_classes), builder.last_conv()),
            dataset.input_shape,
            partition.sizes[part],
        )
        for part in part_of
    ]
    return StudentEnsemble(networks, part_of, partition.sizes, dataset.n_classes)


def contributions(ensemble: StudentEnsemble, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what each student adds to the logits when it is the only one of its part that arrives.

    The head is linear, so the logits for any set of arrived students are its bias plus, for each part, the mean of these over the
    arrived students of the part.

    Parameters
    ----------
    ensemble : trained.
    inputs : samples, shape (n, channels, height, width).

    Returns
    -------
    Shape (students, n, classes).
    """
    weight = ensemble.head.weight.detach()
    chunks = torch.split(weight, list(ensemble.part_sizes), dim=1)
    outputs = [
        torch.from_numpy(forward(network, inputs)) @ chunks[part].T
        for network, part in zip(ensemble.students, ensemble.part_of, strict=True)
    ]
    return torch.stack(outputs).numpy()


class _Distiller:
    """The loss of a batch; what the teacher says about the training split is computed once."""

    def __init__(
        self,
        ensemble: StudentEnsemble,
        teacher: Teacher,
        partition: Partition,
        dataset: Dataset,
        distillation: Distillation,
    ) -> None:
        self.ensemble, self.distillation = ensemble, distillation
        self.inputs = torch.from_numpy(dataset.train.inputs)
        self.labels = torch.from_numpy(dataset.train.labels)
        self.answers = torch.from_numpy(logits(teacher.network, dataset.train.inputs))
        activities = torch.from_numpy(filter_activities(teacher.network, teacher.layer, dataset.train.inputs))
        self.targets = [activities[:, list(partition.parts[part])] for part in ensemble.part_of]

    def __call__(self, indices: torch.Tensor) -> torch.Tensor:
        features = self.ensemble.features(self.inputs[indices])
        answers = self.ensemble.head(self.ensemble.merge(features))
        targets = [target[indices] for target in self.targets]
        options = self.distillation
        imitation = imitation_loss(
            answers, self.answers[indices], self.labels[indices], options.temperature, options.alpha
        )
        transfer = transfer_loss(features, targets, is_per_part=options.normalised_over == "part")
        return imitation + options.beta * transfer


def imitation_loss(
    answers: torch.Tensor, wanted: torch.Tensor, labels: torch.Tensor, temperature: float, alpha: float
) -> torch.Tensor:
    """Return 2 alpha T^2 mean(p_T log(p_T / p_S)) + (1 - alpha) CE, p the softmax of logits / T of teacher and students.

    The mean is over samples and classes, as in NoNN's code: the first term is smaller by the number of classes than the
    Kullback-Leibler divergence per sample.
    """
    soft = nn.functional.kl_div(
        nn.functional.log_softmax(answers / temperature, dim=1),
        nn.functional.log_softmax(wanted / temperature, dim=1),
        reduction="none",
        log_target=True,
    ).mean()
    return 2 * alpha * temperature**2 * soft + (1 - alpha) * nn.functional.cross_entropy(answers, labels)


def transfer_loss(
    features: Sequence[torch.Tensor], targets: Sequence[torch.Tensor], *, is_per_part: bool
) -> torch.Tensor:
    """Return mean((f_S / |f_S| - f_T / |f_T|)^2) over samples and features, f scaled to length 1 for each sample.

    Parameters
    ----------
    features, targets : of each student, shape (n, features of its part).
    is_per_part : whether each student's features are scaled on their own, or all together.
    """
    if not is_per_part:
        features, targets = [torch.cat(list(features), dim=1)], [torch.cat(list(targets), dim=1)]
    differences = [
        nn.functional.normalize(feature, dim=1) - nn.functional.normalize(target, dim=1)
        for feature, target in zip(features, targets, strict=True)
    ]
    return torch.cat(differences, dim=1).square().mean()
