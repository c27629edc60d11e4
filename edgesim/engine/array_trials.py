"""The array engine: many trials of a plan at once, by array operations.

It does what the event engine does (`edgesim.engine.trial`, `edgesim.engine.fifo`, `edgesim.engine.devices`), step by step and with
the same arithmetic, for single requests over `fifo` devices and links. A `fifo` server needs to know only when it is next
free, if the order of those who come is known. That order is taken from a trial in which nothing is lost or slowed, and
checked: a replication in which somebody comes before the one that was served before it, or at the same moment for another reason, is
marked, and must be simulated by the event engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.plan import Compute
from edgesim.engine.array_results import ArrayTrials, earliest, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.engine.array_losses import BatchLosses, Passages
    from edgesim.engine.array_program import ArrayProgram, Task
    from edgesim.engine.ways import Hop
    from edgesim.interfaces import BatchSlowdownModel
    from edgesim.rng import BatchStreams

_WHOLE = 1 - 1e-9  # as in edgesim.engine.messages
_BYTE_ROUNDING = 1e-6
_RELEASE, _UNCERTAIN = -1, -2  # what lets a step begin, besides the end of another


def simulate_batch(
    ready: ArrayProgram,
    n: int,
    *,
    down: Mapping[str, NDArray[np.bool_]],
    losses: BatchLosses | None = None,
    slowdowns: Mapping[str, BatchSlowdownModel] | None = None,
    streams: BatchStreams | None = None,
    deadline_s: float | None = None,
) -> ArrayTrials:
    """Simulate n trials of one request each.

    Parameters
    ----------
    ready : the plan.
    n : number of trials.
    down : by device or link: in which trials it is down, from beginning to end, shape (n,).
    losses : what loses packets.
    slowdowns : models that make computations longer, by label.
    streams : streams of the replications; needed when something slows.
    deadline_s : as of `edgesim.engine.simulation.simulate`.
    """
    scoped = (
        [(model, streams.scope(label)) for label, model in (slowdowns or {}).items()] if streams is not None else []
    )
    batch = Batch(ready, n, down, losses, scoped)
    batch.run()
    return summary(batch, deadline_s)


class _Server:
    """A `fifo` channel, or the cores of a device: when it is next free, and who came last.

    Parameters
    ----------
    n, n_cores : trials, and servers.
    """

    __slots__ = ("free_s", "last_s", "last_steps", "most")

    def __init__(self, n: int, n_cores: int = 1) -> None:
        self.free_s = np.zeros((n_cores, n))
        self.last_s = np.full(n, -inf)
        self.last_steps = np.full(n, -1)  # -1: nobody, or a message that comes from another link
        self.most = -1  # largest index among the steps that came


class Batch:
    """The state of n trials; moments are in s, inf where something never happens."""

    def __init__(
        self,
        ready: ArrayProgram,
        n: int,
        down: Mapping[str, NDArray[np.bool_]],
        losses: BatchLosses | None,
        slowdowns: Sequence[tuple[BatchSlowdownModel, BatchStreams]],
    ) -> None:
        program = ready.program
        self.ready, self.program, self.n = ready, program, n
        self.down, self.losses, self.slowdowns = down, losses, slowdowns
        self.began_s: dict[int, NDArray[np.float64]] = {}
        self.is_late: dict[int, NDArray[np.bool_]] = {}  # whether a step began at its deadline
        self.came_s: dict[int, NDArray[np.float64]] = {}  # when the result of a step is there for its users
        self.closed_s = np.zeros(n)  # when the last thing that was under way ended
        self.is_valid = np.ones(n, dtype=np.bool_)
        self.traffic_byte = np.zeros((3, n), dtype=np.int64)
        n_devices = len(program.device_ids)
        self.busy_s, self.transmit_s, self.receive_s = (np.zeros((n_devices, n)) for _ in range(3))
        self.servers: dict[int | tuple[str, object], _Server] = {}
        self.passages: dict[tuple[int, int], Passages] = {}
        self.shares: dict[int, NDArray[np.float64]] = {}  # what is left of a message, as a share of its packets
        self.here_s: dict[int, NDArray[np.float64]] = {}  # when a message comes to its next link

    def run(self) -> None:
        """Take all tasks."""
        with np.errstate(invalid="ignore"):  # inf - inf, where nothing happens
            for task in self.ready.tasks:
                if task.hop == 0:
                    self._begin(task.step)
                if self.program.device[task.step] >= 0:
                    self._compute(task)
                else:
                    self._cross(task)

    # ---- beginnings

    def _inputs(self, index: int) -> list[int]:
        return [self.ready.position[name] for name in self.program.steps[index].inputs]

    def _begin(self, index: int) -> None:
        """Find when a step begins."""
        step = self.program.steps[index]
        inputs = self._inputs(index)
        groups: list[list[int]] = [[one] for one in inputs]
        if isinstance(step, Compute) and step.alternatives:
            alternatives = [[self.ready.position[name] for name in group] for group in step.alternatives]
            grouped = {one for group in alternatives for one in group}
            groups = [[one] for one in inputs if one not in grouped] + alternatives
        began_s = np.zeros(self.n)
        for group in groups:
            began_s = np.maximum(began_s, earliest([self.came_s[one] for one in group]))
        if isinstance(step, Compute) and step.deadline_s is not None and inputs:
            began_s = self._begin_at_deadline(index, step.deadline_s, inputs, began_s)
        self.began_s[index] = began_s

    def _begin_at_deadline(
        self, index: int, deadline_s: float, inputs: Sequence[int], complete_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return when a step begins that goes on at its deadline with what is there."""
        local = [one for one in inputs if self.program.device[one] >= 0]
        until_s: NDArray[np.float64] = np.full(self.n, deadline_s)
        if local:
            until_s = np.maximum.reduce([self.came_s[one] for one in local]) + deadline_s
            for one in inputs:  # at the same moment: which was first?
                self.is_valid &= ~((self.came_s[one] == until_s) & (until_s < inf))
        self.is_late[index] = (complete_s >= until_s) & (until_s < inf)
        began_s: NDArray[np.float64] = np.minimum(complete_s, until_s)
        return began_s

    def _cause(self, index: int) -> NDArray[np.int64]:
        """Return which step's end let a step begin; `_UNCERTAIN` where nobody can tell."""
        step = self.program.steps[index]
        inputs = self._inputs(index)
        if not inputs:
            return np.full(self.n, _RELEASE)
        if isinstance(step, Compute) and (step.alternatives or step.deadline_s is not None):
            return np.full(self.n, _UNCERTAIN)
        is_last = np.stack([self.came_s[one] for one in inputs]) == self.began_s[index]
        causes: NDArray[np.int64] = np.array(inputs)[is_last.argmax(axis=0)]
        return np.where(is_last.sum(axis=0) == 1, causes, _UNCERTAIN)

    # ---- servers

    def _arrive(
        self, key: int | tuple[str, object], task: Task, now_s: NDArray[np.float64], n_cores: int = 1
    ) -> _Server:
        """Let a task come to a server; mark the trials in which it is not the last to come."""
        is_here = now_s < inf
        server = self.servers.get(key)
        if server is None:
            server = self.servers[key] = _Server(self.n, n_cores)
        else:
            is_tie = (now_s == server.last_s) & is_here
            if is_tie.any():
                self.is_valid &= ~is_tie | self._are_in_order(server, task)
            self.is_valid &= now_s >= server.last_s
        np.copyto(server.last_s, now_s, where=is_here)
        server.last_steps[is_here] = task.step if task.hop == 0 else -1
        server.most = max(server.most, task.step)
        return server

    def _are_in_order(self, server: _Server, task: Task) -> NDArray[np.bool_]:
        """Return where a task is known to come behind the last one at a server at the same moment: the same end let both begin."""
        if task.hop > 0 or task.step <= server.most:
            return np.zeros(self.n, dtype=np.bool_)
        cause, other = self._cause(task.step), np.full(self.n, _UNCERTAIN)
        for step in np.unique(server.last_steps).tolist():
            if step >= 0:
                np.copyto(other, self._cause(step), where=server.last_steps == step)
        is_known: NDArray[np.bool_] = (cause == other) & (cause != _UNCERTAIN)
        return is_known

    def _compute(self, task: Task) -> None:
        """Let a device compute a step."""
        index, position = task.step, self.program.device[task.step]
        device = self.program.devices[position]
        now_s = self.began_s[index]
        server = self._arrive(("device", position), task, now_s, device.n_cores)
        is_begun = is_up = now_s < inf
        duration_s: float | NDArray[np.float64] = self.program.duration_s[index]
        for model, streams in self.slowdowns:
            if model.slows(device):
                duration_s = duration_s * model.factors(device, is_begun, streams)
        if device.device_id in self.down:
            is_up = is_begun & ~self.down[device.device_id]
        core = server.free_s.argmin(axis=0)[None] if device.n_cores > 1 else np.zeros((1, self.n), dtype=np.int64)
        free_s = np.take_along_axis(server.free_s, core, axis=0)[0] if device.n_cores > 1 else server.free_s[0]
        start_s = np.maximum(now_s, free_s)
        end_s = start_s + duration_s
        if device.n_cores > 1:
            np.put_along_axis(server.free_s, core, np.where(is_up, end_s, free_s)[None], axis=0)
        else:
            np.copyto(free_s, end_s, where=is_up)
        np.add(self.busy_s[position], end_s - start_s, out=self.busy_s[position], where=is_up)
        self.came_s[index] = np.where(is_up, now_s + (end_s - now_s), inf)
        self._close(self.came_s[index], is_up)
        if is_up is not is_begun:
            self._close(now_s, is_begun & ~is_up)

    def _close(self, moments_s: NDArray[np.float64], is_meant: NDArray[np.bool_]) -> None:
        """Take note that something that was under way has ended."""
        np.maximum(self.closed_s, moments_s, out=self.closed_s, where=is_meant)

    # ---- messages

    def _set_out(self, task: Task) -> None:
        """Draw what becomes of the packets of a message on all its links."""
        losses, index = self.losses, task.step
        if losses is None:
            return
        is_sent = self.began_s[index] < inf
        share = is_sent.astype(np.float64)
        for position, hop in enumerate(self.program.hops[index]):
            if losses.may_lose(hop.link):
                if hop.link.link_id in self.ready.relayed:
                    self._arrive(("draws", hop.link.link_id), task, self.began_s[index])
                found = losses.cross(index, hop, share, share > 0)
                self.passages[index, position] = found
                share = found.received

    def _cross(self, task: Task) -> None:
        """Let a message cross one of its links."""
        index, hops = task.step, self.program.hops[task.step]
        hop = hops[task.hop]
        if task.hop == 0:
            self._set_out(task)
        now_s = self.here_s[index] if task.hop else self.began_s[index]
        server = self._arrive(("channel", hop.channel), task, now_s)
        passage = self.passages.get((index, task.hop))
        sent = self.shares.get(index) if passage is None else passage.sent
        is_here = now_s < inf
        is_cut, is_deaf = self._outages(hop)
        is_used = is_here if is_cut is None else is_here & ~is_cut
        start_s = np.maximum(now_s, server.free_s[0])
        end_s = start_s + (hop.occupation_s if sent is None else _times_s(hop, sent))
        np.copyto(server.free_s[0], end_s, where=is_used)
        is_heard = is_used if is_deaf is None else is_used & ~is_deaf
        self._count(self.program.kind[index], hop, sent, is_used)
        for times_s, is_meant in ((self.transmit_s[hop.src], is_used), (self.receive_s[hop.dst], is_heard)):
            np.add(times_s, end_s - start_s, out=times_s, where=is_meant)
        arrival_s = end_s + hop.link.latency_s
        if passage is not None:
            arrival_s = arrival_s + passage.waited_s
        if is_deaf is not None:
            arrival_s = np.where(is_deaf, end_s, arrival_s)
        arrival_s = now_s + (arrival_s - now_s)
        self._close(arrival_s, is_used)
        if is_cut is not None:
            self._close(now_s, is_here & is_cut)
        share = self.shares.get(index) if passage is None else passage.received
        goes_on = is_heard if share is None else is_heard & (share > (0.0 if task.hop + 1 < len(hops) else _WHOLE))
        if share is not None:
            self.shares[index] = share
        (self.here_s if task.hop + 1 < len(hops) else self.came_s)[index] = np.where(goes_on, arrival_s, inf)

    def _outages(self, hop: Hop) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Return where a message never leaves, and where it leaves but nobody hears it; None: nowhere."""
        link = hop.link
        cutting = [self.down[name] for name in (link.src_id, link.link_id) if name in self.down]
        deaf = self.down.get(link.dst_id)
        if deaf is not None and link.on_outage == "resume":
            cutting, deaf = [*cutting, deaf], None
        return (np.logical_or.reduce(cutting) if cutting else None), deaf

    def _count(self, kind: int, hop: Hop, sent: NDArray[np.float64] | None, is_used: NDArray[np.bool_]) -> None:
        """Count the bytes of a message on a link."""
        n_byte: int | NDArray[np.int64] = hop.wire_byte
        if sent is not None:
            n_byte = np.where(sent == 1.0, hop.wire_byte, (hop.wire_byte * sent + _BYTE_ROUNDING).astype(np.int64))
        np.add(self.traffic_byte[kind], n_byte, out=self.traffic_byte[kind], where=is_used)


def _times_s(hop: Hop, sent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `hop.time_s` of many shares."""
    overhead_s = hop.link.message_overhead_s
    return np.where(sent == 1.0, hop.occupation_s, overhead_s + (hop.occupation_s - overhead_s) * sent)
