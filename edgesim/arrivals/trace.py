"""Requests at recorded times."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from edgesim.errors import PlanError
from edgesim.files.recorded import Start
from edgesim.rng import ReplicationStreams
from edgesim.units import Seconds


@dataclass(frozen=True, slots=True)
class Trace:
    """Release requests at recorded times, the same in every replication.

    The times stand in the scenario, or in a text file that is read with it, so that they are part of what a study is known by: a time
    in each line, in seconds or in the unit that the header names, alone or in a column ``time`` (see `edgesim.files.recorded`).

    Parameters
    ----------
    times_s : when requests are released; they must not decrease.
    file : text file with the times, relative to the scenario, in place of `times_s`.
    start : what the times count from: ``zero``, the start of a trial; ``first``, the first of them, e.g. for times of day.

    Examples
    --------
    >>> from edgesim.rng import Streams
    >>> list(Trace((100.0, 100.5, 102.0), start="first").releases_s(Streams(1).replication(0)))
    [0.0, 0.5, 2.0]
    """

    times_s: tuple[Seconds, ...] = ()
    file: str = ""
    start: Start = "zero"

    def __post_init__(self) -> None:
        if self.file:
            raise PlanError(
                "a trace file is read with its scenario and cannot be swept; write one scenario for each file, with `extends:`; in "
                "Python pass times_s=read_recorded(file).times_s"
            )
        if not self.times_s:
            raise PlanError("a trace needs the times of requests; give `times`, or `file` with one time per line")
        if any(later < earlier for earlier, later in pairwise((0.0, *self.times_s))) or self.times_s[-1] == inf:
            raise PlanError("the times of a trace must not decrease; put them in order")

    @property
    def is_finite(self) -> bool:
        """Whether the releases come to an end.

        Examples
        --------
        >>> Trace((1.0,)).is_finite
        True
        """
        return True

    def n_until(self, moment_s: float) -> int:
        """Return how many requests are released until a moment.

        Examples
        --------
        >>> Trace((100.0, 100.5, 102.0), start="first").n_until(0.5)
        2
        """
        origin_s = self.times_s[0] if self.start == "first" else 0.0
        return bisect_right(self.times_s, moment_s + origin_s)

    def releases_s(self, streams: ReplicationStreams) -> Iterator[float]:  # noqa: ARG002 - the seam's form
        """Yield when requests are released."""
        origin_s = self.times_s[0] if self.start == "first" else 0.0
        return (time_s - origin_s for time_s in self.times_s)
