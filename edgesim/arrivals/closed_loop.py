"""Clients that ask one request after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Annotated

from annotated_types import Ge

from edgesim.rng import ReplicationStreams
from edgesim.units import Seconds


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """Let each client ask its next request a fixed time after its last one has ended; one client: one inference at a time.

    A request has ended when it is answered or rejected, when its deadline passes, or when its answer cannot come any more.

    Parameters
    ----------
    clients : number of clients; all ask first at time 0.
    think_time_s : from the end of a request to the next, in s.

    Examples
    --------
    >>> from itertools import islice
    >>> from edgesim.rng import Streams
    >>> list(islice(ClosedLoop(think_time_s=0.5).thinks_s(Streams(1).replication(0)), 2))
    [0.5, 0.5]
    """

    clients: Annotated[int, Ge(1)] = 1
    think_time_s: Seconds = 0.0

    def thinks_s(self, streams: ReplicationStreams) -> Iterator[float]:  # noqa: ARG002 - the seam's form
        """Yield how long a client thinks between two requests."""
        return repeat(self.think_time_s)
