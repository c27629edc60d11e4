"""Links that serve single packets in order of arrival: a message crosses them packet by packet, and waits behind what came before.

All packets of a message come to its first link at once, and to each further link one after another, between those of other messages. A packet in
service is never interrupted in favour of another, so a link is just the time at which it is next free, and a packet on a link is one event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from edgesim.engine.servers.message import BYTE_ROUNDING
from edgesim.engine.state.world import World

if TYPE_CHECKING:
    from edgesim.engine.program.ways import Hop
    from edgesim.engine.servers.message import Message


class Train:
    """The packets of a message on a run of links.

    Parameters
    ----------
    message : the message.
    n : number of packets that set out.
    n_kept : by link, how many of them losses leave.
    """

    __slots__ = ("message", "n", "n_came", "n_kept", "n_open", "spans_s")

    def __init__(self, message: Message, n: int, n_kept: list[int]) -> None:
        self.message, self.n, self.n_kept = message, n, n_kept
        self.n_open, self.n_came = n, 0
        self.spans_s: dict[int, tuple[float, float, float]] = {}  # by link: came first, was served first, left last


class PacketStages:
    """The `fifo_packets` links of one trial; the parameters are those of `edgesim.engine.servers.fifo.FifoStages`."""

    __slots__ = ("_clock", "_free_s", "_kind", "_on_arrival", "_queued", "_world")

    def __init__(self, world: World, on_arrival: Callable[[Message], None]) -> None:
        self._world, self._clock = world, world.clock
        self._kind = world.program.steps.kind
        self._on_arrival = on_arrival
        self._free_s = [0.0] * len(world.program.channels.channel)
        self._queued: dict[
            str, tuple[deque[tuple[float, int]], list[int]]
        ] = {}  # by link of a switch: when each begins, bytes; their sum

    def enter(self, message: Message) -> None:
        """Let all packets of a message come to the first link of its stage."""
        hops = message.stage.hops
        n_packets = hops[0].n_packets
        n = max(1, round(message.share * n_packets))
        n_kept = [round(passage.received * n_packets) for passage in message.passages_of(message.stage)]
        train = Train(message, n, n_kept)
        for packet in range(n):
            self._serve((train, packet, 0))

    def _serve(self, place: tuple[Train, int, int]) -> None:
        """Let a packet cross a link, or get lost there."""
        train, packet, position = place
        message, world = train.message, self._world
        if position == len(message.stage.hops):
            train.n_came += 1
            self._gone(train)
            return
        hop = message.stage.hops[position]
        link, now_s = hop.link, self._clock.now_s
        n_byte = self._size_byte(hop, packet)
        start_s = max(self._free_s[hop.channel], now_s)
        if hop.queue_byte is not None and not self._has_room(hop, hop.queue_byte, n_byte, start_s):
            self._gone(train)
            return
        end_s = planned_s = start_s + self._time_s(hop, packet, n_byte)
        arrival_s = end_s + link.latency_s
        goes_on = packet < train.n_kept[position]
        heard_until_s = end_s
        if world.has_outages:
            down_s = min(world.downtimes.first_s(target, now_s, end_s) for target in (link.src_id, link.link_id))
            deaf_s = world.downtimes.first_s(link.dst_id, start_s, arrival_s)
            heard_until_s = min(end_s, deaf_s)
            if down_s < inf:
                end_s = arrival_s = down_s
            goes_on = goes_on and down_s == deaf_s == inf
        if end_s > start_s:
            self._occupy(place, n_byte, (start_s, end_s, planned_s), heard_until_s)
        following = (train, packet, position + 1) if goes_on else (train, packet, -1)
        self._clock.after(max(arrival_s, now_s) - now_s, self._serve if goes_on else self._on_lost, following)

    def _time_s(self, hop: Hop, packet: int, n_byte: int) -> float:
        """Return for how long a packet has a link; the first of a message bears the overhead, and the first of all the cost of being that."""
        link = hop.link
        time_s = 8.0 * n_byte / link.bandwidth_bit_per_s
        if packet == 0:
            time_s += link.message_overhead_s
        if link.first_message_s > 0.0 and link.link_id not in self._world.met:
            time_s += link.first_message_s
        return time_s

    def _on_lost(self, place: tuple[Train, int, int]) -> None:
        self._gone(place[0])

    def _gone(self, train: Train) -> None:
        """Take note that a packet has come, or never will; pass the message on behind the last one."""
        train.n_open -= 1
        if train.n_open > 0:
            return
        message = train.message
        for position, span_s in train.spans_s.items():
            self._note(message, message.stage.hops[position], span_s)
        passages = message.passages_of(message.stage)
        if train.n_came < train.n_kept[-1]:
            message.share = train.n_came / message.stage.hops[0].n_packets
        else:
            message.share = passages[-1].received
        self._clock.after(sum(passage.waited_s for passage in passages), self._on_arrival, message)

    def _size_byte(self, hop: Hop, packet: int) -> int:
        """Return the bytes of a packet: the last one of a message has what is left, and the framing."""
        link = hop.link
        if packet + 1 < hop.n_packets:
            return link.mtu_byte + link.header_byte
        return hop.wire_byte - (hop.n_packets - 1) * (link.mtu_byte + link.header_byte)

    def _has_room(self, hop: Hop, limit_byte: int, n_byte: int, start_s: float) -> bool:
        """Queue a packet that will be sent at `start_s` at its switch, and return whether it fits."""
        now_s = self._clock.now_s
        queued, total = self._queued.setdefault(hop.link.link_id, (deque(), [0]))
        while queued and queued[0][0] <= now_s:
            total[0] -= queued.popleft()[1]
        if start_s > now_s:
            if total[0] + n_byte > limit_byte:
                return False
            queued.append((start_s, n_byte))
            total[0] += n_byte
        return True

    def _occupy(
        self, place: tuple[Train, int, int], n_byte: int, span_s: tuple[float, float, float], heard_until_s: float
    ) -> None:
        """Let a packet have its link from when until when, where it would without outages; count bytes and times up to the horizon."""
        train, _, position = place
        message, world, now_s = train.message, self._world, self._clock.now_s
        hop = message.stage.hops[position]
        start_s, end_s, planned_s = span_s
        if hop.link.first_message_s > 0.0:
            world.met.add(hop.link.link_id)
        if world.checker is not None:
            world.checker.served(hop.link.link_id, self._free_s[hop.channel], start_s, end_s)
        self._free_s[hop.channel] = end_s
        if world.on_channels is not None:
            world.on_channels.add(hop.channel, now_s, start_s, end_s)
        came_s, served_s, _ = train.spans_s.get(position, (now_s, start_s, end_s))
        train.spans_s[position] = came_s, served_s, end_s
        until_s = max(start_s, min(end_s, world.horizon_s))
        done = (until_s - start_s) / (planned_s - start_s)
        request = message.request
        counted_byte = n_byte + hop.link.acknowledgement_byte
        request.traffic_byte[self._kind[message.index]] += int(counted_byte * done + BYTE_ROUNDING)
        heard_s = max(0.0, min(until_s, heard_until_s) - start_s)
        request.transmit_s[hop.src] += until_s - start_s
        request.receive_s[hop.dst] += heard_s
        if world.spending is not None:
            world.spending.sends(hop.src, start_s, until_s, until_s - start_s)
            world.spending.receives(hop.dst, start_s, start_s + heard_s, heard_s)

    def _note(self, message: Message, hop: Hop, moments_s: tuple[float, float, float]) -> None:
        """Note a stay of all packets of a message at a link."""
        if self._world.on_channels is not None:
            self._world.on_channels.note(hop.channel, moments_s, message.task, hop.link.link_id)
