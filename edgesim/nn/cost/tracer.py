"""Tracing a network with tensors whose shapes are known, so that asserts, branches and loops on shapes are decided."""

from __future__ import annotations

import inspect
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.fx.proxy import Attribute
from torch.overrides import TorchFunctionMode, is_tensor_method_or_property

from edgesim.domain.networks.samples import inputs_of
from edgesim.errors import FOREIGN, DataError
from edgesim.nn.cost.known import BranchError, Known, attribute, has_tensors
from edgesim.nn.words import calling_line, failing_line, first_line, show_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec

_REWRITE = "its forward method must not branch or loop on the values of tensors; rewrite it with tensor operations"
_SIZED = (torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn)
"""Functions that torch itself does not trace where the first of several sizes is not known."""
with torch.device("meta"):
    torch.empty(
        0
    )  # torch notes now which functions make tensors, by the functions themselves, not by what they are wrapped in below
_PLAIN = (bool, int, float, str, torch.dtype, torch.layout, torch.memory_format)


def graph_of(network: nn.Module, inputs: Inputs | tuple[int, ...], leaf: str = "") -> fx.GraphModule:
    """Return the graph of a network as it is evaluated, with all decided that follows from the shape of a sample.

    Numbers that depend on how many samples there are stay in the graph. Optional arguments of the forward method take their defaults,
    but for those that inputs are named like.

    Parameters
    ----------
    network : its parameters are shared with the result, not copied.
    inputs : the tensors of one sample; a plain shape stands for one float32 tensor.
    leaf : submodule that is one node, even if it is built of others.

    Raises
    ------
    DataError
        When the forward method branches on values or on the number of samples, with the line that does, or fails.
    """
    specs = inputs_of(inputs)
    tracer = ShapeTracer(Known(network, _taken(network, specs)), leaf)
    blueprint = tracer.known.blueprint
    try:
        with _Recording(tracer):
            graph = tracer.trace(blueprint)
    except FOREIGN as error:
        raise DataError(_refusal(network, specs, tracer, error)) from error
    for node in reversed(graph.nodes):
        is_number = node in tracer.known.of and not has_tensors(tracer.known.of[node][0])
        if is_number and not node.users and node.op in {"call_function", "call_method"}:
            graph.erase_node(node)
    for node in graph.nodes:
        node.type = None  # annotations that are texts, as with postponed evaluation, cannot be pickled
        if node.target in _SIZED:
            node.meta.pop("is_wrapped", None)  # or torch looks for a function by a name with a dot in it
    made = fx.GraphModule(network, graph)
    for node in graph.nodes:
        if node.op == "get_attr" and str(node.target).startswith("_tensor_constant"):
            made.register_buffer(str(node.target), attribute(blueprint, str(node.target)), persistent=False)
    return made


def _taken(network: nn.Module, specs: Inputs) -> dict[str, TensorSpec]:
    """Return the inputs by the names of the parameters of the forward method."""
    parameters = list(inspect.signature(inspect.unwrap(type(network).forward)).parameters.values())[1:]
    named = [one for one in parameters if one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}]
    wanted = [one.name for one in named if one.default is one.empty]
    names = [one.name for one in named]
    if len(specs) == 1 and names and len(wanted) <= 1:
        return dict(zip(wanted or names, specs.values(), strict=False))
    if not set(wanted) <= set(specs) <= set(names):
        raise DataError(
            f"{type(network).__name__}.forward takes {len(wanted)} inputs ({', '.join(wanted) or 'none'}), but the data set gives "
            f"{len(specs)} ({', '.join(specs)}); a network takes one tensor, or several by the names that the data set gives them"
        )
    return dict(specs)


def _refusal(network: nn.Module, specs: Inputs, tracer: ShapeTracer, error: BaseException) -> str:
    """Return why a network cannot be traced."""
    if tracer.known.misfit is not None:
        node, reason = tracer.known.misfit
        return misfit(type(network).__name__, specs, f"at {str(node.target)!r} ({node.op})", reason)
    if isinstance(error, BranchError):
        return f"{tracer.where()} cannot be traced: {error}"
    line, said = failing_line(error, "graph_of"), first_line(error)
    at = f"{line}: " if line else ""
    if isinstance(error, (TypeError, AttributeError)):
        return f"{tracer.where()} cannot be traced: {at}{said}; {_REWRITE}"
    return f"{tracer.where()} does not take {show_inputs(specs)}: {at}{said}; give the network a data set of the shape it was built for"


def misfit(name: str, specs: Inputs, where: str, error: BaseException) -> str:
    """Return that a network does not take its inputs, and where."""
    return (
        f"{name} does not take {show_inputs(specs)}: {where}: {first_line(error)}; give the network a data set of the shape it was "
        "built for"
    )


class _Proxy(fx.Proxy):
    """Stands for what a node gives. What of it is known to be the same for any number of samples is given as it is."""

    tracer: ShapeTracer

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # so that `isinstance` takes it for what it stands for
        values = self.tracer.known.of.get(self.node)
        return type(values[0]) if values else _Proxy

    def __getattr__(self, k: str) -> Any:
        return self.tracer.attribute(self, k)

    def __len__(self) -> int:
        return int(self.tracer.number(self, len))

    def __int__(self) -> int:
        return int(self.tracer.number(self, int))

    def __float__(self) -> float:
        return float(self.tracer.number(self, float))

    def __index__(self) -> int:
        return int(self.tracer.number(self, operator.index))


class ShapeTracer(fx.Tracer):
    """Traces with shapes; without them, as torch makes one anew to unpickle a graph, it takes numbers for unknown.

    Parameters
    ----------
    known : what nodes give; begins with the inputs.
    leaf : submodule that is one node, even if it is built of others.
    """

    proxy_buffer_attributes = True  # so that a mask can be sliced by a length

    def __init__(self, known: Known | None = None, leaf: str = "") -> None:
        super().__init__(autowrap_functions=_SIZED if known else ())
        self._autowrap_search.append(torch)
        self.known = known or Known(nn.Module(), {})
        self._leaf = leaf
        self._innermost: nn.Module | None = None

    def where(self) -> str:
        """Return in which module tracing is, in words."""
        module = self._innermost if self._innermost is not None else self.root
        name = self.path_of_module(module) if module is not self.root else ""
        return f"{f'module {name!r}' if name else 'the network'} ({type(module).__name__})"

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a submodule is one node."""
        return module_qualified_name == self._leaf or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Call a submodule, remembered for errors."""
        if self.known.is_asking:
            return forward(*args, **kwargs)
        outer, self._innermost = self._innermost, m
        result = super().call_module(m, forward, args, kwargs)
        self._innermost = outer
        return result

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:
        """Let proxies stand for parameters and buffers."""
        return attr_val if self.known.is_asking else super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return what stands for what a node gives."""
        return _Proxy(node, self)

    def _proxy_placeholder(self, name: str, concrete_args: Any, sig: inspect.Signature, fn_for_analysis: Any) -> Any:
        if self.known.inputs and name not in self.known.inputs:
            empty: Any = {} if name.startswith("**") else ()
            return empty if name.startswith("*") else sig.parameters[name].default
        if self.known.inputs:
            return self.create_proxy("placeholder", name, (), {})
        return super()._proxy_placeholder(name, concrete_args, sig, fn_for_analysis)

    def create_arg(self, a: Any) -> Any:
        """Return what stands for an argument in the graph."""
        return a.node if isinstance(a, fx.Proxy) else super().create_arg(a)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> Any:
        """Add a node, and return what stands for it; numbers that are known are given as they are."""
        if target in _SIZED and not isinstance(args[0], (tuple, list)):
            args = (tuple(args),)  # which torch traces by itself when it unpickles a graph
        proxy: Any = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        values = self.known.add(proxy.node)
        if values is None or kind not in {"call_function", "call_method"}:
            return proxy
        first, other = values
        if isinstance(first, torch.Size) and len(first) == len(other):
            return _Shape(
                one if one == two else proxy[axis] for axis, (one, two) in enumerate(zip(*values, strict=True))
            )
        is_known = first is None or (isinstance(first, _PLAIN) and type(first) is type(other) and first == other)
        return first if is_known else proxy

    def attribute(self, proxy: fx.Proxy, name: str) -> Any:
        """Return an attribute of what a proxy stands for; methods are called later."""
        values = self.known.of.get(proxy.node)
        if values is None or name.startswith("__") or callable(getattr(values[0], name)):
            return Attribute(proxy, name)
        return self.create_proxy("call_function", getattr, (proxy, name), {})

    def number(self, proxy: fx.Proxy, reading: Any) -> Any:
        """Return what is read of what a proxy stands for, where it is the same for any number of samples."""
        values = self.known.of.get(proxy.node)
        is_value = values is None or (isinstance(values[0], torch.Tensor) and reading is not len)
        if values is None or is_value:
            raise BranchError(f"{calling_line('graph_of')} depends on values; {_REWRITE}")
        first, other = map(reading, values)
        if first != other:
            raise BranchError(
                f"{calling_line('graph_of')} depends on how many samples there are; write it so that any number of them is computed alike"
            )
        return first

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Return whether something holds, where it is the same for any number of samples."""
        return bool(self.number(obj, bool))

    def iter(self, obj: Any) -> Iterator[Any]:
        """Yield the parts of what a proxy stands for, where there are as many for any number of samples."""
        return (obj[place] for place in range(self.number(obj, len)))


class _Shape(tuple[Any, ...]):
    """The shape of a tensor: numbers, and proxies of such as depend on how many samples there are."""

    __slots__ = ()

    def numel(self) -> Any:
        """Return how many elements there are."""
        n: Any = 1
        for size in self:
            n = size * n
        return n

    def __getitem__(self, which: Any) -> Any:
        found = super().__getitem__(which)
        return _Shape(found) if isinstance(which, slice) else found

    def __fx_create_arg__(self, tracer: fx.Tracer) -> Any:
        return tracer.create_arg(tuple(self))


class _Recording(TorchFunctionMode):
    """Makes nodes of functions that are given no input, like those that make tensors: what they make depends on the device."""

    def __init__(self, tracer: ShapeTracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        is_traced = any(isinstance(one, fx.Proxy) for one in _leaves((args, kwargs)))
        if is_traced or self._tracer.known.is_asking:
            return func(*args, **kwargs)
        with torch.device("meta"):
            result = func(*args, **kwargs)
        if not has_tensors(result):
            return result
        name = func.__name__
        if name == "__get__":
            return self._tracer.create_proxy("call_function", getattr, (args[0], func.__self__.__name__), kwargs)
        if is_tensor_method_or_property(func) and not _is_operator(name):
            return self._tracer.create_proxy("call_method", name, args, kwargs)
        func = vars(operator)[name] if _is_operator(name) else func
        return self._tracer.create_proxy("call_function", func, args, kwargs)


def _is_operator(name: str) -> bool:
    return name.startswith("__") and name in vars(operator)


def _leaves(values: Any) -> Iterator[Any]:
    if isinstance(values, dict):
        yield from _leaves(tuple(values.values()))
    elif isinstance(values, (tuple, list)):
        for one in values:
            yield from _leaves(one)
    else:
        yield values
