"""Linear layers that several things read a part of, as one layer for each: queries, keys and values of one projection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import fx, nn

from edgesim.nn.cost.plain import Reshaped, Sliced
from edgesim.nn.cost.rewrite import free_name
from edgesim.nn.cost.trace import shape_of, submodule

if TYPE_CHECKING:
    from collections.abc import Sequence


def split_linears(graph: fx.GraphModule) -> None:
    """Let a linear layer for each part stand for one whose features are only read in parts, in slices or as an axis of their own.

    Parameters
    ----------
    graph : as `edgesim.nn.cost.moves.plain` returns it; record it anew afterwards.
    """
    for node in list(graph.graph.nodes):
        module = submodule(graph, node)
        if isinstance(module, nn.Linear):
            _split_slices(graph, node, module)
            _split_axis(graph, node, module)
    graph.recompile()


def _split_slices(graph: fx.GraphModule, node: fx.Node, module: nn.Linear) -> None:
    """Split where every reader takes a run of features."""
    rank = len(shape_of(node))
    parts = [_run(graph, user, rank - 1, shape_of(node)) for user in node.users]
    if len(parts) < 2 or any(part is None for part in parts):
        return
    for user, rows in zip(list(node.users), parts, strict=True):
        if rows is not None:
            user.replace_all_uses_with(_part(graph, node, module, rows))
            graph.graph.erase_node(user)
    graph.graph.erase_node(node)


def _split_axis(graph: fx.GraphModule, node: fx.Node, module: nn.Linear) -> None:
    """Split where the features are reshaped to an axis of parts and others, and every reader takes one part."""
    if len(node.users) != 1:
        return
    (shaped,) = node.users
    reshaping = submodule(graph, shaped)
    at = len(shape_of(node)) - 1
    if (
        not isinstance(reshaping, Reshaped)
        or len(shape_of(shaped)) <= at + 1
        or shape_of(shaped)[:at] != shape_of(node)[:at]
    ):
        return
    shape = shape_of(shaped)
    parts = [_run(graph, user, at, shape) for user in shaped.users]
    if len(parts) < 2 or any(part is None or len(part) != 1 for part in parts):
        return
    size = module.out_features // shape[at]
    for user, part in zip(list(shaped.users), parts, strict=True):
        if part is None:
            continue
        linear = _part(graph, node, module, range(part.start * size, part.stop * size))
        name = free_name(graph, f"{user.name}_shape")
        graph.add_submodule(name, Reshaped((*shape[:at], size), shape_of(user)).eval())
        user.target, user.args = name, (linear,)
    graph.graph.erase_node(shaped)
    graph.graph.erase_node(node)


def _run(graph: fx.GraphModule, node: fx.Node, at: int, shape: Sequence[int]) -> range | None:
    """Return which positions of one axis a slice takes, of the others all; None when a node is no such slice."""
    module = submodule(graph, node)
    if not isinstance(module, Sliced):
        return None
    taken = [range(n)[one] for one, n in zip(module.slices, shape, strict=True)]
    is_whole = all(one == range(n) for axis, (one, n) in enumerate(zip(taken, shape, strict=True)) if axis != at)
    return taken[at] if is_whole and taken[at].step == 1 else None


def _part(graph: fx.GraphModule, node: fx.Node, module: nn.Linear, rows: range) -> fx.Node:
    """Write a linear layer of some of the outputs in front of the whole one."""
    which = slice(rows.start, rows.stop)
    part = nn.Linear(module.in_features, len(rows), module.bias is not None, device="meta")
    part.weight = nn.Parameter(module.weight.detach()[which], requires_grad=False)
    if module.bias is not None:
        part.bias = nn.Parameter(module.bias.detach()[which], requires_grad=False)
    name = free_name(graph, f"{node.target}_{rows.start}".replace(".", "_"))
    graph.add_submodule(name, part.eval())
    with graph.graph.inserting_before(node):
        return graph.graph.call_module(name, node.args)
