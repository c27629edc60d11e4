"""What devices with a battery spend over time, and when a battery is empty."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgesim.engine.program.compiled import Program
    from edgesim.engine.state.outages import Downtime


class Spending:
    """The energy of devices with a battery in one trial, span by span.

    Parameters
    ----------
    program : the plan on its topology.
    """

    __slots__ = ("_powers_w", "_spans", "capacity_j")

    def __init__(self, program: Program) -> None:
        self.capacity_j = {
            position: device.battery_j
            for position, device in enumerate(program.devices.device)
            if device.battery_j is not None
        }
        self._powers_w = program.devices.power_w
        self._spans: dict[int, list[tuple[float, float, float]]] = {position: [] for position in self.capacity_j}

    def computes(self, device: int, start_s: float, end_s: float, time_s: float) -> None:
        """Note that cores of a device are busy for `time_s` in all between two moments, evenly."""
        self._note(device, 1, start_s, end_s, time_s)

    def sends(self, device: int, start_s: float, end_s: float, time_s: float) -> None:
        """Note that a device sends."""
        self._note(device, 2, start_s, end_s, time_s)

    def receives(self, device: int, start_s: float, end_s: float, time_s: float) -> None:
        """Note that a device receives."""
        self._note(device, 3, start_s, end_s, time_s)

    def _note(self, device: int, state: int, start_s: float, end_s: float, time_s: float) -> None:
        if device in self._spans and end_s > start_s:
            self._spans[device].append((start_s, end_s, self._powers_w[device][state] * time_s / (end_s - start_s)))

    def empty_s(self, device: int, downtime: Downtime | None, from_s: float, to_s: float) -> float:
        """Return when the battery of a device is empty, in s; inf when it lasts until `to_s`.

        Idle power is taken from the first release on, while the device is up.
        """
        idle_w = self._powers_w[device][0]
        idle = ((start_s, end_s, idle_w) for start_s, end_s in _up(downtime, from_s, to_s))
        return empty_s((*self._spans[device], *idle), self.capacity_j[device], to_s)


def empty_s(spans: Iterable[tuple[float, float, float]], capacity_j: float, to_s: float) -> float:
    """Return when spans of power have taken a capacity, in s; inf when they have not until `to_s`.

    Examples
    --------
    1 W from 0 to 10 s, and 2 W more from 1 to 2 s: 4 J are spent at 2 s.

    >>> empty_s([(0.0, 10.0, 1.0), (1.0, 2.0, 2.0)], 4.0, to_s=10.0)
    2.0
    """
    changes = sorted(change for start_s, end_s, power_w in spans for change in ((start_s, power_w), (end_s, -power_w)))
    spent_j = power_w = since_s = 0.0
    for moment_s, change_w in (*changes, (to_s, 0.0)):
        until_s = min(moment_s, to_s)
        left_j = capacity_j - spent_j
        if power_w > 0.0 and since_s + left_j / power_w <= until_s and until_s > since_s:
            return since_s + left_j / power_w
        spent_j += power_w * (until_s - since_s)
        power_w, since_s = power_w + change_w, until_s
    return inf


def _up(downtime: Downtime | None, from_s: float, to_s: float) -> Iterator[tuple[float, float]]:
    """Yield when a device is up between two moments."""
    if downtime is None:
        yield from_s, to_s
        return
    start_s = downtime.up_s(from_s)
    while start_s < to_s:
        end_s = min(downtime.next_s(start_s), to_s)
        yield start_s, end_s
        start_s = downtime.up_s(end_s)
