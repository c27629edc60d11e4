"""What the operators of ONNX are in torch, one function each; `OPERATORS` has them by name.

References
----------
ONNX Operator Schemas, https://onnx.ai/onnx/operators/
"""

# ruff: noqa: ARG001, D103, PLR0917 - operators have one form, and the names of ONNX
from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from edgesim.nn.models.brought.assembly import SAMPLES, Traced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.nn.models.brought.assembly import Assembly


class CannotConvertError(Exception):
    """A node has an option for which there is no counterpart."""


def known(value: Any, what: str) -> Any:
    """Return a tensor that is known as plain numbers."""
    if isinstance(value, Traced):
        raise CannotConvertError(f"its {what} is computed from the input")
    return value.tolist() if isinstance(value, torch.Tensor) else value


def _tensor(value: Any, what: str) -> torch.Tensor:
    known(value, what)
    found: torch.Tensor = value
    return found


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape)


def _plain(value: Any) -> Any:
    """Let a number stand for a tensor without axes."""
    is_number = isinstance(value, torch.Tensor) and not value.dim() and not isinstance(value, nn.Parameter)
    return value.item() if is_number else value


def _pads(attributes: Mapping[str, Any], n_axes: int) -> tuple[list[int], list[int]]:
    """Return what is added before and behind each axis of a window."""
    how = attributes.get("auto_pad", b"NOTSET").decode()
    if how not in {"NOTSET", "VALID"}:
        raise CannotConvertError(f"auto_pad {how} depends on the size of the input; export it with explicit pads")
    pads = list(attributes.get("pads", [0] * 2 * n_axes)) if how == "NOTSET" else [0] * 2 * n_axes
    return pads[:n_axes], pads[n_axes:]


def _padded(net: Assembly, x: Any, before: list[int], behind: list[int], value: float = 0.0) -> tuple[Any, list[int]]:
    """Return the input and the padding that is left to do; padding that differs at both ends is done."""
    if before == behind:
        return x, before
    both = [pad for pair in zip(reversed(before), reversed(behind), strict=True) for pad in pair]
    return net.call(functional.pad, x, both, value=value), [0] * len(before)


_CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def _holding(module: nn.Module, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None:
            setattr(module, name, nn.Parameter(tensor.detach().clone()))
    return module


def conv(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    weight = _tensor(inputs[1], "weight")
    bias = _tensor(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
    n_axes, groups = weight.dim() - 2, attributes.get("group", 1)
    x, padding = _padded(net, inputs[0], *_pads(attributes, n_axes))
    make: Any = _CONVS[n_axes]
    ones = [1] * n_axes
    module = make(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), tuple(attributes.get("strides", ones)),
        tuple(padding), tuple(attributes.get("dilations", ones)), groups, bias is not None, device="meta",
    )  # fmt: skip
    return net.module(name, _holding(module, weight, bias), x)


def conv_transpose(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    weight = _tensor(inputs[1], "weight")
    bias = _tensor(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
    n_axes, groups = weight.dim() - 2, attributes.get("group", 1)
    before, behind = _pads(attributes, n_axes)
    if before != behind or "output_shape" in attributes:
        raise CannotConvertError("its padding differs at both ends")
    make: Any = _TRANSPOSED[n_axes]
    ones = [1] * n_axes
    module = make(
        weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]), tuple(attributes.get("strides", ones)),
        tuple(before), tuple(attributes.get("output_padding", [0] * n_axes)), groups, bias is not None,
        tuple(attributes.get("dilations", ones)), device="meta",
    )  # fmt: skip
    return net.module(name, _holding(module, weight, bias), inputs[0])


def linear(net: Assembly, name: str, x: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> Any:
    """Return a linear layer of x; weight has a row for each output."""
    module = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    return net.module(name, _holding(module, weight.contiguous(), bias), x)


def gemm(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    a, b, *rest = inputs
    c = rest[0] if rest else None
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    if attributes.get("transA"):
        a = net.call("transpose", a, 0, 1)
    is_linear = (
        alpha == beta == 1.0
        and not isinstance(b, Traced)
        and (c is None or (not isinstance(c, Traced) and c.dim() == 1))
    )
    if is_linear:
        return linear(net, name, a, b if attributes.get("transB") else b.T, c)
    b = net.call("transpose", b, 0, 1) if attributes.get("transB") else b
    made = net.call(torch.matmul, a, b)
    made = made if alpha == 1.0 else net.call(torch.mul, made, alpha)
    return made if c is None else net.call(torch.add, made, c, alpha=beta)


def matmul(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    a, b = inputs[:2]
    if isinstance(a, Traced) and isinstance(b, torch.Tensor) and b.dim() == 2:
        return linear(net, name, a, b.T, None)
    return net.call(torch.matmul, a, b)


def batch_norm(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    if attributes.get("training_mode"):
        raise CannotConvertError("it normalises by the batch; export the network in evaluation mode")
    x = inputs[0]
    scale, bias, mean, variance = (_tensor(one, "statistics") for one in inputs[1:5])
    module = _NORMS[len(_shape(x))](len(scale), attributes.get("epsilon", 1e-5), device="meta")
    module.running_mean, module.running_var = mean.clone(), variance.clone()
    module.num_batches_tracked = torch.tensor(0)
    return net.module(name, _holding(module, scale, bias), x)


def layer_norm(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, axis = inputs[0], attributes.get("axis", -1)
    shape = _shape(x)
    sizes = list(shape[axis:] if axis < 0 else shape[axis - len(shape) :])
    scale = _tensor(inputs[1], "scale")
    bias = _tensor(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
    module = nn.LayerNorm(sizes, attributes.get("epsilon", 1e-5), bias=bias is not None, device="meta")
    return net.module(name, _holding(module, scale, bias), x)


def instance_norm(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call(
        functional.instance_norm, inputs[0], weight=inputs[1], bias=inputs[2], eps=attributes.get("epsilon", 1e-5)
    )


def pool(kind: str, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    size = tuple(attributes["kernel_shape"])
    n_axes, is_max = len(size), kind == "max"
    before, behind = _pads(attributes, n_axes)
    counts = bool(attributes.get("count_include_pad", 0))
    if before != behind and not is_max and not counts:
        raise CannotConvertError("its padding differs at both ends and is not counted")
    x, padding = _padded(net, inputs[0], before, behind, float("-inf") if is_max else 0.0)
    options: dict[str, Any] = {"stride": tuple(attributes.get("strides", [1] * n_axes)), "padding": tuple(padding)}
    options["ceil_mode"] = bool(attributes.get("ceil_mode", 0))
    dilations = tuple(attributes.get("dilations", [1] * n_axes))
    if is_max:
        return net.call(getattr(functional, f"max_pool{n_axes}d"), x, size, dilation=dilations, **options)
    if dilations != (1,) * n_axes:
        raise CannotConvertError("it is dilated")
    return net.call(getattr(functional, f"avg_pool{n_axes}d"), x, size, count_include_pad=counts, **options)


def global_pool(kind: str, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    n_axes = len(_shape(inputs[0])) - 2
    return net.call(getattr(functional, f"adaptive_{kind}_pool{n_axes}d"), inputs[0], 1)


def plain(function: Any, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Call a function of torch on the inputs."""
    given = [_plain(one) for one in inputs]
    if not any(isinstance(one, (Traced, torch.Tensor)) for one in given):
        given = list(inputs)
    elif not isinstance(given[0], (Traced, torch.Tensor)) and function is not torch.where:
        given[0] = inputs[0]
    return net.call(function, *given)


def divide(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    a, b = inputs
    is_whole = all(not (one.meta if isinstance(one, Traced) else one).is_floating_point() for one in (a, b))
    return net.call(torch.div, a, b, rounding_mode="trunc") if is_whole else net.call(torch.div, a, _plain(b))


def multiply(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    for a, b in (inputs, inputs[::-1]):
        if (
            isinstance(a, Traced)
            and isinstance(b, Traced)
            and b.node.target is torch.sigmoid
            and b.node.args[0] is a.node
        ):
            return net.call(functional.silu, a)  # ONNX has no operator for it
    return plain(torch.mul, net, name, inputs, attributes)


def modulo(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call(torch.fmod if attributes.get("fmod") else torch.remainder, *inputs)


def many(function: Any, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    made = inputs[0]
    for other in inputs[1:]:
        made = net.call(function, made, other)
    return made


def optioned(
    function: Any,
    names: Mapping[str, tuple[str, Any]],
    net: Assembly,
    name: str,
    inputs: Sequence[Any],
    attributes: Mapping[str, Any],
) -> Any:
    """Call a function of torch with attributes under its own names; each has a default."""
    return net.call(
        function, inputs[0], **{own: attributes.get(theirs, default) for own, (theirs, default) in names.items()}
    )


def gelu(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call(functional.gelu, inputs[0], approximate=attributes.get("approximate", b"none").decode())


def hard_sigmoid(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return net.call(functional.hardsigmoid, inputs[0])
    return net.call(torch.clamp, net.call(torch.add, net.call(torch.mul, inputs[0], alpha), beta), 0.0, 1.0)


def clip(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    low, high = (
        _plain(inputs[place]) if len(inputs) > place else attributes.get(key) for place, key in ((1, "min"), (2, "max"))
    )
    if low is not None and high is not None and not any(isinstance(one, (Traced, torch.Tensor)) for one in (low, high)):
        return (
            net.call(functional.hardtanh, inputs[0], low, high)
            if isinstance(inputs[0], Traced)
            else net.call(torch.clamp, inputs[0], low, high)
        )
    return net.call(torch.clamp, inputs[0], low, high)


def identity(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return inputs[0]


def flatten(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, axis = inputs[0], attributes.get("axis", 1)
    return net.call(torch.flatten, x, 1) if axis == 1 else reshaped(net, x, [_size(_shape(x)[:axis]), -1])


def _size(shape: Sequence[int]) -> int:
    size = 1
    for one in shape:
        size *= one
    return size


def reshape(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, wanted = inputs[0], list(known(inputs[1], "shape"))
    if not attributes.get("allowzero"):
        wanted = [_shape(x)[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return reshaped(net, x, wanted)


def reshaped(net: Assembly, x: Any, wanted: list[int]) -> Any:
    """Return x in another shape; a first size of 1 in a file that was written for one sample means all of them."""
    size = _size(_shape(x))
    of_one = SAMPLES * abs(_size(wanted)) if -1 not in wanted else 0
    has_samples = (
        isinstance(x, Traced) and size % SAMPLES == 0 and not any(one % SAMPLES == 0 for one in wanted if one > 0)
    )
    if has_samples and wanted and wanted[0] == 1 and (of_one == size or -1 in wanted[1:]):
        wanted = [SAMPLES, *wanted[1:]]
    return net.call("reshape", x, *wanted)


def transpose(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call("permute", inputs[0], *attributes.get("perm", reversed(range(len(_shape(inputs[0]))))))


def _axes(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> list[int] | None:
    if len(inputs) > 1 and inputs[1] is not None:
        return list(known(inputs[1], "axes"))
    return list(attributes["axes"]) if "axes" in attributes else None


def squeeze(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axes, n_axes = _axes(inputs, attributes), len(_shape(inputs[0]))
    made = inputs[0]
    if axes is None:
        return net.call("squeeze", made)
    for axis in sorted((one % n_axes for one in axes), reverse=True):
        made = net.call("squeeze", made, axis)
    return made


def unsqueeze(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axes = _axes(inputs, attributes) or []
    made, n_axes = inputs[0], len(_shape(inputs[0])) + len(axes)
    for axis in sorted(one % n_axes for one in axes):
        made = net.call("unsqueeze", made, axis)
    return made


def concat(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call(torch.cat, list(inputs), attributes["axis"])


def split(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axis = attributes.get("axis", 0)
    size = _shape(inputs[0])[axis]
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
    x, shape = inputs[0], _shape(inputs[0])
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
            return net.module(name, _holding(module, x, None), which)
        if len(which.shape) == 1:
            return net.call(torch.index_select, x, axis, which)
        raise CannotConvertError("its places are computed from the input")
    places = which.tolist()
    if isinstance(places, int):
        return net.call(operator.getitem, x, (*[slice(None)] * (axis % len(_shape(x))), places))
    if which.dim() == 1:
        size = _shape(x)[axis]
        return net.call(torch.index_select, x, axis, torch.tensor([place % size for place in places]))
    raise CannotConvertError("its places have several axes")


def shape(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    found = _shape(inputs[0])[attributes.get("start", 0) : attributes.get("end")]
    return torch.tensor(found, dtype=torch.int64)


def constant_of_shape(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    value = attributes.get("value", torch.zeros(1))
    return net.call(torch.full, known(inputs[0], "shape"), value.flatten()[0].item(), dtype=value.dtype)


def expand(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    wanted, there = known(inputs[1], "shape"), list(_shape(inputs[0]))
    n = max(len(wanted), len(there))
    wanted, there = [1] * (n - len(wanted)) + wanted, [1] * (n - len(there)) + there
    return net.call("expand", inputs[0], *(max(a, b) for a, b in zip(wanted, there, strict=True)))


_TYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64,
    16: torch.bfloat16,
}  # fmt: skip


def cast(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    wanted = _TYPES.get(attributes["to"])
    if wanted is None:
        raise CannotConvertError(f"it casts to type {attributes['to']} of ONNX")
    x = inputs[0]
    return x if (x.meta if isinstance(x, Traced) else x).dtype == wanted else net.call("to", x, wanted)


def reduced(function: Any, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axes, keeps = _axes(inputs, attributes), bool(attributes.get("keepdims", 1))
    if axes is None or not axes:
        if attributes.get("noop_with_empty_axes"):
            return inputs[0]
        axes = list(range(len(_shape(inputs[0]))))
    return net.call(function, inputs[0], tuple(axes), keeps)


def softmax(function: Any, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axis = attributes.get("axis", -1 if attributes["opset"] >= 13 else 1)
    if attributes["opset"] < 13 and axis % len(_shape(inputs[0])) != len(_shape(inputs[0])) - 1:
        raise CannotConvertError("before opset 13 it flattens what is behind its axis; export with a newer opset")
    return net.call(function, inputs[0], axis)


def pad(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    pads = known(inputs[1], "pads") if len(inputs) > 1 else list(attributes["pads"])
    mode = attributes.get("mode", b"constant").decode()
    n = len(pads) // 2
    if len(inputs) > 3 and inputs[3] is not None:
        raise CannotConvertError("it pads chosen axes")
    value = _plain(inputs[2]) if len(inputs) > 2 and inputs[2] is not None else attributes.get("value", 0.0)
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
    x, there = inputs[0], _shape(inputs[0])
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


OPERATORS: dict[str, Any] = {
    "Conv": conv, "ConvTranspose": conv_transpose, "Gemm": gemm, "MatMul": matmul, "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm, "InstanceNormalization": instance_norm, "MaxPool": partial(pool, "max"),
    "AveragePool": partial(pool, "average"), "GlobalAveragePool": partial(global_pool, "avg"), "GlobalMaxPool": partial(global_pool, "max"),
    "Relu": partial(plain, functional.relu), "Sigmoid": partial(plain, torch.sigmoid), "Tanh": partial(plain, torch.tanh),
    "Erf": partial(plain, torch.erf), "Sqrt": partial(plain, torch.sqrt), "Exp": partial(plain, torch.exp), "Log": partial(plain, torch.log),
    "Neg": partial(plain, torch.neg), "Abs": partial(plain, torch.abs), "Reciprocal": partial(plain, torch.reciprocal),
    "Floor": partial(plain, torch.floor), "Ceil": partial(plain, torch.ceil), "Sin": partial(plain, torch.sin), "Cos": partial(plain, torch.cos),
    "Softplus": partial(plain, functional.softplus), "HardSwish": partial(plain, functional.hardswish), "Mish": partial(plain, functional.mish),
    "PRelu": partial(plain, lambda x, slope: torch.where(x >= 0, x, x * slope)), "Not": partial(plain, torch.logical_not),
    "LeakyRelu": partial(optioned, functional.leaky_relu, {"negative_slope": ("alpha", 0.01)}),
    "Elu": partial(optioned, functional.elu, {"alpha": ("alpha", 1.0)}), "Gelu": gelu, "HardSigmoid": hard_sigmoid, "Clip": clip,
    "Add": partial(plain, torch.add), "Sub": partial(plain, torch.sub), "Mul": multiply, "Div": divide,
    "Pow": partial(plain, torch.pow), "Mod": modulo, "Min": partial(many, torch.minimum), "Max": partial(many, torch.maximum),
    "Sum": partial(many, torch.add), "Equal": partial(plain, torch.eq), "Less": partial(plain, torch.lt), "Greater": partial(plain, torch.gt),
    "LessOrEqual": partial(plain, torch.le), "GreaterOrEqual": partial(plain, torch.ge), "And": partial(plain, torch.logical_and),
    "Or": partial(plain, torch.logical_or), "Where": partial(plain, torch.where), "Softmax": partial(softmax, torch.softmax),
    "LogSoftmax": partial(softmax, torch.log_softmax), "Identity": identity, "Dropout": identity, "Flatten": flatten, "Reshape": reshape,
    "Transpose": transpose, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Concat": concat, "Split": split, "Slice": slice_, "Gather": gather,
    "Shape": shape, "Constant": constant, "ConstantOfShape": constant_of_shape, "Expand": expand, "Cast": cast, "Tile": tile,
    "ReduceMean": partial(reduced, torch.mean), "ReduceSum": partial(reduced, torch.sum), "ReduceMax": partial(reduced, torch.amax),
    "ReduceMin": partial(reduced, torch.amin), "Pad": pad, "Resize": resize, "Range": range_, "Trilu": trilu,
}  # fmt: skip
"""Operators by name. Each takes the network in the making, a name for a layer, inputs (None where left out) and attributes, and returns a value or a list."""
