"""Devices, links, media, and the topology they form."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATORS = ("conv", "depthwise", "linear", "other")
"""Operator classes: convolution, depthwise convolution, matrix product, and all that moves more data than it computes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Marks a plug-in's option as naming something of the topology, so that a scenario is checked before it runs.

    Parameters
    ----------
    kind : what is named.
    is_pattern : whether the text is a glob pattern (`fnmatch.fnmatchcase`), which must match at least one id.
    """

    kind: Literal["device", "link"]
    is_pattern: bool = False


DeviceId = Annotated[str, Reference("device")]
DeviceGlob = Annotated[str, Reference("device", is_pattern=True)]
LinkGlob = Annotated[str, Reference("link", is_pattern=True)]


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
    idle_w, busy_w, transmit_w, receive_w : power of the whole device in each state, in W.
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


@dataclass(frozen=True, slots=True)
class Device:
    """A computing node: its id, its profile, and where it stands (x, y in m) if that matters."""

    device_id: str
    profile: DeviceProfile
    position_m: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Medium:
    """A channel that several links share, e.g. a Wi-Fi cell: one message is in the air at a time, first come, first served."""

    medium_id: str


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

    Raises
    ------
    PlanError
        When an id is used twice, or a link names a device or medium that is not there.
    """

    devices: tuple[Device, ...]
    links: tuple[Link, ...] = ()
    media: tuple[Medium, ...] = ()
    _routes: dict[str, dict[str, tuple[Link, ...]]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
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

    def route(self, src_id: str, dst_id: str) -> tuple[Link, ...]:
        """Return the links from one device to another: fewest hops, ties by the ids along the way.

        Raises
        ------
        PlanError
            When no route exists.
        """
        if src_id == dst_id:
            return ()
        routes = self._routes.get(src_id)
        if routes is None:
            routes = self._routes[src_id] = self._routes_from(src_id)
        if dst_id not in routes:
            raise PlanError(f"no route from {src_id!r} to {dst_id!r}; add links that connect them")
        return routes[dst_id]

    def _routes_from(self, src_id: str) -> dict[str, tuple[Link, ...]]:
        """Breadth-first search; neighbours in order of their ids make the ties deterministic."""
        routes: dict[str, tuple[Link, ...]] = {src_id: ()}
        queue = deque([src_id])
        while queue:
            here = queue.popleft()
            for link in self.links_from[here]:
                if link.dst_id not in routes:
                    routes[link.dst_id] = (*routes[here], link)
                    queue.append(link.dst_id)
        return routes
