"""Following a change of a box through layers that are linear: convolutions, normalisations, sums."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from edgesim.nn.cost.trace import function_name, submodule
from edgesim.nn.operators.pieces import CONVOLVE
from edgesim.nn.operators.readers import NORMS, Cuttable, paddings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.nn.operators.boxes import Box


class Kinds:
    """What nodes are to a change.

    ``modules``: what they call, or None. ``maps``: those that read one element for each of theirs. ``scales``: of normalisations, which are maps, by what
    they multiply each channel. ``exact``: maps whose result has the same bits whatever box it is computed in; of others the last bits depend on how
    elements lie in memory and how many are left for the last instruction. ``sums``: those that add two tensors of one shape.
    ``means``: those that average all positions of each channel.

    Parameters
    ----------
    graph : the traced network.
    layers : its nodes that are computed box by box.
    """

    def __init__(self, graph: fx.GraphModule, layers: Mapping[fx.Node, Cuttable]) -> None:
        self.modules = {node: submodule(graph, node) for node in layers}
        self.maps = {node for node, layer in layers.items() if layer.reader.is_map}
        self.scales = {node: _scale(self.modules[node]) for node in self.maps if isinstance(self.modules[node], NORMS)}
        self.exact = {
            node for node in self.maps if isinstance(self.modules[node], nn.ReLU) or function_name(node) == "relu"
        }
        self.means = {node for node, layer in layers.items() if _is_mean(self.modules[node], layer)}
        self.sums = {node for node, layer in layers.items() if _is_sum(node, layer)}


def _scale(module: nn.Module | None) -> torch.Tensor:
    given: Any = module  # with running statistics, else it would be no map
    scale: torch.Tensor = torch.rsqrt(given.running_var + given.eps)
    return scale if given.weight is None else scale * given.weight.detach()


def _is_sum(node: fx.Node, layer: Cuttable) -> bool:
    is_plain = function_name(node) == "add" and len(node.args) == 2 and not node.kwargs
    return is_plain and len(layer.input_shapes) == 2 and set(layer.input_shapes) == {layer.shape}


def _is_mean(module: nn.Module | None, layer: Cuttable) -> bool:
    is_average = isinstance(module, (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d))
    return is_average and all(size == 1 for size in layer.shape[1:])


def averaged(change: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return by how much the means of the channels of a tensor of this shape, without the batch axis, change when it changes in a box."""
    axes = tuple(range(2, change.dim()))
    return change.sum(axes, keepdim=True) / prod(shape[1:])


def is_linear_in(module: nn.Module | None, changed: Box, shape: tuple[int, ...]) -> bool:
    """Return whether `convolved` can follow a change of a box of an input of this shape through a module."""
    if not isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return False
    return module.groups == 1 or len(changed[0]) == shape[0]


def convolved(module: nn.Conv1d | nn.Conv2d | nn.Conv3d, box: Box, changed: Box, change: torch.Tensor) -> torch.Tensor:
    """Return by how much a convolution changes when its input changes in a box.

    A convolution is linear, so only the change is multiplied: of the windows at its border only the rows that change.

    Parameters
    ----------
    module : the convolution.
    box : of its output, all positions that read the change.
    changed : of its input.
    change : shape (n, *changed).

    Returns
    -------
    Shape (n, *box), a tensor of its own.
    """
    kept, skipped, padding = [slice(None), slice(None)], [slice(None), slice(None)], []
    sizes = zip(module.kernel_size, module.stride, module.dilation, paddings(module), strict=True)
    for rows, own, (k, s, d, (before, _)) in zip(box[1:], changed[1:], sizes, strict=True):
        first, stop = rows.start * s - before, (rows.stop - 1) * s - before + (k - 1) * d + 1
        kept.append(slice(max(0, first - own.start), min(len(own), stop - own.start)))
        lead, tail = max(0, own.start - first), max(0, stop - own.stop)
        n_more = -(-max(0, tail - lead) // s)  # as many zeros before as behind: positions that nobody asked for
        padding.append(lead + n_more * s)
        skipped.append(slice(n_more, n_more + len(rows)))
    weight = module.weight
    if module.groups == 1:
        weight = weight[box[0].start : box[0].stop, changed[0].start : changed[0].stop]
    elif len(box[0]) != module.out_channels:
        skipped[1] = slice(box[0].start, box[0].stop)
    convolve = CONVOLVE[len(padding) - 1]
    found: torch.Tensor = convolve(
        change[tuple(kept)], weight, None, module.stride, padding, module.dilation, module.groups
    )
    return found[tuple(skipped)]
