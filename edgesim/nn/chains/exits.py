"""Chains of segments with a classifier behind each, trained together."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgesim.errors import PlanError
from edgesim.nn.chains.segments import segments_of
from edgesim.nn.data.views import Views
from edgesim.nn.tensors import on
from edgesim.nn.train.device import training_device
from edgesim.nn.train.once import trained_once
from edgesim.nn.train.training import Reached, forward_of
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.domain.networks.training import Training
    from edgesim.interfaces import Progress
    from edgesim.nn.chains.segments import Segment
    from edgesim.nn.train.cache import NetworkCache


class ExitChain(nn.Module):
    """Segments one behind another, and behind each but the last an exit, see `exit_of`.

    Parameters
    ----------
    segments : of a network that classifies.
    n_classes : numbers of an answer.
    """

    def __init__(self, segments: Sequence[Segment], n_classes: int) -> None:
        super().__init__()
        self.segments = nn.ModuleList(segment.module for segment in segments)
        self.exits = nn.ModuleList(exit_of(segment.output_shape, n_classes) for segment in segments[:-1])
        self.shapes = [segment.input_shape for segment in segments]

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the answers of the last segment."""
        return self.all_answers(values)[-1]

    def all_answers(self, values: torch.Tensor) -> list[torch.Tensor]:
        """Return the answers of all exits, and last those of the last segment."""
        found = []
        for segment, leave in zip(self.segments, self.exits, strict=False):
            values = segment(values)
            found.append(leave(values))
        return [*found, self.segments[-1](values)]


def exit_of(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return the exit behind a tensor of some shape: its means over at most 4 places along each axis of space, and a linear layer.

    Examples
    --------
    >>> exit_of((4,), 3)
    Linear(in_features=4, out_features=3, bias=True)
    >>> exit_of((4, 8, 8), 3)[-1]
    Linear(in_features=64, out_features=3, bias=True)
    """
    means: dict[int, Any] = {2: nn.AdaptiveAvgPool1d, 3: nn.AdaptiveAvgPool2d, 4: nn.AdaptiveAvgPool3d}
    if len(shape) not in means:
        return nn.Linear(shape[0], n_classes)
    places = tuple(min(4, n) for n in shape[1:])
    return nn.Sequential(means[len(shape)](places), nn.Flatten(), nn.Linear(shape[0] * prod(places), n_classes))


def train_exits(
    network: nn.Module,
    network_key: str,
    dataset: Dataset,
    cuts: Sequence[str],
    training: Training,
    *,
    seed: int,
    progress: Progress,
    cache: NetworkCache,
) -> tuple[ExitChain, str]:
    """Return a network with exits, all trained together with equal weights, or take it from the cache; and its key.

    Parameters
    ----------
    network, network_key : what it begins with.
    dataset : trains on ``train``, selects the epoch by the mean score of all exits on ``validation``.
    cuts : ids of the layers behind which the network is cut.
    training : options.
    seed : of the exits and the order of samples.
    progress : one unit per epoch.
    cache : where it is looked up and kept; an unfinished training goes on from its last epoch.

    Raises
    ------
    PlanError
        When the network cannot be cut there, or it does not classify.
    """
    task = dataset.task
    if not isinstance(task, Classification):
        raise PlanError(
            "whether an exit is sure is the entropy over classes; give the workload a task of one class per sample"
        )

    def lesson(chain: ExitChain, _draws: torch.Generator) -> Callable[[torch.Tensor, int], torch.Tensor]:
        views, device = Views(dataset, training, seed), training_device(training.device)
        targets = torch.from_numpy(dataset.train.targets).to(device)

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            (values,) = on(device, views.batch(indices, views.of_epoch(epoch))).values()
            losses = [task.loss(answers, targets[indices]) for answers in chain.all_answers(values)]
            return torch.stack(losses).mean()

        return batch_loss

    chain, key, _ = trained_once(
        "exits",
        network_key,
        dataset,
        training,
        make=lambda: ExitChain(segments_of(network, dataset.inputs, cuts), task.classes),
        lesson=lesson,
        validate=lambda chain: mean_of_exits(chain, dataset),
        options={"cuts": list(cuts)},
        label=f"network with {len(cuts)} early exits",
        seed=seed,
        progress=progress,
        cache=cache,
    )
    return chain, key


def mean_of_exits(chain: ExitChain, dataset: Dataset) -> Reached:
    """Return how good the exits are on the validation split, in the mean."""
    score, task, targets = dataset.task.scores[0], dataset.task, dataset.validation.targets
    every = answers_of_exits(chain, dataset.validation)
    values = [score.of(answers, targets) for answers in every]
    losses = [float(task.loss(torch.from_numpy(answers), torch.from_numpy(targets))) for answers in every]
    return Reached(score, sum(values) / len(values), sum(losses) / len(losses))


def answers_of_exits(chain: ExitChain, samples: Samples) -> list[NDArray[np.float32]]:
    """Return the answers of each exit to samples, shape (n, classes), and last those of the whole network."""
    chain.eval()

    def every(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        (values,) = inputs.values()
        return torch.stack(chain.all_answers(values), dim=1)

    found = forward_of(every, samples.inputs)
    return [found[:, number] for number in range(found.shape[1])]
