"""Messages that sometimes take longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import Link, LinkGlob
from edgesim.failures.sampling.inversion import exponential
from edgesim.rng import ReplicationStreams
from edgesim.units import Quantity


@dataclass(frozen=True, slots=True)
class Jitter:
    """Delay each message on each link by an exponential time, behind the link's latency, which is the least.

    Each link of a route draws for itself, and with tcp each burst. The link is free meanwhile, so messages may overtake each other.
    For computations that vary use log-normal or stragglers.

    Parameters
    ----------
    mean_s : mean delay, in s.
    links : pattern of link ids such as ``"w*->hub"``.

    Formula
    -------
    D exponential, P(D > x) = exp(-x / mean); over h links the mean is h x mean, the standard deviation sqrt(h) x mean. Of n messages at
    once the last is late by mean x H_n in the mean, H_n = 1 + 1/2 + ... + 1/n.

    Validity
    --------
    Delays of hosts and channels that messages meet independently of each other; no bursts, no order that is kept. Windows of tcp do not wait for it.

    References
    ----------
    S. M. Ross, Introduction to Probability Models, 10th ed., Academic Press, 2010, section 5.2 (the exponential distribution).
    """

    mean_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    links: LinkGlob = "*"

    def applies_to(self, link: Link) -> bool:
        """Return whether messages on this link are delayed.

        Examples
        --------
        >>> from edgesim.domain.system.topology import Link
        >>> [Jitter(0.1, "w*->hub").applies_to(Link(name, "x", "y", 1e6)) for name in ("w1->hub", "hub->w1")]
        [True, False]
        """
        return is_selected(link.link_id, self.links)

    def delay_s(self, link: Link, streams: ReplicationStreams) -> float:
        """Draw by how much one message is delayed on this link, in s."""
        return exponential(streams(f"link/{link.link_id}").uniform(), self.mean_s)
