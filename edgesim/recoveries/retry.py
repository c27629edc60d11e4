"""Try again what was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from edgesim.domain.system.detector import Detector
from edgesim.units import Quantity


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, a time after it was lost, each message and each computation of a request that an outage or the network took.

    A message is sent again as a whole by its sender, over the route that messages take then: another one with `routing: {reroute: true}`.
    A computation begins again on its device, whose inputs wait there. Nothing is tried again once the request has its answer or its deadline has passed.

    Parameters
    ----------
    after_s : from the loss to the next attempt, in s: how long a sender waits for an acknowledgement, or a device takes to start again.
    attempts : most times that one message or computation is tried again.
    detector : finds devices that are down: what it costs, and how well it does; nothing waits for it. Its options `period`, `timeout`, `size` and `monitor`: see `edgesim.domain.system.detector.Detector`.

    Formula
    -------
    Lost each time with probability p, independently: it fails with p^(1 + attempts), and (p - p^(1 + attempts)) / (1 - p) times in the mean it is tried again.

    Validity
    --------
    A loss is noticed `after` it happened, always and by nobody else: acknowledgements cost no traffic and are never lost themselves, so that there are no false alarms.
    """

    after_s: Annotated[float, Quantity("s", is_minimum_excluded=True)]
    attempts: Annotated[int, Ge(1)] = 3
    detector: Detector | None = None

    def again_s(self, n_lost: int) -> float | None:
        """Return `after_s`, as often as there are attempts.

        Examples
        --------
        >>> [Retry(0.5, attempts=2).again_s(n_lost) for n_lost in (1, 2, 3)]
        [0.5, 0.5, None]
        """
        return self.after_s if n_lost <= self.attempts else None
