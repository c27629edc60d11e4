"""Which layers can be cut over devices, and what a box of their output reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import fx, nn

from edgesim.nn.cost.layers import is_layer, operator_of
from edgesim.nn.cost.plain import Joined, PartialSums
from edgesim.nn.cost.trace import function_name, layer_name, shape_of, submodule
from edgesim.nn.operators.axes import Bins, Groups, Reader, Rule, Shift, Whole, Window
from edgesim.nn.operators.rows import is_product, row_reader

if TYPE_CHECKING:
    from collections.abc import Sequence

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_POOL_NAMES = frozenset({"max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"})
_ADAPTIVE = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
_ADAPTIVE_NAMES = frozenset(f"adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2, 3))
_ACTIVATIONS = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid, nn.Mish,
    nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink,
    nn.Threshold, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
)  # fmt: skip
_ACTIVATION_NAMES = frozenset({
    "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu",
    "relu6", "selu", "silu", "sigmoid", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
    "dropout", "dropout1d", "dropout2d", "dropout3d", "neg", "abs", "exp", "square", "clamp", "pow", "sqrt", "rsqrt", "log",
    "log1p", "sin", "cos", "reciprocal", "erf", "float",
})  # fmt: skip
_JOIN_NAMES = frozenset({"add", "sub", "mul", "div", "truediv", "maximum", "minimum"})
_CONCATENATIONS = frozenset({"cat", "concat", "concatenate"})


@dataclass(frozen=True, slots=True)
class Pool:
    """A pooling, written as a module or as a function.

    Parameters
    ----------
    is_maximum : whether it takes the maximum; else the mean.
    kernel, stride, padding, dilation : one for each spatial axis.
    is_padding_counted : whether the mean counts the padding.
    divisor : of the mean, in place of the number of elements, or None.
    """

    is_maximum: bool
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    is_padding_counted: bool
    divisor: int | None


class Cuttable(Protocol):
    """What is known of a node that is computed box by box: what boxes read, shapes without the batch axis, and what it pools."""

    @property
    def reader(self) -> Reader: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def pool(self) -> Pool | None: ...


def reader_of(graph: fx.GraphModule, node: fx.Node) -> Reader | None:
    """Return what boxes of a node's output read, or None when the node cannot be cut.

    Cut are convolutions with zero padding, linear layers, poolings (adaptive ones too), batch normalisation with
    running statistics, activations, sums, differences, products and quotients of tensors and with constants, concatenations, layer and
    root mean square normalisation, softmax, means and sums over axes, moves of elements within a sample, matrix products, and attention.

    Parameters
    ----------
    graph : as `edgesim.nn.cost.moves.plain` returns it.
    node : of it.
    """
    shape = shape_of(node)
    sources = operands(node)
    if not shape or not sources or any(not shape_of(source) or not _is_beside(source, node) for source in sources):
        return None
    if is_concatenation(node):
        return _concatenation(node, sources)
    if function_name(node) in _JOIN_NAMES:
        return _join(shape, sources)
    rules = _rules(graph, node, shape_of(sources[0]), shape) if len(sources) == 1 else None
    return row_reader(graph, node, sources) if rules is None else Reader(((sources[0].name, rules),))


def _is_beside(source: fx.Node, node: fx.Node) -> bool:
    """Return whether two nodes have the samples of a batch at the same places of their first axis."""
    is_sampled: bool = source.meta["is_sampled"] and node.meta["is_sampled"]
    return is_sampled and source.meta["tensors"][0][0][0] == node.meta["tensors"][0][0][0]


def uncut_layer(graph: fx.GraphModule, node: fx.Node) -> str:
    """Return what a node is when it is a convolution or matrix product that cannot be cut, e.g. ``"'up' (ConvTranspose2d)"``."""
    if not is_layer(graph, node) or operator_of(graph, node) == "other" or reader_of(graph, node) is not None:
        return ""
    module = submodule(graph, node)
    if module is None:
        return f"{layer_name(node)!r} (function {function_name(node)})"
    mode = getattr(module, "padding_mode", "zeros")
    return f"{layer_name(node)!r} ({type(module).__name__}{'' if mode == 'zeros' else f' with padding_mode {mode!r}'})"


def operands(node: fx.Node) -> list[fx.Node]:
    """Return the nodes among the arguments of a node, in order, each as often as it stands there."""
    found: list[fx.Node] = []

    def note(operand: fx.Node) -> fx.Node:
        found.append(operand)
        return operand

    fx.node.map_arg((node.args, node.kwargs), note)
    return found


def is_elementwise(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node maps each element of one tensor by itself, or with the constants of its channel."""
    module = submodule(graph, node)
    if isinstance(module, NORMS):  # without running statistics it would look at the whole batch
        return module.running_mean is not None and not module.training
    if isinstance(module, Joined):
        return shape_of(node) == shape_of(node.all_input_nodes[0])
    return isinstance(module, _ACTIVATIONS) or function_name(node) in _ACTIVATION_NAMES


def is_concatenation(node: fx.Node) -> bool:
    """Return whether a node puts tensors one behind the other."""
    return function_name(node) in _CONCATENATIONS


def is_convolution(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node is a convolution that can be cut."""
    module = submodule(graph, node)
    return isinstance(module, CONVOLUTIONS) and module.padding_mode == "zeros"


def is_main(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node is a convolution, linear layer, matrix product or attention that can be cut."""
    is_one = (
        is_convolution(graph, node)
        or isinstance(submodule(graph, node), (nn.Linear, PartialSums))
        or is_product(graph, node)
    )
    return is_one and reader_of(graph, node) is not None


def is_linear(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node is a linear layer on vectors."""
    return isinstance(submodule(graph, node), nn.Linear) and len(shape_of(node)) == 1


def paddings(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> list[tuple[int, int]]:
    """Return the rows of zeros that a convolution puts before and after its input, for each spatial axis."""
    if module.padding == "valid":
        return [(0, 0) for _ in module.kernel_size]
    if module.padding == "same":  # torch puts the odd row at the end
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(int(padding), int(padding)) for padding in module.padding]


def pool_of(graph: fx.GraphModule, node: fx.Node) -> Pool | None:
    """Return the pooling that a node is, or None; one that also returns where its maxima are is none."""
    module = submodule(graph, node)
    name = function_name(node)
    if isinstance(module, _POOLS):
        options: dict[str, Any] = dict(vars(module))
        is_maximum = isinstance(module, (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d))
    elif name in _POOL_NAMES:
        is_maximum = name.startswith("max")
        names = ["kernel_size", "stride", "padding"]
        names += (
            ["dilation", "ceil_mode", "return_indices"]
            if is_maximum
            else ["ceil_mode", "count_include_pad", "divisor_override"]
        )
        options = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
    else:
        return None
    if options.get("return_indices"):
        return None
    n_axes = len(shape_of(node)) - 1

    def per_axis(value: Any) -> tuple[int, ...]:
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        return values * n_axes if len(values) == 1 else values

    kernel = per_axis(options["kernel_size"])
    stride = options.get("stride")
    return Pool(
        is_maximum=is_maximum,
        kernel=kernel,
        stride=kernel if stride is None or stride == [] else per_axis(stride),
        padding=per_axis(options.get("padding", 0)),
        dilation=per_axis(options.get("dilation", 1)) if is_maximum else (1,) * n_axes,
        is_padding_counted=options.get("count_include_pad", True),
        divisor=options.get("divisor_override"),
    )


def _rules(
    graph: fx.GraphModule, node: fx.Node, inputs: Sequence[int], outputs: Sequence[int]
) -> tuple[Rule, ...] | None:
    """Return a rule for each axis of a node that reads one tensor."""
    module = submodule(graph, node)
    if isinstance(module, CONVOLUTIONS) and module.padding_mode == "zeros":
        channels = Groups(module.groups, inputs[0], outputs[0]) if module.groups > 1 else Whole(inputs[0])
        axes = zip(module.kernel_size, module.stride, paddings(module), module.dilation, inputs[1:], strict=True)
        return (channels, *(Window(k, s, before, d, n) for k, s, (before, _), d, n in axes))
    if is_elementwise(graph, node) and tuple(inputs) == tuple(outputs):
        return tuple(Shift(0, n) for n in inputs)
    if _n_pooled(module, node) not in {0, len(outputs) - 1}:
        return None  # the first axis is pooled, too: there are no channels to share
    pool = pool_of(graph, node)
    if pool is not None:
        sizes = zip(pool.kernel, pool.stride, pool.padding, pool.dilation, inputs[1:], strict=True)
        return (Shift(0, inputs[0]), *(Window(*size) for size in sizes))
    if isinstance(module, _ADAPTIVE) or function_name(node) in _ADAPTIVE_NAMES:
        return (Shift(0, inputs[0]), *(Bins(*sizes) for sizes in zip(inputs[1:], outputs[1:], strict=True)))
    return None


def _n_pooled(module: nn.Module | None, node: fx.Node) -> int:
    """Return along how many axes a node pools; 0 when it pools nothing."""
    if isinstance(module, (*_POOLS, *_ADAPTIVE)):
        name = next(kind.__name__ for kind in type(module).__mro__ if kind in {*_POOLS, *_ADAPTIVE})
    else:
        name = function_name(node)
        if name not in _POOL_NAMES | _ADAPTIVE_NAMES:
            return 0
    return int(name[-2])


def _join(shape: Sequence[int], sources: Sequence[fx.Node]) -> Reader | None:
    """Return the reader of a function of tensors of the same shape, or of shapes that are spread over it."""
    read = []
    for source in sources:
        inputs = shape_of(source)
        if len(inputs) != len(shape):
            return None
        rules = tuple(Shift(0, n) if n == size else Whole(n) for n, size in zip(inputs, shape, strict=True))
        read.append((source.name, rules))
    return Reader(tuple(read))


def _concatenation(node: fx.Node, sources: Sequence[fx.Node]) -> Reader | None:
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    rank = len(shape_of(node))
    if not isinstance(axis, int) or axis % (rank + 1) == 0:
        return None
    at = axis % (rank + 1) - 1
    read = []
    first = 0
    for source in sources:
        inputs = shape_of(source)
        rules = tuple(Shift(first if position == at else 0, n) for position, n in enumerate(inputs))
        read.append((source.name, rules))
        first += inputs[at]
    return Reader(tuple(read))
