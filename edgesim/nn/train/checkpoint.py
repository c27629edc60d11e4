"""The state of an unfinished training, so that a killed one goes on from its last epoch."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import torch

from edgesim.nn.train.cache import write_atomically

if TYPE_CHECKING:
    from pathlib import Path


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state so that the file is there completely, or is the one before."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the state of an unfinished training; None when there is none, or the file is damaged."""
    try:
        state = torch.load(io.BytesIO(path.read_bytes()), weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, ValueError, KeyError):
        return None
    return state if isinstance(state, dict) else None
