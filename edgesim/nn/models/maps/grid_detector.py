"""A small one-stage detector. Importing this needs no torch; `build` does."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Len

from edgesim.domain.networks.samples import SampleKind
from edgesim.errors import DataError
from edgesim.nn.models.shapes import image

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec

_N_OF_BOX = 5


@dataclass(frozen=True, slots=True)
class GridDetector:
    """One-stage detector: convolutions that shrink a square image to a grid, each cell of which says one box, in a single look.

    Each 3x3 convolution (padding 1, no bias) is followed by batch normalisation and ReLU; all have stride 2 until the side is that of the grid, the others stride
    1. A 1x1 convolution gives each cell a logit, a box and a logit for each class: the centre of the box lies in the cell, its sides are shares of the image.

    Parameters
    ----------
    channels : output channels of the convolutions, in order.

    Formula
    -------
    With s(t) = 1 / (1 + e^-t), g cells along a side and the cell (i, j): centre ((j + s(t_x)) / g, (i + s(t_y)) / g), width s(t_w), height s(t_h).

    References
    ----------
    J. Redmon, S. Divvala, R. Girshick, A. Farhadi, You Only Look Once, CVPR 2016, arXiv 1506.02640. Ours: one box a cell, no layer that sees the whole image,
    sides through a sigmoid.
    """

    kind_of_samples: ClassVar[SampleKind] = "images with boxes"
    channels: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (16, 32, 64, 64, 64, 64)

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        """Return the untrained network, whose weights are drawn from torch's global generator.

        Raises
        ------
        DataError
            When the task wants no row for each cell of a square grid, or strides of 2 do not lead from the image to the grid.
        """
        from edgesim.nn.models.maps.grid_detector_network import GridDetectorNetwork

        n_inputs, height, width = image("grid-detector", inputs)
        grid = isqrt(output.shape[0]) if len(output.shape) == 2 else 0
        if not grid or grid * grid != output.shape[0] or output.shape[1] <= _N_OF_BOX:
            raise DataError(
                f"grid-detector answers with a row of a logit, four sides and classes for each cell of a square grid, but the task wants an answer of shape "
                f"{output.shape}; choose another model, or bring your own with type: import"
            )
        side, strides = height, []
        for _ in self.channels:
            strides.append(2 if side > grid else 1)
            side = -(-side // strides[-1])
        if height != width or side != grid:
            raise DataError(
                f"grid-detector with {len(self.channels)} convolutions brings an image of {height}x{width} pixels to {side} cells along a side, but the task "
                f"wants {grid}; give square images of {grid} x 2^k pixels, and at least k convolutions"
            )
        return GridDetectorNetwork(n_inputs, self.channels, strides, grid, output.shape[1])

    def filter_layer(self) -> None:
        """Return None: an answer for each cell has no vector of features for students to divide."""
