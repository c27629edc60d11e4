"""Devices and links that fail and are repaired, again and again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, Annotated

from edgesim.domain.records import Outage
from edgesim.domain.strike import Strike
from edgesim.domain.system.topology import TargetGlob, Topology
from edgesim.failures.sampling.inversion import exponential, exponentials
from edgesim.failures.sampling.targets import matching
from edgesim.rng import BatchDraws, BatchStreams, Draws, ReplicationStreams
from edgesim.units import Quantity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class OnOff:
    """Let devices or links fail and be repaired again and again, each for itself.

    An alternating renewal process: up for an exponential time with mean MTBF, down for one with mean MTTR. A target is down
    at any moment, the first included, with probability MTTR / (MTBF + MTTR). Outages are drawn as far as a trial goes.

    Parameters
    ----------
    mtbf_s : mean time up, in s.
    mttr_s : mean time down, in s.
    targets : pattern of device ids; of link ids when it holds ``->``.

    Formula
    -------
    P(down at any moment) = MTTR / (MTBF + MTTR); P(up for longer than t) = exp(-t / MTBF).

    Validity
    --------
    Failures without memory: no ageing, no common cause, repairs that begin at once.

    References
    ----------
    S. M. Ross, Introduction to Probability Models, 10th ed., Academic Press, 2010, section 7.5.1 (alternating renewal).
    """

    mtbf_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    mttr_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    targets: TargetGlob = "*"

    def strikes(self, topology: Topology, used: Collection[str], duration_s: float) -> Sequence[Strike]:
        """Return that some target is down in the trial: 1 - (A exp(-T / MTBF))^n, A the availability, T the duration.

        Examples
        --------
        Up 3 s, down 1 s in the mean: a moment meets a device down with probability 1/4, one of two with 1 - (3/4)^2.

        >>> from edgesim.domain.system.topology import Device, DeviceProfile, Topology
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> topology = Topology((Device("w1", profile), Device("w2", profile)))
        >>> OnOff(3.0, 1.0).strikes(topology, ("w1", "w2"), duration_s=0.0)[0].probability
        0.4375
        """
        n_used = len(set(matching(topology, self.targets)) & set(used))
        up_all_the_time = self.mtbf_s / (self.mtbf_s + self.mttr_s) * exp(-duration_s / self.mtbf_s)
        some = 1 - up_all_the_time**n_used
        return [Strike(f"any of {self.targets!r} that the plan uses", some, some)]

    def renewals(self, topology: Topology, streams: ReplicationStreams) -> Mapping[str, Iterator[Outage]]:
        """Return the outages of each target in one replication, without end."""
        return {target_id: self._outages(target_id, streams) for target_id in matching(topology, self.targets)}

    def first_changes(
        self, topology: Topology, streams: BatchStreams
    ) -> Mapping[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]:
        """Return what is down at the beginning in many replications, and until when that stays so, in s."""
        return {
            target_id: self._first(streams(f"target/{target_id}"), streams.n)
            for target_id in matching(topology, self.targets)
        }

    def _first(self, draws: BatchDraws, n: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        import numpy as np

        everyone = np.ones(n, dtype=np.bool_)
        is_down = draws.uniforms(everyone) * (self.mtbf_s + self.mttr_s) < self.mttr_s
        return is_down, exponentials(draws.uniforms(everyone), 1.0) * np.where(is_down, self.mttr_s, self.mtbf_s)

    def _outages(self, target_id: str, streams: ReplicationStreams) -> Iterator[Outage]:
        draws: Draws = streams(f"target/{target_id}")
        down_s = 0.0
        if draws.uniform() * (self.mtbf_s + self.mttr_s) >= self.mttr_s:
            down_s = exponential(draws.uniform(), self.mtbf_s)
        while True:
            up_s = down_s + exponential(draws.uniform(), self.mttr_s)
            yield Outage(target_id, down_s, up_s, "on-off")
            down_s = up_s + exponential(draws.uniform(), self.mtbf_s)
