"""The module of the one-stage detector."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNLIKELY = -4.0  # logit of most cells before training, since most hold nothing


class GridDetectorNetwork(nn.Module):
    """Convolutions with strides, and a row of numbers for each cell; see `edgesim.nn.models.maps.grid_detector.GridDetector`."""

    cells: torch.Tensor

    def __init__(
        self, n_inputs: int, channels: Sequence[int], strides: Sequence[int], grid: int, n_numbers: int
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = n_inputs
        for number, (n_channels, stride) in enumerate(zip(channels, strides, strict=True), start=1):
            layers[f"conv{number}"] = nn.Conv2d(before, n_channels, 3, stride=stride, padding=1, bias=False)
            layers[f"bn{number}"] = nn.BatchNorm2d(n_channels)
            layers[f"relu{number}"] = nn.ReLU()
            before = n_channels
        self.features = nn.Sequential(layers)
        self.head = nn.Conv2d(before, n_numbers, 1)
        with torch.no_grad():
            if self.head.bias is not None:
                self.head.bias[0] = _UNLIKELY
        down, across = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
        self.register_buffer("cells", torch.stack([across.flatten(), down.flatten()], dim=1).float())
        self.grid = grid

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logit, sides and logits of classes of each cell, shape (n, cells, numbers)."""
        rows = self.head(self.features(image)).flatten(2).transpose(1, 2)
        centre = (rows[:, :, 1:3].sigmoid() + self.cells) / self.grid
        half = rows[:, :, 3:5].sigmoid() / 2
        return torch.cat([rows[:, :, :1], centre - half, centre + half, rows[:, :, 5:]], dim=2)
