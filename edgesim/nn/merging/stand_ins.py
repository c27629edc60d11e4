"""A small network that predicts the features of lost parts from those that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgesim.domain.networks.task import Score
from edgesim.domain.networks.training import Training
from edgesim.nn.train.cards import content_key, provenance
from edgesim.nn.train.training import Reached, about, fit, forward, forward_of, reproducible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.nn.distill.student_training import StudentTraining
    from edgesim.nn.distill.students import TrainedStudents

HIDDEN = 128
"""Units of the only hidden layer; chosen beforehand, not tuned."""
TRAINING = Training(epochs=20, batch_size=256, learning_rate=1e-3)
"""How it learns; chosen beforehand, not tuned."""


def _squared(answers: NDArray[np.float32], targets: NDArray[Any]) -> float:
    return float(((answers - targets) ** 2).mean())


_ERROR = Score("squared error of features", of=_squared, is_larger_better=False)


class StandIns(nn.Module):
    """Predicts the features of the parts that are lost: one hidden layer on what came, scaled, and on which parts came.

    Parameters
    ----------
    part_sizes : features of each part.
    mean, scale : of each feature on training samples; shape (features,).
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, part_sizes: Sequence[int], mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.part_sizes = tuple(part_sizes)
        n_features = sum(self.part_sizes)
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", scale.clone())
        self.inner = nn.Sequential(
            nn.Linear(n_features + len(self.part_sizes), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, n_features)
        )

    def forward(self, features: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return the features, those of lost parts predicted.

        Parameters
        ----------
        features : shape (n, features); what stands in the place of lost parts does not count.
        there : 1 for each part that came, else 0; shape (n, parts).
        """
        came = torch.repeat_interleave(there, torch.tensor(self.part_sizes), dim=1)
        scaled = (features - self.mean) / self.scale * came
        predicted = self.inner(torch.cat([scaled, there], dim=1)) * self.scale + self.mean
        return torch.where(came > 0, features, predicted)


def train_stand_ins(setup: StudentTraining, students: TrainedStudents) -> StandIns:
    """Return the stand-ins of some students, trained on what these say of the training split, or taken from the cache.

    For each training sample a number of lost parts, from 1 to all, and then which, are drawn anew in every epoch; the loss is the mean
    squared error of all predicted features, each in units of its standard deviation. The epoch is selected on the validation split.

    Parameters
    ----------
    setup : data set, seed, progress and cache of the students.
    students : trained, with two parts at least.
    """
    ensemble, dataset = students.ensemble, setup.dataset
    determinants = provenance("stand-ins", students=students.key, hidden=HIDDEN, training=TRAINING, seed=setup.seed)
    key, score = content_key(determinants), dataset.task.scores[0].name
    with reproducible(setup.seed, "stand-ins") as draws:
        n_features = sum(ensemble.part_sizes)
        network = StandIns(ensemble.part_sizes, torch.zeros(n_features), torch.ones(n_features))
        if setup.cache.restore(key, network, score) is None:
            epoch = _fit(network, setup, students, draws, key)
            labels = about(dataset, network)
            setup.cache.store(key, network.state_dict(), determinants, {**students.metrics, "epoch": epoch}, labels)
    return network.eval()


def merged_features(students: TrainedStudents, inputs: Mapping[str, NDArray[np.float32]]) -> torch.Tensor:
    """Return the features of all parts when everything arrives, shape (n, features)."""
    ensemble = students.ensemble
    return ensemble.merge([torch.from_numpy(forward(network, inputs)) for network in ensemble.students])


def fill(network: StandIns, features: NDArray[np.float32], there: Collection[int]) -> NDArray[np.float32]:
    """Return features, shape (n, features), with those of the parts that are not there predicted."""
    mask = torch.tensor([[float(part in there) for part in range(len(network.part_sizes))]])

    def answer(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        filled: torch.Tensor = network(batch["features"], mask.expand(len(batch["features"]), -1))
        return filled

    return forward_of(answer, {"features": features})


def _fit(network: StandIns, setup: StudentTraining, students: TrainedStudents, draws: torch.Generator, key: str) -> int:
    features = merged_features(students, setup.dataset.train.inputs)
    judged = merged_features(students, setup.dataset.validation.inputs)
    network.mean.copy_(features.mean(dim=0))
    network.scale.copy_(features.std(dim=0).clamp_min(1e-6))
    which = _drawn(len(judged), len(network.part_sizes), torch.Generator().manual_seed(setup.seed))

    def error(some: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        predicted: torch.Tensor = network(some, there)
        return (((predicted - some) / network.scale) ** 2).mean()

    def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:  # noqa: ARG001 - the form of fit
        return error(features[indices], _drawn(len(indices), len(network.part_sizes), draws))

    def validate() -> Reached:
        network.eval()
        with torch.inference_mode():
            loss = float(error(judged, which))
        return Reached(_ERROR, loss, loss)

    return fit(
        network, batch_loss, TRAINING, n_samples=len(features), validate=validate, draws=draws,
        label=f"stand-ins for lost parts on {setup.dataset.name}", progress=setup.progress, checkpoint=setup.cache.checkpoint_path(key),
    )  # fmt: skip


def _drawn(n_samples: int, n_parts: int, draws: torch.Generator) -> torch.Tensor:
    """Return which parts are there, shape (n, parts): from 1 to all of them are lost."""
    n_lost = torch.randint(1, n_parts + 1, (n_samples, 1), generator=draws)
    rank = torch.rand(n_samples, n_parts, generator=draws).argsort(dim=1).argsort(dim=1)
    return (rank >= n_lost).float()
