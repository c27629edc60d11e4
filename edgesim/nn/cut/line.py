"""A network as a line of layers that may be cut between any two, so that devices compute one behind another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.nn.cost.layers import is_layer, layer_cost, weights_of
from edgesim.nn.cost.trace import byte_of, is_in_place, is_view, live_byte, trace

if TYPE_CHECKING:
    from torch import fx, nn

    from edgesim.domain.networks.costs import LayerCost
    from edgesim.domain.networks.samples import Inputs


@dataclass(frozen=True, slots=True)
class Line:
    """The layers of a network in order of execution, with what has to be carried over each place between two.

    Parameters
    ----------
    layers : the n layers, each with all weights that it reads.
    crossing_byte : n + 1 sizes: of the input, of all tensors that layers behind place i read and layers in front of it made, of the
        answer, in byte. Where a shortcut passes by, it is carried along.
    held_byte : of each layer: all tensors alive while it runs, those that pass by included, in byte.
    weights : of each layer: bytes of its tensors of weights, by the tensor.
    """

    layers: tuple[LayerCost, ...]
    crossing_byte: tuple[int, ...]
    held_byte: tuple[int, ...]
    weights: tuple[dict[int, int], ...]

    def weight_byte(self, start: int, stop: int) -> int:
        """Return the bytes of the weights that layers `start` to `stop` - 1 read, each counted once."""
        found: dict[int, int] = {}
        for weights in self.weights[start:stop]:
            found.update(weights)
        return sum(found.values())

    def activation_byte(self, start: int, stop: int) -> int:
        """Return the peak of the tensors alive on a device that computes layers `start` to `stop` - 1, in byte."""
        return max(self.crossing_byte[start], self.crossing_byte[stop], *self.held_byte[start:stop])


def line_of(network: nn.Module, inputs: Inputs | tuple[int, ...]) -> Line:
    """Return a network as a line of layers.

    Parameters
    ----------
    network : in evaluation mode; neither changed nor run.
    inputs : the tensors of one sample; see `edgesim.nn.cost.trace.trace`.

    Raises
    ------
    DataError
        When the network cannot be traced.

    Examples
    --------
    A shortcut over the second layer is carried over the place in front of it, beside what that layer reads: here the same tensor.

    >>> from torch import nn
    >>> line = line_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), (2,))
    >>> line.crossing_byte, [line.weight_byte(start, 3) for start in range(3)]
    ((8, 12, 12, 4), [52, 16, 16])
    """
    graph = trace(network, inputs)
    alive = live_byte(graph)
    nodes = list(graph.graph.nodes)
    places = [position for position, node in enumerate(nodes) if is_layer(graph, node)]
    crossing = _crossing_byte(graph, nodes, places[1:])
    answer = nodes[-1].all_input_nodes
    return Line(
        tuple(layer_cost(graph, nodes[place], set()) for place in places),
        (sum(byte_of(node) for node in nodes if _is_entry(node)), *crossing, sum(map(byte_of, answer))),
        tuple(alive[nodes[place]] for place in places),
        tuple(
            {id(tensor): tensor.numel() * tensor.element_size() for tensor in weights_of(graph, nodes[place])}
            for place in places
        ),
    )


def _is_entry(node: fx.Node) -> bool:
    return node.op == "placeholder" and not node.args


def _crossing_byte(graph: fx.GraphModule, nodes: list[fx.Node], places: list[int]) -> list[int]:
    """Return the bytes that nodes at a place or behind it read of nodes in front of it, by place; a view is read as what it shows."""
    holder: dict[fx.Node, fx.Node] = {}
    last_use: dict[fx.Node, int] = {}
    for position, node in enumerate(nodes):
        sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
        is_shown = bool(sources) and (is_view(graph, node) or is_in_place(graph, node))
        holder[node] = holder[sources[0]] if is_shown else node
        for source in sources:
            last_use[holder[source]] = position
    made = {node: position for position, node in enumerate(nodes) if holder[node] is node and node.op != "get_attr"}
    return [
        sum(byte_of(node) for node, position in made.items() if position < place <= last_use.get(node, -1))
        for place in places
    ]
