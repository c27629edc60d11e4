"""Channels that serve one message at a time, in order of arrival.

A message in service is never interrupted in favour of another, so a channel is just the time at which it is next free, and a
hop is one event: the arrival. When an outage will interrupt it is known when the message is queued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from edgesim.engine.program.ways import Hop, Line
from edgesim.engine.servers.buckets import Buckets
from edgesim.engine.state.pace import leg_of
from edgesim.engine.state.request import Task
from edgesim.engine.state.world import World

if TYPE_CHECKING:
    from edgesim.engine.servers.losses import GivenLosses, Losses
    from edgesim.engine.servers.message import Message


class FifoStages:
    """The `fifo` channels of a trial.

    Parameters
    ----------
    world : the trial's surroundings.
    on_arrival : called with a message that has arrived, or what is left of it.
    on_whole, on_nothing : called with the task of a message that has crossed its only link, or was lost there.
    on_sent : called with each message and when it begins and ends to leave the sender, in s.
    losses : what loses messages, or None.
    """

    __slots__ = ("_before", "_buckets", "_checker", "_clock", "_contended", "_downtimes", "_free_s", "_has_outages", "_horizon_s", "_is_watched", "_kind", "_losses", "_moments",
                 "_n_channels", "_on_arrival", "_on_channels", "_on_links", "_on_nothing", "_on_sent", "_on_whole", "_paces", "_queued", "_world")  # fmt: skip

    def __init__(
        self,
        world: World,
        on_arrival: Callable[[Message], None],
        on_whole: Callable[[Task], None],
        on_nothing: Callable[[Task], None],
        on_sent: Callable[[Message, float, float], None],
        *,
        losses: Losses | GivenLosses | None,
    ) -> None:
        self._world = world
        self._clock, self._moments = world.clock, world.clock.moments
        self._checker = world.checker
        self._horizon_s = world.horizon_s
        self._on_channels = world.on_channels
        self._on_links = world.on_links
        self._kind = world.program.steps.kind
        self._on_arrival = on_arrival
        self._on_whole, self._on_nothing = on_whole, on_nothing
        self._losses = losses
        self._on_sent = on_sent
        channels = world.program.channels.channel
        self._n_channels = len(channels)
        self._contended = [index for index, channel in enumerate(channels) if channel.contention > 0]

    def begin(self) -> None:
        """Go on to the trial that the world has begun."""
        self._has_outages, self._downtimes = self._world.has_outages, self._world.downtimes
        self._is_watched = self._has_outages or self._on_channels is not None
        self._paces = self._world.paces
        self._free_s = [0.0] * self._n_channels
        self._buckets = Buckets()
        self._queued: dict[str, deque[tuple[float, int]]] = {}  # by link of a switch: when each is sent, and its bytes
        self._before: dict[int, deque[tuple[float, int]]] = {index: deque() for index in self._contended}

    def cross(self, task: Task, line: Line) -> bool:
        """Let a message cross its only link as a whole, or get lost there, where nothing fails meanwhile or is checked: `enter` in short.

        Returns
        -------
        is_sent : False, and nothing is done, when the horizon or an outage cuts the message.
        """
        channel, src, dst, occupation_s, latency_s, traffic_byte, kind, _, hop = line
        now_s = self._clock.now_s
        free_s = self._free_s[channel]
        start_s = free_s if free_s > now_s else now_s  # noqa: FURB136 - a call of max takes longer
        end_s = start_s + occupation_s
        if end_s > self._horizon_s or (self._is_watched and not self._is_free_to_cross(task, line, start_s, end_s)):
            return False
        self._free_s[channel] = end_s
        request, index = task
        request.traffic_byte[kind] += traffic_byte
        sending_s = end_s - start_s
        request.transmit_s[src] += sending_s
        request.receive_s[dst] += sending_s
        on_end = self._on_whole
        if self._losses is not None and self._losses.is_lost(hop, index):
            on_end = self._on_nothing
        moment_s = now_s + (end_s + latency_s - now_s)  # as `Clock.after`, written out
        moment = self._moments.get(moment_s)
        if moment is None:
            moment = self._clock.new_moment(moment_s)
        moment.append((on_end, task))
        return True

    def _is_free_to_cross(self, task: Task, line: Line, start_s: float, end_s: float) -> bool:
        """Return whether no outage meets a message on its only link; if so, measure its stay there."""
        channel, _, _, _, latency_s, _, _, medium_link, hop = line
        now_s = self._clock.now_s
        if self._has_outages and not self._downtimes.are_up(hop.ends, now_s, end_s + latency_s):
            return False
        if self._on_channels is not None:
            self._on_channels.add(channel, now_s, start_s, end_s)
            if medium_link >= 0 and self._on_links is not None:
                self._on_links.add(medium_link, now_s, start_s, end_s)
            if self._on_channels.is_noting:
                self._note(task, (channel, medium_link), (now_s, start_s, end_s))
        return True

    def enter(self, message: Message) -> None:
        """Queue a message, or what an outage left of it, at its channel."""
        stage = message.stage
        hop = stage.hops[0]
        clock = self._clock
        now_s = clock.now_s
        share = received = message.share
        waited_s = 0.0
        if message.passages is not None:
            share, received, waited_s = message.passages[stage.first_hop]
        free_s = self._free_s[hop.channel]
        start_s = free_s if free_s > now_s else now_s  # noqa: FURB136 - a call of max takes longer
        if hop.queue_byte is not None and not self._has_room(hop, hop.queue_byte, start_s):
            self._drop(message, hop)
            return
        end_s = start_s + (hop.occupation_s if share == 1.0 else hop.time_s(share)) * (1.0 - message.done)
        contention = 0.0
        if self._before and hop.channel in self._before:
            contention = self._contention(hop, now_s)
            end_s += (end_s - start_s) * contention
        if self._paces:
            message.leg = None
            if (pace := self._paces.get(hop.link.link_id)) is not None:
                message.leg = leg_of(hop, pace, start_s, (share, message.done, 1.0 + contention))
                end_s = message.leg.end_s
        if hop.link.burst_byte > 0:
            overhead_s = hop.link.message_overhead_s * (1.0 - message.done)
            end_s = self._buckets.end_s(hop, start_s, end_s - start_s, overhead_s)
        first_s = self._first_s(hop)
        end_s += first_s
        if message.tail_s > -inf:
            sent_s = end_s - start_s
            end_s = max(end_s, message.tail_s + hop.packet_s)
            message.pace = sent_s / (end_s - start_s) if end_s > start_s else 1.0
        if self._has_outages and self._is_interrupted(message, share, start_s, end_s):
            return
        self._occupy(message, hop, share, (start_s, end_s, 1.0))
        message.share = received
        arrival_s = end_s + hop.link.latency_s + waited_s
        if self._has_outages:
            arrival_s = self._receive(message, hop, (start_s, end_s, arrival_s))
        if message.exchange is not None:
            self._on_sent(message, message.started_s, end_s)
        if stage.forwards_packets and message.share > 0.0:
            message.tail_s = arrival_s
            head_s = start_s + first_s + hop.link.message_overhead_s + hop.packet_s + hop.link.latency_s
            arrival_s = max(now_s, min(head_s, arrival_s))
        clock.after(arrival_s - now_s, self._on_arrival, message)

    def _first_s(self, hop: Hop) -> float:
        """Return by how much a message takes longer on a link that none has crossed before."""
        link = hop.link
        return link.first_message_s if link.first_message_s > 0.0 and link.link_id not in self._world.met else 0.0

    def _has_room(self, hop: Hop, limit_byte: int, start_s: float) -> bool:
        """Queue a message that will be sent at `start_s` at its switch, and return whether it fits."""
        now_s = self._clock.now_s
        queued = self._queued.setdefault(hop.link.link_id, deque())
        while queued and queued[0][0] <= now_s:
            queued.popleft()
        if start_s > now_s:
            if sum(n_byte for _, n_byte in queued) + hop.wire_byte > limit_byte:
                return False
            queued.append((start_s, hop.wire_byte))
        return True

    def _drop(self, message: Message, hop: Hop) -> None:
        """Lose a message that its switch has no room for."""
        now_s = self._clock.now_s
        self._stay(message, hop, now_s, now_s)
        message.share = 0.0
        self._clock.after(0.0, self._on_arrival, message)

    def _contention(self, hop: Hop, now_s: float) -> float:
        """Return by which share a message takes longer, since other devices wait for the channel too."""
        before = self._before[hop.channel]
        while before and before[0][0] <= now_s:
            before.popleft()
        n_others = len({src for _, src in before} - {hop.src})
        return self._world.program.channels.channel[hop.channel].contention * n_others

    def _occupy(self, message: Message, hop: Hop, share: float, span: tuple[float, float, float]) -> None:
        """Let a message have its channel; count bytes and times.

        Parameters
        ----------
        message, hop : the message and its link.
        share : packets sent on the link / packets of the transfer.
        span : from when and until when, in s, and how much of the hop is then sent.
        """
        start_s, end_s, done = span
        request = message.request
        if self._checker is not None:
            self._checker.served(hop.link.link_id, self._free_s[hop.channel], start_s, end_s)
        self._free_s[hop.channel] = end_s
        if self._before and hop.channel in self._before:
            self._before[hop.channel].append((end_s, hop.src))
        if hop.link.burst_byte > 0:
            self._buckets.take(hop, end_s)
        if hop.link.first_message_s > 0.0:
            self._world.met.add(hop.link.link_id)
        if message.started_s < 0.0:
            message.started_s = start_s
        self._stay(message, hop, start_s, end_s)
        if end_s > self._horizon_s:
            cut_s = max(start_s, self._horizon_s)
            done = (
                message.done + _share(message, start_s, end_s, cut_s, done - message.done) if end_s > start_s else 0.0
            )
            end_s = cut_s
        kind = self._kind[message.index]
        if share == done == 1.0 and message.done == 0.0:
            request.traffic_byte[kind] += hop.traffic_byte
        else:
            message.count(hop, kind, share, done)
        sending_s = _sending_s(message, start_s, end_s)
        request.transmit_s[hop.src] += sending_s
        heard_until_s = end_s
        if self._has_outages:
            heard_until_s = min(end_s, self._world.downtimes.first_s(hop.link.dst_id, start_s, end_s))
        hearing_s = _sending_s(message, start_s, heard_until_s)
        request.receive_s[hop.dst] += hearing_s
        if self._world.spending is not None:
            self._world.spending.sends(hop.src, start_s, end_s, sending_s)
            self._world.spending.receives(hop.dst, start_s, heard_until_s, hearing_s)
        message.done = done

    def _stay(self, message: Message, hop: Hop, start_s: float, end_s: float) -> None:
        """Measure a stay that begins now, on the channel and on the link."""
        if self._on_channels is None:
            return
        now_s = self._clock.now_s
        self._on_channels.add(hop.channel, now_s, start_s, end_s)
        if hop.medium_link >= 0 and self._on_links is not None:
            self._on_links.add(hop.medium_link, now_s, start_s, end_s)
        if self._on_channels.is_noting:
            self._note(message.task, (hop.channel, hop.medium_link), (now_s, start_s, end_s))

    def _note(self, task: Task, numbers: tuple[int, int], moments_s: tuple[float, float, float]) -> None:
        """Note a stay, given the numbers of the channel and, if that is a medium, of the link."""
        channel, medium_link = numbers
        number, of = (channel, self._on_channels) if medium_link < 0 else (medium_link, self._on_links)
        if self._on_channels is not None and of is not None:
            self._on_channels.note(channel, moments_s, task, of.resource_ids[number])

    def _is_interrupted(self, message: Message, sent: float, start_s: float, end_s: float) -> bool:
        """Apply an outage of sender or link (with `resume` also of the receiver) between now and the last bit's leaving."""
        hop = message.stage.hops[0]
        link = hop.link
        now_s = self._clock.now_s
        downtimes = self._world.downtimes
        is_resumed = link.on_outage == "resume"
        targets = (link.src_id, link.link_id, link.dst_id) if is_resumed else (link.src_id, link.link_id)
        down_s = min(downtimes.first_s(target_id, now_s, end_s) for target_id in targets)
        if down_s == inf:
            return False
        if down_s > start_s:
            done = message.done + _share(message, start_s, end_s, down_s, 1.0 - message.done)
            self._occupy(message, hop, sent, (start_s, down_s, done))
        else:
            self._stay(message, hop, down_s, down_s)
        up_s = downtimes.up_s(targets, down_s) if is_resumed else inf
        if up_s < inf:
            self._clock.after(up_s - now_s, self.enter, message)
            return True
        arrival_s = down_s + link.latency_s
        is_heard = down_s > start_s and downtimes.first_s(link.dst_id, start_s, arrival_s) == inf
        received = message.share if message.passages is None else message.passages[message.stage.first_hop].received
        message.keep(hop, received, message.done if is_heard else 0.0)
        self._clock.after((arrival_s if message.share > 0.0 else down_s) - now_s, self._on_arrival, message)
        return True

    def _receive(self, message: Message, hop: Hop, moments_s: tuple[float, float, float]) -> float:
        """Return when a message that was sent arrives, given the outages of its receiver.

        Parameters
        ----------
        moments_s : when it begins and ends to leave, and when it would arrive, in s.
        """
        start_s, end_s, arrival_s = moments_s
        link = hop.link
        downtimes = self._world.downtimes
        down_s = downtimes.first_s(link.dst_id, start_s, arrival_s)
        if down_s == inf:
            return arrival_s
        if link.on_outage == "resume":
            up_s = downtimes.up_s((link.dst_id,), arrival_s)
            if up_s < inf:
                return up_s
        heard = 0.0
        if end_s > start_s:
            heard = (down_s - start_s - link.latency_s) / (end_s - start_s)
            heard = heard if message.leg is None else message.leg.share(down_s - link.latency_s)
        message.keep(hop, message.share, max(0.0, min(1.0, heard)))
        return arrival_s if message.share > 0.0 else end_s


def _share(message: Message, start_s: float, end_s: float, moment_s: float, left: float) -> float:
    """Return what has left of `left` of a message at a moment, when it leaves from `start_s` to `end_s`."""
    if message.leg is None:
        return left * ((moment_s - start_s) / (end_s - start_s))
    return min(left, (1.0 - message.done) * message.leg.share(moment_s))


def _sending_s(message: Message, start_s: float, until_s: float) -> float:
    """Return for how long a message is sent between two moments at which it has its link, in s."""
    return (until_s - start_s) * message.pace if message.leg is None else message.leg.sending_s(until_s)
