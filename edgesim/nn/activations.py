"""What the filters of a trained network do on real samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.errors import DataError
from edgesim.nn.modules import up_to
from edgesim.nn.training import forward

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn


def filter_activities(network: nn.Module, layer: str, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the activity of every filter for every sample: the mean over space of its output, negative values set to 0.

    Parameters
    ----------
    network : the teacher.
    layer : submodule whose output channels are the filters; its output has shape (n, filters, height, width).
    inputs : samples, shape (n, channels, height, width).

    Returns
    -------
    Activities, shape (n, filters), at least 0.

    Raises
    ------
    DataError
        When the network has no such layer, or its output is not an image per channel.
    """
    maps = forward(up_to(network, layer), inputs)
    if maps.ndim != 4:
        raise DataError(
            f"layer {layer!r} gives tensors of shape {maps.shape[1:]}; filters are the channels of a convolution's output"
        )
    activities: NDArray[np.float32] = np.maximum(maps.mean(axis=(2, 3)), 0.0)
    return activities
