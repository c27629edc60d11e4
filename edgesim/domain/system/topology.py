"""Devices, links, media, and the topology they form."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from edgesim.domain.bounds import all_of, finite, named, not_negative, one_of, positive, whole
from edgesim.domain.system.routing import Routing, ShortestRoutes
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.interfaces import ChangingRate, Transport

Sharing = Literal["fifo", "fair"]
"""How a resource serves what asks for it together: in order of arrival, or all at once at fair rates."""
OnOutage = Literal["lost", "resume"]
"""What becomes of work that an outage interrupts: it is lost, or it goes on when the outage is over."""
Forwarding = Literal["store_and_forward", "cut_through"]
"""How `fifo` links pass a message on: when all of it has arrived, or each packet as soon as it has arrived."""

OPERATORS = ("conv", "depthwise", "linear", "other")
"""Operator classes: convolution, depthwise convolution, matrix product, and all that moves more data than it computes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Marks a plug-in's option as naming something of the topology, so that a scenario is checked before it runs.

    Parameters
    ----------
    kind : what is named; a ``target`` is a link when the text holds ``->``, else a device.
    is_pattern : whether the text is a pattern (`edgesim.domain.system.selection.is_selected`), which must match at least one id.
    """

    kind: Literal["device", "link", "target"]
    is_pattern: bool = False


DeviceId = Annotated[str, Reference("device")]
DeviceGlob = Annotated[str, Reference("device", is_pattern=True)]
LinkGlob = Annotated[str, Reference("link", is_pattern=True)]
TargetGlob = Annotated[str, Reference("target", is_pattern=True)]


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """What a class of devices can do.

    Parameters
    ----------
    name : name in the catalog.
    flop_per_s : sustained rate by operator class, in FLOP/s (one multiply-add is two FLOP).
    memory_bandwidth_byte_per_s : sustained memory bandwidth, in byte/s.
    layer_overhead_s : fixed time per layer (dispatch, cache warm-up), in s.
    memory_byte : memory that a network may use, in byte.
    idle_w, busy_w, transmit_w, receive_w : power of the whole device in each state, with one core or one link in use, in W.
    source : reference of the numbers, or ``"assumed"``.
    """

    name: str
    flop_per_s: Mapping[str, float]
    memory_bandwidth_byte_per_s: float
    layer_overhead_s: float
    memory_byte: int
    idle_w: float
    busy_w: float
    transmit_w: float
    receive_w: float
    source: str

    def __post_init__(self) -> None:
        named("a device profile", name=self.name)
        subject = f"device profile {self.name!r}"
        positive(
            subject, memory_bandwidth_byte_per_s=self.memory_bandwidth_byte_per_s, **_rates(subject, self.flop_per_s)
        )
        not_negative(
            subject, layer_overhead_s=self.layer_overhead_s, memory_byte=self.memory_byte, idle_w=self.idle_w, busy_w=self.busy_w,
            transmit_w=self.transmit_w, receive_w=self.receive_w,
        )  # fmt: skip


def _rates(subject: str, flop_per_s: Mapping[str, float]) -> dict[str, float]:
    """Return the rates of operator classes, each by the name under which a refusal shows it."""
    unknown = [name for name in flop_per_s if name not in OPERATORS]
    if unknown or not flop_per_s:
        raise PlanError(f"{subject} has flop_per_s of {unknown or 'nothing'}; expected some of {', '.join(OPERATORS)}")
    return {f"flop_per_s of {name}": rate for name, rate in flop_per_s.items()}


@dataclass(frozen=True, slots=True)
class Device:
    """A computing node.

    Parameters
    ----------
    device_id : distinct in the topology.
    profile : what it can do; its rates are those of one core.
    position_m : where it stands (x, y), in m, if that matters.
    n_cores : computations that run at the same time, each on one core.
    sharing : ``fifo`` gives a core to each computation in order of arrival; ``fair`` lets all run at once, each at
        min(1, cores / computations) of its speed (processor sharing).
    on_outage : what becomes of computations when the device goes down.
    """

    device_id: str
    profile: DeviceProfile
    position_m: tuple[float, float] | None = None
    n_cores: int = 1
    sharing: Sharing = "fifo"
    on_outage: OnOutage = "lost"

    def __post_init__(self) -> None:
        named("a device", device_id=self.device_id)
        subject = f"device {self.device_id!r}"
        whole(subject, 1, n_cores=self.n_cores)
        one_of(subject, Sharing, sharing=self.sharing)
        one_of(subject, OnOutage, on_outage=self.on_outage)
        if self.position_m is not None:
            x_m, y_m = self.position_m
            finite(subject, **{"position_m x": x_m, "position_m y": y_m})


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
    sharing : as of `Medium`, for a link with a channel of its own; with a medium, the medium's rule holds.
    transport : how packets get across, a plug-in of seam ``transports``; None: datagrams.
    on_outage : what becomes of messages when the link, or a device at its ends, goes down.
    rate_at : how its rate changes with time, a plug-in of seam ``rates``; None: it is always `bandwidth_bit_per_s`.
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
    sharing: Sharing = "fifo"
    transport: Transport | None = None
    on_outage: OnOutage = "lost"
    rate_at: ChangingRate | None = None

    def __post_init__(self) -> None:
        named("a link", link_id=self.link_id, src_id=self.src_id, dst_id=self.dst_id)
        subject = f"link {self.link_id!r}"
        if self.src_id == self.dst_id:
            raise PlanError(f"{subject} goes from {self.src_id!r} to itself; its ends must differ")
        positive(subject, bandwidth_bit_per_s=self.bandwidth_bit_per_s)
        not_negative(subject, latency_s=self.latency_s, message_overhead_s=self.message_overhead_s)
        whole(subject, 1, mtu_byte=self.mtu_byte)
        whole(subject, 0, header_byte=self.header_byte)
        one_of(subject, Sharing, sharing=self.sharing)
        one_of(subject, OnOutage, on_outage=self.on_outage)

    def n_packets(self, size_byte: int) -> int:
        """Return the number of packets of a message: ceil(size / mtu), at least 1."""
        return max(1, -(-size_byte // self.mtu_byte))

    def wire_byte(self, size_byte: int) -> int:
        """Return the bytes that a message puts on the link, headers included."""
        return size_byte + self.n_packets(size_byte) * self.header_byte

    def occupation_s(self, size_byte: int) -> float:
        """Return the time a message occupies the link: overhead + 8 wire bytes / bandwidth, in s."""
        return self.message_overhead_s + 8.0 * self.wire_byte(size_byte) / self.bandwidth_bit_per_s


@dataclass(frozen=True)
class Topology:
    """Devices and the links between them.

    Parameters
    ----------
    devices : at least one, with distinct ids.
    links : with distinct ids, between devices of the topology; at most one per direction of a pair.
    media : the shared channels that links name.
    forwarding : how `fifo` links pass messages on; over `fair` links a message holds its whole way at once.
    routing : which routes messages take.

    Raises
    ------
    PlanError
        When an id is used twice, a link names a device or medium that is not there, a route crosses a link that is not there, or rates
        change where packets are forwarded singly.
    """

    devices: tuple[Device, ...]
    links: tuple[Link, ...] = ()
    media: tuple[Medium, ...] = ()
    forwarding: Forwarding = "store_and_forward"
    routing: Routing = Routing()  # noqa: RUF009 - frozen
    _searches: dict[str, _Search | ShortestRoutes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        all_of("a topology", Device, devices=self.devices)
        all_of("a topology", Link, links=self.links)
        all_of("a topology", Medium, media=self.media)
        one_of("a topology", Forwarding, forwarding=self.forwarding)
        for kind, ids in (
            ("device", [device.device_id for device in self.devices]),
            ("link", [link.link_id for link in self.links]),
            ("medium", [medium.medium_id for medium in self.media]),
        ):
            twice = sorted({name for name in ids if ids.count(name) > 1}) if len(set(ids)) < len(ids) else []
            if twice:
                raise PlanError(f"{kind} id {twice[0]!r} is used twice; ids must be distinct")
        media = {medium.medium_id for medium in self.media}
        for link in self.links:
            for end in (link.src_id, link.dst_id):
                if end not in self.device_of:
                    raise PlanError(f"link {link.link_id!r} ends at {end!r}, which is not a device of the topology")
            if link.medium_id is not None and link.medium_id not in media:
                raise PlanError(f"link {link.link_id!r} names medium {link.medium_id!r}, which is not in the topology")
        rates = (*(link.rate_at for link in self.links), *(medium.rate_at for medium in self.media))
        if self.forwarding == "cut_through" and any(rate is not None for rate in rates):
            raise PlanError("forwarding 'cut_through' needs rates that do not change; use 'store_and_forward'")
        for route in self.routing.routes:
            self._along(route)

    @cached_property
    def device_of(self) -> dict[str, Device]:
        """The devices by id."""
        return {device.device_id: device for device in self.devices}

    @cached_property
    def links_from(self) -> dict[str, tuple[Link, ...]]:
        """The links that leave each device, ordered by the id of the device they lead to."""
        outgoing: dict[str, list[Link]] = {device.device_id: [] for device in self.devices}
        for link in self.links:
            outgoing[link.src_id].append(link)
        return {
            src: tuple(sorted(links, key=lambda link: (link.dst_id, link.link_id))) for src, links in outgoing.items()
        }

    @cached_property
    def medium_of(self) -> dict[str, Medium]:
        """The media by id."""
        return {medium.medium_id: medium for medium in self.media}

    def route(self, src_id: str, dst_id: str) -> tuple[Link, ...]:
        """Return the links from one device to another, as `routing` says; by default fewest hops, ties by the ids along the way.

        Raises
        ------
        PlanError
            When no route exists.
        """
        if src_id == dst_id:
            return ()
        own = self.routing.of(src_id, dst_id) if self.routing.routes else ()
        if own:
            return self._along(own)
        search = self._searches.get(src_id)
        if search is None:
            search = self._searches[src_id] = (
                _Search(src_id, deque([src_id]), self.links_from)
                if self.routing.metric == "hops"
                else ShortestRoutes(src_id, self.links_from, self.routing.ticks)
            )
        found = search.to(dst_id)
        if found is None:
            raise PlanError(f"no route from {src_id!r} to {dst_id!r}; add links that connect them")
        return found

    def _along(self, route: tuple[str, ...]) -> tuple[Link, ...]:
        """Return the links between the devices of a route of the user's own."""
        found = []
        for src_id, dst_id in pairwise(route):
            link = next((link for link in self.links_from.get(src_id, ()) if link.dst_id == dst_id), None)
            if link is None:
                raise PlanError(f"the route {' -> '.join(route)!r} needs a link from {src_id!r} to {dst_id!r}; add it")
            found.append(link)
        return tuple(found)


@dataclass(slots=True)
class _Search:
    """A breadth-first search that goes on only as far as it is asked: the last link of the route to each device, and what waits."""

    src_id: str
    queue: deque[str]
    links_from: Mapping[str, tuple[Link, ...]]
    last: dict[str, Link] = field(default_factory=dict)

    def to(self, dst_id: str) -> tuple[Link, ...] | None:
        """Return the links to another device, or None when no route leads there."""
        while dst_id not in self.last and self.queue:
            here = self.queue.popleft()
            for link in self.links_from[here]:  # in order of their ends, so that ties are deterministic
                if link.dst_id not in self.last and link.dst_id != self.src_id:
                    self.last[link.dst_id] = link
                    self.queue.append(link.dst_id)
        if dst_id not in self.last:
            return None
        links = []
        while dst_id != self.src_id:
            links.append(self.last[dst_id])
            dst_id = links[-1].src_id
        return tuple(reversed(links))
