"""Which of several routes messages take: fewest hops, least latency, or the shortest time of a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Annotated, Literal

from edgesim.errors import PlanError
from edgesim.units import Quantity

if TYPE_CHECKING:
    from edgesim.domain.system.links import Link

Metric = Literal["hops", "latency", "transfer"]
_TICKS_PER_S = 1e15
"""Times are added as whole numbers of femtoseconds, so that rounding decides no tie."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Which route messages take from one device to another; it is the same during a whole study (static routing), but for `reroute`.

    Ties go to fewer hops, then to the ids of the devices along the way.

    Parameters
    ----------
    metric : what a route has least of: ``hops``, links; ``latency``, the sum of the latencies of its links; ``transfer``, the time in
        which a message of size `message_byte` crosses its links one after another, when nothing else is sent, at their `bandwidth`.
    message_byte : the size of that message.
    routes : routes of your own, each the list of all devices on it; they hold for their first and last device, in this direction.
    reroute : whether a message whose route has a link, a switch or a device between its ends that is down when it is sent takes the best route over what is
        up then. It is known at once what is down, and a message under way goes on as it began; without another route it takes its own.
    """

    metric: Metric = "hops"
    message_byte: Annotated[int, Quantity("byte", minimum=1)] = 10_000
    routes: tuple[tuple[str, ...], ...] = ()
    reroute: bool = False

    def __post_init__(self) -> None:
        known: set[tuple[str, str]] = set()
        for route in self.routes:
            if len(route) < 2 or len(set(route)) < len(route):
                raise PlanError(f"the route {' -> '.join(route)!r} is none; list two devices or more, each once")
            if (route[0], route[-1]) in known:
                raise PlanError(f"two routes lead from {route[0]!r} to {route[-1]!r}; give one")
            known.add((route[0], route[-1]))

    def of(self, src_id: str, dst_id: str) -> tuple[str, ...]:
        """Return the devices of the route of your own from one device to another, empty without one.

        Examples
        --------
        >>> Routing(routes=(("a", "b", "c"),)).of("a", "c"), Routing(routes=(("a", "b", "c"),)).of("c", "a")
        (('a', 'b', 'c'), ())
        """
        return next((route for route in self.routes if (route[0], route[-1]) == (src_id, dst_id)), ())

    def ticks(self, link: Link) -> int:
        """Return what a link adds to the length of a route, in femtoseconds; 0 where only hops count.

        Examples
        --------
        >>> from edgesim.domain.system.links import Link
        >>> link = Link("a->b", "a", "b", 8e6, latency_s=0.001)  # 1,000 byte take 1 ms more
        >>> [Routing(metric, 1000).ticks(link) for metric in ("hops", "latency", "transfer")]
        [0, 1000000000000, 2000000000000]
        """
        if self.metric == "hops":
            return 0
        time_s = link.latency_s + (link.occupation_s(self.message_byte) if self.metric == "transfer" else 0.0)
        return round(time_s * _TICKS_PER_S)


def transfer_s(route: tuple[Link, ...], size_byte: int) -> float:
    """Return the time in which a message crosses the links of a route one after another, in s.

    Examples
    --------
    >>> from edgesim.domain.system.links import Link
    >>> transfer_s((Link("a->b", "a", "b", 8e3, 0.5), Link("b->c", "b", "c", 16e3)), 1000)  # 0.5 + 1 and 0.5
    2.0
    """
    return sum(link.latency_s + link.occupation_s(size_byte) for link in route)


class ShortestRoutes:
    """The shortest routes from one device, searched only as far as they are asked for (E. W. Dijkstra, 1959).

    Parameters
    ----------
    src_id : where they begin.
    links_from : the links that leave each device.
    ticks : what a link adds to the length of a route, at least 0.

    Examples
    --------
    Two short links are faster than the long one.

    >>> from edgesim.domain.system.links import Link
    >>> ab, bc, ac = Link("ab", "a", "b", 1e6, 0.001), Link("bc", "b", "c", 1e6, 0.001), Link("ac", "a", "c", 1e6, 0.003)
    >>> search = ShortestRoutes("a", {"a": (ab, ac), "b": (bc,), "c": ()}, Routing("latency").ticks)
    >>> [link.link_id for link in search.to("c")]
    ['ab', 'bc']
    """

    def __init__(self, src_id: str, links_from: Mapping[str, tuple[Link, ...]], ticks: Callable[[Link], int]) -> None:
        self._links_from = links_from
        self._ticks = ticks
        self._length: dict[str, tuple[int, int]] = {src_id: (0, 0)}  # ticks and hops
        self._last: dict[str, Link] = {}
        self._queue: list[tuple[tuple[int, int], str]] = [((0, 0), src_id)]

    def to(self, dst_id: str) -> tuple[Link, ...] | None:
        """Return the links to another device, or None when no route leads there."""
        while self._queue and not self._is_found(dst_id):
            length, here = heappop(self._queue)
            if length == self._length[here]:
                for link in self._links_from[here]:
                    self._try(link, (length[0] + self._ticks(link), length[1] + 1))
        return self._route(dst_id) if dst_id in self._last else None

    def _is_found(self, dst_id: str) -> bool:
        """Say whether what waits can only lead to longer routes."""
        (ticks, hops), _ = self._queue[0]
        return self._length.get(dst_id, (inf, 0)) < (ticks, hops + 1)

    def _try(self, link: Link, length: tuple[int, int]) -> None:
        """Take a link as the last one of a route, if that is the best one so far."""
        known = self._length.get(link.dst_id)
        if known is None or length < known:
            heappush(self._queue, (length, link.dst_id))
        elif length > known or link.dst_id not in self._last or self._ids(link) >= self._ids(self._last[link.dst_id]):
            return
        self._length[link.dst_id] = length
        self._last[link.dst_id] = link

    def _ids(self, last: Link) -> list[str]:
        return [link.src_id for link in (*self._route(last.src_id), last)]

    def _route(self, dst_id: str) -> tuple[Link, ...]:
        links = []
        while dst_id in self._last:
            links.append(self._last[dst_id])
            dst_id = links[-1].src_id
        return tuple(reversed(links))
