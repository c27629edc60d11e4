"""What becomes of the packets of a message on its links, drawn when it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from edgesim.domain.topology import Link
from edgesim.engine.invariants import Checker
from edgesim.engine.ways import Hop, Way
from edgesim.interfaces import LinkTransport, LossModel, LossProcess, PacketLossModel
from edgesim.network.transport import Datagram
from edgesim.rng import ReplicationStreams

_DATAGRAM = Datagram()


class Passage(NamedTuple):
    """What is drawn for one hop, in shares of the packets of the whole message: sent, received; and time lost, in s."""

    sent: float
    received: float
    waited_s: float


class _WholeMessages:
    """A model that loses whole messages, in the form of one that loses packets."""

    def __init__(self, model: LossModel, link: Link, streams: ReplicationStreams) -> None:
        self._model, self._link, self._streams = model, link, streams

    def n_lost(self, n_packets: int) -> int:
        return n_packets if self._model.is_lost(self._link, n_packets, self._streams) else 0


class Losses:
    """The losses on all links in one trial; false when there are none.

    Parameters
    ----------
    models : what loses messages and packets, each with the streams that it draws from.
    checker : checks the packets, or None.
    """

    __slots__ = ("_checker", "_models", "_processes")

    def __init__(
        self, models: Sequence[tuple[LossModel | PacketLossModel, ReplicationStreams]], checker: Checker | None
    ) -> None:
        self._models = models
        self._checker = checker
        self._processes: dict[str, tuple[LossProcess, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._models)

    def draw(self, way: Way, share: float, request: Any, index: int) -> list[Passage]:  # noqa: ARG002 - see GivenLosses
        """Draw what becomes of a share of the packets of the message of a step, on one hop after another."""
        passages = []
        for stage in way.stages:
            for hop in stage.hops:
                passage = self._cross(hop, share, request)
                passages.append(passage)
                share = passage.received
        return passages

    def _cross(self, hop: Hop, share: float, request: Any) -> Passage:
        """Draw how many packets come over one link, and how many are sent for it."""
        processes = self._on(hop.link)
        if not processes or share == 0.0:
            return Passage(share, share, 0.0)
        n_packets = max(1, round(share * hop.n_packets))
        n_lost_in_all = 0

        def n_lost(n_sent: int) -> int:
            nonlocal n_lost_in_all
            left = n_sent
            for process in processes:
                left -= process.n_lost(left)
            n_lost_in_all += n_sent - left
            return n_sent - left

        transport = hop.link.transport
        link_transport: LinkTransport = transport if hasattr(transport, "cross") else _DATAGRAM  # type: ignore[assignment]
        crossing = link_transport.cross(n_packets, n_lost, hop.link.latency_s)
        request.n_retransmitted += crossing.n_sent - n_packets
        if self._checker is not None:
            self._checker.crossed(hop.link.link_id, crossing.n_sent, crossing.n_received, n_lost_in_all)
        sent, received = share * (crossing.n_sent / n_packets), share * (crossing.n_received / n_packets)
        return Passage(sent, received, crossing.waited_s)

    def _on(self, link: Link) -> tuple[LossProcess, ...]:
        """Return what loses packets on a link."""
        processes = self._processes.get(link.link_id)
        if processes is None:
            processes = tuple(
                model.losses(link, streams) if hasattr(model, "losses") else _WholeMessages(model, link, streams)
                for model, streams in self._models
                if model.applies_to(link)
            )
            self._processes[link.link_id] = processes
        return processes


class GivenLosses:
    """Losses of whole messages that are known beforehand.

    Parameters
    ----------
    lost : the step and the link of each message that is lost there; all others come across.
    """

    def __init__(self, lost: frozenset[tuple[int, str]]) -> None:
        self._lost = lost

    def draw(self, way: Way, share: float, request: Any, index: int) -> list[Passage]:  # noqa: ARG002 - as `Losses`
        """Return what becomes of a message, on one hop after another."""
        passages = []
        for hop in (hop for stage in way.stages for hop in stage.hops):
            received = 0.0 if (index, hop.link.link_id) in self._lost else share
            passages.append(Passage(share, received, 0.0))
            share = received
        return passages
