"""Rewriting traced networks so that every move of elements, and every constant joined to a tensor, is a module of one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from edgesim.nn.cost.attention import expand_attention, scaled_dot_product
from edgesim.nn.cost.constants import NotConstantError, constant, numbers
from edgesim.nn.cost.plain import FUNCTIONS, Expanded, Joined, Permuted, Repeated, Reshaped, Sliced, Slot
from edgesim.nn.cost.rewrite import free_name, let_readers_follow, modules_for_functions
from edgesim.nn.cost.trace import function_name, is_idle_cast, is_in_place, record, submodule, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.networks.samples import Inputs

_RESHAPING = frozenset({"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as"})
_PARTS = frozenset({"chunk", "split", "unbind", "tensor_split"})


def plain(network: nn.Module, inputs: Inputs | tuple[int, ...]) -> fx.GraphModule:
    """Return a traced network in few forms of operators, with the tensors of one sample.

    Attention modules are their projections and one attention each. Reshaping, permuting, slicing, expanding and repeating, sums
    and products with constants, and scaled dot-product attention are modules of `edgesim.nn.cost.plain`; convolutions, linear layers
    and normalisations written as functions are modules of torch. What fits no form stays as it is, as does what moves
    elements between samples. Nodes keep their names, and all that read an overwritten tensor read what overwrote it.

    Parameters
    ----------
    network, inputs : see `edgesim.nn.cost.trace.trace`; so are the errors.
    """
    graph = trace(network, inputs)
    record(graph, inputs)
    if expand_attention(graph):
        record(graph, inputs)
    nodes = list(graph.graph.nodes)
    used = {node for node in nodes if node.users}
    for node in nodes:
        _write_numbers(node)
    for node in nodes:
        if node.op in {"call_function", "call_method", "call_module"} and node.meta.get("is_sampled"):
            _rewrite(graph, node)
    for node in reversed(nodes):
        if (
            node in used
            and not node.users
            and node.op not in {"placeholder", "output"}
            and not is_in_place(graph, node)
        ):
            graph.graph.erase_node(node)
    graph.recompile()
    modules_for_functions(graph)
    record(graph, inputs)
    let_readers_follow(graph)
    return graph


def _write_numbers(node: fx.Node) -> None:
    """Write numbers that follow from the shape of a sample into the arguments that stand for them."""

    def number(operand: fx.Node) -> Any:
        return operand.meta["value"] if operand.meta.get("value") is not None and operand.meta["is_fixed"] else operand

    if node.op in {"call_function", "call_method"}:
        node.args, node.kwargs = fx.node.map_arg((node.args, node.kwargs), number)


def _rewrite(graph: fx.GraphModule, node: fx.Node) -> None:
    """Let a module stand for a node where there is one, and nothing for one that changes nothing."""
    if function_name(node) in {"contiguous", "detach"} or is_idle_cast(node):
        node.replace_all_uses_with(node.all_input_nodes[0])
        return
    try:
        found = _module(graph, node)
    except NotConstantError:
        return
    if found is None:
        return
    source, module = found
    if isinstance(source, fx.Node) and not source.meta["is_sampled"]:
        return
    name = free_name(graph, node.name)
    graph.add_submodule(name, module.eval())
    node.op, node.target, node.kwargs = "call_module", name, {}
    node.args = (source,) if isinstance(source, fx.Node) else source


Found = tuple[fx.Node | tuple[fx.Node, ...], nn.Module] | None
"""What a module reads, and the module."""


def _module(graph: fx.GraphModule, node: fx.Node) -> Found:  # noqa: PLR0911 - one for each kind of node
    name = function_name(node)
    module = submodule(graph, node)
    before, after = _shape(node.all_input_nodes[0]) if node.all_input_nodes else (), _shape(node)
    if name in _RESHAPING or isinstance(module, (nn.Flatten, nn.Unflatten)):
        return _first(node, Reshaped(before, after)) if _is_within_samples(node) else None
    if name in {"permute", "transpose", "swapaxes", "movedim", "t"}:
        return _permuted(node, name)
    if name == "expand" and len(before) == len(after) and _is_within_samples(node, is_counted=False):
        return _first(node, Expanded(after))
    if name == "repeat_interleave":
        return _repeated(node)
    if name == "getitem":
        return _picked(node)
    if name == "scaled_dot_product_attention":
        return scaled_dot_product(graph, node)
    if name in FUNCTIONS:
        return _joined(graph, node, name)
    return None


def _shape(node: fx.Node) -> tuple[int, ...]:
    tensors = node.meta.get("tensors")
    return tuple(tensors[0][0][1:]) if tensors else ()


def _first(node: fx.Node, module: nn.Module) -> Found:
    return node.all_input_nodes[0], module


def _is_within_samples(node: fx.Node, *, is_counted: bool = True) -> bool:
    """Return whether a node that moves elements moves none from one sample to another."""
    source = node.all_input_nodes[0]
    if not source.meta["tensors"] or not source.meta["is_sampled"]:
        return False
    before, after = source.meta["tensors"][0][0], node.meta["tensors"][0][0]
    return before[0] == after[0] and (not is_counted or torch.Size(before).numel() == torch.Size(after).numel())


def _permuted(node: fx.Node, name: str) -> Found:
    if not node.all_input_nodes[0].meta["is_sampled"]:
        return None
    rank = len(_shape(node.all_input_nodes[0])) + 1
    args: Any = numbers((node.args[1:], node.kwargs))
    given, named = args
    numbered = torch.empty(tuple(range(1, rank + 1)), device="meta")  # each axis as long as its number says
    order = [n - 1 for n in getattr(numbered, name)(*given, **named).shape]
    return None if order[0] else _first(node, Permuted([axis - 1 for axis in order[1:]]))


def _repeated(node: fx.Node) -> Found:
    (times, *axes), named = numbers((node.args[1:], node.kwargs))
    axis = axes[0] if axes else named.get("dim")
    rank = len(_shape(node)) + 1
    if not isinstance(times, int) or axis is None or axis % rank == 0:
        return None
    return _first(node, Repeated(axis % rank - 1, times))


def _picked(node: fx.Node) -> Found:
    """Return a slice of a tensor, or of one that was divided into parts."""
    source, which = node.args
    if not isinstance(source, fx.Node):
        return None
    if source.meta.get("tensors") and not source.meta["is_sampled"]:
        return _picked_axis(node, source, which)
    if function_name(source) in _PARTS:
        return _part(node, source, which)
    if not source.meta["tensors"]:
        return None
    picks = numbers(which)
    picks = list(picks) if isinstance(picks, tuple) else [picks]
    if Ellipsis in picks:
        at = picks.index(Ellipsis)
        n_missing = len(_shape(source)) + 1 - sum(pick is not None for pick in picks) + 1
        picks[at : at + 1] = [slice(None)] * n_missing
    is_plain = all(pick is None or isinstance(pick, (int, slice)) for pick in picks)
    if not is_plain or not picks or picks[0] != slice(None):
        return None
    return _sliced(node, source, [pick for pick in picks[1:] if pick is not None])


def _picked_axis(node: fx.Node, source: fx.Node, which: Any) -> Found:
    """Return one position of an axis that was put in front of the samples: a slice, and the other axes in their order."""
    if function_name(source) == "unbind" and len(source.args) < 2 and not source.kwargs:
        source = source.all_input_nodes[0]
    number = numbers(which)
    if function_name(source) != "permute" or not isinstance(number, int):
        return None
    origin = source.all_input_nodes[0]
    given, _ = numbers((source.args[1:], source.kwargs))
    order = [*(given[0] if given and isinstance(given[0], (tuple, list)) else given)]
    shape = _shape(origin)
    if not origin.meta["is_sampled"] or order[1:2] != [0] or any(axis < 0 for axis in order):
        return None
    front = order[0] - 1
    number %= shape[front]
    kept = [axis - 1 for axis in order[2:]]
    left = sorted(kept)
    slices = [slice(number, number + 1, 1) if axis == front else slice(0, n, 1) for axis, n in enumerate(shape)]
    sizes = [1 if axis == front else n for axis, n in enumerate(shape)]
    first = _written(node, f"{node.name}_slice", Sliced(slices), origin, sizes)
    second = _written(
        node,
        f"{node.name}_shape",
        Reshaped(sizes, [shape[axis] for axis in left]),
        first,
        [shape[axis] for axis in left],
    )
    return second, Permuted([left.index(axis) for axis in kept])


def _written(node: fx.Node, label: str, module: nn.Module, source: fx.Node, shape: Sequence[int]) -> fx.Node:
    """Write the call of a module in front of a node."""
    graph = node.graph.owning_module
    if graph is None:
        raise TypeError(f"{node.name!r} is in no module")
    name = free_name(graph, label)
    graph.add_submodule(name, module.eval())
    with node.graph.inserting_before(node):
        made = node.graph.call_module(name, (source,))
    (batch, *_), element_byte = source.meta["tensors"][0]
    made.meta = {**source.meta, "tensors": (((batch, *shape), element_byte),), "flop": 0}
    return made


def _part(node: fx.Node, source: fx.Node, which: Any) -> Found:
    tensors, number = source.meta["tensors"], numbers(which)
    origin = source.all_input_nodes[0]
    args = dict(zip(("input", "sections", "dim"), source.args, strict=False)) | dict(source.kwargs)
    axis = args.get("dim", 0)
    if function_name(source) == "unbind":
        axis = source.args[1] if len(source.args) > 1 else axis
    before = origin.meta["tensors"][0][0]
    axis = axis % len(before) if isinstance(axis, int) else 0
    if axis == 0 or not isinstance(number, int):
        return None
    sizes = [1] * before[axis] if function_name(source) == "unbind" else [shape[axis] for shape, _ in tensors]
    start = sum(sizes[: number % len(sizes)])
    pick: Any = start if function_name(source) == "unbind" else slice(start, start + sizes[number % len(sizes)])
    return _sliced(node, origin, [*([slice(None)] * (axis - 1)), pick])


def _sliced(node: fx.Node, source: fx.Node, picks: list[Any]) -> Found:
    """Return slices of a tensor; numbers and new axes among the picks are reshaped away behind them."""
    before = _shape(source)
    picks = [*picks, *([slice(None)] * (len(before) - len(picks)))]
    slices = [
        pick if isinstance(pick, slice) else slice(pick % n, pick % n + 1)
        for pick, n in zip(picks, before, strict=True)
    ]
    found = [range(n)[one] for one, n in zip(slices, before, strict=True)]
    if any(one.step < 1 or not one for one in found):
        return None
    sizes = [len(one) for one in found]
    module: nn.Module = Sliced([slice(one.start, one.stop, one.step) for one in found])
    if tuple(sizes) == _shape(node):
        return source, module
    slice_node = _written(node, f"{node.name}_slice", module, source, sizes)
    size = torch.Size(sizes).numel()
    return (slice_node, Reshaped(sizes, _shape(node))) if size == torch.Size(_shape(node)).numel() else None


def _joined(graph: fx.GraphModule, node: fx.Node, name: str) -> Found:
    """Return a function of one tensor and constants."""
    tensors = [source for source in node.all_input_nodes if source.meta.get("tensors")]
    sampled = [source for source in tensors if source.meta["is_sampled"]]
    if len(sampled) != 1 or len(tensors) < 2:
        return None
    constants: list[torch.Tensor] = []
    rank = len(node.meta["tensors"][0][0])

    def slot(operand: fx.Node) -> Any:
        if operand is sampled[0]:
            return Slot(-1)
        if operand not in tensors:
            return numbers(operand)
        value = constant(graph, operand)
        if value.dim() == rank and value.shape[0] != 1:
            raise NotConstantError
        constants.append(value)
        return Slot(len(constants) - 1)

    args = [node.args[0], *node.args[1:]]
    kwargs = dict(node.kwargs)
    filled: Any = fx.node.map_arg((tuple(args), kwargs), slot)
    source_rank = len(sampled[0].meta["tensors"][0][0])
    if source_rank != rank:
        return None
    module = Joined(name, tuple(filled[0]), dict(filled[1]), constants)
    module.inplace = is_in_place(graph, node)  # type: ignore[assignment]
    return sampled[0], module
