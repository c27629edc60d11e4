"""Running a cut network whose messages are rounded: each device computes on what it received."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgesim.nn.cut.network import NOTHING, CutNetwork, Damage
from edgesim.nn.operators.boxes import holds, index, overlap, relative, volume
from edgesim.nn.operators.pieces import piece
from edgesim.nn.operators.readers import operands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import fx

    from edgesim.domain.networks.messages import Messages
    from edgesim.domain.networks.samples import Samples
    from edgesim.nn.cut.network import Batch, Values
    from edgesim.nn.cut.schedule import Schedule, Use
    from edgesim.nn.cut.stages import Layer, StagedNetwork
    from edgesim.nn.operators.boxes import Box


class RoundedNetwork(CutNetwork):
    """A cut network whose messages are rounded, with losses as in `CutNetwork`.

    Devices read different numbers, so every layer is computed box by box: a device's own boxes as it computed them, what others sent as it was
    written, each box of a message a tensor of its own.

    Parameters
    ----------
    network, schedules, samples : as in `CutNetwork`.
    messages : how numbers are written.
    fills : as in `CutNetwork`.
    owner : position of the owner among the devices, which needs no messages; None when it computes nothing.
    """

    def __init__(
        self,
        network: StagedNetwork,
        schedules: Sequence[Schedule],
        samples: Samples,
        messages: Messages,
        *,
        owner: int | None,
        fills: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        CutNetwork.__init__(self, network, schedules, samples, fills=fills)
        self.messages = messages
        self.owner = owner

    def run_whole(self, batch: Batch) -> NDArray[np.float32]:
        """Run without losses."""
        return _Rounded(self, batch, [NOTHING] * len(self.schedules)).run()

    def run_damaged(self, batch: Batch, damages: Sequence[Sequence[Damage]]) -> list[NDArray[np.float32]]:
        """Run a batch with each of several losses."""
        return [_Rounded(self, batch, damage).run() for damage in damages]

    def received(self, tensor: torch.Tensor, box: Box) -> torch.Tensor:
        """Return what somebody has who was sent a box of a tensor."""
        return torch.from_numpy(self.messages.received(tensor[index(box)].numpy()))


class _Rounded:
    """One run of one batch."""

    def __init__(self, cut: RoundedNetwork, batch: Batch, damage: Sequence[Damage]) -> None:
        self.cut, self.batch, self.damage = cut, batch, damage
        self.owned: Values = {}  # as the owner has it
        self.made: Values = {}  # as the devices of its stage made it, each its box
        self.uses: dict[tuple[str, int], list[Use]] = {}
        for schedule in cut.schedules:
            for use in schedule.uses:
                self.uses.setdefault((use.layer, use.device), []).append(use)

    def run(self) -> NDArray[np.float32]:
        for node in self.cut.nodes:
            layer = self.cut.layers.get(node.name)
            if layer is None:
                self.owned[node] = self.cut.run_node(node, self.owned, self.batch)
                continue
            number = self.cut.stage_of[node.name]
            self.made[node] = self._computed(node, layer, number)
            if layer.name in self.cut.network.stages[number].outputs:
                self.owned[node] = self._gathered(node, layer, number)
        answer: NDArray[np.float32] = self.owned[self.cut.answer].numpy()
        return answer

    def _computed(self, node: fx.Node, layer: Layer, number: int) -> torch.Tensor:
        """Compute the box of each device that got the input of the stage; what stands for them in those of the others."""
        result: torch.Tensor | None = None
        for device, box in enumerate(self.cut.schedules[number].boxes[layer.name]):
            if not volume(box) or device in self.damage[number].idle:
                continue
            part = piece(self.cut.network.graph, node, layer, box, self._reads(node, layer, number, device, box))
            result = part.new_zeros((len(part), *layer.shape)) if result is None else result
            result[index(box)] = part
        result = torch.zeros((self.batch.size, *layer.shape)) if result is None else result
        for device in self.damage[number].idle:
            box = self.cut.schedules[number].boxes[layer.name][device]
            result[index(box)] = self.cut.fill(layer.name, box)
        return result

    def _gathered(self, node: fx.Node, layer: Layer, number: int) -> torch.Tensor:
        """Return what the owner has of a layer, and what stands for results that were lost."""
        whole: torch.Tensor = self.made[node].clone()
        for device, box in enumerate(self.cut.schedules[number].boxes[layer.name]):
            if volume(box) and device in self.damage[number].results:
                whole[index(box)] = self.cut.fill(layer.name, box)
            elif volume(box) and device != self.cut.owner and device not in self.damage[number].idle:
                whole[index(box)] = self.cut.received(whole, box)
        return whole

    def _reads(self, node: fx.Node, layer: Layer, number: int, device: int, box: Box) -> list[torch.Tensor]:
        """Return what a device reads of each operand for a box."""
        schedule = self.cut.schedules[number]
        found = []
        for source, (name, part) in zip(operands(node), layer.reader.reads(box), strict=True):
            if name in schedule.boxes:
                uses = [use for use in self.uses.get((layer.name, device), ()) if use.tensor == name]
                found.append(self._exchanged(self.made[source], part, uses, number))
            elif device == self.cut.owner or not volume(part):
                found.append(self.owned[source][index(part)])
            else:
                sent = schedule.needs[device][name]
                found.append(self.cut.received(self.owned[source], sent)[index(relative(part, sent))])
        return found

    def _exchanged(self, tensor: torch.Tensor, part: Box, uses: Sequence[Use], number: int) -> torch.Tensor:
        """Return a part of a tensor of the stage: the device's own elements, and what others sent of it, and what stands for what was lost."""
        read = tensor[index(part)].clone()
        for use in uses:
            common = overlap(use.box, part)
            if common is None:
                continue
            message = self.cut.schedules[number].messages[use.message]
            if use.message in self.damage[number].messages or message.src in self.damage[number].idle:
                read[index(relative(common, part))] = self.cut.fill(use.tensor, common)
                continue
            sent = next(other for name, other in message.parts if name == use.tensor and holds(other, use.box))
            read[index(relative(common, part))] = self.cut.received(tensor, sent)[index(relative(common, sent))]
        return read
