"""What losses, outages and slowdowns do to one request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.domain.records import Outage


@dataclass(frozen=True, slots=True)
class Fate:
    """What meets one request, as it was drawn for one replication.

    Parameters
    ----------
    dropped : messages that are lost on their way.
    waits_s : by how much messages are delayed besides, in s.
    durations_s : of computations that take another time than by the profile, in s.
    outages : of devices and links, in s from the release.
    resuming : devices that go on, after an outage, with what they computed.
    """

    dropped: frozenset[str] = frozenset()
    waits_s: Mapping[str, float] = field(default_factory=dict)
    durations_s: Mapping[str, float] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    resuming: frozenset[str] = frozenset()

    def of(
        self,
        device_id: str,
        plan: Plan,
        hops_of: Mapping[str, Sequence[Collection[str]]],
        released_s: float,
        *,
        is_kernel: bool = False,
    ) -> dict[str, Any]:
        """Return what a device must know of it, as JSON has it.

        Parameters
        ----------
        device_id : the device.
        plan : whose messages and computations these are.
        hops_of : for each hop of each message, whose outages interrupt it: the link, and what passes it on.
        released_s : when the request is released, in s of the clock that all devices share.
        is_kernel : whether the kernel sends what nodes give it, so that only who receives a message knows that an outage met it on its way.
        """
        down = intervals(self.outages, device_id, released_s)
        silent = {
            transfer.step_id: cut
            for transfer in plan.transfers
            if transfer.src_id == device_id
            if any(cut := [_all(self.outages, hop, released_s) for hop in hops_of[transfer.step_id]])
        }
        document: dict[str, Any] = {
            "dropped": sorted(
                one.step_id for one in plan.transfers if one.dst_id == device_id and one.step_id in self.dropped
            ),
            "waits_s": {one.step_id: self.waits_s[one.step_id] for one in plan.transfers if one.dst_id == device_id and one.step_id in self.waits_s},
            "durations_s": {one.step_id: self.durations_s[one.step_id] for one in plan.computes if one.device_id == device_id and one.step_id in self.durations_s},
            "down": down,
            "resumes": device_id in self.resuming,
            "silent": silent,
            "cut": {
                one.step_id: down for one in plan.transfers
                if is_kernel and one.dst_id == device_id and (down := _all(self.outages, hops_of[one.step_id][-1], released_s))
            },
        }  # fmt: skip
        return {name: value for name, value in document.items() if value}


def intervals(outages: Collection[Outage], target_id: str, released_s: float) -> list[list[float | None]]:
    """Return when something is down, in s of the clock; without an end: None."""
    return [
        [released_s + one.start_s, None if one.end_s == inf else released_s + one.end_s]
        for one in outages
        if one.target_id == target_id
    ]


def _all(outages: Collection[Outage], target_ids: Collection[str], released_s: float) -> list[list[float | None]]:
    """Return when one of some things is down, in s of the clock."""
    return [one for target_id in target_ids for one in intervals(outages, target_id, released_s)]


def meets(down: Collection[Collection[float | None]], since_s: float, until_s: float) -> float | None:
    """Return when what lasts from one moment to another is interrupted: its start, when something is down then already; None when never.

    >>> meets([[1.0, 2.0], [5.0, None]], 2.5, 4.5), meets([[1.0, 2.0]], 0.5, 4.0), meets([[1.0, 2.0]], 1.5, 1.5), meets([[5.0, None]], 6.0, 7.0)
    (None, 1.0, 1.5, 6.0)
    """
    found = [
        max(float(start_s or 0.0), since_s)
        for start_s, end_s in down
        if ((start_s or 0.0) < until_s or (start_s or 0.0) <= since_s) and (end_s is None or since_s < end_s)
    ]
    return min(found, default=None)
