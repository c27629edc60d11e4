"""Requests at recorded times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path

from edgesim.errors import DataError, PlanError
from edgesim.rng import ReplicationStreams
from edgesim.units import Seconds


@dataclass(frozen=True, slots=True)
class Trace:
    """Release requests at recorded times, the same in every replication.

    The times stand in the scenario, or in a text file that is read with it, so that they are part of what a study is known by: one per
    line, the first field a time in seconds from the start of the trial; fields are separated by commas or blanks, empty lines
    and lines that start with ``#`` are passed over.

    Parameters
    ----------
    times_s : when requests are released; they must not decrease.
    file : text file with the times, relative to the scenario, in place of `times_s`.
    """

    times_s: tuple[Seconds, ...] = ()
    file: str = ""

    def __post_init__(self) -> None:
        if self.file:
            raise PlanError(
                "a trace file is read with its scenario and cannot be swept; write one scenario for each file, with `extends:`; in "
                "Python pass times_s=read_times_s(file)"
            )
        if not self.times_s:
            raise PlanError("a trace needs the times of requests; give `times`, or `file` with one time per line")
        if any(later < earlier for earlier, later in pairwise((0.0, *self.times_s))) or self.times_s[-1] == inf:
            raise PlanError("the times of a trace must not decrease; put them in order")

    @property
    def is_finite(self) -> bool:
        """Whether the releases come to an end."""
        return True

    def releases_s(self, streams: ReplicationStreams) -> Iterator[float]:  # noqa: ARG002 - the seam's form
        """Yield when requests are released."""
        return iter(self.times_s)


def read_times_s(path: Path) -> tuple[float, ...]:
    """Return the times in a file, in s; see `Trace`.

    Raises
    ------
    DataError
        When the file cannot be read or holds no times, or a line is not a time at or after the one before, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"byte {error.start + 1} is no UTF-8"
        raise DataError(f"cannot read {path}: {why}") from None
    times_s: list[float] = []
    for number, line in enumerate(lines, start=1):
        fields = line.replace(",", " ").split()
        if not fields or fields[0].startswith("#"):
            continue
        try:
            time_s = float(fields[0])
        except ValueError:
            time_s = -1.0
        if not time_s >= (times_s[-1] if times_s else 0.0) or time_s == inf:
            raise DataError(
                f"{path}:{number}: {fields[0]!r} is no time in seconds at or after the one before; write one time per "
                "line, in order"
            )
        times_s.append(time_s)
    if not times_s:
        raise DataError(f"{path} holds no times; write one per line, in seconds")
    return tuple(times_s)
