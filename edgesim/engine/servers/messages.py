"""Messages under way, and how they pass from stage to stage.

A message passes the stages of its way one after another: `edgesim.engine.servers.fifo`, `edgesim.engine.servers.fair` and
`edgesim.engine.servers.packets` say how. With an
end-to-end transport it goes in bursts, each of which is a message here, and the transport says when the next one leaves.

Most messages cross one `fifo` link, as a whole or not at all (`edgesim.engine.program.ways.Line`). They are no objects: the
link's time is taken, and the arrival planned (`FifoStages.cross`). With checks, and where packets are lost, every message goes the full way, and so does one that
meets an outage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgesim.domain.plan import Transfer
from edgesim.engine.program.ways import Line, Way
from edgesim.engine.servers.connections import Connections
from edgesim.engine.servers.fair import FairStages
from edgesim.engine.servers.fifo import FifoStages
from edgesim.engine.servers.losses import GivenLosses, Losses
from edgesim.engine.servers.message import Exchange, Message
from edgesim.engine.servers.packets import PacketStages
from edgesim.engine.state.outages import Detours
from edgesim.engine.state.request import Task
from edgesim.engine.state.world import World

_WHOLE = 1 - 1e-9  # shares of packets are ratios of whole numbers; rounding must not lose a message


class Carrier:
    """Carries the messages of a trial.

    Parameters
    ----------
    world : the trial's surroundings.
    losses : what loses packets.
    on_whole : called with the task of a message that arrived as a whole.
    on_part : called with the task of another one, and the share of the packets that arrived; no more will come.
    """

    def __init__(
        self,
        world: World,
        losses: Losses | GivenLosses,
        on_whole: Callable[[Task], None],
        on_part: Callable[[Task, float], None],
    ) -> None:
        self._world = world
        self._clock = world.clock
        self._ways = world.program.steps.ways
        self._steps = world.program.steps.step
        self._losses = losses or None
        self._on_whole = on_whole
        self._on_part = on_part
        self.fifo = FifoStages(world, self._on_arrival, on_whole, self._on_nothing, self._go_on, losses=self._losses)
        self.lines = self._lines()

    def begin(self) -> None:
        """Go on to the trial that the world has begun."""
        world = self._world
        detours = world.program.detours
        self._detours = None if detours is None or not world.has_outages else Detours(detours, world.downtimes)
        self.fifo.begin()
        self._fair = FairStages(world, self._on_arrival, self._go_on)
        self._connections = Connections(world.clock, self._begin)
        self._by_packets = PacketStages(world, self._on_arrival)
        if self._losses is not None:
            self._losses.begin()

    def _lines(self) -> Sequence[Line | None]:
        """Return the lines of the messages that can only be lost as a whole, or meet an outage."""
        world, losses = self._world, self._losses
        lines = world.program.steps.lines
        if world.checker is not None or world.spending is not None or world.program.steps.host_costs:
            return (None,) * len(lines)
        if losses is None:
            return lines
        return [None if line is None or not losses.is_whole(line[-1].link) else line for line in lines]

    def send(self, task: Task) -> None:
        """Send the message of a transfer; where it has a line, `fifo.cross` is tried before."""
        way = self._ways[task[1]]
        if way is None:
            return
        step = self._steps[task[1]]
        if self._detours is not None and isinstance(step, Transfer):
            way = self._detours.way(task[1], step, way, self._clock.now_s)
        if way.transport is None:
            self._launch(Message(task, way, 1.0, None))
            return
        if not self._connections.send(task, way):
            bursts = way.transport.bursts(way.n_packets, way.round_trip_s)
            self._begin(Exchange(task, way, bursts), self._clock.now_s)

    def _begin(self, exchange: Exchange, since_s: float) -> None:
        """Plan the first burst of an exchange, which might have begun at a moment in the past."""
        now_s = self._clock.now_s
        moment_s = since_s + exchange.burst.delay_s
        exchange.lead_s = max(0.0, now_s - moment_s)
        self._clock.after(
            exchange.burst.delay_s if since_s == now_s else max(0.0, moment_s - now_s), self._on_burst, exchange
        )

    def close(self) -> None:
        """End the trial: count what fair transfers have sent."""
        self._fair.close()

    def _launch(self, message: Message) -> None:
        """Draw what becomes of the packets, and let the message enter its first stage."""
        if self._losses is not None:
            message.passages = self._losses.draw(message.way, message.share, message.request, message.index)
        self._enter(message)

    def _enter(self, message: Message) -> None:
        """Let a message enter the stage at which it stands."""
        stage = message.stage
        if stage.is_by_packets:
            self._by_packets.enter(message)
        else:
            (self._fair if stage.is_fair else self.fifo).enter(message)

    def _on_arrival(self, message: Message) -> None:
        """Pass a message on to its next stage, or hand over what is left of it."""
        message.position += 1
        stages, share = message.way.stages, message.share
        if message.position < len(stages) and share > 0.0:
            message.stage = stages[message.position]
            message.done, message.started_s = 0.0, -1.0
            self._enter(message)
            return
        exchange = message.exchange
        if exchange is not None:
            exchange.n_open -= 1
            exchange.received += share
            if exchange.n_open > 0 or not exchange.is_over:
                return
            self._connections.ended(exchange)
            share = exchange.received
        if share > _WHOLE:
            self._on_whole(message.task)
        else:
            self._on_part(message.task, share)

    def _on_nothing(self, task: Task) -> None:
        self._on_part(task, 0.0)

    def _on_burst(self, exchange: Exchange) -> None:
        """Send the next burst of an exchange."""
        if exchange.is_over:
            return
        exchange.n_open += 1
        exchange.task[0].n_retransmitted += exchange.burst.n_repeated
        message = Message(exchange.task, exchange.way, exchange.burst.n_packets / exchange.way.n_packets, exchange)
        message.lead_s = exchange.lead_s
        self._launch(message)

    def _go_on(self, message: Message, start_s: float, end_s: float) -> None:
        """Plan the next burst, given when the present one begins and ends to leave the sender."""
        exchange = message.exchange
        if exchange is None or exchange.is_over or message.position > 0:
            return
        way, sent = exchange.way, exchange.burst
        share = message.share if message.passages is None else message.passages[-1].received
        try:
            burst = exchange.burst = exchange.bursts.send(sent.n_packets - round(share * way.n_packets))
        except StopIteration:
            exchange.is_over = True
            self._connections.sent(exchange, end_s)
            return
        moment_s = end_s + burst.delay_s
        if burst.after == "acknowledged":
            moment_s = max(end_s, start_s + self._first_packet_s(way, start_s) + way.round_trip_s) + burst.delay_s
        elif burst.after == "last_acknowledged":
            moment_s += way.round_trip_s
        now_s = self._clock.now_s
        exchange.lead_s = max(0.0, now_s - moment_s)
        self._clock.after(max(moment_s, now_s) - now_s, self._on_burst, exchange)

    def _first_packet_s(self, way: Way, start_s: float) -> float:
        """Return the time of the first packet of a burst over all hops, without latency, in s."""
        paces = self._world.paces
        if not paces:
            return way.packet_s
        now_s, waited_s = start_s, 0.0
        for hop in (hop for stage in way.stages for hop in stage.hops):
            pace = paces.get(hop.link.link_id)
            here_s = hop.packet_s if pace is None else pace.end_s(now_s, hop.packet_s) - now_s
            waited_s += here_s
            now_s += here_s + hop.link.latency_s
        return waited_s
