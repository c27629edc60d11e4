"""Stages of a network, which are cut over devices, and segments, which one device computes whole: shapes, work and bytes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Any

from torch import fx

from edgesim.domain.networks.costs import LayerCost
from edgesim.domain.plan import LayerWork
from edgesim.nn.operators.axes import Reader
from edgesim.nn.operators.boxes import Box, volume, whole
from edgesim.nn.operators.readers import Pool

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Layer:
    """A node of a stage.

    Parameters
    ----------
    name : of its node in the graph.
    layer_id : for readers.
    module : name of the module it calls, or of its function.
    shape : of its output, without the batch axis.
    output_byte : size of its output, in byte.
    reader : what a box of its output reads.
    cost : of the uncut layer, with all weights that it reads; None when it computes nothing.
    weights : bytes of the weights by the module that holds them.
    is_matrix : whether it is a linear layer.
    is_main : whether it is a convolution or linear layer.
    is_overwriting : whether its result takes the memory of its input.
    input_shapes : of its operands, without the batch axis.
    pool : what it pools, or None.
    roles : what the axes of its output count, see `edgesim.nn.operators.roles`.
    weight_axes : axes of its output whose positions divide its weights.
    starts : of partial sums: where the shares of the inputs begin, and the end of the last.
    is_float : whether its output holds floating-point numbers.
    """

    name: str
    layer_id: str
    module: str
    shape: tuple[int, ...]
    output_byte: int
    reader: Reader
    cost: LayerCost | None
    weights: dict[str, int]
    is_matrix: bool
    is_main: bool
    is_overwriting: bool
    input_shapes: tuple[tuple[int, ...], ...]
    pool: Pool | None
    roles: str = ""
    weight_axes: tuple[int, ...] = (0,)
    starts: tuple[int, ...] = ()
    is_float: bool = True

    def byte_of(self, box: Box) -> int:
        """Return the size of a box of the output, in byte."""
        return self.output_byte * volume(box) // prod(self.shape)

    def weights_of(self, box: Box) -> dict[str, int]:
        """Return the bytes of the weights that a box needs, by module: those of its channels or features."""
        n_parts, n_all = self._weights_share(box)
        return {name: size * n_parts // n_all for name, size in self.weights.items()}

    def _weights_share(self, box: Box) -> tuple[int, int]:
        """Return how many of how many parts of the weights a box needs."""
        if self.starts:
            return self.starts[box[0].stop] - self.starts[box[0].start], self.starts[-1]
        return prod(len(box[axis]) for axis in self.weight_axes), prod(self.shape[axis] for axis in self.weight_axes)

    def work(self, box: Box, input_byte: float) -> LayerWork | None:
        """Return what a device does for a box of the output; None when the layer computes nothing."""
        if self.cost is None:
            return None
        share = volume(box) / prod(self.shape)
        n_parts, n_all = self._weights_share(box)
        weight_byte = self.cost.weight_byte * n_parts / n_all
        moved_byte = weight_byte + input_byte + share * self.cost.output_byte
        work_share = n_parts / n_all if self.starts else share
        return LayerWork(
            self.cost.layer_id,
            self.cost.operator,
            work_share * self.cost.work_flop,
            moved_byte,
            weight_byte,
            self.cost.kind,
        )


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that a stage reads: the node that makes it, its shape without the batch axis, its size in byte, the roles of its axes, and whether it holds floating-point numbers."""

    name: str
    shape: tuple[int, ...]
    size_byte: int
    roles: str = ""
    is_float: bool = True

    def byte_of(self, box: Box) -> int:
        """Return the size of a box, in byte."""
        return self.size_byte * volume(box) // prod(self.shape)


@dataclass(frozen=True, slots=True)
class Stage:
    """Layers that are cut over devices.

    Parameters
    ----------
    name : layer id of its first convolution or linear layer.
    layers : in order of execution.
    inputs : the tensors from outside that its layers read.
    outputs : names of its layers whose results are read outside.
    n_granules : of a section: equal shares that are dealt out, see `edgesim.nn.cut.sections`; else 0.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    n_granules: int = 0

    @property
    def is_matrix(self) -> bool:
        """Whether it begins with a linear layer."""
        return self.layers[0].is_matrix and not self.n_granules

    def tensor(self, name: str) -> Tensor | Layer:
        """Return an input or a layer of the stage by the name of its node."""
        tensors: tuple[Tensor | Layer, ...] = (*self.inputs, *self.layers)
        return next(tensor for tensor in tensors if tensor.name == name)

    def work(self, boxes: dict[str, Box] | None = None) -> tuple[LayerWork, ...]:
        """Return what a device does that computes these boxes, by layer name; without boxes, the whole stage."""
        work = []
        for layer in self.layers:
            box = whole(layer.shape) if boxes is None else boxes.get(layer.name)
            if box is None or not volume(box):
                continue
            input_byte = sum(self.tensor(name).byte_of(read) for name, read in layer.reader.reads(box))
            found = layer.work(box, input_byte)
            if found is not None:
                work.append(found)
        return tuple(work)


@dataclass(frozen=True, slots=True)
class Segment:
    """What one device computes whole, between two stages.

    Parameters
    ----------
    nodes : in order of execution.
    layers : the cost of those that compute something.
    weights : bytes of the weights by the module that holds them.
    activation_byte : peak of the tensors alive on that device, from when it has the results of the stage before; also those that
        only pass by.
    cuttable : those of its nodes of which a box can be computed alone.
    """

    nodes: tuple[str, ...]
    layers: tuple[LayerCost, ...]
    weights: dict[str, int]
    activation_byte: int
    cuttable: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True)
class StagedNetwork:
    """A network in the order segment 0, stage 0, segment 1, stage 1, ..., last segment.

    Parameters
    ----------
    graph : the traced network; shares its weights. No node writes over a tensor that another reads later.
    stages : what can be cut.
    segments : one more than stages.
    input_names, output_name : the nodes of the inputs and of the answer.
    input_byte, output_byte : their sizes for one sample.
    uncut : convolutions and matrix products that cannot be cut, in words.
    """

    graph: fx.GraphModule
    stages: tuple[Stage, ...]
    segments: tuple[Segment, ...]
    input_names: tuple[str, ...]
    output_name: str
    input_byte: int
    output_byte: int
    uncut: tuple[str, ...]

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Keep the names of the nodes, by which stages and schedules know them; torch gives others when it reads a graph back."""
        names = tuple(node.name for node in self.graph.graph.nodes)
        return _with_names, (names, *(getattr(self, one.name) for one in fields(self)))


def _with_names(names: Sequence[str], graph: fx.GraphModule, *others: Any) -> StagedNetwork:
    for node, name in zip(graph.graph.nodes, names, strict=True):
        node.name = name
    return StagedNetwork(graph, *others)
