"""What a network costs, counted from the torch module itself."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgesim.domain.networks.costs import LayerCost, ModelGraph
from edgesim.domain.plan import LayerWork
from edgesim.errors import DataError
from edgesim.nn.cost.plain import Joined
from edgesim.nn.cost.trace import (
    byte_of,
    elements_of,
    entries,
    function_name,
    is_view,
    layer_name,
    live_byte,
    origin,
    shape_of,
    submodule,
    trace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import fx

    from edgesim.domain.networks.samples import Inputs

_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_CONVOLUTION_MODULES = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
_NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip
_FEW = 20480  # numbers in the input of a convolution up to which torch multiplies matrices
_WIDE = 3  # sides of kernels above which it never does


def measure(network: nn.Module, inputs: Inputs | tuple[int, ...]) -> ModelGraph:
    """Count work, weights and tensors of every layer for one sample, in evaluation mode.

    Convolutions and matrix products are counted by torch (`torch.utils.flop_counter`): 2 multiply-adds x output elements,
    without the bias. Everything else is elementwise work of class ``other``: an activation or addition one FLOP per
    output element, a normalisation two (scale and shift, since its statistics are constants), a pooling one per element
    of its windows, a reduction one per input element. Operations that only reshape or pass on (flatten, view, dropout)
    cost nothing and are no layers. Valid for networks whose work does not depend on the values of the input.

    Parameters
    ----------
    network : maps inputs of shape (n, *shape) to answers; neither changed nor run.
    inputs : the tensors of one sample; a plain shape, e.g. (channels, height, width), stands for one float32 tensor.

    Returns
    -------
    graph
        Layers in order of execution. Weights that several layers share belong to the first; the others read them as input.

    Raises
    ------
    DataError
        When the network cannot be traced or does not take the shape, or holds a module whose work cannot be counted.

    Notes
    -----
    No arithmetic is done: shapes are propagated without data, so VGG-16 takes no longer than a small network.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 10))
    >>> for layer in measure(network, (1, 8, 8)).layers:
    ...     print(layer.layer_id, layer.operator, layer.output_shape, layer.work_flop, layer.weight_byte)
    0 conv (4, 8, 8) 4608.0 160
    1 other (4, 8, 8) 256.0 0
    3 linear (10,) 5120.0 10280
    """
    graph = trace(network, inputs)
    seen: set[int] = set()
    layers = [layer_cost(graph, node, seen) for node in graph.graph.nodes if is_layer(graph, node)]
    return ModelGraph(tuple(layers), sum(map(byte_of, entries(graph))), max(live_byte(graph).values()))


def layer_work(cost: LayerCost, share: float = 1.0) -> LayerWork:
    """Return what a device does for a layer, or for a share of its output.

    Parameters
    ----------
    cost : the layer.
    share : fraction of the output computed, 0 to 1. Input and output scale with it, the weights are read whole.
    """
    moved_byte = cost.weight_byte + share * (cost.input_byte + cost.output_byte)
    return LayerWork(cost.layer_id, cost.operator, share * cost.work_flop, moved_byte, cost.weight_byte, cost.kind)


def graph_work(graph: ModelGraph) -> tuple[LayerWork, ...]:
    """Return the work of a whole network on one device."""
    return tuple(layer_work(layer) for layer in graph.layers)


def is_layer(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node of a traced network computes something."""
    is_call = node.op in {"call_module", "call_function", "call_method"}
    return is_call and bool(node.meta["tensors"]) and not is_view(graph, node)


def layer_cost(graph: fx.GraphModule, node: fx.Node, seen: set[int]) -> LayerCost:
    """Count one node of a traced network; `seen` holds the weights that earlier layers brought, and is added to."""
    weight_byte = again_byte = 0
    for tensor in weights_of(graph, node):
        size = tensor.numel() * tensor.element_size()
        if id(tensor) in seen:
            again_byte += size
        else:
            seen.add(id(tensor))
            weight_byte += size
    operator = operator_of(graph, node)
    sources = [source for source in node.all_input_nodes if origin(graph, source).op != "get_attr"]
    return LayerCost(
        layer_id=layer_name(node),
        operator=operator,
        output_shape=shape_of(node),
        work_flop=float(node.meta["flop"] or _elementwise_flop(graph, node)),
        weight_byte=weight_byte,
        input_byte=again_byte + sum(byte_of(source) for source in sources),
        output_byte=byte_of(node),
        kind=kind_of(graph, node),
    )


def kind_of(graph: fx.GraphModule, node: fx.Node) -> str:
    """Return what a node computes: the name of its module or function, of convolutions and poolings with kernel and stride, e.g. ``"conv2d 3x3/2"``.

    Of a convolution ``large`` says that torch computes it by oneDNN, ``grouped`` that each output reads a part of the channels, see `_how`.
    """
    module = submodule(graph, node)
    name = type(module).__name__.lower() if module is not None else function_name(node)
    name = (
        name.replace("_", "") if any(one in name for one in ("conv", "pool", "norm")) else name
    )  # a function has the name of its module
    weight = next(weights_of(graph, node), None) if "conv" in name else None
    window = tuple(weight.shape[2:]) if weight is not None else _window(graph, node)
    if not window:
        return name
    stride = _stride(node, module, window if weight is None else (1,))
    how = _how(node, weight, window, stride) if weight is not None and "transpose" not in name else ""
    return f"{name} {'x'.join(map(str, window))}{f'/{stride}' if stride > 1 else ''}{how}"


def _stride(node: fx.Node, module: nn.Module | None, default: tuple[int, ...]) -> int:
    """Return the first step of a convolution or pooling, whether it is a module or a function."""
    place = 3 if "conv" in function_name(node) else 2
    said = getattr(module, "stride", None) or node.kwargs.get("stride")
    if said is None and module is None and len(node.args) > place:
        said = node.args[place]
    stride: Any = said or default
    return int(stride[0] if isinstance(stride, tuple | list) else stride)


def _how(node: fx.Node, weight: torch.Tensor, window: tuple[int, ...], stride: int) -> str:
    """Say which of its ways torch takes through a convolution of one sample on one thread.

    Those of few numbers it multiplies as matrices, others it leaves to oneDNN; what they take jumps where one gives way to the other
    (``use_mkldnn`` in torch's Convolution.cpp).
    """
    source = node.all_input_nodes[0]
    n_channels = shape_of(source)[0]
    if weight.shape[1] < n_channels:
        return "" if weight.shape[1] == 1 else " grouped"
    is_wide = len(window) > 1 and min(window[-2:]) > _WIDE
    is_point = stride == 1 and max(window) == 1
    return " large" if elements_of(source) > _FEW and not is_wide and not is_point else ""


def _window(graph: fx.GraphModule, node: fx.Node) -> tuple[int, ...]:
    """Return the window of a pooling, one number for each axis; of everything else none."""
    window = getattr(submodule(graph, node), "kernel_size", None)
    if window is None and "pool" in function_name(node) and "adaptive" not in function_name(node):
        window = node.args[1] if len(node.args) > 1 else node.kwargs["kernel_size"]
    if window is None:
        return ()
    return tuple(map(int, window)) if isinstance(window, tuple | list) else (int(window),) * (len(shape_of(node)) - 1)


def operator_of(graph: fx.GraphModule, node: fx.Node) -> str:
    """Return the operator class of a node, one of `edgesim.domain.system.topology.OPERATORS`."""
    module = submodule(graph, node)
    if isinstance(module, _CONVOLUTION_MODULES) or function_name(node) in _CONVOLUTIONS:
        weight = next(weights_of(graph, node), None)
        n_channels = shape_of(node.all_input_nodes[0])[0]
        return "depthwise" if weight is not None and weight.shape[1] == 1 and n_channels > 1 else "conv"
    if node.meta["flop"]:
        return "linear"
    matrices = [parameter for parameter in module.parameters() if parameter.dim() > 1] if module is not None else []
    if matrices and not isinstance(module, (nn.Embedding, nn.EmbeddingBag, Joined, *_NORMS)):
        raise DataError(
            f"the work of module {str(node.target)!r} ({type(module).__name__}) cannot be counted; "
            "build it from convolutions, linear layers and elementwise operations"
        )
    return "other"


def weights_of(graph: fx.GraphModule, node: fx.Node) -> Iterator[torch.Tensor]:
    """Yield the parameters and buffers that a node reads, also through views of them, the weight first."""
    module = submodule(graph, node)
    if module is not None:
        yield from sorted(module.parameters(), key=torch.Tensor.dim, reverse=True)
        yield from module.buffers()
    read = [
        origin(graph, source) for source in node.all_input_nodes if source.op == "get_attr" or source.meta["tensors"]
    ]
    for source in dict.fromkeys([node, *read]):
        if source.op == "get_attr":
            holder, _, name = str(source.target).rpartition(".")
            value = getattr(graph.get_submodule(holder), name)
            if isinstance(value, torch.Tensor):
                yield value


def _elementwise_flop(graph: fx.GraphModule, node: fx.Node) -> int:
    """One operation per element, as described at `measure`."""
    n_out = elements_of(node)
    module = submodule(graph, node)
    if isinstance(module, _NORMS) or function_name(node).endswith("_norm"):
        return 2 * n_out
    window = _window(graph, node)
    if window:
        return n_out * prod(window)
    n_in = max((elements_of(source) for source in node.all_input_nodes if source.op != "get_attr"), default=0)
    return max(n_in, n_out)
