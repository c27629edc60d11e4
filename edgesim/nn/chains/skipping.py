"""Chains of segments with a connection past each, and their training with segments that fail."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from edgesim.errors import PlanError
from edgesim.nn.chains.segments import segments_of
from edgesim.nn.data.views import Views
from edgesim.nn.tensors import ask, on
from edgesim.nn.train.device import training_device
from edgesim.nn.train.once import trained_once
from edgesim.nn.train.training import Reached, forward_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.domain.networks.training import Training
    from edgesim.interfaces import Progress
    from edgesim.nn.chains.segments import Segment
    from edgesim.nn.train.cache import NetworkCache

Join = Literal["mux", "add"]
"""What a segment reads: what the one before gives, else what came past it; or the sum of both."""


class SkippingChain(nn.Module):
    """Segments one behind another; from the third on each has a second input, what the segment before the last gives.

    Between the two lies a convolution of one pixel, or for vectors a linear layer, without bias, whose stride makes the one shape of the other.
    While it trains, each segment but the first and the last fails with probability 1 - survival for a whole batch: what it gives is zero.

    Parameters
    ----------
    segments : of a network.
    join : what a segment reads.
    survival : probability that a segment does not fail in a batch.

    Raises
    ------
    PlanError
        When no stride leads from one shape to the other.
    """

    def __init__(self, segments: Sequence[Segment], join: Join, survival: float) -> None:
        super().__init__()
        self.segments = nn.ModuleList(segment.module for segment in segments)
        self.skips = nn.ModuleList(
            skip_between(segments[number - 2].output_shape, segments[number].input_shape)
            for number in range(2, len(segments))
        )
        self.shapes = [segment.input_shape for segment in segments]
        self.join, self.survival = join, survival

    def train(self, mode: bool = True) -> SkippingChain:  # noqa: FBT001, FBT002 - the form of torch
        """Set the mode; normalisations by batch keep their statistics, which batches with and without failures would mix."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                module.eval()
        return self

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        n_segments = len(self.segments)
        is_there = [True] * n_segments
        if self.training and self.survival < 1:
            for number in range(1, n_segments - 1):
                is_there[number] = bool(torch.rand(()) < self.survival)
        return self.passed(values, is_there[:-1], is_there[:-2])

    def passed(self, values: torch.Tensor, came: Sequence[bool], skipped: Sequence[bool]) -> torch.Tensor:
        """Return the answers; a segment to which nothing comes reads zeros.

        Parameters
        ----------
        values : the input of the first segment.
        came : for each segment but the last, whether what it gives comes to the next.
        skipped : for each segment but the last two, whether what it gives comes to the one behind the next.
        """
        given: list[torch.Tensor] = [self.segments[0](values)]
        for number in range(1, len(self.segments)):
            parts = [given[-1]] if came[number - 1] else []
            if number > 1 and skipped[number - 2] and (not parts or self.join == "add"):
                parts.append(self.skips[number - 2](given[number - 2]))
            nothing = given[0].new_zeros((len(values), *self.shapes[number]))
            given.append(self.segments[number](sum(parts[1:], parts[0]) if parts else nothing))
        return given[-1]


def skip_between(source: tuple[int, ...], target: tuple[int, ...]) -> nn.Module:
    """Return what turns a tensor of one shape into one of another: a convolution of one pixel with a stride, or a linear layer.

    Examples
    --------
    >>> skip_between((8, 8, 8), (16, 4, 4))
    Conv2d(8, 16, kernel_size=(1, 1), stride=(2, 2), bias=False)
    """
    kinds = {2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}
    if len(source) == len(target) == 1:
        return nn.Linear(source[0], target[0], bias=False)
    if len(source) == len(target) and len(source) in kinds:
        strides = tuple(max(1, round(a / b)) for a, b in zip(source[1:], target[1:], strict=True))
        if all(-(-a // stride) == b for a, b, stride in zip(source[1:], target[1:], strides, strict=True)):
            convolution: Any = kinds[len(source)]
            made: nn.Module = convolution(source[0], target[0], 1, strides, bias=False)
            return made
    if len(target) == 1 and len(source) in kinds:
        return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(source).numel(), target[0], bias=False))
    raise PlanError(
        f"no stride makes a tensor of shape {source} one of shape {target}, so that no connection leads past a device; choose other cuts"
    )


@dataclass(frozen=True, slots=True)
class SkipTraining:
    """How a chain is trained, beginning with the weights of the whole network.

    Parameters
    ----------
    cuts : ids of the layers behind which the network is cut.
    join, survival : as in `SkippingChain`.
    training : options.
    """

    cuts: tuple[str, ...]
    join: Join
    survival: float
    training: Training


def train_chain(
    network: nn.Module,
    network_key: str,
    dataset: Dataset,
    options: SkipTraining,
    *,
    seed: int,
    progress: Progress,
    cache: NetworkCache,
) -> tuple[SkippingChain, dict[str, float]]:
    """Return the trained chain with its metrics, everything there, or take it from the cache.

    Parameters
    ----------
    network, network_key : what it begins with.
    dataset : trains on ``train``, selects the epoch by `expected_score` on ``validation``; ``test`` is only measured, at the end, with everything
        there.
    options : of the chain.
    seed : of the skip connections, the order of samples and the failures.
    progress : one unit per epoch.
    cache : where it is looked up and kept; an unfinished training goes on from its last epoch.

    Raises
    ------
    PlanError
        When the network cannot be cut there.
    """

    def lesson(chain: SkippingChain, _draws: torch.Generator) -> Callable[[torch.Tensor, int], torch.Tensor]:
        views, device = Views(dataset, options.training, seed), training_device(options.training.device)
        targets = torch.from_numpy(dataset.train.targets).to(device)

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            inputs = on(device, views.batch(indices, views.of_epoch(epoch)))
            return dataset.task.loss(ask(chain, inputs), targets[indices])

        return batch_loss

    chain, _, metrics = trained_once(
        "skipping chain",
        network_key,
        dataset,
        options.training,
        make=lambda: SkippingChain(segments_of(network, dataset.inputs, options.cuts), options.join, options.survival),
        lesson=lesson,
        validate=lambda chain: expected_score(chain, dataset),
        options={"cuts": list(options.cuts), "join": options.join, "survival": options.survival},
        label=f"chain with skip connections, {options.join}, survival {options.survival:g}",
        seed=seed,
        progress=progress,
        cache=cache,
    )
    return chain, metrics


def expected_score(chain: SkippingChain, dataset: Dataset) -> Reached:
    """Return how good a chain is on the validation split in the mean over all failures that it trains for, weighed by their probability."""
    score, task, targets = dataset.task.scores[0], dataset.task, dataset.validation.targets
    n_between = len(chain.segments) - 2
    value = loss = 0.0
    for between in product((True, False), repeat=n_between):
        weight = prod(chain.survival if one else 1 - chain.survival for one in between)
        if weight:
            came = [True, *between]
            answers = chain_answers(chain.eval(), dataset.validation, came, came[:-1])
            value += weight * score.of(answers, targets)
            loss += weight * float(task.loss(torch.from_numpy(answers), torch.from_numpy(targets)))
    return Reached(score, value, loss)


def chain_answers(
    chain: SkippingChain, samples: Samples, came: Sequence[bool], skipped: Sequence[bool]
) -> NDArray[np.float32]:
    """Return the answers to samples, shape (n, *output), with the messages that came; see `SkippingChain.passed`."""

    def answer(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        (values,) = inputs.values()
        return chain.passed(values, came, skipped)

    return forward_of(answer, samples.inputs)
