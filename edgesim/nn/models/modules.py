"""Network modules, and cutting a network at a layer."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from edgesim.domain.networks.partition import Denominator, replica_weights
from edgesim.errors import DataError
from edgesim.nn.cost.trace import function_name
from edgesim.nn.cost.units import unit_axis
from edgesim.nn.tensors import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.domain.networks.samples import Inputs

_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Hardtanh, nn.Hardsigmoid, nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Tanh,
)  # fmt: skip
_ACTIVATION_NAMES = frozenset(module.__name__.lower() for module in _ACTIVATIONS) | {"leaky_relu"}
_PASSED = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.Identity, nn.Dropout, nn.Dropout2d)
"""What may stand between a convolution and its activation."""
_PASSED_NAMES = frozenset({"batch_norm", "instance_norm", "group_norm", "dropout", "dropout2d"})


def small_cnn(n_inputs: int, channels: Sequence[int], pool_after: int, n_classes: int) -> nn.Sequential:
    """Return an untrained small CNN; see `edgesim.nn.models.zoo.SmallCNN`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, n_outputs in enumerate(channels, start=1):
        layers[f"conv{number}"] = nn.Conv2d(n_inputs, n_outputs, kernel_size=3, padding=1, bias=False)
        layers[f"bn{number}"] = nn.BatchNorm2d(n_outputs)
        layers[f"relu{number}"] = nn.ReLU()
        if number == pool_after:
            layers["pool"] = nn.MaxPool2d(2)
        n_inputs = n_outputs
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(n_inputs, n_classes)
    return nn.Sequential(layers)


def up_to(network: nn.Module, layer: str) -> fx.GraphModule:
    """Return the part of a network that ends with the output of one of its submodules. Weights are shared, not copied.

    Parameters
    ----------
    network : traceable by `torch.fx`.
    layer : name of the submodule; its last call counts.

    Raises
    ------
    DataError
        When the network never calls a submodule of that name.
    """
    graph = _traced(network, layer).graph
    call = _last_call(graph, layer)
    graph.erase_node(_output(graph))
    graph.output(call)
    graph.eliminate_dead_code()
    module = fx.GraphModule(network, graph)
    module.delete_all_unused_submodules()
    return module


def with_filters(network: nn.Module, layer: str) -> fx.GraphModule:
    """Return a network that gives its output and what its filters say, as a pair. Weights are shared, not copied.

    Filters are read where the network uses them: when the layer's output goes through normalisation to an activation and nowhere
    else, behind that activation, be it a module or a function. The mean over space of a convolution's own output is linear in
    its input and says little more than the mean of the image.

    Parameters
    ----------
    network, layer : as in `up_to`; so are the errors.
    """
    module = _traced(network, layer)
    graph, output = module.graph, _output(module.graph)
    read = _behind_activation(module, _last_call(graph, layer))
    with graph.inserting_after(read):
        kept = graph.call_function(_kept, (read,))
    answer = output.args[0]
    graph.erase_node(output)
    graph.output((answer, kept))
    return fx.GraphModule(network, graph)


def _kept(value: Any) -> Any:
    """Copy what a layer gives, since what follows may work in place; what is no tensor is for the caller to refuse."""
    return value.clone() if isinstance(value, torch.Tensor) else value


def has_activation_behind(network: nn.Module, layer: str) -> bool:
    """Return whether the filters of a layer are read behind an activation that follows it; else they are its own output."""
    module = _traced(network, layer)
    call = _last_call(module.graph, layer)
    return _behind_activation(module, call) is not call


def _behind_activation(module: fx.GraphModule, call: fx.Node) -> fx.Node:
    node = call
    while not _is_one_of(module, node, _ACTIVATIONS, _ACTIVATION_NAMES):
        if len(node.users) != 1 or not (node is call or _is_one_of(module, node, _PASSED, _PASSED_NAMES)):
            return call
        node = next(iter(node.users))
    return node


def _is_one_of(
    module: fx.GraphModule, node: fx.Node, kinds: tuple[type[nn.Module], ...], names: frozenset[str]
) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), kinds)
    return function_name(node) in names


class _KeepingTracer(fx.Tracer):
    """Takes the wanted submodule as a whole, even if it is built of others."""

    def __init__(self, layer: str = "") -> None:
        super().__init__()
        self._layer = layer  # empty where torch makes one anew, to unpickle a graph

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name == self._layer or super().is_leaf_module(m, module_qualified_name)


def _traced(network: nn.Module, layer: str) -> fx.GraphModule:
    graph = _KeepingTracer(layer).trace(network)
    for node in graph.nodes:
        node.type = None  # annotations that are texts, as with postponed evaluation, cannot be pickled
    return fx.GraphModule(network, graph)


def _last_call(graph: fx.Graph, layer: str) -> fx.Node:
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target == layer]
    if not calls:
        names = [str(node.target) for node in graph.nodes if node.op == "call_module"]
        raise DataError(f"the network has no layer {layer!r}; its layers are {', '.join(names)}")
    last: fx.Node = calls[-1]
    return last


def _output(graph: fx.Graph) -> fx.Node:
    found: fx.Node = next(node for node in graph.nodes if node.op == "output")
    return found


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
    body = up_to(network, layer).eval()
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
