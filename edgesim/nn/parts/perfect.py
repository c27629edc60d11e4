"""Perfect students: the teacher's own filters of some parts, and what the rest of the teacher makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgesim.errors import DataError
from edgesim.nn.cost.surgery import around_filters
from edgesim.nn.cost.units import unit_axis
from edgesim.nn.tensors import ask, specs_of, tensors_of
from edgesim.nn.train.training import forward_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.networks.partition import Partition

_ROUNDING = 1e-4
"""Answers that differ by less, against the largest, differ by the order of float additions only."""


def answers_of_survivors(
    network: nn.Module,
    layer: str,
    partition: Partition,
    survivors: Sequence[frozenset[int]],
    inputs: Mapping[str, NDArray[Any]],
) -> NDArray[np.float32]:
    """Return what a teacher answers when the filters of lost parts, and dropped ones, are zeros.

    The layers up to the filters run once. Where the rest is linear, as an average and a linear layer are, it runs once for each part; else
    once for each set.

    Parameters
    ----------
    network : the teacher.
    layer : the layer of its filters; they are read as `edgesim.nn.parts.activations.filter_activities` does.
    partition : of the filters.
    survivors : sets of parts that are there.
    inputs : named arrays whose first axis counts the samples.

    Returns
    -------
    Shape (sets, n, *output).

    Raises
    ------
    DataError
        When the answer depends on something besides these filters.
    """
    network.eval()
    front, rest = around_filters(network, specs_of(tensors_of(inputs)), layer)
    if rest is None:
        raise DataError(
            f"the answers do not come of the filters of layer {layer!r} alone, so that they are no perfect students; name the last layer of filters"
        )

    def answer(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        outputs = ask(front, batch)
        axis = unit_axis(front, layer, outputs)
        given = _linear(rest, outputs, axis, partition, survivors)
        if given is None:
            given = [rest(_kept(outputs, axis, partition, parts)) for parts in survivors]
        return torch.stack(given, dim=1)

    return forward_of(answer, inputs).swapaxes(0, 1)


def _kept(outputs: torch.Tensor, axis: int, partition: Partition, parts: frozenset[int]) -> torch.Tensor:
    """Return the outputs with zeros for all filters but those of some parts."""
    kept = torch.zeros(outputs.shape[axis])
    kept[[index for part in parts for index in partition.parts[part]]] = 1.0
    shape = [1] * outputs.ndim
    shape[axis] = -1
    return outputs * kept.reshape(shape)


def _linear(
    rest: nn.Module, outputs: torch.Tensor, axis: int, partition: Partition, survivors: Sequence[frozenset[int]]
) -> list[torch.Tensor] | None:
    """Return the answers for all sets out of those of single parts; None where the rest is not linear."""
    alone = [rest(_kept(outputs, axis, partition, frozenset({part}))) for part in range(len(partition.parts))]
    nothing = rest(outputs * 0)
    every = frozenset(range(len(partition.parts)))
    whole, summed = rest(_kept(outputs, axis, partition, every)), _sum(alone, nothing, every)
    if float((whole - summed).abs().max()) > _ROUNDING * max(1.0, float(whole.abs().max())):
        return None
    return [_sum(alone, nothing, parts) for parts in survivors]


def _sum(alone: Sequence[torch.Tensor], nothing: torch.Tensor, parts: frozenset[int]) -> torch.Tensor:
    total = nothing.clone()
    for part in sorted(parts):
        total += alone[part] - nothing
    return total
