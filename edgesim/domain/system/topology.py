"""Devices, links, media, and the topology they form."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from edgesim.domain.bounds import all_of, one_of
from edgesim.domain.system.devices import (
    OPERATORS,
    Cores,
    Device,
    DeviceGlob,
    DeviceId,
    DeviceProfile,
    HostOverhead,
    LinkGlob,
    LinkSharing,
    OnOutage,
    Reference,
    Sharing,
    TargetGlob,
)  # fmt: skip
from edgesim.domain.system.links import Link, Medium
from edgesim.domain.system.routing import Routing, ShortestRoutes
from edgesim.domain.system.switches import Switch
from edgesim.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "OPERATORS", "Cores", "Device", "DeviceGlob", "DeviceId", "DeviceProfile", "Forwarding", "HostOverhead", "Link", "LinkGlob", "LinkSharing", "Medium", "OnOutage",
    "Reference", "Sharing", "Switch", "TargetGlob", "Topology",
]  # fmt: skip

Forwarding = Literal["store_and_forward", "cut_through"]
"""How `fifo` links pass a message on: when all of it has arrived, or each packet as soon as it has arrived."""


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
    switches : what links join besides devices.

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
    switches: tuple[Switch, ...] = ()
    _searches: dict[str, _Search | ShortestRoutes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        all_of("a topology", Device, devices=self.devices)
        all_of("a topology", Link, links=self.links)
        all_of("a topology", Medium, media=self.media)
        all_of("a topology", Switch, switches=self.switches)
        one_of("a topology", Forwarding, forwarding=self.forwarding)
        self._check_ids()
        self._check_ends()
        rates = (*(link.rate_at for link in self.links), *(medium.rate_at for medium in self.media))
        if self.forwarding == "cut_through" and any(rate is not None for rate in rates):
            raise PlanError("forwarding 'cut_through' needs rates that do not change; use 'store_and_forward'")
        if self.forwarding == "cut_through" and any(link.burst_byte > 0 for link in self.links):
            raise PlanError("forwarding 'cut_through' needs links without a burst_byte; use 'store_and_forward'")
        for route in self.routing.routes:
            self._along(route)

    def _check_ids(self) -> None:
        for kind, ids in (
            ("device", [*(one.device_id for one in self.devices), *(one.switch_id for one in self.switches)]),
            ("link", [link.link_id for link in self.links]),
            ("medium", [medium.medium_id for medium in self.media]),
        ):
            twice = sorted({name for name in ids if ids.count(name) > 1}) if len(set(ids)) < len(ids) else []
            if twice:
                raise PlanError(f"{kind} id {twice[0]!r} is used twice; ids must be distinct")

    def _check_ends(self) -> None:
        media, ends = {medium.medium_id for medium in self.media}, {*self.device_of, *self.switch_of}
        neighbours: dict[str, set[str]] = {name: set() for name in self.switch_of}
        for link in self.links:
            for end in (link.src_id, link.dst_id):
                if end not in ends:
                    raise PlanError(f"link {link.link_id!r} ends at {end!r}, which is not a device of the topology")
            for end, other in ((link.src_id, link.dst_id), (link.dst_id, link.src_id)) if neighbours else ():
                if end in neighbours:
                    neighbours[end].add(other)
            if link.medium_id is not None and link.medium_id not in media:
                raise PlanError(f"link {link.link_id!r} names medium {link.medium_id!r}, which is not in the topology")
        for switch in self.switches:
            if switch.n_ports is not None and len(neighbours[switch.switch_id]) > switch.n_ports:
                raise PlanError(
                    f"switch {switch.switch_id!r} has {switch.n_ports} ports, and links to {len(neighbours[switch.switch_id])} neighbours"
                )

    @cached_property
    def device_of(self) -> dict[str, Device]:
        """The devices by id."""
        return {device.device_id: device for device in self.devices}

    @cached_property
    def switch_of(self) -> dict[str, Switch]:
        """The switches by id."""
        return {switch.switch_id: switch for switch in self.switches}

    @cached_property
    def links_from(self) -> dict[str, tuple[Link, ...]]:
        """The links that leave each device or switch, ordered by the id of the device they lead to."""
        outgoing: dict[str, list[Link]] = {name: [] for name in (*self.device_of, *self.switch_of)}
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

        Examples
        --------
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> devices = tuple(Device(name, profile) for name in "abc")
        >>> topology = Topology(devices, (Link("ab", "a", "b", 1e6), Link("bc", "b", "c", 1e6)))
        >>> [link.link_id for link in topology.route("a", "c")]
        ['ab', 'bc']
        >>> topology.route("c", "a")
        Traceback (most recent call last):
            ...
        edgesim.errors.PlanError: no route from 'c' to 'a'; add links that connect them
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

    def route_around(self, src_id: str, dst_id: str, down: frozenset[str]) -> tuple[Link, ...] | None:
        """Return the best route by the metric of `routing` over links, switches and devices that are not `down`; None when there is none.

        Examples
        --------
        Two ways around a square.

        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> ways = [Link(f"{one}{other}", one, other, 1e6) for one, other in ("ab", "bd", "ac", "cd")]
        >>> square = Topology(tuple(Device(name, profile) for name in "abcd"), tuple(ways))
        >>> [[link.link_id for link in square.route_around("a", "d", frozenset(down))] for down in ((), ("bd",), ("b",))]
        [['ab', 'bd'], ['ac', 'cd'], ['ac', 'cd']]
        """
        avoided = down - {src_id, dst_id}
        up = {
            name: tuple(link for link in links if link.link_id not in avoided and link.dst_id not in avoided)
            for name, links in self.links_from.items()
        }
        return ShortestRoutes(src_id, up, self.routing.ticks).to(dst_id)

    def without(self, device_ids: Collection[str]) -> Topology:
        """Return the topology without some devices, their links, and the routes of your own through them.

        Examples
        --------
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> devices = tuple(Device(name, profile) for name in "abc")
        >>> left = Topology(devices, (Link("ab", "a", "b", 1e6), Link("bc", "b", "c", 1e6))).without({"c"})
        >>> list(left.device_of), [link.link_id for link in left.links]
        (['a', 'b'], ['ab'])
        """
        gone = set(device_ids)
        return replace(
            self,
            devices=tuple(device for device in self.devices if device.device_id not in gone),
            links=tuple(link for link in self.links if not gone & {link.src_id, link.dst_id}),
            routing=replace(
                self.routing, routes=tuple(route for route in self.routing.routes if not gone & set(route))
            ),
        )

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
