"""What a device computes of a stage: boxes of layers, from its own boxes and those that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from edgesim.errors import DataError
from edgesim.interfaces import KEPT
from edgesim.nn.operators.boxes import Box, holds, index, overlap, relative, volume
from edgesim.nn.operators.pieces import piece
from edgesim.nn.operators.readers import operands

if TYPE_CHECKING:
    from edgesim.nn.cut.stages import Layer
    from edgesim.nn.kernels.cut.stages import Cut

    Given = Mapping[str, Sequence[torch.Tensor]]
    Part = tuple[str, Box]


@dataclass
class BoxesKernel:
    """What a device computes of a stage in one phase: its boxes, from its own and those that came for them.

    Parameters
    ----------
    cut : the network.
    number, device, phase : of the stage, of the device, and which run of layers.
    held : names of the nodes that the owner keeps in front of the stage.
    """

    cut: Cut
    number: int
    device: int
    phase: int
    held: tuple[str, ...]

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return the boxes that others read, and all that later phases may read; zeros where it goes on without its input."""
        known = self._computed(given, there)
        results = self._sent(known)
        if self.phase == self._last():
            results[KEPT] = [known[name] for name in self._outputs(self.device)]
            for position in self._beside(self.device):
                message = self.cut.schedules[self.number].messages[position]
                results[KEPT] += [self._own(known, part) for part in message.parts]
        else:
            results[KEPT] = [known[name] for name in self._keeps(self.phase)]
        return results

    def _computed(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return what the device has behind the phase."""
        known = self._known(given, there)
        schedule = self.cut.schedules[self.number]
        for layer in self.cut.network.stages[self.number].layers:
            box = schedule.boxes[layer.name][self.device]
            if layer.name in schedule.phases[self.phase] and volume(box):
                known[layer.name] = self._box(layer, box, known)
        scatter = self.cut.ids[self.number].scatters.get(self.device)
        if (
            scatter is not None and scatter in given and len(given) > 1
        ):  # with parts of others it may go on without its input
            return {name: self._idle(name, tensor * there[scatter], there[scatter]) for name, tensor in known.items()}
        return known

    def _idle(self, name: str, tensor: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return what a device has of a layer that it did not compute without its input; of what came to it: as it is."""
        boxes = self.cut.schedules[self.number].boxes
        return self.cut.completed(tensor, name, boxes[name][self.device], there) if name in boxes else tensor

    def _sent(self, known: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return what the transfers carry that can leave by now."""
        ids, schedule = self.cut.ids[self.number], self.cut.schedules[self.number]
        results = {}
        for position, name in ids.messages.items():
            message = schedule.messages[position]
            is_made = message.src == self.device and all(part in known for part, _ in message.parts)
            if is_made and position not in self._beside(self.device):
                results[name] = [self._own(known, part) for part in message.parts]
        outputs = self.cut.network.stages[self.number].outputs
        if self.device in ids.gathers and all(self._is_made(name) for name in outputs):
            results[ids.gathers[self.device]] = [known[name] for name in self._outputs(self.device)]
        return results

    def _outputs(self, device: int) -> list[str]:
        """Return the outputs of the stage of which a device computes something."""
        schedule, stage = self.cut.schedules[self.number], self.cut.network.stages[self.number]
        return [name for name in stage.outputs if volume(schedule.boxes[name][device])]

    def _beside(self, device: int) -> list[int]:
        """Return the messages of a device that stay where it is: they are kept behind its outputs."""
        computes = set(self.cut.ids[self.number].computes.values())
        messages = self.cut.schedules[self.number].messages
        return [
            position
            for position, name in self.cut.ids[self.number].messages.items()
            if name in computes and messages[position].src == device
        ]

    def _carried(self, position: int, given: Given) -> Sequence[torch.Tensor]:
        """Return the parts of a message."""
        messages = self.cut.schedules[self.number].messages
        message, came = messages[position], given[self.cut.ids[self.number].messages[position]]
        beside = self._beside(message.src)
        if position not in beside:
            return came
        earlier = beside[: beside.index(position)]
        first = len(self._outputs(message.src)) + sum(len(messages[other].parts) for other in earlier)
        return came[first : first + len(message.parts)]

    def _last(self) -> int:
        return max(phase for device, phase in self.cut.ids[self.number].computes if device == self.device)

    def _is_made(self, name: str) -> bool:
        """Return whether a layer is computed by now, or never here."""
        schedule = self.cut.schedules[self.number]
        phase = next(number for number, names in enumerate(schedule.phases) if name in names)
        return phase <= self.phase or not volume(schedule.boxes[name][self.device])

    def _own(self, known: Mapping[str, torch.Tensor], part: Part) -> torch.Tensor:
        name, box = part
        own = self.cut.schedules[self.number].boxes[name][self.device]
        return known[name][index(relative(box, own))]

    def _keeps(self, phase: int) -> list[str]:
        """Return what the device has behind a phase, by name: inputs of the stage, messages, boxes."""
        schedule = self.cut.schedules[self.number]
        names = [f"{_NEED}{name}" for name in schedule.needs[self.device]]
        for position, message in enumerate(schedule.messages):
            if message.dst == self.device and message.phase <= phase:
                names += [_brought(position, part) for part, _ in enumerate(message.parts)]
        done = {name for run in schedule.phases[: phase + 1] for name in run}
        return [
            *names,
            *(name for name in schedule.boxes if name in done and volume(schedule.boxes[name][self.device])),
        ]

    def _known(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return what the device has at the beginning of the phase."""
        ids, schedule = self.cut.ids[self.number], self.cut.schedules[self.number]
        before = [phase for device, phase in ids.computes if device == self.device and phase < self.phase]
        if before:
            kept = self._keeps(max(before))
            known = dict(zip(kept, given[ids.computes[self.device, max(before)]], strict=True))
        else:
            known = self._inputs(given)
        for position, message in enumerate(schedule.messages):
            name = ids.messages.get(position)
            if message.dst == self.device and name is not None and name in given:
                known |= {
                    _brought(position, part): self.cut.completed(tensor, *message.parts[part], there[name])
                    for part, tensor in enumerate(self._carried(position, given))
                }
        return known

    def _inputs(self, given: Given) -> dict[str, torch.Tensor]:
        ids, needs = self.cut.ids[self.number], self.cut.schedules[self.number].needs[self.device]
        if self.device in ids.scatters:
            came = given[ids.scatters[self.device]]
            return {f"{_NEED}{name}": tensor for name, tensor in zip(needs, came, strict=True)}
        held = dict(zip(self.held, given[ids.before], strict=True))
        return {f"{_NEED}{name}": held[name][index(box)] for name, box in needs.items()}

    def _box(self, layer: Layer, box: Box, known: Mapping[str, torch.Tensor]) -> torch.Tensor:
        node = self.cut.node_of[layer.name]
        reads = layer.reader.reads(box)
        sources = operands(node)
        some = next(iter(known.values()), None)
        read = [
            self._read(layer.name, source.name, part, known, some) for source, (_, part) in zip(sources, reads, strict=True)
        ]  # fmt: skip
        return piece(self.cut.network.graph, node, layer, box, read)

    def _read(
        self, layer: str, name: str, box: Box, known: Mapping[str, torch.Tensor], some: torch.Tensor | None
    ) -> torch.Tensor:
        """Return a box that a layer reads, from where the schedule says that each part of it comes."""
        schedule = self.cut.schedules[self.number]
        if name not in schedule.boxes:
            needs = schedule.needs[self.device]
            parts = [(needs[name], known[f"{_NEED}{name}"])] if name in needs else []
        else:
            parts = [(schedule.boxes[name][self.device], known[name])] if name in known else []
            for use in schedule.uses:
                if (use.layer, use.device, use.tensor) == (layer, self.device, name):
                    parts.append((use.box, self._brought(use.message, name, use.box, known)))
        if not parts:
            if some is None:
                raise DataError(f"device {self.device} has nothing of {name!r}, which {layer!r} reads")
            return some.new_zeros((len(some), *(len(rows) for rows in box)))
        return assembled(box, parts)

    def _brought(self, position: int, name: str, box: Box, known: Mapping[str, torch.Tensor]) -> torch.Tensor:
        for number, (tensor, sent) in enumerate(self.cut.schedules[self.number].messages[position].parts):
            if tensor == name and holds(sent, box):
                return known[_brought(position, number)][index(relative(box, sent))]
        raise DataError(f"{name!r} is in no part of message {position}")


_NEED = "input of the stage: "


def _brought(position: int, part: int) -> str:
    return f"message {position}, part {part}"


def assembled(box: Box, parts: Sequence[tuple[Box, torch.Tensor]]) -> torch.Tensor:
    """Return a box, put together from others that come one after another; zeros where none of them lies."""
    for other, tensor in parts:
        if len(parts) == 1 and holds(other, box):
            return tensor[index(relative(box, other))]
    like = parts[0][1]
    result = like.new_zeros((len(like), *(len(rows) for rows in box)))
    for other, tensor in parts:
        common = overlap(box, other)
        if common is not None:
            result[index(relative(common, box))] = tensor[index(relative(common, other))]
    return result
