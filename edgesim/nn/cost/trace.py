"""The graph of a torch module, with the shape of every tensor in it."""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from edgesim.domain.networks.samples import inputs_of
from edgesim.errors import FOREIGN, DataError
from edgesim.nn.cost.known import on_meta, without_data
from edgesim.nn.cost.plain import Move
from edgesim.nn.cost.tracer import graph_of, misfit
from edgesim.nn.shapes import flop_by_function, flop_by_module, shape_by_function, shape_by_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.networks.samples import Inputs

VIEW_MODULES = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, Move)
"""Modules that neither compute nor copy when a network is evaluated."""
VIEW_NAMES = frozenset({
    "flatten", "unflatten", "view", "view_as", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "t", "chunk",
    "split", "unbind", "expand", "expand_as", "contiguous", "detach", "getitem", "getattr", "size", "dim",
    "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout",
})  # fmt: skip
"""Functions and methods that neither compute nor copy when a network is evaluated."""


class _Without(fx.Interpreter):
    """Runs a graph on tensors without data."""

    current: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        self.current = n
        usual = self._by_rule(n)
        if usual is not None:
            return self.note(n, *usual)
        if n.op not in {"call_module", "call_function", "call_method"} or _moves(self.module, n):
            return self.note(n, super().run_node(n), 0)
        with FlopCounterMode(display=False) as counter:
            result = super().run_node(n)
        return self.note(n, result, counter.get_total_flops())

    def _by_rule(self, n: fx.Node) -> tuple[torch.Tensor, int] | None:
        """Return what a usual layer gives, and its multiply-adds times two; None for others."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        shape, flop = None, 0
        if n.op == "call_module" and len(args) == 1 and not kwargs:
            module = self.fetch_attr(str(n.target))
            shape = shape_by_module(module, args[0])
            flop = 0 if shape is None else flop_by_module(module, shape)
        elif n.op == "call_function" and not kwargs:
            shape = shape_by_function(n.target, args)
            flop = 0 if shape is None else flop_by_function(n.target, args, shape)
        return None if shape is None else (args[0].new_empty(shape), flop)

    def note(self, n: fx.Node, result: Any, flop: int) -> Any:
        """Note what a node gives, and return it."""
        raise NotImplementedError


class _Recorder(_Without):
    """Writes the tensors and the arithmetic of every node into its `meta`."""

    def note(self, n: fx.Node, result: Any, flop: int) -> Any:
        n.meta["tensors"] = tuple((tuple(tensor.shape), tensor.element_size()) for tensor in _tensors(result))
        n.meta["flop"] = flop
        n.meta["dtype"] = next((tensor.dtype for tensor in _tensors(result)), None)
        n.meta["value"] = result if isinstance(result, (int, float, torch.dtype)) else None
        return result


class _Doubled(_Without):
    """Runs a graph on two samples and notes of every node whether its tensors have the batch on their first axis.

    ``"is_sampled"``: they have it there. ``"is_fixed"``: neither its tensors nor its number depend on how many samples there are.
    """

    def note(self, n: fx.Node, result: Any, flop: int) -> Any:  # noqa: ARG002 - counted for one sample
        before = [shape for shape, _ in n.meta["tensors"]]
        after = [tuple(tensor.shape) for tensor in _tensors(result)]
        n.meta["is_sampled"] = bool(before) and all(
            one and one[0] * 2 == two[0] and one[1:] == two[1:] for one, two in zip(before, after, strict=False)
        )
        value = result if isinstance(result, (int, float, torch.dtype)) else None
        n.meta["is_fixed"] = before == after and n.meta["value"] == value
        return result


def trace(network: nn.Module, inputs: Inputs | tuple[int, ...]) -> fx.GraphModule:
    """Return the graph of a network as it is evaluated, with the tensors of one sample.

    Nothing is computed: shapes come from a copy of the network on torch's meta device. Every node's ``meta`` holds
    ``"tensors"``, a tuple of (shape with the batch axis, byte per element) of what it returns, and ``"flop"``, the
    multiply-adds of its convolutions and matrix products times two, as torch counts them.

    Parameters
    ----------
    network : maps inputs of shape (n, *shape) to answers; its parameters are shared with the result, not copied, but for those
        of parametrised modules (weight and spectral norm): the result holds their weights as used, of now.
    inputs : the tensors of one sample; a plain shape stands for one float32 tensor.

    Raises
    ------
    DataError
        See `edgesim.nn.cost.tracer.graph_of`; and when the network does not take the shape.
    """
    traced = graph_of(network, inputs)
    _record(on_meta(traced).eval(), traced.graph, inputs_of(inputs), type(network).__name__)
    _settle_weights(traced)
    return traced


def record(traced: fx.GraphModule, inputs: Inputs | tuple[int, ...]) -> None:
    """Write the tensors and the arithmetic of every node of a traced network anew, and what depends on the number of samples.

    See `trace` and `_Doubled`. A network that takes one sample at a time only has no node with a batch.
    """
    specs, name = inputs_of(inputs), type(traced).__name__
    blueprint = on_meta(traced).eval()
    _record(blueprint, traced.graph, specs, name)
    for node in traced.graph.nodes:
        node.meta["is_sampled"] = node.meta["is_fixed"] = False
    try:
        with torch.no_grad(), torch.device("meta"):
            doubled = _Doubled(blueprint, graph=traced.graph)
            doubled.run(*_given(traced.graph, specs, name, n_samples=2), enable_io_processing=False)
    except FOREIGN:
        for node in traced.graph.nodes:
            node.meta["is_sampled"] = node.meta["is_fixed"] = False


def _record(blueprint: nn.Module, graph: fx.Graph, specs: Inputs, name: str) -> None:
    """Run a graph without data and write what its nodes return into them."""
    given = list(_given(graph, specs, name))
    with torch.no_grad(), torch.device("meta"):
        recorder = _Recorder(blueprint, garbage_collect_values=True, graph=graph)
        try:
            recorder.run(*given, enable_io_processing=False)
        except FOREIGN as error:
            node = recorder.current
            where = f"at {str(node.target)!r} ({node.op})" if node is not None else "at its input"
            raise DataError(misfit(name, specs, where, error)) from error


def _settle_weights(traced: fx.GraphModule) -> None:
    """Let plain copies with the weights as they are used stand for modules that compute theirs (weight and spectral norm)."""
    for target in {str(node.target): None for node in traced.graph.nodes if node.op == "call_module"}:
        module = traced.get_submodule(target)
        if parametrize.is_parametrized(module):
            traced.set_submodule(target, _plain(module))


def _plain(module: nn.Module) -> nn.Module:
    """Return a parametrised module as the class that it was before, which removing on a copy would take from the original."""
    plain: nn.Module = object.__new__(type(module).__bases__[0])
    plain.__dict__.update({name: copy.copy(value) for name, value in vars(module).items()})
    parametrizations: Any = plain.get_submodule("parametrizations")
    del plain.parametrizations
    vars(plain)["_load_state_dict_pre_hooks"].clear()  # weight norm's, which cannot be pickled
    for name, parametrization in parametrizations.items():
        # in evaluation, since spectral norm changes its estimate when it is read in training
        weight = copy.deepcopy(parametrization).eval()().detach()
        plain.register_parameter(name, nn.Parameter(weight, requires_grad=False))
    return plain


def _given(graph: fx.Graph, specs: Inputs, name: str, n_samples: int = 1) -> Iterator[Any]:
    """Yield what a network is called with: tensors without data, and the defaults of its other parameters."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    wanted = [str(node.target) for node in placeholders if not node.args]
    of = {wanted[0]: next(iter(specs.values()))} if len(wanted) == len(specs) == 1 else specs
    if sorted(wanted) != sorted(of):
        raise DataError(
            f"{name}.forward takes {len(wanted)} inputs ({', '.join(wanted) or 'none'}), but the data set gives "
            f"{len(specs)} ({', '.join(specs)}); a network takes one tensor, or several by the names that the data set gives them"
        )
    for node in placeholders:
        spec = of.get(str(node.target))
        if spec is None:
            yield node.args[0]
        else:
            yield without_data(spec, n_samples)


def submodule(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the module that a node calls, or None when it calls a function or method."""
    if node.op != "call_module":
        return None
    module: nn.Module = operator.attrgetter(str(node.target))(graph)  # torch's `get_submodule` takes six times as long
    return module


def entries(graph: fx.GraphModule) -> list[fx.Node]:
    """Return the nodes that stand for the inputs of a network; parameters of its forward method that have a default are none."""
    return [node for node in graph.graph.nodes if node.op == "placeholder" and not node.args]


def layer_name(node: fx.Node) -> str:
    """Return the name of a node for readers: its module's, or the node's own when the module was called before."""
    target = str(node.target)
    is_first = node.op == "call_module" and all(
        earlier.op != "call_module" or str(earlier.target) != target for earlier in _earlier(node)
    )
    return target if is_first else node.name


def function_name(node: fx.Node) -> str:
    """Return the plain name of the function or method that a node calls, empty for a module.

    In-place operators lose their mark: ``operator.iadd`` and ``relu_`` are ``"add"`` and ``"relu"``.
    """
    if node.op not in {"call_function", "call_method"}:
        return ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    if node.target in {operator.iadd, operator.imul, operator.isub, operator.itruediv}:
        return str(name).removeprefix("i")
    return _DISPATCHED.get(node.target, str(name).rstrip("_"))


def is_view(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node only renames, reshapes or passes on its input."""
    return _moves(graph, node) or is_idle_cast(node)


def _moves(graph: Any, node: fx.Node) -> bool:
    return isinstance(submodule(graph, node), VIEW_MODULES) or function_name(node) in VIEW_NAMES


def origin(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """Return the node in whose memory lies what a node gives: itself, or what it is a view of, weights among them."""
    while node.op not in {"placeholder", "get_attr"} and node.all_input_nodes and is_view(graph, node):
        node = node.all_input_nodes[0]
    return node


def is_idle_cast(node: fx.Node) -> bool:
    """Return whether a node turns numbers into the type that they have."""
    is_cast = function_name(node) in {"to", "type", "type_as", "float"}
    return is_cast and bool(node.meta["tensors"]) and node.meta["dtype"] == node.all_input_nodes[0].meta["dtype"]


def is_in_place(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node writes its result over its input."""
    if node.kwargs.get("inplace") is True or bool(getattr(submodule(graph, node), "inplace", False)):
        return True
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    named_so = node.op in {"call_function", "call_method"} and name.endswith("_") and not name.endswith("__")
    return named_so or node.target in {operator.iadd, operator.imul, operator.isub, operator.itruediv}


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Return the shape of the (first) tensor of a node, without the batch axis; empty when it returns no tensor."""
    tensors = node.meta["tensors"]
    return tuple(tensors[0][0][1:]) if tensors else ()


def elements_of(node: fx.Node) -> int:
    """Return how many elements the (first) tensor of a node has for one sample, wherever its batch axis is; 1 without a tensor."""
    tensors = node.meta["tensors"]
    return torch.Size(tensors[0][0]).numel() if tensors else 1


def byte_of(node: fx.Node) -> int:
    """Return the size of what a node returns for one sample, in byte."""
    return sum(torch.Size(shape).numel() * element_byte for shape, element_byte in node.meta["tensors"])


def live_byte(graph: fx.GraphModule) -> dict[fx.Node, int]:
    """Return, for every node, the bytes of all tensors alive while it runs: its inputs, its result, and what is used later."""
    nodes = list(graph.graph.nodes)
    holder: dict[fx.Node, fx.Node] = {}  # views and in-place results live in the memory of their source
    last_use: dict[fx.Node, int] = {}
    for position, node in enumerate(nodes):
        sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
        is_sharing = bool(sources) and (is_view(graph, node) or is_in_place(graph, node))
        holder[node] = holder[sources[0]] if is_sharing else node
        last_use[holder[node]] = position
        for source in sources:
            last_use[holder[source]] = position
    free = {node for node in nodes if node.op == "output" or origin(graph, node).op == "get_attr"}
    live: dict[fx.Node, int] = {}
    alive = 0
    for position, node in enumerate(nodes):
        if holder[node] is node and node not in free:
            alive += byte_of(node)
        live[node] = alive
        ended = (owner for owner, last in last_use.items() if last == position)
        alive -= sum(byte_of(owner) for owner in ended if owner not in free)
    return live


# torch wraps some functions in one that chooses by a flag; their own name says nothing
_DISPATCHED: dict[Any, str] = {
    function: name
    for name in (
        "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
        "fractional_max_pool2d", "fractional_max_pool3d",
    )
    if (function := getattr(nn.functional, name, None)) is not None
}  # fmt: skip


def _earlier(node: fx.Node) -> Iterator[fx.Node]:
    """Yield the nodes before a node, the last first."""
    while node.prev.op != "root":
        node = node.prev
        yield node


def _tensors(result: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a node's result, in order."""
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from _tensors(part)
