"""Network modules, and cutting a network at a layer."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import fx, nn

from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence


def small_cnn(n_inputs: int, channels: Sequence[int], pool_after: int, n_classes: int) -> nn.Sequential:
    """Return an untrained small CNN; see `edgesim.nn.zoo.SmallCNN`."""
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
    PlanError
        When the network never calls a submodule of that name.
    """
    graph = fx.symbolic_trace(network).graph
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target == layer]
    if not calls:
        names = [str(node.target) for node in graph.nodes if node.op == "call_module"]
        raise PlanError(f"the network has no layer {layer!r}; its layers are {', '.join(names)}")
    for node in [node for node in graph.nodes if node.op == "output"]:
        graph.erase_node(node)
    graph.output(calls[-1])
    graph.eliminate_dead_code()
    module = fx.GraphModule(network, graph)
    module.delete_all_unused_submodules()
    return module
