"""Another strategy takes over while a device is taken as down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesim.domain.system.detector import Detector
from edgesim.domain.system.topology import Topology
from edgesim.errors import PlanError
from edgesim.interfaces import StandIn, Strategy
from edgesim.units import BytePerSecond


@dataclass(frozen=True, slots=True)
class Failover:
    """Let another strategy of the scenario, as a smaller network on other devices, answer requests while a device of this one is taken as down.

    It takes over when the detector suspects a device that computes in this strategy, and none of its own; requests that are released from then on
    follow its plan, and its real networks answer. Requests under way end as they began. When all devices are trusted again, this strategy goes on.

    Parameters
    ----------
    to : label of the strategy that takes over.
    detector : finds devices that are down. Its options `period`, `timeout`, `size` and `monitor`: see `edgesim.domain.system.detector.Detector`.
    warm : whether its weights lie in memory beside those of this strategy all the time, so that it takes over at once. Else (cold) the monitor, which has
        them in storage, sends them first to the devices that lack them, and they replace the others; and again on the way back.
    loading_byte_per_s : how fast devices read weights into memory, from their storage or when they have come, in byte/s; when cold.
    back : whether this strategy goes on when its devices are trusted again.

    Formula
    -------
    Warm: answers stay away from the failure until the detection, or the repair where that is sooner. Cold: the time to send and read the weights comes on top.

    Validity
    --------
    The monitor never errs about itself; who asks learns at once where to send the next request. Weights lost on the way are sent again after a timeout of the detector.

    References
    ----------
    Warm and cold failover to smaller networks as in FailLite (arXiv 2504.15856); the rules are our own.
    """

    to: str
    detector: Detector
    warm: bool = True
    loading_byte_per_s: BytePerSecond | None = None
    back: bool = True

    def __post_init__(self) -> None:
        if self.warm == (self.loading_byte_per_s is not None):
            raise PlanError(
                "failover: `loading`, how fast devices read weights into memory, goes with `warm: false`, and only with it"
            )

    def again_s(self, n_lost: int) -> float | None:  # noqa: ARG002 - the seam's form
        """Return None: what is lost is given up."""
        return None

    def stand_ins(
        self,
        label: str,
        strategies: Mapping[str, Strategy],
        topology: Topology,
        watched: Sequence[str],  # noqa: ARG002 - the seam's form
    ) -> Sequence[StandIn]:
        """Return the other strategy, on all devices.

        Raises
        ------
        PlanError
            When there is none of that label, or it is this one.
        """
        others = [other for other in strategies if other != label]
        if self.to not in others:
            raise PlanError(
                f"failover.to: {self.to!r} is no other strategy of this scenario; name one of {', '.join(others) or 'none: there is only one'}"
            )
        return [StandIn(strategies[self.to], topology, is_needed=True)]
