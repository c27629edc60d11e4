"""Cutting a network at a layer, and reading its filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from edgesim.errors import DataError
from edgesim.nn.cost.trace import function_name
from edgesim.nn.cost.tracer import graph_of

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Inputs

_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Hardtanh, nn.Hardsigmoid, nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Tanh,
)  # fmt: skip
_ACTIVATION_NAMES = frozenset(module.__name__.lower() for module in _ACTIVATIONS) | {"leaky_relu"}
_PASSED = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.Identity, nn.Dropout, nn.Dropout2d)
"""What may stand between a convolution and its activation."""
_PASSED_NAMES = frozenset({"batch_norm", "instance_norm", "group_norm", "dropout", "dropout2d"})


def up_to(network: nn.Module, inputs: Inputs, layer: str) -> fx.GraphModule:
    """Return the part of a network that ends with the output of one of its submodules. Weights are shared, not copied.

    Parameters
    ----------
    network, inputs : see `edgesim.nn.cost.tracer.graph_of`; so are the errors.
    layer : name of the submodule; its last call counts.

    Raises
    ------
    DataError
        When the network never calls a submodule of that name.
    """
    graph = graph_of(network, inputs, layer).graph
    call = _last_call(graph, layer)
    graph.erase_node(_output(graph))
    graph.output(call)
    graph.eliminate_dead_code()
    module = fx.GraphModule(network, graph)
    module.delete_all_unused_submodules()
    return module


def with_filters(network: nn.Module, inputs: Inputs, layer: str) -> fx.GraphModule:
    """Return a network that gives its output and what its filters say, as a pair. Weights are shared, not copied.

    Filters are read where the network uses them: when the layer's output goes through normalisation to an activation and nowhere
    else, behind that activation, be it a module or a function. The mean over space of a convolution's own output is linear in
    its input and says little more than the mean of the image.

    Parameters
    ----------
    network, inputs, layer : as in `up_to`; so are the errors.
    """
    module = graph_of(network, inputs, layer)
    graph, output = module.graph, _output(module.graph)
    read = _behind_activation(module, _last_call(graph, layer))
    with graph.inserting_after(read):
        kept = graph.call_function(_kept, (read,))
    answer = output.args[0]
    graph.erase_node(output)
    graph.output((answer, kept))
    return fx.GraphModule(network, graph)


def around_filters(network: nn.Module, inputs: Inputs, layer: str) -> tuple[fx.GraphModule, fx.GraphModule | None]:
    """Return a network in two: up to what its filters say, read as in `with_filters`, and from there to its answer. Weights are shared.

    The second is None where the answer depends on something besides the filters.

    Parameters
    ----------
    network, inputs, layer : as in `up_to`; so are the errors.
    """
    front, rest = graph_of(network, inputs, layer), graph_of(network, inputs, layer)
    read = _behind_activation(front, _last_call(front.graph, layer))
    front.graph.erase_node(_output(front.graph))
    front.graph.output(read)
    front.graph.eliminate_dead_code()
    read = _behind_activation(rest, _last_call(rest.graph, layer))
    with rest.graph.inserting_before(next(iter(rest.graph.nodes))):
        given = rest.graph.placeholder("filters")
    read.replace_all_uses_with(given)
    rest.graph.eliminate_dead_code()
    entries = [node for node in rest.graph.nodes if node.op == "placeholder" and node is not given]
    if any(node.users for node in entries):
        return fx.GraphModule(network, front.graph), None
    for node in entries:
        rest.graph.erase_node(node)
    return fx.GraphModule(network, front.graph), fx.GraphModule(network, rest.graph)


def _kept(value: Any) -> Any:
    """Copy what a layer gives, since what follows may work in place; what is no tensor is for the caller to refuse."""
    return value.clone() if isinstance(value, torch.Tensor) else value


def has_activation_behind(network: nn.Module, inputs: Inputs, layer: str) -> bool:
    """Return whether the filters of a layer are read behind an activation that follows it; else they are its own output."""
    module = graph_of(network, inputs, layer)
    call = _last_call(module.graph, layer)
    return _behind_activation(module, call) is not call


def _behind_activation(module: fx.GraphModule, call: fx.Node) -> fx.Node:
    node = call
    while not _is_one_of(module, node, _ACTIVATIONS, _ACTIVATION_NAMES):
        if len(node.users) != 1 or not (node is call or _is_one_of(module, node, _PASSED, _PASSED_NAMES)):
            return call
        node = next(iter(node.users))
    return node


def _is_one_of(
    module: fx.GraphModule, node: fx.Node, kinds: tuple[type[nn.Module], ...], names: frozenset[str]
) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), kinds)
    return function_name(node) in names


def _last_call(graph: fx.Graph, layer: str) -> fx.Node:
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target == layer]
    if not calls:
        names = [str(node.target) for node in graph.nodes if node.op == "call_module"]
        raise DataError(f"the network has no layer {layer!r}; its layers are {', '.join(names)}")
    last: fx.Node = calls[-1]
    return last


def _output(graph: fx.Graph) -> fx.Node:
    found: fx.Node = next(node for node in graph.nodes if node.op == "output")
    return found
