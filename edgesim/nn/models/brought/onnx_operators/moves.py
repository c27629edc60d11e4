"""Operators that move numbers, pick some, or make such as follow from shapes."""

# ruff: noqa: ARG001, D103 - operators have one form, and the names of ONNX
from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from edgesim.nn.models.brought.assembly import SAMPLES, Traced
from edgesim.nn.models.brought.onnx_operators.given import (
    CannotConvertError,
    axes_of,
    holding,
    known,
    number,
    shape_of,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.nn.models.brought.assembly import Assembly


def flatten(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, axis = inputs[0], attributes.get("axis", 1)
    return net.call(torch.flatten, x, 1) if axis == 1 else reshaped(net, x, [size_of(shape_of(x)[:axis]), -1])


def reshape(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, wanted = inputs[0], list(known(inputs[1], "shape"))
    if not attributes.get("allowzero"):
        wanted = [shape_of(x)[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return reshaped(net, x, wanted)


def reshaped(net: Assembly, x: Any, wanted: list[int]) -> Any:
    """Return x in another shape; a first size of 1 in a file that was written for one sample means all of them."""
    size = size_of(shape_of(x))
    of_one = SAMPLES * abs(size_of(wanted)) if -1 not in wanted else 0
    has_samples = (
        isinstance(x, Traced) and size % SAMPLES == 0 and not any(one % SAMPLES == 0 for one in wanted if one > 0)
    )
    if has_samples and wanted and wanted[0] == 1 and (of_one == size or -1 in wanted[1:]):
        wanted = [SAMPLES, *wanted[1:]]
    return net.call("reshape", x, *wanted)


def transpose(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call("permute", inputs[0], *attributes.get("perm", reversed(range(len(shape_of(inputs[0]))))))


def squeeze(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axes, n_axes = axes_of(inputs, attributes), len(shape_of(inputs[0]))
    made = inputs[0]
    if axes is None:
        return net.call("squeeze", made)
    for axis in sorted((one % n_axes for one in axes), reverse=True):
        made = net.call("squeeze", made, axis)
    return made


def unsqueeze(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axes = axes_of(inputs, attributes) or []
    made, n_axes = inputs[0], len(shape_of(inputs[0])) + len(axes)
    for axis in sorted(one % n_axes for one in axes):
        made = net.call("unsqueeze", made, axis)
    return made


def concat(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call(torch.cat, list(inputs), attributes["axis"])


def split(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axis = attributes.get("axis", 0)
    size = shape_of(inputs[0])[axis]
    if len(inputs) > 1 and inputs[1] is not None:
        sizes = known(inputs[1], "sizes")
    elif "split" in attributes:
        sizes = list(attributes["split"])
    else:
        n = attributes.get("num_outputs", attributes["n_results"])
        step = -(-size // n)
        sizes = [min(step, size - step * place) for place in range(n)]
    return net.call(torch.split, inputs[0], sizes, axis)


def slice_(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, shape = inputs[0], shape_of(inputs[0])
    given = [known(one, "bounds") if one is not None else None for one in inputs[1:]]
    bounds: tuple[Any, Any] = (given[0], given[1]) if given else (attributes["starts"], attributes["ends"])
    starts, ends = bounds
    axes = (given[2] if len(given) > 2 else attributes.get("axes")) or list(range(len(starts)))
    steps = (given[3] if len(given) > 3 else None) or [1] * len(starts)
    if not isinstance(x, Traced):
        which_known: list[slice] = [slice(None)] * x.dim()
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            which_known[axis] = slice(start, end, step)
        return torch.from_numpy(x.numpy()[tuple(which_known)].copy())
    if any(step < 1 for step in steps):
        raise CannotConvertError("it goes backwards")
    which: list[slice] = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        stop = None if end >= shape[axis] else end
        which[axis] = slice(start or None, stop, None if step == 1 else step)
    while which and which[-1] == slice(None):
        which.pop()
    return net.call(operator.getitem, x, tuple(which)) if which else x


def gather(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, which, axis = inputs[0], inputs[1], attributes.get("axis", 0)
    if isinstance(which, Traced):
        if axis == 0 and isinstance(x, torch.Tensor) and x.dim() == 2:
            module = nn.Embedding(x.shape[0], x.shape[1], device="meta")
            return net.module(name, holding(module, x, None), which)
        if len(which.shape) == 1:
            return net.call(torch.index_select, x, axis, which)
        raise CannotConvertError("its places are computed from the input")
    places = which.tolist()
    if isinstance(places, int):
        return net.call(operator.getitem, x, (*[slice(None)] * (axis % len(shape_of(x))), places))
    if which.dim() == 1:
        size = shape_of(x)[axis]
        return net.call(torch.index_select, x, axis, torch.tensor([place % size for place in places]))
    raise CannotConvertError("its places have several axes")


def shape(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    found = shape_of(inputs[0])[attributes.get("start", 0) : attributes.get("end")]
    return torch.tensor(found, dtype=torch.int64)


def constant_of_shape(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    value = attributes.get("value", torch.zeros(1))
    return net.call(torch.full, known(inputs[0], "shape"), value.flatten()[0].item(), dtype=value.dtype)


def expand(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    wanted, there = known(inputs[1], "shape"), list(shape_of(inputs[0]))
    n = max(len(wanted), len(there))
    wanted, there = [1] * (n - len(wanted)) + wanted, [1] * (n - len(there)) + there
    return net.call("expand", inputs[0], *(max(a, b) for a, b in zip(wanted, there, strict=True)))


def pad(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    pads = known(inputs[1], "pads") if len(inputs) > 1 else list(attributes["pads"])
    mode = attributes.get("mode", b"constant").decode()
    n = len(pads) // 2
    if len(inputs) > 3 and inputs[3] is not None:
        raise CannotConvertError("it pads chosen axes")
    value = number(inputs[2]) if len(inputs) > 2 and inputs[2] is not None else attributes.get("value", 0.0)
    both = [one for axis in reversed(range(n)) for one in (pads[axis], pads[axis + n])]
    while len(both) > 2 and both[-2:] == [0, 0]:
        both = both[:-2]
    if mode == "constant":
        return net.call(functional.pad, inputs[0], both, value=value)
    return net.call(functional.pad, inputs[0], both, mode={"edge": "replicate"}.get(mode, mode))


def resize(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    mode, how = (
        attributes.get(key, default).decode()
        for key, default in (("mode", b"nearest"), ("coordinate_transformation_mode", b"half_pixel"))
    )
    x, there = inputs[0], shape_of(inputs[0])
    if len(inputs) > 3 and inputs[3] is not None:
        sizes = known(inputs[3], "sizes")[2:]
    else:
        sizes = [int(size * factor) for size, factor in zip(there[2:], known(inputs[2], "scales")[2:], strict=True)]
    nearest = attributes.get("nearest_mode", b"round_prefer_floor").decode()
    if mode == "nearest" and how == "asymmetric" and nearest == "floor":
        return net.call(functional.interpolate, x, sizes, mode="nearest")
    if mode == "linear" and how in {"half_pixel", "pytorch_half_pixel", "align_corners"}:
        named = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(sizes)]
        return net.call(functional.interpolate, x, sizes, mode=named, align_corners=how == "align_corners")
    raise CannotConvertError(f"mode {mode}, {how}, {nearest} is none of torch")


def range_(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return torch.arange(*(known(one, "bounds") for one in inputs), dtype=inputs[0].dtype)


def tile(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call("repeat", inputs[0], *known(inputs[1], "repeats"))


def trilu(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    k = known(inputs[1], "diagonal") if len(inputs) > 1 and inputs[1] is not None else 0
    return net.call(torch.triu if attributes.get("upper", 1) else torch.tril, inputs[0], k)


def constant(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if key in attributes:
            return torch.as_tensor(attributes[key])
    raise CannotConvertError("it has a value of another type than numbers")
