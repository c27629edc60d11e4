"""Independent loss of messages."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from annotated_types import Ge, Le

from edgesim.domain.topology import Link, LinkGlob
from edgesim.rng import ReplicationStreams


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Lose each message with a fixed probability, independently of all others.

    Each link of a route draws for itself.

    Parameters
    ----------
    probability : p, that a message is lost on one link.
    links : glob pattern of link ids such as ``"w*->hub"``.

    Formula
    -------
    P(a message survives h links) = (1 - p)^h.

    Validity
    --------
    Losses that are not bursty, or messages that are further apart than the bursts are long. The size of a message
    plays no part; see packet-loss where it should.

    References
    ----------
    S. M. Ross, Introduction to Probability Models, 10th ed., Academic Press, 2010, section 2.2.1 (Bernoulli
    variable).
    """

    probability: Annotated[float, Ge(0), Le(1)]
    links: LinkGlob = "*"

    def applies_to(self, link: Link) -> bool:
        """Return whether messages on this link can be lost."""
        return self.probability > 0 and fnmatchcase(link.link_id, self.links)

    def is_lost(self, link: Link, n_packets: int, streams: ReplicationStreams) -> bool:  # noqa: ARG002 - the seam's form
        """Draw whether a message is lost on this link."""
        return streams(f"link/{link.link_id}").uniform() < self.probability
