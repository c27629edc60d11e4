"""Devices that are watched: their heartbeats, whom the monitor suspects, and how well it does."""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, inf, nan, nextafter
from typing import TYPE_CHECKING

from edgesim.domain.records import WatchRecord
from edgesim.engine.state.request import Errand

if TYPE_CHECKING:
    from edgesim.domain.system.detector import Detector
    from edgesim.engine.state.request import Task
    from edgesim.engine.state.world import World
    from edgesim.rng import ReplicationStreams

_IN_TIME = 1e-6  # of a period: what comes at the very moment of the timeout comes in time, whatever sums are rounded to


class Watch:
    """A monitor, and the devices that it hears of, in one trial.

    Parameters
    ----------
    world : the trial's surroundings; its program has the heartbeats.
    detector : the options.
    streams : draw when each device begins.
    from_s : before which nothing counts, in s.
    send : sends a message.
    """

    on_change: Callable[[], None] | None = None
    """Called when the monitor suspects another device, or trusts one again."""

    def __init__(
        self,
        world: World,
        detector: Detector,
        streams: ReplicationStreams,
        from_s: float,
        send: Callable[[Task], None],
    ) -> None:
        self._world, self._detector, self._send = world, detector, send
        self._downtimes = world.downtimes
        self._from_s = from_s
        self.timeout_s = detector.timeout_s
        steps = world.program.steps
        self._index = {steps.step[index].src_id: index for index in world.program.heartbeats}  # type: ignore[union-attr]
        self._monitor = steps.step[world.program.heartbeats[0]].dst_id if self._index else ""  # type: ignore[union-attr]
        self._heard_s = dict.fromkeys(self._index, 0.0)
        self._sent_s = dict.fromkeys(self._index, 0.0)  # of the last one that came
        self._phase_s = {name: streams(name).uniform() * detector.period_s for name in self._index}
        self.suspects: set[str] = set()
        n_devices = len(world.program.devices.device_ids)
        self.uncounted, self.counted = Errand.totals(n_devices), Errand.totals(n_devices)
        self._detected_s: list[float] = []
        self._n_false = 0

    def begin(self) -> None:
        """Plan the first heartbeat of every device, and the first moment at which it may be suspected."""
        clock = self._world.clock
        for device_id, phase_s in self._phase_s.items():
            clock.at(phase_s, self._beat, (device_id, 0))
            clock.at(self._late_s(0.0), self._on_late, device_id)

    def _late_s(self, since_s: float) -> float:
        return since_s + self._detector.timeout_s + _IN_TIME * self._detector.period_s

    def _beat(self, number: tuple[str, int]) -> None:
        """Let a device send a heartbeat, unless it is down, and plan its next one."""
        device_id, n = number
        clock = self._world.clock
        if self._downtimes.up_s((device_id,), clock.now_s) == clock.now_s:
            self._send((self.errand(device_id), self._index[device_id]))
        next_s = self._phase_s[device_id] + (n + 1) * self._detector.period_s
        clock.at(max(next_s, clock.now_s), self._beat, (device_id, n + 1))

    def errand(self, device_id: str, change: int = 0) -> Errand:
        """Return a message that belongs to no request; what it costs counts from the end of the warm-up on."""
        now_s = self._world.clock.now_s
        return Errand(device_id, now_s, self.counted if now_s >= self._from_s else self.uncounted, change)

    def heard(self, errand: Errand) -> None:
        """Take note that a heartbeat came."""
        device_id, now_s = errand.device_id, self._world.clock.now_s
        self._heard_s[device_id] = now_s
        self._sent_s[device_id] = max(errand.released_s, self._sent_s[device_id])
        if device_id in self.suspects:
            self.suspects.discard(device_id)
            self._world.clock.at(self._late_s(now_s), self._on_late, device_id)
            if self.on_change is not None:
                self.on_change()

    def _on_late(self, device_id: str) -> None:
        """Suspect a device, unless something was heard of it meanwhile, or the monitor could not hear."""
        clock = self._world.clock
        late_s = self._late_s(max(self._heard_s[device_id], self._listens_since_s(self._heard_s[device_id])))
        if late_s > clock.now_s:
            if late_s < inf:
                clock.at(late_s, self._on_late, device_id)
            return
        self.suspects.add(device_id)
        self._judge(device_id)
        if self.on_change is not None:
            self.on_change()

    def _judge(self, device_id: str) -> None:
        """Take note whether a suspicion was right; an outage that began before the watched time counts nowhere."""
        clock = self._world.clock
        if clock.now_s < self._from_s:
            return
        down_s = self._downtimes.first_s(device_id, self._sent_s[device_id], clock.now_s)
        if down_s == inf:
            self._n_false += 1
        elif down_s >= self._from_s:
            self._detected_s.append(clock.now_s - down_s)

    def _listens_since_s(self, since_s: float) -> float:
        """Return since when the monitor has been up without a break, or `since_s` where that is longer ago; inf when it is down for good."""
        now_s = self._world.clock.now_s
        down_s = self._downtimes.first_s(self._monitor, since_s, now_s)
        while down_s < inf:
            since_s = self._downtimes.up_s((self._monitor,), down_s)
            down_s = self._downtimes.first_s(self._monitor, since_s, now_s) if since_s < now_s else inf
        return since_s

    def record(self, to_s: float) -> WatchRecord:
        """Sum up what the monitor did until the end of the trial."""
        n_outages = sum(self._n_outages(device_id, to_s) for device_id in self._index)
        watched_s = max(0.0, to_s - self._from_s)
        up_s = fsum(watched_s - self._downtimes.total_s(name, self._from_s, to_s) for name in self._index)
        detected_s = self._detected_s
        return WatchRecord(
            detection_s=fsum(detected_s) / len(detected_s) if detected_s else nan,
            n_detected=len(detected_s),
            n_outages=n_outages,
            n_false=self._n_false,
            up_s=up_s,
            traffic_byte=sum(self.counted.traffic_byte),
        )

    def _n_outages(self, device_id: str, to_s: float) -> int:
        """Return how many outages of a device begin in the watched time."""
        downtime = self._downtimes.get(device_id)
        if downtime is None:
            return 0
        n, moment_s = 0, nextafter(self._from_s, -inf)
        while (moment_s := downtime.next_s(moment_s)) < to_s:
            n += 1
        return n
