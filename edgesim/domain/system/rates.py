"""What changes the rates of links and media."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class ChangingRate(Protocol):
    """Seam ``rates``: how the rate of a link or medium changes with time."""

    def changes(self) -> Iterator[tuple[float, float]]:
        """Yield when the rate changes, in s from the start of a trial, and to what, in bit/s: in order, the same each time.

        It may go on for ever, and is asked only as far as a trial goes. A rate may be 0, but not for ever.
        """
