"""Running a node of a traced network on given values."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from edgesim.nn.cost.trace import function_name, is_in_place, submodule

if TYPE_CHECKING:
    from collections.abc import Sequence

_OVERWRITING: dict[Any, Any] = {
    operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul, operator.itruediv: operator.truediv,
}  # fmt: skip


def call(graph: fx.GraphModule, node: fx.Node, values: Sequence[Any]) -> Any:
    """Run a node on values in place of its operands, in their order; no value is overwritten.

    Parameters
    ----------
    graph : the traced network.
    node : a call of a module, function or method, or the reading of a parameter.
    values : one for each of `operands(node)`.
    """
    given = list(values)
    if is_in_place(graph, node) and node.target not in _OVERWRITING and isinstance(given[0], torch.Tensor):
        given[0] = given[0].clone()
    module = submodule(graph, node)
    if isinstance(module, nn.MaxPool3d) or (module is None and function_name(node) == "max_pool3d"):
        given[0] = given[0].contiguous()  # torch has no such pooling of images whose channels lie beside each other
    remaining = iter(given)
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda _: next(remaining))
    if node.op == "get_attr":
        holder, _, name = str(node.target).rpartition(".")
        return getattr(graph.get_submodule(holder), name)
    if module is not None:
        return module(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    function: Any = _OVERWRITING.get(node.target, node.target)
    return function(*args, **kwargs)
