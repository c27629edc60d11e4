"""One trial: requests begin, their steps follow each other, and each request ends in one way.

Steps of a request begin when their inputs are there. A request has ended when its answer is there, when its deadline passes,
or when nothing that could still bring the answer is under way: so nothing hangs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from math import isnan, nan

from edgesim.domain.plan import Compute
from edgesim.domain.records import Outcome, RequestRecord
from edgesim.engine.devices import FairDevice, FifoDevice, Job
from edgesim.engine.losses import GivenLosses, Losses
from edgesim.engine.messages import Carrier
from edgesim.engine.program import Program
from edgesim.engine.releases import Releases
from edgesim.engine.world import World
from edgesim.errors import SimulationError
from edgesim.interfaces import LossModel, PacketLossModel, SlowdownModel
from edgesim.rng import ReplicationStreams

_BEGUN = -(2**29)  # far below any number of inputs


class _Request:
    """The state of one request: what is done, what was used, what it cost."""

    __slots__ = ("answered_s", "busy_s", "delivered", "ended_s", "has_come", "is_degraded", "is_timed",
                 "missing", "missing_local", "n_open", "n_retransmitted", "number", "partial", "receive_s", "released_s", "traffic_byte",
                 "transmit_s")  # fmt: skip

    def __init__(self, program: Program, number: int, released_s: float) -> None:
        n_devices = len(program.device_ids)
        self.number = number
        self.released_s = released_s
        self.answered_s = nan
        self.ended_s = nan
        self.n_open = 0  # what is under way and may bring the answer: work, messages, running deadlines of steps
        self.missing = list(program.n_inputs)  # inputs that have not come; below 0 when the computation has begun
        self.missing_local = list(program.n_local)
        self.has_come = bytearray(len(program.steps))  # alternatives whose end the step that needs them knows
        self.is_degraded = False  # a step went on with less than its inputs
        self.is_timed = bytearray(len(program.steps))
        self.delivered = bytearray(len(program.plan.transfers))
        self.partial: dict[int, float] = {}
        self.n_retransmitted = 0
        self.traffic_byte = [0, 0, 0]
        self.busy_s = [0.0] * n_devices
        self.transmit_s = [0.0] * n_devices
        self.receive_s = [0.0] * n_devices

    def has_begun(self, indices: Sequence[int]) -> bool:
        """Return whether any of some computations has begun."""
        return any(self.missing[index] < 0 for index in indices)

    @property
    def lost(self) -> int:
        """Bit i is set when transfer i was not delivered in time."""
        if all(self.delivered):
            return 0
        bits = bytes(48 + (not is_delivered) for is_delivered in reversed(self.delivered))
        return int(bits, 2)


class Trial:
    """One trial: the requests, and what happens to them.

    Parameters
    ----------
    world : the trial's surroundings.
    losses, slowdowns, streams, deadline_s, admission_limit, on_record : as of `edgesim.engine.simulation.simulate`.
    """

    def __init__(
        self,
        world: World,
        *,
        losses: Mapping[str, LossModel | PacketLossModel] | GivenLosses,
        slowdowns: Mapping[str, SlowdownModel],
        streams: ReplicationStreams | None,
        deadline_s: float | None,
        admission_limit: int | None,
        on_record: Callable[[int, RequestRecord], None] | None,
    ) -> None:
        drawn = {} if isinstance(losses, GivenLosses) else losses
        if (drawn or slowdowns) and streams is None:
            raise SimulationError("loss models and slowdowns draw at random; pass the streams of the replication")
        scopes = {label: streams.scope(label) for label in (*drawn, *slowdowns)} if streams is not None else {}
        self.world = world
        self.program = world.program
        self.clock = world.clock
        self.records: dict[int, RequestRecord] = {}
        self._keep = self.records.__setitem__ if on_record is None else on_record
        self._deadline_s = deadline_s
        self._admission_limit = admission_limit
        self._slowdowns = [(model, scopes[label]) for label, model in slowdowns.items()]
        self._slowdowns_by_device: dict[int, list[tuple[SlowdownModel, ReplicationStreams]]] = {}
        self._active: dict[int, _Request] = {}  # released, and something of them is under way or their end is to come
        self._n_present = 0  # released and not ended
        self._n_released = 0
        self._devices = [
            FairDevice(world, self, position) if device.sharing == "fair" else FifoDevice(world, self, position)
            for position, device in enumerate(world.program.devices)
        ]
        lossy = [(model, scopes[label]) for label, model in drawn.items()]
        becoming = losses if isinstance(losses, GivenLosses) else Losses(lossy, world.checker)
        self._carrier = Carrier(world, becoming, self._message_ended)

    def run(self, releases: Releases) -> None:
        """Simulate until every request has ended and nothing more comes, or until the horizon."""
        self._releases = releases
        checker = self.world.checker
        is_collecting = gc.isenabled()
        gc.disable()  # events form no cycles; with 100,000 transfers the collector would take a third of the time
        try:
            releases.begin(self.clock, self._release)
            self._stop_if_over()
            self.clock.happen(self.world.horizon_s, None if checker is None else checker.moment)
            self._close()
        finally:
            if is_collecting:
                gc.enable()

    def _close(self) -> None:
        """End the trial: sum up the requests that have something under way."""
        if self._active or self._releases.is_open:
            self.world.cut_to_horizon()
        for device in self._devices:
            device.close()
        self._carrier.close()
        present_s = 0.0
        for request in list(self._active.values()):
            if isnan(request.ended_s):
                present_s += self.clock.now_s - request.released_s
            self._record(request)
        if self.world.checker is not None:
            self.world.checker.closed(self._n_released, present_s)

    # ---- requests

    def _release(self, number: int) -> None:
        """Start a request: every step without inputs begins; a step that waits only for messages starts its deadline."""
        now_s = self.clock.now_s
        request = _Request(self.program, number, now_s)
        if self._admission_limit is not None and self._n_present >= self._admission_limit:
            self._keep(number, self._summary(request, "rejected", nan, 0.0))
            self._releases.ended()
            self._stop_if_over()
            return
        self._n_released += 1
        self._n_present += 1
        self._active[number] = request
        if self.world.checker is not None:
            self.world.checker.entered(number)
        request.n_open += 1  # so that nothing ends while it begins
        if self._deadline_s is not None:
            self.clock.after(self._deadline_s, self._on_request_deadline, request)
        program = self.program
        for index in program.deadline_steps:  # before the messages are sent: what comes at the deadline is late
            self._start_deadline(request, index)
        for index in program.first_steps:
            self._begin(request, index)
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)

    def _on_request_deadline(self, request: _Request) -> None:
        self._end(request)
        if request.n_open == 0:
            self._forget(request)

    def _end(self, request: _Request) -> None:
        """Let a request leave the system, unless it has."""
        if not isnan(request.ended_s):
            return
        request.ended_s = self.clock.now_s
        self._n_present -= 1
        if self.world.checker is not None:
            self.world.checker.left(request.number, request.ended_s - request.released_s)
        self._releases.ended()

    def _close_request(self, request: _Request) -> None:
        """End a request of which nothing is under way any more."""
        if not isnan(request.ended_s):
            self._forget(request)
        elif self._deadline_s is None:
            self._end(request)  # the answer cannot come any more
            self._forget(request)

    def _forget(self, request: _Request) -> None:
        """Sum up a request of which nothing is under way any more."""
        if self._active.pop(request.number, None) is not None:
            self._record(request)
            self._stop_if_over()

    def _stop_if_over(self) -> None:
        """Stop when nothing is under way and nothing more comes."""
        if not self._active and not self._releases.is_open:
            self.clock.stop()

    def _record(self, request: _Request) -> None:
        """Sum up a request."""
        latency_s = request.answered_s - request.released_s
        has_ended = not isnan(request.ended_s)
        waited_s = (request.ended_s if has_ended else self.clock.now_s) - request.released_s
        outcome: Outcome
        if self._deadline_s is not None and not latency_s <= self._deadline_s and has_ended:
            outcome, latency_s = "timed_out", nan
        elif not isnan(latency_s):
            outcome = "degraded" if request.is_degraded else "completed"
        else:
            outcome = "failed" if has_ended or request.n_open == 0 else "unfinished"
        self._keep(request.number, self._summary(request, outcome, latency_s, waited_s))

    def _summary(self, request: _Request, outcome: Outcome, latency_s: float, waited_s: float) -> RequestRecord:
        input_byte, intermediate_byte, result_byte = request.traffic_byte
        return RequestRecord(
            request.released_s,
            latency_s,
            outcome,
            request.lost,
            input_byte,
            intermediate_byte,
            result_byte,
            self._energy_j(request, waited_s),
            tuple(sorted(request.partial.items())) if request.partial else (),
            request.n_retransmitted,
        )

    def _energy_j(self, request: _Request, waited_s: float) -> float:
        """Return idle power over the time waited while up, plus what computing, sending and receiving add to it."""
        program = self.program
        up_s = [waited_s] * len(program.devices)
        if self.world.has_outages and waited_s > 0.0:
            from_s, to_s = request.released_s, request.released_s + waited_s
            total_s = self.world.downtimes.total_s
            up_s = [waited_s - total_s(device_id, from_s, to_s) for device_id in program.device_ids]
        energy_j = 0.0
        power_w = (program.idle_w, program.busy_w, program.transmit_w, program.receive_w)
        times_s = (up_s, request.busy_s, request.transmit_s, request.receive_s)
        for idle_w, busy_w, transmit_w, receive_w, device_up_s, busy_s, transmit_s, receive_s in zip(
            *power_w, *times_s, strict=True
        ):
            energy_j += (
                idle_w * device_up_s
                + (busy_w - idle_w) * busy_s
                + (transmit_w - idle_w) * transmit_s
                + (receive_w - idle_w) * receive_s
            )
        return energy_j

    # ---- steps

    def _start_deadline(self, request: _Request, index: int) -> None:
        """Let a step that degrades begin at its deadline, if its messages are not there before."""
        step = self.program.steps[index]
        if isinstance(step, Compute) and step.deadline_s is not None:
            request.n_open += 1
            request.is_timed[index] = True
            self.clock.after(step.deadline_s, self._on_step_deadline, (request, index))

    def _on_step_deadline(self, timed: tuple[_Request, int]) -> None:
        """Begin a step with what arrived, unless it has begun."""
        request, index = timed
        if request.missing[index] >= 0:
            self._begin(request, index)

    def _begin(self, request: _Request, index: int) -> None:
        """Start a step with whatever of its inputs is there."""
        program = self.program
        device = program.device[index]
        if device < 0:
            request.n_open += 1
            self._carrier.send(request, index)
            return
        n_missing = request.missing[index]
        if n_missing < 0:
            return
        if n_missing > 0:
            request.is_degraded = True
        request.missing[index] = _BEGUN
        if not request.is_timed[index]:
            request.n_open += 1  # otherwise its deadline is counted already
        duration_s = program.duration_s[index]
        if self._slowdowns:
            for model, streams in self._slowdowns_of(device):
                duration_s *= model.factor(program.devices[device], streams)
        self._devices[device].submit(Job(request, index, duration_s))

    def _slowdowns_of(self, device: int) -> list[tuple[SlowdownModel, ReplicationStreams]]:
        """Return what slows a device."""
        found = self._slowdowns_by_device.get(device)
        if found is None:
            found = [item for item in self._slowdowns if item[0].slows(self.program.devices[device])]
            self._slowdowns_by_device[device] = found
        return found

    def job_done(self, job: Job) -> None:
        """Finish a computation."""
        request: _Request = job.request
        index = job.index
        program = self.program
        if index == program.answer:
            request.answered_s = self.clock.now_s
            self._end(request)
        n_new = 1 if not program.rivals[index] or self._is_first(request, index) else 0
        missing = request.missing
        for user in program.users[index]:
            missing[user] = n_missing = missing[user] - n_new
            if n_missing == 0:
                self._begin(request, user)
            elif n_missing > 0:
                request.missing_local[user] -= 1
                if request.missing_local[user] == 0:
                    self._start_deadline(request, user)
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)

    def _is_first(self, request: _Request, index: int) -> bool:
        """Take note that an alternative has come, and return whether it is the first of its group."""
        request.has_come[index] = True
        return not any(request.has_come[rival] for rival in self.program.rivals[index])

    def job_lost(self, job: Job) -> None:
        """Take note that a computation will never be done."""
        request: _Request = job.request
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)

    def _message_ended(self, request: _Request, index: int, share: float) -> None:
        """Deliver a message, or the part of it that came, unless it is too late to be used."""
        program = self.program
        users = program.users[index]
        transfer = program.transfer_index[index]
        if program.rivals[index] and share == 1.0 and not self._is_first(request, index):
            request.delivered[transfer] = True  # it came, though nobody waits for it any more
        elif share > 0.0 and not (request.missing[users[0]] < 0 if len(users) == 1 else request.has_begun(users)):
            if share < 1.0:
                request.partial[transfer] = share
            else:
                request.delivered[transfer] = True
                missing = request.missing
                for user in users:
                    missing[user] = n_missing = missing[user] - 1
                    if n_missing == 0:
                        self._begin(request, user)
        request.n_open -= 1
        if request.n_open == 0:
            self._close_request(request)
