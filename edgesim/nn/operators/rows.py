"""What boxes of linear layers, row-wise operators, moves of elements, matrix products and attention read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import fx, nn

from edgesim.nn.cost.plain import Attention, Expanded, Joined, PartialSums, Permuted, Repeated, Reshaped, Sliced
from edgesim.nn.cost.trace import function_name, shape_of, submodule
from edgesim.nn.operators.axes import Along, AnyRule, Bounds, Reader, Regrouped, Shift, Whole, Window
from edgesim.nn.operators.roles import groups

if TYPE_CHECKING:
    from collections.abc import Sequence

ROW_NORMS = (nn.LayerNorm, nn.RMSNorm)
SOFTMAXES = (nn.Softmax, nn.LogSoftmax)
SOFTMAX_NAMES = frozenset({"softmax", "log_softmax"})
REDUCTIONS = frozenset({"mean", "sum", "amax", "amin"})
PRODUCTS = frozenset({"matmul", "bmm"})


def row_reader(graph: fx.GraphModule, node: fx.Node, sources: Sequence[fx.Node]) -> Reader | None:
    """Return what boxes of a node's output read, or None when it is none of these operators."""
    module = submodule(graph, node)
    if function_name(node) in PRODUCTS:
        return _product(node, sources)
    if isinstance(module, Attention):
        return _attention(sources)
    if isinstance(module, PartialSums):
        return partial_reader(sources[0].name, shape_of(sources[0]), module.starts)
    rules = _rules(graph, node, shape_of(sources[0]), shape_of(node)) if len(sources) == 1 else None
    return None if rules is None else Reader(((sources[0].name, rules),))


def partial_reader(source: str, shape: Sequence[int], starts: Sequence[int]) -> Reader:
    """Return what partial sums of a tensor of a shape read: the share of its last axis, the same positions of the others."""
    rows = tuple(Along(axis + 1, Shift(0, n)) for axis, n in enumerate(shape[:-1]))
    return Reader(((source, (*rows, Bounds(tuple(starts)))),))


def is_product(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node is a product of two tensors, or attention."""
    return function_name(node) in PRODUCTS or isinstance(submodule(graph, node), Attention)


def normalised_axes(module: nn.Module | None, node: fx.Node, rank: int) -> tuple[int, ...]:
    """Return the axes of which a row-wise operator reads all for each element; empty when a node, which may call a module, is none."""
    if isinstance(module, ROW_NORMS):
        return tuple(range(rank - len(module.normalized_shape), rank))
    if isinstance(module, SOFTMAXES) or function_name(node) in SOFTMAX_NAMES:
        dim: Any = module.dim if isinstance(module, SOFTMAXES) else _argument(node, "dim")
        return (dim % (rank + 1) - 1,) if isinstance(dim, int) and dim % (rank + 1) else ()
    return ()


def weight_axes(graph: fx.GraphModule, node: fx.Node) -> tuple[int, ...]:
    """Return the axes of the output whose positions divide a node's weights; a box along others needs all of them."""
    module, rank = submodule(graph, node), len(shape_of(node))
    if isinstance(module, nn.Linear):
        return (rank - 1,)
    if isinstance(module, Joined):
        sizes = [constant.shape for constant in module.constants()]
        return tuple(
            axis
            for axis in range(rank)
            if sizes and all(len(size) >= rank - axis and size[axis - rank] > 1 for size in sizes)
        )
    return () if normalised_axes(module, node, len(shape_of(node))) else (0,)


def _argument(node: fx.Node, name: str) -> Any:
    return node.kwargs.get(name, node.args[1] if len(node.args) > 1 else None)


def _rules(
    graph: fx.GraphModule, node: fx.Node, inputs: Sequence[int], outputs: Sequence[int]
) -> tuple[AnyRule, ...] | None:
    """Return a rule for each axis of the input of a node that reads one tensor."""
    module = submodule(graph, node)
    same = [Shift(0, n) for n in inputs]
    if isinstance(module, nn.Linear):
        return (*same[:-1], Whole(inputs[-1]))
    whole = normalised_axes(module, node, len(shape_of(node)))
    if whole:
        return tuple(Whole(n) if axis in whole else same[axis] for axis, n in enumerate(inputs))
    if isinstance(module, Joined):
        return tuple(Shift(0, n) if n == size else Whole(n) for n, size in zip(inputs, outputs, strict=True))
    if function_name(node) in REDUCTIONS:
        return _reduction(node, inputs)
    return None if module is None else _moved(module, inputs, outputs)


def _moved(module: nn.Module, inputs: Sequence[int], outputs: Sequence[int]) -> tuple[AnyRule, ...] | None:
    """Return the rules of a module that puts elements elsewhere."""
    same = [Shift(0, n) for n in inputs]
    if isinstance(module, Permuted):
        return tuple(Along(module.order.index(axis), Shift(0, n)) for axis, n in enumerate(inputs))
    if isinstance(module, Reshaped):
        return _regrouped(module)
    if isinstance(module, Expanded):
        return tuple(Shift(0, n) if n == size else Whole(n) for n, size in zip(inputs, outputs, strict=True))
    if isinstance(module, Repeated):
        again = Regrouped((module.axis,), (1,), module.times, inputs[module.axis])
        return tuple(again if axis == module.axis else one for axis, one in enumerate(same))
    if isinstance(module, Sliced):
        return tuple(Window(1, one.step, -one.start, 1, n) for one, n in zip(module.slices, inputs, strict=True))
    return None


def _regrouped(module: Reshaped) -> tuple[AnyRule, ...]:
    rules: list[AnyRule] = [Whole(n) for n in module.before]
    for before, after in groups(module.before, module.after):
        strides = tuple(_stride(module.after, after, axis) for axis in after)
        for axis in before:
            if after:
                stride = _stride(module.before, before, axis)
                rules[axis] = Regrouped(tuple(after), strides, stride, module.before[axis])
    return tuple(rules)


def _stride(shape: Sequence[int], group: Sequence[int], axis: int) -> int:
    stride = 1
    for later in group[group.index(axis) + 1 :]:
        stride *= shape[later]
    return stride


def _reduction(node: fx.Node, inputs: Sequence[int]) -> tuple[AnyRule, ...] | None:
    dims = _argument(node, "dim")
    keeps = bool(node.kwargs.get("keepdim", node.args[2] if len(node.args) > 2 else False))
    rank = len(inputs) + 1
    dims = (dims,) if isinstance(dims, int) else dims
    if not isinstance(dims, (tuple, list)) or any(not isinstance(dim, int) or dim % rank == 0 for dim in dims):
        return None
    gone = {dim % rank - 1 for dim in dims}
    rules: list[AnyRule] = []
    at = 0
    for axis, n in enumerate(inputs):
        rules.append(Whole(n) if axis in gone else Along(at, Shift(0, n)))
        at += keeps or axis not in gone
    return tuple(rules)


def _product(node: fx.Node, sources: Sequence[fx.Node]) -> Reader | None:
    """Rows of the first matrix, columns of the second; leading axes, spread over each other, follow those of the output."""
    shape = shape_of(node)
    if len(sources) != 2 or any(len(shape_of(source)) != len(shape) for source in sources) or len(shape) < 2:
        return None
    first, second = (shape_of(source) for source in sources)
    lead = [
        [Shift(0, n) if n == size else Whole(n) for n, size in zip(one[:-2], shape[:-2], strict=True)]
        for one in (first, second)
    ]
    return Reader((
        (sources[0].name, (*lead[0], Shift(0, first[-2]), Whole(first[-1]))),
        (sources[1].name, (*lead[1], Whole(second[-2]), Shift(0, second[-1]))),
    ))  # fmt: skip


def _attention(sources: Sequence[fx.Node]) -> Reader | None:
    """Queries of the box's heads and rows, all keys and values of the heads that they share."""
    q, k, v = (shape_of(source) for source in sources)
    if len(q) != 3 or q[0] % k[0]:
        return None
    heads = Regrouped((0,), (1,), q[0] // k[0], k[0])
    return Reader((
        (sources[0].name, (Shift(0, q[0]), Shift(0, q[1]), Whole(q[2]))),
        (sources[1].name, (heads, Whole(k[1]), Whole(k[2]))),
        (sources[2].name, (heads, Whole(v[1]), Shift(0, v[2]))),
    ))  # fmt: skip
