"""A network as a line of layers that may be cut between any two, so that devices compute one behind another, on what was sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from edgesim.domain.networks.messages import AS_COMPUTED
from edgesim.nn.cost.layers import is_layer, layer_cost, weights_of
from edgesim.nn.cost.trace import byte_of, is_in_place, is_view, live_byte, shape_of, trace
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.readers import operands

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import fx, nn

    from edgesim.domain.networks.costs import LayerCost
    from edgesim.domain.networks.messages import Messages
    from edgesim.domain.networks.samples import Inputs


@dataclass(frozen=True, slots=True)
class Line:
    """The layers of a network in order of execution, with what has to be carried over each place between two.

    Parameters
    ----------
    layers : the n layers, each with all weights that it reads.
    crossing_byte : n + 1 sizes: of the input, of all tensors that layers behind place i read and layers in front of it made, of the
        answer, in byte. Where a shortcut passes by, it is carried along.
    sent_byte : the same as they are written in messages.
    held_byte : of each layer: all tensors alive while it runs, those that pass by included, in byte.
    weights : of each layer: bytes of its tensors of weights, by the tensor.
    """

    layers: tuple[LayerCost, ...]
    crossing_byte: tuple[int, ...]
    sent_byte: tuple[int, ...]
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


def line_of(network: nn.Module, inputs: Inputs | tuple[int, ...], messages: Messages = AS_COMPUTED) -> Line:
    """Return a network as a line of layers.

    Parameters
    ----------
    network : in evaluation mode; neither changed nor run.
    inputs : the tensors of one sample; see `edgesim.nn.cost.trace.trace`.
    messages : how numbers are written in them.

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
    entered = [node for node in nodes if _is_entry(node)]
    carried = [entered, *_crossing(graph, nodes, places[1:]), nodes[-1].all_input_nodes]
    return Line(
        tuple(layer_cost(graph, nodes[place], set()) for place in places),
        tuple(sum(map(byte_of, tensors)) for tensors in carried),
        tuple(sum(_sent_byte(node, messages) for node in tensors) for tensors in carried),
        tuple(alive[nodes[place]] for place in places),
        tuple(
            {id(tensor): tensor.numel() * tensor.element_size() for tensor in weights_of(graph, nodes[place])}
            for place in places
        ),
    )


def _is_entry(node: fx.Node) -> bool:
    return node.op == "placeholder" and not node.args


def _sent_byte(node: fx.Node, messages: Messages) -> int:
    dtype = node.meta["dtype"]
    is_float = dtype is not None and dtype.is_floating_point
    return messages.byte_of(byte_of(node), prod(shape_of(node)) if is_float else 0)


def _crossing(graph: fx.GraphModule, nodes: list[fx.Node], places: list[int]) -> list[list[fx.Node]]:
    """Return which nodes in front of a place are read at it or behind it, by place; a view is read as what it shows."""
    holder: dict[fx.Node, fx.Node] = {}
    last_use: dict[fx.Node, int] = {}
    for position, node in enumerate(nodes):
        sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
        is_shown = bool(sources) and (is_view(graph, node) or is_in_place(graph, node))
        holder[node] = holder[sources[0]] if is_shown else node
        for source in sources:
            last_use[holder[source]] = position
    made = {node: position for position, node in enumerate(nodes) if holder[node] is node and node.op != "get_attr"}
    return [[node for node, position in made.items() if position < place <= last_use.get(node, -1)] for place in places]


class RoundedLine:
    """A network whose layers are computed one behind another by several devices, each on what was sent to it.

    At each cut every tensor that crosses it is rounded; a view of one is rounded as a tensor of its own.

    Parameters
    ----------
    network, inputs : as of `line_of`.
    cuts : the layers, by number, in front of which it is cut.
    messages : how numbers are written.
    """

    def __init__(self, network: nn.Module, inputs: Inputs, cuts: Collection[int], messages: Messages) -> None:
        self.graph, self.messages = trace(network, inputs), messages
        self.nodes = list(self.graph.graph.nodes)
        places = [position for position, node in enumerate(self.nodes) if is_layer(self.graph, node)]
        self.places = {places[cut] for cut in cuts}
        order = {node: position for position, node in enumerate(self.nodes)}
        self.last_use = {node: max((order[user] for user in node.users), default=-1) for node in self.nodes}

    def answers(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the answers to a batch, as the last device has them."""
        values: dict[fx.Node, Any] = {}
        given = list(batch.values())
        for position, node in enumerate(self.nodes[:-1]):
            if position in self.places:
                for made, value in values.items():
                    if made.op != "get_attr" and self.last_use[made] >= position:
                        values[made] = self._received(value)
            if node.op == "placeholder":
                own = given[0] if len(given) == 1 else batch.get(str(node.target))
                values[node] = node.args[0] if own is None or node.args else own
            else:
                values[node] = call(self.graph, node, [values[source] for source in operands(node)])
        answer: torch.Tensor = values[self.nodes[-1].all_input_nodes[0]]
        return answer

    def _received(self, value: Any) -> Any:
        is_tensor = isinstance(value, torch.Tensor) and value.dim() > 0
        return torch.from_numpy(self.messages.received(value.numpy())) if is_tensor else value
