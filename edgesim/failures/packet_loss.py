"""Independent loss of packets."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from annotated_types import Ge, Le

from edgesim.domain.topology import Link, LinkGlob
from edgesim.failures.inversion import binomial
from edgesim.rng import Draws, ReplicationStreams


@dataclass(frozen=True, slots=True)
class PacketBernoulli:
    """Lose each packet with a fixed probability, independently of all others.

    Of n packets, binomially many are lost, drawn at once from one uniform.

    Parameters
    ----------
    probability : p, that a packet is lost on one link.
    links : glob pattern of link ids such as ``"w*->hub"``.

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

    def applies_to(self, link: Link) -> bool:
        """Return whether packets on this link can be lost."""
        return self.probability > 0 and fnmatchcase(link.link_id, self.links)

    def losses(self, link: Link, streams: ReplicationStreams) -> _Binomial:
        """Return what loses packets on this link."""
        return _Binomial(self.probability, streams(f"link/{link.link_id}"))


class _Binomial:
    """Independent losses on one link."""

    __slots__ = ("_draws", "_probability")

    def __init__(self, probability: float, draws: Draws) -> None:
        self._probability = probability
        self._draws = draws

    def n_lost(self, n_packets: int) -> int:
        return binomial(self._draws.uniform(), n_packets, self._probability)
