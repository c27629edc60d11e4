"""Filter graphs: which filters of a teacher belong together, from their activities on real samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hub_affinity(activities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return NoNN's activation-hub weights, A_ij = sum over samples of a_i a_j |a_i - a_j|.

    A strong link joins a strong filter with a weaker one that is active for the same samples, so that the strongest filters
    (hubs) spread over the parts; two equally active filters are not linked.

    Parameters
    ----------
    activities : a, shape (samples, filters), at least 0; see `edgesim.nn.activations.filter_activities`.

    Returns
    -------
    Symmetric matrix with zero diagonal, shape (filters, filters).

    Notes
    -----
    This is the rule as the paper gives it. The authors' published code differs: it scales each sample's largest activity to 1,
    keeps the 50 most active filters of each sample, and sets the weights below their 99th percentile to 0.
    Time grows as samples x filters^2.

    References
    ----------
    K. Bhardwaj, C.-Y. Lin, A. Sartor, R. Marculescu, Memory- and Communication-Aware Model Compression for Distributed Deep
    Learning Inference on IoT, ACM TECS 18(5s), 2019, arXiv 1907.11804.

    Examples
    --------
    One sample, three filters: 2 x 1 x |2 - 1| = 2 between the first two; the third is silent.

    >>> hub_affinity(np.array([[2.0, 1.0, 0.0]])).tolist()
    [[0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    by_filter = np.ascontiguousarray(activities.T, dtype=np.float64)
    n_filters = len(by_filter)
    affinity = np.zeros((n_filters, n_filters))
    for index, activity in enumerate(by_filter[:-1]):
        later = by_filter[index + 1 :]
        affinity[index, index + 1 :] = (np.abs(later - activity) * later) @ activity
    return affinity + affinity.T
