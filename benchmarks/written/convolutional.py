"""Convolutional networks for images, from LeNet to DenseNet."""

from __future__ import annotations

import torch
from torch import nn

functional = nn.functional


class LeNet(nn.Module):
    """LeNet-5 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc3(functional.relu(self.fc2(functional.relu(self.fc1(x)))))


def vgg() -> nn.Module:
    layers: list[nn.Module] = []
    n = 3
    for width in (16, 16, "M", 32, 32, "M", 64, 64, "M"):
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(n, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            n = width
    head = [nn.Flatten(), nn.Linear(64 * 16, 64), nn.ReLU(True), nn.Dropout(0.5), nn.Linear(64, 10)]
    return nn.Sequential(*layers, *head)


def network_in_network() -> nn.Module:
    def block(n: int, width: int, kernel: int) -> list[nn.Module]:
        return [
            nn.Conv2d(n, width, kernel, padding=kernel // 2), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1),
            nn.ReLU(),
        ]  # fmt: skip

    return nn.Sequential(
        *block(3, 24, 5), nn.MaxPool2d(3, 2, 1), nn.Dropout(), *block(24, 24, 5), nn.AvgPool2d(3, 2, 1), *block(24, 10, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class Basic(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, n: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or n != width:
            self.downsample = nn.Sequential(nn.Conv2d(n, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    """Narrow, wide in space, wide again; grouped in ResNeXt."""

    def __init__(self, n: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2, self.conv3 = nn.BatchNorm2d(width), nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3, self.relu = nn.BatchNorm2d(4 * width), nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or n != 4 * width:
            self.shortcut = nn.Sequential(nn.Conv2d(n, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """Three stages of two blocks."""

    def __init__(self, *, is_narrow: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        blocks: list[nn.Module] = []
        n = 16
        for width, stride in ((8, 1), (16, 2), (32, 2)):
            for number in range(2):
                step = stride if number == 0 else 1
                blocks.append(Bottleneck(n, width, step, groups) if is_narrow else Basic(n, 2 * width, step))
                n = 4 * width if is_narrow else 2 * width
        self.layers = nn.Sequential(*blocks)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(n, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.fc(torch.flatten(self.avgpool(self.layers(x)), 1))


class PreActivation(nn.Module):
    """Normalisation and ReLU before each convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(16) for _ in range(4)])
        self.convs = nn.ModuleList([nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(4)])
        self.linear = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        for number in (0, 2):
            out = self.convs[number](functional.relu(self.norms[number](x)))
            x = x + self.convs[number + 1](functional.relu(self.norms[number + 1](out)))
        x = functional.avg_pool2d(functional.relu(x), 8)
        return self.linear(x.view(x.size(0), -1))


class DenseNet(nn.Module):
    """Every layer reads all before it."""

    def __init__(self, growth: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.first = nn.ModuleList([self._layer(16 + growth * i, growth) for i in range(3)])
        self.transition = nn.Sequential(
            nn.BatchNorm2d(40), nn.ReLU(), nn.Conv2d(40, 20, 1, bias=False), nn.AvgPool2d(2)
        )
        self.second = nn.ModuleList([self._layer(20 + growth * i, growth) for i in range(3)])
        self.norm, self.classifier = nn.BatchNorm2d(44), nn.Linear(44, 10)

    @staticmethod
    def _layer(n: int, growth: int) -> nn.Module:
        return nn.Sequential(
            nn.BatchNorm2d(n), nn.ReLU(True), nn.Conv2d(n, 4 * growth, 1, bias=False), nn.BatchNorm2d(4 * growth), nn.ReLU(True),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = [self.stem(x)]
        for layer in self.first:
            features.append(layer(torch.cat(features, 1)))
        features = [self.transition(torch.cat(features, 1))]
        for layer in self.second:
            features.append(layer(torch.cat(features, 1)))
        x = functional.relu(self.norm(torch.cat(features, 1)))
        return self.classifier(functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Fire(nn.Module):
    """Squeeze, then expand two ways."""

    def __init__(self, n: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze, self.expand1 = nn.Conv2d(n, squeeze, 1), nn.Conv2d(squeeze, expand, 1)
        self.expand3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1(x)), torch.relu(self.expand3(x))], 1)


class SqueezeNet(nn.Module):
    """Fire modules and a convolution as classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 4, 16), Fire(32, 4, 16),
            nn.MaxPool2d(3, 2, ceil_mode=True), Fire(32, 8, 24),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(48, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)


class Inception(nn.Module):
    """Four branches side by side, one with kernels of one row or column."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.one = nn.Conv2d(16, 8, 1)
        self.three = nn.Sequential(nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1))
        self.seven = nn.Sequential(nn.Conv2d(16, 8, (1, 7), padding=(0, 3)), nn.Conv2d(8, 8, (7, 1), padding=(3, 0)))
        self.pool = nn.Conv2d(16, 4, 1)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.stem(x))
        pooled = self.pool(functional.avg_pool2d(x, 3, stride=1, padding=1))
        x = torch.cat([self.one(x), self.three(x), self.seven(x), pooled], dim=1)
        return self.fc(functional.relu(x).mean(dim=(2, 3)))


def volumes() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip
