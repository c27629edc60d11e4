"""A message under way, and the exchange that it is a burst of."""

from __future__ import annotations

from collections.abc import Generator
from math import floor, inf

from edgesim.domain.system.transport import Burst
from edgesim.engine.program.ways import Hop, Stage, Way
from edgesim.engine.servers.losses import Passage
from edgesim.engine.state.pace import Leg
from edgesim.engine.state.request import Task

BYTE_ROUNDING = 1e-6


class Message:
    """A message, or a burst of one, under way.

    Parameters
    ----------
    task : the request and the step of the plan.
    way : its way.
    share : share of the packets of the transfer that it carries.
    exchange : the exchange that it is a burst of, or None.
    """

    __slots__ = (
        "done",
        "exchange",
        "index",
        "lead_s",
        "leg",
        "pace",
        "passages",
        "position",
        "request",
        "share",
        "stage",
        "started_s",
        "tail_s",
        "task",
        "way",
    )  # fmt: skip

    def __init__(self, task: Task, way: Way, share: float, exchange: Exchange | None) -> None:
        self.task = task
        self.request, self.index = task
        self.way = way
        self.share = share
        self.exchange = exchange
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
        whole_byte = hop.traffic_byte * share
        n_byte = int(whole_byte * done + BYTE_ROUNDING) - int(whole_byte * self.done + BYTE_ROUNDING)
        self.request.traffic_byte[kind] += n_byte

    def keep(self, hop: Hop, share: float, done: float) -> None:
        """Let only the whole packets go on of those that came through, since an outage took the others.

        Parameters
        ----------
        hop : the link.
        share : what would have come through, as a share of all packets.
        done : how much of it did.
        """
        self.share = min(share, floor(share * done * hop.n_packets + BYTE_ROUNDING) / hop.n_packets)
        if self.exchange is not None:
            self.exchange.is_over = self.exchange.is_cut = True  # the connection breaks


class Exchange:
    """What sender and receiver of one message say over an end-to-end transport."""

    __slots__ = ("burst", "bursts", "is_cut", "is_over", "lead_s", "n_open", "received", "task", "way")

    def __init__(self, task: Task, way: Way, bursts: Generator[Burst, int, None]) -> None:
        self.task = task
        self.way = way
        self.bursts = bursts
        self.burst = next(bursts)
        self.lead_s = 0.0
        self.n_open = 0
        self.received = 0.0
        self.is_over = False
        self.is_cut = False  # by an outage
