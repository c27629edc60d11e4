"""A small U-Net. Importing this needs no torch; `build` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from edgesim.domain.bounds import whole
from edgesim.domain.networks.samples import SampleKind
from edgesim.errors import DataError
from edgesim.nn.models.shapes import image

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class UNet:
    """U-Net for images: down through levels of half the side and twice the channels, up again, with a connection across at each level.

    A level is two 3x3 convolutions (padding 1, no bias), each with batch normalisation and ReLU. Going down, 2x2 maxima halve the side; going
    up, each pixel is repeated and the map from the other side of the level is put beside it. A 1x1 convolution answers at each pixel. Layers are called
    ``down.0.conv1`` ..., ``up.0.conv1`` ..., ``head``.

    Parameters
    ----------
    width : channels of the first level.
    levels : the side of an image is a multiple of 2^(levels - 1).
    second : channels of the first level of a second network of the same form beside it, which gives the last channel of the answer; 0 for none. Tasks whose answers
        have a channel of uncertainty let it learn that alone.

    Formula
    -------
    Parameters of a level from a to b channels = 9 a b + 9 b^2 + 4 b. With i input channels, c classes, width w and 3 levels in all
    9 i w + 459 w^2 + 40 w + c w + c: 119,127 for i = 6, c = 7, w = 16.

    References
    ----------
    O. Ronneberger, P. Fischer, T. Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015, doi 10.1007/978-3-319-24574-4_28. Ours: padding, so that
    the answer has the size of the image; normalisation; repeated pixels in place of transposed convolutions; fewer channels and levels.
    """

    kind_of_samples: ClassVar[SampleKind] = "images with a class of each pixel"
    width: Annotated[int, Ge(1)] = 16
    levels: Annotated[int, Ge(1)] = 3
    second: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        whole("unet", 1, width=self.width, levels=self.levels)
        whole("unet", 0, second=self.second)

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When the side of an image cannot be halved that often, or the task wants no answer at each pixel.
        """
        from edgesim.nn.models.maps.unet_network import BesideNetwork, UNetNetwork

        n_inputs, height, width = image("unet", inputs)
        step = 2 ** (self.levels - 1)
        if height % step or width % step:
            raise DataError(
                f"unet with {self.levels} levels halves an image {self.levels - 1} times, but it has {height}x{width} pixels; give images whose "
                f"sides are multiples of {step}, or fewer levels"
            )
        if len(output.shape) != 3 or output.shape[1:] != (height, width):
            raise DataError(
                f"unet answers at each of {height}x{width} pixels, but the task wants an answer of shape {output.shape}; choose another model, or "
                "bring your own with type: import"
            )
        n_channels = output.shape[0]
        if not self.second:
            return UNetNetwork(n_inputs, n_channels, self.width, self.levels)
        if n_channels < 2:
            raise DataError(
                "unet with a second network answers with at least two channels, but the task wants one; leave out `second`"
            )
        first = UNetNetwork(n_inputs, n_channels - 1, self.width, self.levels)
        return BesideNetwork(first, UNetNetwork(n_inputs, 1, self.second, self.levels))

    def filter_layer(self) -> None:
        """Return None: an answer that is a map has no vector of features for students to divide."""
