"""Networks for small devices: depthwise convolutions, squeeze and excitation, shuffled channels."""

from __future__ import annotations

import torch
from torch import nn

functional = nn.functional


def conv_bn(n: int, width: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(n, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def mobilenet_v1() -> nn.Module:
    def separable(n: int, width: int, stride: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(n, n, 3, stride, 1, groups=n, bias=False), nn.BatchNorm2d(n), nn.ReLU(inplace=True),
            nn.Conv2d(n, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        )  # fmt: skip

    return nn.Sequential(
        conv_bn(3, 8, 2),
        separable(8, 16, 1),
        separable(16, 32, 2),
        separable(32, 32, 1),
        nn.AvgPool2d(8),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class InvertedResidual(nn.Module):
    """Wide inside, linear at the end."""

    def __init__(self, n: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = n * expansion
        self.use_res_connect = stride == 1 and n == width
        self.conv = nn.Sequential(
            nn.Conv2d(n, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, width, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.use_res_connect:
            return x + self.conv(x)
        return self.conv(x)


class MobileNetV2(nn.Module):
    """Inverted residuals."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 8, 2), InvertedResidual(8, 8, 1, 1), InvertedResidual(8, 12, 2, 6), InvertedResidual(12, 12, 1, 6),
            nn.Conv2d(12, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU6(inplace=True),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(48, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class SqueezeExcite(nn.Module):
    """A weight for each channel, from the means of all."""

    def __init__(self, n: int, inner: nn.Module, outer: nn.Module) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(n, n // 4, 1), nn.Conv2d(n // 4, n, 1)
        self.inner, self.outer = inner, outer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = functional.adaptive_avg_pool2d(x, 1)
        return x * self.outer(self.expand(self.inner(self.reduce(weight))))


class MobileNetV3(nn.Module):
    """Hard swish, squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(32, 32, 5, 1, 2, groups=32, bias=False), nn.BatchNorm2d(32), nn.Hardswish())
        self.excite = SqueezeExcite(32, nn.ReLU(), nn.Hardsigmoid())
        self.project, self.head = (
            nn.Conv2d(32, 16, 1),
            nn.Sequential(nn.Linear(16, 32), nn.Hardswish(), nn.Linear(32, 10)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.project(self.excite(self.deep(self.expand(x))))
        return self.head(x.mean([2, 3]))


class EfficientNet(nn.Module):
    """Two blocks of the kind of EfficientNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.blocks = nn.ModuleList([self._block(8, 8), self._block(8, 8)])
        self.head, self.fc = nn.Conv2d(8, 32, 1), nn.Linear(32, 10)

    @staticmethod
    def _block(n: int, width: int) -> nn.Module:
        hidden = 4 * n
        return nn.Sequential(
            nn.Conv2d(n, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.SiLU(),
            nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.SiLU(),
            SqueezeExcite(hidden, nn.SiLU(), nn.Sigmoid()), nn.Conv2d(hidden, width, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.fc(functional.silu(self.head(x)).mean((-2, -1)))


def channel_shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    batch, n, height, width = x.size()
    x = x.view(batch, groups, n // groups, height, width)
    return torch.transpose(x, 1, 2).contiguous().view(batch, -1, height, width)


class ShuffleNetV1(nn.Module):
    """Grouped convolutions and a shuffle between them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.reduce = conv_bn(3, 24, 2), nn.Conv2d(24, 12, 1, groups=3, bias=False)
        self.deep, self.expand = nn.Conv2d(12, 12, 3, 1, 1, groups=12), nn.Conv2d(12, 24, 1, groups=3, bias=False)
        self.fc = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.expand(self.deep(channel_shuffle(functional.relu(self.reduce(x)), 3)))
        return self.fc(functional.relu(x + y).mean([2, 3]))


class ShuffleNetV2(nn.Module):
    """Half of the channels pass by; then all are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16, 2)
        self.branch = nn.Sequential(
            nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
            nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.fc = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x1, x2 = x.chunk(2, dim=1)
        x = channel_shuffle(torch.cat((x1, self.branch(x2)), dim=1), 2)
        return self.fc(x.mean([2, 3]))


class Xception(nn.Module):
    """Separable convolutions with shortcuts and poolings."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16, 1)
        self.deep, self.point = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 32, 1)
        self.pool, self.skip, self.bn = nn.MaxPool2d(3, 2, 1), nn.Conv2d(16, 32, 1, 2), nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.pool(self.bn(self.point(self.deep(functional.relu(x))))) + self.skip(x)
        return self.fc(functional.adaptive_avg_pool2d(x, (1, 1)).squeeze(-1).squeeze(-1))
