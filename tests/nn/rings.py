"""Graphs for tests: paths and rings."""

from __future__ import annotations

import numpy as np

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.tasks.classification import Classification


def drawn(n: int = 24, n_vertices: int = 9, seed: int = 0) -> Dataset:
    """Paths and rings of some length: which is which can be learnt."""
    rng = np.random.default_rng(seed)
    vertices, adjacency = np.zeros((n, n_vertices, 2), np.float32), np.zeros((n, n_vertices, n_vertices), np.uint8)
    classes = np.arange(n) % 2
    for number in range(n):
        length = rng.integers(4, n_vertices + 1)
        vertices[number, np.arange(length), rng.integers(2, size=length)] = 1
        for one in range(length if classes[number] else length - 1):
            other = (one + 1) % length
            adjacency[number, one, other] = adjacency[number, other, one] = 1
    parts = [Samples({"vertices": vertices[i::3], "adjacency": adjacency[i::3]}, classes[i::3]) for i in range(3)]
    return Dataset("rings", *parts, Classification(2), "none", "drawn")
