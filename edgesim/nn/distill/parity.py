"""A network that answers the sum of some samples with the sum of another network's answers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgesim.nn.tensors import ask, on
from edgesim.nn.train.device import training_device
from edgesim.nn.train.once import trained_once
from edgesim.nn.train.training import Reached, forward

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.domain.networks.task import Task
    from edgesim.domain.networks.training import Training
    from edgesim.interfaces import Progress
    from edgesim.nn.train.cache import NetworkCache


def train_parity(
    network: nn.Module,
    network_key: str,
    dataset: Dataset,
    n_samples: int,
    training: Training,
    *,
    seed: int,
    progress: Progress,
    cache: NetworkCache,
) -> tuple[nn.Module, str]:
    """Return a network g with g(x_1 + ... + x_k) near f(x_1) + ... + f(x_k), trained or taken from the cache, and its key.

    Parameters
    ----------
    network, network_key : f, with whose weights g begins.
    dataset : trains on ``train``; the epoch is that of the best decoded answers on ``validation``.
    n_samples : k.
    training : options; samples are as they are, without views.
    seed : of the order of samples and of who is summed with whom.
    progress : one unit per epoch.
    cache : where it is looked up and kept; an unfinished training goes on from its last epoch.
    """

    def lesson(parity: nn.Module, draws: torch.Generator) -> Callable[[torch.Tensor, int], torch.Tensor]:
        device = training_device(training.device)
        inputs = {label: torch.from_numpy(values) for label, values in dataset.train.inputs.items()}
        answers = torch.from_numpy(forward(network, dataset.train.inputs))

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:  # noqa: ARG001 - what `fit` gives
            others = torch.randint(len(answers), (len(indices), n_samples - 1), generator=draws)
            group = torch.cat([indices[:, None], others], dim=1)
            asked = on(device, {label: values[group].sum(dim=1) for label, values in inputs.items()})
            return torch.nn.functional.mse_loss(ask(parity, asked), answers[group].sum(dim=1).to(device))

        return batch_loss

    def score(parity: nn.Module, split: Samples) -> Reached:
        return decoded_score(parity, network, split, dataset.task, n_samples)

    def measure(parity: nn.Module, dataset: Dataset, epoch: int) -> dict[str, float]:
        name = dataset.task.scores[0].name
        return {
            f"validation_{name}": score(parity, dataset.validation).value,
            f"test_{name}": score(parity, dataset.test).value,
            "epoch": epoch,
        }

    parity, key, _ = trained_once(
        "parity",
        network_key,
        dataset,
        training,
        make=lambda: copy.deepcopy(network),
        lesson=lesson,
        validate=lambda parity: score(parity, dataset.validation),
        measure=measure,
        options={"n_samples": n_samples},
        label=f"parity of {n_samples} queries",
        seed=seed,
        progress=progress,
        cache=cache,
    )
    return parity, key


def decoded_score(parity: nn.Module, network: nn.Module, split: Samples, task: Task, n_samples: int) -> Reached:
    """Return how good answers to samples are that are the parity's less those of k - 1 others.

    Sample s is summed with samples s + 1, s + 2, ..., which may be those of other groups later: all pairs are alike.
    """
    group = (np.arange(len(split))[:, None] + np.arange(n_samples)) % len(split)
    sums = {name: values[group].sum(axis=1) for name, values in split.inputs.items()}
    answers = forward(parity, sums) - forward(network, split.inputs)[group[:, 1:]].sum(axis=1)
    loss = task.loss(torch.from_numpy(answers), torch.from_numpy(split.targets))
    return Reached(task.scores[0], task.scores[0].of(answers, split.targets), float(loss))
