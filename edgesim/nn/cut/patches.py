"""Boxes of a tensor that differ from what it is when nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch

from edgesim.nn.operators.boxes import hull, index, overlap, relative, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgesim.nn.operators.boxes import Box

    Boxes = Callable[[Box], torch.Tensor]
    """What boxes of a tensor are."""


@dataclass(slots=True)
class Patch:
    """What differs of the result of a node: what it is, or by how much, which is enough for linear layers.

    Parameters
    ----------
    box : outside of it nothing differs; None where anything may, also of what is no tensor.
    values : of the box, shape (n, *box); what the node returns where there is no box; None as long as only the change is known.
    change : by how much the values of the box differ; None as long as nobody asked. One of both is there.
    """

    box: Box | None
    values: Any = None
    change: torch.Tensor | None = None

    @property
    def extent(self) -> Box:
        """The box of a tensor."""
        return whole(self.values.shape[1:]) if self.box is None else self.box

    def values_on(self, intact: Boxes) -> Any:
        """Return the values, given what boxes are when nothing is lost; to be read only."""
        if self.values is None and self.change is not None:
            self.values = intact(self.extent) + self.change
        return self.values

    def change_on(self, intact: Boxes) -> torch.Tensor:
        """Return the change, given what boxes are when nothing is lost; to be read only."""
        if self.change is None:
            self.change = self.values - intact(self.extent)
        return self.change


def part(intact: Boxes, patch: Patch | None, box: Box) -> torch.Tensor:
    """Return a box of a tensor, given what boxes of it are when nothing is lost; to be read only."""
    if patch is None:
        return intact(box)
    own = patch.extent
    common = overlap(own, box)
    if common is None:
        return intact(box)
    if common == box:
        read: torch.Tensor = patch.values_on(intact)[index(relative(box, own))]
        return read
    found = intact(box).clone()
    found[index(relative(common, box))] = patch.values_on(intact)[index(relative(common, own))]
    return found


def joined(intact: Boxes, patches: Sequence[Patch]) -> Patch | None:
    """Return several patches of a tensor as one, later ones over earlier ones; None where there are none."""
    if len(patches) < 2:
        return patches[0] if patches else None
    box = reduce(hull, [patch.extent for patch in patches])
    found = part(intact, patches[0], box).clone()
    for patch in patches[1:]:
        found[index(relative(patch.extent, box))] = patch.values_on(intact)
    return Patch(box, found)


def summed(patches: Sequence[Patch]) -> Patch:
    """Return the patch of a sum of tensors, of which each change is known."""
    box = reduce(hull, [patch.extent for patch in patches])
    first, *others = sorted(patches, key=lambda patch: patch.extent != box)  # the whole box needs a copy and no zeros
    change: Any = first.change
    if not others:
        return Patch(box, change=change)
    if first.extent == box:
        found = change.clone()
    else:
        form = torch.channels_last if len(box) == 3 else torch.contiguous_format
        found = torch.empty((len(change), *map(len, box)), dtype=change.dtype, memory_format=form).zero_()
        others = [first, *others]
    for patch in others:
        found[index(relative(patch.extent, box))] += patch.change
    return Patch(box, change=found)


def kept(tensor: torch.Tensor, arrived: torch.Tensor, fill: torch.Tensor | float) -> torch.Tensor:
    """Return a box of which some elements arrived; something else stands for the others."""
    return torch.where(arrived, tensor, torch.as_tensor(fill, dtype=tensor.dtype))
