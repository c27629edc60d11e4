"""Computing a box of a layer's output from nothing but the boxes of its input that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import fx, nn

from edgesim.nn.cost.trace import function_name, submodule
from edgesim.nn.operators.boxes import Box, index, relative
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.readers import (
    CONVOLUTIONS,
    NORMS,
    Cuttable,
    Pool,
    is_concatenation,
    paddings,
)
from edgesim.nn.operators.row_pieces import row_piece

CONVOLVE: tuple[Any, ...] = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)
_MAXIMUM: tuple[Any, ...] = (nn.functional.max_pool1d, nn.functional.max_pool2d, nn.functional.max_pool3d)
_MEAN: tuple[Any, ...] = (nn.functional.avg_pool1d, nn.functional.avg_pool2d, nn.functional.avg_pool3d)


def piece(  # noqa: PLR0911 - one for each kind of layer
    graph: fx.GraphModule, node: fx.Node, layer: Cuttable, box: Box, inputs: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Compute a box of a layer's output.

    Parameters
    ----------
    graph, node : the traced network and the layer's node in it.
    layer : says what the box reads.
    box : not empty.
    inputs : for each operand the box that is read, shape (n, ...).
    """
    module = submodule(graph, node)
    source_shape = layer.input_shapes[0]
    if isinstance(module, CONVOLUTIONS):
        return _convolve(module, box, layer.reader.reads(box)[0][1], source_shape, inputs[0])
    found = row_piece(graph, node, layer, box, inputs)
    if found is not None:
        return found
    if isinstance(module, NORMS):
        channels = slice(box[0].start, box[0].stop)
        constants = (module.running_mean, module.running_var, module.weight, module.bias)
        mean, variance, weight, offset = (None if c is None else c[channels] for c in constants)
        return nn.functional.batch_norm(inputs[0], mean, variance, weight, offset, training=False, eps=module.eps)
    if is_concatenation(node):
        return _concatenated(node, inputs)
    if layer.pool is not None:
        return _pooled(layer.pool, box, layer.reader.reads(box)[0][1], source_shape, inputs[0])
    if "adaptive" in function_name(node) or "Adaptive" in type(module).__name__:
        return _adaptive(graph, node, layer, box, inputs[0])
    result: torch.Tensor = call(graph, node, inputs)
    return result


def _concatenated(node: fx.Node, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    if not isinstance(axis, int):
        raise TypeError(f"{node.name!r} concatenates along {axis!r}")
    return torch.cat([tensor for tensor in inputs if tensor.numel()], dim=axis)


def _padded(available: torch.Tensor, reads: Sequence[range], there: Box, value: float) -> torch.Tensor:
    """Surround what a box has with a constant, so that it reaches over all positions that windows read."""
    widths = []
    for window, rows in zip(reads, there[1:], strict=True):
        before = min(max(rows.start - window.start, 0), len(window))
        widths.append((before, len(window) - len(rows) - before))
    flat = [width for pair in reversed(widths) for width in pair]
    return nn.functional.pad(available, flat, value=value) if any(flat) else available


def _convolve(
    module: nn.Conv1d | nn.Conv2d | nn.Conv3d, box: Box, there: Box, source_shape: Sequence[int], inputs: torch.Tensor
) -> torch.Tensor:
    before = [first for first, _ in paddings(module)]
    windows = [
        range(rows.start * s - p, (rows.stop - 1) * s - p + (k - 1) * d + 1)
        for rows, s, p, k, d in zip(box[1:], module.stride, before, module.kernel_size, module.dilation, strict=True)
    ]
    sizes = zip(source_shape[1:], before, module.kernel_size, module.dilation, module.stride, strict=True)
    counts = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, k, d, s in sizes]
    padding = [  # an axis of which nothing is left out is padded while it is convolved, not copied
        p if rows == range(n_outputs) and read == range(n) else 0
        for rows, n_outputs, read, n, p in zip(box[1:], counts, there[1:], source_shape[1:], before, strict=True)
    ]
    reads = [read if p else window for window, read, p in zip(windows, there[1:], padding, strict=True)]
    padded = _padded(inputs, reads, there, 0.0)
    n_groups = len(there[0]) * module.groups // source_shape[0]  # those that the box's channels belong to
    per_group = module.out_channels // module.groups
    first = box[0].start if n_groups == 1 and module.groups == 1 else box[0].start // per_group * per_group
    stop = box[0].stop if module.groups == 1 else first + n_groups * per_group
    bias = None if module.bias is None else module.bias[first:stop]
    convolve = CONVOLVE[len(reads) - 1]
    result: torch.Tensor = convolve(
        padded, module.weight[first:stop], bias, module.stride, padding, module.dilation, n_groups
    )
    return result[:, box[0].start - first : box[0].stop - first]


def _pooled(pool: Pool, box: Box, there: Box, source_shape: Sequence[int], inputs: torch.Tensor) -> torch.Tensor:
    axes = list(zip(box[1:], pool.kernel, pool.stride, pool.padding, pool.dilation, strict=True))
    reads = [range(rows.start * s - p, (rows.stop - 1) * s - p + (k - 1) * d + 1) for rows, k, s, p, d in axes]
    which = len(axes) - 1
    if pool.is_maximum:
        padded = _padded(inputs, reads, there, -torch.inf)
        largest: torch.Tensor = _MAXIMUM[which](padded, pool.kernel, pool.stride, 0, pool.dilation)
        return largest
    mean: torch.Tensor = _MEAN[which](_padded(inputs, reads, there, 0.0), pool.kernel, pool.stride)
    n_cells = 1
    for k in pool.kernel:
        n_cells *= k
    counts = torch.ones((), dtype=inputs.dtype)
    for position, ((rows, k, s, p, _), n) in enumerate(zip(axes, source_shape[1:], strict=True)):
        starts = torch.arange(rows.start, rows.stop) * s - p
        stops = torch.clamp(starts + k, max=n + p)
        count = stops - starts if pool.is_padding_counted else stops.clamp(max=n) - starts.clamp(min=0)
        shape = [1] * len(axes)
        shape[position] = len(rows)
        counts = counts * count.to(inputs.dtype).reshape(shape)
    if pool.divisor is not None:
        return mean * (n_cells / pool.divisor)
    return mean * (n_cells / counts)


def _adaptive(graph: fx.GraphModule, node: fx.Node, layer: Cuttable, box: Box, inputs: torch.Tensor) -> torch.Tensor:
    """Pool adaptively: each output position by itself, since bins of a part are not the bins of the whole."""
    name = function_name(node) or type(submodule(graph, node)).__name__
    reduce = torch.amax if "max" in name.lower() else torch.mean
    axes = tuple(range(2, inputs.dim()))
    ((_, there),) = layer.reader.reads(box)
    result = inputs.new_empty((len(inputs), *(len(rows) for rows in box)))
    for at in product(*(range(len(rows)) for rows in box[1:])):
        one = (box[0], *(range(rows.start + a, rows.start + a + 1) for rows, a in zip(box[1:], at, strict=True)))
        ((_, read),) = layer.reader.reads(one)
        where: tuple[slice | int, ...] = (slice(None), slice(None), *at)
        result[where] = reduce(inputs[index(relative(read, there))], dim=axes)
    return result
