"""The event engine: one trial of a plan on SimPy.

Devices and channels serve one thing at a time, in order of arrival. Since service is never interrupted in favour of another,
a server is just the time at which it is next free, and each computation and each hop of a message is one SimPy timeout with
a callback. Outages are known when the trial starts; what they do is decided when work is scheduled.

What an outage does (device or link down in the half-open interval [start, end)):

=================================  ==================================================================================
when it meets                      then
=================================  ==================================================================================
a computation ready or running     it is lost; the device is busy until the outage starts
a message to be sent               it is never sent: no bytes
a message being sent               lost; the bytes sent before the outage count as traffic
the receiver, before the last bit  the message is lost; all its bytes count as traffic
has arrived
=================================  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, nan

import simpy
from simpy.events import Event, Timeout

from edgesim.domain.plan import Compute
from edgesim.domain.records import Outage, Outcome, RequestRecord
from edgesim.engine.program import Program
from edgesim.errors import SimulationError
from edgesim.interfaces import LossModel
from edgesim.rng import ReplicationStreams


class _Request:
    """The state of one request: what is done, what was used, what it cost."""

    __slots__ = ("answered_s", "busy_s", "has_begun", "lost", "missing", "missing_local", "receive_s",
                 "released_s", "traffic_byte", "transmit_s")  # fmt: skip

    def __init__(self, program: Program, released_s: float) -> None:
        n_devices = len(program.device_ids)
        self.released_s = released_s
        self.answered_s = nan
        self.missing = list(program.n_inputs)
        self.missing_local = list(program.n_local)
        self.has_begun = [False] * len(program.steps)
        self.lost = (1 << len(program.plan.transfers)) - 1
        self.traffic_byte = [0, 0, 0]
        self.busy_s = [0.0] * n_devices
        self.transmit_s = [0.0] * n_devices
        self.receive_s = [0.0] * n_devices


class _Trial:
    """One trial: the SimPy environment, the servers and the callbacks."""

    def __init__(
        self,
        program: Program,
        outages: Sequence[Outage],
        losses: Mapping[str, LossModel],
        streams: ReplicationStreams | None,
    ) -> None:
        self.env = simpy.Environment()
        self.program = program
        self.device_free_s = [0.0] * len(program.device_ids)
        self.channel_free_s = [0.0] * program.n_channels
        self.outages: dict[str, list[Outage]] = {}
        for outage in outages:
            self.outages.setdefault(outage.target_id, []).append(outage)
        if losses and streams is None:
            raise SimulationError("loss models draw at random; pass the streams of the replication")
        self.losses = [(model, streams.scope(label)) for label, model in losses.items()] if streams else []

    def down_from_s(self, target_id: str, start_s: float, end_s: float) -> float:
        """Return when the target is first down within [start, end), or at start; inf when it is up all the time."""
        first = inf
        for outage in self.outages.get(target_id, ()):
            if outage.end_s > start_s and (outage.start_s < end_s or outage.start_s <= start_s):
                first = min(first, max(outage.start_s, start_s))
        return first

    def after(self, delay_s: float, callback: Callable[[Event], None], value: object) -> None:
        """Call `callback` with an event that carries `value`, `delay_s` from now."""
        Timeout(self.env, delay_s, value).callbacks.append(callback)

    def release(self, event: Event) -> None:
        """Start a request: every step without inputs begins; a step that waits only for messages starts its deadline."""
        request: _Request = event.value  # type: ignore[assignment]
        for index in range(len(self.program.steps)):
            if self.program.n_inputs[index] == 0:
                self.begin(request, index)
            elif self.program.n_local[index] == 0:
                self.start_deadline(request, index)

    def start_deadline(self, request: _Request, index: int) -> None:
        """Let a step that degrades begin at its deadline, if its messages are not there before."""
        step = self.program.steps[index]
        if isinstance(step, Compute) and step.deadline_s is not None:
            self.after(step.deadline_s, self.on_deadline, (request, index))

    def on_deadline(self, event: Event) -> None:
        """Begin a step with what arrived, unless it has begun."""
        request, index = event.value  # type: ignore[misc]
        self.begin(request, index)

    def begin(self, request: _Request, index: int) -> None:
        """Start a step with whatever of its inputs is there."""
        if request.has_begun[index]:
            return
        request.has_begun[index] = True
        if self.program.hops[index]:
            self.send(request, index, 0)
        else:
            self.compute(request, index)

    def compute(self, request: _Request, index: int) -> None:
        """Queue a computation at its device."""
        device = self.program.device[index]
        now_s = self.env.now
        start_s = max(now_s, self.device_free_s[device])
        end_s = start_s + self.program.duration_s[index]
        down_s = self.down_from_s(self.program.device_ids[device], now_s, end_s) if self.outages else inf
        self.device_free_s[device] = max(start_s, min(end_s, down_s))
        request.busy_s[device] += max(0.0, min(end_s, down_s) - start_s)
        if down_s == inf:
            self.after(end_s - now_s, self.on_done, (request, index))

    def send(self, request: _Request, index: int, position: int) -> None:
        """Queue a message at one hop of its route."""
        hop = self.program.hops[index][position]
        link = hop.link
        now_s = self.env.now
        start_s = max(now_s, self.channel_free_s[hop.channel])
        end_s = start_s + hop.occupation_s
        arrival_s = end_s + link.latency_s
        is_received = True
        sent = 1.0
        if self.outages:
            down_s = min(self.down_from_s(link.src_id, now_s, end_s), self.down_from_s(link.link_id, now_s, end_s))
            if down_s < end_s:
                sent = max(0.0, (down_s - start_s) / hop.occupation_s)
                end_s = max(start_s, down_s)
                is_received = False
            is_received = is_received and self.down_from_s(link.dst_id, start_s, arrival_s) == inf
        for model, streams in self.losses:
            if model.applies_to(link) and model.is_lost(link, hop.n_packets, streams):
                is_received = False
        self.channel_free_s[hop.channel] = end_s
        request.traffic_byte[self.program.kind[index]] += int(sent * hop.wire_byte)
        request.transmit_s[hop.src] += end_s - start_s
        if self.down_from_s(link.dst_id, start_s, end_s) == inf:
            request.receive_s[hop.dst] += end_s - start_s
        if is_received:
            self.after(arrival_s - now_s, self.on_hop, (request, index, position))

    def on_hop(self, event: Event) -> None:
        """Pass a message on to its next hop, or deliver it unless it is too late to be used."""
        request, index, position = event.value  # type: ignore[misc]
        if position + 1 < len(self.program.hops[index]):
            self.send(request, index, position + 1)
        elif not any(request.has_begun[user] for user in self.program.users[index]):
            request.lost &= ~(1 << self.program.transfer_index[index])
            self.supply(request, index, is_local=False)

    def on_done(self, event: Event) -> None:
        """Finish a computation."""
        request, index = event.value  # type: ignore[misc]
        if index == self.program.answer:
            request.answered_s = self.env.now
        self.supply(request, index, is_local=True)

    def supply(self, request: _Request, index: int, *, is_local: bool) -> None:
        """Give a finished step to the steps that need it, and begin those that have everything."""
        for user in self.program.users[index]:
            request.missing[user] -= 1
            if is_local:
                request.missing_local[user] -= 1
            if request.missing[user] == 0:
                self.begin(request, user)
            elif is_local and request.missing_local[user] == 0:
                self.start_deadline(request, user)

    def record(self, request: _Request, deadline_s: float | None) -> RequestRecord:
        """Sum up a request when the simulation has ended."""
        latency_s = request.answered_s - request.released_s
        outcome: Outcome = "degraded" if request.lost else "completed"
        waited_s = latency_s
        if not latency_s <= (inf if deadline_s is None else deadline_s):
            outcome = "failed" if deadline_s is None else "timed_out"
            waited_s = self.env.now - request.released_s if deadline_s is None else deadline_s
            latency_s = nan
        input_byte, intermediate_byte, result_byte = request.traffic_byte
        return RequestRecord(
            released_s=request.released_s,
            latency_s=latency_s,
            outcome=outcome,
            lost=request.lost,
            input_byte=input_byte,
            intermediate_byte=intermediate_byte,
            result_byte=result_byte,
            energy_j=self.energy_j(request, waited_s),
        )

    def energy_j(self, request: _Request, waited_s: float) -> float:
        """Return idle power over the time waited while up, plus what computing, sending and receiving add to it."""
        program = self.program
        energy_j = 0.0
        for device, device_id in enumerate(program.device_ids):
            down_s = sum(
                max(0.0, min(outage.end_s, request.released_s + waited_s) - max(outage.start_s, request.released_s))
                for outage in self.outages.get(device_id, ())
            )
            idle_w = program.idle_w[device]
            energy_j += (
                idle_w * max(0.0, waited_s - down_s)
                + (program.busy_w[device] - idle_w) * request.busy_s[device]
                + (program.transmit_w[device] - idle_w) * request.transmit_s[device]
                + (program.receive_w[device] - idle_w) * request.receive_s[device]
            )
        return energy_j


def simulate(
    program: Program,
    *,
    outages: Sequence[Outage] = (),
    losses: Mapping[str, LossModel] | None = None,
    streams: ReplicationStreams | None = None,
    deadline_s: float | None = None,
    releases_s: Sequence[float] = (0.0,),
) -> list[RequestRecord]:
    """Simulate one trial.

    Parameters
    ----------
    program : the plan, made ready by `compile_plan`.
    outages : when devices and links are down.
    losses : models that lose messages, by label; each draws from the streams of its label.
    streams : streams of the replication; needed with `losses`.
    deadline_s : a request without an answer by then, counted from its release, has timed out; None: no limit.
    releases_s : when each request is released, in s.

    Returns
    -------
    records
        One per request. A lost message is noticed by nobody: its receiver waits until its deadline, or for ever.
        Work that goes on after the answer counts as traffic and energy.

    Raises
    ------
    SimulationError
        When there are loss models but no streams.
    """
    trial = _Trial(program, outages, losses or {}, streams)
    requests = [_Request(program, released_s) for released_s in releases_s]
    for request in requests:
        trial.after(request.released_s, trial.release, request)
    trial.env.run()
    return [trial.record(request, deadline_s) for request in requests]
