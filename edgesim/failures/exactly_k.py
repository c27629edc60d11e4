"""Exactly k of n devices or links lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from edgesim.domain.records import Outage
from edgesim.domain.strike import Strike
from edgesim.domain.system.topology import TargetGlob, Topology
from edgesim.errors import PlanError
from edgesim.failures.sampling.targets import matching
from edgesim.rng import BatchStreams, ReplicationStreams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ExactlyK:
    """Lose exactly k of the chosen devices or links for the whole trial, every subset equally likely.

    The subset is drawn by giving each device one uniform of its own stream and losing the k smallest: so the devices lost
    at k are among those lost at k + 1 in the same replication, and a further device moves no other device's draw.

    Parameters
    ----------
    k : number of devices or links lost.
    targets : pattern of device ids; of link ids when it holds ``->``.

    Formula
    -------
    P(subset) = 1 / C(n, k) for each of the C(n, k) subsets of k of n targets.

    Validity
    --------
    Failures that are independent of what a device does and that last longer than one inference. To be weighted with
    a distribution of k where k is not known. There is nothing to sample more often (`sampled_at` of other models): no subset
    is rarer than another.

    References
    ----------
    Jeong, Park, Yang, Communication Failure Resilient Distributed Neural Network for Edge Devices, Electronics
    10(14):1614, 2021, doi 10.3390/electronics10141614 (unavailable students).

    Examples
    --------
    >>> from math import comb
    >>> comb(8, 4)  # subsets that `outcomes` lists for eight devices and k = 4, each with probability 1/70
    70
    """

    k: Annotated[int, Ge(0)]
    targets: TargetGlob = "*"

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when there are fewer than k to lose."""
        self._targets(topology)

    def strikes(self, topology: Topology, used: Collection[str], duration_s: float) -> Sequence[Strike]:  # noqa: ARG002 - the seam's form
        """Return that something used is lost; nothing where that is certain, or cannot be."""
        names = self._targets(topology)
        n_used = len(set(names) & set(used))
        some = 1 - comb(len(names) - n_used, self.k) / comb(len(names), self.k)
        is_drawn = 0 < self.k < len(names) and n_used > 0
        return [Strike(f"any of {self.targets!r} that the plan uses", some, some)] if is_drawn else []

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:
        """Draw what is lost in one replication."""
        kind = "link" if "->" in self.targets else "device"
        draws = sorted((streams(f"{kind}/{name}").uniform(), name) for name in self._targets(topology))
        return [Outage(name, cause="exactly-k") for _, name in draws[: self.k]]

    def are_down(self, topology: Topology, streams: BatchStreams) -> Mapping[str, NDArray[np.bool_]]:
        """Draw what is lost in many replications."""
        import numpy as np

        kind = "link" if "->" in self.targets else "device"
        names = sorted(self._targets(topology))  # of equal draws the first name is lost first
        if not names:
            return {}
        everyone = np.ones(streams.n, dtype=np.bool_)
        draws = np.stack([streams(f"{kind}/{name}").uniforms(everyone) for name in names])
        are_down = np.zeros(draws.shape, dtype=np.bool_)
        np.put_along_axis(are_down, np.argsort(draws, axis=0, kind="stable")[: self.k], True, axis=0)
        return dict(zip(names, are_down, strict=True))

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]]:
        """Yield all C(n, k) subsets with their common probability."""
        names = self._targets(topology)
        probability = 1.0 / comb(len(names), self.k)
        for subset in combinations(names, self.k):
            yield probability, [Outage(name, cause="exactly-k") for name in subset]

    def _targets(self, topology: Topology) -> list[str]:
        names = matching(topology, self.targets)
        if len(names) < self.k:
            kind = ("link" if "->" in self.targets else "device") + "s" * (len(names) != 1)
            raise PlanError(
                f"failure model exactly-k: k = {self.k}, but targets {self.targets!r} matches {len(names)} {kind}; "
                "lower k or widen the pattern"
            )
        return names
