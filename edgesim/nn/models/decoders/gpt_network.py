"""The modules of `edgesim.nn.models.decoders.gpt`."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

SPREAD = 0.02
"""Standard deviation of vectors before training, as in GPT-2."""


class GPTNetwork(nn.Module):
    """Tokens, shape (n, length), to logits, shape (n, outputs, length).

    Parameters
    ----------
    n_tokens, n_outputs, length : of the data.
    blocks, width, heads, dropout : as in `edgesim.nn.models.decoders.gpt.GPT`.
    """

    def __init__(
        self, n_tokens: int, n_outputs: int, length: int, *, blocks: int, width: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width)
        self.positions = nn.Parameter(SPREAD * torch.randn(length, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([_Block(width, heads, dropout) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_outputs, bias=False)
        with torch.no_grad():
            self.embedding.weight.mul_(SPREAD)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits of the token behind each place."""
        x = self.dropout(self.embedding(tokens) + self.positions)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x)).transpose(1, 2)
        return logits


class _Block(nn.Module):
    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.wide, self.gelu, self.narrow = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.o(self._attention(self.norm1(x))))
        done: torch.Tensor = x + self.dropout(self.narrow(self.gelu(self.wide(self.norm2(x)))))
        return done

    def _attention(self, x: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        q, k, v = (
            layer(x).view(n, length, self.n_heads, width // self.n_heads).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        read = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return read.transpose(1, 2).reshape(n, length, width)
