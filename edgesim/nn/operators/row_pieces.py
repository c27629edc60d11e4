"""Computing a box of a linear layer, a row-wise operator, a move of elements, a matrix product or attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from edgesim.nn.cost.plain import Attention, Expanded, Joined, PartialSums, Permuted, Repeated, Reshaped, Sliced
from edgesim.nn.cost.trace import submodule
from edgesim.nn.operators.boxes import index
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.rows import normalised_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.nn.operators.boxes import Box
    from edgesim.nn.operators.readers import Cuttable


def row_piece(  # noqa: PLR0911 - one for each kind of layer
    graph: fx.GraphModule, node: fx.Node, layer: Cuttable, box: Box, inputs: Sequence[torch.Tensor]
) -> torch.Tensor | None:
    """Return a box of the output of one of these operators; None when a node is none, or what it reads is all that it takes.

    Parameters
    ----------
    graph, node : the traced network and a node of it.
    layer : says what the box reads.
    box : not empty.
    inputs : for each operand the box that is read, shape (n, ...).
    """
    module = submodule(graph, node)
    if isinstance(module, nn.Linear):
        rows = slice(box[-1].start, box[-1].stop)
        bias: torch.Tensor | None = module.bias
        return nn.functional.linear(inputs[0], module.weight[rows], None if bias is None else bias[rows])
    if isinstance(module, PartialSums):
        bounds = zip(module.starts[box[0].start : box[0].stop], module.starts[box[0].start + 1 :], strict=False)
        first = layer.reader.reads(box)[0][1][-1].start
        return torch.stack([module.part(inputs[0][..., a - first : b - first], a, b) for a, b in bounds], dim=1)
    if isinstance(module, Joined):
        return module.joined(inputs[0], [_part(constant, box) for constant in module.constants()])
    if isinstance(module, Attention):
        queries, keys, _ = layer.input_shapes
        reads = [read for _, read in layer.reader.reads(box)]
        return _attend(module, box, reads, inputs, queries[0] // keys[0])
    if isinstance(module, (Permuted, Expanded, Repeated, Sliced, Reshaped)):
        return _moved(module, box, layer.reader.reads(box)[0][1], inputs[0])
    axes = normalised_axes(module, node, len(layer.shape))
    if axes:
        whole: torch.Tensor = call(graph, node, inputs)
        return whole[_within(axes, box, layer.shape)]
    return None


def _within(axes: Sequence[int], box: Box, shape: Sequence[int]) -> tuple[slice, ...]:
    """Return what picks a box out of a tensor that is whole along some axes and is the box along the others."""
    return index(
        tuple(rows if axis in axes else range(n) for axis, (rows, n) in enumerate(zip(box, shape, strict=True)))
    )


def _part(constant: torch.Tensor, box: Box) -> torch.Tensor:
    """Return the part of a constant that a box of a tensor with a batch axis meets, when it is spread over the tensor."""
    first = constant.dim() - len(box)
    return constant[
        tuple(
            slice(None) if size == 1 or axis < first else slice(box[axis - first].start, box[axis - first].stop)
            for axis, size in enumerate(constant.shape)
        )
    ]


def _moved(module: nn.Module, box: Box, there: Box, inputs: torch.Tensor) -> torch.Tensor:
    if isinstance(module, Expanded):
        return inputs.expand(len(inputs), *(len(rows) for rows in box))
    if isinstance(module, Repeated):
        first = box[module.axis].start - there[module.axis].start * module.times
        repeated: torch.Tensor = module(inputs)
        return repeated.narrow(module.axis + 1, first, len(box[module.axis]))
    if isinstance(module, Sliced):
        return inputs[(slice(None), *(slice(None, None, one.step) for one in module.slices))]
    if isinstance(module, Reshaped):
        return _reshaped(module, box, there, inputs)
    moved: torch.Tensor = module(inputs)
    return moved


def _reshaped(module: Reshaped, box: Box, there: Box, inputs: torch.Tensor) -> torch.Tensor:
    """Pick the elements of a box: count them through in the whole tensor, and find them in the part that is there."""
    if tuple(len(rows) for rows in there) == module.before and tuple(len(rows) for rows in box) == module.after:
        whole: torch.Tensor = module(inputs)
        return whole
    number = torch.zeros((), dtype=torch.int64)
    for axis, (rows, n) in enumerate(zip(box, module.after, strict=True)):
        shape = [1] * len(box)
        shape[axis] = len(rows)
        number = number * n + torch.arange(rows.start, rows.stop).reshape(shape)
    local = torch.zeros_like(number)
    left = number
    stride = 1
    for rows, n in reversed(list(zip(there, module.before, strict=True))):
        local = local + (left % n - rows.start) * stride
        left = left // n
        stride *= len(rows)
    return inputs.reshape(len(inputs), -1)[:, local.reshape(-1)].reshape(len(inputs), *(len(rows) for rows in box))


def _attend(
    module: Attention, box: Box, reads: Sequence[Box], inputs: Sequence[torch.Tensor], n_sharing: int
) -> torch.Tensor:
    """Attend with the heads and rows of a box: so many heads share keys and values; masks go by row."""
    q, k, v = inputs
    heads, rows = box[0], box[1]
    n_keys = k.shape[2]
    if n_sharing > 1:
        first = heads.start - reads[1][0].start * n_sharing
        k, v = (one.repeat_interleave(n_sharing, dim=1).narrow(1, first, len(heads)) for one in (k, v))
    mask = module.mask
    mask = None if mask is None else _part(mask, (heads, rows, range(n_keys)))
    if module.is_causal:
        seen = torch.arange(rows.start, rows.stop)[:, None] >= torch.arange(n_keys)
        mask = (
            seen if mask is None else mask.masked_fill(~seen, -torch.inf) if mask.is_floating_point() else mask & seen
        )
    return module.attend(q, k, v, mask, is_causal=False)
