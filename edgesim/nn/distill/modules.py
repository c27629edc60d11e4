"""The networks of students, and the ensemble that they form."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from edgesim.domain.networks.partition import Denominator, replica_weights
from edgesim.nn.cost.surgery import up_to
from edgesim.nn.cost.units import unit_axis
from edgesim.nn.tensors import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.domain.networks.samples import Inputs


def student(network: nn.Module, layer: str, inputs: Inputs, n_features: int) -> nn.Module:
    """Return a student: a small network up to its layer of filters, and a bridge to the features of its part.

    The bridge is a 1x1 convolution without bias, batch normalisation and ReLU, as in NoNN; the average over space makes one
    number of each map, like the activity of a filter of the teacher. Where the layer gives vectors the bridge is a linear layer;
    where it gives tokens or volumes, their places are the space.

    Parameters
    ----------
    network : untrained.
    layer : its last submodule that is used; see `edgesim.nn.cost.units.unit_axis`.
    inputs : the tensors of one sample.
    n_features : filters of the part.
    """
    body = up_to(network, inputs, layer).eval()
    with torch.no_grad():
        given = {name: torch.zeros(1, *spec.shape, dtype=getattr(torch, spec.dtype)) for name, spec in inputs.items()}
        outputs = ask(body, given)
    axis = unit_axis(body, layer, outputs)
    layers: OrderedDict[str, nn.Module] = OrderedDict(body=body)
    layers.update(_bridge(outputs.ndim, axis, outputs.shape[axis], n_features))
    return _chained(
        layers, [str(node.target) for node in body.graph.nodes if node.op == "placeholder" and not node.args]
    )


def _bridge(n_axes: int, axis: int, n_units: int, n_features: int) -> OrderedDict[str, nn.Module]:
    """Return the layers from units to features, shape (n, features)."""
    if n_axes == 2:
        return OrderedDict(
            bridge=nn.Linear(n_units, n_features, bias=False), bn=nn.BatchNorm1d(n_features), relu=nn.ReLU()
        )
    if n_axes == 4 and axis == 1:
        return OrderedDict(
            bridge=nn.Conv2d(n_units, n_features, kernel_size=1, bias=False),
            bn=nn.BatchNorm2d(n_features),
            relu=nn.ReLU(),
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    return OrderedDict(
        places=UnitsFirst(axis),
        bridge=nn.Conv1d(n_units, n_features, kernel_size=1, bias=False),
        bn=nn.BatchNorm1d(n_features),
        relu=nn.ReLU(),
        average=nn.AdaptiveAvgPool1d(1),
        flatten=nn.Flatten(),
    )


class UnitsFirst(nn.Module):
    """Puts the axis of units behind that of samples, and all others into one: shape (n, units, places)."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs, rearranged."""
        return outputs.movedim(self.axis, 1).flatten(2)


def _chained(layers: OrderedDict[str, nn.Module], names: Sequence[str]) -> nn.Module:
    """Return layers that run one after the other, the first of them with inputs of these names."""
    if len(names) == 1:
        return nn.Sequential(layers)
    graph = fx.Graph()
    value = graph.call_module(next(iter(layers)), kwargs={name: graph.placeholder(name) for name in names})
    for name in list(layers)[1:]:
        value = graph.call_module(name, (value,))
    graph.output(value)
    return fx.GraphModule(nn.ModuleDict(layers), graph)


class StudentEnsemble(nn.Module):
    """Students that run on their own, and a linear head on what arrives from them.

    The outputs of students of the same part are averaged over those that arrived, the averages concatenated (zeros for a part
    of which nothing arrived), and the head makes the answer of them.

    Parameters
    ----------
    students : each maps samples to the features of its part, shape (n, features).
    part_of : index of the part of each student.
    part_sizes : features of each part.
    output : shape of the answer to one sample.
    denominator : the sum over the arrived students of a part is divided by their number (``arrived``) or by the number of all
        students of the part (``all``).
    """

    def __init__(
        self,
        students: Sequence[nn.Module],
        part_of: Sequence[int],
        part_sizes: Sequence[int],
        output: Sequence[int],
        denominator: Denominator = "arrived",
    ) -> None:
        super().__init__()
        self.students = nn.ModuleList(students)
        self.part_of = tuple(part_of)
        self.part_sizes = tuple(part_sizes)
        self.denominator = denominator
        self.output = tuple(output)
        self.head = nn.Linear(sum(part_sizes), prod(self.output))

    def features(self, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Return the output of every student."""
        return [ask(network, inputs) for network in self.students]

    def merge(self, features: Sequence[torch.Tensor], arrived: Sequence[bool] | None = None) -> torch.Tensor:
        """Return the input of the head, shape (n, sum of part sizes).

        Parameters
        ----------
        features : the output of every student.
        arrived : which of them the merging device has; all by default.
        """
        there = [True] * len(features) if arrived is None else arrived
        weights = replica_weights(self.part_of, there, self.denominator)
        parts = [features[0].new_zeros(len(features[0]), size) for size in self.part_sizes]
        for output, part, weight in zip(features, self.part_of, weights, strict=True):
            if weight:
                parts[part] = parts[part] + weight * output
        return torch.cat(parts, dim=1)

    def shaped(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return what the head gives in the shape of answers, (n, *output)."""
        return numbers if len(self.output) == 1 else numbers.reshape(-1, *self.output)

    def answers(self, features: Sequence[torch.Tensor], arrived: Sequence[bool] | None = None) -> torch.Tensor:
        """Return the answers to the features of some students; see `merge`."""
        numbers: torch.Tensor = self.head(self.merge(features, arrived))
        return self.shaped(numbers)

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """Return the answers when every student arrives."""
        return self.answers([network(*inputs, **named) for network in self.students])
