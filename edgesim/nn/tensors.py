"""Named arrays as tensors, and networks that are called with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgesim.domain.networks.task import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.networks.samples import Inputs


def tensors_of(inputs: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Return named arrays as tensors, without copying what lies in one piece."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}


def specs_of(tensors: Mapping[str, torch.Tensor]) -> Inputs:
    """Return of what shape and type one sample of named tensors is."""
    return {
        name: TensorSpec(tuple(one.shape[1:]), str(one.dtype).removeprefix("torch.")) for name, one in tensors.items()
    }


def ask(network: nn.Module, inputs: Mapping[str, torch.Tensor]) -> Any:
    """Call a network with its inputs, moved to where it lies: one whatever its name is, several by name."""
    moved = on(device_of(network), inputs)
    return network(*moved.values()) if len(moved) == 1 else network(**moved)


def device_of(network: nn.Module) -> torch.device:
    """Return where the weights of a network lie; the processor for one without any."""
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def on(device: torch.device, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return named tensors on a device; those that are there are not copied."""
    return {name: tensor.to(device) for name, tensor in tensors.items()}
