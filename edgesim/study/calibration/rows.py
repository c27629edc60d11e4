"""Tables of a calibration: rows that know their line, and all that is wrong with them at once."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from edgesim.errors import DataError, Finding, ScenarioError
from edgesim.files.recorded import read_lines
from edgesim.units import factor_of, parse, reads_as_unit

Use = Literal["fit", "predict"]
"""What a measurement is for: numbers are fitted to it, or it is only compared with what is predicted."""


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """One line of a table of latencies.

    Parameters
    ----------
    device, network : what computed what.
    n : devices that divide each layer evenly among themselves; the latency is the computing time of one of them.
    latency_s : as measured, in s.
    use : whether numbers are fitted to it.
    line : its line in the table, counted from 1.
    """

    device: str
    network: str
    n: int
    latency_s: float
    use: Use
    line: int


def read_latencies(path: Path) -> list[MeasuredRow]:
    """Return the rows of a table with the columns device, network, latency, and optionally n (1) and use (fit).

    Latencies have a unit, behind the number or in the title (``latency_ms``). Further columns and lines that begin with ``#`` are passed
    over.

    Raises
    ------
    ScenarioError
        With all findings, each with its line.
    DataError
        When the file cannot be read.
    """
    table = Lines(path, ("device", "network", "latency"), ("n", "use"))
    rows = []
    for line in table.rows:
        device, network = table.cell(line, "device", _label), table.cell(line, "network", _name)
        latency_s = table.cell(line, "latency", lambda text: _above_zero(_quantity(text, "s", table.unit("latency"))))
        n = table.cell(line, "n", _count, default=1)
        use = table.cell(line, "use", _use, default="fit")
        if None not in (device, network, latency_s, n, use):
            rows.append(MeasuredRow(device, network, n, latency_s, use, line))
    seen: dict[tuple[str, str, int], int] = {}
    for row in rows:
        key = (row.device, row.network, row.n)
        if key in seen:
            table.add(
                row.line,
                "device",
                f"{row.network} on {row.device} (n = {row.n}) is in line {seen[key]} too",
                "one row for each",
            )
        seen[key] = row.line
    table.refuse()
    return rows


@dataclass
class Lines:
    """A table whose cells are read one by one; what is wrong is collected until `refuse`.

    Raises
    ------
    ScenarioError
        When a needed column is not there, or no row is.
    DataError
        When the file cannot be read.
    """

    path: Path
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._texts = read_lines(self.path)
        said = [
            (number, text) for number, text in enumerate(self._texts, 1) if text.strip() and not text.startswith("#")
        ]
        if not said:
            raise DataError(f"{self.path} holds no rows; expected a header with the columns {', '.join(self.needed)}")
        fields = {number: next(csv.reader([text])) for number, text in said}
        self._header = said[0][0]
        titles = [title.strip() for title in fields.pop(self._header)]
        names = [_titled(title, (*self.needed, *self.optional)) for title in titles]
        self._place = {name: place for place, (name, _) in enumerate(names) if name}
        self._unit = {name: unit for name, unit in names if name}
        self.rows = {number: [cell.strip() for cell in cells] for number, cells in fields.items()}
        self._check(len(titles))

    def _check(self, n_titles: int) -> None:
        """Refuse a table without a needed column or without rows; leave out lines that have not as many fields as titles."""
        missing = [name for name in self.needed if name not in self._place]
        if missing:
            self.add(self._header, "", f"no column {', '.join(missing)}", f"the columns {', '.join(self.needed)}")
        elif not self.rows:
            self.add(self._header, "", "no rows follow the header", "one row for each measurement")
        self.refuse()
        for number, cells in list(self.rows.items()):
            if len(cells) != n_titles:
                self.add(number, "", f"{len(cells)} fields, the header has {n_titles}", "as many fields as titles")
                del self.rows[number]

    def unit(self, name: str) -> str:
        """Return the unit in the title of a column, empty without one."""
        return self._unit.get(name, "")

    def cell(self, line: int, name: str, read: Callable[[str], Any], default: Any = None) -> Any:
        """Return what a cell says, or the default where the column is not there; None, with a finding, where it says nothing."""
        if name not in self._place:
            return default
        try:
            return read(self.rows[line][self._place[name]])
        except ValueError as error:
            message, _, expected = str(error).partition("; ")
            self.add(line, name, f"{name}: {message}", expected)
            return None

    def add(self, line: int, name: str, message: str, expected: str = "", remedy: str = "") -> None:
        """Remember that something is wrong with a cell, or with a whole line."""
        text = self._texts[line - 1]
        cell = self.rows[line][self._place[name]] if name and line in self.rows else ""
        column = text.find(cell) + 1 if cell else 1
        length = len(cell) if cell else len(text)
        self.findings.append(Finding(message, (), expected, remedy, str(self.path), line, column, length, text))

    def refuse(self) -> None:
        """Raise `ScenarioError` when something is wrong."""
        if self.findings:
            raise ScenarioError(tuple(sorted(self.findings, key=lambda one: one.line)))


def _titled(title: str, known: Sequence[str]) -> tuple[str, str]:
    """Return the column that a title names, and the unit in it: ``latency_ms`` or ``latency [ms]``."""
    name, _, unit = title.rstrip("])").replace(" [", "_").replace(" (", "_").rpartition("_")
    if title in known:
        return title, ""
    return (name, unit) if name in known and reads_as_unit(unit, "s") else ("", "")


def _name(text: str) -> str:
    if not text:
        raise ValueError("nothing is here; a name")
    return text


def _label(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][\w-]{0,59}", text, re.ASCII) is None:
        raise ValueError(f"{text!r} is no usable name; letters, digits and _ -, as names of profiles are")
    return text


def _quantity(text: str, unit: str, title_unit: str = "") -> float:
    """Return a number with a unit, or one whose unit is in the title."""
    if title_unit:
        try:
            return float(text) * factor_of(title_unit, unit)
        except ValueError:
            raise ValueError(f"{text!r} is no number; a number in {title_unit}, as the title says") from None
    return parse(text, unit)


def _above_zero(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{value:g} s; a time above 0")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no number of devices; a whole number from 1 on")
    return int(text)


def _use(text: str) -> Use:
    if text not in get_args(Use):
        raise ValueError(f"{text!r} is no use of a row; fit or predict")
    return text  # type: ignore[return-value]
