"""Recurrent operators: GRU, LSTM and RNN, one layer each, in one direction or both."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgesim.nn.models.brought.assembly import SAMPLES, Traced
from edgesim.nn.models.brought.onnx_operators.given import CannotConvertError, shape_of, tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.nn.models.brought.assembly import Assembly

_KINDS: dict[str, tuple[Any, tuple[int, ...], list[bytes]]] = {
    "GRU": (nn.GRU, (1, 0, 2), [b"Sigmoid", b"Tanh"]),
    "LSTM": (nn.LSTM, (0, 2, 3, 1), [b"Sigmoid", b"Tanh", b"Tanh"]),
    "RNN": (nn.RNN, (0,), [b"Tanh"]),
}
"""The module, where torch's gates are among those of ONNX, and the activations of torch."""
_MOVES = frozenset({operator.getitem, "expand", "reshape", "unsqueeze", "squeeze"})


def recurrent(kind: str, net: Assembly, name: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """Return what a layer gives for each step, and its last states."""
    make, order, activations = _KINDS[kind]
    x, w, r = inputs[0], tensor(inputs[1], "weight"), tensor(inputs[2], "weight")
    b, lengths, first, cell, peepholes = (inputs[place] if place < len(inputs) else None for place in range(3, 8))
    direction = attributes.get("direction", b"forward")
    _check(kind, attributes, activations * len(w), {"lengths": lengths, "peepholes": peepholes})
    module = make(
        w.shape[2], r.shape[2], bias=b is not None, bidirectional=direction == b"bidirectional", device="meta"
    )
    for place, suffix in zip(range(len(w)), ("", "_reverse"), strict=False):
        tensors = {"weight_ih": w[place], "weight_hh": r[place]}
        if b is not None:
            tensors["bias_ih"], tensors["bias_hh"] = tensor(b, "bias")[place].chunk(2)
        for part, one in tensors.items():
            gates = one.chunk(len(order))
            setattr(module, f"{part}_l0{suffix}", nn.Parameter(torch.cat([gates[gate] for gate in order]).clone()))
    is_reverse = direction == b"reverse"
    given = net.call(torch.flip, x, (0,)) if is_reverse else x
    steps, last = net.module(name, module, given, *_first_states(net, kind, (first, cell)))
    steps = net.call(torch.flip, steps, (0,)) if is_reverse else steps
    n_steps, n_samples, _ = shape_of(steps)
    apart = net.call("reshape", steps, n_steps, n_samples, len(w), r.shape[2])
    return [net.call("permute", apart, 0, 2, 1, 3), *(last if kind == "LSTM" else [last])]


def _check(kind: str, attributes: Mapping[str, Any], activations: list[bytes], besides: Mapping[str, Any]) -> None:
    for what, value in besides.items():
        if value is not None:
            raise CannotConvertError(f"it has {what}")
    if attributes.get("activations", activations) != activations or "clip" in attributes:
        raise CannotConvertError("its activations are not those of torch")
    if attributes.get("layout") or attributes.get("input_forget"):
        raise CannotConvertError("it has layout 1, or couples its gates")
    if kind == "GRU" and not attributes.get("linear_before_reset"):
        raise CannotConvertError("it resets before the product, and torch behind it; set linear_before_reset to 1")


def _first_states(net: Assembly, kind: str, states: Sequence[Any]) -> list[Any]:
    """Return what a layer begins with; nothing where that is zeros."""
    if all(one is None or _is_zero(net, one) for one in states):
        return []
    if kind == "LSTM" and None in [one if one is None else 0 for one in states]:
        raise CannotConvertError("it has one first state of two")
    given = [
        net.call("expand", one, one.shape[0], SAMPLES, one.shape[2]) if one.shape[1] == 1 else one
        for one in states
        if one is not None
    ]
    return [tuple(given)] if kind == "LSTM" else given[:1]


def _is_zero(net: Assembly, value: Any) -> bool:
    if not isinstance(value, Traced):
        return not value.count_nonzero().item()
    node = value.node
    while node.target in _MOVES:
        node = node.all_input_nodes[0]
    if node.op == "get_attr":
        return _is_zero(net, net.root.get_buffer(str(node.target)))
    return bool(node.target is torch.full and node.args[1] == 0)
