"""Tables of times that were measured: what layers took on devices, and operators by kind and size."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError
from edgesim.files.recorded import read_lines
from edgesim.scenario.form.problems import Problem
from edgesim.units import parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgesim.scenario.text.source import DataPath, Source

LAYERS = {"layer": "", "work": "FLOP", "time": "s"}
OPERATORS = {
    "operator": "", "kind": "", "work": "FLOP", "moved": "byte", "weight": "byte", "network": "byte", "since": "byte", "time": "s",
}  # fmt: skip
_COLUMNS = {"measured": LAYERS, "profiled": OPERATORS}
"""The columns of the table of each compute model, with their units; ``profile`` may be there besides."""
_UNREAD = {"": "unread", "FLOP": "0 FLOP", "byte": "0 byte", "s": "1 s"}


def with_layer_times(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[Problem]]:
    """Put the times of a table into the scenario, so that it needs the file no more and its hash knows them."""
    found = data.get("compute")
    columns = _COLUMNS.get(str(found.get("type"))) if isinstance(found, dict) else None
    if not isinstance(found, dict) or columns is None or not found.get("file"):
        return data, []
    place: DataPath = ("compute", "file")
    name = found["file"]
    times: list[dict[str, str]] = [{column: _UNREAD[unit] for column, unit in columns.items()}]
    problems: list[Problem] = []
    if not isinstance(name, str) or found.get("times"):
        problems.append(
            Problem(
                place, f"{found['type']} computation has times or the name of a file", "`times` or `file`, not both"
            )
        )
    else:
        try:
            times = read_times(source.folder_of(place) / name, columns)
        except DataError as error:
            *most, last = columns
            problems.append(Problem(place, str(error), f"a table with the columns {', '.join(most)} and {last}"))
    rest = {key: value for key, value in found.items() if key not in {"file", "times"}}
    return {**data, "compute": {**rest, "times": times}}, problems


def read_times(path: Path, columns: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of a table in the form of a scenario's ``times``.

    Raises
    ------
    DataError
        With file and line, when it cannot be read, lacks a column, or a value is not plainly a quantity.
    """
    lines = [line for line in read_lines(path) if not line.startswith("#")]
    rows = csv.DictReader(lines)
    titles = rows.fieldnames or ()
    missing = [name for name in columns if name not in titles]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(titles) or 'none'}")
    made: list[dict[str, str]] = []
    for row in rows:
        for name, unit in columns.items():
            try:
                if unit and parse(row[name] or "", unit) < 0:
                    raise ValueError(f"{row[name]!r} is below 0")
            except ValueError as error:
                raise DataError(f"{path}: row {len(made) + 1}, column {name}: {error}") from None
        made.append({name: row[name] for name in (*columns, "profile") if row.get(name)})
    if not made:
        raise DataError(f"{path} holds no rows; write one for each layer")
    return made
