"""Requests at equal distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Annotated

from edgesim.rng import ReplicationStreams
from edgesim.units import Quantity, Seconds


@dataclass(frozen=True, slots=True)
class Periodic:
    """Release requests at equal distances, e.g. one per picture of a camera.

    Parameters
    ----------
    period_s : distance, in s.
    offset_s : moment of the first request, in s.

    Examples
    --------
    >>> from itertools import islice
    >>> from edgesim.rng import Streams
    >>> list(islice(Periodic(0.5, offset_s=2.0).releases_s(Streams(1).replication(0)), 3))
    [2.0, 2.5, 3.0]
    """

    period_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    offset_s: Seconds = 0.0

    @property
    def mean_rate_hz(self) -> float:
        """1 / period."""
        return 1 / self.period_s

    @property
    def is_drawn(self) -> bool:
        """False: they are the same in every replication."""
        return False

    def at_rate(self, rate_hz: float) -> Periodic:
        """Return requests at other distances, from the same first moment."""
        return Periodic(1 / rate_hz, self.offset_s)

    def releases_s(self, streams: ReplicationStreams) -> Iterator[float]:  # noqa: ARG002 - the seam's form
        """Yield when requests are released."""
        return (self.offset_s + number * self.period_s for number in count())
