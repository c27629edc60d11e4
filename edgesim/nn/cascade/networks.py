"""The three networks of MTCNN, with the weights that the package facenet-pytorch ships; they are read where they are installed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from edgesim.nn.data.packages.installed import installed_files

PACKAGE = "facenet-pytorch==2.6.0"
SIDES = (12, 24, 48)
"""Of what each network looks at, in pixels; the first one looks at every place of an image."""


class Proposal(nn.Module):
    """P-Net: for every second place of an image, how surely a face of 12 pixels is there, and by how much its box is off."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores, shape (n, rows, columns), and offsets, shape (n, 4, rows, columns)."""
        x = self.pool1(self.prelu1(self.conv1(image)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(dim=1)[:, 1], self.conv4_2(x)


class Refinement(nn.Module):
    """R-Net: how surely a piece of 24 x 24 pixels is a face, and by how much its box is off."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, pieces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores, shape (n,), and offsets, shape (n, 4)."""
        x = self.pool2(self.prelu2(self.conv2(self.pool1(self.prelu1(self.conv1(pieces))))))
        x = self.prelu3(self.conv3(x)).permute(0, 3, 2, 1).flatten(1)
        x = self.prelu4(self.dense4(x))
        return self.dense5_1(x).softmax(dim=1)[:, 1], self.dense5_2(x)


class Output(nn.Module):
    """O-Net: the same of a piece of 48 x 48 pixels, for the last time; its places of eyes, nose and mouth are not asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)

    def forward(self, pieces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores, shape (n,), and offsets, shape (n, 4)."""
        x = self.pool2(self.prelu2(self.conv2(self.pool1(self.prelu1(self.conv1(pieces))))))
        x = self.prelu4(self.conv4(self.pool3(self.prelu3(self.conv3(x))))).permute(0, 3, 2, 1).flatten(1)
        x = self.prelu5(self.dense5(x))
        return self.dense6_1(x).softmax(dim=1)[:, 1], self.dense6_2(x)


class Networks(NamedTuple):
    """The networks of the three stages, in evaluation mode."""

    proposal: Proposal
    refinement: Refinement
    output: Output


def trained_networks() -> Networks:
    """Return the networks with their weights. Raises `DataError` when the package is not installed; it says how to get it."""
    names = tuple(f"facenet_pytorch/data/{name}net.pt" for name in "pro")
    networks = Networks(Proposal(), Refinement(), Output())
    for network, path in zip(networks, installed_files("mtcnn", PACKAGE, names), strict=True):
        weights = torch.load(path, weights_only=True)
        asked = network.state_dict().keys()
        network.load_state_dict(
            {name: weights[name] for name in asked}
        )  # but those of the places that are not asked for
        network.eval().requires_grad_(requires_grad=False)
    return networks
