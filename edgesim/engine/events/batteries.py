"""Batteries that end devices: a trial is simulated, the first battery that is empty becomes an outage, and it is simulated again.

Until a battery is empty nothing depends on it, so each attempt is right up to the next moment at which one is, and the last is right to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from edgesim.domain.records import Outage, RequestRecord

if TYPE_CHECKING:
    from edgesim.engine.events.trial import Trial
    from edgesim.engine.program.compiled import Program
    from edgesim.rng import ReplicationStreams

BATTERY = "battery"
"""The cause of such an outage."""
Renewals = Sequence[Mapping[str, Iterator[Outage]]]
Hears = Callable[[int, RequestRecord], None]
Attempt = Callable[[Sequence[Outage], "ReplicationStreams | None", Renewals, "Hears | None"], "Trial"]


def with_batteries(program: Program) -> tuple[str, ...]:
    """Return the devices that have a battery."""
    return tuple(device.device_id for device in program.devices.device if device.battery_j is not None)


def until_they_last(
    program: Program,
    attempt: Attempt,
    streams: ReplicationStreams | None,
    renewals: Renewals,
    on_record: Hears | None,
) -> tuple[Trial, dict[str, float]]:
    """Return a trial in which every battery that is empty ends its device, and when that is by device, in s.

    Parameters
    ----------
    program : the plan on its topology.
    attempt : simulates the trial with more outages, given streams, renewals, and what hears of its records.
    streams : of the replication; the weights of what was drawn are told to them once.
    renewals : outages that come again and again.
    on_record : hears of the records of the last attempt only.
    """
    if not program.devices.has_batteries:
        return attempt((), streams, renewals, on_record), {}
    empty: list[Outage] = []
    replayed = [{name: _Replayed(source) for name, source in one.items()} for one in renewals]
    hears: Hears | None = None
    while True:
        again = None if streams is None else streams.again()
        sources = [{name: source.again() for name, source in one.items()} for one in replayed]
        trial = attempt(empty, again, sources, hears)
        found = None if hears is not None else _next_empty(trial, empty)
        if found is not None:
            empty.append(found)
        elif hears is on_record:
            if streams is not None and again is not None:
                streams.weigh(again.weight)
            return trial, {outage.target_id: outage.start_s for outage in empty}
        else:
            hears = on_record


def _next_empty(trial: Trial, empty: Sequence[Outage]) -> Outage | None:
    """Return the next battery that is empty in a trial, besides those that were known to be."""
    world = trial.world
    if world.spending is None or trial.first_s == inf:
        return None
    known = {outage.target_id for outage in empty}
    moments = []
    for position in world.spending.capacity_j:
        device_id = world.program.devices.device_ids[position]
        if device_id not in known:
            downtime = world.device_downtimes.get(position)
            moment_s = world.spending.empty_s(position, downtime, trial.first_s, world.clock.now_s)
            moments.append((moment_s, device_id))
    moment_s, device_id = min(moments, default=(inf, ""))
    return Outage(device_id, moment_s, inf, BATTERY) if moment_s < inf else None


class _Replayed:
    """Outages that can be gone through again from the first on."""

    def __init__(self, source: Iterator[Outage]) -> None:
        self._source, self._known = source, list[Outage]()

    def again(self) -> Iterator[Outage]:
        """Yield them from the first on."""
        index = 0
        while True:
            if index == len(self._known):
                following = next(self._source, None)
                if following is None:
                    return
                self._known.append(following)
            yield self._known[index]
            index += 1
