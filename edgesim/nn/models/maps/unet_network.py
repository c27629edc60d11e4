"""The modules of `edgesim.nn.models.maps.unet`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Level(nn.Module):
    """Two 3x3 convolutions, each with normalisation and ReLU."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n_inputs, n_outputs, 3, padding=1, bias=False), nn.BatchNorm2d(n_outputs)
        self.conv2, self.bn2 = nn.Conv2d(n_outputs, n_outputs, 3, padding=1, bias=False), nn.BatchNorm2d(n_outputs)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return maps of the same size."""
        outputs: torch.Tensor = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        return outputs


class UNetNetwork(nn.Module):
    """A U-Net; see `edgesim.nn.models.maps.unet.UNet`.

    Parameters
    ----------
    n_inputs, n_outputs : channels of an image and of the answer.
    width, levels : as there.
    """

    def __init__(self, n_inputs: int, n_outputs: int, width: int, levels: int) -> None:
        super().__init__()
        channels: Sequence[int] = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            Level(before, after) for before, after in zip([n_inputs, *channels], channels, strict=False)
        )
        self.up = nn.ModuleList(Level(after + before, before) for before, after in pairwise(channels))
        self.pool, self.repeat = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.head = nn.Conv2d(width, n_outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, classes, height, width)."""
        across = []
        for number, level in enumerate(self.down):
            x = level(self.pool(x) if number else x)
            across.append(x)
        for number in range(len(self.up) - 1, -1, -1):
            x = self.up[number](torch.cat([self.repeat(x), across[number]], dim=1))
        answers: torch.Tensor = self.head(x)
        return answers


class BesideNetwork(nn.Module):
    """Two networks that see the same image; the channels of the second stand behind those of the first."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the channels of both, shape (n, channels, height, width)."""
        return torch.cat([self.first(x), self.second(x)], dim=1)
