"""What the devices of a chain of modules compute: modules one behind another, also behind a connection past a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.interfaces import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

    from edgesim.nn.chains.skipping import Join

    Given = Mapping[str, Sequence[torch.Tensor]]


class RowKernel:
    """Modules one behind another, on the one tensor that came.

    Parameters
    ----------
    modules : in evaluation mode, in order.
    goals : the transfers that carry what the last gives.
    """

    def __init__(self, modules: Sequence[nn.Module], goals: Sequence[str]) -> None:
        self.modules = modules
        self.goals = (*goals, KEPT)

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return what the last module gives, for every goal."""
        ((values,),) = given.values()
        for module in self.modules:
            values = module(values)
        return {goal: [values] for goal in self.goals}


class SkippingKernel:
    """A segment behind the one before it, or behind the connection past that; see `edgesim.nn.chains.skipping.SkippingChain`.

    Parameters
    ----------
    segment, skip : the layers of the device, and what makes the tensor that came past a device one that they read; it has no bias.
    join : what the segment reads.
    inputs : of the step: what brings the tensor of the device before, and of the one before that.
    goals : the transfers that carry what the segment gives.
    """

    def __init__(
        self, segment: nn.Module, skip: nn.Module, join: Join, inputs: tuple[str, str], goals: Sequence[str]
    ) -> None:
        self.segment = segment
        self.skip = skip
        self.join = join
        self.inputs = inputs
        self.goals = (*goals, KEPT)

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return what the segment gives; it reads zeros where nothing came."""
        following, past = self.inputs
        skipped = self.skip(given[past][0])
        share = 1.0 if self.join == "add" else 1.0 - there[following]
        values = self.segment(given[following][0] + share * skipped)
        return {goal: [values] for goal in self.goals}
