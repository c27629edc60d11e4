"""Independent loss of messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le, Lt

from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import Link, LinkGlob
from edgesim.failures.sampling.importance import ratio_of, ratios_of
from edgesim.rng import BatchStreams, ReplicationStreams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Lose each message with a fixed probability, independently of all others.

    Each link of a route draws for itself.

    With `sampled_at` q each message is lost with probability q instead (importance sampling). A trial then weighs p / q for
    each message that it lost and (1 - p) / (1 - q) for each other: means and intervals are those of p, from far fewer trials
    where p is small. Choose q so that a trial loses about one message.

    Parameters
    ----------
    probability : p, that a message is lost on one link.
    links : pattern of link ids such as ``"w*->hub"``.
    sampled_at : q; None: p itself.

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
    variable). A. B. Owen, Monte Carlo Theory, Methods and Examples, 2013, chapter 9 (importance sampling).
    """

    probability: Annotated[float, Ge(0), Le(1)]
    links: LinkGlob = "*"
    sampled_at: Annotated[float, Gt(0), Lt(1)] | None = None

    def applies_to(self, link: Link) -> bool:
        """Return whether messages on this link can be lost.

        Examples
        --------
        >>> from edgesim.domain.system.topology import Link
        >>> [Bernoulli(0.1, "w*->hub").applies_to(Link(name, "x", "y", 1e6)) for name in ("w1->hub", "hub->w1")]
        [True, False]
        """
        return self.probability > 0 and is_selected(link.link_id, self.links)

    def is_lost(self, link: Link, n_packets: int, streams: ReplicationStreams) -> bool:  # noqa: ARG002 - the seam's form
        """Draw whether a message is lost on this link."""
        uniform = streams(f"link/{link.link_id}").uniform()
        if self.sampled_at is None:
            return uniform < self.probability
        is_lost = uniform < self.sampled_at
        streams.weigh(ratio_of(self.probability, self.sampled_at, int(is_lost), 1))
        return is_lost

    def are_lost(self, link: Link, is_sent: NDArray[np.bool_], streams: BatchStreams) -> NDArray[np.bool_]:
        """Draw which messages are lost on this link, in many replications."""
        drawn_at = self.sampled_probability(link, n_packets=1)
        are_lost = streams(f"link/{link.link_id}").uniforms(is_sent) < drawn_at
        if self.sampled_at is not None:
            streams.weigh(ratios_of(self.probability, self.sampled_at, are_lost & is_sent, is_sent))
        return are_lost

    def loss_probability(self, link: Link, n_packets: int) -> float:  # noqa: ARG002 - the seam's form
        """Return the probability that a message is lost on this link, independently of everything else.

        Examples
        --------
        >>> from edgesim.domain.system.topology import Link
        >>> Bernoulli(0.1).loss_probability(Link("a->b", "a", "b", 1e6), n_packets=20)  # whatever its size
        0.1
        """
        return self.probability

    def sampled_probability(self, link: Link, n_packets: int) -> float:  # noqa: ARG002 - the seam's form
        """Return the probability that it is drawn with."""
        return self.probability if self.sampled_at is None else self.sampled_at
