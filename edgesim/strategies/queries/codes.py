"""Codes over queries: what each device is asked, and how the answers follow from the results that came. All are linear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Code(Protocol):
    """k queries for n devices."""

    def encoding(self) -> NDArray[np.float64]:
        """Return what each device is asked, as weights of the queries, shape (n, k)."""

    def decoding(self, arrived: Sequence[bool]) -> NDArray[np.float64]:
        """Return the answers as weights of the results that arrived, shape (k, n); zeros for a query of which nothing can be said."""


@dataclass(frozen=True, slots=True)
class SumOfQueries:
    """Each query for a device of its own, and their sum for one more, whose network answers with the sum of the answers.

    Parameters
    ----------
    n_queries : k.

    Examples
    --------
    With the second result missing, its answer is the third less the first.

    >>> SumOfQueries(2).decoding([True, False, True]).tolist()
    [[1.0, 0.0, 0.0], [-1.0, 0.0, 1.0]]
    """

    n_queries: int

    def encoding(self) -> NDArray[np.float64]:
        """Return the queries and their sum."""
        import numpy as np

        return np.vstack([np.eye(self.n_queries), np.ones(self.n_queries)])

    def decoding(self, arrived: Sequence[bool]) -> NDArray[np.float64]:
        """Return each query's own result; of a single one that is missing, the sum's less those of the others."""
        import numpy as np

        k = self.n_queries
        found: NDArray[np.float64] = np.eye(k, k + 1) * np.array([*arrived[:k], False])
        missing = [query for query in range(k) if not arrived[query]]
        if len(missing) == 1 and arrived[k]:
            found[missing[0]] = [*(-1.0 if query != missing[0] else 0.0 for query in range(k)), 1.0]
        return found


@dataclass(frozen=True, slots=True)
class BerrutCode:
    r"""Points of a rational curve through the queries, and Berrut's interpolation of the results.

    .. math:: u(z) = \sum_{j<k} x_j \frac{(-1)^j / (z - \alpha_j)}{\sum_l (-1)^l / (z - \alpha_l)}, \qquad
       r(z) = \sum_m y_{i_m} \frac{(-1)^m / (z - \beta_{i_m})}{\sum_l (-1)^l / (z - \beta_{i_l})},

    with :math:`\alpha_j = \cos\frac{(2j+1)\pi}{2k}` and :math:`\beta_i = \cos\frac{i\pi}{n-1}`. Device i is asked :math:`u(\beta_i)`, the answer to
    query j is :math:`r(\alpha_j)` over the devices :math:`i_0 < i_1 < \dots` that arrived. Signs alternate over these: with those of all devices two neighbours
    would have the same sign where one between is lost, and the denominator a zero between them.

    Parameters
    ----------
    n_queries : k.
    n_devices : n, at least 2.

    Examples
    --------
    Both sets of weights have the sum 1: queries that are all the same are asked and answered as they are.

    >>> code = BerrutCode(2, 4)
    >>> code.encoding().sum(axis=1).round(9).tolist(), code.decoding([True, False, True, True]).sum(axis=1).round(9).tolist()
    ([1.0, 1.0, 1.0, 1.0], [1.0, 1.0])
    """

    n_queries: int
    n_devices: int

    @property
    def queries_at(self) -> NDArray[np.float64]:
        """Where the queries lie."""
        import numpy as np

        at: NDArray[np.float64] = np.cos((2 * np.arange(self.n_queries) + 1) * np.pi / (2 * self.n_queries))
        return at

    @property
    def devices_at(self) -> NDArray[np.float64]:
        """Where the devices lie."""
        import numpy as np

        at: NDArray[np.float64] = np.cos(np.arange(self.n_devices) * np.pi / (self.n_devices - 1))
        return at

    def encoding(self) -> NDArray[np.float64]:
        """Return the weights of the queries at each device's point."""
        return berrut(self.devices_at, self.queries_at)

    def decoding(self, arrived: Sequence[bool]) -> NDArray[np.float64]:
        """Return the weights of the results at each query's point; all zeros when nothing arrived."""
        import numpy as np

        found = np.zeros((self.n_queries, self.n_devices))
        there = np.flatnonzero(arrived)
        if len(there):
            found[:, there] = berrut(self.queries_at, self.devices_at[there])
        return found


def berrut(at: NDArray[np.float64], nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of values at nodes in Berrut's first interpolant at some points, shape (points, nodes).

    Parameters
    ----------
    at : the points.
    nodes : where the values are, in order; the signs of their terms alternate, so that it has no pole.

    Examples
    --------
    Between nodes at 0 and 1 the interpolant is linear; at a node it is the value there.

    >>> import numpy as np
    >>> berrut(np.array([0.25, 1.0]), np.array([0.0, 1.0])).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    import numpy as np

    distance = at[:, None] - nodes[None, :]
    is_node = np.abs(distance) < 1e-12
    terms = np.where(np.arange(len(nodes)) % 2 == 0, 1.0, -1.0) / np.where(is_node, 1.0, distance)
    terms = np.where(is_node.any(axis=1, keepdims=True), is_node.astype(float), terms)
    weights: NDArray[np.float64] = terms / terms.sum(axis=1, keepdims=True)
    return weights
