"""The array engine: many trials of a plan at once, by array operations.

It does what the event engine does (`edgesim.engine.events.trial`, `edgesim.engine.servers.fifo`, `edgesim.engine.servers.devices`), step by step and with
the same arithmetic, for single requests over `fifo` devices and links. A `fifo` server needs to know only when it is next
free, if the order of those who come is known. That order is taken from a trial in which nothing is lost or slowed, and
checked: a replication in which somebody comes before the one that was served before it, or at the same moment for another reason, is
marked, and must be simulated by the event engine.

What is the same in all trials is a single number for as long as it is; what happens in all trials needs no flags; a server that
only one task uses needs no state. A trial of several requests takes them one after another, each with the queues that those before it
left (`edgesim.engine.arrays.load`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, cast

import numpy as np

from edgesim.domain.plan import Compute
from edgesim.domain.system.transport import AFTER
from edgesim.engine.arrays.moments import AT_ONCE, Last, Moments, Sum, both, earliest, latest, unless
from edgesim.engine.arrays.queue import Queue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.system.transport import BatchEndToEndTransport
    from edgesim.engine.arrays.losses import BatchLosses, Passages
    from edgesim.engine.arrays.measured import Measured
    from edgesim.engine.arrays.moments import Flags, Number
    from edgesim.engine.arrays.program import ArrayProgram, Server, Task
    from edgesim.engine.program.ways import Hop, Way
    from edgesim.interfaces import BatchSlowdownModel
    from edgesim.rng import BatchStreams

_WHOLE = 1 - 1e-9  # as in edgesim.engine.servers.messages
_BYTE_ROUNDING = 1e-6
_RELEASE, _UNCERTAIN = -1, -2  # what lets a step begin, besides the end of another


class Batch:
    """The state of a request in n trials; moments are in s, inf where something never happens.

    Parameters
    ----------
    ready, n, down, losses, slowdowns : as of `edgesim.engine.arrays.trials.simulate_batch`; each slowdown with its streams.
    queues : of the servers, as earlier requests left them; they come to hold this one.
    released : when the request is released.
    measured : what is measured of several requests.
    """

    def __init__(
        self,
        ready: ArrayProgram,
        n: int,
        down: Mapping[str, NDArray[np.bool_]],
        losses: BatchLosses | None,
        slowdowns: Sequence[tuple[BatchSlowdownModel, BatchStreams]],
        *,
        queues: dict[Server, Queue[Batch]],
        released: Moments = AT_ONCE,
        measured: Measured | None = None,
    ) -> None:
        self.ready, self.program, self.n = ready, ready.program, n
        self.inputs = ready.inputs
        self.steps, self.devices = ready.program.steps, ready.program.devices
        self.down = {name: is_down for name, is_down in down.items() if is_down.any()}
        self.losses, self.slowdowns = losses, slowdowns
        self.is_valid = np.ones(n, dtype=np.bool_)
        self.everyone = np.ones(n, dtype=np.bool_)
        self.released, self.measured = released, measured
        self.horizon_s = inf if measured is None else measured.horizon_s
        self.came: dict[int, Moments] = {}  # where a step's result is wanted, if that is looked at again
        self.until_s: dict[int, Number] = {
            index: released.s + limit_s for index, limit_s in ready.inputs.limits_s.items()
        }  # by step that goes on with what is there: when, in s
        self.is_late: list[tuple[NDArray[np.bool_] | np.bool_, Number]] = []  # what went on so, and when
        self.is_lost = np.empty((len(ready.program.plan.transfers), n), dtype=np.bool_)
        self.last_s: NDArray[np.float64] | None = None  # when the last of what was under way has ended, if anybody asks
        self.traffic_byte: list[int | NDArray[np.int64]] = [0, 0, 0]
        self._work = Sum()
        self._spent_j: list[tuple[Number, Flags]] = []  # by the present task, where that happens
        self._began: dict[int, Moments] = {}  # of steps that are traced
        self._last: dict[int, Last] = {}  # the last one that has come so far of a step that has not begun
        self._here: dict[int, Moments] = {}  # a message, at its next link
        self._queues = queues
        self._passages: dict[tuple[int, int], Passages] = {}
        self._shares: dict[int, NDArray[np.float64]] = {}  # of the packets of messages that came in part

    def run(self, *, is_end_asked: bool) -> None:
        """Take all tasks.

        Parameters
        ----------
        is_end_asked : whether to note when the last of what was under way has ended.
        """
        if is_end_asked:
            self.last_s = np.array(np.broadcast_to(self.released.s, self.n))
        with np.errstate(invalid="ignore"):  # inf - inf, where nothing happens
            for task in self.ready.tasks:
                now = self._begin(task.step) if task.hop == 0 else self._here.pop(task.step)
                if self.horizon_s < inf:
                    self._end(now)
                    now = now.until(self.horizon_s)
                if self.steps.device[task.step] >= 0:
                    self._compute(task, now)
                else:
                    self._cross(task, now)
                if self.measured is None:
                    self._work.add(task.rank, self._spent_j)
                    self._spent_j = []

    @property
    def work_j(self) -> Number:
        """Energy of computing, sending and receiving in J, without idle power."""
        return self._work.number

    # ---- beginnings

    def _come(self, index: int, moment: Moments) -> None:
        """Hand on a result, or a message, that comes where it is wanted."""
        inputs = self.inputs
        if self.horizon_s < inf:
            moment = moment.until(self.horizon_s)
        if index in inputs.kept:
            self.came[index] = moment
        if inputs.rows[index] >= 0:
            late_s = inputs.late_s[index] if self.released is AT_ONCE else self.released.s + inputs.late_s[index]
            np.greater_equal(moment.s, late_s, out=self.is_lost[inputs.rows[index]])
        for user in inputs.users[index]:
            last = self._last.get(user)
            if last is None:
                self._last[user] = Last(moment)
            else:
                last.add(moment)

    def _begin(self, index: int) -> Moments:
        """Find when a step begins."""
        if index in self.inputs.gathered:
            began = self._begin_gathered(index)
        else:
            last = self._last.pop(index, None)
            began = self.released if last is None else last.moment
            if index in self.until_s:
                began = self._begin_in_time(Moments(self.until_s[index], self.released.happens), began)
        if index in self.inputs.traced:
            self._began[index] = began
        return began

    def _begin_gathered(self, index: int) -> Moments:
        """Find when a step begins that looks at its inputs together."""
        step, inputs = self.steps.step[index], self.inputs.of[index]
        groups = self.inputs.groups[index]
        grouped = {one for group in groups for one in group}
        needed = [self.came[one] for one in inputs if one not in grouped]
        if isinstance(step, Compute):
            needed += [earliest([self.came[one] for one in group], step.n_enough) for group in groups]
        complete = latest(needed)
        if not isinstance(step, Compute) or step.deadline_s is None:
            return complete
        local = [self.came[one] for one in inputs if self.steps.device[one] >= 0]
        start = latest(local) if local else self.released
        until = Moments(start.s + step.deadline_s, start.happens)
        for one in inputs if local else ():  # at the same moment: which was first?
            self._leave(both(np.equal(self.came[one].s, until.s), until.happens))
        self.until_s[index] = until.s
        return self._begin_in_time(until, complete)

    def _begin_in_time(self, until: Moments, complete: Moments) -> Moments:
        """Return when a step begins that goes on at its deadline with what is there."""
        self.is_late.append((both(np.greater_equal(complete.s, until.s), until.happens), until.s))
        return earliest([complete, until])

    def _leave(self, is_uncertain: NDArray[np.bool_] | np.bool_) -> None:
        """Leave some trials to the event engine."""
        if is_uncertain.any():
            self.is_valid &= ~is_uncertain

    def cause(self, index: int) -> int | NDArray[np.int64]:
        """Return which step's end let a step begin; `_UNCERTAIN` where nobody can tell."""
        inputs = self.inputs.of[index]
        if not inputs:
            return _RELEASE
        if index in self.until_s or index in self.inputs.gathered:
            return _UNCERTAIN
        if len(inputs) == 1:
            return inputs[0]
        is_last = np.stack([np.broadcast_to(self.came[one].s == self._began[index].s, self.n) for one in inputs])
        causes: NDArray[np.int64] = np.array(inputs)[is_last.argmax(axis=0)]
        return np.where(is_last.sum(axis=0) == 1, causes, _UNCERTAIN)

    # ---- servers

    def _queue(self, server: Server, n_cores: int = 1) -> Queue[Batch]:
        """Return the queue of a server."""
        queue = self._queues.get(server)
        if queue is None:
            queue = self._queues[server] = Queue(self.n, n_cores)
        return queue

    def _arrive(self, server: Server, task: Task, now: Moments, n_cores: int = 1) -> Queue[Batch]:
        """Let a task come to a server; mark the trials in which it is not the last to come."""
        queue = self._queue(server, n_cores)
        is_behind = np.greater(now.s, queue.last_s)
        if not is_behind.all():
            is_tie = np.equal(now.s, queue.last_s)
            self.is_valid &= is_behind | (is_tie & self._are_in_order(queue, task) if is_tie.any() else False)
        queue.last_s = now.s if now.happens is None else np.where(now.happens, now.s, queue.last_s)
        queue.note(self, task.step if task.hop == 0 else -1, now.happens)
        return queue

    def _are_in_order(self, queue: Queue[Batch], task: Task) -> NDArray[np.bool_] | np.bool_:
        """Return where a task is known to come behind the last one at a server at the same moment.

        The same end let both begin; or the end of the same step of an earlier request, which came first, since that had been planned before.
        """
        if task.hop > 0 or any(batch is self and step >= task.step for batch, step, _ in queue.came):
            return np.False_
        other: int | NDArray[np.int64] = _UNCERTAIN
        for batch, step, happens in queue.came:
            cause = batch.cause(step) if step >= 0 else _UNCERTAIN
            other = cause if happens is None else np.where(happens, cause, other)
        cause = self.cause(task.step)
        return np.logical_and(np.equal(cause, other), np.not_equal(cause, _UNCERTAIN))

    def _occupy(
        self, queue: Queue[Batch] | None, now: Moments, time_s: Number, is_used: Flags
    ) -> tuple[Number, Number]:
        """Return when a server begins and ends to serve somebody who comes now."""
        if queue is None:
            return now.s, time_s if _is_zero(now.s) else now.s + time_s
        start_s = queue.start_s(now.s)
        end_s = start_s + time_s
        queue.occupy(end_s, is_used)
        return start_s, end_s

    def _done(self, start_s: Number, end_s: Number) -> Number:
        """Return which part of a service is done until the horizon."""
        if self.horizon_s == inf or np.less_equal(end_s, self.horizon_s).all():
            return 1.0
        used_s = np.maximum(self.horizon_s - start_s, 0.0)
        done = np.divide(used_s, end_s - start_s, out=np.zeros(self.n), where=np.greater(end_s, start_s))
        return np.where(np.less_equal(end_s, self.horizon_s), 1.0, done)

    def _spend(self, power_w: float, time_s: Number, is_meant: Flags) -> None:
        """Add energy."""
        if power_w != 0.0:
            self._spent_j.append((power_w * time_s, is_meant))

    def _after(self, now: Moments, end_s: Number, happens: Flags) -> Moments:
        """Return a moment as the event engine has it, which adds to the present the time until then; note that something ends.

        `end_s` may be changed, unless now is the beginning.
        """
        if not _is_zero(now.s):
            end_s -= now.s
            end_s += now.s
        moment = Moments(end_s, happens)
        self._end(moment)
        return moment

    def _end(self, moment: Moments) -> None:
        """Note when something that was under way has ended."""
        if self.last_s is not None:
            end_s = moment.s if moment.happens is None else np.where(moment.happens, moment.s, 0.0)
            np.maximum(self.last_s, end_s, out=self.last_s)

    # ---- computations

    def _compute(self, task: Task, now: Moments) -> None:
        """Let a device compute a step."""
        index, position = task.step, self.steps.device[task.step]
        device = self.devices.device[position]
        slowing = [(model, streams) for model, streams in self.slowdowns if model.slows(device)]
        if index in self.ready.instants and not slowing and task.server is not None:
            self._compute_at_once(task, now, task.server)
            return
        queue = None if task.server is None else self._arrive(task.server, task, now, device.n_cores)
        time_s: Number = self.steps.duration_s[index]
        for model, streams in slowing:
            is_begun = self.everyone if now.happens is None else now.happens
            time_s = time_s * model.factors(device, is_begun, streams)
        is_down = self.down.get(device.device_id) if self.down else None
        if is_down is None and queue is None and isinstance(time_s, float) and time_s == 0.0:
            self._end(now)
            self._come(index, now)
            return
        is_up = unless(now.happens, is_down)
        start_s, end_s = self._occupy(queue, now, time_s, is_up)
        if self.measured is None:
            self._spend(self.devices.busy_w[position] - self.devices.idle_w[position], time_s, is_up)
        if queue is not None and self.measured is not None:
            queue.keep(now.s, end_s, is_up)
        if self.measured is not None:
            self.measured.computes(index, position, (now.s, start_s, end_s), now.happens, is_up)
        self._come(index, self._after(now, end_s, is_up).masked())
        if is_down is not None:  # it may begin at its deadline, at which nothing else ends
            self._end(Moments(now.s, both(is_down, now.happens)))

    def _compute_at_once(self, task: Task, now: Moments, server: Server) -> None:
        """Let a device compute a step that takes no time, and which others that came later may have been asked about before.

        It waits for who came before it, and nobody waits for it.
        """
        index, position = task.step, self.steps.device[task.step]
        queue = self._queue(server)
        is_down = self.down.get(self.devices.device_ids[position]) if self.down else None
        is_up = unless(now.happens, is_down)
        start_s, is_certain = queue.start_between_s(now.s, self.released.s)
        if not is_certain.all():
            self._leave(both(~is_certain, is_up))
        queue.last_s = np.maximum(queue.last_s, now.s if now.happens is None else np.where(now.happens, now.s, -inf))
        queue.note(self, index, now.happens)
        if self.measured is not None:
            self.measured.computes(index, position, (now.s, start_s, start_s), now.happens, is_up)
        self._come(index, self._after(now, start_s, is_up).masked())
        if is_down is not None:
            self._end(Moments(now.s, both(is_down, now.happens)))

    # ---- messages

    def _set_out(self, task: Task, began: Moments, losses: BatchLosses) -> None:
        """Draw what becomes of the packets of a message on all its links."""
        index, ready = task.step, self.ready
        share: NDArray[np.bool_] | NDArray[np.float64] = self.everyone if began.happens is None else began.happens
        for position, hop in enumerate(self.steps.hops[index]):
            if losses.may_lose(hop.link):
                if hop.link.link_id in ready.relayed and ("draws", hop.link.link_id) in ready.shared:
                    self._arrive(("draws", hop.link.link_id), task, began)
                found = self._passages[index, position] = losses.cross(index, hop, share)
                share = found.received

    def _cross(self, task: Task, now: Moments) -> None:
        """Let a message cross one of its links."""
        index, hop = task.step, self.steps.hops[task.step][task.hop]
        way = self.steps.ways[index]
        if way is not None and way.transport is not None:
            self._exchange(task, now, way, cast("BatchEndToEndTransport", way.transport))
            return
        if task.hop == 0 and self.losses is not None:
            self._set_out(task, now, self.losses)
        queue = None if task.server is None else self._arrive(task.server, task, now)
        passage = self._passages.pop((index, task.hop), None) if self._passages else None
        sent = self._shares.get(index) if passage is None else passage.sent
        is_cut, is_deaf = self._outages(hop) if self.down else (None, None)
        _, end_s, is_used, is_heard = self._serve(index, hop, queue, (now, sent), (is_cut, is_deaf))
        if is_deaf is None:  # nobody else has the moment
            end_s += hop.link.latency_s
            arrival_s = end_s
        else:
            arrival_s = end_s + hop.link.latency_s
        if passage is not None and passage.waited_s is not None:
            arrival_s = arrival_s + passage.waited_s
        if is_deaf is not None:
            arrival_s = np.where(is_deaf, end_s, arrival_s)
        arrival = self._after(now, arrival_s, is_used)
        if self.measured is not None:
            self.measured.sends(index, now, arrival)
        is_last = task.hop + 1 == len(self.steps.hops[index])
        goes_on = self._going_on(index, passage, is_heard, is_last=is_last)
        arrival = Moments(arrival.s, goes_on).masked()
        if is_last:
            self._come(index, arrival)
        else:
            self._here[index] = arrival

    def _exchange(self, task: Task, now: Moments, way: Way, transport: BatchEndToEndTransport) -> None:
        """Let a message cross its only link in bursts, between which nobody else may come."""
        index, hop = task.step, self.steps.hops[task.step][0]
        outages = self._outages(hop) if self.down else (None, None)
        bursts = transport.bursts_batch(way.n_packets, way.round_trip_s, self.n)
        burst = next(bursts)
        own_s = now.s + burst.delay_s  # when each burst is sent
        is_open = self.everyone if now.happens is None else now.happens
        received, arrived_s = np.zeros(self.n), own_s
        while True:
            is_sent = is_open & (burst.n_packets > 0)
            moment = Moments(np.where(is_sent, own_s, inf), is_sent)
            self._end(moment)
            moment = moment.until(self.horizon_s)
            sent = came = np.where(both(is_sent, moment.happens), burst.n_packets / way.n_packets, 0.0)
            if self.losses is not None and self.losses.may_lose(hop.link):
                passage = self.losses.cross(index, hop, sent)
                came = sent * passage.received if passage.sent is None else np.asarray(passage.received, np.float64)
                sent = sent if passage.sent is None else passage.sent
            queue = None if task.server is None else self._arrive(task.server, replace(task, hop=1), moment)
            start_s, end_s, is_used, is_heard = self._serve(index, hop, queue, (moment, sent), outages)
            is_open = both(is_sent, is_heard)
            arrival = self._after(moment, np.where(is_open, end_s + hop.link.latency_s, end_s), is_used)
            here_s = np.where(both(is_sent, is_used), arrival.s, moment.s)
            arrived_s = np.where(is_sent, here_s, arrived_s)
            received += np.where(is_open, came, 0.0)
            n_came = np.rint(np.where(is_open, came, 0.0) * way.n_packets).astype(np.int64)
            try:
                burst = bursts.send(np.where(is_open, burst.n_packets - n_came, 0))
            except StopIteration:
                break
            following_s = end_s + burst.delay_s
            is_acknowledged = burst.after == AFTER.index("acknowledged")
            acknowledged_s = np.maximum(end_s, start_s + way.packet_s + way.round_trip_s) + burst.delay_s
            following_s = np.where(is_acknowledged, acknowledged_s, following_s)
            following_s += np.where(burst.after == AFTER.index("last_acknowledged"), way.round_trip_s, 0.0)
            own_s = own_s + (np.maximum(following_s, own_s) - own_s)
        if self.measured is not None:
            self.measured.sends(index, now, Moments(arrived_s, now.happens))
        self._come(index, Moments(arrived_s, both(received > _WHOLE, now.happens)).masked())

    def _serve(
        self,
        index: int,
        hop: Hop,
        queue: Queue[Batch] | None,
        what: tuple[Moments, NDArray[np.float64] | None],
        outages: tuple[Flags, Flags],
    ) -> tuple[Number, Number, Flags, Flags]:
        """Let a link serve a message, or a burst of one; count its bytes and energy.

        Parameters
        ----------
        index, hop, queue : the step, its link and what waits there.
        what : when it comes, and which share of the packets is sent, repetitions included; None: all.
        outages : where it never leaves, and where nobody hears it.

        Returns
        -------
        start_s, end_s, is_used, is_heard : when service begins and ends, and where it leaves, and is heard.
        """
        now, sent = what
        is_used = unless(now.happens, outages[0])
        is_heard = unless(is_used, outages[1])
        time_s = hop.occupation_s if sent is None else _times_s(hop, sent)
        start_s, end_s = self._occupy(queue, now, time_s, is_used)
        self._count(self.steps.kind[index], hop, sent, is_used, self._done(start_s, end_s))
        if self.measured is None:
            self._spend(self.devices.transmit_w[hop.src] - self.devices.idle_w[hop.src], time_s, is_used)
            self._spend(self.devices.receive_w[hop.dst] - self.devices.idle_w[hop.dst], time_s, is_heard)
        else:
            self.measured.crosses(hop, (now.s, start_s, end_s), now.happens, (is_used, is_heard))
        return start_s, end_s, is_used, is_heard

    def _going_on(self, index: int, passage: Passages | None, is_heard: Flags, *, is_last: bool) -> Flags:
        """Return where a message goes on behind a link: something of it, or all of it where it is to be used."""
        if passage is not None and passage.sent is None:
            return both(passage.received, is_heard)  # type: ignore[arg-type]
        if passage is not None:
            self._shares[index] = passage.received  # type: ignore[assignment]
        share = self._shares.get(index)
        return is_heard if share is None else both(share > (_WHOLE if is_last else 0.0), is_heard)

    def _outages(self, hop: Hop) -> tuple[Flags, Flags]:
        """Return where a message never leaves, and where it leaves but nobody hears it; None: nowhere."""
        link = hop.link
        cutting = [self.down[name] for name in (link.src_id, link.link_id) if name in self.down]
        deaf = self.down.get(link.dst_id)
        if deaf is not None and link.on_outage == "resume":
            cutting, deaf = [*cutting, deaf], None
        return (np.logical_or.reduce(cutting) if cutting else None), deaf

    def _count(self, kind: int, hop: Hop, sent: NDArray[np.float64] | None, is_used: Flags, done: Number) -> None:
        """Count the bytes of a message on a link, of which a part is done at the horizon."""
        n_byte: int | NDArray[np.int64] = hop.traffic_byte
        share = done if sent is None else sent * done
        if isinstance(share, np.ndarray):
            n_byte = np.where(
                share == 1.0, hop.traffic_byte, (hop.traffic_byte * share + _BYTE_ROUNDING).astype(np.int64)
            )
        self.traffic_byte[kind] += n_byte if is_used is None else n_byte * is_used


def _is_zero(moment_s: Number) -> bool:
    return isinstance(moment_s, float) and moment_s == 0.0


def _times_s(hop: Hop, sent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `hop.time_s` of many shares."""
    overhead_s = hop.link.message_overhead_s
    return np.where(sent == 1.0, hop.occupation_s, overhead_s + (hop.occupation_s - overhead_s) * sent)
