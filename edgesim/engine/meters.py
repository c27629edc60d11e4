"""How busy resources are and how much waits for them, measured while the simulation runs."""

from __future__ import annotations

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


class Meter:
    """Integrals over time for one resource, cut to the time that is watched.

    A `fifo` server knows when each stay begins and ends as soon as it is asked, so waiting and presence are sums over stays:
    the time-weighted mean number is the sum of the times / watched time. Resources that are shared by rates report each
    change of load.

    Parameters
    ----------
    resource_id, kind : what is measured.
    capacity : servers.
    window_s : when measuring begins and ends, in s.
    notes : where every stay is noted, or None.
    """

    __slots__ = ("_busy", "_from_s", "_load", "_load_since_s", "_n_now", "_present", "_waiting", "capacity", "kind",
                 "n_arrived", "notes", "resource_id", "until_s")  # fmt: skip

    def __init__(
        self,
        resource_id: str,
        kind: Literal["device", "link", "medium"],
        capacity: int,
        *,
        window_s: tuple[float, float],
        notes: list[Note] | None,
    ) -> None:
        self.resource_id, self.kind, self.capacity = resource_id, kind, capacity
        self._from_s, self.until_s = window_s
        self._busy = self._waiting = self._present = 0.0
        self._load, self._n_now, self._load_since_s = 0.0, 0, 0.0
        self.n_arrived = 0
        self.notes = notes

    def _cut(self, start_s: float, end_s: float) -> float:
        return max(0.0, min(end_s, self.until_s) - max(start_s, self._from_s))

    def arrive(self, now_s: float) -> None:
        """Count an arrival at a resource that reports changes of load."""
        self.n_arrived += self._from_s <= now_s

    def stay(self, arrived_s: float, started_s: float, ended_s: float, task: Task, link_id: str = "") -> None:
        """Add one computation or message that came, was served and left."""
        if self._from_s <= arrived_s and ended_s <= self.until_s:
            self.n_arrived += 1
            self._waiting += started_s - arrived_s
            self._busy += ended_s - started_s
            self._present += ended_s - arrived_s
        else:
            self.n_arrived += self._from_s <= arrived_s
            self._waiting += self._cut(arrived_s, started_s)
            self._busy += self._cut(started_s, ended_s)
            self._present += self._cut(arrived_s, ended_s)
        if self.notes is not None:
            self.note((arrived_s, started_s, ended_s), task, link_id)

    def used(self, from_s: float, to_s: float, time_s: float) -> None:
        """Add `time_s` of use, evenly between two moments."""
        if to_s > from_s:
            self._busy += time_s * self._cut(from_s, to_s) / (to_s - from_s)
            self._present += self._cut(from_s, to_s)

    def note(self, moments_s: tuple[float, float, float], task: Task, link_id: str = "") -> None:
        """Note a stay (came, served from, left), without counting it; for resources that report changes of load."""
        if self.notes is not None:
            request, index = task
            self.notes.append(Note(self.resource_id, request.number, index, *moments_s, link_id))

    def load(self, now_s: float, load: float, n_present: int) -> None:
        """Note that from now on `load` servers are busy and `n_present` are served."""
        span_s = self._cut(self._load_since_s, now_s)
        self._busy += self._load * span_s
        self._present += self._n_now * span_s
        self._load, self._n_now, self._load_since_s = load, n_present, now_s

    def record(self, to_s: float) -> ResourceRecord:
        """Return the means over the watched time, which ends at `to_s`."""
        self.load(to_s, self._load, self._n_now)
        span_s = to_s - self._from_s
        share = 1 / span_s if span_s > 0 else 0.0
        return ResourceRecord(
            self.resource_id,
            self.kind,
            self._busy * share / self.capacity,
            self._waiting * share,
            self._present * share,
            self.n_arrived,
        )
