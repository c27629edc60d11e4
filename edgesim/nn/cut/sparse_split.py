"""Pruned matrices divided over devices by their nonzero entries: by outputs, by co-clusters (MSCC), entry by entry (FGCP)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import nn

from edgesim.nn.operators.division import apportion
from edgesim.rng import generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Split = Literal["outputs", "mscc", "fgcp"]
"""How a matrix is divided; see `divide`."""
_EXACT_SVD = 200  # smallest side up to which all singular vectors are computed


def prune(network: nn.Module, share: float) -> None:
    """Set the smallest weights of a network's linear layers to zero.

    Parameters
    ----------
    network : changed in place.
    share : of the entries of each weight matrix, those of smallest magnitude, that become zero; 0 to 1. Biases stay.
    """
    import torch

    for module in network.modules():
        if isinstance(module, nn.Linear) and not module.weight.is_meta:
            n_zero = round(share * module.weight.numel())
            with torch.no_grad():
                order = module.weight.abs().flatten().argsort(stable=True)
                module.weight.view(-1)[order[:n_zero]] = 0.0


@dataclass(frozen=True, slots=True)
class EntryCounts:
    """What one device needs of a divided matrix: its nonzero entries, the inputs they read, the partial sums they make."""

    n_entries: int
    n_inputs: int
    n_outputs: int


def counts(shares: NDArray[np.int8], n_devices: int) -> list[EntryCounts]:
    """Return what each device needs, by position."""
    found = []
    for device in range(n_devices):
        mine = shares == device
        found.append(EntryCounts(int(mine.sum()), int(mine.any(axis=0).sum()), int(mine.any(axis=1).sum())))
    return found


def divide(weight: NDArray[np.float32], speeds: Sequence[float], split: Split, seed: int) -> NDArray[np.int8]:
    """Give every nonzero entry of a matrix to a device.

    ``outputs``: contiguous rows, their number in proportion to speed. ``mscc``: rows by co-cluster: with
    W_n = D1^-1/2 |W| D2^-1/2 and its singular vectors, ceil(log2 p) pairs after the first stacked as D1^-1/2 U and D2^-1/2 V,
    k-means makes p groups of rows and columns; rows then move to the group with the most room, those with the most entries in
    its columns first, until no group holds more than its share of the entries by speed. ``fgcp``: as ``mscc``, but the entries
    of a row that lie outside its group's columns go, group of columns by group of columns, to the device with room for which
    fewest additional values are sent: inputs it does not get yet, plus one if it returns no partial sum of the row yet.

    Parameters
    ----------
    weight : shape (outputs, inputs).
    speeds : of the devices.
    split : see above.
    seed : of k-means.

    Returns
    -------
    shares
        Position of the device by entry, -1 where the weight is zero.

    References
    ----------
    I. S. Dhillon, Co-clustering documents and words using bipartite spectral graph partitioning, KDD 2001,
    doi 10.1145/502512.502550; J. Mao et al., MoDNN, DATE 2017, doi 10.23919/DATE.2017.7927211. Assumed, since the paper's
    exact rules are not at hand: how rows move, that columns belong to the group with most entries in them, and FGCP's order.
    """
    is_there = weight != 0
    if split == "outputs" or len(speeds) == 1 or not is_there.any():
        owner = np.repeat(np.arange(len(speeds)), apportion(len(weight), speeds))
        return _by_row(is_there, owner)
    rows, columns = _co_clusters(np.abs(weight), len(speeds), seed)
    capacity = is_there.sum() * np.asarray(speeds) / np.sum(speeds)
    rows, columns = _ranked(rows, columns, is_there, capacity)
    rows = _balanced(rows, columns, is_there, capacity)
    columns = np.argmax([is_there[rows == group].sum(axis=0) for group in range(len(speeds))], axis=0)
    return _by_row(is_there, rows) if split == "mscc" else _fine_grained(is_there, rows, columns, capacity)


def _by_row(is_there: NDArray[np.bool_], owner: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.where(is_there, owner[:, None], -1).astype(np.int8)


def _co_clusters(
    magnitude: NDArray[np.float32], n_groups: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the group of each row and column by bipartite spectral co-clustering."""
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import svds
    from sklearn.cluster import KMeans

    n_vectors = ceil(log2(n_groups))
    row_scale = 1 / np.sqrt(np.maximum(magnitude.sum(axis=1, dtype=np.float64), 1e-12))
    column_scale = 1 / np.sqrt(np.maximum(magnitude.sum(axis=0, dtype=np.float64), 1e-12))
    row_scale[~magnitude.any(axis=1)] = column_scale[~magnitude.any(axis=0)] = 0.0
    if min(magnitude.shape) <= max(_EXACT_SVD, n_vectors + 2):
        scaled = row_scale[:, None] * magnitude * column_scale
        left, _, right = np.linalg.svd(scaled, full_matrices=False)
    else:
        sparse = csr_array(magnitude.astype(np.float64)).multiply(row_scale[:, None]).multiply(column_scale).tocsr()
        start = generator(seed, "mscc/svd").standard_normal(min(magnitude.shape))
        left, values, right = svds(sparse, k=n_vectors + 1, v0=start)
        order = np.argsort(-values)
        left, right = left[:, order], right[order]
    vectors = slice(1, 1 + n_vectors)
    points = np.vstack([row_scale[:, None] * left[:, vectors], column_scale[:, None] * right[vectors].T])
    if not points.shape[1]:  # a single row or column has no second pair of vectors
        return np.zeros(len(magnitude), dtype=np.int64), np.zeros(magnitude.shape[1], dtype=np.int64)
    draw = int(generator(seed, "mscc/k-means").integers(2**31))
    n_distinct = len(np.unique(points.round(12), axis=0))  # few in a small matrix with few entries
    labels = KMeans(min(n_groups, n_distinct), n_init=10, random_state=draw).fit_predict(points).astype(np.int64)
    return labels[: len(magnitude)], labels[len(magnitude) :]


def _ranked(
    rows: NDArray[np.int64], columns: NDArray[np.int64], is_there: NDArray[np.bool_], capacity: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the groups so that the heaviest belongs to the fastest device."""
    n_groups = len(capacity)
    load = np.bincount(rows, weights=is_there.sum(axis=1), minlength=n_groups)
    device_of = np.empty(n_groups, dtype=np.int64)
    device_of[np.argsort(-load, kind="stable")] = np.argsort(-capacity, kind="stable")
    return device_of[rows], device_of[columns]


def _balanced(
    rows: NDArray[np.int64], columns: NDArray[np.int64], is_there: NDArray[np.bool_], capacity: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Move rows from groups with too many entries to the group with the most room."""
    rows = rows.copy()
    weight = is_there.sum(axis=1)
    near = np.stack([is_there[:, columns == group].sum(axis=1) for group in range(len(capacity))], axis=1)
    load = np.bincount(rows, weights=weight, minlength=len(capacity))
    for _ in range(len(rows)):
        full, free = int(np.argmax(load - capacity)), int(np.argmin(load - capacity))
        excess, room = load[full] - capacity[full], capacity[free] - load[free]
        members = np.flatnonzero((rows == full) & (weight > 0) & (weight < excess + room))
        if not len(members) or excess <= 0:
            break
        best = members[np.argmax(near[members, free] - near[members, full])]
        rows[best] = free
        load[full] -= weight[best]
        load[free] += weight[best]
    return rows


def _fine_grained(
    is_there: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64], capacity: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Give the entries outside the diagonal blocks to the devices for which fewest values more are sent."""
    n_devices = len(capacity)
    is_inner = is_there & (rows[:, None] == columns)
    shares = np.where(is_inner, rows[:, None], -1).astype(np.int8)
    load = np.bincount(rows, weights=is_inner.sum(axis=1), minlength=n_devices)
    gets = np.stack([(shares == device).any(axis=0) for device in range(n_devices)])
    returns = np.stack([(shares == device).any(axis=1) for device in range(n_devices)])
    in_group = [np.flatnonzero(columns == group) for group in range(n_devices)]
    for row in range(len(is_there)):
        for group in range(n_devices):
            outliers = in_group[group][is_there[row, in_group[group]]] if group != rows[row] else in_group[group][:0]
            if not len(outliers):
                continue
            n_sent = (~gets[:, outliers]).sum(axis=1) + ~returns[:, row]
            has_room = load + len(outliers) <= np.ceil(capacity)
            fullness = load / np.maximum(capacity, 1e-9)
            choice = int(np.lexsort((fullness, n_sent, ~has_room))[0] if has_room.any() else np.argmin(fullness))
            shares[row, outliers] = choice
            load[choice] += len(outliers)
            gets[choice, outliers] = True
            returns[choice, row] = True
    return shares
