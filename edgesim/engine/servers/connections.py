"""Connections that outlive a message: those between two devices are sent one after another, in each direction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from edgesim.domain.system.transport import PersistentTransport
from edgesim.engine.servers.message import Exchange
from edgesim.interfaces import is_kind

if TYPE_CHECKING:
    from edgesim.domain.system.transport import Connection
    from edgesim.engine.program.ways import Way
    from edgesim.engine.state.clock import Clock
    from edgesim.engine.state.request import Task

Ends = tuple[int, int]


class _Direction:
    """What is sent from one device to another: the message under way and those that wait for it."""

    __slots__ = ("connection", "exchange", "sent_s", "waiting")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.exchange: Exchange | None = None
        self.sent_s = -inf  # when the last message had left
        self.waiting: deque[tuple[Task, Way]] = deque()


class Connections:
    """The connections of one trial.

    Parameters
    ----------
    clock : of the trial.
    begin : called with an exchange whose first burst is to be sent, and since when it might have been, in s.
    """

    __slots__ = ("_begin", "_clock", "_directions", "_open")

    def __init__(self, clock: Clock, begin: Callable[[Exchange, float], None]) -> None:
        self._clock, self._begin = clock, begin
        self._directions: dict[Ends, _Direction | None] = {}  # None: each message has a connection of its own
        self._open: set[frozenset[int]] = set()

    def send(self, task: Task, way: Way) -> bool:
        """Send a message over the connection of its ends, behind those before it; False, and nothing is done, where there is none."""
        direction = self._direction(way)
        if direction is None:
            return False
        direction.waiting.append((task, way))
        if direction.exchange is None:
            self._next(direction, self._clock.now_s)
        return True

    def sent(self, exchange: Exchange, moment_s: float) -> None:
        """Take note that the last burst of a message leaves its sender at a moment, or that it was given up: the next one begins then."""
        direction = self._directions.get(_ends(exchange.way))
        if direction is not None and direction.exchange is exchange:
            direction.sent_s = moment_s
            if direction.connection.is_broken:
                self._reset(direction, exchange.way)
            self._clock.after(max(0.0, moment_s - self._clock.now_s), self._on_sent, direction)

    def ended(self, exchange: Exchange) -> None:
        """Take note that nothing of a message is under way any more; one that was not sent to its end broke the connection."""
        direction = self._directions.get(_ends(exchange.way))
        if direction is not None and direction.exchange is exchange and exchange.is_cut:
            self._reset(direction, exchange.way)
            direction.sent_s = self._clock.now_s
            self._on_sent(direction)

    def _direction(self, way: Way) -> _Direction | None:
        ends = _ends(way)
        if ends not in self._directions:
            transport = way.transport
            connection = transport.connection() if is_kind(transport, PersistentTransport) else None
            self._directions[ends] = None if connection is None else _Direction(connection)
        return self._directions[ends]

    def _reset(self, direction: _Direction, way: Way) -> None:
        """Let the next message open a new connection."""
        self._open.discard(frozenset(_ends(way)))
        if is_kind(way.transport, PersistentTransport):
            direction.connection = way.transport.connection() or direction.connection

    def _on_sent(self, direction: _Direction) -> None:
        direction.exchange = None
        if direction.waiting:
            self._next(direction, direction.sent_s)

    def _next(self, direction: _Direction, since_s: float) -> None:
        """Begin with the message that waits first."""
        task, way = direction.waiting.popleft()
        ends = frozenset(_ends(way))
        idle_s = max(0.0, self._clock.now_s - direction.sent_s)
        bursts = direction.connection.bursts(
            way.n_packets, way.round_trip_s, is_new=ends not in self._open, idle_s=idle_s if idle_s < inf else 0.0
        )
        self._open.add(ends)
        direction.exchange = exchange = Exchange(task, way, bursts)
        self._begin(exchange, since_s)


def _ends(way: Way) -> Ends:
    return way.stages[0].hops[0].src, way.stages[-1].hops[-1].dst
