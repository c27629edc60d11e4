"""Graphs whose vertices are divided over devices, and reservoirs on them that settle by messages, some of which may be lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from edgesim.nn.models.reservoir_networks import ReservoirLayer, ReservoirNetwork

    Floats = NDArray[np.float32]
    Indices = NDArray[np.int64]


def breadth_first(adjacency: NDArray[np.uint8]) -> list[int]:
    """Return the vertices of a graph in breadth-first order, each part of it from its vertex of the fewest neighbours.

    Examples
    --------
    A path 0 - 2 - 1 and a vertex of its own, which has the fewest.

    >>> breadth_first(np.array([[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], np.uint8))
    [3, 0, 2, 1]
    """
    degrees = adjacency.sum(axis=1, dtype=np.int64)
    left = set(range(len(adjacency)))
    order: list[int] = []
    while left:
        queue = [min(left, key=lambda vertex: (degrees[vertex], vertex))]
        left -= set(queue)
        while queue:
            vertex = queue.pop(0)
            order.append(vertex)
            found = [int(other) for other in np.flatnonzero(adjacency[vertex]) if other in left]
            queue += found
            left -= set(found)
    return order


def owners(adjacency: NDArray[np.uint8], n_devices: int) -> Indices:
    """Return the device of each vertex of a graph: runs of the breadth-first order, as equal as can be, the longer ones first.

    >>> owners(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8), 2).tolist()
    [0, 0, 1]
    """
    device_of = np.empty(len(adjacency), np.int64)
    for device, run in enumerate(np.array_split(np.array(breadth_first(adjacency), np.int64), n_devices)):
        device_of[run] = device
    return device_of


@dataclass(frozen=True, slots=True, eq=False)
class DividedGraphs:
    """Some graphs, side by side as one, with a device for each vertex.

    Parameters
    ----------
    n_graphs, n_devices : their numbers.
    features : of the vertices, shape (vertices, features).
    graph_of, device_of : graph and device of each vertex.
    to, of : both ends of each edge in each direction: the vertex `to` whose sum the state of the vertex `of` goes into.
    """

    n_graphs: int
    n_devices: int
    features: Floats
    graph_of: Indices
    device_of: Indices
    to: Indices
    of: Indices

    @classmethod
    def divided(cls, vertices: Floats, adjacency: NDArray[np.uint8], n_devices: int) -> DividedGraphs:
        """Divide padded graphs, shapes (n, vertices, features) and (n, vertices, vertices); vertices without features and edges are none."""
        are_there = (vertices != 0).any(axis=2) | (adjacency != 0).any(axis=2)
        number = np.cumsum(are_there).reshape(are_there.shape) - 1
        graph_of, place = np.nonzero(are_there)
        device_of = np.concatenate(
            [owners(graph[there][:, there], n_devices) for graph, there in zip(adjacency, are_there, strict=True)]
            or [np.empty(0, np.int64)]
        )
        graph, to, of = np.nonzero(adjacency)
        return cls(
            len(vertices), n_devices, vertices[graph_of, place], graph_of, device_of, number[graph, to], number[graph, of]
        )  # fmt: skip

    def n_own(self) -> NDArray[np.float64]:
        """Return how many vertices of a graph each device has, in the mean over the graphs."""
        return np.bincount(self.device_of, minlength=self.n_devices) / max(1, self.n_graphs)

    def n_sent(self) -> NDArray[np.float64]:
        """Return how many states each device sends each other in a round, in the mean over the graphs, shape (sender, receiver).

        A state is sent once to a device, however many of its vertices are neighbours.
        """
        crossing = self.device_of[self.of] != self.device_of[self.to]
        sent = np.unique(np.stack([self.of[crossing], self.device_of[self.to[crossing]]]), axis=1)
        counts = np.zeros((self.n_devices, self.n_devices))
        np.add.at(counts, (self.device_of[sent[0]], sent[1]), 1.0)
        return counts / max(1, self.n_graphs)

    def n_cut_edges(self) -> float:
        """Return how many edges join two devices, in the mean over the graphs."""
        return float((self.device_of[self.of] != self.device_of[self.to]).sum() / 2 / max(1, self.n_graphs))

    def answers(
        self,
        network: ReservoirNetwork,
        arrived: Callable[[int, int], NDArray[np.bool_]],
        counted: Collection[int],
    ) -> Floats:
        """Return the answers to all graphs, shape (n, numbers of an answer).

        A vertex whose neighbour's state did not come goes on with the last one that came, 0 before any.

        Parameters
        ----------
        network : solved for.
        arrived : for a layer and a round from 1, whether the message of that round came, shape (sender, receiver).
        counted : the devices whose sums over their vertices came.
        """
        is_counted = np.isin(self.device_of, list(counted))
        features = []
        for reservoir, layers in zip(network.reservoirs(), network.layers(), strict=True):
            states = self.features
            for number, layer in enumerate(layers):
                states = self._settled(states, layer, float(network.neighbours.scale), partial(arrived, number))
            pooled = np.zeros((self.n_graphs, states.shape[1]), np.float32)
            np.add.at(pooled, self.graph_of[is_counted], states[is_counted])
            features.append(np.tanh(pooled @ reservoir.projection.weight.numpy().T))
        head = network.head
        answers: Floats = np.concatenate(features, axis=1) @ head.weight.detach().numpy().T + head.bias.detach().numpy()
        return answers

    def _settled(
        self, features: Floats, layer: ReservoirLayer, scale: float, arrived: Callable[[int], NDArray[np.bool_]]
    ) -> Floats:
        """Return the states of a layer behind its rounds."""
        from scipy.sparse import csr_matrix

        drive = features @ layer.entering.weight.numpy().T
        recurrent = layer.round.recurrent.weight.numpy().T
        states: Floats = np.tanh(drive)
        ones = np.full(len(self.to), scale, np.float32)
        sums = csr_matrix((ones, (self.to, np.arange(len(self.to)))), shape=(len(states), len(self.to)))
        held = np.zeros((len(self.to), states.shape[1]), np.float32)
        sender, receiver = self.device_of[self.of], self.device_of[self.to]
        for number in range(1, layer.iterations):
            is_new = (sender == receiver) | arrived(number)[sender, receiver]
            held[is_new] = states[self.of[is_new]]
            states = np.tanh(drive + (sums @ held) @ recurrent)
        return states
