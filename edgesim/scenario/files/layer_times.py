"""Tables of layer times: what layers took on devices."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError
from edgesim.files.recorded import read_lines
from edgesim.scenario.form.problems import Problem
from edgesim.units import parse

if TYPE_CHECKING:
    from pathlib import Path

    from edgesim.scenario.text.source import DataPath, Source

_NEEDED = {"layer": "", "work": "FLOP", "time": "s"}


def with_layer_times(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Put the times of a table of layers into the scenario, so that it needs the file no more and its hash knows them."""
    found = data.get("compute")
    if not isinstance(found, dict) or found.get("type") != "measured" or not found.get("file"):
        return data, []
    place: DataPath = ("compute", "file")
    name = found["file"]
    times: list[dict[str, str]] = [{"layer": "unread", "work": "0 FLOP", "time": "0 s"}]
    problems: list[Problem] = []
    if not isinstance(name, str) or found.get("times"):
        problems.append(
            Problem(place, "measured computation has times or the name of a file", "`times` or `file`, not both")
        )
    else:
        try:
            times = read_layer_times(source.folder_of(place) / name)
        except DataError as error:
            problems.append(Problem(place, str(error), "a table with the columns layer, work and time"))
    rest = {key: value for key, value in found.items() if key not in {"file", "times"}}
    return {**data, "compute": {**rest, "times": times}}, problems


def read_layer_times(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table in the form of a scenario's ``times``.

    Raises
    ------
    DataError
        With file and line, when it cannot be read, lacks a column, or a value is not plainly a quantity.
    """
    lines = [line for line in read_lines(path) if not line.startswith("#")]
    rows = csv.DictReader(lines)
    titles = rows.fieldnames or ()
    missing = [name for name in _NEEDED if name not in titles]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(titles) or 'none'}")
    made: list[dict[str, str]] = []
    for row in rows:
        for name, unit in _NEEDED.items():
            try:
                if unit and parse(row[name] or "", unit) < 0:
                    raise ValueError(f"{row[name]!r} is below 0")
            except ValueError as error:
                raise DataError(f"{path}: row {len(made) + 1}, column {name}: {error}") from None
        made.append({name: row[name] for name in (*_NEEDED, "profile") if row.get(name)})
    if not made:
        raise DataError(f"{path} holds no rows; write one for each layer")
    return made
