"""What a simulation records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Literal, NamedTuple

from edgesim.errors import PlanError

Outcome = Literal["completed", "degraded", "failed", "timed_out", "unfinished", "rejected"]


@dataclass(frozen=True, slots=True)
class Outage:
    """One interval in which a device or link is down, in s from the start of the trial.

    Parameters
    ----------
    target_id : a device id or a link id.
    start_s, end_s : half-open interval; the default is the whole trial.
    cause : the failure model's label.

    Examples
    --------
    >>> Outage("w1", 2.0, 1.0)
    Traceback (most recent call last):
        ...
    edgesim.errors.PlanError: the outage of 'w1' goes from 2.0 to 1.0 s; it must begin at 0 s or later, and not end before
    """

    target_id: str
    start_s: float = 0.0
    end_s: float = inf
    cause: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.start_s <= self.end_s:
            raise PlanError(
                f"the outage of {self.target_id!r} goes from {self.start_s!r} to {self.end_s!r} s; it must begin at 0 s or later, and not "
                "end before"
            )


class RequestRecord(NamedTuple):
    """What became of one request; a tuple, since there is one for every request.

    Parameters
    ----------
    released_s : when it was asked, in s.
    latency_s : from release to answer, in s; NaN without an answer.
    outcome : ``completed`` with everything delivered, ``degraded`` with something missing that a step before the answer
        went on without, ``failed`` when the answer cannot
        come any more, ``timed_out`` when the request's deadline passed, ``unfinished`` at the end of the simulated time,
        ``rejected`` when too many requests were in the system.
    lost : bit i is set when the i-th transfer of the plan was not delivered in time.
    input_byte, intermediate_byte, result_byte : bytes put on links, each hop counted, headers included.
    energy_j : energy of the devices that the plan uses, in J: what its work added to their idle power, and its share of that.
    partial : (i, share) for each lost transfer of which a share of the packets, 0 < share < 1, arrived in time.
    n_retransmitted : packets sent again by transports.
    plan : which of the plans of the program it followed.
    """

    released_s: float
    latency_s: float
    outcome: Outcome
    lost: int
    input_byte: int
    intermediate_byte: int
    result_byte: int
    energy_j: float
    partial: tuple[tuple[int, float], ...] = ()
    n_retransmitted: int = 0
    plan: int = 0


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """How busy a device, link or medium was, and how much waited for it, from `Trace.from_s` to `Trace.to_s`.

    Parameters
    ----------
    resource_id : id of the device, link or medium.
    kind : what it is.
    utilisation : share of its capacity that was in use: busy cores / cores, or the share of the time of the channel.
    n_waiting : time-weighted mean number of computations or messages that waited for it (`fifo`).
    n_present : time-weighted mean number that waited or were served.
    n_arrived : number that came in this time.
    peak_memory_byte : of a device: the most that it held at once, weights and what all requests had there, in byte.
    """

    resource_id: str
    kind: Literal["device", "link", "medium"]
    utilisation: float
    n_waiting: float
    n_present: float
    n_arrived: int
    peak_memory_byte: int = 0


@dataclass(frozen=True, slots=True)
class Stay:
    """One computation or message at one resource: it came, was served, and left.

    Parameters
    ----------
    resource_id : id of the device, link or medium.
    request : number of the request, counted from 0.
    step_id : the step of the plan.
    arrived_s, started_s, ended_s : moments, in s; over fair resources service starts on arrival.
    link_id : the link, where the resource is a medium.
    """

    resource_id: str
    request: int
    step_id: str
    arrived_s: float
    started_s: float
    ended_s: float
    link_id: str = ""


class Sample(NamedTuple):
    """How much is at a resource at a moment.

    Parameters
    ----------
    resource_id : id of the device, link or medium.
    time_s : moment, in s.
    n_waiting : computations or messages that have come and are not served yet.
    n_present : those that have come and are not gone yet.
    utilisation : share of its servers that were busy since the moment before; of `fair` resources the mean number that is served at once / servers, which
        may be above 1. 0 at the first moment.
    """

    resource_id: str
    time_s: float
    n_waiting: int
    n_present: int
    utilisation: float


@dataclass(frozen=True, slots=True)
class Course:
    """When one step of one request began and ended, in s.

    Parameters
    ----------
    request : number of the request, counted from 0.
    step : position of the step in the plan.
    released_s : when the request was released.
    began_s : when the computation or message was ready to be served.
    ended_s : when it was done, or delivered in time; NaN where that never was.
    """

    request: int
    step: int
    released_s: float
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class WatchRecord:
    """How well a monitor found devices that were down, from `Trace.from_s` to `Trace.to_s`.

    Parameters
    ----------
    detection_s : mean time from the beginning of an outage to the suspicion, over those detected, in s; NaN without any.
    n_detected, n_outages : outages of watched devices that were detected, and that began.
    n_false : suspicions of devices that had been up all the time since they sent the last heartbeat that came.
    up_s : sum over the watched devices of the time for which they were up, in s.
    traffic_byte : bytes that heartbeats and weights put on links.
    n_changes : how often another plan took over; None where none can.
    change_s : mean time from the decision to the change, in s; NaN without any.
    """

    detection_s: float
    n_detected: int
    n_outages: int
    n_false: int
    up_s: float
    traffic_byte: int
    n_changes: int | None = None
    change_s: float = nan


@dataclass(frozen=True, slots=True)
class Trace:
    """What one simulated trial left.

    Parameters
    ----------
    records : one per request, in order of release, without those released before `from_s`; a simulated trial has a
        `edgesim.engine.events.requests.RequestTable` of them.
    resources : one per device and channel that the plan uses.
    from_s, to_s : the time over which resources were watched: end of the warm-up, end of the trial, in s.
    n_events : events of the simulation.
    stays : every computation and message at every resource, where they were asked for.
    courses : of every step that began, where stays were asked for.
    idle_share_j : idle power from the first release to the last end of a request, for each request that was admitted, also of the
        warm-up, in J; it is part of the energy of every record.
    samples : how much was at every resource over time, where that was asked for.
    batteries : devices with a battery, and when it was empty, in s; inf where it lasted.
    watch : what a detector of failures did; None without one.
    """

    records: Sequence[RequestRecord]
    resources: tuple[ResourceRecord, ...]
    from_s: float
    to_s: float
    n_events: int
    stays: tuple[Stay, ...] = ()
    idle_share_j: float = 0.0
    courses: tuple[Course, ...] = ()
    samples: tuple[Sample, ...] = ()
    batteries: tuple[tuple[str, float], ...] = ()
    watch: WatchRecord | None = None

    @property
    def throughput_per_s(self) -> float:
        """Answers per second: requests with an answer / watched time.

        Examples
        --------
        One answer of two requests in 4 s.

        >>> done = RequestRecord(0.0, 1.0, "completed", 0, 0, 0, 0, 0.0)
        >>> lost = RequestRecord(0.0, float("nan"), "failed", 1, 0, 0, 0, 0.0)
        >>> Trace((done, lost), (), from_s=1.0, to_s=5.0, n_events=0).throughput_per_s
        0.25
        """
        n_answered = sum(record.outcome in {"completed", "degraded"} for record in self.records)
        return n_answered / (self.to_s - self.from_s) if self.to_s > self.from_s else 0.0
