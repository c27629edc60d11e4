"""Probes that repeat a block some times, as most networks do, drawn at random; and some whose weights no cache holds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import nn

N_DRAWN = 30
_MOST_FLOP = 4e8
_KINDS = ("plain", "residual", "bottleneck", "inverted", "separable", "grown")


class Around(nn.Module):
    """A block that is added to what it got."""

    def __init__(self, inner: nn.Module, *, has_act: bool) -> None:
        super().__init__()
        self.inner, self.act = inner, nn.ReLU() if has_act else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.act(x + self.inner(x))
        return found


class Beside(nn.Module):
    """A block whose result is put beside what it got."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, self.inner(x)), dim=1)


def unit(n_in: int, n_out: int, kernel: int = 3, stride: int = 1, groups: int = 1, *, act: nn.Module | None) -> list[nn.Module]:  # fmt: skip
    """Return a convolution with normalisation, and an activation if there is one."""
    layers: list[nn.Module] = [
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
    ]
    return [*layers, act] if act is not None else layers


def block(kind: str, n: int, growth: int = 0) -> tuple[nn.Module, int, float]:
    """Return a block of `n` channels, the number of channels after it, and its multiplications for each place of the image."""
    if kind == "plain":
        return nn.Sequential(*unit(n, n, act=nn.ReLU())), n, 9.0 * n * n
    if kind == "residual":
        return Around(nn.Sequential(*unit(n, n, act=nn.ReLU()), *unit(n, n, act=None)), has_act=True), n, 18.0 * n * n
    if kind == "bottleneck":
        few = max(n // 4, 4)
        inner = [*unit(n, few, 1, act=nn.ReLU()), *unit(few, few, act=nn.ReLU()), *unit(few, n, 1, act=None)]
        return Around(nn.Sequential(*inner), has_act=True), n, 2.0 * n * few + 9.0 * few * few
    if kind == "inverted":
        many = 4 * n
        inner = [*unit(n, many, 1, act=nn.ReLU6()), *unit(many, many, groups=many, act=nn.ReLU6()), *unit(many, n, 1, act=None)]  # fmt: skip
        return Around(nn.Sequential(*inner), has_act=False), n, 8.0 * n * n + 36.0 * n
    if kind == "separable":
        return nn.Sequential(*unit(n, n, groups=n, act=nn.ReLU()), *unit(n, n, 1, act=nn.ReLU())), n, 1.0 * n * n + 9.0 * n  # fmt: skip
    inner = [nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, growth, 3, padding=1, bias=False)]
    return Beside(nn.Sequential(*inner)), n + growth, 9.0 * n * growth


def repeated(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a first layer and one to three stages of equal blocks, with what narrows the image between them, and the shape of the input."""
    draw = np.random.default_rng([4, seed])
    height = int(draw.choice((16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112)))
    width = height if draw.random() < 0.7 else max(height // int(draw.choice((2, 3, 4))), 4)
    n, kind = int(draw.choice((8, 12, 16, 20, 24, 32, 40, 48, 64))), str(draw.choice(_KINDS))
    shape, stride = (int(draw.choice((1, 3))), height, width), 2 if height * width > 2500 else 1
    layers, flop = unit(shape[0], n, 3, stride, act=nn.ReLU()), 0.0
    places = -(-height // stride) * -(-width // stride)
    for _ in range(int(draw.integers(1, 4))):
        for _ in range(int(draw.integers(2, 7))):
            one, n_after, products = block(kind, n, int(draw.choice((8, 12, 16, 24))))
            if flop + 2 * products * places > _MOST_FLOP:
                break
            layers.append(one)
            n, flop = n_after, flop + 2 * products * places
        layers.append(nn.MaxPool2d(2) if draw.random() < 0.3 and min(height, width) > 8 * stride else nn.Identity())
        n_out = min(int(n * draw.choice((1.5, 2, 2))), 768)
        layers += unit(n, n_out, int(draw.choice((1, 3))), 2, act=nn.ReLU())
        n, places = n_out, max(places // (16 if isinstance(layers[-4], nn.MaxPool2d) else 4), 1)
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, int(draw.choice((6, 10, 1000))))
    ), shape


def heavy() -> Iterator[tuple[nn.Module, tuple[int, ...]]]:
    """Yield networks of 60 to 300 MB of weights, of which most are read anew, for each answer, from where no cache reaches."""
    yield nn.Sequential(*_linear(9000, 4000, 4000, 1000)), (9000,)
    yield nn.Sequential(*_linear(4000, 6000, 6000, 2500, 1000)), (4000,)
    for n, side, depth in ((512, 4, 16), (512, 7, 8), (384, 9, 8), (640, 3, 10)):
        yield nn.Sequential(*_ended([*_stack("plain", n, depth), *unit(n, 2 * n, 3, 2, act=nn.ReLU()), *unit(2 * n, 2 * n, 1, act=nn.ReLU())], 2 * n)), (n, side, side)  # fmt: skip
    for n, side, depth in ((2048, 4, 12), (1024, 8, 12), (1536, 6, 8)):
        yield (
            nn.Sequential(*_ended([*unit(n, n, 1, 2, act=nn.ReLU()), *_stack("bottleneck", n, depth)], n)),
            (n, side, side),
        )


def _linear(*widths: int) -> list[nn.Module]:
    return [one for n_in, n_out in pairwise(widths) for one in (nn.Linear(n_in, n_out), nn.ReLU())]


def _stack(kind: str, n: int, depth: int) -> list[nn.Module]:
    return [block(kind, n)[0] for _ in range(depth)]


def _ended(layers: list[nn.Module], n: int) -> list[nn.Module]:
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 1000)]
