"""Messages under way, and how they pass from stage to stage.

A message passes the stages of its way one after another: `edgesim.engine.servers.fifo` and `edgesim.engine.servers.fair` say how. With an
end-to-end transport it goes in bursts, each of which is a message here, and the transport says when the next one leaves.

Most messages cross one `fifo` link, and nothing can happen to them there (`edgesim.engine.program.ways.Line`). They are no objects: the
link's time is taken, and the arrival planned (`FifoStages.cross`). With losses, outages or checks every message goes the full way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import floor, inf

from edgesim.domain.system.transport import Burst
from edgesim.engine.program.ways import Hop, Stage, Way
from edgesim.engine.servers.fair import FairStages
from edgesim.engine.servers.fifo import FifoStages
from edgesim.engine.servers.losses import GivenLosses, Losses, Passage
from edgesim.engine.state.pace import Leg
from edgesim.engine.state.request import Task
from edgesim.engine.state.world import World

_WHOLE = 1 - 1e-9  # shares of packets are ratios of whole numbers; rounding must not lose a message
_BYTE_ROUNDING = 1e-6


class Message:
    """A message, or a burst of one, under way.

    Parameters
    ----------
    task : the request and the step of the plan.
    way : its way.
    share : share of the packets of the transfer that it carries.
    talk : the conversation that it is a burst of, or None.
    """

    __slots__ = ("done", "index", "lead_s", "leg", "pace", "passages", "position", "request", "share", "stage", "started_s", "tail_s",
                 "talk", "task", "way")  # fmt: skip

    def __init__(self, task: Task, way: Way, share: float, talk: Talk | None) -> None:
        self.task = task
        self.request, self.index = task
        self.way = way
        self.share = share
        self.talk = talk
        self.position = 0
        self.stage = way.stages[0]  # the one at which it stands
        self.passages: list[Passage] | None = None
        self.done = 0.0  # share of the present stage that was sent before an outage
        self.started_s = -1.0  # when the present stage began
        self.leg: Leg | None = None  # what is left of it on a `fifo` link whose rate changes
        self.lead_s = 0.0  # how much earlier than now it was sent, since a fair stage tells its end at the receiver
        self.tail_s = -inf  # with cut-through: when its last packet will be here
        self.pace = 1.0  # with cut-through: share of the time on a link in which it is sent, since packets come slower

    def passages_of(self, stage: Stage) -> list[Passage]:
        """Return what was drawn for each hop of a stage."""
        if self.passages is None:
            return [Passage(self.share, self.share, 0.0)] * len(stage.hops)
        return self.passages[stage.first_hop : stage.first_hop + len(stage.hops)]

    def count(self, hop: Hop, kind: int, share: float, done: float) -> None:
        """Count the bytes that it puts on a link between `self.done` and `done` of the hop, `share` of the packets being all."""
        whole_byte = hop.wire_byte * share
        n_byte = int(whole_byte * done + _BYTE_ROUNDING) - int(whole_byte * self.done + _BYTE_ROUNDING)
        self.request.traffic_byte[kind] += n_byte

    def keep(self, hop: Hop, share: float, done: float) -> None:
        """Let only the whole packets go on of those that came through, since an outage took the others.

        Parameters
        ----------
        hop : the link.
        share : what would have come through, as a share of all packets.
        done : how much of it did.
        """
        self.share = min(share, floor(share * done * hop.n_packets + _BYTE_ROUNDING) / hop.n_packets)
        if self.talk is not None:
            self.talk.is_over = True  # the connection breaks


class Talk:
    """A conversation of an end-to-end transport about one message."""

    __slots__ = ("burst", "bursts", "is_over", "lead_s", "n_open", "received", "task", "way")

    def __init__(self, task: Task, way: Way, bursts: Generator[Burst, int, None]) -> None:
        self.task = task
        self.way = way
        self.bursts = bursts
        self.burst = next(bursts)
        self.lead_s = 0.0
        self.n_open = 0
        self.received = 0.0
        self.is_over = False


class Carrier:
    """Carries the messages of one trial.

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
        self._ways = world.program.ways
        self._losses = losses or None
        self._on_whole = on_whole
        self._on_part = on_part
        self.fifo = FifoStages(world, self._on_arrival, on_whole, self._go_on)
        self._fair = FairStages(world, self._on_arrival, self._go_on)
        is_plain = self._losses is None and not world.has_outages and world.checker is None
        self.lines = world.program.lines if is_plain else (None,) * len(world.program.steps)

    def send(self, task: Task) -> None:
        """Send the message of a transfer; where it has a line, `fifo.cross` is tried before."""
        way = self._ways[task[1]]
        if way is None:
            return
        if way.transport is None:
            self._launch(Message(task, way, 1.0, None))
            return
        talk = Talk(task, way, way.transport.bursts(way.n_packets, way.round_trip_s))
        self._clock.after(talk.burst.delay_s, self._on_burst, talk)

    def close(self) -> None:
        """End the trial: count what fair transfers have sent."""
        self._fair.close()

    def _launch(self, message: Message) -> None:
        """Draw what becomes of the packets, and let the message enter its first stage."""
        if self._losses is not None:
            message.passages = self._losses.draw(message.way, message.share, message.request, message.index)
        (self._fair if message.stage.is_fair else self.fifo).enter(message)

    def _on_arrival(self, message: Message) -> None:
        """Pass a message on to its next stage, or hand over what is left of it."""
        message.position += 1
        stages, share = message.way.stages, message.share
        if message.position < len(stages) and share > 0.0:
            message.stage = stage = stages[message.position]
            message.done, message.started_s = 0.0, -1.0
            (self._fair if stage.is_fair else self.fifo).enter(message)
            return
        talk = message.talk
        if talk is not None:
            talk.n_open -= 1
            talk.received += share
            if talk.n_open > 0 or not talk.is_over:
                return
            share = talk.received
        if share > _WHOLE:
            self._on_whole(message.task)
        else:
            self._on_part(message.task, share)

    def _on_burst(self, talk: Talk) -> None:
        """Send the next burst of a conversation."""
        if talk.is_over:
            return
        talk.n_open += 1
        talk.task[0].n_retransmitted += talk.burst.n_repeated
        message = Message(talk.task, talk.way, talk.burst.n_packets / talk.way.n_packets, talk)
        message.lead_s = talk.lead_s
        self._launch(message)

    def _go_on(self, message: Message, start_s: float, end_s: float) -> None:
        """Plan the next burst, given when the present one begins and ends to leave the sender."""
        talk = message.talk
        if talk is None or talk.is_over or message.position > 0:
            return
        way, sent = talk.way, talk.burst
        share = message.share if message.passages is None else message.passages[-1].received
        try:
            burst = talk.burst = talk.bursts.send(sent.n_packets - round(share * way.n_packets))
        except StopIteration:
            talk.is_over = True
            return
        moment_s = end_s + burst.delay_s
        if burst.after == "acknowledged":
            moment_s = max(end_s, start_s + self._first_packet_s(way, start_s) + way.round_trip_s) + burst.delay_s
        elif burst.after == "last_acknowledged":
            moment_s += way.round_trip_s
        now_s = self._clock.now_s
        talk.lead_s = max(0.0, now_s - moment_s)
        self._clock.after(max(moment_s, now_s) - now_s, self._on_burst, talk)

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
