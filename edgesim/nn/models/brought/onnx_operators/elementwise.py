"""Operators on numbers one by one, and on all numbers of an axis: activations, arithmetic, types, sums."""

# ruff: noqa: ARG001, D103, PLR0917 - operators have one form, and the names of ONNX
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from edgesim.nn.models.brought.assembly import Traced
from edgesim.nn.models.brought.onnx_operators.given import CannotConvertError, axes_of, number, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.nn.models.brought.assembly import Assembly


def plain(function: Any, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Call a function of torch on the inputs."""
    given = [number(one) for one in inputs]
    if not any(isinstance(one, (Traced, torch.Tensor)) for one in given):
        given = list(inputs)
    elif not isinstance(given[0], (Traced, torch.Tensor)) and function is not torch.where:
        given[0] = inputs[0]
    return net.call(function, *given)


def divide(net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    a, b = inputs
    is_whole = all(not (one.meta if isinstance(one, Traced) else one).is_floating_point() for one in (a, b))
    return net.call(torch.div, a, b, rounding_mode="trunc") if is_whole else net.call(torch.div, a, number(b))


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
        number(inputs[place]) if len(inputs) > place else attributes.get(key) for place, key in ((1, "min"), (2, "max"))
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
    axes, keeps = axes_of(inputs, attributes), bool(attributes.get("keepdims", 1))
    if axes is None or not axes:
        if attributes.get("noop_with_empty_axes"):
            return inputs[0]
        axes = list(range(len(shape_of(inputs[0]))))
    return net.call(function, inputs[0], tuple(axes), keeps)


def softmax(function: Any, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    axis = attributes.get("axis", -1 if attributes["opset"] >= 13 else 1)
    if attributes["opset"] < 13 and axis % len(shape_of(inputs[0])) != len(shape_of(inputs[0])) - 1:
        raise CannotConvertError("before opset 13 it flattens what is behind its axis; export with a newer opset")
    return net.call(function, inputs[0], axis)
