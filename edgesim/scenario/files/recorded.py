"""Recorded inputs that a scenario names: read with it and put in its place, so that it needs the files no more.

A study is then known by what the files say, and its resolved scenario can be repeated elsewhere.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from edgesim.errors import DataError, nearest_name
from edgesim.files.recorded import TIME, Column, Recorded, Start, read_recorded
from edgesim.scenario.form.problems import Problem
from edgesim.scenario.topology.outline import outline
from edgesim.scenario.topology.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edgesim.scenario.text.source import DataPath, Source

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


_TARGET = Column(("device", "link", "target", "node", "host"), "")
_END = Column(("end", "until", "stop", "to", "up"), "s", is_moment=True)
_START = Column(("time", "start", "begin", "from", "down"), "s", is_moment=True)
_FACTOR = Column(("factor", "slowdown"), "1")


def with_failures(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Put the intervals and factors in files of failure models into the scenario; the topology is written out."""
    failures = data.get("failures")
    if not isinstance(failures, dict) or not any(
        isinstance(one, dict) and one.get("file") for one in failures.values()
    ):
        return data, []
    known = outline(data.get("topology"), data.get("seed", 1))
    ids = {*known.devices, *known.switches, *known.links} if known.is_complete and known.are_links_complete else None
    forms: dict[str, Form] = {
        "scripted": ("outages_at", (_TARGET, _END), _START, partial(_outages, ids), {"targets": "*"}),
        "slowdowns": (
            "steps",
            (_TARGET, _FACTOR),
            TIME,
            partial(_factors, ids),
            {"devices": "*", "time": "0 s", "factor": 1},
        ),
    }
    changed, problems = {}, []
    for label, options in failures.items():
        kind = options.get("type", label) if isinstance(options, dict) else None
        form = forms.get(kind) if isinstance(kind, str) else None
        changed[label], found = (
            (options, []) if form is None else _with_file(options, ("failures", label), source, form)
        )
        problems += found
    return {**data, "failures": changed}, problems


def _outages(ids: Collection[str] | None, read: Recorded) -> list[dict[str, Any]]:
    _refuse_strangers(ids, read)
    for row, (start_s, end_s) in enumerate(zip(read.times_s, read.numbers[_END.name], strict=True)):
        if end_s < start_s:
            raise read.error(row, f"the outage ends at {end_s!r} s, before it starts at {start_s!r} s")
    rows = zip(read.texts[_TARGET.name], read.times_s, read.numbers[_END.name], strict=True)
    return [{"targets": name, "start": f"{start_s!r} s", "end": f"{end_s!r} s"} for name, start_s, end_s in rows]


def _factors(ids: Collection[str] | None, read: Recorded) -> list[dict[str, Any]]:
    _refuse_strangers(ids, read)
    factors, names = read.numbers[_FACTOR.name], read.texts[_TARGET.name]
    last_s: dict[str, float] = {}
    for row, (name, time_s, factor) in enumerate(zip(names, read.times_s, factors, strict=True)):
        if not factor > 0.0 or "->" in name:
            raise read.error(row, f"{name!r} has the factor {factor:g}; devices have factors above 0, from 1 on slower")
        if last_s.get(name) == time_s:
            raise read.error(row, f"two factors of {name!r} at {time_s!r} s; write one for each time")
        last_s[name] = time_s
    rows = zip(names, read.times_s, factors, strict=True)
    return [{"devices": name, "time": f"{time_s!r} s", "factor": factor} for name, time_s, factor in rows]


def _refuse_strangers(ids: Collection[str] | None, read: Recorded) -> None:
    """Refuse what is no device or link of the topology; in a file of records patterns have no place."""
    for row, name in enumerate(read.texts[_TARGET.name]):
        if ids is not None and name not in ids:
            near = nearest_name(name, tuple(ids))
            raise read.error(row, f"no device or link {name!r}" + (f"; nearest {near!r}" if near else ""))


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
