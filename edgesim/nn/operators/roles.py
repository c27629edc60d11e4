"""What the axes of the tensors of a network count: units, like channels or features, and positions, like pixels, tokens or vertices.

A tensor is cut along its positions, or along its units; along other axes, such as the numbers within an attention head, it is not.
"""

from __future__ import annotations

from math import prod

from torch import fx, nn

from edgesim.nn.cost.plain import Attention, PartialSums, Permuted, Repeated, Reshaped, SumOfParts
from edgesim.nn.cost.trace import function_name, shape_of, submodule
from edgesim.nn.cost.units import CHANNEL_FIRST

UNIT, POSITION, OTHER = "u", "p", "-"


def roles_by_node(graph: fx.GraphModule) -> dict[fx.Node, str]:
    """Return a letter for each axis of each tensor, the batch axis not counted: ``u`` unit, ``p`` position, ``-`` neither.

    Convolutions, normalisations by channel and poolings have their units first, linear layers and normalisations of rows last; others
    have the roles of what they read, or, as the input of the network, of what reads them. Where nothing says so, the first axis counts
    units.
    """
    found: dict[fx.Node, str] = {}
    for node in graph.graph.nodes:
        if shape_of(node):
            found[node] = _roles(graph, node, found)
    for node in reversed(graph.graph.nodes):
        if found.get(node) == "":
            found[node] = _of_readers(graph, node, found)
    return {node: roles or channels_first(len(shape_of(node))) for node, roles in found.items()}


def channels_first(rank: int) -> str:
    """Return the roles of a tensor with its units on the first axis.

    >>> channels_first(3)
    'upp'
    """
    return UNIT + POSITION * (rank - 1) if rank else ""


def features_last(rank: int) -> str:
    """Return the roles of a tensor with its units on the last axis.

    >>> features_last(2)
    'pu'
    """
    return POSITION * (rank - 1) + UNIT if rank else ""


def _roles(  # noqa: PLR0911 - one for each kind of node
    graph: fx.GraphModule, node: fx.Node, found: dict[fx.Node, str]
) -> str:
    """Return the roles of a node's output, empty when nothing says what they are."""
    rank = len(shape_of(node))
    sources = [source for source in node.all_input_nodes if found.get(source) is not None]
    module, name = submodule(graph, node), function_name(node)
    read = found[sources[0]] if sources else ""
    if isinstance(module, CHANNEL_FIRST):
        return channels_first(rank)
    if isinstance(module, nn.Linear):
        return (
            "".join(OTHER if role == OTHER else POSITION for role in read[: rank - 1]).ljust(rank - 1, POSITION) + UNIT
        )
    if isinstance(module, PartialSums):
        return OTHER + features_last(rank - 1)
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm)) and len(module.normalized_shape) == 1:
        return read or features_last(rank)
    if isinstance(module, (nn.Embedding, nn.GRU, nn.LSTM, nn.RNN, nn.MultiheadAttention)):
        return features_last(rank)
    if name in {"matmul", "bmm"} and len(sources) == 2:
        return _of_product(rank, *(found[source] for source in sources))
    if read and isinstance(module, (Attention, Permuted, Reshaped, Repeated, SumOfParts)):
        return _of_move(module, read)
    return next((found[source] for source in sources if len(found[source]) == rank), "")


def _of_readers(graph: fx.GraphModule, node: fx.Node, found: dict[fx.Node, str]) -> str:
    """Return the roles of what reads a node, where its axes are those of the node."""
    rank = len(shape_of(node))
    for user in node.users:
        is_moving = isinstance(submodule(graph, user), (Permuted, Reshaped)) or function_name(user) in {"matmul", "bmm"}
        if not is_moving and len(found.get(user, "")) == rank:
            return found[user]
    return ""


def _of_product(rank: int, first: str, second: str) -> str:
    """Rows are those of the first matrix, columns those of the second; numbers of two axes of positions are cut along the first."""
    if rank < 2:
        return ""
    column = second[-1:] or UNIT
    rows = first[-2:-1] or POSITION
    rows = POSITION if rows == UNIT and column == UNIT else rows
    return (first[:-2] or "").rjust(rank - 2, OTHER) + rows + (OTHER if column == POSITION else column)


def _of_move(module: nn.Module, read: str) -> str:
    """Of attention, the roles of the queries; of moved elements, those of the axes that they come from."""
    if isinstance(module, Permuted):
        return "".join(read[axis] for axis in module.order)
    if isinstance(module, SumOfParts):
        return read[1:]
    return _of_shape(module, read) if isinstance(module, Reshaped) else read


def _of_shape(module: Reshaped, read: str) -> str:
    """Of axes that one axis is divided into, the first longer than one has its role; an axis put together from several has the first role among them."""
    roles = [OTHER] * len(module.after)
    for before, after in groups(module.before, module.after):
        role = next((read[axis] for axis in before if module.before[axis] > 1 and read[axis] != OTHER), OTHER)
        for axis in after:
            if module.after[axis] > 1:
                roles[axis] = role
                break
    return "".join(roles)


def groups(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Return the axes of two shapes of the same elements that belong together, the smallest groups in order.

    >>> groups((8, 6), (8, 2, 3)), groups((8, 2, 3), (16, 3))
    ([([0], [0]), ([1], [1, 2])], [([0, 1], [0]), ([2], [1])])
    """
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        left: list[int] = []
        right: list[int] = []
        while not left or not right or prod(before[a] for a in left) != prod(after[a] for a in right):
            is_left = prod(before[a] for a in left) <= prod(after[a] for a in right) if left and right else not left
            if (is_left and i < len(before)) or j >= len(after):
                if i >= len(before):
                    break
                left.append(i)
                i += 1
            else:
                right.append(j)
                j += 1
        found.append((left, right))
    return found
