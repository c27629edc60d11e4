"""Requests at random, with a constant rate or in bursts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, log1p
from typing import Annotated

from edgesim.errors import PlanError
from edgesim.rng import Draws, ReplicationStreams
from edgesim.units import Hertz, Quantity


@dataclass(frozen=True, slots=True)
class Poisson:
    """Release requests independently of each other, with a constant mean rate (Poisson process).

    The distances are exponential with mean 1 / rate. Valid for many users that do not know of each other.

    Parameters
    ----------
    rate_hz : mean number of requests per second.
    """

    rate_hz: Hertz

    @property
    def mean_rate_hz(self) -> float:
        """The rate."""
        return self.rate_hz

    @property
    def is_drawn(self) -> bool:
        """True."""
        return True

    def at_rate(self, rate_hz: float) -> Poisson:
        """Return a process with another rate; its distances are those of this one, times the ratio."""
        return Poisson(rate_hz)

    def releases_s(self, streams: ReplicationStreams) -> Iterator[float]:
        """Yield when requests are released."""
        draws = streams("distances")
        moment_s = 0.0
        while True:
            moment_s += _exponential(draws, 1 / self.rate_hz)
            yield moment_s


@dataclass(frozen=True, slots=True)
class Bursts:
    """Release requests at random with a rate that changes between calm and burst (Markov-modulated Poisson process).

    Calm and burst periods are exponential with means C and B; within them requests come as a Poisson process with rates c
    and b. In the long run the rate is (c C + b B) / (C + B). A replication starts in the stationary state.

    Parameters
    ----------
    calm_rate_hz : c; may be 0.
    burst_rate_hz : b.
    mean_calm_s : C.
    mean_burst_s : B.

    References
    ----------
    W. Fischer, K. Meier-Hellstern, The Markov-modulated Poisson process (MMPP) cookbook, Performance Evaluation
    18(2):149-171, 1993, doi 10.1016/0166-5316(93)90035-S.
    """

    calm_rate_hz: Annotated[float, Quantity("Hz")]
    burst_rate_hz: Hertz
    mean_calm_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    mean_burst_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]

    def __post_init__(self) -> None:
        if self.burst_rate_hz < self.calm_rate_hz:
            raise PlanError("arrivals bursts: burst_rate is below calm_rate; exchange them")

    @property
    def mean_rate_hz(self) -> float:
        """(c C + b B) / (C + B).

        Examples
        --------
        >>> bursts = Bursts(calm_rate_hz=1.0, burst_rate_hz=10.0, mean_calm_s=8.0, mean_burst_s=1.0)
        >>> bursts.mean_rate_hz, bursts.at_rate(4.0)
        (2.0, Bursts(calm_rate_hz=2.0, burst_rate_hz=20.0, mean_calm_s=8.0, mean_burst_s=1.0))
        """
        calm, burst = self.calm_rate_hz * self.mean_calm_s, self.burst_rate_hz * self.mean_burst_s
        return (calm + burst) / (self.mean_calm_s + self.mean_burst_s)

    @property
    def is_drawn(self) -> bool:
        """True."""
        return True

    def at_rate(self, rate_hz: float) -> Bursts:
        """Return the same periods of calm and burst, with both rates times the ratio of the mean rates."""
        ratio = rate_hz / self.mean_rate_hz
        return replace(self, calm_rate_hz=ratio * self.calm_rate_hz, burst_rate_hz=ratio * self.burst_rate_hz)

    def releases_s(self, streams: ReplicationStreams) -> Iterator[float]:
        """Yield when requests are released."""
        draws, periods = streams("distances"), streams("periods")
        is_burst = periods.uniform() * (self.mean_calm_s + self.mean_burst_s) < self.mean_burst_s
        now_s = 0.0
        while True:
            end_s = now_s + _exponential(periods, self.mean_burst_s if is_burst else self.mean_calm_s)
            rate_hz = self.burst_rate_hz if is_burst else self.calm_rate_hz
            while True:
                now_s += _exponential(draws, 1 / rate_hz) if rate_hz > 0 else inf
                if now_s >= end_s:
                    break
                yield now_s
            now_s = end_s  # what is left of an exponential distance is exponential again
            is_burst = not is_burst


def _exponential(draws: Draws, mean: float) -> float:
    """Draw an exponential variable by inversion."""
    return -mean * log1p(-draws.uniform())
