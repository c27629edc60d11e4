"""Assembling a network call by call, while what is known already is computed: shapes, constants, and tensors without data.

Every value is a tensor that is known, or a node of the graph beside a tensor of torch's meta device that has its shape for `SAMPLES`
samples. That number is a large prime, so that a size is a multiple of it just where it counts samples, and can be written as one.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.domain.networks.samples import Inputs

SAMPLES = 7919
"""Samples of the tensors that shapes are found with."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A node of the graph, and what it gives for `SAMPLES` samples, without data."""

    node: fx.Node
    meta: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with the batch axis."""
        return tuple(self.meta.shape)


class Assembly:
    """A network in the making.

    Parameters
    ----------
    inputs : of one sample; the network takes them in this order.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.root = nn.Module()
        self.graph = fx.Graph()
        self.inputs: list[Traced] = []
        for name, spec in inputs.items():
            meta = torch.empty((SAMPLES, *spec.shape), dtype=getattr(torch, spec.dtype), device="meta")
            self.inputs.append(Traced(self.graph.placeholder(name), meta))
        self._n_samples: fx.Node | None = None
        self._constants: dict[int, tuple[torch.Tensor, fx.Node]] = {}

    def call(self, function: Callable[..., Any] | str, *args: Any, **options: Any) -> Any:
        """Call a function, at once where all that it is given is known; a name is a method of the first argument."""
        given = [*_leaves(args), *_leaves(options.values())]
        if not any(isinstance(one, Traced) or _counts_samples(one) for one in given):
            return _called(function, args, options)
        metas = [_map(args, self._meta), _map(options, self._meta)]
        with torch.device("meta"):
            meta = _called(function, *metas)
        nodes = (tuple(_map(args, self._node)), _map(options, self._node))
        node = (
            self.graph.call_method(function, *nodes)
            if isinstance(function, str)
            else self.graph.call_function(function, *nodes)
        )
        return self._result(node, meta)

    def module(self, name: str, module: nn.Module, *args: Any) -> Any:
        """Call a module, which the network has by this name from now on, or by one like it if it is taken."""
        place = self._free(name)
        self._put(place, module.eval())
        if not any(isinstance(one, Traced) for one in args):
            with torch.no_grad():
                return module(*args)
        with torch.no_grad():
            meta = torch.func.functional_call(module, _without_data(module), tuple(_map(args, self._meta)))
        return self._result(self.graph.call_module(place, tuple(_map(args, self._node))), meta)

    def network(self, answer: Any, name: str) -> fx.GraphModule:
        """Return the network, in evaluation mode, that gives one value."""
        self.graph.output(_map([answer], self._node)[0])
        made = fx.GraphModule(self.root, self.graph, name)
        made.graph.eliminate_dead_code()
        made.recompile()
        made.delete_all_unused_submodules()
        return made.eval()

    def _result(self, node: fx.Node, meta: Any) -> Any:
        if isinstance(meta, (tuple, list)):
            return [
                self._result(self.graph.call_function(operator.getitem, (node, place)), one)
                for place, one in enumerate(meta)
            ]
        return Traced(node, meta)

    def _meta(self, value: Any) -> Any:
        if isinstance(value, Traced):
            return value.meta
        return value.to("meta") if isinstance(value, torch.Tensor) and value.dim() else value

    def _node(self, value: Any) -> Any:
        if isinstance(value, Traced):
            return value.node
        if isinstance(value, torch.Tensor):
            return self._constant(value)
        if type(value) is int and value and value % SAMPLES == 0:
            return self._samples(value // SAMPLES)
        return value

    def _samples(self, times: int) -> fx.Node:
        """Return a node for a multiple of the number of samples."""
        if self._n_samples is None:
            with self.graph.inserting_after(self.inputs[-1].node):
                self._n_samples = self.graph.call_method("size", (self.inputs[0].node, 0))
        return self._n_samples if times == 1 else self.graph.call_function(operator.mul, (self._n_samples, times))

    def _constant(self, value: torch.Tensor) -> fx.Node:
        if id(value) not in self._constants:
            place = self._free("constant")
            if isinstance(value, nn.Parameter):
                self.root.register_parameter(place, value)
            else:
                self.root.register_buffer(place, value)
            self._constants[id(value)] = (value, self.graph.get_attr(place))
        return self._constants[id(value)][1]

    def _free(self, name: str) -> str:
        """Return a name that no module or tensor has."""
        wanted = ".".join(
            part if part.isidentifier() or part.isdecimal() else f"n{''.join(c if c.isalnum() else '_' for c in part)}"
            for part in name.split(".")
            if part
        )
        wanted = wanted or "layer"
        if "." in wanted and _is_in_a_layer(self.root, wanted):
            wanted = wanted.replace(".", "_")
        tried, number = wanted, 0
        while _is_taken(self.root, tried):
            number += 1
            tried = f"{wanted}_{number}"
        return tried

    def _put(self, place: str, module: nn.Module) -> None:
        holder = self.root
        *outer, last = place.split(".")
        for part in outer:
            if part not in holder._modules:  # noqa: SLF001 - as torch's own code does
                holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        holder.add_module(last, module)


def _is_in_a_layer(root: nn.Module, place: str) -> bool:
    """Return whether a part of a name in front of a dot is a layer, in which nothing can lie."""
    parts = place.split(".")[:-1]
    outer = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    holders = dict(root.named_modules())
    return any(type(holders.get(one, root)) is not nn.Module for one in outer)


def _is_taken(root: nn.Module, place: str) -> bool:
    holder = root
    *outer, last = place.split(".")
    for part in outer:
        found = holder._modules.get(part)  # noqa: SLF001
        if found is None:
            return hasattr(holder, part)
        if type(found) is not nn.Module:
            return True
        holder = found
    return hasattr(holder, last)


def _called(function: Callable[..., Any] | str, args: Any, options: Any) -> Any:
    with torch.no_grad():
        if isinstance(function, str):
            return getattr(args[0], function)(*args[1:], **options)
        return function(*args, **options)


def _without_data(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.to("meta") for name, tensor in (*module.named_parameters(), *module.named_buffers())}


def _map(values: Any, change: Callable[[Any], Any]) -> Any:
    """Change all that is in lists, tuples, mappings and slices."""
    if isinstance(values, dict):
        return {name: _map(value, change) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        made = [_map(value, change) for value in values]
        return tuple(made) if isinstance(values, tuple) else made
    if isinstance(values, slice):
        return slice(*(_map(part, change) for part in (values.start, values.stop, values.step)))
    return change(values)


def _counts_samples(value: Any) -> bool:
    return type(value) is int and value > 0 and value % SAMPLES == 0


def _leaves(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values.values() if isinstance(values, dict) else values:
        found += _leaves(value) if isinstance(value, (list, tuple, dict)) else [value]
    return found
