"""Coded layers: outputs divided over devices, and a parity device whose outputs are the sum of theirs, so that any one may be lost."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from edgesim.nn.cost.trace import submodule
from edgesim.nn.operators.readers import is_main
from edgesim.nn.train.training import forward

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Samples

Codable = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


def why_uncoded(graph: fx.GraphModule, node: fx.Node) -> str:
    """Return why a layer of a traced network cannot be coded; empty when it can.

    A parity of outputs exists where all devices read the same input and their outputs are linear in it: linear layers and convolutions
    that are not grouped, before their activation.
    """
    module = submodule(graph, node)
    if not isinstance(module, Codable):
        return "not linear in one input"
    if not is_main(graph, node):
        return "cannot be cut"
    if not isinstance(module, nn.Linear) and module.groups > 1:
        return "grouped: devices would read different inputs"
    if sum(str(other.target) == str(node.target) for other in graph.graph.nodes if other.op == "call_module") > 1:
        return "called more than once"
    return ""


def parts_of(n_outputs: int, n_devices: int) -> list[range]:
    """Divide outputs into equal parts, the last perhaps smaller; fewer parts than devices where there are few outputs.

    >>> parts_of(10, 4), parts_of(3, 4)
    ([range(0, 3), range(3, 6), range(6, 9), range(9, 10)], [range(0, 1), range(1, 2), range(2, 3)])
    """
    size = -(-n_outputs // n_devices)
    return [range(start, min(start + size, n_outputs)) for start in range(0, n_outputs, size)]


class CodedLayer(nn.Module):
    """A layer as its devices and the parity device compute it.

    The outputs are divided into parts, y_i = W_i x + b_i. The parity device holds the sums of the weights, part by part, smaller ones
    filled up with zeros, and gives y_p = sum_i y_i. With one part missing, y_j = y_p - sum over i != j of y_i. With more missing, or the parity
    among them, what is missing is zero.

    Parameters
    ----------
    layer : a layer that can be coded.
    parts : its outputs by device.

    References
    ----------
    R. Hadidi, J. Cao, H. Kim, Creating Robust Deep Neural Networks with Coded Distributed Computing for IoT, IEEE EDGE 2023, arXiv:2104.04447.
    """

    def __init__(self, layer: Codable, parts: Sequence[range]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(_narrowed(layer, _rows(layer, [rows])) for rows in parts)
        self.parity = _narrowed(layer, _rows(layer, parts))
        self.axis = -1 if isinstance(layer, nn.Linear) else 1
        self.missing: frozenset[int] = frozenset()
        """Parts whose results did not come; the number of parts stands for the parity."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        n_parts = len(self.parts)
        results = [part(values) for part in self.parts]
        lost = [part for part in range(n_parts) if part in self.missing]
        if len(lost) == 1 and n_parts not in self.missing:
            found = self.parity(values)
            for part, result in enumerate(results):
                if part not in self.missing:
                    found.narrow(self.axis, 0, result.shape[self.axis]).sub_(result)
            results[lost[0]] = found.narrow(self.axis, 0, results[lost[0]].shape[self.axis])
        else:
            for part in lost:
                results[part] = torch.zeros_like(results[part])
        return torch.cat(results, self.axis)


def coded_layer(graph: fx.GraphModule, name: str, parts: Sequence[range]) -> CodedLayer:
    """Return a layer of a network, by the name of its module, as devices compute it."""
    layer = graph.get_submodule(name)
    if not isinstance(layer, Codable):
        raise TypeError(f"{name!r} cannot be coded")
    return CodedLayer(layer, parts)


def _rows(layer: Codable, parts: Sequence[range]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the sum of the weights and biases of parts, smaller ones filled up with zeros."""
    first = parts[0]
    weight = layer.weight.detach()[first.start : first.stop].clone()
    bias = None if layer.bias is None else layer.bias.detach()[first.start : first.stop].clone()
    for rows in parts[1:]:
        weight[: len(rows)] += layer.weight.detach()[rows.start : rows.stop]
        if bias is not None and layer.bias is not None:
            bias[: len(rows)] += layer.bias.detach()[rows.start : rows.stop]
    return weight, bias


def _narrowed(layer: Codable, held: tuple[torch.Tensor, torch.Tensor | None]) -> Codable:
    """Return a layer of the same kind with other weights."""
    weight, bias = held
    found = copy.deepcopy(layer)
    found.weight = nn.Parameter(weight, requires_grad=False)
    found.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    if isinstance(found, nn.Linear):
        found.out_features = len(weight)
    else:
        found.out_channels = len(weight)
    return found


class CodedRunner:
    """A network in which some layers are coded, ready to be asked.

    Parameters
    ----------
    graph : the traced network; it is copied.
    parts : outputs by device, by the name of the module that is coded.
    samples : what it is asked about.
    """

    def __init__(self, graph: fx.GraphModule, parts: Mapping[str, Sequence[range]], samples: Samples) -> None:
        self.graph = copy.deepcopy(graph)
        self.samples = samples
        self.layers: dict[str, CodedLayer] = {}
        for name, rows in parts.items():
            self.layers[name] = coded_layer(self.graph, name, rows)
            self.graph.set_submodule(name, self.layers[name])

    def answers(self, missing: Mapping[str, frozenset[int]]) -> NDArray[np.float32]:
        """Return the answers, shape (n, *output), when results of layers are missing, by the name of the module."""
        for name, layer in self.layers.items():
            layer.missing = missing[name]
        return forward(self.graph, self.samples.inputs)
