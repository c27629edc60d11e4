"""What the nodes of a network give while it is traced, without data: shapes, and numbers that follow from them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.fx.proxy import TraceError

from edgesim.errors import FOREIGN
from edgesim.nn.shapes import shape_by_function, shape_by_module

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.domain.networks.task import TensorSpec

N_SAMPLES = (1, 7920)
"""How many samples the tensors are of, by turns: what is the same for both does not depend on it. The larger has many divisors."""

_READING = frozenset({"item", "tolist", "numpy"})


class BranchError(TraceError):
    """The code of a network branches on what is not known before it is asked."""


class Known:
    """What nodes give for each of `N_SAMPLES`; what depends on values is not known.

    Parameters
    ----------
    network : traced as `blueprint`, a copy without data.
    inputs : of one sample, by the names of the parameters of the forward method that take them.
    """

    def __init__(self, network: nn.Module, inputs: Mapping[str, TensorSpec]) -> None:
        self.blueprint, self.inputs = on_meta(network).eval(), inputs
        self.of: dict[fx.Node, tuple[Any, ...]] = {}
        self.misfit: tuple[fx.Node, BaseException] | None = None
        """The first node that does not take what it is given, and why."""
        self.is_asking = False
        """Whether modules and functions run without data right now, rather than being traced."""

    def add(self, node: fx.Node) -> tuple[Any, ...] | None:
        """Find out what a node gives, keep and return it; None where it is not known."""
        values = self._values(node)
        if values is not None:
            self.of[node] = values
        return values

    def _values(self, node: fx.Node) -> tuple[Any, ...] | None:
        for source in node.all_input_nodes:
            if source.op == "get_attr" and source not in self.of:
                self.add(source)
        if not self.inputs or node.op == "output" or any(source not in self.of for source in node.all_input_nodes):
            return None
        self.is_asking = True
        place = 0
        try:
            values = []
            for place in range(len(N_SAMPLES)):
                values.append(self._given(node, place))
            return tuple(values)
        except NotImplementedError:
            return None  # there is no answer without values
        except FOREIGN as error:
            if place == 0 and node.target not in _READING:
                self.misfit = self.misfit or (node, error)
            return None
        finally:
            self.is_asking = False

    def _given(self, node: fx.Node, place: int) -> Any:
        if node.op == "placeholder":
            return without_data(self.inputs[str(node.target)], N_SAMPLES[place])
        if node.op == "get_attr":
            value = attribute(self.blueprint, str(node.target))
            return value.detach().to("meta") if isinstance(value, torch.Tensor) else value
        args: Any = fx.node.map_arg(node.args, lambda source: self.of[source][place])
        kwargs: Any = fx.node.map_arg(node.kwargs, lambda source: self.of[source][place])
        with torch.no_grad(), torch.device("meta"):
            if node.op == "call_module":
                module = self.blueprint.get_submodule(str(node.target))
                shape = shape_by_module(module, *args) if len(args) == 1 and not kwargs else None
                return module(*args, **kwargs) if shape is None else args[0].new_empty(shape)
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            function: Any = node.target
            shape = shape_by_function(function, args) if not kwargs else None
            return function(*args, **kwargs) if shape is None else args[0].new_empty(shape)


def without_data(spec: TensorSpec, n_samples: int) -> torch.Tensor:
    """Return a tensor of some samples without data."""
    return torch.empty((n_samples, *spec.shape), dtype=getattr(torch, spec.dtype), device="meta")


def on_meta(network: nn.Module) -> nn.Module:
    """Copy a network without its data."""
    memo: dict[int, Any] = {}
    for module in network.modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False), *vars(module).values()):
            if isinstance(tensor, nn.Parameter):
                memo[id(tensor)] = nn.Parameter(tensor.detach().to("meta"), requires_grad=tensor.requires_grad)
            elif isinstance(tensor, torch.Tensor):
                memo[id(tensor)] = tensor.detach().to("meta")
    return copy.deepcopy(network, memo)


def attribute(module: nn.Module, target: str) -> Any:
    """Return what a dotted name stands for in a module."""
    holder, _, name = target.rpartition(".")
    return getattr(module.get_submodule(holder), name)


def has_tensors(value: Any) -> bool:
    """Return whether there is a tensor in a value, be it in tuples, lists or mappings."""
    if isinstance(value, dict):
        return any(map(has_tensors, value.values()))
    return isinstance(value, torch.Tensor) or (isinstance(value, (tuple, list)) and any(map(has_tensors, value)))
