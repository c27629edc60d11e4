"""Token buckets of links: what a link lends after a pause, of which a message leaves at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesim.engine.program.ways import Hop


class Buckets:
    """The token buckets of the links of one trial, by the time that sending their tokens would take.

    A bucket fills while its link pauses, and a message that begins takes what is there; the rest of it goes at the rate of the link.
    """

    __slots__ = ("_left_s", "_levels_s")

    def __init__(self) -> None:
        self._levels_s: dict[str, tuple[float, float]] = {}  # by link: what was there, and when, in s
        self._left_s: dict[str, float] = {}  # by link: what the message leaves that was asked for last

    def end_s(self, hop: Hop, start_s: float, whole_s: float, overhead_s: float) -> float:
        """Return when a message has left that begins at `start_s`.

        Parameters
        ----------
        hop : the link.
        start_s, whole_s, overhead_s : when it begins, the time that it takes without tokens, and the part of that which no token shortens.
        """
        most_s = 8.0 * hop.link.burst_byte / hop.link.bandwidth_bit_per_s
        left_s, since_s = self._levels_s.get(hop.link.link_id, (most_s, start_s))
        level_s = min(most_s, left_s + start_s + overhead_s - since_s)
        lent_s = min(level_s, whole_s - overhead_s)
        end_s = start_s + (whole_s - lent_s)  # never before it begins, as (start_s + whole_s) - lent_s can be
        self._left_s[hop.link.link_id] = level_s - lent_s
        return end_s

    def take(self, hop: Hop, end_s: float) -> None:
        """Take the tokens of the message that was asked for last; it has left, or was cut, at a moment."""
        self._levels_s[hop.link.link_id] = self._left_s[hop.link.link_id], end_s
