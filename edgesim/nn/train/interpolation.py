"""Interpolation consistency training; see `edgesim.domain.networks.interpolation.Interpolation`."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from edgesim.errors import DataError
from edgesim.nn.tensors import ask
from edgesim.rng import generator
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgesim.domain.networks.interpolation import Interpolation
    from edgesim.domain.networks.samples import Dataset
    from edgesim.domain.networks.task import Task

    Batch = Mapping[str, torch.Tensor]


def labelled_samples(dataset: Dataset, per_class: int, seed: int) -> NDArray[np.int64]:
    """Return the indices of the training samples whose labels are known, in ascending order.

    Raises
    ------
    DataError
        When the task is no classification, inputs cannot be mixed, or a class has too few samples.
    """
    if not isinstance(dataset.task, Classification):
        raise DataError(
            f"training.interpolation mixes the answers of a classification; {dataset.name} asks something else"
        )
    for name, array in dataset.train.inputs.items():
        if array.dtype.kind != "f":
            raise DataError(
                f"training.interpolation mixes inputs; {name!r} of {dataset.name} holds {array.dtype}, which cannot be mixed"
            )
    labels, rng, found = dataset.train.targets, generator(seed, "labels"), []
    for label in range(dataset.task.classes):
        own = np.flatnonzero(labels == label)
        if len(own) < per_class:
            raise DataError(
                f"training.interpolation.labels_per_class is {per_class}, but class {label} of {dataset.name} has {len(own)} training samples; ask for fewer"
            )
        found.append(rng.choice(own, per_class, replace=False))
    return np.sort(np.concatenate(found))


def with_answers_for_labels(dataset: Dataset, answers: NDArray[np.float32], known: NDArray[np.int64]) -> Dataset:
    """Return the data set with what a network answers in place of the labels of training samples that are not known.

    Parameters
    ----------
    dataset : a classification.
    answers : to the training split, shape (n, classes).
    known : indices of the samples that keep their label.
    """
    targets = answers.argmax(axis=1).astype(dataset.train.targets.dtype)
    targets[known] = dataset.train.targets[known]
    return replace(dataset, train=replace(dataset.train, targets=targets))


class WithMean(nn.Module):
    """A network that is trained, and the moving mean of its weights, which answers.

    Parameters
    ----------
    network : as it is trained.
    decay : the most that a step leaves of the mean.
    """

    n_steps: torch.Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = network
        self.mean = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.decay = decay
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        self._is_behind = False

    def begin_step(self) -> None:
        """Let the mean follow the step before, if it has not, and say that another one comes."""
        self.follow()
        self._is_behind = True

    def follow(self) -> None:
        """Let the mean follow the last step: mean <- d mean + (1 - d) weights."""
        if not self._is_behind:
            return
        kept = min(1 - 1 / (int(self.n_steps) + 1), self.decay)
        with torch.no_grad():
            for mean, own in zip(self.mean.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(own, 1 - kept)
        self.n_steps += 1
        self._is_behind = False

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """Return the answers of the mean."""
        answers: torch.Tensor = self.mean(*inputs, **named)
        return answers


def drawn_share(mixing: float, draws: torch.Generator) -> float:
    """Return l ~ Beta(a, a) by Jöhnk's rule: x / (x + y) of x = u^(1/a), y = v^(1/a), once x + y <= 1."""
    while True:
        first, second = (torch.rand(2, generator=draws, dtype=torch.float64) ** (1 / mixing)).tolist()
        if 0 < first + second <= 1:
            return float(first / (first + second))


def labelled_loss(
    network: nn.Module, task: Task, batch: tuple[Batch, torch.Tensor], options: Interpolation, draws: torch.Generator
) -> torch.Tensor:
    """Return L_S of inputs and their targets."""
    inputs, targets = batch
    if not options.mixes_labelled:
        return task.loss(ask(network, inputs), targets)
    share, others = drawn_share(options.mixing, draws), torch.randperm(len(targets), generator=draws)
    answers = ask(network, _mixed(inputs, share, others))
    return share * task.loss(answers, targets) + (1 - share) * task.loss(answers, targets[others])


def consistency_loss(pair: WithMean, inputs: Batch, options: Interpolation, draws: torch.Generator) -> torch.Tensor:
    """Return L_U of inputs without labels."""
    share = drawn_share(options.mixing, draws)
    others = torch.randperm(len(next(iter(inputs.values()))), generator=draws)
    with torch.no_grad():
        said = ask(pair.mean, inputs)
        if options.mixed == "logits":
            wanted = (share * said + (1 - share) * said[others]).softmax(dim=1)
        else:
            wanted = share * said.softmax(dim=1) + (1 - share) * said[others].softmax(dim=1)
    answers = ask(pair.network, _mixed(inputs, share, others)).softmax(dim=1)
    loss: torch.Tensor = (answers - wanted).square().mean()
    return loss


def _mixed(inputs: Batch, share: float, others: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name: share * tensor + (1 - share) * tensor[others] for name, tensor in inputs.items()}
