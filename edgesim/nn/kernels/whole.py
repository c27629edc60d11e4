"""What devices compute that run a whole network, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.interfaces import KEPT
from edgesim.nn.tensors import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

    Given = Mapping[str, Sequence[torch.Tensor]]


class WholeKernel:
    """Asks a network.

    Parameters
    ----------
    network : in evaluation mode.
    names : of its inputs, in the order of the tensors of a sample.
    goals : the transfers that carry what it gives.
    """

    def __init__(self, network: nn.Module, names: Sequence[str], goals: Sequence[str]) -> None:
        self.network = network
        self.names = names
        self.goals = (*goals, KEPT)

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return what the network says, for every goal."""
        (sample,) = given.values()
        answer = ask(self.network, dict(zip(self.names, sample, strict=True)))
        return {goal: [answer] for goal in self.goals}


def arrival(given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, Sequence[torch.Tensor]]:  # noqa: ARG001 - the seam's form
    """Keep what came."""
    (came,) = given.values()
    return {KEPT: came}
