"""Louvain as NoNN uses it: a plug-in that divides the filters of a teacher into parts. Importing this needs no networkx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt

from edgesim.domain.networks.partition import Partition
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx
    import numpy as np
    from numpy.typing import NDArray

_STEP = 1.05
"""Factor between two resolutions that are tried; finer steps cost time, coarser ones overshoot the number of parts."""
_MAX_RAISE = 100.0
"""The resolution is raised to at most this multiple; in a dense graph every filter stands alone long before."""


@dataclass(frozen=True, slots=True)
class Louvain:
    """Communities of the filter graph by the Louvain method, merged to the wanted number of parts as NoNN does.

    Louvain maximises the modularity Q = 1/(2m) sum_ij [A_ij - gamma k_i k_j / (2m)] delta(c_i, c_j), where A is the
    affinity, k its row sums and 2m their sum; a larger resolution gamma gives more communities. Then: filters that are
    communities of their own are pooled into one; the largest community is dropped; the next `n_parts` become the parts;
    filters of the remaining ones go one by one to the part that is smallest by then.

    When there are fewer communities than that needs, gamma is raised in steps of 5 % until there are enough. If even a
    hundredfold gamma does not do (a graph with too few filters or links), nothing is dropped and the largest communities
    are halved. Either is reported in the notes of the result.

    Parameters
    ----------
    resolution : gamma, the factor of the null term.
    is_largest_dropped : whether the largest community is dropped; in the authors' thresholded graph it is the pool of weakly
        connected filters.
    is_equal_merged : whether communities of the same size become one, as in the authors' code, where it looks like an oversight.

    Notes
    -----
    Differs from the authors' code in three points: it reduces the number of students where we raise gamma; it merges
    communities that happen to have the same size, which is an option here; and its ``resolution=0.7`` belongs to a
    library in which, depending on the release, it multiplies either term of Q, so that 1 is the default here.
    The order in which Louvain visits filters is drawn from the generator that is passed.

    References
    ----------
    V. D. Blondel et al., Fast unfolding of communities in large networks, J. Stat. Mech., 2008, P10008,
    doi 10.1088/1742-5468/2008/10/P10008. K. Bhardwaj et al., ACM TECS 18(5s), 2019, arXiv 1907.11804.
    """

    resolution: Annotated[float, Gt(0)] = 1.0
    is_largest_dropped: bool = True
    is_equal_merged: bool = False

    def partition(
        self,
        affinity: NDArray[np.float64],
        n_parts: int,
        rng: np.random.Generator,
        activities: NDArray[np.float32] | None = None,  # noqa: ARG002 - the seam's form
    ) -> Partition:
        """Return exactly `n_parts` parts.

        Raises
        ------
        PlanError
            When there are fewer filters than parts.
        """
        import networkx as nx

        n_filters = len(affinity)
        if n_parts > n_filters:
            raise PlanError(
                f"{n_filters} filters cannot be divided into {n_parts} parts; use fewer students or a teacher with more filters"
            )
        graph = nx.from_numpy_array(affinity)
        seed = int(rng.integers(2**31))
        n_needed = n_parts + self.is_largest_dropped
        most: list[list[int]] = []
        gamma = self.resolution
        while gamma <= self.resolution * _MAX_RAISE:
            found = _communities(graph, gamma, seed)
            if self.is_equal_merged:
                found = _equal_merged(found)
            if len(found) >= n_needed:
                note = "" if gamma == self.resolution else self._raised(gamma, n_needed)
                return _merged(found, n_parts, n_filters, is_largest_dropped=self.is_largest_dropped, note=note)
            most = max(most, found, key=len)
            gamma *= _STEP
        note = (
            f"louvain: at most {len(most)} communities at any resolution up to {_MAX_RAISE:g} times {self.resolution:g}, but "
            f"{n_needed} are needed; nothing was dropped and the largest were halved"
        )
        return _merged(_halved(most, n_parts), n_parts, n_filters, is_largest_dropped=False, note=note)

    def _raised(self, gamma: float, n_needed: int) -> str:
        return (
            f"louvain: resolution raised from {self.resolution:g} to {gamma:.4g}, since {n_needed} communities are needed "
            f"({'one of them is' if self.is_largest_dropped else 'none is'} dropped)"
        )


def _communities(graph: nx.Graph[int], gamma: float, seed: int) -> list[list[int]]:
    """Return communities, filters that stand alone pooled into one; the largest first, then by lowest filter."""
    import networkx as nx

    found = [sorted(part) for part in nx.community.louvain_communities(graph, resolution=gamma, seed=seed)]
    several = [part for part in found if len(part) > 1]
    alone = sorted(part[0] for part in found if len(part) == 1)
    return _ordered([*several, alone] if alone else several)


def _equal_merged(communities: list[list[int]]) -> list[list[int]]:
    """Make one community of all that have the same size."""
    by_size: dict[int, list[int]] = {}
    for part in communities:
        by_size.setdefault(len(part), []).extend(part)
    return _ordered([sorted(part) for part in by_size.values()])


def _ordered(communities: Sequence[list[int]]) -> list[list[int]]:
    return sorted(communities, key=lambda part: (-len(part), part[0]))


def _merged(
    communities: list[list[int]], n_parts: int, n_filters: int, *, is_largest_dropped: bool, note: str
) -> Partition:
    """Apply NoNN's rule to ordered communities."""
    kept = communities[1:] if is_largest_dropped else communities
    parts = [list(part) for part in kept[:n_parts]]
    for index in (index for part in kept[n_parts:] for index in part):
        min(parts, key=len).append(index)
    return Partition(tuple(tuple(sorted(part)) for part in parts), n_filters, (note,) if note else ())


def _halved(communities: list[list[int]], n_parts: int) -> list[list[int]]:
    """Halve the largest community until there are enough."""
    while len(communities) < n_parts:
        largest, *rest = communities
        half = len(largest) // 2
        communities = _ordered([largest[:half], largest[half:], *rest])
    return communities
