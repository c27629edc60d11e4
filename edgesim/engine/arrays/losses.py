"""What becomes of the packets of a message on one link, in many replications: `edgesim.engine.servers.losses` with arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np

from edgesim.domain.system.transport import BatchLinkTransport
from edgesim.interfaces import BatchPacketLossModel, is_kind
from edgesim.network.transport import Datagram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgesim.domain.system.topology import Link
    from edgesim.engine.program.ways import Hop
    from edgesim.interfaces import BatchLossModel, BatchLossProcess, LinkModel
    from edgesim.rng import BatchStreams

_DATAGRAM = Datagram()


class Passages(NamedTuple):
    """As `edgesim.engine.servers.losses.Passage`, shape (n,) each.

    Parameters
    ----------
    sent, waited_s : None where messages come as a whole or not at all: each that came to the link is sent once.
    received : flags in this case.
    """

    sent: NDArray[np.float64] | None
    received: NDArray[np.float64] | NDArray[np.bool_]
    waited_s: NDArray[np.float64] | None


class BatchLosses(Protocol):
    """What loses packets in many replications."""

    def may_lose(self, link: Link) -> bool:
        """Return whether something can be lost on a link."""

    def cross(self, step: int, hop: Hop, share: NDArray[np.float64] | NDArray[np.bool_]) -> Passages:
        """Draw what comes over one link of the message of a step, where a share of its packets above 0 is sent.

        Parameters
        ----------
        step, hop : the step, and the link with its message.
        share : share of the packets, shape (n,); flags where the message is sent as a whole or not at all.
        """


class _WholeMessages:
    """A model that loses whole messages, in the form of one that loses packets."""

    def __init__(self, model: BatchLossModel, link: Link, streams: BatchStreams) -> None:
        self._model, self._link, self._streams = model, link, streams

    def are_lost(self, is_sent: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return self._model.are_lost(self._link, is_sent, self._streams)

    def n_lost(self, n_packets: NDArray[np.int64], is_sent: NDArray[np.bool_]) -> NDArray[np.int64]:
        return n_packets * self.are_lost(is_sent)


class DrawnLosses:
    """Losses that models draw.

    Parameters
    ----------
    models : what loses messages and packets, by label; each has an array form.
    streams : what they draw from.
    """

    def __init__(self, models: Mapping[str, LinkModel], streams: BatchStreams) -> None:
        self._models = [(model, streams.scope(label)) for label, model in models.items()]
        self._is_by_packets = any(is_kind(model, BatchPacketLossModel) for model, _ in self._models)
        self._on: dict[str, list[tuple[LinkModel, BatchStreams]]] = {}  # by link
        self._processes: dict[str, list[BatchLossProcess]] = {}

    def may_lose(self, link: Link) -> bool:
        """Return whether something can be lost on a link."""
        return bool(self._models_on(link))

    def cross(self, step: int, hop: Hop, share: NDArray[np.float64] | NDArray[np.bool_]) -> Passages:  # noqa: ARG002 - the seam's form
        """Draw what comes over one link."""
        link, here = hop.link, self._models_on(hop.link)
        is_datagram = link.transport is None or isinstance(link.transport, Datagram)
        if not is_datagram or share.dtype != np.bool_:
            return self._by_packets(hop, share)
        if not self._is_by_packets or not any(is_kind(model, BatchPacketLossModel) for model, _ in here):
            are_kept = share
            for model, streams in here:  # every model draws, whatever the others did
                are_kept = np.greater(are_kept, model.are_lost(link, share, streams))  # type: ignore[union-attr]
            return Passages(None, are_kept, None)
        found = self._by_packets(hop, share)
        return Passages(None, found.received > 0.0, None) if hop.n_packets == 1 else found

    def _by_packets(self, hop: Hop, share: NDArray[np.float64] | NDArray[np.bool_]) -> Passages:
        """Draw how many packets come over one link, and how many are sent for it."""
        is_sent = share > 0
        n_packets = np.maximum(1, np.rint(share * float(hop.n_packets))).astype(np.int64) * is_sent
        processes = self._processes_on(hop.link)

        def n_lost(n_sent: NDArray[np.int64], is_sent: NDArray[np.bool_]) -> NDArray[np.int64]:
            left = n_sent
            for process in processes:
                left = left - process.n_lost(left, is_sent)
            return n_sent - left

        transport = hop.link.transport if is_kind(hop.link.transport, BatchLinkTransport) else _DATAGRAM
        crossings = transport.cross_batch(n_packets, n_lost, hop.link.latency_s)
        n_of = np.maximum(n_packets, 1)
        sent, received = share * (crossings.n_sent / n_of), share * (crossings.n_received / n_of)
        return Passages(sent, received, np.asarray(crossings.waited_s))

    def _models_on(self, link: Link) -> list[tuple[LinkModel, BatchStreams]]:
        """Return what loses messages or packets on a link."""
        here = self._on.get(link.link_id)
        if here is None:
            here = self._on[link.link_id] = [item for item in self._models if item[0].applies_to(link)]
        return here

    def _processes_on(self, link: Link) -> list[BatchLossProcess]:
        """Return what loses packets on a link."""
        processes = self._processes.get(link.link_id)
        if processes is None:
            processes = self._processes[link.link_id] = [
                model.batch_losses(link, streams)
                if is_kind(model, BatchPacketLossModel)
                else _WholeMessages(cast("BatchLossModel", model), link, streams)
                for model, streams in self._models_on(link)
            ]
        return processes


class GivenLosses:
    """Losses of whole messages that are known beforehand, to enumerate them.

    Parameters
    ----------
    lost : by step and link: in which replications the message is lost there, shape (n,).
    """

    def __init__(self, lost: Mapping[tuple[int, str], NDArray[np.bool_]]) -> None:
        self._lost = lost
        self._links = {link_id for _, link_id in lost}

    def may_lose(self, link: Link) -> bool:
        """Return whether something can be lost on a link."""
        return link.link_id in self._links

    def cross(self, step: int, hop: Hop, share: NDArray[np.float64] | NDArray[np.bool_]) -> Passages:
        """Return what comes over one link."""
        return Passages(None, (share > 0) & ~self._lost[step, hop.link.link_id], None)
