"""The network of a decoder: blocks of attention with rotary positions and gated feed-forward networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from edgesim.nn.models.brought.decoder_config import Shapes

_ACTIVATIONS = {"silu": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU}


class DecoderNetwork(nn.Module):
    """Tokens, shape (n, length), to numbers of the next token, shape (n, vocabulary).

    Parameters
    ----------
    shapes : of its layers.
    length : of the prompt.
    n_tokens : how many tokens follow it in a request; the forward method gives the first.
    """

    def __init__(self, shapes: Shapes, length: int, n_tokens: int = 1) -> None:
        super().__init__()
        self.shapes, self.n_tokens = shapes, n_tokens
        kept = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, shapes.dtype))
        try:
            self.model = _Trunk(shapes, length)
            self.lm_head = nn.Linear(shapes.width, shapes.n_tokens, bias=False)
        finally:
            torch.set_default_dtype(kept)
        if shapes.is_tied:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the numbers for the token behind the last one."""
        answer: torch.Tensor = self.lm_head(self.model(tokens)[:, -1])
        return answer


class _Trunk(nn.Module):
    def __init__(self, shapes: Shapes, length: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shapes.n_tokens, shapes.width)
        self.layers = nn.ModuleList(_Block(shapes) for _ in range(shapes.n_blocks))
        self.norm = nn.RMSNorm(shapes.width, eps=shapes.epsilon)
        rates = shapes.theta ** (-torch.arange(0.0, shapes.head, 2) / shapes.head)
        turns = torch.outer(torch.arange(float(length)), rates)
        turns = torch.cat((turns, turns), -1)
        # positions are computed once for all blocks, in the type of the weights; they are no weights of a checkpoint
        self.register_buffer("cos", turns.cos().to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("sin", turns.sin().to(torch.get_default_dtype()), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed_tokens(tokens)
        for block in self.layers:
            x = block(x, self.cos, self.sin)
        normed: torch.Tensor = self.norm(x)
        return normed


class _Block(nn.Module):
    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shapes.width, eps=shapes.epsilon)
        self.self_attn = _Attention(shapes)
        self.post_attention_layernorm = nn.RMSNorm(shapes.width, eps=shapes.epsilon)
        self.mlp = _Gated(shapes)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        done: torch.Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return done


class _Attention(nn.Module):
    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.size, self.n_heads, self.n_groups = shapes.head, shapes.n_heads, shapes.n_groups
        self.q_proj = nn.Linear(shapes.width, shapes.n_heads * shapes.head, shapes.has_attention_bias)
        self.k_proj = nn.Linear(shapes.width, shapes.n_groups * shapes.head, shapes.has_attention_bias)
        self.v_proj = nn.Linear(shapes.width, shapes.n_groups * shapes.head, shapes.has_attention_bias)
        self.o_proj = nn.Linear(shapes.n_heads * shapes.head, shapes.width, shapes.has_output_bias)
        self.q_norm: nn.Module = nn.RMSNorm(shapes.head, eps=shapes.epsilon) if shapes.has_head_norms else nn.Identity()
        self.k_norm: nn.Module = nn.RMSNorm(shapes.head, eps=shapes.epsilon) if shapes.has_head_norms else nn.Identity()

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(batch, length, self.n_heads, self.size)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(batch, length, self.n_groups, self.size)).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.n_groups, self.size).transpose(1, 2)
        q, k = q * cos + _half_turned(q) * sin, k * cos + _half_turned(k) * sin
        is_grouped = self.n_groups < self.n_heads
        read = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=is_grouped)
        joined: torch.Tensor = self.o_proj(read.transpose(1, 2).reshape(batch, length, self.n_heads * self.size))
        return joined


class _Gated(nn.Module):
    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shapes.width, shapes.hidden, shapes.has_network_bias)
        self.up_proj = nn.Linear(shapes.width, shapes.hidden, shapes.has_network_bias)
        self.down_proj = nn.Linear(shapes.hidden, shapes.width, shapes.has_network_bias)
        self.act_fn = _ACTIVATIONS[shapes.activation]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        narrowed: torch.Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return narrowed


def _half_turned(x: torch.Tensor) -> torch.Tensor:
    """Return (-second half, first half) of the last axis: with cosine and sine, pairs of numbers turned."""
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)
