"""What the devices of a cut network compute: boxes of layers from the boxes that came, and the owner all that lies between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from edgesim.errors import DataError
from edgesim.interfaces import KEPT, SAMPLE
from edgesim.nn.operators.boxes import Box, holds, index, overlap, relative, volume
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.pieces import piece
from edgesim.nn.operators.readers import operands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.nn.cut.schedule import Schedule
    from edgesim.nn.cut.stages import Layer, Stage, StagedNetwork

    Given = Mapping[str, Sequence[torch.Tensor]]
    Part = tuple[str, Box]


@dataclass(frozen=True, slots=True)
class StageIds:
    """What the steps of a stage are called, by position of the device.

    Parameters
    ----------
    scatters, gathers : transfers from and to the owner; of the owner's own share, and of devices without one, none.
    messages : transfers between devices, by position of the message.
    computes : by device and phase.
    before, join : what the owner computes in front of the stage and behind it.
    owner : position of the owner; None when it has no share.
    """

    scatters: Mapping[int, str]
    gathers: Mapping[int, str]
    messages: Mapping[int, str]
    computes: Mapping[tuple[int, int], str]
    before: str
    join: str
    owner: int | None = None


@dataclass
class CutKernels:
    """Makes the kernels of a cut network.

    Parameters
    ----------
    network : in stages.
    schedules : how each is computed.
    ids : what its steps are called.
    shares : for a linear layer whose matrix is divided by entries: by node name, the position of the device of each.
    names : of the inputs of the network, in the order of the tensors of a sample.
    goals : the transfers that carry the answer.
    """

    network: StagedNetwork
    schedules: Sequence[Schedule]
    ids: Sequence[StageIds]
    shares: Mapping[str, NDArray[np.int8]]
    names: Sequence[str]
    goals: Sequence[str]
    node_of: dict[str, fx.Node] = field(init=False)

    def __post_init__(self) -> None:
        self.node_of = {node.name: node for node in self.network.graph.graph.nodes}

    def kernels(self) -> dict[str, Callable[..., dict[str, list[torch.Tensor]]]]:
        """Return them by the ids of the computations."""
        made: dict[str, Callable[..., dict[str, list[torch.Tensor]]]] = {}
        kept: tuple[str, ...] = ()
        for number in range(len(self.ids) + 1):
            behind = self.ids[number - 1] if number else None
            owner = OwnerKernel(self, number, kept)
            made[behind.join if behind else self.ids[0].before] = owner
            kept = owner.keeps
            if number < len(self.ids):
                made |= self._of_devices(number, kept)
        return made

    def _of_devices(
        self, number: int, kept: tuple[str, ...]
    ) -> dict[str, Callable[..., dict[str, list[torch.Tensor]]]]:
        made: dict[str, Callable[..., dict[str, list[torch.Tensor]]]] = {}
        ids, stage = self.ids[number], self.network.stages[number]
        for (device, phase), step_id in ids.computes.items():
            if stage.layers[0].name in self.shares:
                made[step_id] = EntriesKernel(self, number, device, kept)
            else:
                made[step_id] = BoxesKernel(self, number, device, phase, kept)
        return made

    def divided(self, number: int) -> NDArray[np.int8] | None:
        """Return the shares of the matrix of a stage, or None."""
        return self.shares.get(self.network.stages[number].layers[0].name)

    def weight(self, number: int) -> nn.Linear:
        """Return the linear layer of a stage that is divided by entries."""
        module = self.network.graph.get_submodule(self.network.stages[number].layers[0].module)
        if not isinstance(module, nn.Linear):
            raise TypeError(f"stage {number} is no linear layer")
        return module


@dataclass
class OwnerKernel:
    """What the owner computes behind a stage, and what it sends for the next.

    Parameters
    ----------
    cut : the network.
    number : of the segment.
    held : names of the nodes that it kept before.
    """

    cut: CutKernels
    number: int
    held: tuple[str, ...]

    @property
    def keeps(self) -> tuple[str, ...]:
        """Names of the nodes that it keeps for later: what later segments and stages read, of all that it has then."""
        network = self.cut.network
        later = {name for segment in network.segments[self.number + 1 :] for name in segment.nodes}
        read = {source.name for name in later for source in operands(self.cut.node_of[name])}
        read |= {tensor.name for stage in network.stages[self.number :] for tensor in stage.inputs}
        read.add(network.output_name)
        made = [*self.held, *self._outputs(), *network.segments[self.number].nodes]
        return tuple(name for name in dict.fromkeys(made) if name in read and self._is_tensor(name))

    def _is_tensor(self, name: str) -> bool:
        return len(self.cut.node_of[name].meta["tensors"]) == 1

    def _outputs(self) -> tuple[str, ...]:
        return self.cut.network.stages[self.number - 1].outputs if self.number else ()

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return the boxes that the devices read, and what is kept."""
        values: dict[fx.Node, Any] = {}
        if self.number:
            ids = self.cut.ids[self.number - 1]
            values = dict(zip((self.cut.node_of[name] for name in self.held), given[ids.before], strict=True))
            values |= self._gathered(given, ids, values)
        for name in self.cut.network.segments[self.number].nodes:
            self._run(self.cut.node_of[name], values, given)
        results = self._scattered(values)
        if self.number == len(self.cut.ids):
            results |= {goal: [values[self.cut.node_of[self.cut.network.output_name]]] for goal in self.cut.goals}
        return {**results, KEPT: [values[self.cut.node_of[name]] for name in self.keeps]}

    def _run(self, node: fx.Node, values: dict[fx.Node, Any], given: Given) -> None:
        """Run a node, and before it what does not come as a tensor of its own."""
        names = self.cut.network.input_names
        if node in values:
            return
        if node.op == "placeholder" and node.name in names:
            sample = given[SAMPLE] if SAMPLE in given else next(iter(given.values()))
            values[node] = sample[self.cut.names.index(str(node.target)) if len(names) > 1 else 0]
        elif node.op == "placeholder":
            values[node] = node.args[0]
        else:
            sources = operands(node)
            for source in sources:
                self._run(source, values, given)
            values[node] = call(self.cut.network.graph, node, [values[source] for source in sources])

    def _scattered(self, values: Mapping[fx.Node, Any]) -> dict[str, list[torch.Tensor]]:
        if self.number == len(self.cut.ids):
            return {}
        ids, stage = self.cut.ids[self.number], self.cut.network.stages[self.number]
        shares = self.cut.divided(self.number)
        if shares is not None:
            source = values[operands(self.cut.node_of[stage.layers[0].name])[0]]
            return {goal: [source.index_select(-1, _read(shares, device))] for device, goal in ids.scatters.items()}
        needs = self.cut.schedules[self.number].needs
        return {
            goal: [values[self.cut.node_of[name]][index(box)] for name, box in needs[device].items()]
            for device, goal in ids.scatters.items()
        }

    def _gathered(self, given: Given, ids: StageIds, held: Mapping[fx.Node, Any]) -> dict[fx.Node, torch.Tensor]:
        """Return the outputs of the stage before, put together from what came."""
        number = self.number - 1
        stage = self.cut.network.stages[number]
        results = {device: given[name] for device, name in ids.gathers.items()}
        if ids.owner is not None:
            last = max(phase for device, phase in ids.computes if device == ids.owner)
            results[ids.owner] = given[ids.computes[ids.owner, last]]
        shares = self.cut.divided(number)
        node = self.cut.node_of[stage.layers[0].name]
        if shares is not None:
            return {node: self._summed(held[operands(node)[0]], shares, results)}
        return {
            self.cut.node_of[name]: _joined(stage, self.cut.schedules[number], name, results) for name in stage.outputs
        }

    def _summed(
        self, inputs: torch.Tensor, shares: NDArray[np.int8], results: Mapping[int, Sequence[torch.Tensor]]
    ) -> torch.Tensor:
        """Return the bias and the partial sums that came."""
        module = self.cut.weight(self.number - 1)
        total = inputs.new_zeros((*inputs.shape[:-1], module.out_features))
        if module.bias is not None:
            total = total + module.bias
        for device, (sums,) in results.items():
            total = total.index_add(-1, _written(shares, device), sums)
        return total


def _joined(stage: Stage, schedule: Schedule, name: str, results: Mapping[int, Sequence[torch.Tensor]]) -> torch.Tensor:
    """Return one output of a stage, zeros where nothing came."""
    parts = []
    for device, tensors in results.items():
        boxes = [(output, schedule.boxes[output][device]) for output in stage.outputs]
        sent = [(output, box) for output, box in boxes if volume(box)]
        parts += [
            (box, tensor) for (output, box), tensor in zip(sent, tensors, strict=True) if output == name
        ]  # fmt: skip
    shape = stage.tensor(name).shape
    return _assembled(tuple(range(n) for n in shape), parts)


def _assembled(box: Box, parts: Sequence[tuple[Box, torch.Tensor]]) -> torch.Tensor:
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


@dataclass
class BoxesKernel:
    """What a device computes of a stage in one phase: its boxes, from its own and those that came for them.

    Parameters
    ----------
    cut : the network.
    number, device, phase : of the stage, of the device, and which run of layers.
    held : names of the nodes that the owner keeps in front of the stage.
    """

    cut: CutKernels
    number: int
    device: int
    phase: int
    held: tuple[str, ...]

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return the boxes that others read, and all that later phases may read."""
        known = self._known(given)
        schedule, stage = self.cut.schedules[self.number], self.cut.network.stages[self.number]
        for layer in stage.layers:
            box = schedule.boxes[layer.name][self.device]
            if layer.name in schedule.phases[self.phase] and volume(box):
                known[layer.name] = self._box(layer, box, known)
        ids = self.cut.ids[self.number]
        results = {KEPT: [known[name] for name in self._keeps(self.phase)]}
        for position, name in ids.messages.items():
            message = schedule.messages[position]
            if message.src == self.device and all(part in known for part, _ in message.parts):
                results[name] = [self._own(known, part) for part in message.parts]
        if self.device in ids.gathers and all(self._is_made(name) for name in stage.outputs):
            results[ids.gathers[self.device]] = [
                known[name] for name in stage.outputs if volume(schedule.boxes[name][self.device])
            ]
        if self.phase == self._last():
            results[KEPT] = [known[name] for name in stage.outputs if volume(schedule.boxes[name][self.device])]
        return results

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

    def _known(self, given: Given) -> dict[str, torch.Tensor]:
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
                known |= {_brought(position, part): tensor for part, tensor in enumerate(given[name])}
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
        return _assembled(box, parts)

    def _brought(self, position: int, name: str, box: Box, known: Mapping[str, torch.Tensor]) -> torch.Tensor:
        for number, (tensor, sent) in enumerate(self.cut.schedules[self.number].messages[position].parts):
            if tensor == name and holds(sent, box):
                return known[_brought(position, number)][index(relative(box, sent))]
        raise DataError(f"{name!r} is in no part of message {position}")


_NEED = "input of the stage: "


def _brought(position: int, part: int) -> str:
    return f"message {position}, part {part}"


@dataclass
class EntriesKernel:
    """What a device computes of a matrix that is divided by entries: partial sums of its own.

    Parameters
    ----------
    cut : the network.
    number, device : of the stage and of the device.
    held : names of the nodes that the owner keeps in front of the stage.
    """

    cut: CutKernels
    number: int
    device: int
    held: tuple[str, ...]

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        """Return the partial sums."""
        ids, stage = self.cut.ids[self.number], self.cut.network.stages[self.number]
        shares = self.cut.divided(self.number)
        if shares is None:
            raise TypeError(f"stage {self.number} is not divided by entries")
        read, written = _read(shares, self.device), _written(shares, self.device)
        if self.device in ids.scatters:
            (inputs,) = given[ids.scatters[self.device]]
        else:
            held = dict(zip(self.held, given[ids.before], strict=True))
            inputs = held[operands(self.cut.node_of[stage.layers[0].name])[0].name].index_select(-1, read)
        mine = self.cut.weight(self.number).weight * torch.from_numpy(shares == self.device)
        sums = nn.functional.linear(inputs, mine.index_select(0, written).index_select(1, read))
        goals = [ids.gathers[self.device]] if self.device in ids.gathers else []
        return {goal: [sums] for goal in (*goals, KEPT)}


def _read(shares: NDArray[np.int8], device: int) -> torch.Tensor:
    return torch.from_numpy(np.flatnonzero((shares == device).any(axis=0)))


def _written(shares: NDArray[np.int8], device: int) -> torch.Tensor:
    return torch.from_numpy(np.flatnonzero((shares == device).any(axis=1)))
