"""What operators are given: tensors that are known, and such as are computed from the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgesim.nn.models.brought.assembly import Traced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CannotConvertError(Exception):
    """A node has an option for which there is no counterpart."""


def known(value: Any, what: str) -> Any:
    """Return a tensor that is known as plain numbers."""
    if isinstance(value, Traced):
        raise CannotConvertError(f"its {what} is computed from the input")
    return value.tolist() if isinstance(value, torch.Tensor) else value


def tensor(value: Any, what: str) -> torch.Tensor:
    """Return a tensor that is known."""
    known(value, what)
    found: torch.Tensor = value
    return found


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of a tensor, with samples that are `SAMPLES`."""
    return tuple(value.shape)


def number(value: Any) -> Any:
    """Let a number stand for a tensor without axes."""
    is_number = isinstance(value, torch.Tensor) and not value.dim() and not isinstance(value, nn.Parameter)
    return value.item() if is_number else value


def size_of(shape: Sequence[int]) -> int:
    """Return how many numbers a tensor of a shape has."""
    size = 1
    for one in shape:
        size *= one
    return size


def axes_of(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> list[int] | None:
    """Return the axes that a node names, as an input or as an attribute; None where it names none."""
    if len(inputs) > 1 and inputs[1] is not None:
        return list(known(inputs[1], "axes"))
    return list(attributes["axes"]) if "axes" in attributes else None


def holding(module: nn.Module, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """Give a module its weight and its bias."""
    for name, one in (("weight", weight), ("bias", bias)):
        if one is not None:
            setattr(module, name, nn.Parameter(one.detach().clone()))
    return module
