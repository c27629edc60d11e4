"""The table of channels of a program, and the ways of its messages over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesim.domain.plan import Transfer
from edgesim.domain.system.topology import Link, Topology
from edgesim.engine.program.ways import Channel, Hop, Way, is_changing, way_of


@dataclass(frozen=True, slots=True)
class ChannelTable:
    """The media and links that messages occupy; positions are the channel indices of a program.

    Parameters
    ----------
    channel : the channels.
    medium_links : ids of the links that messages cross and that share a medium.
    changing : the links whose rate changes with time, each in one of the hops that cross it.
    """

    channel: tuple[Channel, ...]
    medium_links: tuple[str, ...]
    changing: tuple[Hop, ...]


class Crossings:
    """Finds how messages get across, and numbers the channels and the links of media as it meets them.

    Parameters
    ----------
    topology : whose.
    routes : of each transfer, by step id.
    device_index : of each device on them, by device id.
    """

    def __init__(
        self, topology: Topology, routes: Mapping[str, tuple[Link, ...]], device_index: Mapping[str, int]
    ) -> None:
        self._topology, self._routes, self._device_index = topology, routes, device_index
        self._index: dict[str, int] = {}
        self.channels: list[Channel] = []
        self._medium_links: dict[str, int] = {}
        self._times_s: dict[float, float] = {}  # equal ones as one object
        self._made: dict[tuple[str, str, int], tuple[tuple[Hop, ...], Way]] = {}  # equal messages share them
        self._around: dict[tuple[str, str, int, frozenset[str]], Way | None] = {}  # and so those that take other routes
        self.links: tuple[Hop, ...] = ()  # every link of the topology, where messages may take other routes

    def of(self, transfer: Transfer) -> tuple[tuple[Hop, ...], Way]:
        """Return the hops of a message, and how it crosses them."""
        key = (transfer.src_id, transfer.dst_id, transfer.size_byte)
        if key not in self._made:
            self._made[key] = self._over(self._routes[transfer.step_id], transfer.size_byte)
        return self._made[key]

    def meet_all(self) -> None:
        """Number every channel of the topology, so that messages may take other routes later."""
        self.links = tuple(self._hop(link, 0) for link in self._topology.links)

    def around(self, transfer: Transfer, down: frozenset[str]) -> Way | None:
        """Return how a message gets across without the links, switches and devices that are down; None when it does not."""
        key = (transfer.src_id, transfer.dst_id, transfer.size_byte, down)
        if key not in self._around:
            route = self._topology.route_around(transfer.src_id, transfer.dst_id, down)
            self._around[key] = self._over(route, transfer.size_byte)[1] if route else None
        return self._around[key]

    def _over(self, route: tuple[Link, ...], size_byte: int) -> tuple[tuple[Hop, ...], Way]:
        """Return the hops of a message over a route, and how it crosses them."""
        hops = tuple(self._hop(link, size_byte) for link in route)
        return hops, way_of(hops, self.channels, is_cut_through=self._topology.forwarding == "cut_through")

    def table(self) -> ChannelTable:
        """Return the channels that were met."""
        hops = (*(hop for hops, _ in self._made.values() for hop in hops), *self.links)
        changing = {hop.link.link_id: hop for hop in hops if is_changing(hop, self.channels)}
        return ChannelTable(tuple(self.channels), tuple(self._medium_links), tuple(changing.values()))

    def _hop(self, link: Link, size_byte: int) -> Hop:
        switch = self._topology.switch_of.get(link.src_id)
        time_s = link.occupation_s(size_byte)
        return Hop(
            link, self._channel(link), self._device_index[link.src_id], self._device_index[link.dst_id],
            self._times_s.setdefault(time_s, time_s), link.wire_byte(size_byte), link.n_packets(size_byte),
            self._medium_links.setdefault(link.link_id, len(self._medium_links)) if link.medium_id else -1,
            None if switch is None else switch.queue_byte, link.back_byte(size_byte),
        )  # fmt: skip

    def _channel(self, link: Link) -> int:
        """Return the index of the channel of a link."""
        name = f"medium {link.medium_id}" if link.medium_id else f"link {link.link_id}"
        index = self._index.setdefault(name, len(self.channels))
        if index == len(self.channels):
            self.channels.append(self._made_channel(link))
        return index

    def _made_channel(self, link: Link) -> Channel:
        if not link.medium_id:
            return Channel(link.link_id, False, link.sharing == "fair", is_by_packets=link.sharing == "fifo_packets")
        medium = self._topology.medium_of[link.medium_id]
        return Channel(medium.medium_id, True, medium.sharing == "fair", medium.contention, medium.rate_at)
