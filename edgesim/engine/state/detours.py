"""Other routes for messages that meet something that is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesim.domain.plan import Transfer
    from edgesim.engine.program.channels import Crossings
    from edgesim.engine.program.ways import Way
    from edgesim.engine.state.outages import Downtimes


class Detours:
    """Finds which way a message takes at a moment.

    Parameters
    ----------
    crossings : how messages get across.
    downtimes : when devices, switches and links are down.
    """

    __slots__ = ("_between", "_crossings", "_downtimes")

    def __init__(self, crossings: Crossings, downtimes: Downtimes) -> None:
        self._crossings, self._downtimes = crossings, downtimes
        self._between: dict[
            int, tuple[str, ...]
        ] = {}  # by step: the links of its own way, and what they join but its ends

    def way(self, index: int, transfer: Transfer, own: Way, now_s: float) -> Way:
        """Return the way of a message: its own, or another where that has something that is down."""
        if index not in self._between:
            links = [hop.link for stage in own.stages for hop in stage.hops]
            self._between[index] = (*(link.link_id for link in links), *(link.src_id for link in links[1:]))
        if self._downtimes.up_s(self._between[index], now_s) == now_s:
            return own
        return self._crossings.around(transfer, self._downtimes.down_at(now_s)) or own
