"""Rewriting traced networks so that the rest of the package meets fewer forms of the same thing."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from edgesim.errors import DataError
from edgesim.nn.cost.trace import function_name, is_in_place, is_view, layer_name, shape_of

_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_ARGUMENTS = {
    "conv1d": _CONVOLUTION,
    "conv2d": _CONVOLUTION,
    "conv3d": _CONVOLUTION,
    "linear": ("input", "weight", "bias"),
    "matmul": ("input", "weight"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
}
_CONVOLUTIONS = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d}
_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}


def modules_for_functions(graph: fx.GraphModule) -> None:
    """Let modules stand for the functions conv1d to conv3d, linear, batch_norm, layer_norm and rms_norm, and products with a matrix of weights.

    The modules hold the very parameters and buffers that the functions read. A function stays when one of its weights is
    computed from others, or when it normalises by the statistics of the batch.
    """
    made: dict[str, str] = {}  # the same function of the same weights is one module
    for node in list(graph.graph.nodes):
        name = function_name(node)
        if node.op != "call_function" or name not in _ARGUMENTS:
            continue
        options: dict[str, Any] = {**dict(zip(_ARGUMENTS[name], node.args, strict=False)), **node.kwargs}
        source = options.pop("input")
        constants = [value for value in options.values() if isinstance(value, fx.Node)]
        is_plain = isinstance(source, fx.Node) and node.all_input_nodes == list(dict.fromkeys([source, *constants]))
        if not is_plain or any(constant.op != "get_attr" for constant in constants):
            continue
        key = f"{name} {sorted((key, str(getattr(value, 'target', value))) for key, value in options.items())}"
        if key not in made:
            given = {key: _value(graph, value) for key, value in options.items()}
            module = _module(name, given, len(shape_of(node)))
            if module is None:
                continue
            made[key] = free_name(graph, node.name)
            graph.add_submodule(made[key], module.eval())
        node.op, node.target, node.args, node.kwargs = "call_module", made[key], (source,), {}
        for constant in dict.fromkeys(constants):
            if not constant.users:
                graph.graph.erase_node(constant)
    graph.recompile()


def _value(graph: fx.GraphModule, value: Any) -> Any:
    """Return the parameter or buffer that a node reads; what is no node is returned as it is."""
    if not isinstance(value, fx.Node):
        return value
    holder, _, name = str(value.target).rpartition(".")
    return getattr(graph.get_submodule(holder), name)


def _module(name: str, given: dict[str, Any], n_axes: int) -> nn.Module | None:  # noqa: PLR0911 - one for each function
    """Return the module that computes a function with these options; None when there is none."""
    if name == "batch_norm":
        if given.get("training") or given.get("running_mean") is None or given.get("running_var") is None:
            return None
        norm = _NORMS[n_axes](len(given["running_mean"]), given.get("eps", 1e-5), affine=False, device="meta")
        norm.running_mean, norm.running_var = given["running_mean"], given["running_var"]
        norm.num_batches_tracked = None  # no function has one
        return _holding(norm, given)
    if name in {"layer_norm", "rms_norm"}:
        return _row_norm(name, given)
    weight: torch.Tensor = given["weight"]
    if name == "matmul":
        if weight.dim() != 2:
            return None
        linear = nn.Linear(weight.shape[0], weight.shape[1], bias=False, device="meta")
        return _holding(linear, {"weight": weight.detach().t()})
    has_bias = given.get("bias") is not None
    if name == "linear":
        return _holding(nn.Linear(weight.shape[1], weight.shape[0], has_bias, device="meta"), given)
    options = {key: given[key] for key in ("stride", "padding", "dilation", "groups") if key in given}
    n_inputs = weight.shape[1] * options.get("groups", 1)
    size = tuple(weight.shape[2:])
    make: Any = _CONVOLUTIONS[name]
    return _holding(make(n_inputs, weight.shape[0], size, **options, bias=has_bias, device="meta"), given)


def _row_norm(name: str, given: dict[str, Any]) -> nn.Module:
    shape, options = given["normalized_shape"], {"eps": given["eps"]} if "eps" in given else {}
    norm: nn.Module = (
        nn.LayerNorm(shape, **options, elementwise_affine=False, device="meta")
        if name == "layer_norm"
        else nn.RMSNorm(shape, **options, elementwise_affine=False, device="meta")
    )
    return _holding(norm, given)


def _holding(module: nn.Module, given: dict[str, Any]) -> nn.Module:
    """Give a module the weight and the bias that a function reads."""
    for name in ("weight", "bias"):
        tensor = given.get(name)
        if tensor is not None:
            is_parameter = isinstance(tensor, nn.Parameter)
            setattr(module, name, tensor if is_parameter else nn.Parameter(tensor, requires_grad=False))
    return module


def free_name(graph: fx.GraphModule, name: str) -> str:
    """Return a name that no attribute of the network has."""
    while hasattr(graph, name):
        name += "_"
    return name


def let_readers_follow(graph: fx.GraphModule) -> None:
    """Let all that read a tensor after it was overwritten read the node that overwrote it.

    So a node may run on a copy of its input: nothing depends on the memory of another node any more.

    Raises
    ------
    DataError
        When the overwritten tensor is read again through a view.
    """
    order = {node: position for position, node in enumerate(graph.graph.nodes)}
    holder: dict[fx.Node, fx.Node] = {}
    for node in graph.graph.nodes:
        sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
        overwrites = bool(sources) and is_in_place(graph, node)
        is_sharing = bool(sources) and bool(shape_of(node)) and (overwrites or is_view(graph, node))
        holder[node] = holder[sources[0]] if is_sharing else node
        if not overwrites:
            continue
        source = sources[0]
        for user in list(source.users):
            if order[user] > order[node]:
                user.replace_input_with(source, node)
        for other, owner in holder.items():
            is_alias = owner is holder[node] and other not in {node, source}
            if is_alias and any(order[user] > order[node] for user in other.users):
                raise DataError(
                    f"layer {layer_name(node)!r} overwrites a tensor that {layer_name(other)!r} shares and that is read "
                    "later; set inplace=False, or use the operation that does not overwrite"
                )
    graph.recompile()
