"""The fourth round of ten networks of `benchmarks/own_machine.py`, chosen before they were measured; known since then."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from own_machine_networks import Block, head, unit
from torch import nn

from edgesim.nn.models.untrained import ShapeOnly


class Shuffled(nn.Module):
    """A unit of ShuffleNet v2: half of the channels go through, or, where the side is halved, all go through two branches."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        half, self.is_wide = n_out // 2, stride > 1
        first = n_in if self.is_wide else half
        self.main = nn.Sequential(*unit(first, half, 1), *unit(half, half, 3, stride, half)[:2], *unit(half, half, 1))
        self.side = nn.Sequential(*unit(n_in, n_in, 3, stride, n_in)[:2], *unit(n_in, half, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = x.shape[1] // 2
        left, right = (self.side(x), x) if self.is_wide else (x[:, :half], x[:, half:])
        x = torch.cat((left, self.main(right)), 1)
        n, side = x.shape[1], x.shape[2]
        return x.reshape(-1, 2, n // 2, side, side).transpose(1, 2).reshape(-1, n, side, side)


def shufflenet() -> nn.Module:
    """ShuffleNet v2, 1.0x (Ma et al., 2018, table 5)."""
    layers: list[nn.Module] = [*unit(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    n = 24
    for out, repeats in ((116, 4), (232, 8), (464, 4)):
        for i in range(repeats):
            layers.append(Shuffled(n, out, 1 if i else 2))
            n = out
    return nn.Sequential(*layers, *unit(464, 1024, 1), *head(1024))


class Inverted(nn.Module):
    """An inverted residual of MobileNet v2."""

    def __init__(self, n_in: int, n_out: int, stride: int, wide: int) -> None:
        super().__init__()
        n = wide * n_in
        first = [nn.Conv2d(n_in, n, 1, bias=False), nn.BatchNorm2d(n), nn.ReLU6()] if wide > 1 else []
        self.layers = nn.Sequential(
            *first, nn.Conv2d(n, n, 3, stride, 1, groups=n, bias=False), nn.BatchNorm2d(n), nn.ReLU6(),
            nn.Conv2d(n, n_out, 1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        self.is_added = stride == 1 and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.is_added else self.layers(x)


def mobilenet_v2() -> nn.Module:
    """MobileNet v2 (Sandler et al., 2018, table 2)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    n = 32
    for wide, out, repeats, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):  # fmt: skip
        for i in range(repeats):
            layers.append(Inverted(n, out, stride if i == 0 else 1, wide))
            n = out
    return nn.Sequential(*layers, nn.Conv2d(n, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6(), *head(1280))


class Grown(nn.Module):
    """A layer of DenseNet: what it makes is put beside what it got."""

    def __init__(self, n: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, growth, 3, padding=1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, self.layers(x)), 1)


def densenet(growth: int = 12) -> nn.Module:
    """DenseNet-40 for CIFAR (Huang et al., 2017): three blocks of twelve layers."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    n = 16
    for block in range(3):
        for _ in range(12):
            layers.append(Grown(n, growth))
            n += growth
        layers += [nn.BatchNorm2d(n), nn.ReLU()]
        layers += [nn.Conv2d(n, n, 1, bias=False), nn.AvgPool2d(2)] if block < 2 else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 10))


class Bottleneck(nn.Module):
    """A block of ResNet-50."""

    def __init__(self, n_in: int, n: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*unit(n_in, n, 1), *unit(n, n, 3, stride), *unit(n, 4 * n, 1)[:2])
        self.short = nn.Sequential(*unit(n_in, 4 * n, 1, stride)[:2]) if n_in != 4 * n else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.layers(x) + self.short(x))


def resnet50() -> nn.Module:
    """ResNet-50 (He et al., 2015, table 1)."""
    layers: list[nn.Module] = [*unit(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    n_in = 64
    for n, repeats in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for i in range(repeats):
            layers.append(Bottleneck(n_in, n, 2 if i == 0 and n > 64 else 1))
            n_in = 4 * n
    return nn.Sequential(*layers, *head(n_in))


def alexnet() -> nn.Module:
    """AlexNet of one tower (Krizhevsky, 2014, figure 1)."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000),
    )  # fmt: skip


def lenet() -> nn.Module:
    """LeNet-5 (LeCun et al., 1998), with a linear output."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def motion() -> nn.Module:
    """A fully convolutional network of signals (Wang et al., 2017, figure 1b), for nine axes of a wearable."""
    layers: list[nn.Module] = []
    for n_in, n, kernel in ((9, 128, 8), (128, 256, 5), (256, 128, 3)):
        layers += [nn.Conv1d(n_in, n, kernel, padding=kernel // 2), nn.BatchNorm1d(n), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 6))


def keywords(n: int = 64) -> nn.Module:
    """DS-CNN, small, of spoken words (Zhang et al., 2017, table 2)."""
    layers: list[nn.Module] = [nn.Conv2d(1, n, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(n), nn.ReLU()]
    for _ in range(4):
        layers += [*unit(n, n, 3, 1, n), *unit(n, n, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 12))


class MixerBlock(nn.Module):
    """A block of MLP-Mixer: linear layers over the patches, then over the channels."""

    def __init__(self, n_patches: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.patches = nn.Sequential(nn.Linear(n_patches, 64), nn.GELU(), nn.Linear(64, n_patches))
        self.channels = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.patches(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.second(x))


class Mixer(nn.Module):
    """A small MLP-Mixer (Tolstikhin et al., 2021): patches of 8x8, four blocks of width 128."""

    def __init__(self, side: int = 64, width: int = 128) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.blocks = nn.Sequential(*(MixerBlock((side // 8) ** 2, width) for _ in range(4)))
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.norm(self.blocks(self.patches(x).flatten(2).transpose(1, 2))).mean(1))


class Reader(nn.Module):
    """An encoder of words (Vaswani et al., 2017): blocks with four heads, and the mean."""

    def __init__(self, n_words: int = 64, width: int = 128, n_blocks: int = 2) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(5000, width), nn.Parameter(torch.zeros(1, n_words, width))
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(n_blocks)))
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.norm(self.blocks(self.words(x) + self.places)).mean(1))


def fourth() -> Iterator[tuple[str, nn.Module, ShapeOnly]]:
    """Yield the ten networks with the shapes that they take."""
    yield "shufflenet v2, 128x128", shufflenet(), ShapeOnly((3, 128, 128), 1000)
    yield "mobilenet v2, 128x128", mobilenet_v2(), ShapeOnly((3, 128, 128), 1000)
    yield "densenet-40, 32x32", densenet(), ShapeOnly((3, 32, 32), 10)
    yield "resnet-50, 112x112", resnet50(), ShapeOnly((3, 112, 112), 1000)
    yield "alexnet, 224x224", alexnet(), ShapeOnly((3, 224, 224), 1000)
    yield "lenet-5, 28x28", lenet(), ShapeOnly((1, 28, 28), 10)
    yield "motion fcn, 9x128", motion(), ShapeOnly((9, 128), 6)
    yield "ds-cnn, 49x10", keywords(), ShapeOnly((1, 49, 10), 12)
    yield "mlp-mixer 128, 64x64", Mixer(), ShapeOnly((3, 64, 64), 10)
    yield "encoder 128, 64 words", Reader(), ShapeOnly((64,), 2, 5000)
