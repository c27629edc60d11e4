"""How the packets of a message get across: datagrams, retransmission on each link, or a TCP-like connection."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from edgesim.domain.system.transport import AFTER, Burst, Bursts, Crossing, Crossings
from edgesim.units import Seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DUPLICATES = 3
"""Packets that must arrive behind a lost one, so that it is sent again without a timeout (RFC 5681)."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """Send every packet once; a message that lost a packet is lost, and the share that arrived is recorded.

    As UDP does. The expected share of packets that arrive is 1 - p per link; a message of m packets is whole with
    probability (1 - p)^m when packets are lost independently.
    """

    def cross(self, n_packets: int, n_lost: Callable[[int], int], latency_s: float) -> Crossing:  # noqa: ARG002 - the seam's form
        """Send packets over a link, once.

        Examples
        --------
        >>> Datagram().cross(10, n_lost=lambda n: 3, latency_s=0.001)
        Crossing(n_sent=10, n_received=7, waited_s=0.0)
        """
        return Crossing(n_packets, n_packets - n_lost(n_packets))

    def cross_batch(
        self,
        n_packets: NDArray[np.int64],
        n_lost: Callable[[NDArray[np.int64], NDArray[np.bool_]], NDArray[np.int64]],
        latency_s: float,  # noqa: ARG002 - the seam's form
    ) -> Crossings:
        """Send packets over a link, once, in many replications."""
        import numpy as np

        return Crossings(n_packets, n_packets - n_lost(n_packets, n_packets > 0), np.zeros(len(n_packets)))


@dataclass(frozen=True, slots=True)
class Arq:
    """Send lost packets again on the link where they were lost, up to a limit, each time after a timeout.

    Selective repeat of the link layer. With a loss p per packet, independent, and R retries a packet is sent
    (1 - p^(R + 1)) / (1 - p) times in the mean, and lost for good with probability p^(R + 1). The repetitions occupy the
    link right behind the message; the timeouts only delay its arrival. Valid where acknowledgements are small and safe.

    Parameters
    ----------
    retries : R; 802.11 has 7 for short and 4 for long frames by default.
    timeout_s : from the end of one attempt to the next; None: twice the latency of the link, which is the time after
        which an acknowledgement would be there. 0 is the ideal that repeats while it sends.

    References
    ----------
    D. Bertsekas, R. Gallager, Data Networks, 2nd ed., Prentice Hall, 1992, section 2.4 (retransmission strategies).
    """

    retries: Annotated[int, Ge(0)] = 7
    timeout_s: Seconds | None = None

    def cross(self, n_packets: int, n_lost: Callable[[int], int], latency_s: float) -> Crossing:
        """Send packets over a link until all are across or the retries are used up.

        Examples
        --------
        Of 10 packets 3 are lost, of these 3 one, which comes the third time: 10 + 3 + 1 are sent, behind two timeouts of 2 ms.

        >>> lost = iter((3, 1, 0))
        >>> Arq().cross(10, n_lost=lambda n: next(lost), latency_s=0.001)
        Crossing(n_sent=14, n_received=10, waited_s=0.004)
        """
        missing = n_packets
        n_sent = n_repetitions = 0
        for attempt in range(self.retries + 1):
            n_repetitions = attempt
            n_sent += missing
            missing = n_lost(missing)
            if missing == 0:
                break
        timeout_s = 2 * latency_s if self.timeout_s is None else self.timeout_s
        return Crossing(n_sent, n_packets - missing, n_repetitions * timeout_s)

    def cross_batch(
        self,
        n_packets: NDArray[np.int64],
        n_lost: Callable[[NDArray[np.int64], NDArray[np.bool_]], NDArray[np.int64]],
        latency_s: float,
    ) -> Crossings:
        """Send packets over a link until all are across or the retries are used up, in many replications."""
        import numpy as np

        missing = n_packets
        n_sent, n_repetitions = np.zeros_like(n_packets), np.zeros(len(n_packets))
        for attempt in range(self.retries + 1):
            is_sent = missing > 0
            if not is_sent.any():
                break
            n_repetitions[is_sent] = attempt
            n_sent = n_sent + missing
            missing = n_lost(missing, is_sent)
        timeout_s = 2 * latency_s if self.timeout_s is None else self.timeout_s
        return Crossings(n_sent, n_packets - missing, n_repetitions * timeout_s)


@dataclass(frozen=True, slots=True)
class Tcp:
    """Send as a new TCP connection does: handshake, slow start, retransmission of what was lost.

    The message goes in windows of packets. The first has `initial_window` packets; the next may leave when the first
    packet of the one before is acknowledged, and is twice as large, until the windows follow each other without a gap. A
    message of S bytes in packets of s seconds, over a round trip of r = 2 x latency, so takes

        r (handshake) + 8 S / B + sum over windows w of max(0, r + s - w s) + latency,

    the sum over all windows but the last. Lost packets are sent again in the next window,
    which is half as large, if three packets of their window arrived, or one and there is more to send; otherwise after a
    timeout, doubled each time, with a window of one packet. Acknowledgements take as long as the way there and no capacity.
    Losses come from the failure models: queues here never overflow, and the
    congestion that they signal to a real TCP is not there, so competing connections share by the rule of the links.

    Within 0.7 % of ns-3 for single messages without loss; see docs/validation.md.

    Parameters
    ----------
    initial_window : packets of the first window.
    handshake : whether opening the connection costs one round trip.
    timeout_s : smallest retransmission timeout; three round trips, if these are longer. Linux 200 ms, RFC 6298 and ns-3 1 s.
    retries : timeouts in a row after which the connection is given up.
    persistent : whether the messages of a trial between two devices use one connection, one after another: it is opened once, for both
        directions, and the window of each direction lives on; after a timeout without a message it is at most the initial one again. A
        message begins when the one before has left; what of that is not acknowledged yet is not counted against the window.

    References
    ----------
    M. Allman, V. Paxson, E. Blanton, TCP Congestion Control, RFC 5681, 2009; with H. Balakrishnan, S. Floyd, Enhancing TCP's
    Loss Recovery Using Limited Transmit, RFC 3042, 2001. J. Chu et al., Increasing TCP's Initial Window,
    RFC 6928, 2013. V. Paxson et al., Computing TCP's Retransmission Timer, RFC 6298, 2011. J. Kurose, K. Ross, Computer
    Networking, 3rd ed., Addison-Wesley, 2004, section 3.7.2 (latency of slow start; there with a first window of one).
    """

    initial_window: Annotated[int, Ge(1)] = 10
    handshake: bool = True
    timeout_s: Seconds = 0.2
    retries: Annotated[int, Ge(0)] = 15
    persistent: bool = False

    def bursts(self, n_packets: int, round_trip_s: float) -> Generator[Burst, int, None]:
        """Yield the windows of a message.

        Examples
        --------
        Seven packets in windows of 1, 2 and 4, behind a handshake of one round trip.

        >>> bursts = Tcp(initial_window=1).bursts(7, round_trip_s=0.01)
        >>> first = next(bursts)
        >>> first.n_packets, first.delay_s, bursts.send(0).n_packets, bursts.send(0).n_packets
        (1, 0.01, 2, 4)
        """
        return TcpConnection(self).bursts(n_packets, round_trip_s, is_new=True)

    def bursts_batch(self, n_packets: int, round_trip_s: float, n: int) -> Generator[Bursts, NDArray[np.int64], None]:
        """Yield the windows of a message in n replications.

        Examples
        --------
        Seven packets in windows of 1, 2 and 4, of which the second is lost as a whole in the second replication.

        >>> import numpy as np
        >>> bursts = Tcp(initial_window=1).bursts_batch(7, round_trip_s=0.01, n=2)
        >>> next(bursts).n_packets.tolist(), bursts.send(np.array([0, 0])).n_packets.tolist(), bursts.send(np.array([0, 2])).n_packets.tolist()
        ([1, 1], [2, 2], [4, 1])
        """
        import numpy as np

        window, threshold = np.full(n, float(self.initial_window)), np.full(n, inf)
        remaining, n_timeouts = np.full(n, n_packets), np.zeros(n, np.int64)
        is_going_on = np.ones(n, np.bool_)
        after, delay_s = np.zeros(n, np.int8), np.full(n, round_trip_s if self.handshake else 0.0)
        least_s = max(self.timeout_s, 3 * round_trip_s)
        while True:
            size = np.where(is_going_on, np.minimum(remaining, window.astype(np.int64)), 0)
            n_lost = yield Bursts(size, after, delay_s)
            n_came = size - n_lost
            remaining = remaining - n_came
            is_grown = is_going_on & (n_lost == 0)
            is_slow_start = window < threshold
            grown = np.where(
                is_slow_start, np.minimum(window + n_came, threshold), window + (n_came >= window.astype(np.int64))
            )
            window = np.where(is_grown, grown, window)
            is_going_on = is_going_on & (remaining > 0)
            if not is_going_on.any():
                return
            n_timeouts[n_came > 0] = 0
            is_lost = is_going_on & (n_lost > 0)
            has_more = remaining > n_lost
            is_told = is_lost & (n_came >= np.where(has_more, 1, DUPLICATES))
            is_late = is_lost & ~is_told
            is_going_on = is_going_on & ~(is_late & (n_timeouts == self.retries))
            half = np.maximum(2.0, window / 2)
            threshold = np.where(is_lost, half, threshold)
            window = np.where(is_told, half, np.where(is_late, 1.0, window))
            delay_s = np.where(is_late, least_s * 2.0**n_timeouts, 0.0)
            n_timeouts = n_timeouts + is_late
            after = np.where(is_late, AFTER.index("sent"), is_told & ~has_more).astype(np.int8)
            if not is_going_on.any():
                return

    def connection(self) -> TcpConnection | None:
        """Return a connection that messages use one after another; None where each has one of its own."""
        return TcpConnection(self) if self.persistent else None


class TcpConnection:
    """One direction of a connection: its window lives on from message to message.

    Parameters
    ----------
    tcp : how it sends.
    """

    __slots__ = ("_tcp", "_threshold", "_window", "is_broken")

    def __init__(self, tcp: Tcp) -> None:
        self._tcp = tcp
        self._window, self._threshold = float(tcp.initial_window), inf
        self.is_broken = False

    def bursts(
        self, n_packets: int, round_trip_s: float, *, is_new: bool, idle_s: float = 0.0
    ) -> Generator[Burst, int, None]:
        """Yield the windows of the next message.

        Parameters
        ----------
        n_packets, round_trip_s : as of `Tcp.bursts`.
        is_new : whether the connection is still to be opened.
        idle_s : time since the message before has left; after a timeout the first window is at most the initial one again.

        Examples
        --------
        Three packets in windows of 1 and 2; then seven, for which the window is 4 from the first on.

        >>> from contextlib import suppress
        >>> connection = TcpConnection(Tcp(initial_window=1, persistent=True))
        >>> bursts = connection.bursts(3, round_trip_s=0.01, is_new=True)
        >>> next(bursts).n_packets, bursts.send(0).n_packets
        (1, 2)
        >>> with suppress(StopIteration):
        ...     bursts.send(0)
        >>> bursts = connection.bursts(7, round_trip_s=0.01, is_new=False)
        >>> next(bursts).n_packets, bursts.send(0).n_packets
        (4, 3)
        """
        tcp = self._tcp
        if idle_s > max(tcp.timeout_s, 3 * round_trip_s):
            self._window = min(self._window, float(tcp.initial_window))
        remaining = n_packets
        n_to_repeat = n_timeouts = 0
        opening_s = round_trip_s if is_new and tcp.handshake else 0.0
        burst = Burst(min(n_packets, int(self._window)), "acknowledged", opening_s)
        while True:
            n_lost = yield burst
            n_came = burst.n_packets - n_lost
            remaining -= n_came
            n_to_repeat += n_lost - burst.n_repeated
            if n_lost == 0:
                self._grow(n_came)
            if remaining == 0:
                return
            if n_came > 0:
                n_timeouts = 0
            after: Literal["acknowledged", "last_acknowledged", "sent"] = "acknowledged"
            delay_s = 0.0
            if n_lost == 0:
                pass
            elif n_came >= (1 if remaining > n_lost else DUPLICATES):  # further packets bring the duplicates (RFC 3042)
                self._window = self._threshold = max(2.0, self._window / 2)
                after = "acknowledged" if remaining > n_lost else "last_acknowledged"
            elif n_timeouts == tcp.retries:
                self.is_broken = True
                return
            else:
                delay_s = max(tcp.timeout_s, 3 * round_trip_s) * 2**n_timeouts
                self._window, self._threshold = 1.0, max(2.0, self._window / 2)
                n_timeouts += 1
                after = "sent"
            size = min(remaining, int(self._window))
            burst = Burst(size, after, delay_s, min(n_to_repeat, size))

    def _grow(self, n_came: int) -> None:
        """Let the window grow by what was acknowledged in slow start, by one packet a window behind that."""
        if self._window < self._threshold:
            self._window = min(self._window + n_came, self._threshold)
        elif n_came >= int(self._window):
            self._window += 1
