"""Network architectures as plug-ins. Importing this needs no torch; `build` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Len

from edgesim.errors import DataError, ScenarioError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class SmallCNN:
    """Small convolutional network for small images: 3x3 convolutions, one max pooling, global average pooling, one linear layer.

    Each convolution (padding 1, no bias) is followed by batch normalisation and ReLU. The layers are called ``conv1``,
    ``bn1``, ``relu1``, ..., ``pool``, ..., ``average``, ``flatten``, ``classifier`` and run one after the other.

    Parameters
    ----------
    channels : output channels of the convolutions, in order; those of the last are the filters that student networks divide.
    pool_after : the 2x2 max pooling stands behind this convolution, counted from 1; 0 for none.
    """

    channels: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (32, 32, 64)
    pool_after: Annotated[int, Ge(0)] = 2

    def __post_init__(self) -> None:
        if self.pool_after > len(self.channels):
            raise ScenarioError(
                f"pool_after is {self.pool_after}, but small-cnn has {len(self.channels)} convolutions; "
                f"choose 0 to {len(self.channels)}"
            )

    def build(self, input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When the image is too small to be pooled.
        """
        from edgesim.nn.modules import small_cnn

        channels, height, width = input_shape
        if self.pool_after and min(height, width) < 2:
            raise DataError(f"an image of {height}x{width} pixels cannot be pooled; set pool_after: 0")
        return small_cnn(channels, self.channels, self.pool_after, n_classes)

    def last_conv(self) -> str:
        """Return the name of the last ReLU: filters are read behind normalisation and ReLU, where activity is never negative."""
        return f"relu{len(self.channels)}"
