"""People as a resource: what comes to them waits, is looked at within their hours, and leaves.

Nothing of what they do comes back to devices, so their queue is simulated behind a trial, with the moments at which its answers came.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import TYPE_CHECKING

from edgesim.domain.system.people import DAY_S, People

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Look:
    """One sample with a person, by the clock, in s: it came, was taken up, and left; `worked_s` is what it took."""

    arrived_s: float
    started_s: float
    ended_s: float
    worked_s: float


def looks(arrivals: Iterable[tuple[float, float]], people: People) -> list[Look]:
    """Return what becomes of samples, in order of arrival.

    Time is counted in hours of work, in which the queue is one of first come, first served; W(t) is how much of it has passed at the time t.

    Parameters
    ----------
    arrivals : when each came, never decreasing, and what it takes, in s.
    people : who looks.

    Examples
    --------
    One person from 9 h to 10 h: of two samples that come at 9:30 and take 20 minutes, the second is half done when the hour ends.

    >>> found = looks([(9.5 * 3600, 1200.0)] * 2, People(begin_s=9 * 3600, end_s=10 * 3600))
    >>> [(look.started_s / 3600, look.ended_s / 3600) for look in found][1]
    (9.833333333333334, 33.166666666666664)
    """
    free_at = [0.0] * people.number
    found = []
    for arrived_s, work_s in arrivals:
        begun = max(worked(arrived_s, people), free_at[0])
        heapq.heapreplace(free_at, begun + work_s)
        started_s = max(arrived_s, clock(begun, people, is_end=False))
        found.append(Look(arrived_s, started_s, max(started_s, clock(begun + work_s, people, is_end=True)), work_s))
    return found


def worked(at_s: float, people: People) -> float:
    """Return W(t): how many hours of work have passed, in s."""
    days = floor(at_s / DAY_S)
    length_s = people.end_s - people.begin_s
    return days * length_s + min(max(at_s - days * DAY_S - people.begin_s, 0.0), length_s)


def clock(work_s: float, people: People, *, is_end: bool) -> float:
    """Return when so many hours of work have passed: as the end of something before the night, as its beginning behind it."""
    length_s = people.end_s - people.begin_s
    days = max(0, ceil(work_s / length_s) - 1) if is_end else floor(work_s / length_s)
    return days * DAY_S + people.begin_s + work_s - days * length_s


def busy_share(found: Iterable[Look], people: People, until_s: float = inf) -> float:
    """Return the share of the hours of work of all people in which they look at something, to `until_s` or their last end."""
    every = list(found)
    last_s = min(until_s, max((look.ended_s for look in every), default=0.0))
    there_s = people.number * worked(last_s, people)
    busy_s = sum(
        min(worked(look.started_s, people) + look.worked_s, worked(last_s, people)) - min(worked(look.started_s, people), worked(last_s, people))
        for look in every
    )  # fmt: skip
    return busy_s / there_s if there_s > 0 else 0.0
