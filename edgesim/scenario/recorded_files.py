"""Recorded inputs that a scenario names: read with it and put in its place, so that it needs the files no more.

A study is then known by what the files say, and its resolved scenario can be repeated elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from edgesim.errors import DataError
from edgesim.recorded import TIME, Column, Recorded, Start, read_recorded
from edgesim.scenario.problems import Problem
from edgesim.scenario.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.scenario.source import DataPath, Source

    Rows = Callable[[Recorded], list[dict[str, Any]]]
    Form = tuple[str, tuple[Column, ...], Column, Rows, dict[str, Any]]

_RATE = Column(("rate", "bandwidth", "throughput", "bitrate", "capacity"), "bit/s", needs_unit=True)


def with_rates(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Write out every ``rate_at`` of links, media, shapes and graph files: its type, and the steps in its file."""
    topology = data.get("topology")
    if not isinstance(topology, dict):
        return data, []
    problems: list[Problem] = []

    def written_out(entry: Any, place: DataPath) -> Any:
        if not isinstance(entry, dict) or not isinstance(entry.get("rate_at"), (list, dict)):
            return entry
        said = entry["rate_at"]
        rate = {"type": "steps", **({"steps": said} if isinstance(said, list) else said)}
        if rate["type"] == "steps":
            rate, found = _with_file(rate, (*place, "rate_at"), source, _STEPS)
            problems.extend(found)
        return {**entry, "rate_at": rate}

    changed = dict(topology)
    for key in (*SHAPES, "file"):
        if key in topology:
            changed[key] = written_out(topology[key], ("topology", key))
    for key in ("links", "media"):
        if isinstance(topology.get(key), list):
            changed[key] = [written_out(one, ("topology", key, index)) for index, one in enumerate(topology[key])]
    return {**data, "topology": changed}, problems


def _steps(read: Recorded) -> list[dict[str, Any]]:
    rates = read.numbers[_RATE.name]
    for row in range(1, len(rates)):
        if read.times_s[row] == read.times_s[row - 1]:
            raise read.error(row, f"two rates at {read.times_s[row]!r} s; write one for each time")
    for row, rate in enumerate(rates):
        if rate < 0.0:
            raise read.error(row, f"the rate is {rate:g} bit/s; it is at least 0")
    return [
        {"time": f"{time_s!r} s", "rate": f"{rate!r} bit/s"} for time_s, rate in zip(read.times_s, rates, strict=True)
    ]


_STEPS = ("steps", (_RATE,), TIME, _steps, {"time": "0 s", "rate": "1 bit/s"})


def _with_file(
    options: dict[str, Any], place: DataPath, source: Source, form: Form
) -> tuple[dict[str, Any], list[Problem]]:
    """Put what a file says in the place of its name.

    Parameters
    ----------
    options : of a plug-in that takes a list, or `file` and `start`.
    form : key of the list, columns of the file beside the time, the time, what makes the list of what was read, and what stands in
        the list when nothing could be read, so that this is the only finding.
    """
    key, columns, time, rows_of, nothing = form
    name, start = options.get("file"), options.get("start", "zero")
    if name is None or name == "" or start not in get_args(Start):  # the latter is reported with the form
        return options, []
    at = (*place, "file")
    if not isinstance(name, str) or options.get(key):
        return options | {"file": ""}, [
            Problem(at, f"give {key} or the name of a file", f"`{key}` or `file`, not both")
        ]
    rest = {one: value for one, value in options.items() if one not in {"file", "start", key}}
    try:
        return rest | {key: rows_of(read_recorded(source.folder_of(at) / name, columns, start=start, time=time))}, []
    except DataError as error:
        names = ", ".join(column.name for column in (time, *columns))
        return rest | {key: [nothing]}, [Problem(at, str(error), f"a text file with the columns {names}")]
