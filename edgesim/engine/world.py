"""What the parts of one trial share: the clock, the program, what is down when, meters and checks."""

from __future__ import annotations

from math import inf
from typing import Literal

from edgesim.engine.clock import Clock
from edgesim.engine.invariants import Checker
from edgesim.engine.meters import Meter, Note
from edgesim.engine.outages import Downtimes
from edgesim.engine.program import Program


class World:
    """The surroundings of everything that happens in one trial.

    Parameters
    ----------
    program : the plan on its topology.
    downtimes : when devices and links are down.
    horizon_s : when the trial ends at the latest, in s.
    checker : checks the invariants, or None.
    """

    __slots__ = ("channel_meters", "checker", "clock", "device_downtimes", "device_meters", "downtimes", "has_outages", "horizon_s",
                 "link_meters", "meters_of", "notes", "program")  # fmt: skip

    def __init__(self, program: Program, downtimes: Downtimes, horizon_s: float, checker: Checker | None) -> None:
        self.clock = Clock()
        self.program = program
        self.downtimes = downtimes
        self.has_outages = bool(downtimes)
        self.horizon_s = horizon_s
        self.checker = checker
        self.device_downtimes = {
            position: downtime
            for position, device_id in enumerate(program.device_ids if downtimes else ())
            if (downtime := downtimes.get(device_id)) is not None
        }
        self.device_meters: list[Meter] = []  # by device, if they are measured
        self.channel_meters: dict[int, Meter] | None = None
        self.link_meters: dict[str, Meter] = {}
        self.meters_of: dict[str, tuple[Meter, ...]] = {}  # by link: of its channel, and its own when that is a medium
        self.notes: list[Note] | None = None

    def measure(self, from_s: float, *, has_notes: bool) -> None:
        """Put a meter on every resource; with `has_notes` every stay at one is noted too."""
        self.notes = [] if has_notes else None

        def meter(resource_id: str, kind: Literal["device", "link", "medium"], capacity: int = 1) -> Meter:
            return Meter(resource_id, kind, capacity, window_s=(from_s, self.horizon_s), notes=self.notes)

        program = self.program
        self.device_meters = [meter(device.device_id, "device", device.n_cores) for device in program.devices]
        self.channel_meters = {
            index: meter(channel.channel_id, "medium" if channel.is_medium else "link")
            for index, channel in enumerate(program.channels)
        }
        for link_id, channel in program.links:
            self.meters_of[link_id] = (self.channel_meters[channel],)
            if program.channels[channel].is_medium:
                self.link_meters[link_id] = Meter(link_id, "link", 1, window_s=(from_s, self.horizon_s), notes=None)
                self.meters_of[link_id] += (self.link_meters[link_id],)

    def meters(self) -> list[Meter]:
        """Return all meters: devices, channels, and links that share a medium."""
        channels = (self.channel_meters or {}).values()
        return [*self.device_meters, *channels, *self.link_meters.values()]

    def cut_to_horizon(self) -> None:
        """Let time pass until the horizon, if there is one."""
        if self.clock.now_s < self.horizon_s < inf:
            self.clock.skip_to(self.horizon_s)
            if self.checker is not None:
                self.checker.moment(self.horizon_s)
