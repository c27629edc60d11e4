"""Where devices without a position are drawn: as the graph of the links asks for."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.system.topology import Topology

N_MOST_EXACT = 120
"""Devices up to this number are placed by all distances in the graph, which costs time with the cube of their number."""
N_PIVOTS = 50
"""Of more devices, the distances from so many of them place the others, which costs time with their number alone."""
ALIGNED = 0.8
"""How much links must agree in their directions, quarter turns apart, to be drawn level and upright; 1: all do."""
_CROWD = 12
"""More leaves than these on one device stand at several distances from it."""
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0

Places = dict[str, tuple[float, float]]


def layout(topology: Topology) -> Places:
    """Return where each device is drawn: its position, or a place that follows from the graph.

    Of few devices all distances in the graph are drawn as they are, as far as a plane has them; those of a star are equal on a circle. Of many, a grid stands in rows and
    columns, a tree spreads from its middle, level by level, and other graphs are placed by their distances from a few pivots.

    References
    ----------
    U. Brandes and C. Pich, "Eigensolver methods for progressive multidimensional scaling of large data", Graph Drawing 2006,
    LNCS 4372, section 3 (pivot MDS), doi:10.1007/978-3-540-70904-6_6.
    """
    given = {device.device_id: device.position_m for device in topology.devices if device.position_m is not None}
    linked: dict[str, dict[str, None]] = {name: {} for name in (*topology.device_of, *topology.switch_of)}
    for link in topology.links:
        linked[link.src_id][link.dst_id] = linked[link.dst_id][link.src_id] = None
    if len(given) == len(linked):
        return given
    if given:
        return given | _beside(linked, given)
    degrees = [len(others) for others in linked.values()]
    if 3 < len(linked) <= _CROWD and sum(degrees) // 2 == len(linked) - 1 == max(degrees):
        centre = max(linked, key=lambda name: len(linked[name]))
        spokes = [(centre, name) for name in linked[centre]]
        return _upright(_as_tree(linked), spokes)  # a star, which needs no search for the best places
    import networkx as nx  # not before it is needed, since loading it takes a while

    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(linked)
    graph.add_edges_from((link.src_id, link.dst_id) for link in topology.links)
    if len(graph) > N_MOST_EXACT:
        if nx.is_tree(graph):
            return _upright(_as_tree(graph), list(graph.edges))
        return _as_grid(graph) or _upright(_by_pivots(graph), list(graph.edges))
    found = nx.kamada_kawai_layout(graph) if nx.is_connected(graph) else nx.spring_layout(graph, seed=1, iterations=200)
    return _upright({name: (float(x), float(y)) for name, (x, y) in found.items()}, list(graph.edges))


def _as_tree(graph: Any) -> Places:
    """Place a tree around its middle: a level is a circle, and each device has an angle as wide as it has leaves below.

    `graph` says of each device which ones it is linked with.
    """
    farthest = [*_found_from(graph, next(iter(graph)))][-1]
    before = _found_from(graph, farthest)
    path = [[*before][-1]]
    while path[-1] != farthest:
        path.append(before[path[-1]])
    root = path[(len(path) - 1) // 2]
    parents = _found_from(graph, root)
    order = [*parents]
    below: dict[str, list[str]] = {name: [] for name in order}
    for name in order[1:]:
        below[parents[name]].append(name)
    n_leaves = dict.fromkeys(graph, 1)
    for name in reversed(order):
        n_leaves[name] = sum(n_leaves[child] for child in below[name]) or 1
    wedges = {root: (0.0, 2.0 * np.pi, 0)}
    polar = {root: (0.0, 0.0)}
    for name in order:
        begin, width, level = wedges[name]
        is_crowd = len(below[name]) > _CROWD
        for position, child in enumerate(below[name]):
            part = width * n_leaves[child] / n_leaves[name]
            wedges[child] = begin, part, level + 1
            share = (position * _GOLDEN) % 1.0 if is_crowd and not below[child] else 1.0
            polar[child] = level + float(np.sqrt(0.05 + 0.95 * share)), begin + part / 2
            begin += part
    return {name: (float(r * np.cos(angle)), float(r * np.sin(angle))) for name, (r, angle) in polar.items()}


def _found_from(graph: Any, start: str) -> dict[str, str]:
    """Return all devices in the order in which a search that goes as broad as it can finds them, each with that from which; itself at the start."""
    found, order = {start: start}, [start]
    for name in order:
        for other in graph[name]:
            if other not in found:
                found[other] = name
                order.append(other)
    return found


def _as_grid(graph: Any) -> Places | None:
    """Place a grid in rows and columns, by the distances from two of its corners; None: the graph is no grid."""
    import networkx as nx

    corners = [name for name in graph if graph.degree(name) == 2]
    if len(corners) != 4 or not nx.is_connected(graph):
        return None
    first = nx.single_source_shortest_path_length(graph, corners[0])
    other = max(corners[1:], key=lambda name: (-first[name], name))
    second = nx.single_source_shortest_path_length(graph, other)
    n_before = first[other]
    cells = {
        name: ((first[name] - second[name] + n_before) / 2, (first[name] + second[name] - n_before) / 2)
        for name in graph
    }
    n_across, n_up = (int(max(axis)) + 1 for axis in zip(*cells.values(), strict=True))
    are_beside = all(abs(np.subtract(cells[src], cells[dst])).sum() == 1.0 for src, dst in graph.edges)
    if len({*cells.values()}) != n_across * n_up or n_across * n_up != len(graph) or not are_beside:
        return None
    return {name: (up, -across) if n_up >= n_across else (across, -up) for name, (across, up) in cells.items()}


def _by_pivots(graph: Any) -> Places:
    """Place a graph by the distances of all devices from a few that are far from each other."""
    from networkx import to_scipy_sparse_array
    from scipy.sparse.csgraph import dijkstra

    links = to_scipy_sparse_array(graph, weight=None, format="csr")
    nearest = np.full(len(graph), np.inf)
    columns = []
    pivot = 0
    for _ in range(N_PIVOTS):
        hops = dijkstra(links, directed=False, indices=[pivot], unweighted=True)[0]
        columns.append(hops)
        nearest = np.minimum(nearest, hops)
        pivot = int(np.argmax(nearest))
    distances = np.stack(columns, axis=1)
    apart = ~np.isfinite(distances)
    distances[apart] = 1.0 + distances[~apart].max()
    squares = distances**2
    centred = -0.5 * (squares - squares.mean(axis=0) - squares.mean(axis=1, keepdims=True) + squares.mean())
    _, axes = np.linalg.eigh(centred.T @ centred)
    points = _spread(centred @ axes[:, :-3:-1], [frozenset(graph[name]) for name in graph])
    return {name: (float(x), float(y)) for name, (x, y) in zip(graph, points, strict=True)}


def _spread(points: NDArray[np.float64], linked: Sequence[frozenset[str]]) -> NDArray[np.float64]:
    """Let devices that are linked with the same others, which no distance tells apart, stand around one place."""
    from scipy.spatial import cKDTree

    number_of = {others: number for number, others in enumerate(dict.fromkeys(linked))}
    whose = np.array([number_of[others] for others in linked])
    counts = np.bincount(whose)
    middles = np.stack([np.bincount(whose, points[:, axis]) for axis in (0, 1)], axis=1) / counts[:, None]
    room = np.ones(1)
    if len(middles) > 1:
        room = np.asarray(cKDTree(middles).query(middles, k=2)[0])[:, 1]
    order = np.argsort(whose, kind="stable")
    number = np.empty(len(points))
    number[order] = np.arange(len(points)) - np.repeat(np.cumsum(counts) - counts, counts)
    radius = 0.45 * room[whose] * np.sqrt(number / counts[whose])
    angle = 2.0 * np.pi * _GOLDEN * number
    around = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(middles[whose] + around, dtype=np.float64)


def _upright(places: Places, edges: Sequence[tuple[str, str]]) -> Places:
    """Turn the picture so that most links are level or upright, as of a grid; else so that it is widest across, for the names."""
    points = np.array(list(places.values()))
    if len(points) < 3:
        return places
    points = points - points.mean(axis=0)
    lengths = np.array([complex(*np.subtract(places[dst], places[src])) for src, dst in edges])
    mean = np.sum(np.abs(lengths) * np.exp(4j * np.angle(lengths))) / max(float(np.abs(lengths).sum()), 1e-12)
    if abs(mean) > ALIGNED:  # four times the angle is the same for a direction and its quarter turns
        angle = np.angle(mean) / 4
        turned = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return _named(places, turned if np.ptp(turned[:, 0]) >= np.ptp(turned[:, 1]) else turned[:, ::-1])
    _, _, axes = np.linalg.svd(points, full_matrices=False)
    spread = np.ptp(points @ axes.T, axis=0)
    if spread[1] > 0.8 * spread[0]:  # as wide as high: leave it as it is
        return places
    return _named(places, points @ axes.T)


def _named(places: Places, points: NDArray[np.float64]) -> Places:
    return {name: (float(x), float(y)) for name, (x, y) in zip(places, points, strict=True)}


def _beside(graph: Any, given: Mapping[str, tuple[float, float]]) -> Places:
    """Place devices without position below those with one, under what they are linked with, or beside what stands there."""
    points = np.array(list(given.values()))
    low, width = points[:, 1].min(), max(float(np.ptp(points[:, 0])), 1.0)
    step = 0.08 * width
    made: Places = {}
    taken: list[float] = []
    after: dict[float, float] = {}
    for name in graph:
        if name in given:
            continue
        near = [given[other][0] for other in graph[name] if other in given] or [float(points[:, 0].mean())]
        start = float(np.mean(near))
        x = after.get(start, start)
        while _is_near(taken, x, step):
            x += step
        insort(taken, x)
        after[start] = x
        made[name] = (x, float(low - 0.12 * width))
    return made


def _is_near(taken: Sequence[float], x: float, step: float) -> bool:
    """Say whether one of the sorted numbers is nearer to x than a step."""
    place = bisect_left(taken, x)
    return any(abs(x - other) < step for other in taken[max(place - 1, 0) : place + 1])
