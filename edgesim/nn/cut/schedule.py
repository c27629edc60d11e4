"""Who sends what to whom while a stage is computed by several devices. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.nn.operators.boxes import Box, holds, hull, overlap, volume

if TYPE_CHECKING:
    from edgesim.nn.cut.stages import Stage


@dataclass(frozen=True, slots=True)
class Message:
    """What one device sends another before a phase.

    Parameters
    ----------
    phase : the phase that needs it, counted from 0; the first needs none.
    src, dst : positions of the devices.
    parts : name of the tensor and box, in order.
    """

    phase: int
    src: int
    dst: int
    parts: tuple[tuple[str, Box], ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A layer on a device reads a part of a tensor that a message brought.

    Parameters
    ----------
    layer : name of the reading layer.
    device : position of the device.
    message : position of the message.
    tensor, box : what it reads.
    """

    layer: str
    device: int
    message: int
    tensor: str
    box: Box


@dataclass(frozen=True, slots=True)
class Schedule:
    """How devices compute a stage together.

    Parameters
    ----------
    boxes : by layer name: the box of its output that each device computes, perhaps empty.
    phases : names of the layers that are computed between two exchanges.
    needs : by device: the box of each input of the stage that it reads; empty for a device without work.
    messages : between devices, in order of the phases.
    uses : what the messages are for.
    """

    boxes: dict[str, tuple[Box, ...]]
    phases: tuple[tuple[str, ...], ...]
    needs: tuple[dict[str, Box], ...]
    messages: tuple[Message, ...]
    uses: tuple[Use, ...]

    def boxes_of(self, device: int, names: Sequence[str]) -> dict[str, Box]:
        """Return the boxes of these layers that are not empty on a device."""
        return {name: self.boxes[name][device] for name in names if volume(self.boxes[name][device])}


def schedule(stage: Stage, boxes: dict[str, tuple[Box, ...]]) -> Schedule:
    """Find what each device needs from outside and from the others.

    A device computes its boxes only. What else a layer reads of a tensor made in the stage comes from the devices that made
    it, once: a part that came for one layer is there for the next. Layers are gathered into phases, as long as no layer needs
    what another device made in the same phase; before a phase each device sends each other one message at most.

    Parameters
    ----------
    stage : what is computed.
    boxes : by layer name: one box per device, disjoint, covering the output.
    """
    return _Scheduler(stage, boxes).run()


class _Scheduler:
    def __init__(self, stage: Stage, boxes: dict[str, tuple[Box, ...]]) -> None:
        self.stage = stage
        self.boxes = boxes
        self.n_devices = len(next(iter(boxes.values())))
        self.phases: list[list[str]] = [[]]
        self.needs: list[dict[str, Box]] = [{} for _ in range(self.n_devices)]
        self.parts: dict[tuple[int, int, int], list[tuple[str, Box]]] = {}  # by phase, source, destination
        self.uses: list[tuple[str, int, tuple[int, int, int], str, Box]] = []

    def run(self) -> Schedule:
        for layer in self.stage.layers:
            wanted = [
                (device, name, read)
                for device, box in enumerate(self.boxes[layer.name])
                if volume(box)
                for name, read in layer.reader.reads(box)
                if volume(read)
            ]
            self._exchange(layer.name, [want for want in wanted if want[1] in self.boxes])
            for device, name, read in wanted:
                if name not in self.boxes:
                    needs = self.needs[device]
                    needs[name] = hull(needs[name], read) if name in needs else read
            self.phases[-1].append(layer.name)
        order = sorted(self.parts)
        messages = tuple(Message(*key, tuple(self.parts[key])) for key in order)
        uses = tuple(Use(name, device, order.index(key), tensor, box) for name, device, key, tensor, box in self.uses)
        return Schedule(self.boxes, tuple(tuple(phase) for phase in self.phases), tuple(self.needs), messages, uses)

    def _exchange(self, layer: str, wanted: Sequence[tuple[int, str, Box]]) -> None:
        """Note what a layer needs of other devices; begin a new phase when some of it was made in this one."""
        missing = [
            (src, device, name, shared)
            for device, name, read in wanted
            for src, made in enumerate(self.boxes[name])
            if src != device and (shared := overlap(read, made)) is not None
        ]
        known = {want: self._sent(*want) for want in missing}
        is_fresh = any(key is None and name in self.phases[-1] for (_, _, name, _), key in known.items())
        if is_fresh:
            self.phases.append([])
        phase = len(self.phases) - 1
        for src, device, name, box in missing:
            key = self._sent(src, device, name, box)
            if key is None:
                key = (phase, src, device)
                self.parts.setdefault(key, []).append((name, box))
            self.uses.append((layer, device, key, name, box))

    def _sent(self, src: int, dst: int, name: str, box: Box) -> tuple[int, int, int] | None:
        """Return the message that already brought a box."""
        for key, parts in self.parts.items():
            if key[1:] == (src, dst) and any(tensor == name and holds(part, box) for tensor, part in parts):
                return key
        return None
