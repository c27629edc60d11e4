"""Running a cut network as its devices would, with parts of it lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import fx, nn

from edgesim.nn.operators.boxes import holds, index, overlap, relative, volume
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.pieces import piece
from edgesim.nn.operators.readers import operands
from edgesim.nn.tensors import tensors_of
from edgesim.nn.train.training import EVALUATION_BATCH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Arrived
    from edgesim.domain.networks.samples import Samples
    from edgesim.nn.cut.schedule import Schedule, Use
    from edgesim.nn.cut.stages import Layer, StagedNetwork
    from edgesim.nn.operators.boxes import Box

Values = dict[fx.Node, Any]
"""What nodes return for one batch."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What was lost in one stage.

    Parameters
    ----------
    idle : devices that did not get their input and computed nothing.
    messages : positions of the messages between devices that were lost.
    results : devices whose results did not come back.
    some_messages, some_results : of those that are lost: what arrived of them all the same, by position.
    """

    idle: frozenset[int] = frozenset()
    messages: frozenset[int] = frozenset()
    results: frozenset[int] = frozenset()
    some_messages: tuple[tuple[int, Arrived], ...] = ()
    some_results: tuple[tuple[int, Arrived], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.idle or self.messages or self.results)


NOTHING = Damage()


@dataclass(slots=True)
class Batch:
    """One batch of samples: its inputs by node, the number of the first, how many there are in all and here, and what the network makes of it when nothing is lost (empty when there is no memory for it)."""

    inputs: dict[str, torch.Tensor]
    first: int
    n_samples: int
    size: int
    whole: Values = field(default_factory=dict)


class Room:
    """Memory of a process for what cut networks keep of their runs without losses: of many networks, those that were asked last keep it.

    Parameters
    ----------
    most_byte : for one network; what finds no room is computed anew each time.
    all_byte : for all networks, where one alone does not need more.
    """

    def __init__(self, most_byte: int = 2**29, all_byte: int = 2**27) -> None:
        self.most_byte = most_byte
        self._all_byte = all_byte
        self._taken_byte: WeakKeyDictionary[CutNetwork, int] = WeakKeyDictionary()  # those asked last come last

    def enter(self, network: CutNetwork) -> None:
        """Note that a network is asked."""
        self._taken_byte[network] = self._taken_byte.pop(network, 0)

    def take(self, network: CutNetwork, n_byte: int) -> bool:
        """Say whether the network that is asked may keep so much more; others leave first."""
        if self._taken_byte[network] + n_byte > self.most_byte:
            return False
        self._taken_byte[network] += n_byte
        for other in list(self._taken_byte):
            if other is network or sum(self._taken_byte.values()) <= self._all_byte:
                return True
            del self._taken_byte[other]
            other.forget()
        return True


_ROOM = Room()


class CutNetwork:
    """A staged network whose stages are computed by several devices.

    When nothing is lost, every layer of a stage is computed box by box, each from nothing but the boxes that its device has.
    With losses only what they change is computed again: an idle device leaves zeros in its boxes of every layer of the stage,
    a lost message leaves zeros in what its receiver reads, a lost result zeros in what is read outside the stage; of either, what
    arrived in whole packets may stay. Layers whose
    inputs are the same on all devices are then computed at once: that is the same computation.

    Parameters
    ----------
    network : the network, its modules in evaluation mode.
    schedules : how each stage is computed.
    samples : what the network is asked about.
    shares : for a linear layer whose matrix is divided by entries: by node name, the position of the device that computes each
        entry, shape of the weight; -1 for entries that are zero.
    fills : what stands for a lost part of a layer, by the layer's name, shape of its output; zeros without them.
    room : for what is kept of the run without losses; batches that find none are computed anew each time.
    """

    def __init__(
        self,
        network: StagedNetwork,
        schedules: Sequence[Schedule],
        samples: Samples,
        shares: Mapping[str, NDArray[np.int8]] | None = None,
        *,
        fills: Mapping[str, NDArray[np.float32]] | None = None,
        room: Room = _ROOM,
    ) -> None:
        self.network = network
        self.shares = shares or {}
        self.fills = {name: torch.from_numpy(values) for name, values in (fills or {}).items()}
        self._room = room
        self.layers: dict[str, Layer] = {layer.name: layer for stage in network.stages for layer in stage.layers}
        self.stage_of: dict[str, int] = {
            layer.name: number for number, stage in enumerate(network.stages) for layer in stage.layers
        }
        self.schedules = schedules
        self.nodes = [node for node in network.graph.graph.nodes if node.op != "output"]
        self.answer = next(node for node in self.nodes if node.name == network.output_name)
        starts = range(0, len(samples), EVALUATION_BATCH)
        self._batches = [
            self._batch(samples[first : first + EVALUATION_BATCH], first, len(samples)) for first in starts
        ]
        self._whole: NDArray[np.float32] | None = None

    def _batch(self, some: Samples, first: int, n_samples: int) -> Batch:
        tensors = tensors_of(some.inputs)
        names = self.network.input_names
        if len(names) > 1:
            target_of = {node.name: str(node.target) for node in self.nodes if node.name in names}
            return Batch({name: tensors[target_of[name]] for name in names}, first, n_samples, len(some))
        return Batch(dict(zip(names, tensors.values(), strict=True)), first, n_samples, len(some))

    def answers(self, damage: Sequence[Damage]) -> NDArray[np.float32]:
        """Return the answers, shape (n, *output), when something is lost.

        Parameters
        ----------
        damage : for each stage, what was lost in it.
        """
        with _on_one_thread():
            self._room.enter(self)
            if self._whole is None:
                self._whole = np.concatenate([self.run_whole(batch) for batch in self._batches])
            if not any(damage):
                return self._whole
            return np.concatenate([self.run_damaged(batch, damage) for batch in self._batches])

    def forget(self) -> None:
        """Leave what is kept of the run without losses."""
        self._whole = None
        for batch in self._batches:
            batch.whole = {}

    def means(self) -> dict[str, NDArray[np.float32]]:
        """Return the mean over the samples of what each layer of a stage gives when nothing is lost or cut, by its name."""
        sums: dict[str, torch.Tensor] = {}
        with _on_one_thread():
            for batch in self._batches:
                values: Values = {}
                for node in self.nodes:
                    values[node] = self.run_node(node, values, batch)
                    if node.name in self.layers:
                        total = values[node].sum(0, dtype=torch.float64)
                        sums[node.name] = sums[node.name] + total if node.name in sums else total
        n_samples = self._batches[0].n_samples
        return {name: (total / n_samples).float().numpy() for name, total in sums.items()}

    def run_whole(self, batch: Batch) -> NDArray[np.float32]:
        """Run without losses, box by box, and keep what every node returns if there is memory for it."""
        values: Values = {}
        for node in self.nodes:
            layer = self.layers.get(node.name)
            if layer is None:
                values[node] = self.run_node(node, values, batch)
            elif layer.name in self.shares:
                values[node] = self.run_entries(node, values[operands(node)[0]], frozenset())
            else:
                values[node] = self._run_boxes(node, layer, [values[source] for source in operands(node)])
        answer: NDArray[np.float32] = values[self.answer].numpy()
        if self._room.take(self, sum(_byte_of(value) for value in values.values())):
            batch.whole = values
        return answer

    def run_damaged(self, batch: Batch, damage: Sequence[Damage]) -> NDArray[np.float32]:
        """Run with losses."""
        return _Damaged(self, batch, damage).run()

    def fill(self, name: str, box: Box) -> torch.Tensor | float:
        """Return what stands for a box of a layer that is lost."""
        return self.fills[name][index(box)[1:]] if name in self.fills else 0.0

    def run_node(self, node: fx.Node, values: Values, batch: Batch) -> Any:
        """Run a node that is not cut, or a cut one at once."""
        if node.op == "placeholder":
            return batch.inputs[node.name] if node.name in batch.inputs else node.args[0]
        return call(self.network.graph, node, [values[source] for source in operands(node)])

    def run_box(self, node: fx.Node, layer: Layer, box: Box, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute one box from the boxes of the inputs that it reads, cut out of whole inputs."""
        read = [tensor[index(part)] for tensor, (_, part) in zip(inputs, layer.reader.reads(box), strict=True)]
        return piece(self.network.graph, node, layer, box, read)

    def _run_boxes(self, node: fx.Node, layer: Layer, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        boxes = [box for box in self.schedules[self.stage_of[layer.name]].boxes[layer.name] if volume(box)]
        result = inputs[0].new_zeros((len(inputs[0]), *layer.shape))  # devices without a share add nothing to a sum
        for box in boxes:
            result[index(box)] = self.run_box(node, layer, box, inputs)
        return result

    def run_entries(self, node: fx.Node, inputs: torch.Tensor, lost: frozenset[int]) -> torch.Tensor:
        """Sum the products of the entries that each device holds; lost devices add nothing."""
        module = self.network.graph.get_submodule(str(node.target))
        if not isinstance(module, nn.Linear):
            raise TypeError(f"{node.target!r} is no linear layer")
        shares = self.shares[node.name]
        left = torch.from_numpy(np.isin(shares, [-1, *lost], invert=True))
        return nn.functional.linear(inputs, module.weight * left, module.bias)


class _Damaged:
    """One run of one batch with losses: only what differs from the run without losses is computed."""

    def __init__(self, cut: CutNetwork, batch: Batch, damage: Sequence[Damage]) -> None:
        self.cut = cut
        self.batch = batch
        self.damage = damage
        self.inside: Values = {}  # what differs, as the layers of its own stage read it
        self.outside: Values = {}  # what differs, as everything else reads it
        self.uses: dict[tuple[int, str], list[Use]] = {}
        for number, (lost, schedule) in enumerate(zip(damage, cut.schedules, strict=True)):
            for use in schedule.uses if lost.messages else ():
                if use.message in lost.messages:
                    self.uses.setdefault((number, use.layer), []).append(use)

    def run(self) -> NDArray[np.float32]:
        for node in self.cut.nodes:
            self._run_node(node)
        answer: NDArray[np.float32] = self._read(self.cut.answer, None).numpy()
        return answer

    def _run_node(self, node: fx.Node) -> None:
        cut = self.cut
        number = cut.stage_of.get(node.name)
        sources = operands(node)
        differs = not self.batch.whole or any(
            source in (self.inside if number is not None and self._number(source) == number else self.outside)
            for source in sources
        )
        if number is None:
            if differs:
                values = {source: self._read(source, None) for source in sources}
                self.outside[node] = cut.run_node(node, values, self.batch)
            return
        layer, lost = cut.layers[node.name], self.damage[number]
        if layer.name in cut.shares:
            if differs or lost:
                inputs = self._read(sources[0], number)
                self.outside[node] = cut.run_entries(node, inputs, lost.idle | lost.results)
            return
        uses = self.uses.get((number, layer.name), [])
        result = self._run_layer(node, layer, uses) if differs or uses else None
        boxes = cut.schedules[number].boxes[layer.name]
        if any(volume(boxes[device]) for device in lost.idle):
            result = self.batch.whole[node].clone() if result is None else result
            for device in lost.idle:
                result[index(boxes[device])] = cut.fill(layer.name, boxes[device])
        if result is not None:
            self.inside[node] = result
        self._leave(node, layer, number)

    def _leave(self, node: fx.Node, layer: Layer, number: int) -> None:
        """Let the result of a layer leave its stage, without the parts that were lost on the way."""
        if layer.name not in self.cut.network.stages[number].outputs:
            return
        schedule = self.cut.schedules[number]
        boxes = schedule.boxes[layer.name]
        lost = [device for device in self.damage[number].results if volume(boxes[device])]
        if lost:
            whole = self._read(node, number).clone()
            some = dict(self.damage[number].some_results)
            for device in lost:
                parts = [(name, schedule.boxes[name][device]) for name in self.cut.network.stages[number].outputs]
                arrived = self._arrived(number, parts, layer.name, boxes[device], some.get(device))
                _lose(whole, boxes[device], arrived, self.cut.fill(layer.name, boxes[device]))
            self.outside[node] = whole
        elif node in self.inside:
            self.outside[node] = self.inside[node]

    def _run_layer(self, node: fx.Node, layer: Layer, uses: Sequence[Use]) -> torch.Tensor:
        """Compute a layer at once, and again the boxes of devices that lack a part of its inputs."""
        number = self.cut.stage_of[layer.name]
        sources = operands(node)
        values = {source: self._read(source, number) for source in sources}
        result: torch.Tensor = self.cut.run_node(node, values, self.batch)
        result = result.clone() if any(result is value for value in values.values()) else result
        boxes = self.cut.schedules[number].boxes[layer.name]
        some = dict(self.damage[number].some_messages)
        messages = self.cut.schedules[number].messages
        for device in {use.device: None for use in uses}:
            box = boxes[device]
            lacking = [use for use in uses if use.device == device]
            read = [
                _without(
                    values[source],
                    part,
                    [
                        (
                            use.box,
                            self._arrived(
                                number, messages[use.message].parts, use.tensor, use.box, some.get(use.message)
                            ),
                            self.cut.fill(use.tensor, use.box),
                        )
                        for use in lacking
                        if use.tensor == source.name
                    ],
                )
                for source, (_, part) in zip(sources, layer.reader.reads(box), strict=True)
            ]
            result[index(box)] = piece(self.cut.network.graph, node, layer, box, read)
        return result

    def _arrived(
        self, number: int, parts: Sequence[tuple[str, Box]], name: str, box: Box, some: Arrived | None
    ) -> torch.Tensor | None:
        """Return which elements of a box arrived with a message of these parts, shape (batch, *box); None: nothing."""
        if some is None:
            return None
        first_byte = 0
        for tensor, sent in parts:
            if tensor == name and holds(sent, box):
                arrived = some.elements(self.batch.n_samples, first_byte, volume(sent))
                here = arrived[self.batch.first : self.batch.first + self.batch.size]
                shaped = torch.from_numpy(here.reshape(len(here), *(len(rows) for rows in sent)))
                return shaped[index(relative(box, sent))]
            first_byte += self.cut.network.stages[number].tensor(tensor).byte_of(sent)
        raise ValueError(f"{name} is in no part of the message")

    def _number(self, node: fx.Node) -> int | None:
        return self.cut.stage_of.get(node.name)

    def _read(self, node: fx.Node, number: int | None) -> Any:
        """Return what a node's readers get: those of its own stage from the devices, all others from the owner."""
        changed = self.inside if number is not None and self._number(node) == number else self.outside
        return changed[node] if node in changed else self.batch.whole[node]


def _without(
    tensor: torch.Tensor, part: Box, lost: Sequence[tuple[Box, torch.Tensor | None, torch.Tensor | float]]
) -> torch.Tensor:
    """Return a part of a tensor without what was lost of it; of each box lost, which elements arrived all the same, and what stands for the others."""
    piece_ = tensor[index(part)]
    shared = [(box, common, some, fill) for box, some, fill in lost if (common := overlap(box, part)) is not None]
    if not shared:
        return piece_
    piece_ = piece_.clone()
    for box, common, some, fill in shared:
        here = index(relative(common, box))
        arrived = None if some is None else some[here]
        _lose(piece_, relative(common, part), arrived, fill[here[1:]] if isinstance(fill, torch.Tensor) else fill)
    return piece_


def _lose(tensor: torch.Tensor, box: Box, arrived: torch.Tensor | None, fill: torch.Tensor | float) -> None:
    """Put what stands for a box into it, but where elements arrived."""
    if arrived is None:
        tensor[index(box)] = fill
    else:
        tensor[index(box)] = torch.where(arrived, tensor[index(box)], torch.as_tensor(fill, dtype=tensor.dtype))


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Infer on one thread: more would change the order of sums, and wait for each other's cores."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(n_threads)


def _byte_of(value: Any) -> int:
    return value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 0
