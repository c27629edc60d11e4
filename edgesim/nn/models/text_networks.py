"""The modules of `edgesim.nn.models.text`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from edgesim.nn.models.branched import Branched

if TYPE_CHECKING:
    from collections.abc import Sequence

SPREAD = 0.1
"""Standard deviation of the vectors of tokens before training."""


class TextNetwork(Branched):
    """See `edgesim.nn.models.text.TextCNN`.

    Parameters
    ----------
    n_tokens : how many tokens there are, padding (0) included.
    n_outputs : numbers of an answer.
    widths, channels, consecutive, embedding, dropout, branch_dropout : as in `edgesim.nn.models.text.TextCNN`.
    """

    def __init__(
        self,
        n_tokens: int,
        n_outputs: int,
        *,
        widths: Sequence[int],
        channels: int,
        consecutive: int,
        embedding: int,
        dropout: float,
        branch_dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, embedding, padding_idx=0)
        with torch.no_grad():
            self.embedding.weight.mul_(SPREAD)
        self.branches = nn.ModuleList([_branch(width, embedding, channels, consecutive) for width in widths])
        self.drop_branches = nn.Dropout1d(branch_dropout)
        self.features = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(len(widths) * channels, n_outputs)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, outputs), given tokens, shape (n, length)."""
        vectors = self.embedding(tokens).transpose(1, 2)
        found = torch.stack([branch(vectors) for branch in self.branches], dim=1)
        logits: torch.Tensor = self.head(self.dropout(self.features(self.drop_branches(found))))
        return logits

    def alone(self, number: int, behind: nn.Module | None = None) -> nn.Module:
        """Return the vectors of tokens, one branch, and what stands behind it."""
        return nn.Sequential(self.embedding, _ChannelsFirst(), self.branches[number], behind or nn.Identity())


class _ChannelsFirst(nn.Module):
    """From (n, length, channels) to (n, channels, length)."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors.transpose(1, 2)


def _branch(width: int, n_inputs: int, channels: int, consecutive: int) -> nn.Sequential:
    """Return convolutions of one width, and the maximum over the text of what they give."""
    layers: list[nn.Module] = []
    for _ in range(consecutive):
        layers += [nn.Conv1d(n_inputs, channels, width, padding=width - 1, bias=False), nn.ReLU()]
        n_inputs = channels
    return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten())
