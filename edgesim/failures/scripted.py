"""Outages at given times."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Annotated

from annotated_types import Len

from edgesim.domain.records import Outage
from edgesim.domain.strike import Strike
from edgesim.domain.system.topology import TargetGlob, Topology
from edgesim.errors import PlanError
from edgesim.failures.sampling.targets import matching
from edgesim.files.recorded import Start
from edgesim.rng import ReplicationStreams
from edgesim.units import Seconds


@dataclass(frozen=True, slots=True)
class ScriptedOutage:
    """One interval in which devices or links are down.

    Parameters
    ----------
    targets : pattern of device ids; of link ids when it holds ``->``.
    start_s : in s from the start of the trial.
    end_s : None: to the end of the trial.
    """

    targets: TargetGlob
    start_s: Seconds = 0.0
    end_s: Seconds | None = None

    def __post_init__(self) -> None:
        if self.end_s is not None and self.end_s < self.start_s:
            raise PlanError(
                f"the outage of {self.targets!r} ends at {self.end_s} s, before it starts at {self.start_s} s"
            )


@dataclass(frozen=True, slots=True)
class Scripted:
    """Take devices and links down at given times, the same in every replication.

    Parameters
    ----------
    outages_at : the intervals.
    file : text file with columns ``time`` or ``start``, ``device`` or ``link``, and ``end``, relative to the scenario, in place of
        `outages_at`.
    start : with a file, what its times count from: ``zero``, the start of a trial; ``first``, the first of them.

    Formula
    -------
    Down from start to end; nothing is drawn.

    Validity
    --------
    Incidents that are known, e.g. from a log, and worst cases. Intervals of replications are of width zero unless
    something else is random.

    References
    ----------
    Our own form; it says what state profiles say in SimGrid (https://simgrid.org, platform description).
    """

    outages_at: Annotated[tuple[ScriptedOutage, ...], Len(1)] = ()
    file: str = ""
    start: Start = "zero"

    def __post_init__(self) -> None:
        if self.file:
            raise PlanError(
                "a file of outages is read with its scenario and cannot be swept; write one scenario for each file, with `extends:`"
            )
        if not self.outages_at or self.start == "first":
            raise PlanError("scripted outages need `outages_at`, or a `file`, with which `start: first` goes")

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when a pattern selects nothing."""
        for scripted in self.outages_at:
            if not matching(topology, scripted.targets):
                raise PlanError(f"failure model scripted: targets {scripted.targets!r} match no device or link")

    def strikes(self, topology: Topology, used: Collection[str], duration_s: float) -> Sequence[Strike]:  # noqa: ARG002 - the seam's form
        """Return nothing, since nothing is drawn."""
        return ()

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:  # noqa: ARG002 - the seam's form
        """Return the outages.

        Examples
        --------
        >>> from edgesim.domain.system.topology import Device, DeviceProfile, Topology
        >>> from edgesim.rng import Streams
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> topology = Topology(tuple(Device(name, profile) for name in ("hub", "w1", "w2")))
        >>> found = Scripted((ScriptedOutage("w*", 1.0, 2.0),)).outages(topology, Streams(1).replication(0))
        >>> [(outage.target_id, outage.start_s, outage.end_s) for outage in found]
        [('w1', 1.0, 2.0), ('w2', 1.0, 2.0)]
        """
        return self._all(topology)

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]]:
        """Return the only result."""
        return [(1.0, self._all(topology))]

    def _all(self, topology: Topology) -> list[Outage]:
        found = {pattern: matching(topology, pattern) for pattern in {one.targets for one in self.outages_at}}
        return [
            Outage(target_id, scripted.start_s, inf if scripted.end_s is None else scripted.end_s, "scripted")
            for scripted in self.outages_at
            for target_id in found[scripted.targets]
        ]
