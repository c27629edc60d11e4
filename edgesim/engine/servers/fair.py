"""Runs of links that are shared at fair rates: a message waits for the latency, then holds all its links together."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from edgesim.engine.program.ways import Hop, Stage, usage_per_bit
from edgesim.engine.servers.rates import FairChannels, Flow
from edgesim.engine.state.world import World

if TYPE_CHECKING:
    from edgesim.engine.servers.message import Message


class FairStages:
    """The `fair` stages of one trial; the parameters are those of `edgesim.engine.servers.fifo.FifoStages`."""

    __slots__ = ("_armed", "_clock", "_flows", "_on_arrival", "_on_sent", "_watched", "_world")

    def __init__(
        self,
        world: World,
        on_arrival: Callable[[Message], None],
        on_sent: Callable[[Message, float, float], None],
    ) -> None:
        self._world = world
        self._clock = world.clock
        self._on_arrival = on_arrival
        self._on_sent = on_sent
        self._flows = FairChannels(world, self._on_end)
        self._watched: dict[str, dict[Flow, None]] = {}
        self._armed: set[str] = set()

    def enter(self, message: Message) -> None:
        """Let a message wait for the latency of its stage."""
        wait_s = message.stage.latency_s + self._first_s(message.stage)
        self._clock.after(max(0.0, wait_s - message.lead_s), self._on_join, message)
        message.lead_s = 0.0

    def _first_s(self, stage: Stage) -> float:
        """Return what the first message over links waits for, in s, and take note that they were met."""
        met, wait_s = self._world.met, 0.0
        for link in (hop.link for hop in stage.hops if hop.link.first_message_s > 0.0):
            if link.link_id not in met:
                met.add(link.link_id)
                wait_s += link.first_message_s
        return wait_s

    def close(self) -> None:
        """End the trial: count what was sent."""
        for flow in self._flows.flows():
            self._account(flow)

    def _on_join(self, message: Message) -> None:
        """Let a message share the channels of its stage, unless something on it is down."""
        stage = message.stage
        world = self._world
        now_s = self._clock.now_s
        targets = _targets(stage) if world.has_outages else ()
        if targets and world.downtimes.up_s(targets, now_s) > now_s:
            self._wait_or_break(message, targets)
            return
        if message.started_s < 0.0:
            message.started_s = now_s
            for hop in stage.hops:
                for meter in world.meters_of(hop):
                    meter.arrive(now_s)
        amount_bit, usage = stage.amount_bit, stage.usage
        if message.passages is not None or message.share != 1.0:
            sent = [passage.sent for passage in message.passages_of(stage)]
            amount_bit *= sent[0]
            usage = usage_per_bit(stage.hops, amount_bit, sent)
        flow = Flow(message, amount_bit * (1.0 - message.done), usage)
        flow.joined_s = now_s
        speeds = self._speeds(stage)
        if speeds is not None:
            flow.course = Course(amount_bit, speeds, len(stage.hops))
            flow.usage = self._usage(flow) or usage
            flow.is_blocked = 0.0 in speeds
        self._flows.join(flow)
        if speeds is not None and flow.is_here:
            self._await_change(flow)
        if targets:
            flow.leaves_s = min(self._watch(target_id, flow) for target_id in targets)

    def _on_end(self, flow: Flow) -> None:
        """Pass on a message whose last bit is through."""
        message: Message = flow.owner
        stage = message.stage
        self._leave(flow, stage)
        now_s = self._clock.now_s
        passages = message.passages_of(stage)
        waited_s = sum(passage.waited_s for passage in passages)
        message.share = passages[-1].received
        if self._world.has_outages and not _is_resumed(stage):
            last = stage.hops[-1]
            if self._world.downtimes.first_s(last.link.dst_id, flow.joined_s, now_s + waited_s) < inf:
                message.keep(last, message.share, self._heard(last, flow))
        if message.exchange is not None:
            self._on_sent(message, message.started_s - stage.latency_s, now_s - stage.latency_s)
        self._clock.after(waited_s, self._on_arrival, message)

    def _heard(self, hop: Hop, flow: Flow) -> float:
        """Return which share of the time since a transfer joined has passed before the receiver of a hop went down."""
        now_s = self._clock.now_s
        heard_s = min(now_s, self._world.downtimes.first_s(hop.link.dst_id, flow.joined_s, now_s)) - flow.joined_s
        return heard_s / (now_s - flow.joined_s) if now_s > flow.joined_s else 0.0

    def _leave(self, flow: Flow, stage: Stage) -> None:
        """Account for a transfer that has ended or was interrupted, and watch for it no more."""
        self._account(flow)
        if self._world.has_outages:
            for target_id in _targets(stage):
                self._watched.get(target_id, {}).pop(flow, None)

    def _account(self, flow: Flow) -> None:
        """Count bytes and air time on every link of the stage since the transfer joined."""
        message: Message = flow.owner
        stage = message.stage
        request = message.request
        now_s = self._clock.now_s
        done = message.done + (1.0 - message.done) * flow.sent_share
        for position, (hop, passage) in enumerate(zip(stage.hops, message.passages_of(stage), strict=True)):
            message.count(hop, self._world.program.steps.kind[message.index], passage.sent, done)
            time_s = hop.time_s(passage.sent) * (done - message.done)
            if flow.course is not None:
                time_s = self._air_s(flow)[position]
            request.transmit_s[hop.src] += time_s
            hearing_s = time_s * (self._heard(hop, flow) if self._world.has_outages else 1.0)
            request.receive_s[hop.dst] += hearing_s
            if self._world.spending is not None:
                self._world.spending.sends(hop.src, flow.joined_s, now_s, time_s)
                self._world.spending.receives(hop.dst, flow.joined_s, now_s, hearing_s)
            if self._world.on_channels is not None:
                moments_s = (flow.joined_s, flow.joined_s, now_s)
                self._world.on_channels.note(hop.channel, moments_s, message.task, hop.link.link_id)
                for meter in self._world.meters_of(hop)[1:]:
                    meter.used(flow.joined_s, now_s, time_s)
        message.done = done

    # ---- rates that change

    def _speeds(self, stage: Stage) -> tuple[float, ...] | None:
        """Return by hop its rate / its bandwidth, or None when none of them changes."""
        paces = self._world.paces
        if not paces or not any(hop.link.link_id in paces for hop in stage.hops):
            return None
        now_s = self._clock.now_s
        found = (paces.get(hop.link.link_id) for hop in stage.hops)
        return tuple(1.0 if pace is None else pace.speed(now_s) for pace in found)

    def _usage(self, flow: Flow) -> dict[int, float] | None:
        """Return the time of each channel that a transfer takes per bit now; None when a link has rate 0."""
        course: Course = flow.course
        message: Message = flow.owner
        if 0.0 in course.speeds:
            return None
        stage = message.stage
        sent = [passage.sent for passage in message.passages_of(stage)]
        return usage_per_bit(stage.hops, course.amount_bit, sent, course.speeds)

    def _await_change(self, flow: Flow) -> None:
        """Be called back when a rate on the way of a transfer changes next."""
        now_s = self._clock.now_s
        found = (self._world.paces.get(hop.link.link_id) for hop in flow.owner.stage.hops)
        next_s = min(pace.next_s(now_s) for pace in found if pace is not None)
        if next_s < inf:
            self._clock.after(next_s - now_s, self._on_change, flow)

    def _on_change(self, flow: Flow) -> None:
        """Let a transfer go on at the rates that its links have from now on."""
        if not flow.is_here or self._flows.is_ending(flow):
            return
        course: Course = flow.course
        speeds = self._speeds(flow.owner.stage)
        if speeds is not None and speeds != course.speeds:
            self._flows.advance(flow)
            course.spent_s = self._air_s(flow)
            course.mark = flow.sent_share
            course.speeds = speeds
            self._flows.change(flow, self._usage(flow))
        self._await_change(flow)

    def _air_s(self, flow: Flow) -> list[float]:
        """Return by hop for how long a transfer has been sent since it joined, in s: nothing while a rate is 0."""
        course: Course = flow.course
        message: Message = flow.owner
        new = (1.0 - message.done) * (flow.sent_share - course.mark)
        if new <= 0.0:
            return course.spent_s
        stage = message.stage
        return [
            spent_s + hop.time_at_s(passage.sent, speed) * new
            for spent_s, hop, passage, speed in zip(
                course.spent_s, stage.hops, message.passages_of(stage), course.speeds, strict=True
            )
        ]

    # ---- outages

    def _watch(self, target_id: str, flow: Flow) -> float:
        """Be called back when a target with transfers on it goes down next; return when that is, in s."""
        downtime = self._world.downtimes.get(target_id)
        if downtime is None:
            return inf
        self._watched.setdefault(target_id, {})[flow] = None
        now_s = self._clock.now_s
        next_s = downtime.next_s(now_s)
        if target_id not in self._armed and next_s < inf:
            self._armed.add(target_id)
            self._clock.after(next_s - now_s, self._on_outage, target_id)
        return next_s

    def _on_outage(self, target_id: str) -> None:
        """Interrupt every transfer that crosses what goes down now."""
        self._armed.discard(target_id)
        for flow in list(self._watched.get(target_id, ())):
            message: Message = flow.owner
            self._flows.leave(flow)
            self._leave(flow, message.stage)
            self._wait_or_break(message, _targets(message.stage))

    def _wait_or_break(self, message: Message, targets: tuple[str, ...]) -> None:
        """Let a message go on when everything is up again, or lose what it has not sent."""
        stage = message.stage
        now_s = self._clock.now_s
        up_s = self._world.downtimes.up_s(targets, now_s) if _is_resumed(stage) else inf
        if up_s < inf:
            self._clock.after(up_s - now_s, self._on_join, message)
            return
        message.keep(stage.hops[0], message.passages_of(stage)[-1].received, message.done)
        self._clock.after(0.0, self._on_arrival, message)


class Course:
    """What is remembered of a transfer on links whose rates change.

    Parameters
    ----------
    amount_bit : bits by which its rate is counted, for the whole message.
    speeds : by hop: its rate / its bandwidth, since the last change.
    n_hops : number of hops.
    """

    __slots__ = ("amount_bit", "mark", "speeds", "spent_s")

    def __init__(self, amount_bit: float, speeds: tuple[float, ...], n_hops: int) -> None:
        self.amount_bit = amount_bit
        self.speeds = speeds
        self.mark = 0.0  # share that was sent until the last change
        self.spent_s = [0.0] * n_hops  # by hop: time on it until then


def _is_resumed(stage: Stage) -> bool:
    return all(hop.link.on_outage == "resume" for hop in stage.hops)


def _targets(stage: Stage) -> tuple[str, ...]:
    """Return what must be up for a fair stage to go on: links, senders, and with `resume` the receiver too."""
    targets = [target_id for hop in stage.hops for target_id in (hop.link.src_id, hop.link.link_id)]
    return (*targets, stage.hops[-1].link.dst_id) if _is_resumed(stage) else tuple(targets)
