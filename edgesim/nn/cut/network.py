"""Running a cut network as its devices would, with parts of it lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import fx, nn

from edgesim.nn.cut.patches import Patch, joined, kept, part, summed
from edgesim.nn.operators.boxes import holds, hull, index, overlap, relative, volume, whole
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.changes import Kinds, averaged, convolved, is_linear_in
from edgesim.nn.operators.pieces import piece
from edgesim.nn.operators.readers import CONVOLUTIONS, operands
from edgesim.nn.tensors import tensors_of
from edgesim.processes import keep_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Arrived
    from edgesim.domain.networks.samples import Samples
    from edgesim.nn.cut.schedule import Schedule, Use
    from edgesim.nn.cut.stages import Layer, StagedNetwork
    from edgesim.nn.operators.boxes import Box

_BATCH = 512
"""Samples of a batch; most losses change a small part of what layers make of them, which then stays in the cache of the processor."""
_BATCH_BYTE = 2**28
"""What layers make of a batch, at most, where a sample is not larger."""

_MOST_REACHED = 2**14
"""Boxes of which it is kept what reads them, at most: some 8 MB for each network."""

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
    """One batch of samples: its inputs by node, the number of the first, how many there are in all and here, and what the network makes of it when nothing is lost (empty when there is no memory for it, without `CutNetwork.spare` when there is little)."""

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
    With losses only the boxes that they change are computed again, layer by layer, and of linear layers only by how much they change: an idle device leaves zeros in its boxes of every layer of the stage,
    a lost message leaves zeros in what its receiver reads, a lost result zeros in what is read outside the stage; of either, what
    arrived in whole packets may stay. What
    several devices would compute of such a box is computed at once: that is the same computation.

    Parameters
    ----------
    network : the network, its modules in evaluation mode.
    schedules : how each stage is computed.
    samples : what the network is asked about.
    shares : for a linear layer whose matrix is divided by entries: by node name, the position of the device that computes each
        entry, shape of the weight; -1 for entries that are zero.
    fills : what stands for a lost part of a layer, by the layer's name, shape of its output; zeros without them.
    room : for what is kept of the run without losses; batches that find none are computed anew for each call of `answers`.
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
        self.between: dict[str, Layer] = {layer.name: layer for one in network.segments for layer in one.cuttable}
        self.schedules = schedules
        self.nodes = [node for node in network.graph.graph.nodes if node.op != "output"]
        self.sources = {node: operands(node) for node in self.nodes}
        self.layer_of = {
            node: found for node in self.nodes if (found := self.layers.get(node.name) or self.between.get(node.name))
        }
        self.kinds = Kinds(network.graph, self.layer_of)
        self.covered = set(filter(self._is_covered, self.nodes))
        self.spare = set(filter(self._is_spare, self.layer_of))
        self.dtype_of: dict[fx.Node, torch.dtype] = {}
        self.answer = next(node for node in self.nodes if node.name == network.output_name)
        sample_byte = sum(layer.output_byte for layer in (*self.layers.values(), *self.between.values()))
        size = max(1, min(_BATCH, _BATCH_BYTE // max(1, sample_byte)))
        starts = range(0, len(samples), size)
        self._batches = [self._batch(samples[first : first + size], first, len(samples)) for first in starts]
        self._whole: NDArray[np.float32] | None = None
        self._reached: dict[tuple[fx.Node, int, Box], Box] = {}

    def _batch(self, some: Samples, first: int, n_samples: int) -> Batch:
        tensors = {name: _channels_last(tensor) for name, tensor in tensors_of(some.inputs).items()}
        names = self.network.input_names
        if len(names) > 1:
            target_of = {node.name: str(node.target) for node in self.nodes if node.name in names}
            return Batch({name: tensors[target_of[name]] for name in names}, first, n_samples, len(some))
        return Batch(dict(zip(names, tensors.values(), strict=True)), first, n_samples, len(some))

    def _is_covered(self, node: fx.Node) -> bool:
        """Return whether a layer is read by maps and sums of its own boxes only, so that nobody sees what idle devices leave of it."""
        number = self.stage_of.get(node.name)
        if number is None or not self.schedules or node.name in self.network.stages[number].outputs:
            return False
        boxes = self.schedules[number].boxes
        in_place = self.kinds.maps | self.kinds.sums
        return all(user in in_place and boxes.get(user.name) == boxes[node.name] for user in node.users)

    def _is_spare(self, node: fx.Node) -> bool:
        """Return whether what a layer returns without losses is seldom read, or fast to compute again."""
        if isinstance(self.kinds.modules[node], CONVOLUTIONS):
            return all(user in self.kinds.scales or user in self.kinds.sums for user in node.users)
        return node in self.kinds.maps and node not in self.kinds.scales

    def answers(self, damage: Sequence[Damage]) -> NDArray[np.float32]:
        """Return the answers, shape (n, *output), when something is lost.

        Parameters
        ----------
        damage : for each stage, what was lost in it.
        """
        return self.answers_to([damage])[0]

    def answers_to(self, damages: Sequence[Sequence[Damage]]) -> list[NDArray[np.float32]]:
        """Return the answers, shape (n, *output), for each of several losses.

        Parameters
        ----------
        damages : of each: for each stage, what was lost in it.
        """
        with _on_one_thread():
            self._room.enter(self)
            if self._whole is None:
                self._whole = np.concatenate([self.run_whole(batch) for batch in self._batches])
            lossy = [damage for damage in damages if any(damage)]
            found = zip(*(self.run_damaged(batch, lossy) for batch in self._batches), strict=True) if lossy else ()
            answers = map(np.concatenate, found)
            return [next(answers) if any(damage) else self._whole for damage in damages]

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
            if layer is None or node in self.kinds.exact:
                values[node] = self.run_node(node, values, batch)
            elif layer.name in self.shares:
                values[node] = self.run_entries(node, values[self.sources[node][0]], frozenset())
            else:
                values[node] = self._run_boxes(node, layer, [values[source] for source in self.sources[node]])
        self.dtype_of = {node: value.dtype for node, value in values.items() if isinstance(value, torch.Tensor)}
        answer: NDArray[np.float32] = values[self.answer].numpy()
        if _byte_of(values) * batch.n_samples > self._room.most_byte * batch.size:
            values = {node: value for node, value in values.items() if node not in self.spare}
        if self._room.take(self, _byte_of(values)):
            batch.whole = values
        return answer

    def intact(self, node: fx.Node, batch: Batch, box: Box | None = None) -> Any:
        """Return what a node returns when nothing is lost, or a box of it; to be read only."""
        if node in batch.whole:
            value = batch.whole[node]
            return value if box is None else value[index(box)]
        layer = self.layer_of[node]
        box = whole(layer.shape) if box is None else box
        reads = zip(self.sources[node], layer.reader.reads(box), strict=True)
        return piece(
            self.network.graph, node, layer, box, [self.intact(source, batch, part) for source, (_, part) in reads]
        )

    def run_damaged(self, batch: Batch, damages: Sequence[Sequence[Damage]]) -> list[NDArray[np.float32]]:
        """Run a batch with each of several losses; what it is without losses is computed anew where it is not kept."""
        is_kept = bool(batch.whole)
        if not is_kept:
            for node in self.nodes:
                batch.whole[node] = self.run_node(node, batch.whole, batch)
        answers = [_Damaged(self, batch, damage).run() for damage in damages]
        if not is_kept:
            batch.whole = {}
        return answers

    def reached(self, node: fx.Node, layer: Layer, position: int, changed: Box) -> Box:
        """Return what `Reader.reached` does; batches and losses ask about the same boxes again and again."""
        key = (node, position, changed)
        found = self._reached.get(key)
        if found is None:
            if len(self._reached) == _MOST_REACHED:
                self._reached.clear()
            found = self._reached[key] = layer.reader.reached(position, changed, layer.shape)
        return found

    def fill(self, name: str, box: Box) -> torch.Tensor | float:
        """Return what stands for a box of a layer that is lost."""
        return self.fills[name][index(box)[1:]] if name in self.fills else 0.0

    def run_node(self, node: fx.Node, values: Values, batch: Batch) -> Any:
        """Run a node that is not cut, or a cut one at once."""
        if node.op == "placeholder":
            return batch.inputs[node.name] if node.name in batch.inputs else node.args[0]
        return call(self.network.graph, node, [values[source] for source in self.sources[node]])

    def run_box(self, node: fx.Node, layer: Layer, box: Box, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute one box from the boxes of the inputs that it reads, cut out of whole inputs."""
        read = [tensor[index(part)] for tensor, (_, part) in zip(inputs, layer.reader.reads(box), strict=True)]
        return piece(self.network.graph, node, layer, box, read)

    def _run_boxes(self, node: fx.Node, layer: Layer, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        boxes = [box for box in self.schedules[self.stage_of[layer.name]].boxes[layer.name] if volume(box)]
        shape, form = (
            (len(inputs[0]), *layer.shape),
            torch.channels_last if len(layer.shape) == 3 else torch.contiguous_format,
        )
        result = torch.empty(shape, dtype=inputs[0].dtype, memory_format=form)
        if sum(map(volume, boxes)) < prod(layer.shape):
            result.zero_()  # devices without a share add nothing to a sum
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
    """One run of one batch with losses: only what differs from the run without losses is computed, box by box."""

    def __init__(self, cut: CutNetwork, batch: Batch, damage: Sequence[Damage]) -> None:
        self.cut = cut
        self.batch = batch
        self.damage = damage
        self.inside: dict[fx.Node, Patch] = {}  # what differs, as the layers of its own stage read it
        self.outside: dict[fx.Node, Patch] = {}  # what differs, as everything else reads it
        self.uses: dict[tuple[int, str], list[Use]] = {}
        for number, (here, schedule) in enumerate(zip(damage, cut.schedules, strict=True)):
            for use in schedule.uses if here.messages else ():
                if use.message in here.messages:
                    self.uses.setdefault((number, use.layer), []).append(use)

    def run(self) -> NDArray[np.float32]:
        for node in self.cut.nodes:
            number = self.cut.stage_of.get(node.name)
            if number is None:
                self._run_segment(node)
            else:
                self._run_layer(node, self.cut.layers[node.name], number)
        answer: NDArray[np.float32] = self._full(self.cut.answer, None).numpy()
        return answer

    def _run_segment(self, node: fx.Node) -> None:
        """Run a node that is not cut: of one that could be, the box that differs."""
        sources = self.cut.sources[node]
        if not any(source in self.outside for source in sources):
            return
        layer = self.cut.between.get(node.name)
        box = None if layer is None else self._box(node, layer, None)
        if layer is None or box is None or (box == whole(layer.shape) and node not in self.cut.kinds.means):
            values = {source: self._full(source, None) for source in sources}
            self.outside[node] = Patch(None, self.cut.run_node(node, values, self.batch))
        elif volume(box):
            self.outside[node] = self._computed(node, layer, None, box)

    def _run_layer(self, node: fx.Node, layer: Layer, number: int) -> None:
        """Run a layer that is cut, with what is lost in its stage."""
        lost_, sources = self.damage[number], self.cut.sources[node]
        differs = any(self._patch(source, number) is not None for source in sources)
        if not differs and not lost_:
            return
        if layer.name in self.cut.shares:
            inputs = self._full(sources[0], number)
            self.outside[node] = Patch(None, self.cut.run_entries(node, inputs, lost_.idle | lost_.results))
            return
        boxes = self.cut.schedules[number].boxes[layer.name]
        patches: list[Patch] = []
        changed = self._box(node, layer, number) if differs else ()
        if differs and volume(changed):
            patches.append(self._computed(node, layer, number, changed))
        patches += self._lacking(node, layer, number)
        for device in lost_.idle if node not in self.cut.covered else ():
            if volume(boxes[device]):
                patches.append(Patch(boxes[device], self._lost(node, boxes[device])))
        patch = joined(partial(self._intact, node), patches)
        if patch is not None:
            self.inside[node] = patch
        self._leave(node, layer, number)

    def _leave(self, node: fx.Node, layer: Layer, number: int) -> None:
        """Let the result of a layer leave its stage, without the parts that were lost on the way."""
        outputs = self.cut.network.stages[number].outputs
        if layer.name not in outputs:
            return
        schedule = self.cut.schedules[number]
        boxes = schedule.boxes[layer.name]
        some = dict(self.damage[number].some_results)
        patches = [self.inside[node]] if node in self.inside else []
        for device in self.damage[number].results:
            if volume(boxes[device]):
                parts = [(name, schedule.boxes[name][device]) for name in outputs]
                arrived = self._arrived(number, parts, layer.name, boxes[device], some.get(device))
                if arrived is None:
                    patches.append(Patch(boxes[device], self._lost(node, boxes[device])))
                else:
                    fill, sent = self.cut.fill(layer.name, boxes[device]), self._part(node, number, boxes[device])
                    patches.append(Patch(boxes[device], kept(sent, arrived, fill)))
        patch = joined(partial(self._intact, node), patches)
        if patch is not None:
            self.outside[node] = patch

    def _lost(self, node: fx.Node, box: Box) -> torch.Tensor:
        """Return what stands for a box of a layer of which nothing is there."""
        fill = torch.as_tensor(self.cut.fill(node.name, box), dtype=self.cut.dtype_of[node])
        return fill.expand(self.batch.size, *map(len, box))

    def _box(self, node: fx.Node, layer: Layer, number: int | None) -> Box:
        """Return the box of a layer that reads what differs; empty where none does."""
        found: Box = tuple(range(0) for _ in layer.shape)
        for position, source in enumerate(self.cut.sources[node]):
            patch = self._patch(source, number)
            if patch is not None:
                changed = patch.extent
                found = hull(found, self.cut.reached(node, layer, position, changed))
        return found

    def _computed(self, node: fx.Node, layer: Layer, number: int | None, box: Box) -> Patch:
        """Compute a box of a layer; all of it at once where that is the same, and of a linear one the change alone."""
        sources = self.cut.sources[node]
        changed = self._changed(node, layer, number, box)
        if changed is not None:
            return changed
        if box == whole(layer.shape):
            values = {source: self._full(source, number) for source in sources}
            return Patch(box, self.cut.run_node(node, values, self.batch))
        reads = zip(sources, layer.reader.reads(box), strict=True)
        read = [self._part(source, number, part_) for source, (_, part_) in reads]
        return Patch(box, piece(self.cut.network.graph, node, layer, box, read))

    def _changed(self, node: fx.Node, layer: Layer, number: int | None, box: Box) -> Patch | None:
        """Return by how much a box of a linear layer changes, where that is less work than the box itself."""
        sources, module = self.cut.sources[node], self.cut.kinds.modules[node]
        pairs = [(source, patch) for source in sources if (patch := self._patch(source, number)) is not None]
        first = pairs[0][1]
        if isinstance(module, CONVOLUTIONS) and first.box is not None:
            shape = layer.input_shapes[0]
            if first.box != whole(shape) and is_linear_in(module, first.box, shape):
                change = first.change_on(partial(self._intact, sources[0]))
                return Patch(box, change=convolved(module, box, first.box, change))
        elif node in self.cut.kinds.scales and first.change is not None:
            scale = self.cut.kinds.scales[node][box[0].start : box[0].stop]
            return Patch(box, change=first.change * scale.reshape(-1, *[1] * (len(box) - 1)))
        elif node in self.cut.kinds.means and first.box is not None and first.box != whole(layer.input_shapes[0]):
            change = first.change_on(partial(self._intact, sources[0]))
            return Patch(box, change=averaged(change, layer.input_shapes[0]))
        elif node in self.cut.kinds.sums and self._is_change(pairs):
            for source, patch in pairs:
                patch.change_on(partial(self._intact, source))
            return summed([patch for _, patch in pairs])
        return None

    def _is_change(self, pairs: Sequence[tuple[fx.Node, Patch]]) -> bool:
        """Return whether some of these changes are known, and the others follow without running convolutions again."""
        follow = all(patch.change is not None or source not in self.cut.spare for source, patch in pairs)
        return follow and any(patch.change is not None for _, patch in pairs)

    def _lacking(self, node: fx.Node, layer: Layer, number: int) -> Iterator[Patch]:
        """Compute again what devices compute of a layer from messages that were lost."""
        uses = self.uses.get((number, layer.name), ())
        if not uses:
            return
        messages = self.cut.schedules[number].messages
        some = dict(self.damage[number].some_messages)
        sources = self.cut.sources[node]
        for device in {use.device: None for use in uses}:
            holes = [
                (
                    use.tensor,
                    use.box,
                    self._arrived(number, messages[use.message].parts, use.tensor, use.box, some.get(use.message)),
                )
                for use in uses
                if use.device == device
            ]
            reached = [
                layer.reader.reached(position, hole, layer.shape)
                for name, hole, _ in holes
                for position, source in enumerate(sources)
                if source.name == name
            ]
            box = overlap(reduce(hull, reached), self.cut.schedules[number].boxes[layer.name][device])
            if box is None:
                continue
            read = [
                self._without(
                    self._part(source, number, part_), part_, [hole for hole in holes if hole[0] == source.name]
                )
                for source, (_, part_) in zip(sources, layer.reader.reads(box), strict=True)
            ]
            yield Patch(box, piece(self.cut.network.graph, node, layer, box, read))

    def _without(
        self, tensor: torch.Tensor, box: Box, holes: Sequence[tuple[str, Box, torch.Tensor | None]]
    ) -> torch.Tensor:
        """Return a box of a tensor without what was lost of it: names, boxes and which elements arrived all the same."""
        shared = [(*hole, common) for hole in holes if (common := overlap(hole[1], box)) is not None]
        tensor = tensor.clone() if shared else tensor
        for name, hole, arrived, common in shared:
            here = index(relative(common, box))
            came = None if arrived is None else arrived[index(relative(common, hole))]
            fill = torch.as_tensor(self.cut.fill(name, common), dtype=tensor.dtype)
            tensor[here] = fill if came is None else kept(tensor[here], came, fill)
        return tensor

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

    def _patch(self, node: fx.Node, number: int | None) -> Patch | None:
        """Return what differs as a node's readers get it: those of its own stage from the devices, all others from the owner."""
        is_inside = number is not None and self.cut.stage_of.get(node.name) == number
        return (self.inside if is_inside else self.outside).get(node)

    def _full(self, node: fx.Node, number: int | None) -> Any:
        patch = self._patch(node, number)
        if patch is None or patch.box is None:
            return self.cut.intact(node, self.batch) if patch is None else patch.values
        return self._part(node, number, whole(self.cut.layer_of[node].shape))

    def _part(self, node: fx.Node, number: int | None, box: Box) -> torch.Tensor:
        return part(partial(self._intact, node), self._patch(node, number), box)

    def _intact(self, node: fx.Node, box: Box) -> torch.Tensor:
        found: torch.Tensor = self.cut.intact(node, self.batch, box)
        return found


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """Lay the channels of a pixel out beside each other: convolutions and poolings of a part of an image are up to 17 times as fast."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Infer on one thread: more would change the order of sums, and wait for each other's cores."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_memory()
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(n_threads)


def _byte_of(values: Values) -> int:
    return sum(value.numel() * value.element_size() for value in values.values() if isinstance(value, torch.Tensor))
