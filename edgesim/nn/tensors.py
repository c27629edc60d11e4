"""Named arrays as tensors, and networks that are called with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import nn


def tensors_of(inputs: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Return named arrays as tensors, without copying what lies in one piece."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}


def ask(network: nn.Module, inputs: Mapping[str, torch.Tensor]) -> Any:
    """Call a network with its inputs: one whatever its name is, several by name."""
    return network(*inputs.values()) if len(inputs) == 1 else network(**inputs)
