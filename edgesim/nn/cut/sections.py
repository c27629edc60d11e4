"""Sections: linear layers and attention heads divided by output, up to a linear layer that is divided by input (tensor-parallel).

Between the first linear layers of a section, which read the same, and its last each device has its own features or heads, whole,
so that devices send each other nothing. The last layer gives a partial sum on each device; the owner sums them up and adds the
bias. A transformer block has two sections, attention and the network behind it, and so two gathers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import fx, nn

from edgesim.nn.cost.plain import PartialSums, SumOfParts
from edgesim.nn.cost.rewrite import free_name
from edgesim.nn.cost.trace import shape_of, submodule
from edgesim.nn.operators.boxes import Box, hull, volume, whole
from edgesim.nn.operators.division import apportion
from edgesim.nn.operators.readers import reader_of
from edgesim.nn.operators.rows import partial_reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.nn.cut.stages import Stage


@dataclass(frozen=True, slots=True)
class Section:
    """Nodes that are divided together.

    Parameters
    ----------
    nodes : in order of execution, the last divided by input.
    n_granules : equal shares that no layer of the section mixes: heads, groups of heads that share keys, or features.
    """

    nodes: tuple[fx.Node, ...]
    n_granules: int


def divide_sections(graph: fx.GraphModule, n_devices: int) -> list[Section]:
    """Find the sections of a network and let partial sums and their sum stand for their last layers.

    Parameters
    ----------
    graph : as `edgesim.nn.cost.moves.plain` returns it; record it anew afterwards.
    n_devices : how many compute.
    """
    order = {node: position for position, node in enumerate(graph.graph.nodes)}
    taken: set[fx.Node] = set()
    found: list[Section] = []
    for last in list(graph.graph.nodes):
        if not isinstance(submodule(graph, last), nn.Linear) or last in taken:
            continue
        nodes = _nodes(graph, last, order, taken)
        n_granules = _granules(graph, nodes) if len(nodes) > 1 else 0
        if n_granules > 1:
            taken.update(nodes)
            parts = _with_partial_sums(graph, last, n_granules, n_devices)
            found.append(Section((*nodes[:-1], parts), n_granules))
    graph.recompile()
    return found


def _nodes(graph: fx.GraphModule, last: fx.Node, order: dict[fx.Node, int], taken: set[fx.Node]) -> list[fx.Node]:
    """Return what lies between a linear layer and the linear layers in front of it, both included; empty when something else reads of it."""
    nodes: set[fx.Node] = {last}
    outside: set[fx.Node] = set()
    left = list(last.all_input_nodes)
    while left:
        node = left.pop()
        if node in nodes or node in outside:
            continue
        if node in taken or reader_of(graph, node) is None:
            return []
        nodes.add(node)
        is_entry = isinstance(submodule(graph, node), nn.Linear)
        (outside.update if is_entry else left.extend)(node.all_input_nodes)
    first = min(order[node] for node in nodes)
    is_closed = all(user in nodes for node in nodes if node is not last for user in node.users)
    is_ready = not outside & nodes and all(order[node] < first for node in outside)
    return sorted(nodes, key=order.__getitem__) if is_closed and is_ready else []


def _granules(graph: fx.GraphModule, nodes: Sequence[fx.Node]) -> int:
    """Return the largest number of equal shares of the last layer's input that divide every layer in front of it; 0 when none does."""
    if not nodes:
        return 0
    n_inputs = shape_of(nodes[-1].all_input_nodes[0])[-1]
    candidates = {size for node in nodes[:-1] for size in shape_of(node) if size > 1 and n_inputs % size == 0}
    for n_granules in sorted(candidates, reverse=True):
        size = n_inputs // n_granules
        starts = [granule * size for granule in range(n_granules + 1)]
        volumes: dict[fx.Node, int] = {}
        for start, stop in pairwise(starts):
            for node, box in _read(graph, nodes, range(start, stop)).items():
                volumes[node] = volumes.get(node, 0) + volume(box)
        if all(volumes.get(node) == volume(whole(shape_of(node))) for node in nodes[:-1]):
            return n_granules
    return 0


def _read(graph: fx.GraphModule, nodes: Sequence[fx.Node], features: range) -> dict[fx.Node, Box]:
    """Return the box of each layer that some of the features of the last layer's input read."""
    source = nodes[-1].all_input_nodes[0]
    boxes: dict[fx.Node, Box] = {source: (*whole(shape_of(source)[:-1]), features)}
    by_name = {node.name: node for node in nodes[:-1]}
    for node in reversed(nodes[:-1]):
        reader = reader_of(graph, node)
        if node not in boxes or reader is None:
            continue
        for name, read in reader.reads(boxes[node]):
            other = by_name.get(name)
            if other is not None:
                boxes[other] = hull(boxes[other], read) if other in boxes else read
    return boxes


def _with_partial_sums(graph: fx.GraphModule, last: fx.Node, n_granules: int, n_devices: int) -> fx.Node:
    """Let partial sums stand for a linear layer, and behind them their sum; return the node of the partial sums."""
    linear = submodule(graph, last)
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"{last.name!r} is no linear layer")
    counts = apportion(n_granules, [1.0] * n_devices)
    partial = PartialSums(linear.weight, starts_of(counts, linear.in_features))
    name = free_name(graph, f"{last.name}_parts")
    graph.add_submodule(name, partial.eval())
    with graph.graph.inserting_before(last):
        node = graph.graph.call_module(name, last.args)
    sums = free_name(graph, f"{last.name}_sum")
    graph.add_submodule(sums, SumOfParts(linear.bias).eval())
    last.target, last.args = sums, (node,)
    return node


def starts_of(counts: Sequence[int], n_inputs: int) -> tuple[int, ...]:
    """Return where the shares of the inputs begin, and the end of the last.

    >>> starts_of([2, 1, 1], 8)
    (0, 4, 6, 8)
    """
    found = [0]
    for count in counts:
        found.append(found[-1] + count * n_inputs // sum(counts))
    return tuple(found)


def shared_out(
    graph: fx.GraphModule, stage: Stage, speeds: Sequence[float]
) -> tuple[Stage, dict[str, tuple[Box, ...]]]:
    """Divide a section in proportion to speeds; return it with its shares, and the box of each layer by device.

    The module of the partial sums in the graph gets the same shares.
    """
    last = stage.layers[-1]
    module = graph.get_submodule(last.module)
    if not isinstance(module, PartialSums):
        raise TypeError(f"{last.name!r} gives no partial sums")
    counts = apportion(stage.n_granules, speeds)
    module.starts = starts_of(counts, module.starts[-1])
    last = replace(
        last,
        reader=partial_reader(last.reader.sources[0][0], last.input_shapes[0], module.starts),
        starts=module.starts,
    )
    stage = replace(stage, layers=(*stage.layers[:-1], last))
    boxes: dict[str, list[Box]] = {layer.name: [] for layer in stage.layers}
    for device, count in enumerate(counts):
        wanted: dict[str, Box] = {last.name: (range(device, device + bool(count)), *whole(last.shape[1:]))}
        for layer in reversed(stage.layers):
            nothing: Box = tuple(range(0) for _ in layer.shape)
            box = wanted.get(layer.name, nothing)
            boxes[layer.name].append(box if volume(box) else nothing)
            for name, read in layer.reader.reads(box) if volume(box) else ():
                if name in boxes:
                    wanted[name] = hull(wanted[name], read) if name in wanted else read
    return stage, {name: tuple(found) for name, found in boxes.items()}
