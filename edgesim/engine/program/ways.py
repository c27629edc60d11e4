"""How a message gets across: which channels it occupies on its way, for how long, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from edgesim.domain.system.rates import ChangingRate
from edgesim.domain.system.topology import Link
from edgesim.domain.system.transport import EndToEndTransport
from edgesim.interfaces import is_kind


@dataclass(frozen=True, slots=True)
class Channel:
    """A link with a channel of its own, or a medium; `contention` and, of a medium, `rate_at` as of `edgesim.domain.system.topology.Medium`."""

    channel_id: str
    is_medium: bool
    is_fair: bool
    contention: float = 0.0
    rate_at: ChangingRate | None = None
    is_by_packets: bool = False


@dataclass(frozen=True, slots=True)
class Hop:
    """One link on the way of a message: which channel it occupies, for how long, and what it costs.

    Parameters
    ----------
    link : the link.
    channel : index of the channel that the message occupies: the link's medium, or the link itself.
    src, dst : indices of the devices at its ends.
    occupation_s : time on the channel, in s.
    wire_byte : bytes on the link, headers included.
    n_packets : packets of the message.
    medium_link : number of the link among those that share a medium, or -1.
    back_byte : bytes of its acknowledgements, which count as traffic.
    queue_byte : most bytes that wait for the link, where it leaves a switch whose queues have a limit.
    """

    link: Link
    channel: int
    src: int
    dst: int
    occupation_s: float
    wire_byte: int
    n_packets: int
    medium_link: int
    queue_byte: int | None = None
    back_byte: int = 0

    @property
    def ends(self) -> tuple[str, str, str]:
        """The devices at its ends, and the link."""
        return self.link.src_id, self.link.link_id, self.link.dst_id

    @property
    def traffic_byte(self) -> int:
        """Bytes that count as traffic."""
        return self.wire_byte + self.back_byte

    def time_s(self, share: float) -> float:
        """Return the time on the channel when `share` of the packets are sent, in s; more than 1 with repetitions."""
        if share == 1.0:
            return self.occupation_s
        overhead_s = self.link.message_overhead_s
        return overhead_s + (self.occupation_s - overhead_s) * share

    def time_at_s(self, share: float, speed: float) -> float:
        """Return `time_s` at another speed than that of the bandwidth; the overhead takes as long as ever."""
        if speed == 1.0:
            return self.time_s(share)
        overhead_s = self.link.message_overhead_s
        bits_s = self.time_s(share) - overhead_s
        return overhead_s + (bits_s / speed if bits_s > 0.0 else 0.0)

    @property
    def packet_s(self) -> float:
        """Time of one packet on the channel, in s."""
        return 8.0 * self.wire_byte / self.n_packets / self.link.bandwidth_bit_per_s


@dataclass(frozen=True, slots=True)
class Stage:
    """What a message occupies at once: one `fifo` channel, or the `fair` channels of several hops.

    Parameters
    ----------
    hops : the links.
    is_fair : whether its channels are shared by rates.
    forwards_packets : whether the next stage may begin when the first packet has arrived (cut-through).
    first_hop : position of its first hop on the route.
    usage : for a fair stage: channel -> time of the channel per bit, when all packets cross once, in s/bit.
    amount_bit : for a fair stage: bits by which its rate is counted.
    latency_s : over all hops, in s.
    is_by_packets : whether its links serve single packets in order of arrival.
    """

    hops: tuple[Hop, ...]
    is_fair: bool
    forwards_packets: bool
    first_hop: int
    usage: Mapping[int, float]
    amount_bit: float
    latency_s: float
    is_by_packets: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """How a message gets from one device to another.

    Parameters
    ----------
    stages : what it occupies, in order.
    n_packets : packets of the message on its first link.
    transport : the end-to-end transport of the first link, or None.
    round_trip_s : twice the latency of all hops, in s.
    packet_s : time of one packet over all hops, without latency, in s.
    """

    stages: tuple[Stage, ...]
    n_packets: int
    transport: EndToEndTransport | None
    round_trip_s: float
    packet_s: float


Line = tuple[int, int, int, float, float, int, int, int, Hop]
"""The only link of a message that needs nothing but the moment at which the link's channel is next free.

One `fifo` link without contention, and no end-to-end transport. Flat, since it is read for each message: channel, src, dst,
and occupation_s of its `Hop`, the link's latency in s, traffic_byte, the position of the transfer's kind in `TRAFFIC_KINDS`,
medium_link, and the `Hop`, for what loses messages.
"""


def _stages(hops: tuple[Hop, ...], channels: Sequence[Channel], *, is_cut_through: bool) -> tuple[Stage, ...]:
    """Divide a route: each `fifo` hop is a stage, and so is each run of `fair` hops, and of `fifo_packets` hops with packets of one size."""
    runs: list[tuple[bool, tuple[Hop, ...]]] = []
    for (is_fair, mtu_byte), group in groupby(hops, key=lambda hop: _kind_of(hop, channels)):
        members = tuple(group)
        runs += [(is_fair, members)] if is_fair or mtu_byte else [(False, (hop,)) for hop in members]
    stages: list[Stage] = []
    n_hops = 0
    for position, (is_fair, members) in enumerate(runs):
        amount_bit = max(1.0, 8.0 * members[0].wire_byte)
        usage = usage_per_bit(members, amount_bit) if is_fair else {}
        is_by_packets = channels[members[0].channel].is_by_packets
        has_fifo_next = position + 1 < len(runs) and _kind_of(runs[position + 1][1][0], channels) == (False, 0)
        forwards_packets = is_cut_through and not is_fair and not is_by_packets and has_fifo_next
        latency_s = sum(hop.link.latency_s for hop in members)
        stages.append(Stage(members, is_fair, forwards_packets, n_hops, usage, amount_bit, latency_s, is_by_packets))
        n_hops += len(members)
    return tuple(stages)


def _kind_of(hop: Hop, channels: Sequence[Channel]) -> tuple[bool, int]:
    """Return whether a link is `fair`, and the size of the packets that it serves one by one, or 0."""
    channel = channels[hop.channel]
    return channel.is_fair, hop.link.mtu_byte if channel.is_by_packets else 0


def usage_per_bit(
    hops: Sequence[Hop], amount_bit: float, shares: Sequence[float] = (), speeds: Sequence[float] = ()
) -> dict[int, float]:
    """Return the time of each channel that a message takes per bit of its rate, in s/bit.

    Parameters
    ----------
    hops : the links that it crosses at once.
    amount_bit : bits by which its rate is counted.
    shares : by hop: packets sent on it / packets of the message; 1 when left out.
    speeds : by hop: its rate / its bandwidth; 1 when left out.
    """
    usage: dict[int, float] = {}
    for position, hop in enumerate(hops):
        time_s = hop.time_at_s(shares[position] if shares else 1.0, speeds[position] if speeds else 1.0)
        if time_s > 0.0:
            usage[hop.channel] = usage.get(hop.channel, 0.0) + time_s / amount_bit
    return usage


def way_of(hops: tuple[Hop, ...], channels: Sequence[Channel], *, is_cut_through: bool) -> Way:
    """Return how a message crosses its hops."""
    transport = hops[0].link.transport
    return Way(
        stages=_stages(hops, channels, is_cut_through=is_cut_through),
        n_packets=hops[0].n_packets,
        transport=transport if is_kind(transport, EndToEndTransport) else None,
        round_trip_s=2 * sum(hop.link.latency_s for hop in hops),
        packet_s=sum(hop.packet_s for hop in hops),
    )


def is_changing(hop: Hop, channels: Sequence[Channel]) -> bool:
    """Return whether the rate of a link changes with time: its own, or that of its medium."""
    return hop.link.rate_at is not None or channels[hop.channel].rate_at is not None


def line_of(way: Way, kind: int, channels: Sequence[Channel]) -> Line | None:
    """Return the only link of a message of some kind, if it is as `Line` says and its rate does not change."""
    stage = way.stages[0]
    hop = stage.hops[0]
    if (
        len(way.stages) > 1
        or stage.is_fair
        or stage.is_by_packets
        or way.transport is not None
        or channels[hop.channel].contention > 0
    ):
        return None
    if is_changing(hop, channels) or hop.queue_byte is not None or hop.link.burst_byte > 0:
        return None
    if hop.link.first_message_s > 0.0:
        return None
    return (
        hop.channel, hop.src, hop.dst, hop.occupation_s, hop.link.latency_s, hop.traffic_byte, kind, hop.medium_link, hop,
    )  # fmt: skip
