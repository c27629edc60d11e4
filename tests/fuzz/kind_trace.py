"""Files of recorded times and values."""

from __future__ import annotations

from pathlib import Path

from edgesim.files.recorded import Column, doubt_of, read_recorded

from .harness import Kind

SEEDS = (
    b"0.25\n1\n1e1\n", b"\xef\xbb\xbftime [ms];user\r\n250;a\r\n1000;b\r\n", b"# time_ms, rate [Mbit/s]\n0, 1\n5, 0.5\n\n# end\n",
    b"time\trate\n1285837093.1 s\t20 Mbit/s\n1285837094\t1 kbit/s\n", b'"time (us)","rate_kbps"\n"1","2"\n"3","4"\n', b"0 1 w1\n1.5 2 w2\n",
)  # fmt: skip
RATE = Column(("rate",), "bit/s", needs_unit=True)
END = Column(("end",), "s", is_moment=True)
TARGET = Column(("target",), "")


def read(path: Path) -> None:
    """Read a file as arrivals, else as rates, else as outages; what is read is in order."""
    content = path.read_bytes()
    columns = (END, TARGET) if b"w" in content else (RATE,) if b"rate" in content else ()
    found = read_recorded(path, columns, start="first" if len(content) % 2 else "zero")
    assert list(found.times_s) == sorted(found.times_s)
    assert all(abs(number) <= 1e18 for numbers in found.numbers.values() for number in numbers)
    assert all(number >= 0 for name in ("time", "end") for number in found.numbers.get(name, ()))
    doubt_of(found.times_s)


KINDS = (Kind("trace", SEEDS, read, "times.csv"),)
