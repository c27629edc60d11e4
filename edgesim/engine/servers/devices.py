"""Devices that compute: cores in order of arrival, or cores shared by all computations at once.

The device calls back when it is done, or when it is certain that it will never be.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from math import inf
from typing import Protocol

from edgesim.domain.system.topology import Device
from edgesim.engine.state.outages import Downtime
from edgesim.engine.state.request import Request, Task
from edgesim.engine.state.world import World


class JobOwner(Protocol):
    """What hears of computations."""

    def job_done(self, task: Task) -> None:
        """Take note that a computation is done."""

    def job_lost(self, task: Task) -> None:
        """Take note that a computation will never be done."""


class Devices:
    """The devices of a trial; those that are `fifo` have cores that each serve one computation at a time, in order of arrival.

    Service is never interrupted in favour of another computation, so a core is just the time at which it is next free, and
    a computation is one event. What all of them need is in lists by device: a large trial is slow for what it must fetch
    from memory.
    """

    __slots__ = ("_checker", "_clock", "_cores_s", "_downtimes", "_fair", "_free_s", "_horizon_s", "_is_plain", "_memory", "_moments",
                 "_n_cores", "_on_end", "_owner", "_paces", "_profiles", "_shared", "_spending", "_stays", "_world")  # fmt: skip

    def __init__(self, world: World, owner: JobOwner) -> None:
        self._world = world
        self._profiles = devices = world.program.devices.device
        self._n_cores = [(position, device.n_cores) for position, device in enumerate(devices) if device.n_cores > 1]
        self._shared = [position for position, device in enumerate(devices) if device.sharing == "fair"]
        self._checker = world.checker
        self._horizon_s = world.horizon_s
        self._clock, self._moments = world.clock, world.clock.moments
        self._owner = owner
        self._on_end = owner.job_done
        self._stays = world.at_devices
        self._memory = world.memory

    def begin(self) -> None:
        """Go on to the trial that the world has begun."""
        world = self._world
        self._free_s = [0.0] * len(self._profiles)  # when a core is next free
        self._cores_s = {position: [0.0] * n for position, n in self._n_cores}
        self._fair = {position: FairDevice(world, self._owner, position) for position in self._shared}
        self._downtimes = world.device_downtimes
        self._paces = world.device_paces
        self._spending = world.spending
        is_told = self._checker is not None or self._spending is not None
        self._is_plain = not (self._cores_s or self._fair or self._paces or self._downtimes or is_told)

    def submit(self, task: Task, device: int, left_s: float) -> None:
        """Let a device take a computation that needs `left_s` on a core."""
        now_s = self._clock.now_s
        free_s = self._free_s[device]
        start_s = free_s if free_s > now_s else now_s  # noqa: FURB136 - a call of max takes longer
        end_s = start_s + left_s
        if self._is_plain and end_s <= self._horizon_s:  # `_queue` in short, and `Clock.after` written out
            self._free_s[device] = end_s
            task[0].busy_s[device] += end_s - start_s
            if self._stays is not None:
                self._measure(task, device, start_s, end_s)
            moment_s = now_s + (end_s - now_s)
            moment = self._moments.get(moment_s)
            if moment is None:
                moment = self._clock.new_moment(moment_s)
            moment.append((self._on_end, task))
        elif device in self._fair:
            self._fair[device].submit(task, left_s)
        else:
            self._queue(task, device, left_s, start_s)

    def submit_first(self, request: Request, firsts: Sequence[tuple[int, int, float]]) -> None:
        """Let devices take the first computations of a request.

        Parameters
        ----------
        request : the request.
        firsts : by computation its step, its device, and the time that it needs on a core, in s.
        """
        if not self._is_plain or self._stays is not None:
            for index, device, left_s in firsts:
                self.submit((request, index), device, left_s)
            return
        now_s, horizon_s, moments, on_end = self._clock.now_s, self._horizon_s, self._moments, self._on_end
        next_s, busy_s = self._free_s, request.busy_s
        for index, device, left_s in firsts:  # `submit` in a loop
            free_s = next_s[device]
            start_s = free_s if free_s > now_s else now_s  # noqa: FURB136
            end_s = start_s + left_s
            if end_s > horizon_s:
                self._queue((request, index), device, left_s, start_s)
                continue
            next_s[device] = end_s
            busy_s[device] += end_s - start_s
            moment_s = now_s + (end_s - now_s)
            moment = moments.get(moment_s)
            if moment is None:
                moment = self._clock.new_moment(moment_s)
            moment.append((on_end, (request, index)))

    def _queue(self, task: Task, device: int, left_s: float, start_s: float) -> None:
        """Let a computation have a core from a moment on, at the speed that the device has then, unless it fails."""
        now_s = self._clock.now_s
        end_s = start_s + left_s
        if device in self._paces:
            end_s = self._paces[device].end_s(start_s, left_s)
        if device in self._downtimes and (down_s := self._downtimes[device].first_s(now_s, end_s)) < inf:
            self._interrupt((task, device, left_s), start_s, down_s)
            return
        self._occupy(task, device, start_s, end_s)
        self._measure(task, device, start_s, end_s)
        self._clock.after(end_s - now_s, self._on_end, task)

    def _occupy(self, task: Task, device: int, start_s: float, end_s: float) -> None:
        """Let a computation have a core."""
        if self._checker is not None:
            self._checker.served(self._profiles[device].device_id, self._free_s[device], start_s, end_s)
        if device in self._cores_s:
            heapreplace(self._cores_s[device], end_s)
            self._free_s[device] = self._cores_s[device][0]
        else:
            self._free_s[device] = end_s
        until_s = end_s if end_s <= self._horizon_s else max(start_s, self._horizon_s)
        task[0].busy_s[device] += until_s - start_s
        if self._spending is not None:
            self._spending.computes(device, start_s, until_s, until_s - start_s)

    def _measure(self, task: Task, device: int, start_s: float, end_s: float) -> None:
        """Measure a computation that comes now, and what it holds in memory."""
        self._stay(task, device, start_s, end_s)
        if self._memory is not None:
            self._memory.begins(task, start_s, self._clock.now_s)
            self._memory.ends(task, end_s)

    def _stay(self, task: Task, device: int, start_s: float, end_s: float) -> None:
        """Measure a stay that begins now."""
        stays = self._stays
        if stays is not None:
            now_s = self._clock.now_s
            stays.add(device, now_s, start_s, end_s)
            if stays.is_noting:
                stays.note(device, (now_s, start_s, end_s), task)

    def _interrupt(self, job: tuple[Task, int, float], start_s: float, down_s: float) -> None:
        """Lose a computation that meets an outage, or let what is left of it queue again when the outage is over."""
        task, device, left_s = job
        clock = self._clock
        now_s = clock.now_s
        if down_s > start_s:
            self._occupy(task, device, start_s, down_s)
            self._stay(task, device, start_s, down_s)
            if self._memory is not None:
                self._memory.begins(task, start_s, now_s)
            pace = self._paces.get(device)
            left_s -= down_s - start_s if pace is None else pace.work_s(start_s, down_s)
        else:
            self._stay(task, device, down_s, down_s)
        up_s = _end_of_outage(self._profiles[device], self._downtimes[device], down_s)
        if up_s == inf:
            if self._memory is not None:
                self._memory.ends(task, down_s)
            clock.after(down_s - now_s, self._owner.job_lost, task)
        else:
            clock.after(up_s - now_s, self._submit_again, (task, device, left_s))

    def _submit_again(self, job: tuple[Task, int, float]) -> None:
        self.submit(*job)

    def close(self) -> None:
        """End the trial: account for what still runs at shared devices; at the others it is accounted for already."""
        for device in self._fair.values():
            device.close()


def _end_of_outage(device: Device, downtime: Downtime | None, down_s: float) -> float:
    """Return when interrupted computations go on; inf when they are lost."""
    return inf if device.on_outage == "lost" or downtime is None else downtime.up_s(down_s)


class _Job:
    """One computation at a fair device.

    Parameters
    ----------
    task : the request, whose `busy_s` adds up the core time by device, and the step of the plan.
    left_s : time it needs on a core of its own, in s.
    arrived_s, mark_s : when it came, and the service given at the device at which it ends, in s.
    """

    __slots__ = ("arrived_s", "left_s", "mark_s", "task")

    def __init__(self, task: Task, left_s: float, arrived_s: float, mark_s: float) -> None:
        self.task = task
        self.left_s = left_s
        self.arrived_s = arrived_s
        self.mark_s = mark_s


class FairDevice:
    """Cores that all computations share at once: each runs at min(1, cores / computations) of its speed.

    All computations have been given the same service since they came, so one number, the service given so far, tells
    which ends next: the one whose mark is smallest. A change costs the logarithm of the number of computations.
    """

    __slots__ = ("_change_s", "_clock", "_device", "_downtime", "_generation", "_given_s", "_is_down", "_jobs", "_memory", "_meter",
                 "_n_taken", "_owner", "_position", "_since_s", "_spending", "_stays")  # fmt: skip

    def __init__(self, world: World, owner: JobOwner, position: int) -> None:
        self._position = position
        self._device = world.program.devices.device[position]
        self._clock = world.clock
        self._owner = owner
        self._downtime = downtime = world.device_downtimes.get(position)
        self._stays = world.at_devices
        self._memory, self._spending = world.memory, world.spending
        self._meter = world.at_devices.meter(position) if world.at_devices is not None else None
        self._jobs: list[tuple[float, int, _Job]] = []
        self._given_s = 0.0
        self._since_s = 0.0
        self._generation = 0
        self._n_taken = 0
        self._is_down = downtime is not None and downtime.up_s(0.0) > 0.0
        self._change_s = inf  # when it goes down or comes up next
        self._watch()

    def submit(self, task: Task, left_s: float) -> None:
        """Take a computation that needs `left_s` on a core of its own."""
        now_s = self._clock.now_s
        if self._meter is not None:
            self._meter.arrive(now_s)
        if self._is_down and _end_of_outage(self._device, self._downtime, now_s) == inf:
            self._clock.after(0.0, self._owner.job_lost, task)
            return
        self._advance()
        if self._memory is not None:
            self._memory.begins(task, now_s, now_s)
        job = _Job(task, left_s, now_s, self._given_s + left_s)
        self._n_taken += 1
        heappush(self._jobs, (job.mark_s, self._n_taken, job))
        self._plan_next()

    def _watch(self) -> None:
        """Wait for the next outage to begin, or for the present one to end."""
        if self._downtime is None:
            return
        now_s = self._clock.now_s
        next_s = self._downtime.up_s(now_s) if self._is_down else self._downtime.next_s(now_s)
        self._change_s = next_s
        if next_s < inf:
            self._clock.after(next_s - now_s, self._on_change, None)

    def _on_change(self, _event: None) -> None:
        """Go down or come up."""
        self._advance()
        self._is_down = not self._is_down
        now_s = self._clock.now_s
        if self._is_down and _end_of_outage(self._device, self._downtime, now_s) == inf:
            for _, _, job in sorted(self._jobs):
                self._leave(job)
                self._clock.after(0.0, self._owner.job_lost, job.task)
            self._jobs.clear()
        self._watch()
        self._plan_next()

    def _speed(self) -> float:
        return 0.0 if self._is_down else min(1.0, self._device.n_cores / len(self._jobs))

    def _advance(self) -> None:
        """Give the service since the last change."""
        now_s = self._clock.now_s
        if self._jobs:
            self._given_s += self._speed() * (now_s - self._since_s)
        else:
            self._given_s = 0.0  # nobody remembers; keeps the rounding small
        self._since_s = now_s

    def _plan_next(self) -> None:
        """Call back when the next computation ends, unless something changes before."""
        self._generation += 1
        n = len(self._jobs)
        clock = self._clock
        if self._meter is not None:
            self._meter.load(clock.now_s, 0.0 if self._is_down else float(min(n, self._device.n_cores)), n)
        if n > 0 and not self._is_down:
            delay_s = max(0.0, self._jobs[0][0] - self._given_s) / self._speed()
            if clock.now_s + delay_s <= self._change_s:
                clock.after(delay_s, self._on_end, self._generation)

    def _on_end(self, generation: int) -> None:
        if generation != self._generation:
            return
        self._since_s = self._clock.now_s
        self._given_s = self._jobs[0][0]  # by definition of this moment
        ended = []
        while self._jobs and self._jobs[0][0] <= self._given_s:
            job = heappop(self._jobs)[2]
            self._leave(job)
            ended.append(job)
        self._plan_next()
        for job in ended:
            self._owner.job_done(job.task)

    def _leave(self, job: _Job) -> None:
        """Account for a computation that is done or lost."""
        if self._memory is not None:
            self._memory.ends(job.task, self._clock.now_s)
        busy_s = job.left_s - max(0.0, job.mark_s - self._given_s)
        job.task[0].busy_s[self._position] += busy_s
        if self._spending is not None:
            self._spending.computes(self._position, job.arrived_s, self._clock.now_s, busy_s)
        if self._stays is not None:
            self._stays.note(self._position, (job.arrived_s, job.arrived_s, self._clock.now_s), job.task)

    def close(self) -> None:
        """End the trial: account for what still runs."""
        self._advance()
        for _, _, job in self._jobs:
            self._leave(job)
