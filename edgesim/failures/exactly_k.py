"""Exactly k of n devices lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from math import comb
from typing import Annotated

from annotated_types import Ge

from edgesim.domain.records import Outage
from edgesim.domain.topology import DeviceGlob, Topology
from edgesim.errors import PlanError
from edgesim.rng import ReplicationStreams


@dataclass(frozen=True, slots=True)
class ExactlyK:
    """Lose exactly k of the chosen devices for the whole trial, every subset equally likely.

    The subset is drawn by giving each device one uniform of its own stream and losing the k smallest: so the devices lost
    at k are among those lost at k + 1 in the same replication, and a further device moves no other device's draw. Valid
    for failures that are independent of what a device does and that last longer than one inference.

    Parameters
    ----------
    k : number of devices lost.
    targets : glob pattern of device ids.

    References
    ----------
    J. Jeong, J. Park, J. Yang, Communication Failure Resilient Distributed Neural Network for Edge Devices, Electronics
    10(14):1614, 2021, doi 10.3390/electronics10141614 (unavailable students).

    Examples
    --------
    >>> from math import comb
    >>> comb(8, 4)  # subsets that `outcomes` lists for eight devices and k = 4, each with probability 1/70
    70
    """

    k: Annotated[int, Ge(0)]
    targets: DeviceGlob = "*"

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when there are fewer than k devices to lose."""
        self._devices(topology)

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:
        """Draw which devices are lost in one replication."""
        devices = self._devices(topology)
        draws = sorted((streams(f"device/{device_id}").uniform(), device_id) for device_id in devices)
        return [Outage(device_id, cause="exactly-k") for _, device_id in draws[: self.k]]

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]]:
        """Yield all C(n, k) subsets with their common probability."""
        devices = self._devices(topology)
        probability = 1.0 / comb(len(devices), self.k)
        for subset in combinations(devices, self.k):
            yield probability, [Outage(device_id, cause="exactly-k") for device_id in subset]

    def _devices(self, topology: Topology) -> list[str]:
        devices = [device.device_id for device in topology.devices if fnmatchcase(device.device_id, self.targets)]
        if len(devices) < self.k:
            raise PlanError(
                f"failure model exactly-k: k = {self.k}, but targets {self.targets!r} matches {len(devices)} devices; "
                "lower k or widen the pattern"
            )
        return devices
