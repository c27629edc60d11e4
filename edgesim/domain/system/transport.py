"""Transports, and what they say to the engine: how many packets crossed a link, and what is sent next."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from edgesim.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Crossing:
    """What became of some packets on one link.

    Parameters
    ----------
    n_sent : packets put on the link, repetitions included.
    n_received : packets that came across.
    waited_s : time lost in waiting for acknowledgements, in s; the link is free meanwhile.

    Examples
    --------
    >>> Crossing(n_sent=2, n_received=3)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: of 2 packets sent 3 are received, 0.0 s lost; a transport receives at most what it sends, and loses a finite time
    """

    n_sent: int
    n_received: int
    waited_s: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.n_received <= self.n_sent and 0.0 <= self.waited_s < inf):
            raise PlanError(
                f"of {self.n_sent} packets sent {self.n_received} are received, {self.waited_s} s lost; a transport receives at most "
                "what it sends, and loses a finite time"
            )


@dataclass(frozen=True, slots=True)
class Crossings:
    """What became of some packets on one link in many replications: `Crossing` with arrays, shape (n,)."""

    n_sent: NDArray[np.int64]
    n_received: NDArray[np.int64]
    waited_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Burst:
    """Packets that an end-to-end transport sends together.

    Parameters
    ----------
    n_packets : number of packets.
    after : what it waits for: ``acknowledged``, the first packet of the burst before; ``last_acknowledged``, its last
        packet; ``sent``, its last packet has left. The first burst counts from the moment the message is ready.
    delay_s : time after that moment, in s.
    n_repeated : packets among them that were sent before.
    """

    n_packets: int
    after: Literal["acknowledged", "last_acknowledged", "sent"] = "acknowledged"
    delay_s: float = 0.0
    n_repeated: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.n_repeated <= self.n_packets and 0.0 <= self.delay_s < inf):
            raise PlanError(
                f"a burst of {self.n_packets} packets, {self.n_repeated} of them repeated, leaves after {self.delay_s} s; a transport "
                "repeats at most what it sends, after a finite time"
            )


@runtime_checkable
class LinkTransport(Protocol):
    """Seam ``transports``: how packets get across one link."""

    def cross(self, n_packets: int, n_lost: Callable[[int], int], latency_s: float) -> Crossing:
        """Send packets over a link; `n_lost` draws how many of so many packets are lost."""


@runtime_checkable
class BatchLinkTransport(LinkTransport, Protocol):
    """What a transport of links may have besides, to be used by the array engine."""

    def cross_batch(
        self,
        n_packets: NDArray[np.int64],
        n_lost: Callable[[NDArray[np.int64], NDArray[np.bool_]], NDArray[np.int64]],
        latency_s: float,
    ) -> Crossings:
        """Send packets over a link in many replications, none where `n_packets` is 0; `n_lost` takes what is sent, and where."""


@runtime_checkable
class EndToEndTransport(Protocol):
    """Seam ``transports``: how sender and receiver of a message speak over all links between them."""

    def bursts(self, n_packets: int, round_trip_s: float) -> Generator[Burst, int, None]:
        """Yield what is sent next, given the number of packets of the last burst that were lost; end when done."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """Packets that an end-to-end transport sends together, in many replications: `Burst` with arrays, shape (n,); none where `n_packets` is 0.

    Parameters
    ----------
    n_packets, delay_s : as of `Burst`.
    after : position in `AFTER`.
    """

    n_packets: NDArray[np.int64]
    after: NDArray[np.int8]
    delay_s: NDArray[np.float64]


AFTER = ("acknowledged", "last_acknowledged", "sent")
"""What a burst waits for; see `Burst`."""


@runtime_checkable
class BatchEndToEndTransport(EndToEndTransport, Protocol):
    """What an end-to-end transport may have besides, to be used by the array engine."""

    def bursts_batch(self, n_packets: int, round_trip_s: float, n: int) -> Generator[Bursts, NDArray[np.int64], None]:
        """Yield what is sent next in n replications, given the numbers of packets of the last bursts that were lost; end when all are done."""


class Connection(Protocol):
    """One direction of a connection that messages use one after another."""

    is_broken: bool
    """Whether it was given up."""

    def bursts(
        self, n_packets: int, round_trip_s: float, *, is_new: bool, idle_s: float = 0.0
    ) -> Generator[Burst, int, None]:
        """Yield what is sent next of a message, as `EndToEndTransport.bursts`; `idle_s` is the time since the one before has left."""


@runtime_checkable
class PersistentTransport(EndToEndTransport, Protocol):
    """What an end-to-end transport may have besides, whose connections outlive a message."""

    def connection(self) -> Connection | None:
        """Return a new connection; None where each message has one of its own."""


Transport = LinkTransport | EndToEndTransport
