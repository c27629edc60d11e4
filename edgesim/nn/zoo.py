"""Network architectures as plug-ins. Importing this needs no torch; `build` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Len

from edgesim.errors import PlanError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class SmallCNN:
    """Small convolutional network for small images: 3x3 convolutions, one max pooling, global average pooling, one linear layer.

    Each convolution (padding 1, no bias) is followed by batch normalisation and ReLU. The layers are called ``conv1``,
    ``bn1``, ``relu1``, ..., ``pool``, ..., ``average``, ``flatten``, ``classifier`` and run one after the other.

    Parameters
    ----------
    channels : output channels of the convolutions, in order; the last are the filters that student networks divide.
    pool_after : the 2x2 max pooling stands behind this convolution, counted from 1; 0 for none.
    """

    channels: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (32, 32, 64)
    pool_after: Annotated[int, Ge(0)] = 2

    def build(self, input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
        """Return the untrained network.

        Raises
        ------
        PlanError
            When the pooling stands behind a convolution that is not there, or the image is too small to be pooled.
        """
        from edgesim.nn.modules import small_cnn

        if self.pool_after > len(self.channels):
            raise PlanError(
                f"small-cnn: pool_after is {self.pool_after} but there are {len(self.channels)} convolutions; "
                f"choose 0 to {len(self.channels)}"
            )
        if self.pool_after and min(input_shape[1:]) < 2:
            raise PlanError(f"small-cnn: an image of {input_shape[1:]} pixels cannot be pooled; set pool_after: 0")
        return small_cnn(input_shape[0], self.channels, self.pool_after, n_classes)

    def last_conv(self) -> str:
        """Return the name of the last ReLU: filters are read behind normalisation and ReLU, where activity is never negative."""
        return f"relu{len(self.channels)}"
