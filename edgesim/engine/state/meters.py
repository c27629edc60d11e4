"""How busy resources are and how much waits for them, measured while the simulation runs."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from edgesim.domain.records import ResourceRecord

if TYPE_CHECKING:
    from edgesim.engine.state.request import Task
    from edgesim.engine.state.samples import Samples


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
    """Measures many resources of one kind, by number: sums over the stays at those that are `fifo`.

    A `fifo` server knows when a stay begins and ends as soon as it is asked, so waiting and presence are sums over stays: the
    time-weighted mean number is the sum of the times / watched time. The sums are in arrays, since a large trial is slow for
    what it must fetch from memory. Resources that are shared by rates have a `Meter` each.

    Parameters
    ----------
    resource_ids : the resources.
    window_s : when measuring begins and ends, in s.
    notes : where every stay is noted, or None.
    samples : what samples them, or None.
    """

    __slots__ = ("_busy_s", "_from_s", "_meters", "_n_arrived", "_present_s", "_until_s", "_waiting_s", "is_noting", "last_s", "notes",
                 "resource_ids", "samples")  # fmt: skip

    def __init__(
        self,
        resource_ids: Sequence[str],
        window_s: tuple[float, float],
        notes: list[Note] | None,
        samples: Samples | None = None,
    ) -> None:
        nothing = [0.0] * len(resource_ids)
        self._waiting_s, self._busy_s, self._present_s = array("d", nothing), array("d", nothing), array("d", nothing)
        self._n_arrived = [0] * len(resource_ids)
        self._meters: dict[int, Meter] = {}
        self.resource_ids = resource_ids
        self.notes, self.samples = notes, samples
        self.is_noting = notes is not None or samples is not None
        self.last_s = 0.0  # when the last stay ends
        self._from_s, self._until_s = window_s

    def add(self, number: int, arrived_s: float, started_s: float, ended_s: float) -> None:
        """Add one computation or message that came to a resource, was served and left."""
        self.last_s = max(self.last_s, ended_s)
        if self._from_s <= arrived_s and ended_s <= self._until_s:
            self._n_arrived[number] += 1
            self._waiting_s[number] += started_s - arrived_s
            self._busy_s[number] += ended_s - started_s
            self._present_s[number] += ended_s - arrived_s
        else:
            window_s = self._from_s, self._until_s
            self._n_arrived[number] += self._from_s <= arrived_s
            self._waiting_s[number] += _within(window_s, arrived_s, started_s)
            self._busy_s[number] += _within(window_s, started_s, ended_s)
            self._present_s[number] += _within(window_s, arrived_s, ended_s)

    def note(self, number: int, moments_s: tuple[float, float, float], task: Task, link_id: str = "") -> None:
        """Note a stay (came, served from, left), without counting it, if stays are noted or sampled."""
        if self.samples is not None:
            self.samples.add(self.resource_ids[number], *moments_s)
        if self.notes is not None:
            request, index = task
            self.notes.append(Note(self.resource_ids[number], request.number, index, *moments_s, link_id))

    def meter(self, number: int) -> Meter:
        """Return the meter of a resource that is shared by rates."""
        if number not in self._meters:
            self._meters[number] = Meter((self._from_s, self._until_s))
        return self._meters[number]

    def record(
        self, number: int, kind: Literal["device", "link", "medium"], capacity: int, to_s: float
    ) -> ResourceRecord:
        """Return the means of a resource with `capacity` servers over the watched time, which ends at `to_s`."""
        busy_s, present_s, n_arrived = self._busy_s[number], self._present_s[number], self._n_arrived[number]
        if number in self._meters:
            meter = self._meters[number]
            meter.load(to_s, 0.0, 0)
            busy_s, present_s, n_arrived = meter.busy_s, meter.present_s, meter.n_arrived
        span_s = to_s - self._from_s
        share = 1 / span_s if span_s >= sys.float_info.min else 0.0  # of a shorter time it is infinite
        return ResourceRecord(
            self.resource_ids[number],
            kind,
            busy_s * share / capacity,
            self._waiting_s[number] * share,
            present_s * share,
            n_arrived,
        )


class Meter:
    """Integrals over time for one resource that reports each change of load, cut to the time that is watched.

    Parameters
    ----------
    window_s : when measuring begins and ends, in s.

    Examples
    --------
    Half of it is used from 0 to 4 s, of which the last 3 s are watched.

    >>> meter = Meter((1.0, 10.0))
    >>> meter.used(0.0, 4.0, 2.0)
    >>> meter.busy_s, meter.present_s
    (1.5, 3.0)
    """

    __slots__ = ("_load", "_load_since_s", "_n_now", "_window_s", "busy_s", "n_arrived", "present_s")

    def __init__(self, window_s: tuple[float, float]) -> None:
        self._window_s = window_s
        self.busy_s = self.present_s = 0.0
        self._load, self._n_now, self._load_since_s = 0.0, 0, 0.0
        self.n_arrived = 0

    def arrive(self, now_s: float) -> None:
        """Count an arrival."""
        self.n_arrived += self._window_s[0] <= now_s

    def used(self, from_s: float, to_s: float, time_s: float) -> None:
        """Add `time_s` of use, evenly between two moments."""
        if to_s > from_s:
            self.busy_s += time_s * _within(self._window_s, from_s, to_s) / (to_s - from_s)
            self.present_s += _within(self._window_s, from_s, to_s)

    def load(self, now_s: float, load: float, n_present: int) -> None:
        """Note that from now on `load` servers are busy and `n_present` are served."""
        span_s = _within(self._window_s, self._load_since_s, now_s)
        self.busy_s += self._load * span_s
        self.present_s += self._n_now * span_s
        self._load, self._n_now, self._load_since_s = load, n_present, now_s


def _within(window_s: tuple[float, float], start_s: float, end_s: float) -> float:
    """Return how long of a time is within the window, in s."""
    from_s, until_s = window_s
    return max(0.0, min(end_s, until_s) - max(start_s, from_s))
