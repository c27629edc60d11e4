"""What the parts of one trial share: the clock, the program, what is down when, meters and checks."""

from __future__ import annotations

from math import inf

from edgesim.engine.clock import Clock
from edgesim.engine.invariants import Checker
from edgesim.engine.meters import Meter, Note, Stays
from edgesim.engine.outages import Downtimes
from edgesim.engine.program import Program
from edgesim.engine.ways import Hop


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
                 "link_meters", "notes", "program")  # fmt: skip

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
        self.channel_meters: list[Meter] = []  # by channel
        self.link_meters: list[Meter] = []  # of the links that share a medium, in order
        self.notes: list[Note] | None = None

    def measure(self, from_s: float, *, has_notes: bool) -> None:
        """Put a meter on every resource; with `has_notes` every stay at one is noted too."""
        self.notes = [] if has_notes else None
        window_s = (from_s, self.horizon_s)
        program = self.program
        at_devices = Stays(program.device_ids, window_s, self.notes)
        self.device_meters = [
            Meter(at_devices, number, "device", device.n_cores, window_s)
            for number, device in enumerate(program.devices)
        ]
        on_channels = Stays([channel.channel_id for channel in program.channels], window_s, self.notes)
        self.channel_meters = [
            Meter(on_channels, number, "medium" if channel.is_medium else "link", 1, window_s)
            for number, channel in enumerate(program.channels)
        ]
        on_links = Stays(program.medium_links, window_s, None)
        self.link_meters = [Meter(on_links, number, "link", 1, window_s) for number in range(len(program.medium_links))]

    def meters(self) -> list[Meter]:
        """Return all meters: devices, channels, and links that share a medium."""
        return [*self.device_meters, *self.channel_meters, *self.link_meters]

    def meters_of(self, hop: Hop) -> tuple[Meter, ...]:
        """Return the meters of a link: of its channel, and its own when that is a medium; none when nothing is measured."""
        if not self.channel_meters:
            return ()
        own = (self.link_meters[hop.medium_link],) if hop.medium_link >= 0 else ()
        return (self.channel_meters[hop.channel], *own)

    def cut_to_horizon(self) -> None:
        """Let time pass until the horizon, if there is one."""
        if self.clock.now_s < self.horizon_s < inf:
            self.clock.skip_to(self.horizon_s)
            if self.checker is not None:
                self.checker.moment(self.horizon_s)
