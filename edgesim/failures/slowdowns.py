"""Devices that are slower for some time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from annotated_types import Gt, Len

from edgesim.domain.system.topology import DeviceGlob, Topology
from edgesim.errors import PlanError
from edgesim.failures.sampling.targets import matching
from edgesim.files.recorded import Start
from edgesim.units import Seconds


@dataclass(frozen=True, slots=True)
class SlowdownStep:
    """How slow devices are from some time on.

    Parameters
    ----------
    devices : pattern of device ids.
    time_s : in s from the start of the trial.
    factor : by how much computations take longer from then on; 1 is the time of the compute model.
    """

    devices: DeviceGlob
    time_s: Seconds
    factor: Annotated[float, Gt(0)]


@dataclass(frozen=True, slots=True)
class Slowdowns:
    """Make devices slower and faster at given times, the same in every replication, e.g. as recorded.

    A computation under way goes on at the new speed. Until its first step a device has factor 1; after its last one the factor stays.

    Parameters
    ----------
    steps : devices, times and factors; the times of each device increase.
    file : text file with columns ``time``, ``device`` and ``factor``, relative to the scenario, in place of `steps`.
    start : with a file, what its times count from: ``zero``, the start of a trial; ``first``, the first of them.

    Formula
    -------
    A computation of t seconds that begins at b ends at the first e at which the integral of 1 / factor from b to e is t.

    Validity
    --------
    Thermal throttling, clock governors and other loads, averaged over times that are long against a layer. Devices with `sharing: fifo`.

    References
    ----------
    Our own form; it says what speed profiles of hosts say in SimGrid (https://simgrid.org, platform description).
    """

    steps: Annotated[tuple[SlowdownStep, ...], Len(1)] = ()
    file: str = ""
    start: Start = "zero"

    def __post_init__(self) -> None:
        if self.file:
            raise PlanError(
                "a file of slowdowns is read with its scenario and cannot be swept; write one scenario for each file, with `extends:`"
            )
        if not self.steps or self.start == "first":
            raise PlanError("slowdowns need `steps`, or a `file`, with which `start: first` goes")

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when a pattern selects nothing, a device is shared by rates, or its times do not increase."""
        for pattern in dict.fromkeys(step.devices for step in self.steps):
            if not matching(topology, pattern):
                raise PlanError(f"failure model slowdowns: no device matches {pattern!r}")
        for name, changes in self.speeds(topology).items():
            if name in topology.switch_of:
                raise PlanError(
                    f"failure model slowdowns: {name!r} is a switch, which computes nothing; name devices that are linked with it"
                )
            if topology.device_of[name].sharing == "fair":
                raise PlanError(
                    f"failure model slowdowns: device {name!r} has sharing 'fair'; only 'fifo' devices can be slowed"
                )
            if any(later <= earlier for (earlier, _), (later, _) in pairwise(changes)):
                raise PlanError(
                    f"failure model slowdowns: the times of device {name!r} do not increase; put them in order"
                )

    def speeds(self, topology: Topology) -> Mapping[str, tuple[tuple[float, float], ...]]:
        """Return by device when its speed changes, and to what.

        Examples
        --------
        >>> from edgesim.domain.system.topology import Device, DeviceProfile, Topology
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> steps = (SlowdownStep("w1", 1.0, factor=4.0), SlowdownStep("w1", 3.0, factor=1.0))
        >>> Slowdowns(steps).speeds(Topology((Device("w1", profile),)))
        {'w1': ((1.0, 0.25), (3.0, 1.0))}
        """
        names = {pattern: matching(topology, pattern) for pattern in {step.devices for step in self.steps}}
        found: dict[str, list[tuple[float, float]]] = {}
        for step in self.steps:
            for name in names[step.devices]:
                found.setdefault(name, []).append((step.time_s, 1.0 / step.factor))
        return {name: tuple(changes) for name, changes in found.items()}
