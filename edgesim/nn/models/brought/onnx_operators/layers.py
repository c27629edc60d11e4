"""Operators with weights or windows: convolutions, products, normalisations, pooling."""

# ruff: noqa: ARG001, D103 - operators have one form, and the names of ONNX
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from edgesim.nn.models.brought.assembly import Traced
from edgesim.nn.models.brought.onnx_operators.given import CannotConvertError, holding, shape_of, tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.nn.models.brought.assembly import Assembly


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


def conv(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    weight = tensor(inputs[1], "weight")
    bias = tensor(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
    n_axes, groups = weight.dim() - 2, attributes.get("group", 1)
    x, padding = _padded(net, inputs[0], *_pads(attributes, n_axes))
    make: Any = _CONVS[n_axes]
    ones = [1] * n_axes
    module = make(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), tuple(attributes.get("strides", ones)),
        tuple(padding), tuple(attributes.get("dilations", ones)), groups, bias is not None, device="meta",
    )  # fmt: skip
    return net.module(name, holding(module, weight, bias), x)


def conv_transpose(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    weight = tensor(inputs[1], "weight")
    bias = tensor(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
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
    return net.module(name, holding(module, weight, bias), inputs[0])


def linear(net: Assembly, name: str, x: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> Any:
    """Return a linear layer of x; weight has a row for each output."""
    module = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    return net.module(name, holding(module, weight.contiguous(), bias), x)


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


def einsum(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    return net.call(torch.einsum, attributes["equation"].decode(), *inputs)


def batch_norm(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    if attributes.get("training_mode"):
        raise CannotConvertError("it normalises by the batch; export the network in evaluation mode")
    x = inputs[0]
    scale, bias, mean, variance = (tensor(one, "statistics") for one in inputs[1:5])
    module = _NORMS[len(shape_of(x))](len(scale), attributes.get("epsilon", 1e-5), device="meta")
    module.running_mean, module.running_var = mean.clone(), variance.clone()
    module.num_batches_tracked = torch.tensor(0)
    return net.module(name, holding(module, scale, bias), x)


def layer_norm(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    x, axis = inputs[0], attributes.get("axis", -1)
    shape = shape_of(x)
    sizes = list(shape[axis:] if axis < 0 else shape[axis - len(shape) :])
    scale = tensor(inputs[1], "scale")
    bias = tensor(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
    module = nn.LayerNorm(sizes, attributes.get("epsilon", 1e-5), bias=bias is not None, device="meta")
    return net.module(name, holding(module, scale, bias), x)


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
    n_axes = len(shape_of(inputs[0])) - 2
    return net.call(getattr(functional, f"adaptive_{kind}_pool{n_axes}d"), inputs[0], 1)
