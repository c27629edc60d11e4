"""A cut network, and what the steps are called that compute its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from edgesim.nn.operators.boxes import index

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.nn.cut.coded import CodedLayer
    from edgesim.nn.cut.schedule import Schedule
    from edgesim.nn.cut.stages import StagedNetwork
    from edgesim.nn.operators.boxes import Box

    Given = Mapping[str, Sequence[torch.Tensor]]


@dataclass(frozen=True, slots=True)
class StageIds:
    """What the steps of a stage are called, by position of the device.

    Parameters
    ----------
    scatters, gathers : transfers from and to the owner; of what the owner computes itself, and of devices without one, none.
    messages : what brings a message from one position to another, by position of the message: a transfer, or the computation of the first where
        both are on one device.
    computes : by device and phase.
    before, join : what the owner computes in front of the stage and behind it.
    """

    scatters: Mapping[int, str]
    gathers: Mapping[int, str]
    messages: Mapping[int, str]
    computes: Mapping[tuple[int, int], str]
    before: str
    join: str


@dataclass
class Cut:
    """A network that devices compute together: how each stage is divided, and what the steps are called.

    Parameters
    ----------
    network : in stages.
    schedules : how each is computed.
    ids : what its steps are called.
    shares : for a linear layer whose matrix is divided by entries: by node name, the position of the device of each.
    codes : for a layer whose outputs devices compute coded: by node name, what each computes.
    names : of the inputs of the network, in the order of the tensors of a sample.
    goals : the transfers that carry the answer.
    fills : what stands for a lost part of a layer, by node name, shape of its output; zeros without them.
    """

    network: StagedNetwork
    schedules: Sequence[Schedule]
    ids: Sequence[StageIds]
    shares: Mapping[str, NDArray[np.int8]]
    codes: Mapping[str, CodedLayer]
    names: Sequence[str]
    goals: Sequence[str]
    fills: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    node_of: dict[str, fx.Node] = field(init=False)

    def __post_init__(self) -> None:
        self.node_of = {node.name: node for node in self.network.graph.graph.nodes}

    def divided(self, number: int) -> NDArray[np.int8] | None:
        """Return the shares of the matrix of a stage, or None."""
        return self.shares.get(self.network.stages[number].layers[0].name)

    def weight(self, number: int) -> nn.Linear:
        """Return the linear layer of a stage that is divided by entries."""
        module = self.network.graph.get_submodule(self.network.stages[number].layers[0].module)
        if not isinstance(module, nn.Linear):
            raise TypeError(f"stage {number} is no linear layer")
        return module

    def coded(self, number: int) -> CodedLayer | None:
        """Return what devices compute of a coded stage, or None."""
        return self.codes.get(self.network.stages[number].layers[0].name)

    def completed(self, tensor: torch.Tensor, name: str, box: Box, there: torch.Tensor) -> torch.Tensor:
        """Return a box of a layer, which is zero where it did not come, with what stands for it then."""
        if name not in self.fills:
            return tensor
        return tensor + (1.0 - there) * torch.from_numpy(self.fills[name])[index(box)[1:]]

    def results(self, number: int, given: Given) -> dict[int, Sequence[torch.Tensor]]:
        """Return what devices found in a stage, by position: what came of others, and what the owner kept of its own."""
        ids = self.ids[number]
        last = {device: step_id for (device, _), step_id in sorted(ids.computes.items())}
        own = {device: given[name] for device, name in last.items() if name in given}
        return {device: given[name] for device, name in ids.gathers.items()} | own
