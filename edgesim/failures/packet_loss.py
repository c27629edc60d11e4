"""Independent loss of packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le, Lt

from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import Link, LinkGlob
from edgesim.failures.sampling.importance import ratio_of, ratios_of
from edgesim.failures.sampling.inversion import binomial, binomials
from edgesim.rng import BatchStreams, ReplicationStreams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PacketBernoulli:
    """Lose each packet with a fixed probability, independently of all others.

    Of n packets, binomially many are lost, drawn at once from one uniform. `sampled_at` is q of importance sampling, per
    packet; see `bernoulli`.

    Parameters
    ----------
    probability : p, that a packet is lost on one link.
    links : pattern of link ids such as ``"w*->hub"``.
    sampled_at : q; None: p itself.

    Formula
    -------
    P(a datagram of n packets is whole) = (1 - p)^n; mean share of its packets that arrives = 1 - p.

    Validity
    --------
    Losses that are not bursty; see gilbert-elliott for those that are.

    References
    ----------
    S. M. Ross, Introduction to Probability Models, 10th ed., Academic Press, 2010, section 2.2.2 (binomial
    variable).
    """

    probability: Annotated[float, Ge(0), Le(1)]
    links: LinkGlob = "*"
    sampled_at: Annotated[float, Gt(0), Lt(1)] | None = None

    def applies_to(self, link: Link) -> bool:
        """Return whether packets on this link can be lost."""
        return self.probability > 0 and is_selected(link.link_id, self.links)

    def losses(self, link: Link, streams: ReplicationStreams) -> _Binomial:
        """Return what loses packets on this link."""
        return _Binomial(self, streams, link)

    def batch_losses(self, link: Link, streams: BatchStreams) -> _Binomials:
        """Return what loses packets on this link in many replications."""
        return _Binomials(self, streams, link)

    def loss_probability(self, link: Link, n_packets: int) -> float:  # noqa: ARG002 - the seam's form
        """Return the probability that a message is not whole behind this link, independently of everything else.

        Examples
        --------
        >>> from edgesim.domain.system.topology import Link
        >>> PacketBernoulli(0.5).loss_probability(Link("a->b", "a", "b", 1e6), n_packets=2)  # 1 - 0.5^2
        0.75
        """
        return 1.0 - (1.0 - self.probability) ** n_packets

    def sampled_probability(self, link: Link, n_packets: int) -> float:  # noqa: ARG002 - the seam's form
        """Return the probability that it is drawn with."""
        drawn_at = self.probability if self.sampled_at is None else self.sampled_at
        return 1.0 - (1.0 - drawn_at) ** n_packets


@dataclass(frozen=True, slots=True)
class MediumLoss(PacketBernoulli):
    """Lose each packet on the links of one medium: of a Wi-Fi cell.

    Parameters
    ----------
    medium_id : the medium.
    """

    medium_id: str = ""

    def applies_to(self, link: Link) -> bool:
        """Return whether packets on this link can be lost."""
        return self.probability > 0 and link.medium_id == self.medium_id


class _Binomial:
    """Independent losses on one link."""

    __slots__ = ("_draws", "_model", "_streams")

    def __init__(self, model: PacketBernoulli, streams: ReplicationStreams, link: Link) -> None:
        self._model = model
        self._streams = streams
        self._draws = streams(f"link/{link.link_id}")

    def n_lost(self, n_packets: int) -> int:
        p, q = self._model.probability, self._model.sampled_at
        n_lost = binomial(self._draws.uniform(), n_packets, p if q is None else q)
        if q is not None:
            self._streams.weigh(ratio_of(p, q, n_lost, n_packets))
        return n_lost


class _Binomials:
    """Independent losses on one link in many replications."""

    def __init__(self, model: PacketBernoulli, streams: BatchStreams, link: Link) -> None:
        self._model = model
        self._streams = streams
        self._draws = streams(f"link/{link.link_id}")

    def n_lost(self, n_packets: NDArray[np.int64], is_sent: NDArray[np.bool_]) -> NDArray[np.int64]:
        p, q = self._model.probability, self._model.sampled_at
        n_lost = binomials(self._draws.uniforms(is_sent), n_packets * is_sent, p if q is None else q)
        if q is not None:
            self._streams.weigh(ratios_of(p, q, n_lost, n_packets * is_sent))
        return n_lost
