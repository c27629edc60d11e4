"""What a traced network computes from no input: numbers that follow from shapes, masks, tables of positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from edgesim.nn.cost.trace import is_view

if TYPE_CHECKING:
    from collections.abc import Iterator


class NotConstantError(Exception):
    """A node depends on the input, on how many samples there are, or computes with trained weights."""


def numbers(argument: Any) -> Any:
    """Return an argument with the numbers that nodes stand for in their place.

    Raises
    ------
    NotConstantError
        When a node among them is no number, or depends on how many samples there are.
    """

    def number(node: fx.Node) -> Any:
        value = node.meta.get("value")
        if value is None or not node.meta["is_fixed"]:
            raise NotConstantError
        return value

    return fx.node.map_arg(argument, number)


def constant(graph: fx.GraphModule, node: fx.Node) -> torch.Tensor:
    """Return the tensor that a node computes from no input, one for all samples.

    Parameters and what is picked out of them count; what is computed from them does not, since it costs work for each inference.

    Raises
    ------
    NotConstantError
        When there is no such tensor.
    """
    value = _Evaluator(graph).value(node)
    if not isinstance(value, torch.Tensor) or not node.meta["is_fixed"]:
        raise NotConstantError
    return value


class _Evaluator:
    def __init__(self, graph: fx.GraphModule) -> None:
        self.graph = graph
        self.known: dict[fx.Node, Any] = {}

    def value(self, node: fx.Node) -> Any:
        if node not in self.known:
            self.known[node] = self._value(node)
        return self.known[node]

    def _value(self, node: fx.Node) -> Any:
        if node.meta.get("value") is not None and node.meta["is_fixed"]:
            return node.meta["value"]
        if node.op == "get_attr":
            return _attribute(self.graph, str(node.target))
        if node.op == "call_function" and node.target is getattr and node.args[1] == "device":
            return torch.device("cpu")
        if node.op not in {"call_function", "call_method"}:
            raise NotConstantError
        args: Any = fx.node.map_arg(node.args, self.value)
        kwargs: Any = fx.node.map_arg(node.kwargs, self.value)
        is_trained = any(isinstance(one, nn.Parameter) or _is_part_of_weights(one) for one in _tensors((args, kwargs)))
        if is_trained and not is_view(self.graph, node):
            raise NotConstantError
        with torch.no_grad():
            if node.op == "call_method":
                result = getattr(args[0], str(node.target))(*args[1:], **kwargs)
            else:
                function: Any = node.target
                result = function(*args, **kwargs)
        if is_trained:
            for one in _tensors(result):
                one.is_part_of_weights = True  # type: ignore[attr-defined]
        return result


def _is_part_of_weights(tensor: torch.Tensor) -> bool:
    return "is_part_of_weights" in vars(tensor)


def _attribute(graph: fx.GraphModule, target: str) -> Any:
    holder, _, name = target.rpartition(".")
    return getattr(graph.get_submodule(holder), name)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
