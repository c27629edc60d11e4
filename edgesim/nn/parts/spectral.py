"""Spectral partitioners: plug-ins that order or embed filters by eigenvectors of their graph and cut parts of equal size.

The resilient variant's paper says that it modifies eigenvector-based partitioning so that every device gets the same number of
filters, but the text that could be had names neither the matrix nor the rule. These are its plausible readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.networks.partition import Partition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COUPLING = 1e-6
"""Added to every pair of filters, in multiples of the mean affinity, so that the graph hangs together."""


@dataclass(frozen=True, slots=True)
class Fiedler:
    """Filters sorted by the Fiedler vector of their graph, cut into consecutive parts of equal size.

    f is the eigenvector of the second smallest eigenvalue of the Laplacian L = D - A (A the affinity, D its row sums): the
    arrangement on a line, of fixed spread, that keeps strongly linked filters closest, sum_ij A_ij (f_i - f_j)^2 least. Any number of
    parts; sizes differ by at most one.

    Parameters
    ----------
    is_normalised : take the vector of (D - A) f = lambda D f instead, which weighs filters by their links.

    Notes
    -----
    A small constant is added to all affinities: without normalisation it moves no eigenvector, and it makes a graph in
    several pieces one. Where two eigenvalues coincide, as in graphs with exact symmetries, the vector is not unique.

    References
    ----------
    M. Fiedler, Algebraic connectivity of graphs, Czechoslovak Math. J. 23(2), 1973; J. Shi, J. Malik, Normalized cuts and image
    segmentation, IEEE TPAMI 22(8), 2000, doi 10.1109/34.868688.
    """

    is_normalised: bool = False

    def partition(
        self,
        affinity: NDArray[np.float64],
        n_parts: int,
        rng: np.random.Generator,  # noqa: ARG002 - the seam's form
        activities: NDArray[np.float32] | None = None,  # noqa: ARG002
    ) -> Partition:
        """Return parts of equal size. Raises `PlanError` when there are fewer filters than parts; draws nothing.

        Examples
        --------
        The path 2 - 0 - 3 - 1, cut in its middle:

        >>> import numpy as np
        >>> affinity = np.array([[0.0, 0, 1, 1], [0, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]])
        >>> sorted(Fiedler().partition(affinity, 2, np.random.default_rng(1)).parts)
        [(0, 2), (1, 3)]
        """
        from edgesim.nn.parts.balance import sliced

        return sliced(_fiedler_order(affinity, is_normalised=self.is_normalised), n_parts)


@dataclass(frozen=True, slots=True)
class Bisection:
    """Recursive bisection: filters sorted by the Fiedler vector are halved, and each half again by its own.

    The graph of a half is the induced one. For a number of parts that is no power of two the cut is proportional: of m
    parts, ceil(m / 2) lie on the side of the smaller values. Sizes differ by at most one.

    Parameters
    ----------
    is_normalised : as for ``fiedler``.

    References
    ----------
    H. D. Simon, Partitioning of unstructured problems for parallel processing, Computing Systems in Engineering 2, 1991,
    doi 10.1016/0956-0521(91)90014-V.
    """

    is_normalised: bool = False

    def partition(
        self,
        affinity: NDArray[np.float64],
        n_parts: int,
        rng: np.random.Generator,  # noqa: ARG002 - the seam's form
        activities: NDArray[np.float32] | None = None,  # noqa: ARG002
    ) -> Partition:
        """Return parts of equal size. Raises `PlanError` when there are fewer filters than parts; draws nothing."""
        import numpy as np

        from edgesim.nn.parts.balance import equal_sizes

        parts: list[tuple[int, ...]] = []
        open_sets = [(np.arange(len(affinity)), equal_sizes(len(affinity), n_parts))]
        while open_sets:
            members, sizes = open_sets.pop()
            if len(sizes) == 1:
                parts.append(tuple(int(index) for index in members))
                continue
            n_left = -(-len(sizes) // 2)
            order = members[_fiedler_order(affinity[np.ix_(members, members)], is_normalised=self.is_normalised)]
            cut = sum(sizes[:n_left])
            open_sets += [(np.sort(order[cut:]), sizes[n_left:]), (np.sort(order[:cut]), sizes[:n_left])]
        return Partition(tuple(parts), len(affinity))


@dataclass(frozen=True, slots=True)
class MultiEigenvector:
    """Filters as points in the space of several eigenvectors, divided by k-means whose parts take equally many.

    The axes are the eigenvectors 2 ... M of the normalised problem (D - A) f = lambda D f, M the number of parts. The assignment of
    filters to centres is optimal under the sizes; see `edgesim.nn.parts.balance.balanced_k_means`. Sizes differ by at most one.

    Parameters
    ----------
    is_normalised : whether eigenvectors are those of the normalised problem or of L = D - A.
    has_unit_rows : whether each filter's point is scaled to length 1; with one axis (two parts) it is not, since only its sign
        would be left.

    References
    ----------
    The problem of groups of given sizes: M. A. Riolo, M. E. J. Newman, First-principles multiway spectral partitioning of
    graphs, J. Complex Networks 2(2), 2014, arXiv 1209.5969. The assignment by k-means is ours.
    """

    is_normalised: bool = True
    has_unit_rows: bool = False

    def partition(
        self,
        affinity: NDArray[np.float64],
        n_parts: int,
        rng: np.random.Generator,  # noqa: ARG002 - the seam's form
        activities: NDArray[np.float32] | None = None,  # noqa: ARG002
    ) -> Partition:
        """Return parts of equal size. Raises `PlanError` when there are fewer filters than parts; draws nothing."""
        from edgesim.nn.parts.balance import balanced_k_means, unit_rows

        points = _smallest_vectors(affinity, max(2, n_parts), is_normalised=self.is_normalised)[:, 1:]
        has_unit_rows = self.has_unit_rows and points.shape[1] > 1
        return balanced_k_means(unit_rows(points) if has_unit_rows else points, n_parts)


@dataclass(frozen=True, slots=True)
class ModularityEigenvector:
    """Filters sorted by the leading eigenvector of the modularity matrix, cut into consecutive parts of equal size.

    B = A - k k^T / 2m, k the row sums of the affinity A and 2m their sum. B maps the constant vector to zero; it says nothing
    about parts and is left out, which matters where every other eigenvalue is negative. Sizes differ by at most one.

    References
    ----------
    M. E. J. Newman, Finding community structure in networks using the eigenvectors of matrices, Phys. Rev. E 74, 036104, 2006,
    doi 10.1103/PhysRevE.74.036104; the cut into equal parts is ours.
    """

    def partition(
        self,
        affinity: NDArray[np.float64],
        n_parts: int,
        rng: np.random.Generator,  # noqa: ARG002 - the seam's form
        activities: NDArray[np.float32] | None = None,  # noqa: ARG002
    ) -> Partition:
        """Return parts of equal size. Raises `PlanError` when there are fewer filters than parts; draws nothing.

        Examples
        --------
        Two pairs without a link between them:

        >>> import numpy as np
        >>> affinity = np.array([[0.0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]])
        >>> sorted(ModularityEigenvector().partition(affinity, 2, np.random.default_rng(1)).parts)
        [(0, 2), (1, 3)]
        """
        import numpy as np
        from scipy.linalg import eigh

        from edgesim.nn.parts.balance import sliced

        strength = affinity.sum(axis=1)
        total = strength.sum()
        matrix = affinity - np.outer(strength, strength) / total if total > 0 else affinity
        matrix = matrix - np.abs(matrix).sum(axis=1).max()  # the constant vector becomes the last of all
        _, vectors = eigh(matrix, driver="evd")
        return sliced(_sorted_by(vectors[:, -1]), n_parts)


def _fiedler_order(affinity: NDArray[np.float64], *, is_normalised: bool) -> list[int]:
    if len(affinity) < 2:
        return list(range(len(affinity)))
    return _sorted_by(_smallest_vectors(affinity, 2, is_normalised=is_normalised)[:, 1])


def _smallest_vectors(affinity: NDArray[np.float64], n_wanted: int, *, is_normalised: bool) -> NDArray[np.float64]:
    """Return the eigenvectors of the smallest eigenvalues of the Laplacian as columns; signs are chosen by `_signed`."""
    import numpy as np
    from scipy.linalg import eigh

    n_filters = len(affinity)
    mean = float(affinity.mean())
    coupled = affinity / mean if mean > 0 else np.zeros_like(affinity)
    coupled = coupled + _COUPLING
    np.fill_diagonal(coupled, 0.0)
    strength = coupled.sum(axis=1)
    # divide and conquer for all eigenvectors: the drivers for a few of them fail on graphs without structure
    if not is_normalised:
        _, vectors = eigh(np.diag(strength) - coupled, driver="evd")
        return _signed(vectors[:, :n_wanted])
    # L_sym u = lambda u, f = D^-1/2 u
    scale = 1.0 / np.sqrt(np.maximum(strength, _COUPLING))
    _, vectors = eigh(np.eye(n_filters) - scale[:, None] * coupled * scale, driver="evd")
    return _signed(scale[:, None] * vectors[:, :n_wanted])


def _sorted_by(values: NDArray[np.float64]) -> list[int]:
    import numpy as np

    return [int(index) for index in np.argsort(_signed(values[:, None])[:, 0], kind="stable")]


def _signed(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn each column so that the sum of its cubes is not negative: a rule that does not depend on the order of filters."""
    import numpy as np

    signs = np.where((vectors**3).sum(axis=0) < 0, -1.0, 1.0)
    turned: NDArray[np.float64] = vectors * signs
    return turned
