"""Boxes of a tensor that differ from what it is when nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch

from edgesim.nn.operators.boxes import hull, index, overlap, relative, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.nn.operators.boxes import Box


@dataclass(frozen=True, slots=True)
class Patch:
    """What differs of the result of a node.

    Parameters
    ----------
    box : outside of it nothing differs; None where anything may, also of what is no tensor.
    values : of the box, shape (n, *box); what the node returns where there is no box.
    """

    box: Box | None
    values: Any

    def box_in(self, shape: Sequence[int]) -> Box:
        """Return the box, of a tensor of this shape without the batch axis."""
        return whole(shape) if self.box is None else self.box


def full(intact: Any, patch: Patch | None) -> Any:
    """Return what a node returns, given what it returns when nothing is lost."""
    if patch is None or patch.box is None:
        return intact if patch is None else patch.values
    return part(intact, patch, whole(intact.shape[1:]))


def part(intact: torch.Tensor, patch: Patch | None, box: Box) -> torch.Tensor:
    """Return a box of a tensor, given the tensor when nothing is lost; to be read only."""
    if patch is None:
        return intact[index(box)]
    own = patch.box_in(intact.shape[1:])
    common = overlap(own, box)
    if common is None:
        return intact[index(box)]
    if common == box:
        read: torch.Tensor = patch.values[index(relative(box, own))]
        return read
    found = intact[index(box)].clone()
    found[index(relative(common, box))] = patch.values[index(relative(common, own))]
    return found


def joined(intact: torch.Tensor, patches: Sequence[Patch]) -> Patch | None:
    """Return several patches of a tensor as one, later ones over earlier ones; None where there are none."""
    if len(patches) < 2:
        return patches[0] if patches else None
    boxes = [patch.box_in(intact.shape[1:]) for patch in patches]
    box = reduce(hull, boxes)
    found = part(intact, patches[0], box).clone()
    for own, patch in zip(boxes[1:], patches[1:], strict=True):
        found[index(relative(own, box))] = patch.values
    return Patch(box, found)


def lost(tensor: torch.Tensor, arrived: torch.Tensor | None, fill: torch.Tensor | float) -> torch.Tensor:
    """Return a box that was lost: what stands for it, but where elements arrived."""
    if arrived is None:
        return torch.as_tensor(fill, dtype=tensor.dtype).expand_as(tensor)
    return torch.where(arrived, tensor, torch.as_tensor(fill, dtype=tensor.dtype))
