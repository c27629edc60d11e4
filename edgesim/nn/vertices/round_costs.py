"""What reservoirs on a graph cost, phase by phase: all that is computed without a message between vertices is one phase."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from edgesim.domain.networks.costs import LayerCost
from edgesim.domain.networks.task import TensorSpec
from edgesim.nn.cost.layers import measure

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Inputs
    from edgesim.nn.models.reservoir_networks import ReservoirNetwork


def phases(network: ReservoirNetwork, inputs: Inputs) -> list[list[LayerCost]]:
    """Return the layers of each phase, of all reservoirs together, counted for the padded graph.

    The first phase is the first round of the first layer; every later round of a layer begins one. A phase that ends a layer goes on with the first round of the
    next, or with the sum over the vertices.
    """
    n_vertices = inputs["vertices"].shape[0]
    found = [list(measure(network.neighbours, {"adjacency": inputs["adjacency"]}).layers)]
    n_entering = inputs["vertices"].shape[1]
    for number in range(len(network.layers()[0])):
        same = [layers[number] for layers in network.layers()]
        for layer in same:
            found[-1] += _named(
                nn.Sequential(layer.entering, nn.Tanh()), {"x": TensorSpec((n_vertices, n_entering))}, number
            )
        n_entering = same[0].entering.out_features
        states = TensorSpec((n_vertices, n_entering))
        given = {"states": states, "drive": states, "neighbours": TensorSpec((n_vertices, n_vertices))}
        one_round = [cost for layer in same for cost in _named(layer.round, given, number)]
        found += [list(one_round) for _ in range(same[0].iterations - 1)]
    n_states = n_vertices * n_entering
    found[-1] += [
        LayerCost("sum", "other", (n_entering,), n_states, 0, 4 * n_states, 4 * n_entering)
        for _ in network.reservoirs()
    ]
    return found


def readout(network: ReservoirNetwork, n_sums: int) -> list[LayerCost]:
    """Return the layers of the owner: the sum of the devices' sums, the random features of each reservoir, and the head."""
    found: list[LayerCost] = []
    for branch in network.reservoirs():
        n_units = branch.projection.in_features
        n_byte = 4 * n_units
        found.append(LayerCost("sum", "other", (n_units,), n_sums * n_units, 0, n_sums * n_byte, n_byte))
        found += measure(nn.Sequential(branch.projection, nn.Tanh()), (n_units,)).layers
    return [*found, *measure(nn.Sequential(network.head), (network.head.in_features,)).layers]


def _named(module: nn.Module, inputs: Inputs, number: int) -> list[LayerCost]:
    return [replace(cost, layer_id=f"layer{number} {cost.layer_id}") for cost in measure(module, inputs).layers]
