"""Partitioners to compare with: plug-ins that do not look at the graph of filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.networks.partition import Partition


@dataclass(frozen=True, slots=True)
class RandomParts:
    """Parts of equal size, drawn at random: what balance alone is worth."""

    def partition(
        self,
        affinity: NDArray[np.float64],
        n_parts: int,
        rng: np.random.Generator,
        activities: NDArray[np.float32] | None = None,  # noqa: ARG002 - the seam's form
    ) -> Partition:
        """Return parts of equal size. Raises `PlanError` when there are fewer filters than parts."""
        from edgesim.nn.parts.balance import sliced

        return sliced([int(index) for index in rng.permutation(len(affinity))], n_parts)


@dataclass(frozen=True, slots=True)
class IndexOrder:
    """Parts of equal size in the order of the filters' indices, which means nothing."""

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
        >>> import numpy as np
        >>> IndexOrder().partition(np.zeros((5, 5)), 2, np.random.default_rng(1)).parts
        ((0, 1, 2), (3, 4))
        """
        from edgesim.nn.parts.balance import sliced

        return sliced(range(len(affinity)), n_parts)


@dataclass(frozen=True, slots=True)
class BalancedKMeans:
    """K-means on the filters' activities, with parts of equal size: filters that are active for the same samples.

    A filter is the vector of its activities over the samples. See `edgesim.nn.parts.balance.balanced_k_means`.

    Parameters
    ----------
    has_unit_rows : whether each filter's vector is scaled to length 1, so that strong and weak filters can be alike.
    """

    has_unit_rows: bool = True

    def partition(
        self,
        affinity: NDArray[np.float64],  # noqa: ARG002 - the seam's form
        n_parts: int,
        rng: np.random.Generator,  # noqa: ARG002
        activities: NDArray[np.float32] | None = None,
    ) -> Partition:
        """Return parts of equal size; draws nothing.

        Raises
        ------
        PlanError
            When there are fewer filters than parts, or no activities.
        """
        import numpy as np

        from edgesim.nn.parts.balance import balanced_k_means, unit_rows

        if activities is None:
            raise PlanError("balanced-k-means divides filters by their activities; pass them")
        points = np.asarray(activities.T, dtype=np.float64)
        return balanced_k_means(unit_rows(points) if self.has_unit_rows else points, n_parts)
