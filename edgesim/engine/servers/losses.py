"""What becomes of the packets of a message on its links, and how much it is delayed there, drawn when it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from edgesim.domain.system.topology import Link
from edgesim.domain.system.transport import LinkTransport
from edgesim.engine.program.ways import Hop, Way
from edgesim.engine.state.invariants import Checker
from edgesim.interfaces import DelayModel, LinkModel, LossModel, LossProcess, PacketLossModel, is_kind
from edgesim.network.transport import Datagram
from edgesim.rng import ReplicationStreams

_DATAGRAM = Datagram()
_Lossy = tuple[LossModel | PacketLossModel, ReplicationStreams]
_Delaying = tuple[DelayModel, ReplicationStreams]


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
    """The losses and delays on all links in a trial; false when there are none.

    Parameters
    ----------
    models : what loses messages and packets or delays messages, each with the streams that it draws from.
    checker : checks the packets, or None.
    """

    __slots__ = ("_checker", "_delays", "_is_by_packets", "_models", "_on", "_processes")

    def __init__(self, models: Sequence[tuple[LinkModel, ReplicationStreams]], checker: Checker | None) -> None:
        self._delays: list[_Delaying] = [(one, streams) for one, streams in models if is_kind(one, DelayModel)]
        self._models: list[_Lossy] = [(one, streams) for one, streams in models if not is_kind(one, DelayModel)]
        self._is_by_packets = any(is_kind(model, PacketLossModel) for model, _ in self._models)
        self._checker = checker
        self._on: dict[str, list[_Lossy]] = {}  # by link
        self.begin()

    def begin(self) -> None:
        """Forget what was drawn, for another trial."""
        self._processes: dict[str, list[LossProcess]] = {}  # by link on which messages can come in part

    def __bool__(self) -> bool:
        return bool(self._models or self._delays)

    def is_whole(self, link: Link) -> bool:
        """Return whether a message comes over a link undelayed, as a whole or not at all, so that `is_lost` says what becomes of it."""
        return not self._delays and not self._comes_in_part(link)

    def is_lost(self, hop: Hop, index: int) -> bool:  # noqa: ARG002 - see GivenLosses
        """Draw whether the message of a step is lost on its only link, where `is_whole`."""
        link = hop.link
        here = self._on.get(link.link_id)
        return self._is_lost(link, hop.n_packets, self._meet(link) if here is None else here)

    def draw(self, way: Way, share: float, request: Any, index: int) -> list[Passage]:  # noqa: ARG002 - see GivenLosses
        """Draw what becomes of a share of the packets of the message of a step, on one hop after another."""
        passages = []
        for stage in way.stages:
            for hop in stage.hops:
                here = self._here(hop.link)
                if share == 0.0 or not here:
                    passage = Passage(share, share, 0.0)
                elif self._comes_in_part(hop.link):
                    passage = self._cross(hop, share, request)
                else:
                    passage = self._cross_whole(hop, share, here)
                if self._delays and share > 0.0:
                    passage = passage._replace(waited_s=passage.waited_s + self._delay_s(hop.link))
                passages.append(passage)
                share = passage.received
        return passages

    def _delay_s(self, link: Link) -> float:
        """Draw by how much a message is delayed on a link, in s."""
        return sum(model.delay_s(link, streams) for model, streams in self._delays if model.applies_to(link))

    def _here(self, link: Link) -> list[_Lossy]:
        """Return what loses messages or packets on a link."""
        here = self._on.get(link.link_id)
        return self._meet(link) if here is None else here

    def _meet(self, link: Link) -> list[_Lossy]:
        here = self._on[link.link_id] = [item for item in self._models if item[0].applies_to(link)]
        return here

    def _processes_on(self, link: Link) -> list[LossProcess]:
        """Return what loses packets on a link in this trial."""
        processes = self._processes.get(link.link_id)
        if processes is None:
            processes = self._processes[link.link_id] = [
                model.losses(link, streams) if is_kind(model, PacketLossModel) else _WholeMessages(model, link, streams)
                for model, streams in self._here(link)
            ]
        return processes

    def _comes_in_part(self, link: Link) -> bool:
        return self._is_by_packets or not (link.transport is None or isinstance(link.transport, Datagram))

    def _cross_whole(self, hop: Hop, share: float, here: list[_Lossy]) -> Passage:
        """Draw whether a message comes over one link, as a whole or not at all."""
        n_packets = max(1, round(share * hop.n_packets))
        is_lost = self._is_lost(hop.link, n_packets, here)
        if self._checker is not None:
            n_lost = n_packets if is_lost else 0
            self._checker.crossed(hop.link.link_id, n_packets, n_packets - n_lost, n_lost)
        return Passage(share, 0.0 if is_lost else share, 0.0)

    @staticmethod
    def _is_lost(link: Link, n_packets: int, here: list[_Lossy]) -> bool:
        is_lost = False
        for model, streams in here:  # every model draws, whatever the others did
            is_lost |= model.is_lost(link, n_packets, streams)  # type: ignore[union-attr]
        return is_lost

    def _cross(self, hop: Hop, share: float, request: Any) -> Passage:
        """Draw how many packets come over one link, and how many are sent for it."""
        processes = self._processes_on(hop.link)
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
        link_transport = transport if is_kind(transport, LinkTransport) else _DATAGRAM
        crossing = link_transport.cross(n_packets, n_lost, hop.link.latency_s)
        request.n_retransmitted += crossing.n_sent - n_packets
        if self._checker is not None:
            self._checker.crossed(hop.link.link_id, crossing.n_sent, crossing.n_received, n_lost_in_all)
        sent, received = share * (crossing.n_sent / n_packets), share * (crossing.n_received / n_packets)
        return Passage(sent, received, crossing.waited_s)


class GivenLosses:
    """Losses of whole messages that are known beforehand.

    Parameters
    ----------
    lost : the step and the link of each message that is lost there; all others come across.
    """

    def __init__(self, lost: frozenset[tuple[int, str]]) -> None:
        self._lost = lost

    def begin(self) -> None:
        """Nothing is drawn, so that there is nothing to forget."""

    def is_whole(self, link: Link) -> bool:  # noqa: ARG002 - as `Losses`
        """Return that messages come as a whole or not at all."""
        return True

    def is_lost(self, hop: Hop, index: int) -> bool:
        """Return whether the message of a step is lost on its only link."""
        return (index, hop.link.link_id) in self._lost

    def draw(self, way: Way, share: float, request: Any, index: int) -> list[Passage]:  # noqa: ARG002 - as `Losses`
        """Return what becomes of a message, on one hop after another."""
        passages = []
        for hop in (hop for stage in way.stages for hop in stage.hops):
            received = 0.0 if (index, hop.link.link_id) in self._lost else share
            passages.append(Passage(share, received, 0.0))
            share = received
        return passages
