"""Probes that are drawn at random, so that operators meet in sizes and orders that no list thinks of.

A list of sizes leaves gaps between them, and what a convolution takes jumps with the width of rows and the number of channels. What is drawn is the same each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

N_IMAGES, N_SIGNALS, N_VECTORS, N_TOKENS = 64, 20, 14, 20
_MOST_FLOP = 3e8  # of one probe, so that none takes much longer than the others
_MOST_WEIGHTS = 6e6  # of one layer
_SIDES = (8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 96, 112, 128, 160, 192, 224)
_CHANNELS = (8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512, 640, 768, 1024)
_FIRST = ((3, 1), (3, 1), (3, 2), (3, 2), (5, 1), (5, 2), (7, 2), (7, 2), (11, 4), (4, 4))  # kernel and stride
_ACTIVATIONS = (nn.ReLU, nn.ReLU, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Sigmoid, nn.PReLU)  # fmt: skip


def drawn() -> Iterator[tuple[nn.Module, tuple[int, ...], str]]:
    """Yield networks, the shapes of their inputs, and their types."""
    for seed in range(N_IMAGES):
        yield (*_image(np.random.default_rng([0, seed])), "float32")
    for seed in range(N_SIGNALS):
        yield (*_signal(np.random.default_rng([1, seed])), "float32")
    for seed in range(N_VECTORS):
        yield (*_vector(np.random.default_rng([2, seed])), "float32")
    for seed in range(N_TOKENS):
        yield (*_tokens(np.random.default_rng([3, seed])), "float32")


class Twice(nn.Module):
    """What a module makes of a tensor, added to it or put beside it."""

    def __init__(self, inner: nn.Module, *, is_sum: bool) -> None:
        super().__init__()
        self.inner, self.is_sum = inner, is_sum

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x) if self.is_sum else torch.cat((x, self.inner(x)), dim=1)


def _near(draw: Generator, n: int) -> int:
    """Return a number of channels: often the same or twice as many, else between a quarter and four times as many."""
    what = draw.random()
    if what < 0.5:
        return max(n if what < 0.25 else 2 * n, _CHANNELS[0])
    return int(draw.choice([one for one in _CHANNELS if n <= 4 * one <= 16 * n] or [_CHANNELS[0]]))


class _Images:
    """A network of images as it grows."""

    def __init__(self, draw: Generator) -> None:
        self.draw, self.layers, self.flop = draw, list[nn.Module](), 0.0
        self.side = int(draw.choice(_SIDES))
        is_first = draw.random() < 0.5
        self.n = int(draw.choice((1, 3, 3))) if is_first else int(draw.choice(_CHANNELS))
        while not is_first and self.n * self.side**2 > 400_000:
            self.side = int(draw.choice(_SIDES))
        self.shape = (self.n, self.side, self.side)

    def convolve(self, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> bool:
        """Add a convolution, unless it is too large."""
        side = (self.side - 1) // stride + 1
        weights = self.n // groups * n_out * kernel**2
        if weights > _MOST_WEIGHTS or self.flop + 2.0 * weights * side**2 > _MOST_FLOP:
            return False
        is_biased = bool(self.draw.random() < 0.4)
        self.layers.append(nn.Conv2d(self.n, n_out, kernel, stride, kernel // 2, groups=groups, bias=is_biased))
        self.flop += 2.0 * weights * side**2
        self.n, self.side = n_out, side
        return True

    def start(self) -> None:
        """Add what the first layers of networks are."""
        n_out = int(self.draw.choice((8, 12, 16, 20, 24, 32, 40, 48, 64, 96)))
        kernel, stride = _FIRST[int(self.draw.integers(len(_FIRST)))]
        if self.side >= 4 * stride:
            self.convolve(n_out, kernel, stride) if kernel % 2 else self.cut(n_out, kernel)

    def cut(self, n_out: int, kernel: int) -> None:
        """Add a convolution of patches that do not overlap."""
        self.layers.append(nn.Conv2d(self.n, n_out, kernel, kernel))
        self.n, self.side = n_out, self.side // kernel

    def go_on(self) -> None:
        """Add one more layer, with what usually follows it."""
        what = self.draw.random()
        stride = 2 if self.draw.random() < 0.25 and self.side > 3 else 1
        if what < 0.40:
            is_done = self.convolve(_near(self.draw, self.n), 3, stride)
        elif what < 0.62:
            is_done = self.convolve(_near(self.draw, self.n), 1, stride if self.draw.random() < 0.5 else 1)
        elif what < 0.66:
            is_done = self.convolve(_near(self.draw, self.n), int(self.draw.choice((5, 5, 7))), stride)
        elif what < 0.82:
            is_done = self.convolve(self.n, int(self.draw.choice((3, 3, 5))), stride, groups=self.n)
        elif what < 0.85:
            is_done = self.n % 8 == 0 and self.convolve(self.n, 3, stride, groups=int(self.draw.choice((2, 4, 8))))
        elif what < 0.95:
            return self.pool()
        else:
            return self.mix()
        if not is_done:
            return None
        if self.draw.random() < 0.75:
            self.layers.append(
                nn.BatchNorm2d(self.n) if self.draw.random() < 0.9 or self.n % 4 else nn.GroupNorm(4, self.n)
            )
        if self.draw.random() < 0.8:
            self.layers.append(_ACTIVATIONS[int(self.draw.integers(len(_ACTIVATIONS)))]())
        return None

    def pool(self) -> None:
        """Add a pooling, of what a ReLU made: how long comparisons take depends on the values."""
        if self.side < 4:
            return
        kind = int(self.draw.integers(4))
        if not self.layers or not isinstance(self.layers[-1], nn.ReLU):
            self.layers += [nn.BatchNorm2d(self.n), nn.ReLU()]
        self.layers.append((nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.AvgPool2d(3, 1, 1))[kind])
        self.side = (self.side // 2, (self.side - 1) // 2 + 1, self.side // 2, self.side)[kind]

    def mix(self) -> None:
        """Add a convolution of points whose result is added to its input or put beside it."""
        if 2.0 * self.n**2 * self.side**2 + self.flop > _MOST_FLOP or self.n > _CHANNELS[-1] // 2:
            return
        is_sum = bool(self.draw.random() < 0.5)
        self.layers.append(Twice(nn.Conv2d(self.n, self.n, 1), is_sum=is_sum))
        self.n = self.n if is_sum else 2 * self.n


def _image(draw: Generator) -> tuple[nn.Module, tuple[int, ...]]:
    growing = _Images(draw)
    if growing.n <= 3:
        growing.start()
    for _ in range(int(draw.integers(4, 14))):
        growing.go_on()
    pooled = nn.AdaptiveAvgPool2d(1) if draw.random() < 0.8 else nn.AdaptiveMaxPool2d(1)
    return nn.Sequential(*growing.layers, pooled, *_last(draw, growing.n)), growing.shape


def _last(draw: Generator, n: int) -> Sequence[nn.Module]:
    return nn.Flatten(), nn.Linear(n, int(draw.choice((2, 5, 10, 10, 100, 1000))))


class Branches(nn.Module):
    """Convolutions of a signal beside one another, each with its maximum."""

    def __init__(self, n_in: int, n_out: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.all = nn.ModuleList(nn.Conv1d(n_in, n_out, one, padding=one - 1) for one in kernels)
        self.act, self.most = nn.ReLU(), nn.AdaptiveMaxPool1d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.most(self.act(one(x))) for one in self.all], dim=1)


def _signal(draw: Generator) -> tuple[nn.Module, tuple[int, ...]]:
    n, length = int(draw.choice((1, 3, 6, 9, 16, 32, 50, 64, 100))), int(np.exp(draw.uniform(np.log(24), np.log(800))))
    shape, layers = (n, length), list[nn.Module]()
    for _ in range(int(draw.integers(0, 4))):
        kernel, n_out = int(draw.choice((3, 3, 5, 7, 9))), _near(draw, max(n, 8))
        stride = 2 if draw.random() < 0.25 else 1
        layers += [nn.Conv1d(n, n_out, kernel, stride, kernel // 2), nn.BatchNorm1d(n_out), nn.ReLU()]
        n, length = n_out, (length - 1) // stride + 1
        if draw.random() < 0.5 and length > 4:
            layers.append(nn.MaxPool1d(2))
            length //= 2
    if draw.random() < 0.6:
        kernels = ((3, 4, 5), (2, 3, 4), (3, 5, 7), (2, 4))[int(draw.integers(4))]
        n_out = _near(draw, max(n, 8))
        layers.append(Branches(n, n_out, kernels))
        n = n_out * len(kernels)
    else:
        layers.append(nn.AdaptiveAvgPool1d(1))
    return nn.Sequential(*layers, *_last(draw, n)), shape


def _vector(draw: Generator) -> tuple[nn.Module, tuple[int, ...]]:
    widths = [int(np.exp(draw.uniform(np.log(12), np.log(3000)))) for _ in range(int(draw.integers(2, 5)))]
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), _ACTIVATIONS[int(draw.integers(len(_ACTIVATIONS)))]()]
    layers.append(nn.Linear(widths[-1], int(draw.choice((2, 5, 10, 10, 100)))))
    return nn.Sequential(*layers), (widths[0],)


class Heads(nn.Module):
    """A block of a transformer whose query, key and value come of one matrix."""

    def __init__(self, width: int, n_heads: int, wide: int) -> None:
        super().__init__()
        self.n_heads, self.first, self.second = n_heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, wide * width), nn.GELU(), nn.Linear(wide * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n_tokens, width = x.shape[1], x.shape[2]
        mixed = self.mix(self.first(x)).reshape(-1, n_tokens, 3, self.n_heads, width // self.n_heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(found.transpose(1, 2).reshape(-1, n_tokens, width))
        fed: torch.Tensor = x + self.feed(self.second(x))
        return fed


class Patches(nn.Module):
    """An image as tokens, each of a square of it."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, kernel, kernel)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.patches(x).flatten(2).transpose(1, 2)
        return tokens


class Mean(nn.Module):
    """The mean over the tokens, and a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.norm(x).mean(dim=1))
        return found


def _tokens(draw: Generator) -> tuple[nn.Module, tuple[int, ...]]:
    n_heads, width_of_one = int(draw.choice((1, 2, 3, 4, 6))), int(draw.choice((16, 20, 24, 32, 48, 64)))
    width, n_tokens = n_heads * width_of_one, int(np.exp(draw.uniform(np.log(12), np.log(260))))
    blocks = [Heads(width, n_heads, int(draw.choice((2, 4)))) for _ in range(int(draw.integers(1, 5)))]
    if draw.random() < 0.4:
        return nn.Sequential(*blocks, Mean(width)), (n_tokens, width)
    kernel = int(draw.choice((4, 4, 7, 8, 16)))
    side = kernel * max(round(n_tokens**0.5), 2)
    return nn.Sequential(Patches(width, kernel), *blocks, Mean(width)), (3, side, side)
