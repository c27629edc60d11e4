"""A network as a sequence of stages that can be cut over devices, and what lies between them.

A stage is a convolution or a linear layer with the elementwise layers behind it. A slice of a stage is a range of rows of its
output: rows of the image for a convolution, features for a linear layer. Everything else is a segment, which one device
computes whole. All sizes follow from the shapes of the traced tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx, nn

from edgesim.domain.model import LayerCost
from edgesim.domain.plan import LayerWork
from edgesim.errors import DataError
from edgesim.nn.cost import is_layer, layer_cost, layer_work, weights_of
from edgesim.nn.trace import (
    byte_of,
    function_name,
    is_in_place,
    is_view,
    layer_name,
    live_byte,
    shape_of,
    submodule,
    trace,
)

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ACTIVATIONS = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid, nn.Mish,
    nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink,
    nn.Threshold, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
)  # fmt: skip
_ACTIVATION_NAMES = frozenset({
    "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu",
    "relu6", "selu", "silu", "sigmoid", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
    "dropout", "dropout1d", "dropout2d", "dropout3d",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """How output rows of a convolution depend on input rows: output o reads input o * stride - before + i * dilation.

    Parameters
    ----------
    kernel, stride, dilation : along the cut axis.
    before : rows of zeros that the layer puts before the first input row.
    """

    kernel: int
    stride: int
    before: int
    dilation: int

    def reads(self, rows: range) -> range:
        """Return the input rows that output rows read, those in the padding included: negative, or beyond the end."""
        first = rows.start * self.stride - self.before
        last = (rows.stop - 1) * self.stride - self.before + (self.kernel - 1) * self.dilation
        return range(first, last + 1)


@dataclass(frozen=True, slots=True)
class Stage:
    """A layer that can be cut, with the elementwise layers behind it.

    Parameters
    ----------
    name : of the layer.
    source : the node whose tensor it reads.
    nodes : its nodes, the cut layer first.
    axis : the cut axis of input and output, the batch axis counted.
    output_shape : of the stage, without the batch axis.
    n_input_rows : extent of the input along the cut axis.
    window : what a row reads; None when every slice reads the whole input (linear layers).
    layers : the cost of its layers, uncut, each with all weights that it reads.
    weights : bytes of the weights by the module that holds them.
    is_overwriting : whether all layers behind the first write their result over their input.
    """

    name: str
    source: str
    nodes: tuple[str, ...]
    axis: int
    output_shape: tuple[int, ...]
    n_input_rows: int
    window: Window | None
    layers: tuple[LayerCost, ...]
    weights: dict[str, int]
    is_overwriting: bool

    @property
    def n_rows(self) -> int:
        """Rows of the output along the cut axis."""
        return self.output_shape[self.axis - 1]

    def input_rows(self, rows: range) -> range:
        """Return the rows of the input that a slice reads: its own and those of the halo, without padding."""
        if self.window is None:
            return range(self.n_input_rows)
        reads = self.window.reads(rows)
        start = min(max(reads.start, 0), self.n_input_rows)
        return range(start, max(start, min(reads.stop, self.n_input_rows)))

    def input_byte(self, rows: range) -> int:
        """Return the size of the input that a slice reads, in byte."""
        return self.layers[0].input_byte * len(self.input_rows(rows)) // self.n_input_rows

    def output_byte(self, rows: range) -> int:
        """Return the size of a slice, in byte."""
        return self.layers[-1].output_byte * len(rows) // self.n_rows

    def weights_of(self, rows: range) -> dict[str, int]:
        """Return the bytes of the weights that a slice needs, by module: all of a convolution's, its rows of a matrix."""
        if self.window is not None:
            return self.weights
        return {name: size * len(rows) // self.n_rows for name, size in self.weights.items()}

    def work(self, rows: range) -> tuple[LayerWork, ...]:
        """Return what a device does for a slice."""
        share = len(rows) / self.n_rows
        cut = self.layers[0]
        weight_byte = cut.weight_byte * (share if self.window is None else 1.0)
        moved_byte = weight_byte + self.input_byte(rows) + share * cut.output_byte
        first = LayerWork(cut.layer_id, cut.operator, share * cut.work_flop, moved_byte)
        return (first, *(layer_work(layer, share) for layer in self.layers[1:]))

    def activation_byte(self, rows: range) -> int:
        """Return the peak of the activations alive on a device that computes a slice, in byte."""
        output_byte = self.output_byte(rows)
        return max(self.input_byte(rows) + output_byte, 0 if self.is_overwriting else 2 * output_byte)


@dataclass(frozen=True, slots=True)
class Segment:
    """What one device computes whole, between two stages.

    Parameters
    ----------
    nodes : in order of execution.
    layers : the cost of those that compute something.
    weights : bytes of the weights by the module that holds them.
    activation_byte : peak of the tensors alive on that device, from the end of the stage before; also those that only pass by.
    """

    nodes: tuple[str, ...]
    layers: tuple[LayerCost, ...]
    weights: dict[str, int]
    activation_byte: int


@dataclass(frozen=True, slots=True)
class StagedNetwork:
    """A network in the order segment 0, stage 0, segment 1, stage 1, ..., last segment.

    Parameters
    ----------
    graph : the traced network; shares its weights.
    stages : what can be cut.
    segments : one more than stages.
    input_name, output_name : the nodes of the sample and of the logits.
    input_byte, output_byte : their sizes for one sample.
    """

    graph: fx.GraphModule
    stages: tuple[Stage, ...]
    segments: tuple[Segment, ...]
    input_name: str
    output_name: str
    input_byte: int
    output_byte: int


def staged(network: nn.Module, input_shape: tuple[int, ...]) -> StagedNetwork:
    """Divide a network into stages and segments.

    Cut are `torch.nn` convolutions with zero padding (any kernel, stride, dilation, groups), along their longer spatial axis
    (the first on ties), and linear layers on vectors. Activations directly behind them, and normalisations with fixed
    statistics behind a convolution, belong to the stage when nothing else reads what lies between.

    Raises
    ------
    DataError
        When the network cannot be traced, or returns anything but one tensor.
    """
    graph = trace(network, input_shape)
    nodes = list(graph.graph.nodes)
    output = nodes.pop()
    answer = output.args[0]
    if not isinstance(answer, fx.Node) or len(answer.meta["tensors"]) != 1:
        raise DataError(f"{type(network).__name__} returns more than one tensor; a network must return its logits only")
    alive = live_byte(graph)
    stages: list[Stage] = []
    groups: list[list[fx.Node]] = [[]]
    before: list[fx.Node | None] = [None]
    taken: set[fx.Node] = set()
    for node in nodes:
        if node in taken:
            continue
        axis = _axis(graph, node)
        if axis is None:
            groups[-1].append(node)
            continue
        chain = _chain(graph, node)
        taken.update(chain)
        stages.append(_stage(graph, chain, axis))
        groups.append([])
        before.append(node)
    segments = [
        _segment(graph, group, max((alive[n] for n in (cut, *group) if n is not None), default=0))
        for cut, group in zip(before, groups, strict=True)
    ]
    entry = next(node for node in nodes if node.op == "placeholder")
    return StagedNetwork(
        graph, tuple(stages), tuple(segments), entry.name, answer.name, byte_of(entry), byte_of(answer)
    )


def _axis(graph: fx.GraphModule, node: fx.Node) -> int | None:
    """Return the axis along which a node can be cut, the batch axis counted, or None."""
    module = submodule(graph, node)
    if isinstance(module, nn.Linear):
        return 1 if len(shape_of(node)) == 1 else None
    if isinstance(module, CONVOLUTIONS) and module.padding_mode == "zeros":
        extents = shape_of(node)[1:]
        return 2 + extents.index(max(extents))
    return None


def _chain(graph: fx.GraphModule, node: fx.Node) -> list[fx.Node]:
    """Return a node and the elementwise nodes behind it that read nothing else and whose input nothing else reads."""
    has_channels = isinstance(submodule(graph, node), CONVOLUTIONS)
    chain = [node]
    while len(chain[-1].users) == 1:
        follower = next(iter(chain[-1].users))
        if follower.all_input_nodes != [chain[-1]] or not _is_elementwise(graph, follower, has_channels=has_channels):
            break
        chain.append(follower)
    return chain


def _is_elementwise(graph: fx.GraphModule, node: fx.Node, *, has_channels: bool) -> bool:
    module = submodule(graph, node)
    if isinstance(module, _NORMS):  # without running statistics it would look at the whole batch
        return has_channels and module.running_mean is not None
    return isinstance(module, _ACTIVATIONS) or function_name(node) in _ACTIVATION_NAMES


def _stage(graph: fx.GraphModule, chain: list[fx.Node], axis: int) -> Stage:
    node = chain[0]
    module = submodule(graph, node)
    source = node.all_input_nodes[0]
    window = None
    if isinstance(module, CONVOLUTIONS):
        at = axis - 2
        window = Window(module.kernel_size[at], module.stride[at], paddings(module)[at][0], module.dilation[at])
    return Stage(
        name=layer_name(node),
        source=source.name,
        nodes=tuple(member.name for member in chain),
        axis=axis,
        output_shape=shape_of(chain[-1]),
        n_input_rows=shape_of(source)[axis - 1],
        window=window,
        layers=_layers(graph, chain),
        weights=_weights(graph, chain),
        is_overwriting=all(is_in_place(graph, member) or is_view(graph, member) for member in chain[1:]),
    )


def _segment(graph: fx.GraphModule, nodes: list[fx.Node], activation_byte: int) -> Segment:
    names = tuple(node.name for node in nodes)
    return Segment(names, _layers(graph, nodes), _weights(graph, nodes), activation_byte)


def _layers(graph: fx.GraphModule, nodes: list[fx.Node]) -> tuple[LayerCost, ...]:
    """Return the costs of the nodes that compute; each counts all its weights, since any device may be the first to need them."""
    return tuple(layer_cost(graph, node, set()) for node in nodes if is_layer(graph, node))


def _weights(graph: fx.GraphModule, nodes: list[fx.Node]) -> dict[str, int]:
    return {
        str(node.target): sum(tensor.numel() * tensor.element_size() for tensor in weights_of(graph, node))
        for node in nodes
        if node.op in {"call_module", "get_attr"}
    }


def paddings(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> list[tuple[int, int]]:
    """Return the rows of zeros that a convolution puts before and after its input, for each spatial axis."""
    if module.padding == "valid":
        return [(0, 0) for _ in module.kernel_size]
    if module.padding == "same":  # torch puts the odd row at the end
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(int(padding), int(padding)) for padding in module.padding]
