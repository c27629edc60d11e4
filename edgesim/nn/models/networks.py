"""Architectures for images: small CNN, strided CNN, WideResNet, VGG."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

# output channels of the convolutions in multiples of the width, P for a 2x2 max pooling
VGG_LAYERS: dict[int, str] = {
    11: "1 P 2 P 4 4 P 8 8 P 8 8 P",
    13: "1 1 P 2 2 P 4 4 P 8 8 P 8 8 P",
    16: "1 1 P 2 2 P 4 4 4 P 8 8 8 P 8 8 8 P",
    19: "1 1 P 2 2 P 4 4 4 4 P 8 8 8 8 P 8 8 8 8 P",
}


def small_cnn(n_inputs: int, channels: Sequence[int], pool_after: int, n_classes: int) -> nn.Sequential:
    """Return an untrained small CNN; see `edgesim.nn.models.zoo.SmallCNN`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, n_outputs in enumerate(channels, start=1):
        layers[f"conv{number}"] = nn.Conv2d(n_inputs, n_outputs, kernel_size=3, padding=1, bias=False)
        layers[f"bn{number}"] = nn.BatchNorm2d(n_outputs)
        layers[f"relu{number}"] = nn.ReLU()
        if number == pool_after:
            layers["pool"] = nn.MaxPool2d(2)
        n_inputs = n_outputs
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(n_inputs, n_classes)
    return nn.Sequential(layers)


def strided_cnn(n_inputs: int, channels: Sequence[int], strides: Sequence[int], n_classes: int) -> nn.Sequential:
    """Return an untrained strided CNN; see `edgesim.nn.models.zoo.StridedCNN`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (n_outputs, stride) in enumerate(zip(channels, strides, strict=True), start=1):
        layers[f"conv{number}"] = nn.Conv2d(n_inputs, n_outputs, 3, stride=stride, padding=1, bias=False)
        layers[f"bn{number}"] = nn.BatchNorm2d(n_outputs)
        layers[f"relu{number}"] = nn.ReLU()
        n_inputs = n_outputs
    return nn.Sequential(_with_classifier(layers, n_inputs, n_classes))


def vgg(n_inputs: int, image_size: int, depth: int, width: int, n_classes: int) -> nn.Sequential:
    """Return an untrained VGG; see `edgesim.nn.models.zoo.VGG`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    number = n_pools = 0
    for item in VGG_LAYERS[depth].split():
        if item == "P":
            if image_size >= 2:
                n_pools += 1
                layers[f"pool{n_pools}"] = nn.MaxPool2d(2)
                image_size //= 2
            continue
        number += 1
        n_outputs = int(item) * width
        layers[f"conv{number}"] = nn.Conv2d(n_inputs, n_outputs, 3, padding=1, bias=False)
        layers[f"bn{number}"] = nn.BatchNorm2d(n_outputs)
        layers[f"relu{number}"] = nn.ReLU()
        n_inputs = n_outputs
    return nn.Sequential(_with_classifier(layers, n_inputs, n_classes))


def mlp(n_inputs: int, hidden: Sequence[int], dropout: float, n_outputs: int) -> nn.Sequential:
    """Return an untrained multi-layer perceptron; see `edgesim.nn.models.zoo.MLP`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, n_units in enumerate(hidden, start=1):
        layers[f"linear{number}"] = nn.Linear(n_inputs, n_units)
        layers[f"relu{number}"] = nn.ReLU()
        if dropout:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        n_inputs = n_units
    layers["classifier"] = nn.Linear(n_inputs, n_outputs)
    return nn.Sequential(layers)


def vgg16(input_shape: tuple[int, int, int], n_classes: int) -> nn.Sequential:
    """Return an untrained VGG-16 as published; see `edgesim.nn.models.untrained.VGG16`."""
    n_inputs, height, width = input_shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    block, number = 1, 0
    for item in VGG_LAYERS[16].split():
        if item == "P":
            layers[f"pool{block}"] = nn.MaxPool2d(2)
            block, number, height, width = block + 1, 0, height // 2, width // 2
            continue
        number += 1
        n_outputs = 64 * int(item)
        layers[f"conv{block}_{number}"] = nn.Conv2d(n_inputs, n_outputs, 3, padding=1)
        layers[f"relu{block}_{number}"] = nn.ReLU(inplace=True)
        n_inputs = n_outputs
    layers["flatten"] = nn.Flatten()
    for number, (n_features, n_outputs) in enumerate(
        [(n_inputs * height * width, 4096), (4096, 4096), (4096, n_classes)], start=6
    ):
        layers[f"fc{number}"] = nn.Linear(n_features, n_outputs)
        if number < 8:
            layers[f"relu{number}"] = nn.ReLU(inplace=True)
            layers[f"dropout{number}"] = nn.Dropout()
    return nn.Sequential(layers)


def _with_classifier(
    layers: OrderedDict[str, nn.Module], n_features: int, n_classes: int
) -> OrderedDict[str, nn.Module]:
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(n_features, n_classes)
    return layers


class WideBlock(nn.Module):
    """Two 3x3 convolutions, each behind normalisation and ReLU, and a shortcut (1x1 where shape or stride changes).

    Where the shortcut is a convolution it reads the normalised input, as in the published networks.
    """

    def __init__(self, n_inputs: int, n_outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1, self.relu1 = nn.BatchNorm2d(n_inputs), nn.ReLU()
        self.conv1 = nn.Conv2d(n_inputs, n_outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(n_outputs), nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(n_outputs, n_outputs, 3, padding=1, bias=False)
        is_same = n_inputs == n_outputs and stride == 1
        self.shortcut = None if is_same else nn.Conv2d(n_inputs, n_outputs, 1, stride=stride, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return conv2(relu(bn(conv1(relu(bn(x)))))) + shortcut."""
        active = self.relu1(self.bn1(inputs))
        passed = inputs if self.shortcut is None else self.shortcut(active)
        outputs: torch.Tensor = self.conv2(self.dropout(self.relu2(self.bn2(self.conv1(active))))) + passed
        return outputs


def wide_resnet(n_inputs: int, depth: int, width: int, dropout: float, n_classes: int) -> nn.Sequential:
    """Return an untrained WideResNet; see `edgesim.nn.models.zoo.WideResNet`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(n_inputs, 16, 3, padding=1, bias=False))
    n_channels = 16
    for stage, factor in enumerate((16, 32, 64), start=1):
        for block in range(1, (depth - 4) // 6 + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            layers[f"stage{stage}_block{block}"] = WideBlock(n_channels, factor * width, stride, dropout)
            n_channels = factor * width
    layers["bn"], layers["relu"] = nn.BatchNorm2d(n_channels), nn.ReLU()
    network = nn.Sequential(_with_classifier(layers, n_channels, n_classes))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


class _DecoderBlock(nn.Module):
    """Attention of a token to itself, and a gated feed-forward part, both with a residual."""

    def __init__(self, width: int, hidden: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.depth = heads, kv_heads, width // heads
        kv_width = kv_heads * self.depth
        self.before_attention, self.before_units = nn.RMSNorm(width), nn.RMSNorm(width)
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, kv_width, bias=False)
        self.v = nn.Linear(width, kv_width, bias=False)
        self.o = nn.Linear(width, width, bias=False)
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)
        self.gate = nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normal = self.before_attention(x)
        q = self.q(normal).unflatten(1, (self.kv_heads, -1, self.depth))
        k = self.k(normal).unflatten(1, (self.kv_heads, 1, self.depth))
        v = self.v(normal).unflatten(1, (self.kv_heads, 1, self.depth))
        weights = (q * k).sum(3, keepdim=True).softmax(3)  # over one position
        x = x + self.o((weights * v).flatten(1))
        normal = self.before_units(x)
        units: torch.Tensor = self.w2(self.gate(self.w1(normal)) * self.w3(normal))
        return x + units


def decoder_token(width: int, vocabulary: int, *, blocks: int, hidden: int, heads: int, kv_heads: int) -> nn.Sequential:
    """Return a decoder for one embedded token; see `edgesim.nn.models.untrained.DecoderToken`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["flatten"] = nn.Flatten()
    layers["blocks"] = nn.Sequential(*(_DecoderBlock(width, hidden, heads, kv_heads) for _ in range(blocks)))
    layers["norm"] = nn.RMSNorm(width)
    layers["classifier"] = nn.Linear(width, vocabulary, bias=False)
    return nn.Sequential(layers)
