"""What is computed for a group of queries: what devices are asked, what they say, and the answers that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from edgesim.interfaces import KEPT
from edgesim.nn.tensors import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    Given = Mapping[str, Sequence[torch.Tensor]]


class EncodeKernel:
    """Sums of queries, weighted.

    Parameters
    ----------
    sent : weights of the queries, by the transfer that carries their sum.
    kept : weights of those sums that the device itself asks about, in order.
    """

    def __init__(self, sent: Mapping[str, NDArray[np.float64]], kept: Sequence[NDArray[np.float64]]) -> None:
        self.sent = sent
        self.kept = kept

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return the sums, each with one tensor for each input of the network."""
        (queries,) = given.values()
        kept = [tensor for weights in self.kept for tensor in _mixed(queries, weights)]
        return {**{goal: _mixed(queries, weights) for goal, weights in self.sent.items()}, KEPT: kept}


def _mixed(queries: Sequence[torch.Tensor], weights: NDArray[np.float64]) -> list[torch.Tensor]:
    if np.count_nonzero(weights) == 1 and weights.max() == 1.0:
        row = int(weights.argmax())
        return [tensor[row : row + 1] for tensor in queries]
    of = torch.from_numpy(weights)
    return [
        (tensor.double() * of.reshape(-1, *[1] * (tensor.dim() - 1))).sum(0, keepdim=True).to(tensor.dtype)
        for tensor in queries
    ]


class ResultKernel:
    """Asks a network about one query, or a sum of some.

    Parameters
    ----------
    network : in evaluation mode.
    names : of its inputs, in the order of the tensors of a sample.
    goals : the transfers that carry what it says.
    first : place of the first tensor of the query among those that it is given.
    row : which query it is where it is given all; None where it is given one.
    """

    def __init__(
        self, network: nn.Module, names: Sequence[str], goals: Sequence[str], *, first: int = 0, row: int | None = None
    ) -> None:
        self.network = network
        self.names = names
        self.goals = (*goals, KEPT)
        self.first = first
        self.row = row

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return what the network says."""
        (came,) = given.values()
        query = came[self.first : self.first + len(self.names)]
        if self.row is not None:
            query = [tensor[self.row : self.row + 1] for tensor in query]
        answer = ask(self.network, dict(zip(self.names, query, strict=True)))
        return {goal: [answer] for goal in self.goals}


class DecodeKernel:
    """The answers to queries as weighted sums of the results that came.

    Parameters
    ----------
    inputs : of the step, by result.
    goals : the transfers that carry the answers.
    weights : for each set of results that may come, shape (queries, results), by the number whose bit i is 1 where result i came.
    """

    def __init__(self, inputs: Sequence[str], goals: Sequence[str], weights: NDArray[np.float32]) -> None:
        self.inputs = inputs
        self.goals = (*goals, KEPT)
        self.weights = torch.from_numpy(weights)

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return the answers, the first axis counts the queries."""
        place = torch.stack([there[name] * 2.0**number for number, name in enumerate(self.inputs)]).sum()
        weights = self.weights.index_select(0, place.to(torch.int64)[None])[0]
        results = torch.cat([given[name][0] for name in self.inputs])
        answers = (weights @ results.flatten(1)).reshape(len(weights), *results.shape[1:])
        return {goal: [answers] for goal in self.goals}
