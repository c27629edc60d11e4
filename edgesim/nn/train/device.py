"""What trains: the processor, or the GPU that torch finds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from edgesim.errors import DataError

if TYPE_CHECKING:
    from edgesim.domain.networks.training import Processor


def training_device(processor: Processor) -> torch.device:
    """Return torch's name of what trains.

    Raises
    ------
    DataError
        When a GPU is asked for and torch finds none.
    """
    if processor == "cpu":
        return torch.device("cpu")
    found = _gpu()
    if found is None:
        raise DataError(
            f"training.device is gpu, but torch {torch.__version__} finds no GPU on this machine; write `device: cpu`, or install the build of torch for "
            "the GPU"
        )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else CUDA refuses deterministic products
    return found


def _gpu() -> torch.device | None:
    return torch.accelerator.current_accelerator(check_available=True)


def device_draws(device: torch.device) -> torch.Tensor:
    """Return the state of the generator from which layers draw there, as dropout does."""
    if device.type == "cpu":
        return torch.get_rng_state()
    state: torch.Tensor = torch.get_device_module(device).get_rng_state()
    return state


def set_device_draws(device: torch.device, state: torch.Tensor) -> None:
    """Set what `device_draws` returned."""
    if device.type == "cpu":
        torch.set_rng_state(state)
    else:
        torch.get_device_module(device).set_rng_state(state.cpu())
