"""Networks that run side by side on one input, each with an answer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from edgesim.nn.models.networks import mlp

if TYPE_CHECKING:
    from collections.abc import Sequence


class SideBySide(nn.Module):
    """A network per question; their answers stand side by side."""

    def __init__(self, n_inputs: int, hidden: Sequence[int], dropout: float, n_targets: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(mlp(n_inputs, hidden, dropout, 1) for _ in range(n_targets))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (n, targets)."""
        numbers = x.to(torch.float32)
        return torch.cat([network(numbers) for network in self.networks], dim=1)

    def some(self, targets: Sequence[int]) -> SideBySide:
        """Return the networks of some questions, in evaluation mode; weights are shared, not copied."""
        part = SideBySide(1, (1,), 0.0, 0)
        part.networks = nn.ModuleList(self.networks[target] for target in targets)
        return part.eval()


def activations(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what the hidden layers of a multi-layer perceptron give, side by side, shape (n, units).

    The Euclidean distance of two samples' rows is their network activation similarity: small for samples that the network treats alike.

    References
    ----------
    T. E. H. Allen et al., Chemical Science 11, 2020, doi 10.1039/d0sc01637c.
    """
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        for layer in network.children():
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found.append(x)
    return torch.cat(found, dim=1)
