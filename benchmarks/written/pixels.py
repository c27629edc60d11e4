"""Networks whose answer is an image or a map: segmentation, reconstruction, detection."""

from __future__ import annotations

import torch
from torch import nn

functional = nn.functional


class Double(nn.Sequential):
    """Two convolutions with normalisation and ReLU."""

    def __init__(self, n: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(n, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        )  # fmt: skip


class UNet(nn.Module):
    """Two levels down and up, with what was there before beside."""

    def __init__(self, *, is_upsampling: bool = False) -> None:
        super().__init__()
        self.inc, self.down1, self.down2 = Double(3, 8), Double(8, 16), Double(16, 32)
        self.pool = nn.MaxPool2d(2)
        self.up1 = self._up(32, 16, is_upsampling=is_upsampling)
        self.up2 = self._up(16, 8, is_upsampling=is_upsampling)
        self.conv1, self.conv2, self.out = Double(32, 16), Double(16, 8), nn.Conv2d(8, 2, 1)

    @staticmethod
    def _up(n: int, width: int, *, is_upsampling: bool) -> nn.Module:
        if is_upsampling:
            return nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(n, width, 1)
            )
        return nn.ConvTranspose2d(n, width, kernel_size=2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x1 = self.inc(x)
        x2 = self.down1(self.pool(x1))
        x3 = self.down2(self.pool(x2))
        x = self.conv1(torch.cat([x2, self.up1(x3)], dim=1))
        return self.out(self.conv2(torch.cat([x1, self.up2(x)], dim=1)))


def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(784, 16), nn.Linear(16, 784),
        nn.Unflatten(1, (16, 7, 7)), nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=1), nn.Sigmoid(),
    )  # fmt: skip


class Detector(nn.Module):
    """A backbone, a pyramid of two levels, and one head for classes and boxes on both."""

    def __init__(self, n_classes: int = 4) -> None:
        super().__init__()
        self.n = n_classes + 4
        self.c1 = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.c2 = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.lateral1, self.lateral2 = nn.Conv2d(8, 8, 1), nn.Conv2d(16, 8, 1)
        self.head = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, self.n, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        c1 = self.c1(x)
        c2 = self.c2(c1)
        p2 = self.lateral2(c2)
        p1 = self.lateral1(c1) + functional.interpolate(p2, scale_factor=2, mode="nearest")
        found = [self.head(p).permute(0, 2, 3, 1).reshape(x.size(0), -1, self.n) for p in (p1, p2)]
        return torch.cat(found, dim=1)


class SuperResolution(nn.Module):
    """Convolutions, then channels become pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 8, 3, padding=1)
        self.conv3, self.shuffle = nn.Conv2d(8, 9, 3, padding=1), nn.PixelShuffle(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shuffle(self.conv3(torch.tanh(self.conv2(torch.tanh(self.conv1(x))))))
