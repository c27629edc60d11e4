"""Failures that strike a group together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le, Lt

from edgesim.domain.records import Outage
from edgesim.domain.strike import Strike
from edgesim.domain.system.topology import TargetGlob, Topology
from edgesim.failures.sampling.importance import ratio_of, ratios_of
from edgesim.failures.sampling.targets import matching
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

    The common cause is one event per trial, and rare. With `sampled_at` q it is drawn with probability q instead (importance
    sampling): a trial weighs beta p / q when all were lost by it, and (1 - beta p) / (1 - q) otherwise. The members' own losses
    are drawn as they are.

    Parameters
    ----------
    probability : p.
    beta : share of the failures with a common cause.
    targets : pattern of device ids; of link ids when it holds ``->``. The group.
    sampled_at : q; None: beta p itself.

    Formula
    -------
    P(all lost) >= beta p; P(a given member lost) = beta p + (1 - beta p) (1 - beta) p, near p for small p.

    Validity
    --------
    Failures that last longer than one inference. One group per entry; write several entries for several groups.

    References
    ----------
    K. N. Fleming, A reliability model for common mode failures in redundant safety systems, General Atomic report GA-A13284,
    1974 (the beta factor). A. B. Owen, Monte Carlo Theory, Methods and Examples, 2013, chapter 9 (importance sampling).
    """

    probability: Annotated[float, Ge(0), Le(1)]
    beta: Annotated[float, Ge(0), Le(1)] = 1.0
    targets: TargetGlob = "*"
    sampled_at: Annotated[float, Gt(0), Lt(1)] | None = None

    @property
    def _common(self) -> float:
        return self.beta * self.probability

    @property
    def _alone(self) -> float:
        return (1 - self.beta) * self.probability

    @property
    def _drawn_at(self) -> float:
        return self._common if self.sampled_at is None else self.sampled_at

    def strikes(self, topology: Topology, used: Collection[str], duration_s: float) -> Sequence[Strike]:  # noqa: ARG002 - the seam's form
        """Return the common cause, and that some member fails for itself."""
        n_used = len(set(matching(topology, self.targets)) & set(used))
        some = 1 - (1 - self._alone) ** n_used
        found = [Strike(f"all of {self.targets!r} together", self._common, self._drawn_at)] if n_used else []
        return [*found, Strike(f"members of {self.targets!r} for themselves", some, some)]

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:
        """Draw what is lost in one replication."""
        ids = matching(topology, self.targets)
        is_common = streams("common").uniform() < self._drawn_at
        if self.sampled_at is not None:
            streams.weigh(ratio_of(self._common, self.sampled_at, int(is_common), 1))
        lost = [name for name in ids if streams(f"target/{name}").uniform() < self._alone or is_common]
        return [Outage(name, cause="common-cause") for name in lost]

    def are_down(self, topology: Topology, streams: BatchStreams) -> Mapping[str, NDArray[np.bool_]]:
        """Draw what is lost in many replications."""
        import numpy as np

        everyone = np.ones(streams.n, dtype=np.bool_)
        is_common = streams("common").uniforms(everyone) < self._drawn_at
        if self.sampled_at is not None:
            streams.weigh(ratios_of(self._common, self.sampled_at, is_common, everyone))
        ids = matching(topology, self.targets)
        return {name: is_common | (streams(f"target/{name}").uniforms(everyone) < self._alone) for name in ids}

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]]:
        """Yield every subset with its probability.

        Examples
        --------
        All or none of two devices:

        >>> from edgesim.domain.system.topology import Device, DeviceProfile, Topology
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> topology = Topology((Device("w1", profile), Device("w2", profile)))
        >>> [(p, [outage.target_id for outage in lost]) for p, lost in CommonCause(0.25).outcomes(topology)]
        [(0.75, []), (0.25, ['w1', 'w2'])]
        """
        ids = matching(topology, self.targets)
        common, alone = self._common, self._alone
        for n_lost in range(len(ids) + 1):
            probability = (1 - common) * alone**n_lost * (1 - alone) ** (len(ids) - n_lost)
            if n_lost == len(ids):
                probability += common
            if probability > 0:
                for lost in combinations(ids, n_lost):
                    yield probability, [Outage(name, cause="common-cause") for name in lost]
