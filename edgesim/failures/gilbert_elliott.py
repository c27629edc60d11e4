"""Loss of packets in bursts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Annotated

from annotated_types import Ge, Le, Lt

from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import Link, LinkGlob
from edgesim.errors import PlanError
from edgesim.failures.sampling.inversion import binomial, geometric
from edgesim.rng import Draws, ReplicationStreams

Probability = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Lose packets in bursts: each link is good or bad, and changes its state from packet to packet.

    A chain with P(good -> bad) = p and P(bad -> good) = r. A packet is lost with probability h in the bad state and k in the
    good one. A replication starts in the stationary state. Whole periods are drawn,
    not packets.

    The chain is given by its probabilities, to_bad and to_good, or by what it does, loss and burst.

    Parameters
    ----------
    to_bad : p, per packet.
    to_good : r, per packet.
    loss_in_bad : h. Others write 1 - h for the same quantity.
    loss_in_good : k.
    links : pattern of link ids.
    loss : L, share of packets that are lost in the long run; in place of the probabilities, with burst.
    burst : b, mean number of packets that are lost one after another; in place of the probabilities, with loss.

    Formula
    -------
    Share of packets lost in the long run = (p h + r k) / (p + r); share of packets in the bad state = p / (p + r);
    mean length of a bad period = 1 / r packets. Given L and b: h = 1, k = 0, r = 1 / b, p = L / (b (1 - L)), which is a
    probability when b is at least L / (1 - L).

    Validity
    --------
    Messages that follow each other closely: the chain moves with packets, not with time.

    References
    ----------
    E. N. Gilbert, Capacity of a Burst-Noise Channel, Bell System Technical Journal 39(5):1253-1265, 1960, doi
    10.1002/j.1538-7305.1960.tb03959.x. E. O. Elliott, Estimates of Error Rates for Codes on Burst-Noise Channels, ibid.
    42(5):1977-1997, 1963, doi 10.1002/j.1538-7305.1963.tb00955.x.
    """

    to_bad: Probability | None = None
    to_good: Probability | None = None
    loss_in_bad: Probability = 1.0
    loss_in_good: Probability = 0.0
    links: LinkGlob = "*"
    loss: Annotated[float, Ge(0), Lt(1)] | None = None
    burst: Annotated[float, Ge(1)] | None = None

    def __post_init__(self) -> None:
        given = (self.to_bad is not None, self.to_good is not None, self.loss is not None, self.burst is not None)
        if given not in {(True, True, False, False), (False, False, True, True)}:
            raise PlanError(
                "failure model gilbert-elliott takes to_bad and to_good, or loss and burst; give one of the two pairs, and nothing "
                "of the other"
            )
        if self.loss is not None and (self.loss_in_bad, self.loss_in_good) != (1.0, 0.0):
            raise PlanError(
                "failure model gilbert-elliott: with loss and burst, loss_in_bad is 1 and loss_in_good is 0; leave these out, or "
                "give to_bad and to_good"
            )
        if self.loss is not None and self.burst is not None and self.chain[0] > 1.0:
            raise PlanError(
                f"failure model gilbert-elliott: there is no chain with loss {self.loss:g} and burst {self.burst:g}, since one good packet "
                f"at least lies between bursts; loss is at most burst / (burst + 1) = {self.burst / (self.burst + 1):.4g}, "
                f"burst at least loss / (1 - loss) = {self.loss / (1 - self.loss):.4g}"
            )
        if self.chain == (0.0, 0.0):
            raise PlanError(
                "failure model gilbert-elliott: to_bad and to_good are both 0, so there is no stationary state"
            )

    @property
    def chain(self) -> tuple[float, float]:
        """The probabilities P(good -> bad) and P(bad -> good), per packet.

        Examples
        --------
        >>> GilbertElliott(loss=0.2, burst=4.0).chain  # 1 / 4 back; 0.2 = p / (p + 1/4)
        (0.0625, 0.25)
        """
        if self.loss is not None and self.burst is not None:
            return self.loss / (self.burst * (1 - self.loss)), 1 / self.burst
        return self.to_bad or 0.0, self.to_good or 0.0

    def applies_to(self, link: Link) -> bool:
        """Return whether packets on this link can be lost."""
        is_lossy = self.loss_in_good > 0 or (self.loss_in_bad > 0 and self.chain[0] > 0)
        return is_lossy and is_selected(link.link_id, self.links)

    def strike_probability(self, link: Link, n_packets: int) -> float:  # noqa: ARG002 - the seam's form
        """Return the probability that any of so many packets is lost: from the stationary state, one step per packet.

        Examples
        --------
        The stationary state is bad in half of the cases; otherwise the second packet meets it with probability 1/2.

        >>> from edgesim.domain.system.topology import Link
        >>> GilbertElliott(to_bad=0.5, to_good=0.5).strike_probability(Link("a->b", "a", "b", 1e6), n_packets=2)
        0.75
        """
        import numpy as np

        p, r = self.chain
        kept = np.diag([1 - self.loss_in_good, 1 - self.loss_in_bad])
        step = kept @ np.array([[1 - p, p], [r, 1 - r]])
        stationary = np.array([r, p]) / (p + r)
        return float(1 - (stationary @ np.linalg.matrix_power(step, n_packets)).sum())

    def losses(self, link: Link, streams: ReplicationStreams) -> _Chain:
        """Return what loses packets on this link, in its stationary state."""
        return _Chain(self, streams(f"link/{link.link_id}"))


class _Chain:
    """The state of one link: good or bad, and for how many packets more."""

    __slots__ = ("_draws", "_is_bad", "_left", "_model", "_to_bad", "_to_good")

    def __init__(self, model: GilbertElliott, draws: Draws) -> None:
        self._model = model
        self._draws = draws
        self._to_bad, self._to_good = to_bad, to_good = model.chain
        self._is_bad = draws.uniform() < to_bad / (to_bad + to_good)
        self._left = self._period()  # what is left of a geometric period is geometric again

    def _period(self) -> float:
        """Draw for how many packets the present state lasts."""
        return geometric(self._draws.uniform(), self._to_good if self._is_bad else self._to_bad)

    def n_lost(self, n_packets: int) -> int:
        model = self._model
        n_lost = 0
        while n_packets > 0:
            n_here = n_packets if self._left == inf else min(n_packets, int(self._left))
            probability = model.loss_in_bad if self._is_bad else model.loss_in_good
            if probability in {0.0, 1.0}:
                n_lost += n_here if probability else 0
            else:
                n_lost += binomial(self._draws.uniform(), n_here, probability)
            n_packets -= n_here
            self._left -= n_here
            if self._left == 0:
                self._is_bad = not self._is_bad
                self._left = self._period()
        return n_lost
