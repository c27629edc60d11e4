"""Small networks that hold the usual operators in many sizes; no network that anybody studies is among them.

Operators are measured inside networks, as they run in one: after the layer that makes their input, in one process with all others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from edgesim.domain.networks.task import TensorSpec
from edgesim.nn.timing.blocks import N_DRAWN, heavy, repeated
from edgesim.nn.timing.drawn import drawn

Shape = tuple[int, ...]
_MUCH_BYTE = 7e9  # memory of a machine from which on the heavy probes, together 2 GB, are measured


@dataclass(frozen=True, slots=True)
class Probe:
    """A network that is measured, and the tensor that it takes."""

    network: nn.Module
    spec: TensorSpec

    @property
    def sample(self) -> torch.Tensor:
        """One input; tokens are zeros, of which there is always one."""
        shape = (1, *self.spec.shape)
        return torch.randn(shape) if self.spec.dtype == "float32" else torch.zeros(shape, dtype=torch.int64)


OTHER_SIDES = (
    (64, 24, 6), (64, 40, 4), (128, 12, 6), (128, 20, 4), (256, 6, 6), (256, 10, 4), (512, 3, 4), (512, 5, 4),
)  # fmt: skip
"""Channels, side and number of layers of images whose sides are no powers of two and no multiples of seven: a convolution of the same work can take
twice as long on them, since the code behind torch blocks rows by their width."""


def probes() -> Iterator[Probe]:
    """Yield the probes, from small to large in each family."""
    for channels, side in (
        (4, 8), (8, 16), (8, 64), (16, 8), (16, 32), (16, 112), (32, 8), (32, 16), (32, 56), (64, 8), (64, 32), (96, 14), (128, 8),
        (128, 28), (192, 4), (256, 14), (384, 7), (512, 4), (12, 28), (24, 32), (48, 16), (64, 112), (128, 56), (256, 28), (512, 14),
    ):  # fmt: skip
        yield Probe(dense(channels, 3), TensorSpec((channels, side, side)))
    for channels, side, kernel in (
        (3, 32, 3),
        (3, 96, 3),
        (3, 112, 7),
        (1, 28, 5),
        (16, 16, 5),
        (32, 28, 5),
        (24, 14, 7),
    ):
        yield Probe(dense(channels, kernel, widen=16 if channels < 4 else 1), TensorSpec((channels, side, side)))
    for channels, side in ((8, 16), (16, 56), (24, 28), (32, 112), (48, 14), (96, 7), (96, 28), (160, 7), (320, 5)):
        yield Probe(Separable(channels, 3 if channels % 16 else 5), TensorSpec((channels, side, side)))
        yield Probe(Separable(channels, 3), TensorSpec((channels, side, side)))
    for channels, side, depth in (
        (16, 32, 8),
        (24, 64, 5),
        (32, 28, 10),
        (64, 16, 12),
        (64, 56, 6),
        (96, 28, 6),
        (128, 14, 12),
        (256, 8, 10),
        (512, 7, 4),
        *OTHER_SIDES,
    ):
        yield Probe(deep(channels, depth), TensorSpec((channels, side, side)))
    for channels, side, _ in OTHER_SIDES:
        yield Probe(dense(channels, 3), TensorSpec((channels, side, side)))
    for channels, side, depth in ((32, 56, 6), (64, 28, 10), (128, 28, 8), (256, 14, 12), (512, 7, 6)):
        yield Probe(deep(channels, depth, is_separable=True), TensorSpec((channels, side, side)))
    for width in (8, 32, 100, 150, 200, 300, 500, 700, 1000, 2000, 4000):
        yield Probe(dense_features(width), TensorSpec((width,)))
    for tokens, width in ((8, 32), (16, 64), (50, 64), (50, 192), (60, 100), (64, 128), (128, 256)):
        yield Probe(Attention(width), TensorSpec((tokens, width)))
    for tokens, width in ((30, 48), (64, 120), (196, 192)):
        yield Probe(nn.Sequential(*(Attention(width) for _ in range(4))), TensorSpec((tokens, width)))
    for tokens, width in ((16, 16), (50, 50), (200, 100), (30, 32), (90, 64)):
        yield Probe(Words(width), TensorSpec((tokens,), "int64"))
    for network, shape, dtype in drawn():
        yield Probe(network, TensorSpec(shape, dtype))
    yield from _repeated()


def _repeated() -> Iterator[Probe]:
    """Yield what repeats blocks; weights that no cache holds only where there is memory for them."""
    for seed in range(N_DRAWN):
        network, shape = repeated(seed)
        yield Probe(network, TensorSpec(shape))
    if os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >= _MUCH_BYTE:
        for network, shape in heavy():
            yield Probe(network, TensorSpec(shape))


def dense(channels: int, kernel: int, widen: int = 1) -> nn.Sequential:
    """Return convolutions with normalisation, activations and poolings; the second one halves the side and doubles the channels."""
    n, pad = channels * widen, kernel // 2
    return nn.Sequential(
        nn.Conv2d(channels, n, kernel, padding=pad, bias=False), nn.BatchNorm2d(n), nn.ReLU(),
        nn.Conv2d(n, 2 * n, kernel, 2, pad, bias=False), nn.BatchNorm2d(2 * n), nn.ReLU(),
        nn.Conv2d(2 * n, 2 * n, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2 * n, n, 3, padding=1), nn.GELU(),
        nn.AvgPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 10),
    )  # fmt: skip


def deep(channels: int, depth: int, *, is_separable: bool = False) -> nn.Sequential:
    """Return many equal layers, whose weights and code drive one another out of the caches as those of deep networks do."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        if is_separable:
            layers += [
                nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
        kernel = 1 if is_separable else 3
        layers += [
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
    narrow = [
        nn.Conv2d(channels, channels, 1, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, 100),
    ]
    return nn.Sequential(*layers, *narrow)


class Separable(nn.Module):
    """Two inverted residuals, one of which halves the side, with squeeze-and-excite in one."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        n, pad = 4 * channels, kernel // 2
        self.first = nn.Sequential(
            nn.Conv2d(channels, n, 1, bias=False), nn.BatchNorm2d(n), nn.ReLU6(),
            nn.Conv2d(n, n, kernel, padding=pad, groups=n, bias=False), nn.BatchNorm2d(n), nn.ReLU6(),
            nn.Conv2d(n, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip
        self.narrow = nn.Sequential(
            nn.Conv2d(channels, n, 1, bias=False), nn.BatchNorm2d(n), nn.Hardswish(),
            nn.Conv2d(n, n, kernel, 2, pad, groups=n, bias=False), nn.BatchNorm2d(n), nn.SiLU(),
        )  # fmt: skip
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(n, channels, 1), nn.ReLU(), nn.Conv2d(channels, n, 1), nn.Sigmoid()
        )
        self.last = nn.Conv2d(n, 2 * channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.first(x)
        x = self.narrow(x)
        x = x * self.gate(x)
        return torch.flatten(self.last(torch.cat((x[:, ::2], x[:, 1::2]), dim=1)), 1)


def dense_features(width: int) -> nn.Sequential:
    """Return linear layers with normalisation and activations."""
    return nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width // 2), nn.BatchNorm1d(width // 2), nn.Tanh(),
        nn.Linear(width // 2, width // 4), nn.LayerNorm(width // 4), nn.GELU(), nn.Linear(width // 4, 2 * width), nn.Sigmoid(),
        nn.Linear(2 * width, 10), nn.Softmax(dim=-1),
    )  # fmt: skip


class Attention(nn.Module):
    """A block of a transformer with four heads, in plain operations and in torch's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.wide, self.narrow, self.act = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.GELU()
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n_tokens, width = x.shape[-2], x.shape[-1]
        y = self.before(x)
        parts = [
            one(y).reshape(-1, n_tokens, 4, width // 4).transpose(1, 2) for one in (self.query, self.key, self.value)
        ]
        query, key, value = parts
        weights = torch.softmax(torch.matmul(query, key.transpose(-2, -1)) * 0.5, dim=-1)
        mixed = torch.matmul(weights, value) + nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(-1, n_tokens, width))
        fed: torch.Tensor = self.narrow(self.act(self.wide(self.after(x))))
        return x + fed


class Words(nn.Module):
    """Embedded tokens, a convolution over them, and the maximum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, width)
        self.short, self.long = nn.Conv1d(width, width, 3), nn.Conv1d(width, width, 5)
        self.act, self.last = nn.ReLU(), nn.Linear(2 * width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.embedding(x).transpose(1, 2)
        found = [self.act(one(y)).amax(dim=-1) for one in (self.short, self.long)]
        found_in: torch.Tensor = self.last(torch.cat(found, dim=1))
        return found_in


def build_all(make: Callable[[], Iterator[Probe]] = probes) -> list[Probe]:
    """Return the probes, with weights that are the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return list(make())
