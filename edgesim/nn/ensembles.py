"""Making student networks, and what each of them adds to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgesim.nn.modules import StudentEnsemble, student, up_to
from edgesim.nn.training import forward

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.model import Dataset
    from edgesim.domain.partition import Denominator, Partition
    from edgesim.interfaces import ModelBuilder


def build_ensemble(
    builder: ModelBuilder,
    partition: Partition,
    dataset: Dataset,
    n_students: int,
    denominator: Denominator = "arrived",
) -> StudentEnsemble:
    """Return untrained students and head."""
    part_of = [index % len(partition.parts) for index in range(n_students)]
    networks = [build_student(builder, dataset, partition.sizes[part]) for part in part_of]
    return StudentEnsemble(networks, part_of, partition.sizes, dataset.n_classes, denominator)


def build_student(builder: ModelBuilder, dataset: Dataset, n_features: int) -> nn.Sequential:
    """Return one untrained student."""
    body = up_to(builder.build(dataset.input_shape, dataset.n_classes), builder.last_conv())
    return student(body, dataset.input_shape, n_features)


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
