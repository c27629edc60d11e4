"""Links between devices, and the media that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesim.domain.bounds import finite, named, not_negative, one_of, positive, whole
from edgesim.domain.system.devices import LinkSharing, OnOutage, Sharing
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from edgesim.domain.system.rates import ChangingRate
    from edgesim.domain.system.transport import Transport


@dataclass(frozen=True, slots=True)
class Medium:
    """A channel that several links share, e.g. a Wi-Fi cell: half duplex, its time is divided among all of them.

    Parameters
    ----------
    medium_id : distinct in the topology.
    sharing : ``fifo``: one message is in the air at a time, in order of arrival; ``fair``: all at once, max-min fair.
    contention : with ``fifo``: a message takes longer by this share for every other device whose message is before it.
        Stands for the time that collisions and waiting for the channel cost; n equal messages at once take
        n (1 + contention (n - 1) / 2) times as long as one.
    rate_at : limits the rate of all its links over time, a plug-in of seam ``rates``: each has the lower of its own and this one.

    Examples
    --------
    >>> Medium("cell", "fair", contention=0.1)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: medium 'cell' has contention 0.1 and sharing 'fair'; contention is at least 0, and goes with sharing 'fifo' only
    """

    medium_id: str
    sharing: Sharing = "fifo"
    contention: float = 0.0
    rate_at: ChangingRate | None = None

    def __post_init__(self) -> None:
        named("a medium", medium_id=self.medium_id)
        one_of(f"medium {self.medium_id!r}", Sharing, sharing=self.sharing)
        finite(f"medium {self.medium_id!r}", contention=self.contention)
        if self.contention < 0 or (self.contention > 0 and self.sharing == "fair"):
            raise PlanError(
                f"medium {self.medium_id!r} has contention {self.contention} and sharing {self.sharing!r}; contention is at "
                "least 0, and goes with sharing 'fifo' only"
            )


@dataclass(frozen=True, slots=True)
class Link:
    """A one-way channel between two devices.

    Parameters
    ----------
    link_id : by convention ``"src->dst"``.
    src_id, dst_id : devices at its ends.
    bandwidth_bit_per_s : rate while a message is sent, in bit/s.
    latency_s : propagation and stack delay after the last bit has left, in s; it does not occupy the link.
    message_overhead_s : time per message that occupies the link (wake-up, channel access), in s.
    mtu_byte : payload of one packet, in byte.
    header_byte : header bytes per packet; they count as traffic and take time.
    medium_id : the medium that it shares, or None for a channel of its own.
    sharing : as of `Medium`, for a link with a channel of its own; with a medium, the medium's rule holds. ``fifo_packets`` serves single
        packets in order of arrival: for datagrams that an outage loses, at a rate that does not change.
    transport : how packets get across, a plug-in of seam ``transports``; None: datagrams.
    on_outage : what becomes of messages when the link, or a device at its ends, goes down.
    rate_at : how its rate changes with time, a plug-in of seam ``rates``; None: it is always `bandwidth_bit_per_s`.
    framing_byte : bytes per message besides its payload, besides the `mtu_byte` of its packets.
    acknowledgement_byte : bytes that go back for each packet. They count as traffic, and on a medium they take its time, right behind the
        message; a link with a channel of its own has another one for the way back, on which they are not seen.
    first_message_s : time by which the first message over it in a trial takes longer, e.g. to resolve an address, in s; over `fair` links
        that message waits for so long before it joins.
    burst_byte : size of its token bucket: so much of a message leaves at once after a pause, headers included. The bucket fills at
        the rate of the link, up to its size, and is full at the start of a trial. For `fifo` links with a channel of their own.

    Examples
    --------
    2,500 byte in packets of 1,000, each with a header of 100, at 8 kbit/s behind an overhead of 0.2 s: 2,800 byte take 2.8 s.

    >>> link = Link("a->b", "a", "b", 8e3, message_overhead_s=0.2, mtu_byte=1000, header_byte=100)
    >>> link.n_packets(2500), link.wire_byte(2500), link.occupation_s(2500)
    (3, 2800, 3.0)
    """

    link_id: str
    src_id: str
    dst_id: str
    bandwidth_bit_per_s: float
    latency_s: float = 0.0
    message_overhead_s: float = 0.0
    mtu_byte: int = 1472
    header_byte: int = 0
    medium_id: str | None = None
    sharing: LinkSharing = "fifo"
    transport: Transport | None = None
    on_outage: OnOutage = "lost"
    rate_at: ChangingRate | None = None
    framing_byte: int = 0
    burst_byte: int = 0
    first_message_s: float = 0.0
    acknowledgement_byte: int = 0

    def __post_init__(self) -> None:
        named("a link", link_id=self.link_id, src_id=self.src_id, dst_id=self.dst_id)
        subject = f"link {self.link_id!r}"
        if self.src_id == self.dst_id:
            raise PlanError(f"{subject} goes from {self.src_id!r} to itself; its ends must differ")
        positive(subject, bandwidth_bit_per_s=self.bandwidth_bit_per_s)
        not_negative(
            subject,
            latency_s=self.latency_s,
            message_overhead_s=self.message_overhead_s,
            first_message_s=self.first_message_s,
        )
        whole(subject, 1, mtu_byte=self.mtu_byte)
        whole(subject, 0, header_byte=self.header_byte, framing_byte=self.framing_byte, burst_byte=self.burst_byte)
        whole(subject, 0, acknowledgement_byte=self.acknowledgement_byte)
        one_of(subject, LinkSharing, sharing=self.sharing)
        one_of(subject, OnOutage, on_outage=self.on_outage)
        is_plain = self.medium_id is None and self.rate_at is None
        if self.sharing == "fifo_packets" and not (is_plain and self.transport is None and self.on_outage == "lost"):
            raise PlanError(
                f"{subject} has sharing 'fifo_packets'; that goes with no medium, no transport, a rate that does not change and on_outage 'lost'"
            )
        if self.burst_byte > 0 and not (is_plain and self.sharing == "fifo"):
            raise PlanError(
                f"{subject} has a burst_byte; that goes with sharing 'fifo', no medium and a rate that does not change"
            )

    def n_packets(self, size_byte: int) -> int:
        """Return the number of packets of a message: ceil(size / mtu), at least 1."""
        return max(1, -(-size_byte // self.mtu_byte))

    def wire_byte(self, size_byte: int) -> int:
        """Return the bytes that a message puts on the link, framing and headers included."""
        return size_byte + self.framing_byte + self.n_packets(size_byte) * self.header_byte

    def back_byte(self, size_byte: int) -> int:
        """Return the bytes of the acknowledgements of a message."""
        return self.n_packets(size_byte) * self.acknowledgement_byte

    def occupation_s(self, size_byte: int) -> float:
        """Return the time a message occupies the link: overhead + 8 wire bytes / bandwidth, in s; on a medium with what goes back."""
        n_byte = self.wire_byte(size_byte) + (0 if self.medium_id is None else self.back_byte(size_byte))
        return self.message_overhead_s + 8.0 * n_byte / self.bandwidth_bit_per_s
