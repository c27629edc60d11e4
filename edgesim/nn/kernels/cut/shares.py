"""What devices compute of a layer that is divided by the entries of its matrix, or coded, and how it is put together again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from edgesim.interfaces import KEPT
from edgesim.nn.operators.readers import operands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.nn.cut.coded import CodedLayer
    from edgesim.nn.kernels.cut.stages import Cut

    Given = Mapping[str, Sequence[torch.Tensor]]


@dataclass
class EntriesKernel:
    """What a device computes of a matrix that is divided by entries: partial sums of its own.

    Parameters
    ----------
    cut : the network.
    number, device : of the stage and of the device.
    held : names of the nodes that the owner keeps in front of the stage.
    """

    cut: Cut
    number: int
    device: int
    held: tuple[str, ...]

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return the partial sums."""
        ids, stage = self.cut.ids[self.number], self.cut.network.stages[self.number]
        shares = self.cut.divided(self.number)
        if shares is None:
            raise TypeError(f"stage {self.number} is not divided by entries")
        read, written = read_of(shares, self.device), written_of(shares, self.device)
        if self.device in ids.scatters:
            (inputs,) = given[ids.scatters[self.device]]
        else:
            held = dict(zip(self.held, given[ids.before], strict=True))
            inputs = held[operands(self.cut.node_of[stage.layers[0].name])[0].name].index_select(-1, read)
        mine = self.cut.weight(self.number).weight * torch.from_numpy(shares == self.device)
        sums = nn.functional.linear(inputs, mine.index_select(0, written).index_select(1, read))
        goals = [ids.gathers[self.device]] if self.device in ids.gathers else []
        return {goal: [sums] for goal in (*goals, KEPT)}


def read_of(shares: NDArray[np.int8], device: int) -> torch.Tensor:
    """Return which inputs the entries of a device read."""
    return torch.from_numpy(np.flatnonzero((shares == device).any(axis=0)))


def written_of(shares: NDArray[np.int8], device: int) -> torch.Tensor:
    """Return of which outputs the entries of a device are partial sums."""
    return torch.from_numpy(np.flatnonzero((shares == device).any(axis=1)))


@dataclass
class CodedKernel:
    """What a device computes of a coded layer: a part of its outputs, or the parity.

    Parameters
    ----------
    cut : the network.
    number, device : of the stage and of the device; the parity device comes behind those of the parts.
    """

    cut: Cut
    number: int
    device: int

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return its outputs."""
        coded = self.cut.coded(self.number)
        if coded is None:
            raise TypeError(f"stage {self.number} is not coded")
        ((values,),) = given.values()
        part = [*coded.parts, coded.parity][self.device]
        return {self.cut.ids[self.number].gathers[self.device]: [part(values)]}


def decoded(coded: CodedLayer, results: Sequence[torch.Tensor], there: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the outputs of a coded layer; zeros where more than one result is missing.

    Parameters
    ----------
    coded : the layer.
    results : of the parts, in order, and of the parity; zeros where none came.
    there : 1 for each that came, else 0.
    """
    *parts, parity = results
    found = []
    for number, part in enumerate(parts):
        rest = parity
        is_known = there[-1]
        for other, result in enumerate(parts):
            if other != number:
                n_missing = parity.shape[coded.axis] - result.shape[coded.axis]
                rest = rest - torch.cat([result, _zeros(result, coded.axis, n_missing)], coded.axis)
                is_known = is_known * there[other]
        repaired = is_known * rest.narrow(coded.axis, 0, part.shape[coded.axis])
        found.append(there[number] * part + (1.0 - there[number]) * repaired)
    return torch.cat(found, coded.axis)


def _zeros(like: torch.Tensor, axis: int, n: int) -> torch.Tensor:
    shape = list(like.shape)
    shape[axis] = n
    return like.new_zeros(shape)
