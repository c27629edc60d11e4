"""How busy resources are and how much waits for them, measured while the simulation runs."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from edgesim.domain.records import ResourceRecord

if TYPE_CHECKING:
    from edgesim.engine.request import Task


class Note(NamedTuple):
    """One computation or message at one resource, by numbers: request, step, moments in s, and the link of a medium."""

    resource_id: str
    request: int
    step: int
    arrived_s: float
    started_s: float
    ended_s: float
    link_id: str


class Stays:
    """Sums over the stays at many `fifo` resources, by number of the resource.

    A `fifo` server knows when a stay begins and ends as soon as it is asked, so waiting and presence are sums over stays: the
    time-weighted mean number is the sum of the times / watched time. The sums are in arrays, since a large trial is slow for
    what it must fetch from memory.

    Parameters
    ----------
    resource_ids : the resources.
    window_s : when measuring begins and ends, in s.
    notes : where every stay is noted, or None.
    """

    __slots__ = ("_from_s", "_until_s", "busy_s", "n_arrived", "notes", "present_s", "resource_ids", "waiting_s")

    def __init__(self, resource_ids: Sequence[str], window_s: tuple[float, float], notes: list[Note] | None) -> None:
        nothing = [0.0] * len(resource_ids)
        self.waiting_s, self.busy_s, self.present_s = array("d", nothing), array("d", nothing), array("d", nothing)
        self.n_arrived = [0] * len(resource_ids)
        self.resource_ids = resource_ids
        self.notes = notes
        self._from_s, self._until_s = window_s

    def add(self, number: int, arrived_s: float, started_s: float, ended_s: float) -> None:
        """Add one computation or message that came to a resource, was served and left."""
        if self._from_s <= arrived_s and ended_s <= self._until_s:
            self.n_arrived[number] += 1
            self.waiting_s[number] += started_s - arrived_s
            self.busy_s[number] += ended_s - started_s
            self.present_s[number] += ended_s - arrived_s
        else:
            window_s = self._from_s, self._until_s
            self.n_arrived[number] += self._from_s <= arrived_s
            self.waiting_s[number] += _within(window_s, arrived_s, started_s)
            self.busy_s[number] += _within(window_s, started_s, ended_s)
            self.present_s[number] += _within(window_s, arrived_s, ended_s)

    def note(self, number: int, moments_s: tuple[float, float, float], task: Task, link_id: str = "") -> None:
        """Note a stay (came, served from, left), if stays are noted."""
        if self.notes is not None:
            request, index = task
            self.notes.append(Note(self.resource_ids[number], request.number, index, *moments_s, link_id))


class Meter:
    """Integrals over time for one resource, cut to the time that is watched.

    Resources that are shared by rates report each change of load; of the others the stays are added.

    Parameters
    ----------
    stays, number : the stays at resources of its kind, and which it is of them.
    kind : what is measured.
    capacity : servers.
    window_s : when measuring begins and ends, in s.
    """

    __slots__ = ("_busy", "_from_s", "_load", "_load_since_s", "_n_now", "_present", "_until_s", "capacity", "kind", "n_arrived",
                 "number", "stays")  # fmt: skip

    def __init__(
        self,
        stays: Stays,
        number: int,
        kind: Literal["device", "link", "medium"],
        capacity: int,
        window_s: tuple[float, float],
    ) -> None:
        self.stays, self.number, self.kind, self.capacity = stays, number, kind, capacity
        self._from_s, self._until_s = window_s
        self._busy = self._present = 0.0
        self._load, self._n_now, self._load_since_s = 0.0, 0, 0.0
        self.n_arrived = 0

    def _cut(self, start_s: float, end_s: float) -> float:
        return _within((self._from_s, self._until_s), start_s, end_s)

    def arrive(self, now_s: float) -> None:
        """Count an arrival."""
        self.n_arrived += self._from_s <= now_s

    def used(self, from_s: float, to_s: float, time_s: float) -> None:
        """Add `time_s` of use, evenly between two moments."""
        if to_s > from_s:
            self._busy += time_s * self._cut(from_s, to_s) / (to_s - from_s)
            self._present += self._cut(from_s, to_s)

    def note(self, moments_s: tuple[float, float, float], task: Task, link_id: str = "") -> None:
        """Note a stay (came, served from, left), without counting it."""
        self.stays.note(self.number, moments_s, task, link_id)

    def load(self, now_s: float, load: float, n_present: int) -> None:
        """Note that from now on `load` servers are busy and `n_present` are served."""
        span_s = self._cut(self._load_since_s, now_s)
        self._busy += self._load * span_s
        self._present += self._n_now * span_s
        self._load, self._n_now, self._load_since_s = load, n_present, now_s

    def record(self, to_s: float) -> ResourceRecord:
        """Return the means over the watched time, which ends at `to_s`."""
        self.load(to_s, self._load, self._n_now)
        stays, number = self.stays, self.number
        span_s = to_s - self._from_s
        share = 1 / span_s if span_s > 0 else 0.0
        return ResourceRecord(
            stays.resource_ids[number],
            self.kind,
            (self._busy + stays.busy_s[number]) * share / self.capacity,
            stays.waiting_s[number] * share,
            (self._present + stays.present_s[number]) * share,
            self.n_arrived + stays.n_arrived[number],
        )


def _within(window_s: tuple[float, float], start_s: float, end_s: float) -> float:
    """Return how long of a time is within the window, in s."""
    from_s, until_s = window_s
    return max(0.0, min(end_s, until_s) - max(start_s, from_s))
