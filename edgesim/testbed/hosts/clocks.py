"""Moments of machines whose clocks have nothing to do with each other.

Each machine says its time when it is asked, in the middle between question and answer at best: its offset is known to half the time
of the quickest exchange. Latencies are not affected where a request begins and is answered on the same device, as its clock is the
only one then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

N_ASKED = 20
_AT = 3
"""Where the moment stands in an entry of a log; that of the beginning of a computation stands last."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How much the clock of a machine is ahead of ours, and how far off that may be, in s."""

    ahead_s: float
    error_s: float


class Asked(Protocol):
    """The nodes."""

    def tell(self, device_id: str, **document: Any) -> None:
        """Write a line to a node."""

    def hear(self, until_s: float, what: str) -> tuple[str, dict[str, Any]]:
        """Return what a node says next."""


def offset_of(asked_s: float, said_s: float, heard_s: float) -> Offset:
    """Return what one exchange tells.

    >>> offset_of(1.0, 101.5, 2.0)
    Offset(ahead_s=100.0, error_s=0.5)
    """
    return Offset(said_s - (asked_s + heard_s) / 2, (heard_s - asked_s) / 2)


def offsets_of(nodes: Asked, device_ids: Collection[str], patience_s: float) -> dict[str, Offset]:
    """Return the offset of each machine, by device, from the quickest of `N_ASKED` exchanges.

    Raises
    ------
    ExecutionError
        When one does not answer.
    """
    found: dict[str, Offset] = {}
    for device_id in device_ids:
        for number in range(N_ASKED):
            asked_s = time.monotonic()
            nodes.tell(device_id, clock=number)
            _, said = nodes.hear(asked_s + patience_s, f"the time of the node of {device_id!r}")
            one = offset_of(asked_s, said["clock_s"], time.monotonic())
            if device_id not in found or one.error_s < found[device_id].error_s:
                found[device_id] = one
    return found


def in_our_time(said: Mapping[str, Any], ahead_s: float) -> dict[str, Any]:
    """Return what a node says with moments of our clock: those of an answer, or of its log."""
    document = dict(said)
    if "answer" in document:
        document["at_s"] -= ahead_s
    for entry in document.get("log", ()):
        entry[_AT] -= ahead_s
        if entry[0] == "compute":
            entry[-1] -= ahead_s
    return document
