"""The first thirty networks with which the method of `benchmarks/own_machine.py` was made: three rounds of ten, each chosen before it was measured.

Six of each that edgesim ships, SqueezeNet, MobileNet, ResNet and a small vision transformer.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from edgesim.interfaces import ModelBuilder
from edgesim.nn.models.untrained import ShapeOnly
from edgesim.registry import MODELS


def unit(n_in: int, n_out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return a convolution with normalisation and ReLU."""
    convolution = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU()]


def head(n: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 1000)]


def mobilenet() -> nn.Module:
    """MobileNet (Howard et al., 2017, table 1)."""
    layers, n = unit(3, 32, 3, 2), 32
    for out, stride in (
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ):
        layers += [*unit(n, n, 3, stride, n), *unit(n, out, 1)]
        n = out
    return nn.Sequential(*layers, *head(n))


class Fire(nn.Module):
    """A module of SqueezeNet."""

    def __init__(self, n_in: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(n_in, squeeze, 1), nn.ReLU())
        self.narrow = nn.Sequential(nn.Conv2d(squeeze, expand, 1), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv2d(squeeze, expand, 3, padding=1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        return torch.cat((self.narrow(x), self.wide(x)), 1)


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1 (Iandola et al., 2016)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    n = 64
    for squeeze, expand, is_last in ((16, 64, False), (16, 64, True), (32, 128, False), (32, 128, True), (48, 192, False), (48, 192, False), (64, 256, False), (64, 256, False)):  # fmt: skip
        layers.append(Fire(n, squeeze, expand))
        layers += [nn.MaxPool2d(3, 2)] if is_last else []
        n = 2 * expand
    return nn.Sequential(*layers, nn.Conv2d(n, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Residual(nn.Module):
    """A block of ResNet."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*unit(n_in, n_out, 3, stride), *unit(n_out, n_out)[:2])
        self.short = nn.Sequential(*unit(n_in, n_out, 1, stride)[:2]) if stride > 1 else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.layers(x) + self.short(x))


def resnet(*repeats: int) -> nn.Module:
    """ResNet (He et al., 2015, table 1) of basic blocks: 2, 2, 2, 2 of them are ResNet-18, and 3, 4, 6, 3 are ResNet-34."""
    blocks, n = [], 64
    for out, n_blocks in zip((64, 128, 256, 512), repeats, strict=True):
        for _ in range(n_blocks):
            blocks.append(Residual(n, out, 1 if n == out else 2))
            n = out
    return nn.Sequential(*unit(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *blocks, *head(512))


class Block(nn.Module):
    """A block of a vision transformer."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n_tokens, width = x.shape[1], x.shape[2]
        mixed = self.mix(self.first(x)).reshape(-1, n_tokens, 3, self.n_heads, width // self.n_heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(found.transpose(1, 2).reshape(-1, n_tokens, width))
        return x + self.feed(self.second(x))


class VisionTransformer(nn.Module):
    """A small vision transformer: patches of 4x4, four blocks of width 96 with three heads, mean over the patches."""

    def __init__(self, side: int = 32, width: int = 96) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.place = nn.Parameter(torch.zeros(1, (side // 4) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, 3) for _ in range(4)))
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.place
        return self.classifier(self.norm(self.blocks(tokens)).mean(1))


def shipped(name: str, shape: ShapeOnly, **options: object) -> tuple[nn.Module, ShapeOnly]:
    """Return a network that edgesim ships."""
    builder: ModelBuilder = MODELS.get(name)(**options)
    dataset = shape.load()
    return builder.build(dataset.inputs, dataset.task.output), shape


def known() -> Iterator[tuple[str, nn.Module, ShapeOnly]]:
    """Yield the networks of all rounds, with the shapes that they take."""
    yield from _first()
    yield from _second()
    yield from _third()


def _third() -> Iterator[tuple[str, nn.Module, ShapeOnly]]:
    """The ten that were too slow and too fast by a fifth where no probe had their channels, or torch took another way."""
    image = ShapeOnly((3, 32, 32), 10)
    for label, (network, shape) in {
        "small-cnn 20-40, 40x40": shipped("small-cnn", ShapeOnly((3, 40, 40), 10), channels=(20, 40)),
        "strided-cnn 24-48-96, 56x56": shipped(
            "strided-cnn", ShapeOnly((3, 56, 56), 10), channels=(24, 48, 96), strides=(2, 1, 2)
        ),
        "vgg-11, 32x32": shipped("vgg", image, depth=11),
        "wrn-16-2, 32x32": shipped("wrn", image, depth=16, width=2),
        "mlp 500-800-200": shipped("mlp", ShapeOnly((500,), 10), hidden=(800, 200)),
        "text-cnn, 70 words": shipped("text-cnn", ShapeOnly((70,), 2, 5000)),
    }.items():
        yield label, network, shape
    yield "squeezenet 1.1, 160x160", squeezenet(), ShapeOnly((3, 160, 160), 1000)
    yield "mobilenet, 160x160", mobilenet(), ShapeOnly((3, 160, 160), 1000)
    yield "resnet-34, 144x144", resnet(3, 4, 6, 3), ShapeOnly((3, 144, 144), 1000)
    yield "vision transformer 84, 56x56", VisionTransformer(56, 84), ShapeOnly((3, 56, 56), 10)


def _second() -> Iterator[tuple[str, nn.Module, ShapeOnly]]:
    """The ten that followed the first; ResNet-18 at 96x96 was 33 % too fast, since no probe had images of such sides."""
    image, small = ShapeOnly((3, 32, 32), 10), ShapeOnly((3, 24, 24), 10)
    for label, (network, shape) in {
        "small-cnn 24-48, 24x24": shipped("small-cnn", small, channels=(24, 48)),
        "strided-cnn 48-96-48, 32x32": shipped("strided-cnn", image, channels=(48, 96, 48), strides=(2, 2, 1)),
        "vgg-16, 32x32": shipped("vgg", image, depth=16),
        "wrn-10-4, 32x32": shipped("wrn", image, depth=10, width=4),
        "mlp 900-600-80": shipped("mlp", ShapeOnly((900,), 10), hidden=(600, 80)),
        "text-cnn, 40 words": shipped("text-cnn", ShapeOnly((40,), 2, 5000)),
    }.items():
        yield label, network, shape
    yield "squeezenet 1.1, 200x200", squeezenet(), ShapeOnly((3, 200, 200), 1000)
    yield "mobilenet, 192x192", mobilenet(), ShapeOnly((3, 192, 192), 1000)
    yield "resnet-18, 96x96", resnet(2, 2, 2, 2), ShapeOnly((3, 96, 96), 1000)
    yield "vision transformer 60, 40x40", VisionTransformer(40, 60), ShapeOnly((3, 40, 40), 10)


def _first() -> Iterator[tuple[str, nn.Module, ShapeOnly]]:
    image = ShapeOnly((3, 32, 32), 10)
    for label, (network, shape) in {
        "small-cnn 16-32-64, 48x48": shipped("small-cnn", ShapeOnly((3, 48, 48), 10), channels=(16, 32, 64)),
        "strided-cnn 32-64-64-128, 64x64": shipped(
            "strided-cnn", ShapeOnly((3, 64, 64), 10), channels=(32, 64, 64, 128)
        ),
        "vgg-13, 32x32": shipped("vgg", image, depth=13),
        "wrn-22-2, 32x32": shipped("wrn", image, depth=22, width=2),
        "mlp 300-1000-300": shipped("mlp", ShapeOnly((300,), 10), hidden=(1000, 300)),
        "text-cnn, 120 words": shipped("text-cnn", ShapeOnly((120,), 2, 5000)),
    }.items():
        yield label, network, shape
    yield "squeezenet 1.1, 128x128", squeezenet(), ShapeOnly((3, 128, 128), 1000)
    yield "mobilenet, 128x128", mobilenet(), ShapeOnly((3, 128, 128), 1000)
    yield "resnet-18, 224x224", resnet(2, 2, 2, 2), ShapeOnly((3, 224, 224), 1000)
    yield "vision transformer 144, 48x48", VisionTransformer(48, 144), ShapeOnly((3, 48, 48), 10)
