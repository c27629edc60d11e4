"""Trace files: the times at which requests were released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError
from edgesim.files.recorded import read_recorded
from edgesim.scenario.form.problems import Problem

if TYPE_CHECKING:
    from edgesim.scenario.text.source import DataPath, Source


def with_trace(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Put the times of a trace file into the scenario, so that it needs the file no more and its hash knows them."""
    place: DataPath = ("workload", "load", "arrivals")
    found: Any = data
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict) or found.get("type") != "trace" or not found.get("file"):
        return data, []
    name, start = found["file"], found.get("start", "zero")
    problems: list[Problem] = []
    times_s: tuple[float, ...] = (0.0,)
    if not isinstance(name, str) or found.get("times"):
        problems.append(
            Problem((*place, "file"), "a trace has times or the name of a file", "`times` or `file`, not both")
        )
    elif start in ("zero", "first"):  # else reported with the form
        try:
            times_s = read_recorded(source.folder_of((*place, "file")) / name, start=start).times_s
        except DataError as error:
            problems.append(Problem((*place, "file"), str(error), "a text file with a time in each line"))
    times = {"times": [f"{time_s!r} s" for time_s in times_s]}
    done = {"file"} | ({"start"} if start == "first" else set())
    arrivals = times | {key: value for key, value in found.items() if key not in done and value != []}
    load = data["workload"]["load"] | {"arrivals": arrivals}
    return {**data, "workload": data["workload"] | {"load": load}}, problems
