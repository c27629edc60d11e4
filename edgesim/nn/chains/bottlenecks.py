"""Chains of segments with a narrow tensor between any two: fewer channels are sent, and the rest is made again behind the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgesim.domain.networks.training import Distillation
from edgesim.nn.chains.segments import segments_of
from edgesim.nn.data.views import Views
from edgesim.nn.distill.losses import imitation_loss
from edgesim.nn.tensors import ask, on
from edgesim.nn.train.device import training_device
from edgesim.nn.train.once import trained_once
from edgesim.nn.train.training import forward, validated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.domain.networks.training import Training
    from edgesim.interfaces import Progress
    from edgesim.nn.chains.segments import Segment
    from edgesim.nn.train.cache import NetworkCache


class NarrowChain(nn.Module):
    """Segments one behind another, and at each cut a linear map of the channels to fewer of them and one back.

    Parameters
    ----------
    segments : of a network; they stay as they are, normalisations by batch with their statistics.
    share : of the channels, or features, that are sent; at least one is.
    """

    def __init__(self, segments: Sequence[Segment], share: float) -> None:
        super().__init__()
        self.segments = nn.ModuleList(segment.module for segment in segments).requires_grad_(requires_grad=False)
        self.shapes = [segment.input_shape for segment in segments]
        kept = [max(1, round(share * shape[0])) for shape in self.shapes[1:]]
        self.narrow = nn.ModuleList(
            linear_map(shape, shape[0], n) for shape, n in zip(self.shapes[1:], kept, strict=True)
        )
        self.widen = nn.ModuleList(
            linear_map(shape, n, shape[0]) for shape, n in zip(self.shapes[1:], kept, strict=True)
        )
        self.sent_shapes = [(n, *shape[1:]) for shape, n in zip(self.shapes[1:], kept, strict=True)]

    def train(self, mode: bool = True) -> NarrowChain:  # noqa: FBT001, FBT002 - the form of torch
        """Set the mode of what learns."""
        super().train(mode)
        self.segments.eval()
        return self

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the answers."""
        values = self.segments[0](values)
        for narrow, widen, segment in zip(self.narrow, self.widen, list(self.segments)[1:], strict=True):
            values = segment(widen(narrow(values)))
        return values


def linear_map(shape: tuple[int, ...], n_from: int, n_to: int) -> nn.Module:
    """Return a map of the channels of a tensor, a convolution of one pixel, or of its features.

    Examples
    --------
    >>> linear_map((8, 4, 4), 8, 2), linear_map((8,), 2, 8)
    (Conv2d(8, 2, kernel_size=(1, 1), stride=(1, 1)), Linear(in_features=2, out_features=8, bias=True))
    """
    kinds: dict[int, Any] = {2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}
    made: nn.Module = kinds[len(shape)](n_from, n_to, 1) if len(shape) in kinds else nn.Linear(n_from, n_to)
    return made


def begin_with_components(chain: NarrowChain, samples: Samples) -> None:
    """Let bottlenecks send the principal components of the channels on some samples, the best linear ones for the tensors themselves."""
    values = samples.only
    for segment, narrow, widen in zip(chain.segments, chain.narrow, chain.widen, strict=False):
        values = forward(segment, {"values": values})
        channels = torch.from_numpy(values).movedim(1, -1).flatten(0, -2).double()
        mean = channels.mean(dim=0)
        _, vectors = torch.linalg.eigh((channels - mean).T @ (channels - mean))
        first: Any = narrow
        second: Any = widen
        kept = vectors[:, -first.weight.shape[0] :].float()
        with torch.no_grad():
            first.weight.copy_(kept.T.reshape(first.weight.shape))
            first.bias.copy_(-(kept.T @ mean.float()))
            second.weight.copy_(kept.reshape(second.weight.shape))
            second.bias.copy_(mean)


def train_bottlenecks(
    network: nn.Module,
    network_key: str,
    dataset: Dataset,
    *,
    cuts: Sequence[str],
    share: float,
    training: Training,
    seed: int,
    progress: Progress,
    cache: NetworkCache,
) -> tuple[NarrowChain, dict[str, float]]:
    """Return a network with bottlenecks that imitates it, and its metrics; trained or taken from the cache.

    The bottlenecks alone learn, beginning with principal components, from the network's answers and the labels, by the loss of `Distillation`.

    Parameters
    ----------
    network, network_key : what is imitated.
    dataset : trains on ``train``, selects the epoch on ``validation``; ``test`` is only measured, at the end.
    cuts : ids of the layers behind which the network is cut.
    share : see `NarrowChain`.
    training : options.
    seed : of the bottlenecks and the order of samples.
    progress : one unit per epoch.
    cache : where it is looked up and kept; an unfinished training goes on from its last epoch.

    Raises
    ------
    PlanError
        When the network cannot be cut there.
    """

    def lesson(chain: NarrowChain, _draws: torch.Generator) -> Callable[[torch.Tensor, int], torch.Tensor]:
        begin_with_components(chain, dataset.train)
        views, device = Views(dataset, training, seed), training_device(training.device)
        targets, teacher, options = torch.from_numpy(dataset.train.targets).to(device), network.eval(), Distillation()

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            inputs = views.batch(indices, views.of_epoch(epoch))
            with torch.no_grad():
                wanted = ask(teacher, inputs).to(device)
            return imitation_loss(dataset.task, ask(chain, on(device, inputs)), wanted, targets[indices], options)

        return batch_loss

    chain, _, metrics = trained_once(
        "bottlenecks",
        network_key,
        dataset,
        training,
        make=lambda: NarrowChain(segments_of(network, dataset.inputs, cuts), share),
        lesson=lesson,
        validate=lambda chain: validated(chain, dataset),
        options={"cuts": list(cuts), "share": share},
        label=f"bottlenecks of {share:g} at {', '.join(cuts)}",
        seed=seed,
        progress=progress,
        cache=cache,
    )
    return chain, metrics
