"""Twelve networks as users write them, small, each with the shape of a sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.one, self.two = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.Conv2d(16, 16, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(16), nn.BatchNorm2d(16)
        self.short, self.fc = nn.Conv2d(8, 16, 1, 2, bias=False), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = functional.relu(self.norm(self.stem(x)))
        y = self.norm2(self.two(functional.relu(self.norm1(self.one(x)))))
        x = functional.relu(y + self.short(x))
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


class Squeezing(nn.Module):
    """Inverted residual with squeeze and excitation, as of MobileNet v3 and EfficientNet."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.deep = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.down, self.up, self.out = nn.Conv2d(12, 4, 1), nn.Conv2d(4, 12, 1), nn.Conv2d(12, 6, 1)
        self.fc = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = functional.hardswish(self.deep(functional.relu6(self.wide(x))))
        gate = self.up(functional.relu(self.down(x.mean((2, 3), keepdim=True))))
        return self.fc(self.out(x * functional.hardsigmoid(gate)).mean((2, 3)))


class Shuffling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.stem(x)
        a, b = x.chunk(2, dim=1)
        x = torch.cat((a, functional.relu(self.left(b))), 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.fc(x.mean((2, 3)))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 4, 3, padding=1), nn.Conv2d(11, 6, 1)
        self.pool, self.fc = nn.AvgPool2d(2), nn.Linear(6 * 16, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.cat((x, functional.relu(self.a(x))), 1)
        x = torch.cat((x, functional.relu(self.b(x))), 1)
        return self.fc(self.pool(self.c(x)).flatten(1))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 5, padding=2)
        self.pool, self.fc = nn.MaxPool2d(3, 1, 1), nn.Linear(15, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.cat((self.a(x), self.b(x), self.c(x), self.pool(x)), 1)
        return self.fc(functional.leaky_relu(x, 0.1).amax((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 12, 3, padding=1)
        self.up, self.join, self.out = (
            nn.ConvTranspose2d(12, 6, 2, 2),
            nn.Conv2d(12, 6, 3, padding=1),
            nn.Conv2d(6, 10, 1),
        )

    def forward(self, x: torch.Tensor) -> Any:
        a = functional.relu(self.down(x))
        b = functional.relu(self.deep(functional.max_pool2d(a, 2)))
        return self.out(functional.relu(self.join(torch.cat((a, self.up(b)), 1))))


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 8, 2, 2), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale, self.fc = nn.Parameter(torch.rand(8)), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.stem(x)
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(functional.gelu(self.wide(y)))
        return self.fc((x + y.permute(0, 3, 1, 2)).mean((2, 3)))


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.place = nn.Conv2d(3, 16, 4, 4), nn.Parameter(torch.rand(1, 4, 16))
        self.norm1, self.norm2, self.qkv, self.out = (
            nn.LayerNorm(16),
            nn.LayerNorm(16),
            nn.Linear(16, 48),
            nn.Linear(16, 16),
        )
        self.wide, self.narrow, self.fc = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.place
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        y = ((q @ k.transpose(-2, -1)) * (c // 2) ** -0.5).softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(n, t, c))
        x = x + self.narrow(functional.gelu(self.wide(self.norm2(x))))
        return self.fc(x.mean(1))


class TextCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.convs = nn.ModuleList(nn.Conv1d(8, 5, width, padding=width // 2) for width in (3, 5))
        self.fc = nn.Linear(10, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.embedding(x).transpose(1, 2)
        return self.fc(torch.cat([functional.relu(conv(x)).amax(2) for conv in self.convs], 1))


class Temporal(nn.Module):
    """Causal dilated convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Conv1d(3, 6, 3), nn.Conv1d(6, 6, 3, dilation=2), nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.tanh(self.a(functional.pad(x, (2, 0))))
        x = x + torch.sigmoid(self.b(functional.pad(x, (4, 0))))
        return self.fc(x[:, :, -1])


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.fc = nn.Linear(3, 12), nn.Linear(12, 16), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(functional.elu(self.two(functional.relu(self.one(x)))).amax(1))


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(30, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 8), nn.SiLU(), nn.Linear(8, 10)
    )


IMAGE = (3, 8, 8)
TWELVE: dict[str, tuple[Any, tuple[int, ...]]] = {
    "residual": (Residual, IMAGE), "squeezing": (Squeezing, IMAGE), "shuffling": (Shuffling, IMAGE), "dense": (Dense, IMAGE),
    "inception": (Inception, IMAGE), "u-net": (UNet, IMAGE), "convnext": (ConvNeXt, IMAGE), "vit": (ViT, IMAGE),
    "text-cnn": (TextCNN, (12,)), "temporal": (Temporal, (3, 12)), "pointnet": (PointNet, (9, 3)), "mlp": (mlp, (3, 10)),
}  # fmt: skip


def made(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a network in evaluation mode, with weights and statistics that are not those of the start, and the shape of a sample."""
    torch.manual_seed(1)
    make, shape = TWELVE[name]
    network: nn.Module = make()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
    return network.eval(), shape


def samples(name: str, shape: tuple[int, ...], n: int) -> torch.Tensor:
    """Return samples of a network."""
    draws = torch.Generator().manual_seed(2)
    return (
        torch.randint(20, (n, *shape), generator=draws)
        if name == "text-cnn"
        else torch.randn((n, *shape), generator=draws)
    )
