"""What the devices of a chain compute: the nodes of a traced network between two cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from edgesim.errors import DataError
from edgesim.interfaces import KEPT
from edgesim.nn.cost.layers import is_layer
from edgesim.nn.cost.trace import byte_of, entries, is_in_place, is_view, trace
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.readers import operands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from edgesim.domain.networks.samples import Inputs

Values = dict[fx.Node, Any]


def pieces(
    network: nn.Module, inputs: Inputs, starts: Sequence[int], goals: Sequence[Sequence[str]]
) -> tuple[PieceKernel, ...]:
    """Return what each device of a chain computes.

    Parameters
    ----------
    network : in evaluation mode.
    inputs : the tensors of one sample.
    starts : number of the first layer of each device, as `edgesim.nn.chains.line.line_of` counts; the first is 0.
    goals : of each device, the transfers that carry what it gives.
    """
    graph = trace(network, inputs)
    nodes = list(graph.graph.nodes)
    layers = [position for position, node in enumerate(nodes) if is_layer(graph, node)]
    entered = {str(node.target): node for node in entries(graph)}
    sample = list(entered.values()) if len(entered) == 1 else [entered[name] for name in inputs]
    places = [0, *(layers[start] for start in starts[1:]), len(nodes) - 1]
    shared = _Memory(graph, nodes)
    answer = nodes[-1].args[0]
    if not isinstance(answer, fx.Node):
        raise DataError(f"{type(network).__name__} returns more than one tensor; a network must return its logits only")
    carried = [sample, *(shared.carried(place) for place in places[1:-1]), [answer]]
    return tuple(
        PieceKernel(graph, nodes[: places[number + 1]], carried[number], carried[number + 1], tuple(goal))
        for number, goal in enumerate(goals)
    )


class _Memory:
    """Which nodes lie in the memory of which."""

    def __init__(self, graph: fx.GraphModule, nodes: list[fx.Node]) -> None:
        self.graph = graph
        self.nodes = nodes
        self.holder: dict[fx.Node, fx.Node] = {}
        for node in nodes:
            sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
            is_shown = bool(sources) and (is_view(graph, node) or is_in_place(graph, node))
            self.holder[node] = self.holder[sources[0]] if is_shown else node

    def carried(self, place: int) -> list[fx.Node]:
        """Return the nodes whose tensors cross a place, for each memory one: what is read behind it, or what that is a view of."""
        before = dict.fromkeys(self.nodes[:place])
        read: dict[fx.Node, list[fx.Node]] = {}
        for node in self.nodes[place:]:
            for source in node.all_input_nodes:
                if source in before and source.op != "get_attr":
                    users = read.setdefault(self.holder[source], [])
                    users += [source] if source not in users else []
        return [self._shown(memory, read[memory], before) for memory in before if memory in read and byte_of(memory)]

    def _shown(self, memory: fx.Node, users: list[fx.Node], before: Mapping[fx.Node, None]) -> fx.Node:
        """Return the one node that is read, or the last one that wrote over the whole memory."""
        if len(users) == 1 and byte_of(users[0]) == byte_of(memory):
            return users[0]
        last = memory
        for node in before:
            if self.holder[node] is memory and is_in_place(self.graph, node) and node.all_input_nodes[0] is last:
                last = node
        return last


@dataclass(frozen=True, slots=True)
class PieceKernel:
    """Nodes of a network behind those that were carried here.

    Parameters
    ----------
    graph : the traced network.
    nodes : all up to where the piece ends.
    carried : the nodes whose tensors it is given, in order.
    results : those whose tensors it gives.
    goals : the transfers that carry them.
    """

    graph: fx.GraphModule
    nodes: list[fx.Node]
    carried: list[fx.Node]
    results: list[fx.Node]
    goals: tuple[str, ...]

    def __call__(
        self,
        given: Mapping[str, Sequence[torch.Tensor]],
        there: Mapping[str, torch.Tensor],  # noqa: ARG002 - the seam's form
    ) -> dict[str, list[torch.Tensor]]:
        """Return what crosses the next cut, or the answer."""
        (came,) = given.values()
        values: Values = dict(zip(self.carried, came, strict=True))
        needed = self._needed()
        for node in self.nodes:
            if node in needed and node not in values:
                values[node] = self._value(node, values)
        results = [values[node] for node in self.results]
        return dict.fromkeys((*self.goals, KEPT), results)

    def _needed(self) -> set[fx.Node]:
        """Return what the results are made of, back to what was carried here."""
        found: set[fx.Node] = set()
        open_ = list(self.results)
        while open_:
            node = open_.pop()
            if node not in found:
                found.add(node)
                open_ += [] if node in self.carried else node.all_input_nodes
        return found

    def _value(self, node: fx.Node, values: Values) -> Any:
        if node.op == "placeholder":
            if not node.args:
                raise DataError(f"input {node.name!r} is read behind a cut but not carried over it")
            return node.args[0]
        return call(self.graph, node, [values[source] for source in operands(node)])
