"""Filter graphs: plug-ins that say which filters of a teacher belong together, from their activities on real samples.

Each gives a symmetric matrix of affinities with zero diagonal. Activities are at least 0; see
`edgesim.nn.parts.activations.filter_activities`. Importing this needs no numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Lt

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 256
"""Samples that are looked at together: their activities and one temporary array of that size stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class ActivationHubs:
    """NoNN's activation hubs as the paper gives them: A_ij = sum over samples of a_i a_j |a_i - a_j|.

    A strong link joins a strong filter with a weaker one that is active for the same samples, so that the strongest filters
    (hubs) spread over the parts; two equally active filters are not linked.

    Notes
    -----
    Time grows as samples x filters^2; sums over 256 samples are in single, the others in double precision.

    References
    ----------
    K. Bhardwaj, C.-Y. Lin, A. Sartor, R. Marculescu, Memory- and Communication-Aware Model Compression for Distributed Deep
    Learning Inference on IoT, ACM TECS 18(5s), 2019, arXiv 1907.11804.

    Examples
    --------
    One sample, three filters: 2 x 1 x |2 - 1| = 2 between the first two; the third is silent.

    >>> import numpy as np
    >>> ActivationHubs().affinity(np.array([[2.0, 1.0, 0.0]])).tolist()
    [[0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def affinity(self, activities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weights of all pairs of filters, shape (filters, filters)."""

        def term(later: NDArray[np.float32], one: NDArray[np.float32], out: NDArray[np.float32]) -> None:
            import numpy as np

            np.subtract(later, one, out=out)
            np.abs(out, out=out)
            np.multiply(out, later, out=out)

        return _summed(activities, term)


@dataclass(frozen=True, slots=True)
class ActivationHubsCode:
    """NoNN's activation hubs as its published code computes them: the strongest filters of each sample, thin links cut.

    In each sample activities are divided by the largest one and only the `top_k` strongest filters count; each pair of them
    adds a_i a_j |a_i - a_j|. Afterwards the weights are divided by the largest, and those below the given percentile of the weights
    that are not zero are set to zero.

    Parameters
    ----------
    top_k : filters of each sample that count; None for all.
    percentile : of the weights above zero, 0 to 100; 0 cuts nothing.
    is_scaled : whether each sample's activities are divided by its largest.

    References
    ----------
    Published code of NoNN: top 50, 99th percentile. Paper: see ``activation-hubs``.
    """

    top_k: Annotated[int, Ge(2)] | None = 50
    percentile: Annotated[float, Ge(0), Lt(100)] = 99.0
    is_scaled: bool = True

    def affinity(self, activities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weights of all pairs of filters, shape (filters, filters)."""
        import numpy as np

        active = np.asarray(activities, dtype=np.float64)
        if self.is_scaled:
            largest = active.max(axis=1, keepdims=True)
            active = active / np.where(largest > 0, largest, 1.0)
        n_filters = active.shape[1]
        if self.top_k is None or self.top_k >= n_filters:
            affinity = ActivationHubs().affinity(active.astype(np.float32))
        else:
            affinity = _of_strongest(active, self.top_k)
        if affinity.max() > 0:
            affinity /= affinity.max()
            affinity[affinity < np.percentile(affinity[affinity > 0], self.percentile)] = 0.0
        return affinity


@dataclass(frozen=True, slots=True)
class CoActivation:
    """Plain co-activation: A_ij = sum over samples of a_i a_j, the correlation that balanced partitions try to keep together.

    The resilient variant's authors say that a factor of NoNN's weight harms the correlation between filters; which, and what they put
    in its place, is not known to us. Without the factor |a_i - a_j| this is what is left.

    References
    ----------
    Jeong, Park, Yang, Communication Failure Resilient Distributed Neural Network for Edge Devices, Electronics
    10(14):1614, 2021, doi 10.3390/electronics10141614, section 4.2 (interpretation).

    Examples
    --------
    >>> import numpy as np
    >>> CoActivation().affinity(np.array([[2.0, 1.0, 0.0]])).tolist()
    [[0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def affinity(self, activities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weights of all pairs of filters, shape (filters, filters)."""
        import numpy as np

        active = np.asarray(activities, dtype=np.float64)
        affinity: NDArray[np.float64] = active.T @ active
        np.fill_diagonal(affinity, 0.0)
        return affinity


@dataclass(frozen=True, slots=True)
class SimilarActivation:
    """The rule that NoNN's authors rejected: A_ij = sum over samples of a_i a_j / (|a_i - a_j| + 1), filters active alike.

    References
    ----------
    K. Bhardwaj et al., ACM TECS 18(5s), 2019, arXiv 1907.11804.

    Examples
    --------
    >>> import numpy as np
    >>> SimilarActivation().affinity(np.array([[2.0, 1.0, 0.0]])).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def affinity(self, activities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weights of all pairs of filters, shape (filters, filters)."""

        def term(later: NDArray[np.float32], one: NDArray[np.float32], out: NDArray[np.float32]) -> None:
            import numpy as np

            np.subtract(later, one, out=out)
            np.abs(out, out=out)
            np.add(out, 1, out=out)
            np.divide(later, out, out=out)

        return _summed(activities, term)


def _summed(
    activities: NDArray[np.float32],
    term: Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]], None],
) -> NDArray[np.float64]:
    """Return sum over samples of a_i term(a_j, a_i), for a term that makes the product symmetric; zero diagonal."""
    import numpy as np

    n_samples, n_filters = activities.shape
    affinity = np.zeros((n_filters, n_filters))
    for start in range(0, n_samples, _BLOCK):
        by_filter = np.ascontiguousarray(activities[start : start + _BLOCK].T, dtype=np.float32)
        scratch = np.empty_like(by_filter)
        for index in range(n_filters - 1):
            later, out = by_filter[index + 1 :], scratch[index + 1 :]
            term(later, by_filter[index], out)
            affinity[index, index + 1 :] += out @ by_filter[index]
    return affinity + affinity.T


def _of_strongest(active: NDArray[np.float64], top_k: int) -> NDArray[np.float64]:
    """Return the sum of a_i a_j |a_i - a_j| over samples, the pairs among each sample's strongest filters only."""
    import numpy as np

    n_filters = active.shape[1]
    total = np.zeros(n_filters * n_filters)
    for start in range(0, len(active), _BLOCK):
        block = active[start : start + _BLOCK]
        # a stable order, so that of equally active filters those of lower index count
        strongest = np.argsort(-block, axis=1, kind="stable")[:, :top_k]
        values = np.take_along_axis(block, strongest, axis=1)
        pairs = strongest[:, :, None] * n_filters + strongest[:, None, :]
        weights = values[:, :, None] * values[:, None, :] * np.abs(values[:, :, None] - values[:, None, :])
        total += np.bincount(pairs.ravel(), weights.ravel(), minlength=len(total))
    return total.reshape(n_filters, n_filters)
