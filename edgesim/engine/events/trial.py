"""A trial: requests begin, their steps follow each other, and each request ends in one way.

Steps of a request begin when their inputs are there. A request has ended when its answer is there, when its deadline passes,
or when nothing that could still bring the answer is under way: so nothing hangs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from math import inf, isnan, nan

from edgesim.domain.plan import Compute
from edgesim.domain.records import Outcome, RequestRecord, WatchRecord
from edgesim.engine.events.pools import Pools
from edgesim.engine.events.records import Records
from edgesim.engine.events.releases import Releases
from edgesim.engine.events.takeover import Takeover
from edgesim.engine.events.watch import Watch
from edgesim.engine.program.spans import Span
from edgesim.engine.servers.devices import Devices
from edgesim.engine.servers.hosts import Hosts
from edgesim.engine.servers.losses import GivenLosses, Losses
from edgesim.engine.state.outages import Downtimes
from edgesim.engine.state.request import Errand, Request, Task
from edgesim.engine.state.world import World
from edgesim.errors import SimulationError
from edgesim.interfaces import LinkModel, Recovery, Replacing, SlowdownModel, detector_of
from edgesim.rng import ReplicationStreams

_BEGUN = -(2**29)  # far below any number of inputs


class Trial:
    """A trial: the requests, and what happens to them. What is the same in all trials is set up once; `run` begins another one.

    Parameters
    ----------
    world : the trial's surroundings.
    losses, slowdowns, streams, deadline_s, admission_limit, recovery : as of `edgesim.engine.events.simulation.simulate`.
    """

    __slots__ = (
        "_active",
        "_admission_limit",
        "_carrier",
        "_checker",
        "_courses",
        "_deadline_s",
        "_detector",
        "_devices",
        "_fifo",
        "_first",
        "_firsts",
        "_hosts",
        "_is_noting",
        "_is_slowed",
        "_last_end_s",
        "_lines",
        "_lines_at_once",
        "_memory",
        "_n_present",
        "_n_released",
        "_only_user",
        "_plan_of",
        "_pools",
        "_recovery",
        "_releases",
        "_send",
        "_slowing",
        "_steps",
        "_streams",
        "_whole",
        "clock",
        "first_s",
        "program",
        "records",
        "takeover",
        "watch",
        "world",
    )  # fmt: skip

    def __init__(
        self,
        world: World,
        *,
        losses: Mapping[str, LinkModel] | GivenLosses,
        slowdowns: Mapping[str, SlowdownModel],
        streams: ReplicationStreams | None,
        deadline_s: float | None,
        admission_limit: int | None,
        recovery: Recovery | None,
    ) -> None:
        drawn = {} if isinstance(losses, GivenLosses) else losses
        if detector_of(recovery) is not None and streams is None:
            raise SimulationError(
                "a detector draws at random when heartbeats begin; pass the streams of the replication"
            )
        if (drawn or slowdowns) and streams is None:
            raise SimulationError("loss models and slowdowns draw at random; pass the streams of the replication")
        scopes = {label: streams.scope(label) for label in (*drawn, *slowdowns)} if streams is not None else {}
        self.world = world
        self.program = world.program
        self._steps = world.program.steps
        self.clock = world.clock
        self._recovery = recovery
        self._checker = world.checker
        self._deadline_s = deadline_s
        self._admission_limit = admission_limit
        self._slowing = [
            [(model, scopes[label]) for label, model in slowdowns.items() if model.slows(device)]
            for device in world.program.devices.device
        ]  # by device
        self._courses = world.courses
        self._memory = world.memory
        self._is_noting = world.checker is not None or world.courses is not None
        self._is_slowed = any(self._slowing)
        self._firsts = [self._first_of(span) for span in world.program.spans]
        self._devices = Devices(world, self)
        lossy = [(model, scopes[label]) for label, model in drawn.items()]
        becoming = losses if isinstance(losses, GivenLosses) else Losses(lossy, world.checker)
        whole, part = self.message_came, self.message_broke
        if self._memory is not None:
            whole = self._held_message_came
        self._whole = whole
        self._detector, self._streams = detector_of(recovery), streams
        if self._detector is not None:
            whole, part = self._errand_or_message_came, self._errand_or_message_broke
        self._hosts = hosts = Hosts(self._devices, world, becoming, whole, part)
        self._carrier = hosts.carrier
        self._send = hosts.send if hosts else self._carrier.send
        self._fifo = self._carrier.fifo

    def _first_of(self, span: Span) -> list[tuple[int, int, float]] | None:
        """Return the first steps of a plan with the device that computes each and for how long, in s; None where `_begin` would do more."""
        steps = self._steps
        if self._courses is not None or self._is_slowed or any(steps.device[index] < 0 for index in span.first):
            return None
        return [(index, steps.device[index], steps.duration_s[index]) for index in span.first]

    def _begin_trial(self, downtimes: Downtimes) -> None:
        self.world.begin(downtimes)
        self._devices.begin()
        self._hosts.begin()
        self._lines = self._carrier.lines
        self._lines_at_once = self._lines if self._memory is None else [None] * len(self._lines)
        is_followed = self._is_noting or self.program.pools or self._hosts
        self._only_user = self._steps.no_user if is_followed else self._steps.only_user
        self._pools = Pools(self.world, self._begin, self._close_request) if self.program.pools else None
        self._active: dict[int, Request] = {}  # released, and something of them is under way or their end is to come
        self._n_present = 0  # released and not ended
        self._n_released = 0
        self._first: Request | None = None  # the first that was released
        self.first_s = inf  # when
        self._last_end_s = 0.0  # of any request
        self.watch: Watch | None = None
        self.takeover: Takeover | None = None
        if self._detector is not None and self._streams is not None and self.program.heartbeats:
            heartbeats = self._streams.scope("heartbeat")
            self.watch = Watch(self.world, self._detector, heartbeats, self.world.from_s, self._send)
            if self.program.takeover is not None and isinstance(self._recovery, Replacing):
                self.takeover = Takeover(self.world, self.watch, self._recovery, self.program.takeover, self._send)
                self.watch.on_change = self.takeover.reconsider

    def run(
        self,
        releases: Releases,
        downtimes: Downtimes,
        on_record: Callable[[int, RequestRecord], None] | None = None,
        plan_of: Callable[[int], int] | None = None,
    ) -> Trial:
        """Simulate from the beginning until every request has ended and nothing more comes, or until the horizon.

        Parameters
        ----------
        releases : releases the requests.
        downtimes : when devices and links are down.
        on_record, plan_of : as of `edgesim.engine.events.simulation.simulate`.

        Returns
        -------
        trial : this one, of which `records` are kept.
        """
        self._plan_of = plan_of
        self._releases = releases
        self._begin_trial(downtimes)
        self.records = Records(self.world, on_record)
        checker = self.world.checker
        is_collecting = gc.isenabled()
        gc.disable()  # events form no cycles; with 100,000 transfers the collector would take a third of the time
        try:
            releases.begin(self.clock, self._release)
            if self.watch is not None:
                self.watch.begin()
            self._stop_if_over()
            self.clock.happen(self.world.horizon_s, None if checker is None else checker.moment)
            self._close()
        finally:
            if is_collecting:
                gc.enable()
        return self

    def watched(self, to_s: float) -> WatchRecord | None:
        """Return what a detector of failures did until the end of the trial; None without one."""
        found = None if self.watch is None else self.watch.record(to_s)
        return found if found is None or self.takeover is None else self.takeover.record(found)

    def _close(self) -> None:
        """End the trial: sum up the requests that have something under way."""
        if self._active or self._releases.is_open:
            self.world.cut_to_horizon()
        self._devices.close()
        self._carrier.close()
        present_s = 0.0
        for request in list(self._active.values()):
            if isnan(request.ended_s):
                present_s += self.clock.now_s - request.released_s
                self._last_end_s = self.clock.now_s
            self._record(request)
        if self.world.checker is not None:
            self.world.checker.closed(self._n_released, present_s)
        others = () if self.watch is None else (self.watch.counted, self.watch.uncounted)
        self.records.close(self._first, self._n_released, self._last_end_s, others)

    # ---- requests

    def _release(self, number: int) -> None:
        """Start a request: every step without inputs begins; a step that waits only for messages starts its deadline."""
        now_s = self.clock.now_s
        plan = 0 if self._plan_of is None else self._plan_of(number)
        request = Request(self.program, number, now_s, plan if self.takeover is None else self.takeover.plan)
        span = self.program.spans[request.plan]
        if self._admission_limit is not None and self._n_present >= self._admission_limit:
            self.records.rejected(request)
            self._releases.ended()
            self._stop_if_over()
            return
        if self._n_released == 0:
            self._first, self.first_s = request, now_s
        self._n_released += 1
        self._n_present += 1
        self._active[number] = request
        if self.world.checker is not None:
            self.world.checker.entered(number)
        request.n_open += 1  # so that nothing ends while it begins
        if self._deadline_s is not None:
            self.clock.after(self._deadline_s, self._on_request_deadline, request)
        for index in span.with_deadline:  # before the messages are sent: what comes at the deadline is late
            self._start_deadline(request, index)
        firsts = self._firsts[request.plan]
        if firsts is None:
            for index in span.first:
                self._begin(request, index)
        else:
            missing = request.missing
            for index, _, _ in firsts:
                missing[index] = _BEGUN
            request.n_open += len(firsts)
            self._devices.submit_first(request, firsts)
        if self._pools is not None:
            self._pools.open(request)
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)

    def _on_request_deadline(self, request: Request) -> None:
        self._end(request)
        if request.n_open == 0:
            self._forget(request)

    def _end(self, request: Request) -> None:
        """Let a request leave the system, unless it has."""
        if not isnan(request.ended_s):
            return
        request.ended_s = self._last_end_s = self.clock.now_s
        self._n_present -= 1
        if self.world.checker is not None:
            self.world.checker.left(request.number, request.ended_s - request.released_s)
        self._releases.ended()

    def _close_request(self, request: Request) -> None:
        """End a request of which nothing is under way any more."""
        if not isnan(request.ended_s):
            self._forget(request)
        elif self._deadline_s is None:
            self._end(request)  # the answer cannot come any more
            self._forget(request)

    def _forget(self, request: Request) -> None:
        """Sum up a request of which nothing is under way any more."""
        if self._active.pop(request.number, None) is not None:
            if self._memory is not None:
                self._memory.forget(request, self.clock.now_s)
            if self._pools is not None:
                self._pools.forget(request)
            if self.world.checker is not None:
                self.world.checker.forgotten(request.number)
            self._record(request)
            self._stop_if_over()

    def _stop_if_over(self) -> None:
        """Stop when nothing is under way and nothing more comes."""
        if not self._active and not self._releases.is_open:
            self.clock.stop()

    def _record(self, request: Request) -> None:
        """Sum up a request."""
        latency_s = request.answered_s - request.released_s
        has_ended = not isnan(request.ended_s)
        outcome: Outcome
        if self._deadline_s is not None and not latency_s <= self._deadline_s and has_ended:
            outcome, latency_s = "timed_out", nan
        elif not isnan(latency_s):
            outcome = "degraded" if request.is_degraded else "completed"
        else:
            outcome = "failed" if has_ended or request.n_open == 0 else "unfinished"
        self.records.ended(request, outcome, latency_s)

    # ---- steps

    def _start_deadline(self, request: Request, index: int) -> None:
        """Let a step that degrades begin at its deadline, if its messages are not there before."""
        step = self._steps.step[index]
        if isinstance(step, Compute) and step.deadline_s is not None:
            request.n_open += 1
            request.missing_local[index] = -1
            self.clock.after(step.deadline_s, self._on_step_deadline, (request, index))

    def _on_step_deadline(self, task: Task) -> None:
        """Begin a step with what arrived, unless it has begun."""
        request, index = task
        n_missing = request.missing[index]
        if n_missing >= 0:
            if n_missing > 0 and not request.answered_s < self.clock.now_s:
                request.is_degraded = True  # what begins behind the answer changes nothing in it
            self._begin(request, index)

    def _begin(self, request: Request, index: int) -> None:
        """Start a step that has not begun, with whatever of its inputs is there."""
        if self._courses is not None:
            self._courses.setdefault((request.number, index), [request.released_s, self.clock.now_s, nan])
        device = self._steps.device[index]
        if device < 0:
            request.n_open += 1
            if self._memory is not None:
                self._memory.sends((request, index), self.clock.now_s)
            line = self._lines[index]
            if line is None or not self._fifo.cross((request, index), line):
                self._send((request, index))
            return
        request.missing[index] = _BEGUN
        if request.missing_local[index] >= 0:
            request.n_open += 1  # otherwise its deadline is counted already
        duration_s = self._slowed_s(index, device) if self._is_slowed else self._steps.duration_s[index]
        self._devices.submit((request, index), device, duration_s)

    def _slowed_s(self, index: int, device: int) -> float:
        """Draw for how long a device computes a step."""
        duration_s = self._steps.duration_s[index]
        for model, streams in self._slowing[device]:
            duration_s *= model.factor(self.program.devices.device[device], streams)
        return duration_s

    def _note_end(self, request: Request, index: int) -> None:
        """Note that a step is done, where that is checked or kept."""
        if self._checker is not None:
            self._checker.done(request.number, index)
        if self._courses is not None:
            self._courses[request.number, index][2] = self.clock.now_s

    def job_done(self, task: Task) -> None:
        """Finish a computation, or what a device did for a message."""
        request, index = task
        user = self._only_user[index]
        if user < 0 or request.missing[user] != 1:
            self._finish(task)
            return
        request.missing[user] = 0
        line = self._lines_at_once[user]
        if line is not None and self._fifo.cross((request, user), line):
            return  # the message is under way in place of the computation
        self._begin(request, user)
        request.n_open -= 1  # what has begun is open, so that the request is

    def _finish(self, task: Task) -> None:
        """Finish a computation, whoever needs it, or what a device did for a message."""
        request, index = task
        if self._steps.device[index] < 0:
            self._hosts.done(task)
            return
        if self._is_noting:
            self._note_end(request, index)
        if index == request.answer:
            request.answered_s = self.clock.now_s
            self._end(request)
        self._hand_on(request, index)
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)

    def _hand_on(self, request: Request, index: int) -> None:
        """Let the steps begin that waited for a computation and nothing else; of those that wait for messages now, the deadline starts."""
        steps, missing = self._steps, request.missing
        if self._pools is not None:
            self._pools.ended(request, index)
        n_new = 1 if index not in steps.alternatives or self._is_needed(request, index) else 0
        for user in steps.users[index]:
            missing[user] = n_missing = missing[user] - n_new
            if n_missing == 0:
                self._begin(request, user)
            elif n_missing > 0 and index not in steps.pooled:
                request.missing_local[user] -= 1
                if request.missing_local[user] == 0:
                    self._start_deadline(request, user)

    def _is_needed(self, request: Request, index: int) -> bool:
        """Take note that an alternative has come in time, and return whether as many of its group as are enough had not come before."""
        n_before = sum(rival in request.come for rival in self._steps.rivals[index])
        if request.missing[self._steps.users[index][0]] >= 0:
            request.come.add(index)
        return n_before < self._steps.n_enough[index]

    def job_lost(self, task: Task) -> None:
        """Take note that a computation, or what a device does for a message, will never be done."""
        request, index = task
        if self._steps.device[index] < 0:
            self._hosts.lost(task)
            if isinstance(request, Errand) and self.takeover is not None:
                self.takeover.broke(request)
        if self._is_tried_again(task):
            return
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)

    def _is_tried_again(self, task: Task) -> bool:
        """Plan the next attempt at a message or computation that was lost; False when there is none."""
        request, index = task
        if self._recovery is None or not isnan(request.ended_s):
            return False
        n_lost = request.n_lost[index] = request.n_lost.get(index, 0) + 1
        after_s = self._recovery.again_s(n_lost)
        if after_s is None:
            return False
        self.clock.after(after_s, self._try_again, task)
        return True

    def _try_again(self, task: Task) -> None:
        """Send or compute again what was lost, if anybody still waits for it."""
        request, index = task
        device = self._steps.device[index]
        is_late = device < 0 and any(request.missing[user] < 0 for user in self._steps.users[index])
        if is_late or not isnan(request.ended_s):
            request.n_open -= 1
            if request.n_open == 0:
                self._close_request(request)
        elif device >= 0:
            self._devices.submit(task, device, self._slowed_s(index, device))
        else:
            if self._memory is not None:
                self._memory.sends(task, self.clock.now_s)
            self._send(task)

    def message_came(self, task: Task) -> None:
        """Deliver a message that arrived as a whole, unless it is too late to be used."""
        request, index = task
        user = self._only_user[index]
        missing = request.missing
        if user < 0 or missing[user] < 0:
            self._deliver(task)
        else:
            request.delivered[index] = True
            missing[user] = n_missing = missing[user] - 1
            if n_missing == 0:
                self._begin(request, user)
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)

    def _held_message_came(self, task: Task) -> None:
        """Do what `message_came` does, where what devices hold is measured."""
        request, index = task
        user = self._only_user[index]
        if self._memory is not None and user >= 0 and request.missing[user] >= 0:
            self._memory.gone(task, self.clock.now_s)
            self._memory.came(task, self.clock.now_s)
        self.message_came(task)

    def _deliver(self, task: Task) -> None:
        """Deliver a message, whoever needs it, and note that where it is asked for."""
        request, index = task
        steps, missing = self._steps, request.missing
        users = steps.users[index]
        if self._memory is not None:
            self._memory.gone(task, self.clock.now_s)
        if index in steps.alternatives and not self._is_needed(request, index):
            users = ()  # it came, though nobody waits for it any more
        if any(missing[user] < 0 for user in users):
            return  # one has begun without the message
        request.delivered[index] = True
        if self._is_noting:
            self._note_end(request, index)
        if self._pools is not None:
            self._pools.ended(request, index)
        if self._memory is not None and users:
            self._memory.came(task, self.clock.now_s)
        for user in users:
            missing[user] = n_missing = missing[user] - 1
            if n_missing == 0:
                self._begin(request, user)

    def _errand_or_message_came(self, task: Task) -> None:
        """Deliver a message, where some belong to no request."""
        if not isinstance(task[0], Errand):
            self._whole(task)
        elif task[0].change == 0 and self.watch is not None:
            self.watch.heard(task[0])
        elif self.takeover is not None:
            self.takeover.came(task[0])

    def _errand_or_message_broke(self, task: Task, share: float) -> None:
        """Take note that a message did not come as a whole, where some belong to no request."""
        if not isinstance(task[0], Errand):
            self.message_broke(task, share)
        elif self.takeover is not None:
            self.takeover.broke(task[0])

    def message_broke(self, task: Task, share: float) -> None:
        """Take note that of a message only a share arrived, or nothing, unless it is too late to be used."""
        request, index = task
        steps = self._steps
        if self._memory is not None:
            self._memory.gone(task, self.clock.now_s)
        if self._is_tried_again(task):
            return
        if share > 0.0 and not any(request.missing[user] < 0 for user in steps.users[index]):
            request.partial[steps.transfer_index[index]] = share
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)
