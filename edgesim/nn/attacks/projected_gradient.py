"""Projected gradient; see `edgesim.domain.networks.attack.Attack`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgesim.errors import DataError
from edgesim.nn.tensors import tensors_of
from edgesim.rng import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from edgesim.domain.networks.attack import Attack
    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.domain.networks.task import Task

    Answer = Callable[[Mapping[str, torch.Tensor]], torch.Tensor]

BATCH = 512
"""Samples that are attacked at once when nothing is trained."""


def check_attackable(dataset: Dataset) -> None:
    """Refuse samples that cannot be attacked.

    Raises
    ------
    DataError
        When there is no input of real numbers, or one goes beyond 0 to 1.
    """
    for split in (dataset.train, dataset.validation, dataset.test):
        real = {name: array for name, array in split.inputs.items() if array.dtype.kind == "f"}
        if not real:
            raise DataError(f"{dataset.name} has no input of real numbers; an attack changes these by small amounts")
        for name, array in real.items():
            if len(array) and (array.min() < 0 or array.max() > 1):
                raise DataError(
                    f"{dataset.name} has values of {name!r} from {array.min():.3g} to {array.max():.3g}; an attack needs inputs from 0 to 1"
                )


def attacked(
    answer: Answer,
    inputs: Mapping[str, torch.Tensor],
    loss: Callable[[torch.Tensor], torch.Tensor],
    attack: Attack,
    draws: torch.Generator,
) -> dict[str, torch.Tensor]:
    """Return samples that make a loss large; inputs of whole numbers stay as they are.

    Parameters
    ----------
    answer : a network, in the mode in which it is.
    inputs : named tensors whose first axis counts the samples, real ones from 0 to 1.
    loss : of the answers; it sums or averages over the samples.
    attack : options.
    draws : where a random start comes from.
    """
    clean = {name: tensor for name, tensor in inputs.items() if tensor.is_floating_point()}
    moved = dict(clean)
    if attack.start == "random":
        moved = {name: tensor + _uniform(tensor, attack.radius, draws) for name, tensor in clean.items()}
    moved = _within(moved, clean, attack.radius)
    for _ in range(attack.steps if attack.radius else 0):
        variables = {name: tensor.detach().requires_grad_() for name, tensor in moved.items()}
        value = loss(answer({**inputs, **variables}))
        if not value.requires_grad:
            break  # the answer does not depend on any input
        slopes = torch.autograd.grad(value, list(variables.values()), allow_unused=True, materialize_grads=True)
        steps = zip(moved.items(), slopes, strict=True)
        moved = _within(
            {name: tensor + attack.step * slope.sign() for (name, tensor), slope in steps}, clean, attack.radius
        )
    return {**inputs, **moved}


def attacked_samples(
    answer: Answer, samples: Samples, task: Task, attack: Attack, seed: int
) -> dict[str, NDArray[Any]]:
    """Return the inputs of samples, attacked by the loss of the task; on one thread, the same for the same seed.

    Parameters
    ----------
    answer : a network in evaluation mode.
    samples, task, attack : what is attacked, and how.
    seed : of random starts, which do not depend on the network.
    """
    draws = torch.Generator().manual_seed(int(generator(seed, "attack").integers(2**63)))
    tensors, targets = tensors_of(samples.inputs), torch.from_numpy(samples.targets)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = [
            attacked(
                answer,
                {name: tensor[first : first + BATCH] for name, tensor in tensors.items()},
                lambda answers, first=first: task.loss(answers, targets[first : first + BATCH].to(answers.device)),  # type: ignore[misc]
                attack,
                draws,
            )
            for first in range(0, len(samples), BATCH)
        ]
    finally:
        torch.set_num_threads(n_threads)
    return {name: np.concatenate([batch[name].detach().numpy() for batch in found]) for name in tensors}


def _uniform(tensor: torch.Tensor, radius: float, draws: torch.Generator) -> torch.Tensor:
    return ((2 * torch.rand(tensor.shape, generator=draws, dtype=tensor.dtype) - 1) * radius).to(tensor.device)


def _within(
    moved: Mapping[str, torch.Tensor], clean: Mapping[str, torch.Tensor], radius: float
) -> dict[str, torch.Tensor]:
    """Return tensors within the box around the samples, and from 0 to 1."""
    return {
        name: torch.clamp(torch.maximum(torch.minimum(tensor, clean[name] + radius), clean[name] - radius), 0, 1)
        for name, tensor in moved.items()
    }
