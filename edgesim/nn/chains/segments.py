"""Segments of a network that follow one another, with one tensor between any two."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import fx, nn

from edgesim.errors import PlanError
from edgesim.nn.cost.layers import is_layer
from edgesim.nn.cost.trace import layer_name, shape_of, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.networks.samples import Inputs


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of layers.

    Parameters
    ----------
    module : maps what the segment reads, shape (n, *input_shape), to what it gives; its weights are a copy.
    input_shape, output_shape : of one sample.
    """

    module: fx.GraphModule
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


def segments_of(network: nn.Module, inputs: Inputs, cuts: Sequence[str]) -> list[Segment]:
    """Cut a network behind some layers.

    Parameters
    ----------
    network : in evaluation mode; it is left alone.
    inputs : the tensors of one sample; there must be one.
    cuts : ids of layers, in order of execution.

    Raises
    ------
    PlanError
        When a layer is unknown or they are not in order, or more than one tensor crosses a cut, as with a shortcut past it.
    DataError
        When the network cannot be traced.

    Examples
    --------
    >>> from edgesim.domain.networks.task import TensorSpec
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> [(one.input_shape, one.output_shape) for one in segments_of(network, {"rows": TensorSpec((2,))}, ["1"])]
    [((2,), (3,)), ((3,), (1,))]
    """
    traced = trace(copy.deepcopy(network).eval(), inputs)
    nodes = [node for node in traced.graph.nodes if node.op != "output"]
    entries = [node for node in nodes if node.op == "placeholder" and not node.args]
    answer = next(iter(traced.graph.find_nodes(op="output"))).args[0]
    if len(entries) != 1 or not isinstance(answer, fx.Node):
        raise PlanError(
            f"a chain of segments needs a network with one input and one answer; this one has {len(entries)} inputs"
        )
    stops = [*_stops(traced, nodes, cuts), len(nodes)]
    found: list[Segment] = []
    start, source = 0, entries[0]
    for number, stop in enumerate(stops):
        last = answer if number == len(cuts) else _crossing(nodes, stop, cuts[number])
        graph = _graph_of(nodes[start:stop], source, last)
        found.append(Segment(fx.GraphModule(traced, graph), shape_of(source), shape_of(last)))
        start, source = stop, last
    return found


def _stops(traced: fx.GraphModule, nodes: Sequence[fx.Node], cuts: Sequence[str]) -> list[int]:
    """Return how many nodes stand in front of each cut."""
    places = {layer_name(node): place + 1 for place, node in enumerate(nodes) if is_layer(traced, node)}
    unknown = [name for name in cuts if name not in places]
    if unknown:
        raise PlanError(f"cuts: the network has no layer {unknown[0]!r}; its layers are {', '.join(places)}")
    stops = [places[name] for name in cuts]
    if stops != sorted(set(stops)) or max(places.values()) in stops:
        raise PlanError(
            f"cuts: {', '.join(cuts)} leave a device without layers; name layers in order of execution, not the last"
        )
    return stops


def _crossing(nodes: Sequence[fx.Node], stop: int, cut: str) -> fx.Node:
    """Return the one node in front of a cut that something behind it reads."""
    behind = set(nodes[stop:])
    crossing = [node for node in nodes[:stop] if node.op != "get_attr" and (not node.users.keys().isdisjoint(behind))]
    if len(crossing) != 1:
        names = ", ".join(repr(layer_name(node)) for node in crossing)
        raise PlanError(
            f"cuts: {len(crossing)} tensors cross the cut behind {cut!r}, of {names}; cut where one does, e.g. behind an addition"
        )
    return crossing[0]


def _graph_of(nodes: Sequence[fx.Node], source: fx.Node, last: fx.Node) -> fx.Graph:
    """Return the graph of some nodes that read one tensor; weights read in front of them are read again."""
    graph = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {source: graph.placeholder("values")}

    def copy_of(node: fx.Node) -> fx.Node:
        if node not in copied:
            copied[node] = graph.node_copy(node, copy_of)
        return copied[node]

    for node in nodes:
        copy_of(node)
    graph.output(copied[last])
    return graph
