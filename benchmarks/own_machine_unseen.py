"""The ten networks that `benchmarks/own_machine.py` predicts: chosen, and written down, before any of them was measured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from own_machine_fourth import Reader
from own_machine_networks import Residual, head, shipped, unit
from torch import nn

from edgesim.nn.models.untrained import ShapeOnly


class Inception(nn.Module):
    """A module of GoogLeNet: four branches beside one another."""

    def __init__(self, n: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        one, few, three, fewer, five, pooled = sizes
        self.one, self.three = self.plain(n, one, 1), nn.Sequential(self.plain(n, few, 1), self.plain(few, three, 3))
        self.five = nn.Sequential(self.plain(n, fewer, 1), self.plain(fewer, five, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), self.plain(n, pooled, 1))

    @staticmethod
    def plain(n_in: int, n_out: int, kernel: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pooled(x)), 1)


def googlenet() -> nn.Module:
    """GoogLeNet without normalisation (Szegedy et al., 2015, table 1)."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(64, 64, 1), nn.ReLU(),
        nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    n = 192
    for row in (
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (), (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), (),
        (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
    ):  # fmt: skip
        if not row:
            layers.append(nn.MaxPool2d(3, 2, 1))
            continue
        layers.append(Inception(n, row))
        n = row[0] + row[2] + row[4] + row[5]
    return nn.Sequential(*layers, *head(n))


class Gated(nn.Module):
    """An inverted residual with squeeze-and-excite, as in MobileNet v3 and EfficientNet."""

    def __init__(self, sizes: tuple[int, ...], act: type[nn.Module], gate: type[nn.Module]) -> None:
        super().__init__()
        n_in, n, n_out, kernel, stride, n_few = sizes
        first = [nn.Conv2d(n_in, n, 1, bias=False), nn.BatchNorm2d(n), act()] if n > n_in else []
        self.wide = nn.Sequential(
            *first, nn.Conv2d(n, n, kernel, stride, kernel // 2, groups=n, bias=False), nn.BatchNorm2d(n), act()
        )
        self.gate = None
        if n_few:
            squeezed = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(n, n_few, 1), nn.ReLU(), nn.Conv2d(n_few, n, 1), gate()]
            self.gate = nn.Sequential(*squeezed)
        self.last = nn.Sequential(nn.Conv2d(n, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        self.is_added = stride == 1 and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.wide(x)
        y = self.last(y if self.gate is None else y * self.gate(y))
        return x + y if self.is_added else y


def efficientnet() -> nn.Module:
    """EfficientNet-B0 (Tan and Le, 2019, table 1)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.SiLU()]
    n = 32
    for wide, kernel, out, repeats, stride in (
        (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2), (6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1),
    ):  # fmt: skip
        for i in range(repeats):
            layers.append(Gated((n, wide * n, out, kernel, stride if i == 0 else 1, n // 4), nn.SiLU, nn.Sigmoid))
            n = out
    return nn.Sequential(*layers, nn.Conv2d(n, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.SiLU(), *head(1280))


def mobilenet_v3() -> nn.Module:
    """MobileNet v3, small (Howard et al., 2019, table 2)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()]
    n = 16
    for kernel, wide, out, is_gated, act, stride in (
        (3, 16, 16, True, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 2), (3, 88, 24, False, nn.ReLU, 1), (5, 96, 40, True, nn.Hardswish, 2),
        (5, 240, 40, True, nn.Hardswish, 1), (5, 240, 40, True, nn.Hardswish, 1), (5, 120, 48, True, nn.Hardswish, 1),
        (5, 144, 48, True, nn.Hardswish, 1), (5, 288, 96, True, nn.Hardswish, 2), (5, 576, 96, True, nn.Hardswish, 1),
        (5, 576, 96, True, nn.Hardswish, 1),
    ):  # fmt: skip
        layers.append(Gated((n, wide, out, kernel, stride, wide // 4 if is_gated else 0), act, nn.Hardsigmoid))
        n = out
    last = [
        nn.Conv2d(n, 576, 1, bias=False),
        nn.BatchNorm2d(576),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    return nn.Sequential(*layers, *last, nn.Linear(576, 1024), nn.Hardswish(), nn.Linear(1024, 1000))


def resnet20() -> nn.Module:
    """ResNet-20 for CIFAR (He et al., 2015, section 4.2)."""
    layers, n = unit(3, 16), 16
    for out in (16, 32, 64):
        for i in range(3):
            layers.append(Residual(n, out, 2 if i == 0 and out > n else 1))
            n = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Temporal(nn.Module):
    """A block of TC-ResNet."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(n_in, n_out, 9, 2, 4, bias=False), nn.BatchNorm1d(n_out), nn.ReLU(),
            nn.Conv1d(n_out, n_out, 9, 1, 4, bias=False), nn.BatchNorm1d(n_out),
        )  # fmt: skip
        self.short = nn.Sequential(nn.Conv1d(n_in, n_out, 1, 2, bias=False), nn.BatchNorm1d(n_out), nn.ReLU())
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.layers(x) + self.short(x))


def temporal() -> nn.Module:
    """TC-ResNet8 of spoken words (Choi et al., 2019, figure 2)."""
    layers = [nn.Conv1d(40, 16, 3, padding=1, bias=False), Temporal(16, 24), Temporal(24, 32), Temporal(32, 48)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(48, 12))


def activities() -> nn.Module:
    """Two convolutions and two linear layers for nine axes of a wearable, as in many works on recognising activities; the sizes are ours."""
    return nn.Sequential(
        nn.Conv1d(9, 32, 9, padding=4), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(32, 64, 9, padding=4), nn.ReLU(), nn.MaxPool1d(2),
        nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 6),
    )  # fmt: skip


def autoencoder() -> nn.Module:
    """The autoencoder of sounds of machines in MLPerf Tiny (Banbury et al., 2021): 640, four times 128, 8, four times 128, 640."""
    layers: list[nn.Module] = []
    widths = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128)
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640))


def unseen() -> Iterator[tuple[str, nn.Module, ShapeOnly]]:
    """Yield the ten networks with the shapes that they take."""
    yield "googlenet, 128x128", googlenet(), ShapeOnly((3, 128, 128), 1000)
    yield "efficientnet-b0, 128x128", efficientnet(), ShapeOnly((3, 128, 128), 1000)
    yield "mobilenet v3 small, 96x96", mobilenet_v3(), ShapeOnly((3, 96, 96), 1000)
    yield "resnet-20, 32x32", resnet20(), ShapeOnly((3, 32, 32), 10)
    yield "wrn-28-2, 32x32", *shipped("wrn", ShapeOnly((3, 32, 32), 10), depth=28, width=2)
    yield "tc-resnet8, 40x101", temporal(), ShapeOnly((40, 101), 12)
    yield "activity cnn, 9x128", activities(), ShapeOnly((9, 128), 6)
    yield "mlp 784-512-256", *shipped("mlp", ShapeOnly((784,), 10), hidden=(512, 256))
    yield "autoencoder 640-128-8", autoencoder(), ShapeOnly((640,), 640)
    yield "bert-mini, 48 words", Reader(48, 256, 4), ShapeOnly((48,), 2, 5000)
