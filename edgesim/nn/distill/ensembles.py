"""Making student networks, and what each of them adds to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgesim.errors import DataError
from edgesim.nn.distill.modules import StudentEnsemble, student
from edgesim.nn.tensors import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.networks.partition import Denominator, Partition
    from edgesim.domain.networks.samples import Dataset
    from edgesim.interfaces import ModelBuilder


class MeanOfNetworks:
    """Networks for the whole task, whose answers are averaged.

    Parameters
    ----------
    networks : in evaluation mode.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks = networks

    def features(self, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Return the answer of each."""
        return [ask(network, inputs) for network in self.networks]

    def answers(self, features: Sequence[torch.Tensor], arrived: Sequence[bool] | None = None) -> torch.Tensor:
        """Return the mean of the answers that arrived, zeros without any."""
        kept = [one for position, one in enumerate(features) if arrived is None or arrived[position]]
        return torch.stack(kept).mean(dim=0) if kept else torch.zeros_like(features[0])


def build_ensemble(
    builder: ModelBuilder,
    partition: Partition,
    dataset: Dataset,
    n_students: int,
    denominator: Denominator = "arrived",
    *,
    builders: Sequence[ModelBuilder] = (),
) -> StudentEnsemble:
    """Return untrained students and head; with `builders` each student has an architecture of its own."""
    part_of = [index % len(partition.parts) for index in range(n_students)]
    networks = [
        build_student(own, dataset, partition.sizes[part])
        for own, part in zip(builders or [builder] * n_students, part_of, strict=True)
    ]
    return StudentEnsemble(networks, part_of, partition.sizes, dataset.task.output.shape, denominator)


def build_student(builder: ModelBuilder, dataset: Dataset, n_features: int) -> nn.Module:
    """Return one untrained student. Raises `DataError` when the architecture has no layer of filters."""
    network = builder.build(dataset.inputs, dataset.task.output)
    layer = builder.filter_layer()
    if layer is None:
        raise DataError(
            "this architecture has no layer of filters at which a student ends; choose another for the students"
        )
    return student(network, layer, dataset.inputs, n_features)


def contributions(
    ensemble: StudentEnsemble, features: Sequence[NDArray[np.float32]], network_of: Sequence[int]
) -> NDArray[np.float32]:
    """Return what each student adds to the answer when it is the only one of its part that arrives.

    The head is linear, so the answer for any set of arrived students are its bias plus, for each part, the mean of these over the
    arrived students of the part.

    Parameters
    ----------
    ensemble : trained.
    features : what the merger has of each student, shape (n, features of its part).
    network_of : which network of the ensemble each student is a copy of.

    Returns
    -------
    Shape (students, n, numbers of an answer).
    """
    weight = ensemble.head.weight.detach()
    chunks = torch.split(weight, list(ensemble.part_sizes), dim=1)
    outputs = [
        torch.from_numpy(own) @ chunks[ensemble.part_of[network]].T
        for own, network in zip(features, network_of, strict=True)
    ]
    return torch.stack(outputs).numpy()
