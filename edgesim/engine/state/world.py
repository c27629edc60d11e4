"""What the parts of one trial share: the clock, the program, what is down when, meters and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf

from edgesim.domain.records import ResourceRecord, Sample
from edgesim.engine.program.compiled import Program
from edgesim.engine.program.ways import Hop
from edgesim.engine.state.clock import Clock
from edgesim.engine.state.invariants import Checker
from edgesim.engine.state.memory import Memory
from edgesim.engine.state.meters import Meter, Note, Stays
from edgesim.engine.state.outages import NEVER, Downtimes
from edgesim.engine.state.pace import Pace, paces_of
from edgesim.engine.state.samples import Samples
from edgesim.engine.state.spending import Spending


class World:
    """The surroundings of everything that happens in a trial; `begin` goes on to another one.

    Parameters
    ----------
    program : the plan on its topology.
    speeds : by device: when its speed changes, in s, and to what.
    horizon_s : when the trial ends at the latest, in s.
    checker : checks the invariants, or None.
    """

    __slots__ = (
        "at_devices",
        "checker",
        "clock",
        "courses",
        "device_downtimes",
        "device_paces",
        "downtimes",
        "from_s",
        "has_outages",
        "horizon_s",
        "memory",
        "met",
        "notes",
        "on_channels",
        "on_links",
        "paces",
        "program",
        "samples",
        "speeds",
        "spending",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
        speeds: Mapping[str, Sequence[tuple[float, float]]],
        horizon_s: float,
        checker: Checker | None,
    ) -> None:
        self.clock = Clock()
        self.program = program
        self.horizon_s = horizon_s
        self.from_s = 0.0  # before which nothing counts
        self.checker = checker
        self.speeds = speeds
        self.at_devices: Stays | None = None  # by device, if resources are measured
        self.on_channels: Stays | None = None  # by channel
        self.on_links: Stays | None = None  # by link that shares a medium
        self.notes: list[Note] | None = None
        self.samples: Samples | None = None
        self.memory: Memory | None = None
        self.courses: dict[tuple[int, int], list[float]] | None = None  # by request and step: released, began, ended
        self.begin(NEVER)

    def begin(self, downtimes: Downtimes) -> None:
        """Go on to another trial, given when devices and links are down in it; what is measured goes on."""
        program, speeds = self.program, self.speeds
        self.clock.begin()
        if self.checker is not None:
            self.checker.begin()
        self.downtimes = downtimes
        self.has_outages = bool(downtimes)
        device_ids = program.devices.device_ids
        self.device_downtimes = downtimes.among(device_ids) if downtimes else {}  # by position
        self.paces = paces_of(program)  # of the links whose rate changes
        self.device_paces = (
            {n: Pace(speeds[name]) for n, name in enumerate(device_ids) if name in speeds} if speeds else {}
        )
        self.spending = Spending(program) if program.devices.has_batteries else None
        self.met: set[str] = set()  # links over which a message has gone, where the first takes longer

    def measure(self, from_s: float, *, has_notes: bool, has_samples: bool = False) -> None:
        """Measure every resource; with `has_notes` every stay at one is noted too, with `has_samples` how much is there is sampled."""
        self.from_s = from_s
        self.notes = [] if has_notes else None
        self.memory = Memory(self.program, from_s)
        self.courses = {} if has_notes else None
        window_s = (from_s, self.horizon_s)
        program = self.program
        samples = self.samples = Samples(window_s) if has_samples else None
        self.at_devices = Stays(program.devices.device_ids, window_s, self.notes, samples)
        channel_ids = [channel.channel_id for channel in program.channels.channel]
        self.on_channels = Stays(channel_ids, window_s, self.notes, samples)
        self.on_links = Stays(program.channels.medium_links, window_s, None)

    def meters_of(self, hop: Hop) -> tuple[Meter, ...]:
        """Return the meters of a link that is shared by rates: of its channel, and its own when that is a medium."""
        if self.on_channels is None or self.on_links is None:
            return ()
        own = (self.on_links.meter(hop.medium_link),) if hop.medium_link >= 0 else ()
        return (self.on_channels.meter(hop.channel), *own)

    @property
    def last_s(self) -> float:
        """The end of the trial so far: the last event, or what is served behind it, before the horizon, in s."""
        measured = (self.at_devices, self.on_channels)
        ends_s = [min(stays.last_s, self.horizon_s) for stays in measured if stays is not None]
        return max(self.clock.now_s, *ends_s)

    def resources(self, to_s: float) -> Iterator[ResourceRecord]:
        """Yield what was measured until `to_s`: of devices, channels, and links that share a medium."""
        for record in self._records(to_s):
            if self.checker is not None:
                self.checker.used(record.resource_id, record.utilisation)
            yield record

    def sampled(self, to_s: float) -> Iterator[Sample]:
        """Yield how much was at each device and channel over time, until `to_s`, if that was asked for."""
        if self.samples is not None:
            n_servers = {device.device_id: device.n_cores for device in self.program.devices.device}  # no switches
            channels = {channel.channel_id: 1 for channel in self.program.channels.channel}
            yield from self.samples.at(to_s, n_servers | channels)

    def _records(self, to_s: float) -> Iterator[ResourceRecord]:
        if self.at_devices is None or self.on_channels is None or self.on_links is None:
            return
        for number, device in enumerate(self.program.devices.device):
            peak_byte = 0 if self.memory is None else self.memory.peak_byte(number, to_s)
            yield replace(self.at_devices.record(number, "device", device.n_cores, to_s), peak_memory_byte=peak_byte)
        for number, channel in enumerate(self.program.channels.channel):
            yield self.on_channels.record(number, "medium" if channel.is_medium else "link", 1, to_s)
        for number in range(len(self.program.channels.medium_links)):
            yield self.on_links.record(number, "link", 1, to_s)

    def cut_to_horizon(self) -> None:
        """Let time pass until the horizon, if there is one."""
        if self.clock.now_s < self.horizon_s < inf:
            self.clock.skip_to(self.horizon_s)
            if self.checker is not None:
                self.checker.moment(self.horizon_s)
