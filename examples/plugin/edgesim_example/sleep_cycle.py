"""Failure model `sleep-cycle`: devices that sleep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.records import Outage
from edgesim.errors import PlanError
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.system.topology import Topology
    from edgesim.rng import ReplicationStreams


@dataclass(frozen=True)
class SleepCycle:
    """Let devices sleep in the first part of every period; when a trial begins within one is drawn for each device.

    Parameters
    ----------
    devices : ids of the devices that sleep.
    period_s : from one falling asleep to the next.
    asleep_s : how long a device sleeps.
    """

    devices: tuple[str, ...]
    period_s: Seconds
    asleep_s: Seconds

    def check(self, topology: Topology) -> None:
        """Refuse devices that are not there; called when a scenario is read."""
        missing = set(self.devices) - {device.device_id for device in topology.devices}
        if missing:
            raise PlanError(f"there is no device {', '.join(sorted(missing))}; sleep-cycle takes ids of devices")

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:  # noqa: ARG002 - the seam's form
        """Draw one uniform number for each device; a trial is looked at for three periods."""
        return [
            Outage(device, max(0.0, start), start + self.asleep_s, cause="asleep")
            for device in self.devices
            for start in self._starts_s(streams(f"sleep/{device}").uniform())
        ]

    def outcomes(self, topology: Topology) -> None:
        """There are too many to list."""

    def _starts_s(self, share: float) -> list[float]:
        starts = [(n - share) * self.period_s for n in range(4)]
        return [start for start in starts if start + self.asleep_s > 0]
