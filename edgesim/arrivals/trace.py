"""Requests at recorded times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgesim.errors import DataError
from edgesim.rng import ReplicationStreams


@dataclass(frozen=True, slots=True)
class TraceFile:
    """Release requests at the times of a text file, one per line, the same in every replication.

    The first field of each line is a time in seconds from the start of the trial; fields are separated by commas or blanks.
    Empty lines and lines that start with ``#`` are passed over. Times must not decrease.

    Parameters
    ----------
    file : path of the file, from the working directory.
    """

    file: str

    @property
    def is_finite(self) -> bool:
        """Whether the releases come to an end."""
        return True

    def releases_s(self, streams: ReplicationStreams) -> Iterator[float]:  # noqa: ARG002 - the seam's form
        """Yield when requests are released.

        Raises
        ------
        DataError
            When the file is missing or a line is not a time, naming the line.
        """
        return iter(self._times_s())

    def _times_s(self) -> list[float]:
        try:
            lines = Path(self.file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"arrivals trace: cannot read {self.file!r}: {error}; give the path of a text file"
            ) from None
        times_s: list[float] = []
        for number, line in enumerate(lines, start=1):
            fields = line.replace(",", " ").split()
            if not fields or fields[0].startswith("#"):
                continue
            try:
                time_s = float(fields[0])
            except ValueError:
                time_s = -1.0
            if not time_s >= (times_s[-1] if times_s else 0.0) or time_s == float("inf"):
                raise DataError(
                    f"{self.file}:{number}: {fields[0]!r} is no time in seconds at or after the one before; "
                    "write one time per line, in order"
                )
            times_s.append(time_s)
        return times_s
