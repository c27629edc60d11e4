"""From a kernel, which is Python, to a program, which is data: it is run once, and torch notes the operators that it calls."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import fx
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from edgesim.errors import DataError
from edgesim.nn.kernels.program import TAKE, Given, Program, Tensors, operator_of

if TYPE_CHECKING:
    from edgesim.interfaces import Kernel


def traced(kernel: Kernel, given: Mapping[str, Tensors], goals: Sequence[str]) -> Program:
    """Return what a kernel computes of tensors of these shapes as a program.

    What depends on weights alone is computed here, so that of a weight only the part remains that is used.

    Parameters
    ----------
    kernel : in evaluation; it must not branch on the values of tensors.
    given : tensors by where they come from.
    goals : what is wanted of it, by where it goes.

    Raises
    ------
    DataError
        When it calls an operator that programs cannot hold, or its forward depends on the values of tensors.
    """
    names, shapes = list(given), {name: len(tensors) for name, tensors in given.items()}
    counts: dict[str, int] = {}

    def flat(*tensors: torch.Tensor) -> list[torch.Tensor]:
        remaining = iter(tensors)
        values: dict[str, Tensors] = {}
        there: dict[str, torch.Tensor] = {}
        for name in names:
            values[name] = tuple(next(remaining) for _ in range(shapes[name]))
            there[name] = next(remaining)
        results = kernel(values, there)
        counts.update({goal: len(results[goal]) for goal in goals})
        return [tensor for goal in goals for tensor in results[goal]]

    tensors = [tensor for name in names for tensor in (*given[name], torch.tensor(1.0))]
    try:
        with torch.no_grad():
            whole = torch.func.functionalize(flat, remove="mutations")
            graph = make_fx(whole, decomposition_table=dict(core_aten_decompositions()))(*tensors)
    except (RuntimeError, TypeError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"what a device computes cannot be written as a graph of operators: {text}") from error
    return _Writer(graph).program(given, counts)


class _Writer:
    """Writes a traced graph down."""

    def __init__(self, graph: fx.GraphModule) -> None:
        graph.graph.eliminate_dead_code()
        self.graph = graph
        self.names: dict[fx.Node, str] = {}
        self.constants: dict[fx.Node, Any] = {}
        self.weights: dict[str, torch.Tensor] = {}
        self._weight_of: dict[tuple[Any, ...], str] = {}

    def program(self, given: Mapping[str, Tensors], counts: Mapping[str, int]) -> Program:
        """Return the program."""
        places = []
        for number, tensors in enumerate(given.values()):
            places += [f"given{number}_{position}" for position in range(len(tensors))] + [f"there{number}"]
        nodes: list[dict[str, Any]] = []
        results: list[str] = []
        entered = iter(places)
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                self.names[node] = next(entered)
            elif node.op == "get_attr":
                self.constants[node] = getattr(self.graph, str(node.target)).detach()
            elif node.op == "output":
                results = [self._name(one) for one in node.args[0]]
            elif not self._fold(node):
                self.names[node] = f"n{len(nodes)}"
                nodes.append({
                    "name": self.names[node], "op": _operator_name(node),
                    "args": [self._encoded(one) for one in node.args],
                    "kwargs": {name: self._encoded(one) for name, one in node.kwargs.items()},
                })  # fmt: skip
        for written in nodes:
            operator_of(written["op"])
        of = iter(results)
        return Program(
            tuple(Given.like(name, some) for name, some in given.items()),
            tuple(nodes),
            self.weights,
            {name: tuple(next(of) for _ in range(n)) for name, n in counts.items()},
        )

    def _fold(self, node: fx.Node) -> bool:
        """Compute a node of weights alone, unless it is larger than they are."""
        sources = node.all_input_nodes
        if not sources or any(source not in self.constants for source in sources):
            return False
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.constants.__getitem__)
        function: Any = node.target
        value = function(*args, **kwargs)
        n_before = sum(_elements(self.constants[source]) for source in sources)
        if _elements(value) > n_before:
            return False
        self.constants[node] = value
        return True

    def _name(self, node: fx.Node) -> str:
        """Return the name of a value; a weight is kept when it is asked for."""
        if node in self.names:
            return self.names[node]
        tensor = self.constants[node]
        key = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if key not in self._weight_of:
            self._weight_of[key] = f"w{len(self.weights)}"
            self.weights[self._weight_of[key]] = tensor.contiguous().clone()
        self.names[node] = self._weight_of[key]
        return self.names[node]

    def _encoded(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            return {"of": self._name(value)}
        if isinstance(value, (list, tuple)):
            return [self._encoded(one) for one in value]
        for kind, found in _KINDS.items():
            if isinstance(value, found):
                return {"kind": kind, "value": str(value).removeprefix("torch.")}
        if isinstance(value, float) and not math.isfinite(value):
            return {"kind": "number", "value": str(value)}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise DataError(f"a kernel has an argument of type {type(value).__name__}, which cannot be written down")


_KINDS: dict[str, type] = {
    "dtype": torch.dtype, "layout": torch.layout, "memory": torch.memory_format, "device": torch.device,
}  # fmt: skip
_RESHAPING = ("squeeze_", "unsqueeze_", "transpose_", "t_")
"""What changes a shape in place: torch takes it for no change of a tensor, and whatever is called later has the result."""


def _operator_name(node: fx.Node) -> str:
    if node.op != "call_function":
        raise DataError(f"a kernel calls {node.target!r}, which is no operator")
    if node.target is operator.getitem:
        return TAKE
    space, name, overload = str(node.target).split(".")
    return f"{space}.{name.removesuffix('_') if name in _RESHAPING else name}.{overload}"


def _elements(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel()
    return sum(_elements(one) for one in value) if isinstance(value, Sequence) else 0
