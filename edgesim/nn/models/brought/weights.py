"""Trained weights in files of others, read as numbers only: nothing in them is run."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edgesim.errors import NetworkError, visible

if TYPE_CHECKING:
    from torch import nn

_MOST_NAMES = 6
_INSIDE = ("state_dict", "model_state_dict", "model")
"""Where programs that train keep the weights beside other things."""
_SAVE = "save the weights alone, with `safetensors.torch.save_file(network.state_dict(), path)` or `torch.save(network.state_dict(), path)`"


def put_weights(network: nn.Module, path: Path) -> None:
    """Give a network the weights in a file, all of them; of a network without data only names and shapes are compared.

    Parameters
    ----------
    network : its parameters and buffers are written.
    path : safetensors if it is called so, else a state dict as `torch.save` writes it. Of a dictionary that keeps one as ``state_dict``,
        ``model_state_dict`` or ``model`` this is taken; ``module.`` before all names, of parallel training, is left out.

    Raises
    ------
    NetworkError
        When the file is missing or damaged, holds anything but numbers, or is of another architecture; the message has the first
        names of each fault.
    """
    given = read_weights(path)
    wanted = network.state_dict()
    faults = list(_faults(wanted, given))
    if faults:
        raise NetworkError(
            f"{path} holds weights of another architecture than {type(network).__name__}: {'; '.join(faults)}; give the options "
            "with which the network was made that was trained, or its weights"
        )
    for name, tensor in wanted.items():
        if name in given and not torch.isfinite(given[name]).all():
            raise NetworkError(
                f"{path}: weight {name!r} has values that are not finite; training diverged, take other weights"
            )
        if name in given and tensor.device.type != "meta":
            tensor.copy_(given[name])  # the network's own memory, so that weights that are shared stay shared


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in a file by name; see `put_weights`."""
    try:
        found = _safe(path) if path.suffix == ".safetensors" else _unpickled(path)
    except OSError as error:
        raise NetworkError(
            f"weights {path} cannot be read: {error.strerror or 'there is no such file'}; name a file that is there"
        ) from None
    for inside in _INSIDE:
        if isinstance(found, Mapping) and isinstance(found.get(inside), Mapping):
            found = found[inside]
    is_state = isinstance(found, Mapping) and all(isinstance(value, torch.Tensor) for value in found.values())
    if not (is_state and isinstance(found, Mapping) and found):
        raise NetworkError(f"weights {path} hold a {type(found).__name__} that is no state dict of tensors; {_SAVE}")
    is_parallel = all(str(name).startswith("module.") for name in found)
    return {str(name).removeprefix("module.") if is_parallel else str(name): value for name, value in found.items()}


def _safe(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise NetworkError(
            f"weights {path} are damaged or cut short: {visible(str(error))}; copy the file again, or {_SAVE}"
        ) from error


def _unpickled(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old protocols of pickle
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if path.stat().st_size == 0 or "pickle data was truncated" in str(error):
            raise _cut_short(path, error) from error
        what = next((line for line in str(error).splitlines() if "GLOBAL" in line or "nsupported" in line), "")
        raise NetworkError(
            f"weights {path} hold more than numbers, or are no weights at all; nothing in them was run"
            f"{': ' + visible(what.strip()) if what else ''}; {_SAVE}"
        ) from error
    except OSError:
        raise
    except (EOFError, RuntimeError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise _cut_short(path, error) from error


def _cut_short(path: Path, error: Exception) -> NetworkError:
    first = (str(error).strip().splitlines() or ["it ends too early"])[0]
    return NetworkError(f"weights {path} are damaged or cut short: {visible(first)}; copy the file again, or {_SAVE}")


def _faults(wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> list[str]:
    """Return what does not fit, in words."""
    # counters of batches came later than batch normalisation, and do not matter for answers
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    others = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {tuple(given[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    found = (("it lacks", missing), ("it has besides", others), ("of other shape are", shapes))
    return [f"{words} {_some(names)}" for words, names in found if names]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return visible(", ".join(names[:_MOST_NAMES])) + more
