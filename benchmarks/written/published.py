"""Published architectures at their own size, to compare what is counted with published figures. Made on torch's meta device, without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from edgesim.domain.networks.task import TensorSpec
from written.transformers import Llama

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.domain.networks.samples import Inputs

functional = nn.functional
_IMAGE = (3, 224, 224)


@dataclass(frozen=True, slots=True)
class Published:
    """An architecture and what its source says.

    Parameters
    ----------
    make : it.
    inputs : of one sample.
    gigaflop : of multiply-adds, two each, as published.
    source : of that figure.
    explained : why ours differs by more than 1 %, if it does.
    """

    make: Callable[[], nn.Module]
    inputs: Inputs | tuple[int, ...]
    gigaflop: float
    source: str
    explained: str = ""


class _Basic(nn.Module):
    def __init__(self, n: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )  # fmt: skip
        self.shortcut = nn.Sequential()
        if stride != 1 or n != width:
            self.shortcut = nn.Sequential(nn.Conv2d(n, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class _Bottleneck(nn.Module):
    def __init__(self, n: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        inner = width * (2 if groups > 1 else 1)
        self.body = nn.Sequential(
            nn.Conv2d(n, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width),
        )  # fmt: skip
        self.shortcut = nn.Sequential()
        if stride != 1 or n != 4 * width:
            self.shortcut = nn.Sequential(nn.Conv2d(n, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(depths: tuple[int, ...], *, is_narrow: bool, groups: int = 1) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    n = 64
    for stage, depth in enumerate(depths):
        width = 64 * 2**stage
        for number in range(depth):
            stride = 2 if stage and not number else 1
            layers.append(_Bottleneck(n, width, stride, groups) if is_narrow else _Basic(n, width, stride))
            n = 4 * width if is_narrow else width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 1000))


def vgg16() -> nn.Module:
    layers: list[nn.Module] = []
    n = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(n, width, 3, padding=1), nn.ReLU()]
            n = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *head)


def alexnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Linear(4096, 4096),
        nn.ReLU(), nn.Linear(4096, 1000),
    )  # fmt: skip


class _Inverted(nn.Module):
    def __init__(self, n: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = n * expansion
        wide = [nn.Conv2d(n, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6()] if expansion > 1 else []
        self.body = nn.Sequential(
            *wide, nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, width, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.is_residual = stride == 1 and n == width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.is_residual else self.body(x)


def mobilenet_v2() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    n = 32
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, width, depth, stride in stages:
        for number in range(depth):
            layers.append(_Inverted(n, width, 1 if number else stride, expansion))
            n = width
    return nn.Sequential(
        *layers, nn.Conv2d(n, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(1280, 1000),
    )  # fmt: skip


class _Fire(nn.Module):
    def __init__(self, n: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze, self.one = nn.Conv2d(n, squeeze, 1), nn.Conv2d(squeeze, expand, 1)
        self.three = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


def squeezenet() -> nn.Module:
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool, _Fire(64, 16, 64), _Fire(128, 16, 64), pool, _Fire(128, 32, 128), _Fire(256, 32, 128), pool,
        _Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256), nn.Conv2d(512, 1000, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class _Dense(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
            nn.Conv2d(128, 32, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet121() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    n = 64
    for stage, depth in enumerate((6, 12, 24, 16)):
        if stage:
            layers += [nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, n // 2, 1, bias=False), nn.AvgPool2d(2)]
            n //= 2
        for _ in range(depth):
            layers.append(_Dense(n))
            n += 32
    return nn.Sequential(
        *layers, nn.BatchNorm2d(n), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 1000)
    )


class _Block(nn.Module):
    """A ConvNeXt block."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(n, n, 7, padding=3, groups=n), nn.LayerNorm(n)
        self.wide, self.narrow, self.scale = nn.Linear(n, 4 * n), nn.Linear(4 * n, n), nn.Parameter(torch.ones(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.narrow(functional.gelu(self.wide(y))) * self.scale
        return x + y.permute(0, 3, 1, 2)


class _Channels(nn.LayerNorm):
    """Layer normalisation of channels that come first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias).permute(
            0, 3, 1, 2
        )


def convnext_tiny() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), _Channels(96)]
    n = 96
    for stage, depth in enumerate((3, 3, 9, 3)):
        if stage:
            layers += [_Channels(n), nn.Conv2d(n, 2 * n, 2, 2)]
            n *= 2
        layers += [_Block(n) for _ in range(depth)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(n), nn.Linear(n, 1000))


class ViTBase(nn.Module):
    """ViT-B/16 of torch's own encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 768, 16, 16), nn.Parameter(torch.zeros(1, 1, 768))
        self.positions = nn.Parameter(torch.zeros(1, 197, 768))
        layer = nn.TransformerEncoderLayer(768, 12, 3072, batch_first=True, norm_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 12, nn.LayerNorm(768), enable_nested_tensor=False)
        self.head = nn.Linear(768, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


class GPT2(nn.Module):
    """GPT-2 small, with logits for every token."""

    def __init__(self, n_layers: int = 12, dim: int = 768) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50257, dim), nn.Embedding(1024, dim)
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(2 * n_layers)])
        self.attentions = nn.ModuleList([nn.Linear(dim, 3 * dim) for _ in range(n_layers)])
        self.outs = nn.ModuleList([nn.Linear(dim, dim) for _ in range(n_layers)])
        self.feeds = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)) for _ in range(n_layers)]
        )
        self.norm, self.head, self.dim = nn.LayerNorm(dim), nn.Linear(dim, 50257, bias=False), dim

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, length = tokens.shape
        x = self.words(tokens) + self.places(torch.arange(length, device=tokens.device))
        for number, attention in enumerate(self.attentions):
            q, k, v = attention(self.norms[2 * number](x)).split(self.dim, dim=2)
            q = q.view(batch, length, 12, 64).transpose(1, 2)
            k = k.view(batch, length, 12, 64).transpose(1, 2)
            v = v.view(batch, length, 12, 64).transpose(1, 2)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.outs[number](y.transpose(1, 2).reshape(batch, length, self.dim))
            x = x + self.feeds[number](self.norms[2 * number + 1](x))
        return self.head(self.norm(x))


_TORCHVISION = "torchvision, `_ops` of the weights, two FLOP a multiply-add"

PUBLISHED: dict[str, Published] = {
    "AlexNet": Published(alexnet, _IMAGE, 2 * 0.714, _TORCHVISION),
    "VGG-16": Published(vgg16, _IMAGE, 2 * 15.47, _TORCHVISION),
    "ResNet-18": Published(lambda: resnet((2, 2, 2, 2), is_narrow=False), _IMAGE, 2 * 1.814, _TORCHVISION),
    "ResNet-50": Published(lambda: resnet((3, 4, 6, 3), is_narrow=True), _IMAGE, 2 * 4.089, _TORCHVISION),
    "ResNeXt-50 32x4d": Published(
        lambda: resnet((3, 4, 6, 3), is_narrow=True, groups=32), _IMAGE, 2 * 4.23, _TORCHVISION
    ),
    "MobileNet v2": Published(mobilenet_v2, _IMAGE, 2 * 0.301, _TORCHVISION),
    "SqueezeNet 1.1": Published(squeezenet, _IMAGE, 2 * 0.349, _TORCHVISION),
    "DenseNet-121": Published(densenet121, _IMAGE, 2 * 2.834, _TORCHVISION),
    "ConvNeXt-T": Published(convnext_tiny, _IMAGE, 2 * 4.456, _TORCHVISION),
    "ViT-B/16": Published(ViTBase, _IMAGE, 2 * 17.564, _TORCHVISION),
    "GPT-2 small, 1,024 tokens": Published(
        GPT2, {"tokens": TensorSpec((1024,), "int64")}, 291.648307, "nanoGPT, transformer_sizing.ipynb, forward_total"
    ),
    "Llama 2 7B, one token": Published(
        lambda: Llama(32000, 4096, (32, 32), 11008, 32), {"tokens": TensorSpec((1,), "int64")}, 2 * 6.738415616,
        "2 FLOP a parameter (Kaplan et al. 2020, arXiv 2001.08361, table 1) x 6,738,415,616 parameters (Touvron et al. 2023)",
        "looking up a token's vector is no multiply-add: without the 131,072,000 parameters of that table the rule gives 13.215",
    ),
}  # fmt: skip
