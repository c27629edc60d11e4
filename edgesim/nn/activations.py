"""What the filters of a trained network do on real samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from edgesim.errors import DataError
from edgesim.nn.modules import with_filters
from edgesim.nn.training import EVALUATION_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import nn


def filter_activities(network: nn.Module, layer: str, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the activity of every filter for every sample: the mean over space of its output, negative values set to 0.

    The output is read behind the activation that follows, if one does; see `edgesim.nn.modules.with_filters`.

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
    n_batches = -(-len(inputs) // EVALUATION_BATCH)
    return answers_and_activities(network, layer, np.array_split(inputs, n_batches))[1]


def answers_and_activities(
    network: nn.Module, layer: str, batches: Iterable[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the logits, shape (n, classes), and the activities of the filters, shape (n, filters), in one pass.

    Parameters
    ----------
    network, layer : as in `filter_activities`.
    batches : samples, each of shape (n, channels, height, width).
    """
    network.eval()
    both = with_filters(network, layer)
    answers, activities = [], []
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for batch in batches:
                logits, maps = both(torch.from_numpy(np.ascontiguousarray(batch)))
                if not isinstance(maps, torch.Tensor) or maps.ndim != 4:
                    form = (
                        f"tensors of shape {tuple(maps.shape[1:])}" if isinstance(maps, torch.Tensor) else "no tensor"
                    )
                    raise DataError(f"layer {layer!r} gives {form}; filters are the channels of a convolution's output")
                answers.append(logits)
                activities.append(maps.mean(dim=(2, 3)).clamp_min(0))
            return torch.cat(answers).numpy(), torch.cat(activities).numpy()
    finally:
        torch.set_num_threads(n_threads)
