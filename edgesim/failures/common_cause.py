"""Failures that strike a group together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from edgesim.domain.records import Outage
from edgesim.domain.topology import TargetGlob, Topology
from edgesim.failures.targets import matching
from edgesim.rng import BatchStreams, ReplicationStreams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CommonCause:
    """Lose devices or links for the whole trial, each for itself or all of a group together (beta factor).

    Of a member's failures the share beta has a common cause, which takes all members at once: with probability beta p all
    are lost; apart from that each is lost with probability (1 - beta) p. beta = 0: independent failures; beta = 1: all or
    none, e.g. an access point.

    Parameters
    ----------
    probability : p.
    beta : share of the failures with a common cause.
    targets : pattern of device ids; of link ids when it holds ``->``. The group.

    Formula
    -------
    P(all lost) >= beta p; P(a given member lost) = beta p + (1 - beta p) (1 - beta) p, near p for small p.

    Validity
    --------
    Failures that last longer than one inference. One group per entry; write several entries for several groups.

    References
    ----------
    K. N. Fleming, A reliability model for common mode failures in redundant safety systems, General Atomic report GA-A13284,
    1974 (the beta factor).
    """

    probability: Annotated[float, Ge(0), Le(1)]
    beta: Annotated[float, Ge(0), Le(1)] = 1.0
    targets: TargetGlob = "*"

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:
        """Draw what is lost in one replication."""
        ids = matching(topology, self.targets)
        is_common = streams("common").uniform() < self.beta * self.probability
        alone = (1 - self.beta) * self.probability
        lost = [name for name in ids if streams(f"target/{name}").uniform() < alone or is_common]
        return [Outage(name, cause="common-cause") for name in lost]

    def are_down(self, topology: Topology, streams: BatchStreams) -> Mapping[str, NDArray[np.bool_]]:
        """Draw what is lost in many replications."""
        import numpy as np

        everyone = np.ones(streams.n, dtype=np.bool_)
        is_common = streams("common").uniforms(everyone) < self.beta * self.probability
        alone = (1 - self.beta) * self.probability
        ids = matching(topology, self.targets)
        return {name: is_common | (streams(f"target/{name}").uniforms(everyone) < alone) for name in ids}

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]]:
        """Yield every subset with its probability."""
        ids = matching(topology, self.targets)
        common, alone = self.beta * self.probability, (1 - self.beta) * self.probability
        for n_lost in range(len(ids) + 1):
            probability = (1 - common) * alone**n_lost * (1 - alone) ** (len(ids) - n_lost)
            if n_lost == len(ids):
                probability += common
            if probability > 0:
                for lost in combinations(ids, n_lost):
                    yield probability, [Outage(name, cause="common-cause") for name in lost]
