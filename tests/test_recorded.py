"""Files of recorded times and values."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesim.errors import DataError
from edgesim.files.recorded import Column, Recorded, Start, doubt_of, read_recorded

RATE = Column(("rate", "bandwidth", "throughput"), "bit/s", needs_unit=True)
END = Column(("end",), "s", is_moment=True)
TARGET = Column(("target",), "")


def read(folder: Path, text: str | bytes, *values: Column, start: Start = "zero") -> Recorded:
    path = folder / "recorded.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_recorded(path, values, start=start)


@pytest.mark.parametrize(
    "text",
    [
        "0.25\n1\n1e1\n", "0.25\r\n1\r\n10\r\n", "\ufeff0.25\n1\n10", "# recorded on Monday (UTC)\n\n 0.25 \n1\n  # pause\n10.0\n",
        "time\n0.25\n1\n10\n", "\ufeffTime [ms]\n250\n1000\n10000\n", "# time_ms\n250\n1000\n10000\n", "arrival time (ms)\n250\n1000\n1e4\n",
        "client,time_ms,size\n1,250,7\n2,1000,7\n3,10000,7\n", "client;time\na;0.25\nb;1\nc;10\n", 'who\ttimestamp\n"a"\t0.25\nb\t1\nc\t10\n',
        "time,size\n250 ms,1\n1 s,1\n10 s,2\n", "# time, user\n0.25, a\n1, b\n10, c\n", "t user\n.25 a\n1. b\n+10 c\n",
    ],
)  # fmt: skip
def test_times_are_read_in_every_usual_form(tmp_path: Path, text: str) -> None:
    """Always 0.25 s, 1 s and 10 s."""
    assert read(tmp_path, text).times_s == (0.25, 1.0, 10.0)


def test_times_of_day_count_from_the_first(tmp_path: Path) -> None:
    """The difference is that of the decimal numbers: as floats, 1285837093.35 - 1285837093.1 is 0.2499997615814209."""
    text = "1285837093.1\n1285837093.35\n1285837100.1\n"
    assert read(tmp_path, text, start="first").times_s == (0.0, 0.25, 7.0)
    assert read(tmp_path, text).times_s[0] == 1285837093.1
    outages = read(tmp_path, "time,end\n100.5,101.75\n", END, start="first")
    assert (outages.times_s, outages.numbers["end"]) == ((0.0,), (1.25,))


def test_values_stand_beside_the_times(tmp_path: Path) -> None:
    """With the unit of the header or their own; without a header in the order that is wanted."""
    for text in (
        "time,rate [Mbit/s]\n0,1\n5,.5",
        "user,time,throughput_kbps\n7,0,1000\n7,5,500",
        "0\t1 Mbit/s\n5\t500 kbit/s",
    ):
        found = read(tmp_path, text, RATE)
        assert (found.times_s, found.numbers["rate"]) == ((0.0, 5.0), (1e6, 5e5))
    found = read(tmp_path, "0 w1\n5 w2\n", TARGET)
    assert found.texts["target"] == ("w1", "w2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5\nlater\n", "recorded.csv:2: 'later' is not plainly a number"), ("0.5\n0.4\n", "csv:2: the time 0.4 s is before the one above"),
        ("0,5\n1,5\n", "csv:1: 2 fields where one has time; a header line says which is which, decimal commas are not read"),
        ("time;size\n0,5;1\n", "csv:2: '0,5' is not plainly a number, as a time is; write a decimal point"), ("1 000\n", "csv:1: 2 fields"),
        ("1\nnan\n", "csv:2: 'nan' is not plainly"), ("1\n0x10\n", "csv:2: '0x10'"), ("1\n1_000\n", "csv:2: '1_000'"), ("1\ninf\n", "csv:2: 'inf'"),
        ("1\n٣\n", "csv:2: '٣'"), ("1\n1e999\n", "csv:2: the time 1e999 is out of range"), ("1\n1e9999\n", "csv:2: '1e9999'"),
        ("nan\n1\n", r"no column 'time' in the header \('nan'\)"), ("a,b\n1,2\n", r"no column 'time' in the header \('a', 'b'\); call one of them 'time'"),
        ("start_time,end_time\n1,2\n", "several columns that may be 'time'"), ("time [ticks]\n1\n", r"column 'time \[ticks\]': unknown unit"),
        ("time_Ms\n1\n", "the prefix 'M' makes no sense for a time; did you mean 'ms'"), ("time [Mbit]\n1\n", "is an amount of data, not a time"),
        ("-1\n2\n", "csv:1: the time is -1 s, before the start; `start: first`"), ("2026-11-25 10:00\n", "2 fields"), ("12:30:05\n", "csv:1: '12:30:05'"),
        ("# time\n\n", "holds no rows"), ("", "holds no rows"), ("time\n", "csv:1: 'time' holds no number, and nothing follows"),
        ("time,a\n1\n", "csv:2: the line has 1 fields, the header 2"), ("a,time\n1,2\n3\n", "csv:3: the line has 1 fields, the first one has 2"), (b"\xff\xfe1\x00\n\x00", "no text in UTF-8"), ("1\x002\n", "csv:1: '1"),
    ],
)  # fmt: skip
def test_what_is_not_plainly_a_time_is_refused_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    """Nothing is guessed, nothing passed over."""
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_rate_without_a_unit_is_refused(tmp_path: Path) -> None:
    """In Mbit/s, in kbit/s? A mixed-up unit is told too."""
    with pytest.raises(
        DataError, match=r"csv:2: the rate 1 has no unit; name it in the header, e\.g\. rate \[Mbit/s\]"
    ):
        read(tmp_path, "time,rate\n0,1\n", RATE)
    with pytest.raises(
        DataError, match="'rate_mbps': 'mbps': the prefix 'm' makes no sense for a data rate; did you mean 'Mbps'"
    ):
        read(tmp_path, "time,rate_mbps\n0,1\n", RATE)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_recorded(tmp_path / "none")
    with pytest.raises(DataError, match="this is no file"):
        read_recorded(tmp_path)


def test_a_recording_that_begins_late_is_doubted() -> None:
    """More than a minute after 0, and later than it lasts."""
    assert "1285837093 s after the start of a trial, the recording lasts 60 s" in doubt_of((1285837093.0, 1285837153.0))
    assert [doubt_of(times) for times in ((0.0, 5.0), (50.0,), (100.0, 1000.0))] == ["", "", ""]
