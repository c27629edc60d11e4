"""What the parts of one trial share: the clock, the program, what is down when, meters and checks."""

from __future__ import annotations

from math import inf
from typing import Literal

from edgesim.engine.clock import Clock
from edgesim.engine.invariants import Checker
from edgesim.engine.meters import Meter, Note
from edgesim.engine.outages import Downtimes
from edgesim.engine.program import Hop, Program


class World:
    """The surroundings of everything that happens in one trial.

    Parameters
    ----------
    program : the plan on its topology.
    downtimes : when devices and links are down.
    horizon_s : when the trial ends at the latest, in s.
    checker : checks the invariants, or None.
    """

    __slots__ = ("_meters_of", "channel_meters", "checker", "clock", "device_meters", "downtimes", "has_outages", "horizon_s",
                 "link_meters", "notes", "program")  # fmt: skip

    def __init__(self, program: Program, downtimes: Downtimes, horizon_s: float, checker: Checker | None) -> None:
        self.clock = Clock()
        self.program = program
        self.downtimes = downtimes
        self.has_outages = bool(downtimes)
        self.horizon_s = horizon_s
        self.checker = checker
        self.device_meters: list[Meter | None] = [None] * len(program.devices)
        self.channel_meters: dict[int, Meter] | None = None
        self.link_meters: dict[str, Meter] = {}
        self._meters_of: dict[str, tuple[Meter, ...]] = {}
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
        links = {hop.link.link_id: hop for hops in program.hops for hop in hops}
        self.link_meters = {
            link_id: Meter(link_id, "link", 1, window_s=(from_s, self.horizon_s), notes=None)
            for link_id, hop in links.items()
            if program.channels[hop.channel].is_medium
        }

    def meters_of(self, hop: Hop) -> tuple[Meter, ...]:
        """Return the meters of a hop: of its channel, and of the link when the channel is a medium; none if not measured."""
        if self.channel_meters is None:
            return ()
        link_id = hop.link.link_id
        found = self._meters_of.get(link_id)
        if found is None:
            channel, link = self.channel_meters[hop.channel], self.link_meters.get(link_id)
            found = self._meters_of[link_id] = (channel,) if link is None else (channel, link)
        return found

    def meters(self) -> list[Meter]:
        """Return all meters: devices, channels, and links that share a medium."""
        channels = (self.channel_meters or {}).values()
        return [*(meter for meter in self.device_meters if meter is not None), *channels, *self.link_meters.values()]

    def cut_to_horizon(self) -> None:
        """Let time pass until the horizon, if there is one."""
        if self.clock.now_s < self.horizon_s < inf:
            self.clock.skip_to(self.horizon_s)
            if self.checker is not None:
                self.checker.moment(self.horizon_s)
