"""When the requests of a trial are released: at given moments, at random, or when earlier ones have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import inf

from edgesim.domain.load import ends
from edgesim.engine.state.clock import Clock
from edgesim.errors import SimulationError
from edgesim.interfaces import ClosedArrivals, OpenArrivals
from edgesim.rng import ReplicationStreams

_MOST_AT_ONCE = 100_000  # releases in a row by which no time passes, after which something is wrong


class Releases:
    """Releases the requests of a trial.

    Parameters
    ----------
    times_s : numbers and moments of the requests in order of time, for open arrivals, in s.
    clients, thinks_s : for closed arrivals: number of clients, and their times between requests, in s.
    n_most : number of requests after which no more come.
    """

    __slots__ = ("_clients", "_clock", "_left", "_n_at_once", "_n_planned", "_n_waiting", "_release", "_thinks_s",
                 "_times_s")  # fmt: skip

    def __init__(
        self, times_s: Iterator[tuple[int, float]], clients: int, thinks_s: Iterator[float], n_most: float
    ) -> None:
        self._times_s = times_s
        self._clients = clients
        self._thinks_s = thinks_s
        self._left = n_most
        self._n_planned = 0
        self._n_waiting = 0
        self._n_at_once = 0

    @property
    def is_open(self) -> bool:
        """Whether a release is still to come."""
        return self._n_waiting > 0

    def begin(self, clock: Clock, release: Callable[[int], None]) -> None:
        """Plan the first release, or the first of every client; `release` is called with the number of each request."""
        self._clock = clock
        self._release = release
        if self._clients == 0:
            self._plan_next()
        for _ in range(self._clients):
            self._plan(self._n_planned, self._clock.now_s)

    def ended(self) -> None:
        """Let the client of a request that has ended ask again."""
        if self._clients > 0:
            self._plan(self._n_planned, self._clock.now_s + next(self._thinks_s))

    def _plan_next(self) -> None:
        number, moment_s = next(self._times_s, (-1, inf))
        if moment_s < inf:
            now_s = self._clock.now_s
            if moment_s < now_s:
                raise SimulationError(f"releases are not in order: one at {moment_s} s comes after {now_s} s")
            self._plan(number, moment_s)

    def _plan(self, number: int, moment_s: float) -> None:
        if self._left > 0:
            self._left -= 1
            self._n_waiting += 1
            self._n_planned += 1
            self._clock.at(moment_s, self._on_release, (number, self._clock.now_s))

    def _on_release(self, planned: tuple[int, float]) -> None:
        number, planned_s = planned
        self._n_waiting -= 1
        self._n_at_once = self._n_at_once + 1 if planned_s == self._clock.now_s else 0
        if self._n_at_once > _MOST_AT_ONCE and self._left == inf:
            raise SimulationError(
                f"{_MOST_AT_ONCE} requests are released without any time passing; limit their "
                "number, or let clients think between them"
            )
        if self._clients == 0:
            self._plan_next()
        self._release(number)


def plan_releases(
    releases_s: Iterable[float],
    arrivals: OpenArrivals | ClosedArrivals | None,
    n_requests: int | None,
    horizon_s: float,
    streams: ReplicationStreams | None,
) -> Releases:
    """Return what releases the requests of a trial.

    Raises
    ------
    SimulationError
        When arrivals have no streams to draw from, or would never end.
    """
    n_most = inf if n_requests is None else n_requests
    nothing: Iterator[float] = iter(())
    if arrivals is None:
        ordered = sorted(enumerate(releases_s), key=lambda item: item[1])
        return Releases(iter(ordered), 0, nothing, n_most)
    if streams is None:
        raise SimulationError("arrivals draw at random; pass the streams of the replication")
    if n_most == horizon_s == inf and not ends(arrivals):
        raise SimulationError("these arrivals never end; give a number of requests or a horizon")
    scope = streams.scope("arrivals")
    if isinstance(arrivals, ClosedArrivals):
        return Releases(iter(()), arrivals.clients, arrivals.thinks_s(scope), n_most)
    return Releases(enumerate(arrivals.releases_s(scope)), 0, nothing, n_most)
