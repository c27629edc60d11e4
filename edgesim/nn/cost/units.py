"""Which axis of a layer's output counts its units: channels of a convolution, features of a linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from edgesim.errors import DataError
from edgesim.nn.cost.trace import VIEW_NAMES, function_name, submodule

if TYPE_CHECKING:
    import torch
    from torch import fx

CHANNEL_FIRST = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
"""Modules whose output has its units on the first axis behind the batch."""
FEATURE_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.MultiheadAttention)
"""Modules whose output has its units on the last axis."""
MOVING = frozenset(
    VIEW_NAMES - {"dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "contiguous", "detach"}
)
"""Functions and methods behind which axes are others."""


def unit_axis(graph: fx.GraphModule, layer: str, output: torch.Tensor) -> int:
    """Return the axis of the units in the output of a layer, which has a batch axis at 0.

    A layer that is neither a convolution, normalisation or linear layer, like a ReLU, has the units of the nearest one before it.

    Parameters
    ----------
    graph : the traced network.
    layer : submodule; its last call counts.
    output : of the layer.

    Raises
    ------
    DataError
        When the layer gives no tensor with units, or no known layer before it says which axis counts them.
    """
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) < 2:
        given = f"a {type(output).__name__}" if shape is None else f"a tensor of shape {tuple(shape)}"
        raise DataError(
            f"layer {layer!r} gives {given}; filters are the units of one tensor; name a layer that gives one"
        )
    if len(shape) == 2:
        return 1
    calls = (node for node in reversed(graph.graph.nodes) if node.op == "call_module" and node.target == layer)
    node: fx.Node | None = next(calls)
    while node is not None:
        module = submodule(graph, node)
        if isinstance(module, CHANNEL_FIRST):
            return 1
        if isinstance(module, FEATURE_LAST):
            return len(shape) - 1
        node = _before(graph, node)
    raise DataError(
        f"layer {layer!r} gives tensors of shape {tuple(shape[1:])}, and no convolution, normalisation or linear layer right "
        "before it says which axis counts its filters; name one of those"
    )


def _before(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Return the node whose axes a node keeps; None where there is none, or axes change."""
    sources = [
        source for source in node.all_input_nodes if source.op in {"call_module", "call_function", "call_method"}
    ]
    is_moving = isinstance(submodule(graph, node), (nn.Flatten, nn.Unflatten)) or function_name(node) in MOVING
    return None if is_moving or not sources else sources[0]
