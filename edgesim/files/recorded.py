"""Recorded inputs: text files with a time in each line, such as arrivals, rates over time, outages.

A file is one table; tabs, semicolons, commas or blanks divide its columns. Empty lines and lines that begin with ``#`` are passed
over. A first line without numbers is the header: it names the columns and may name their units, as in ``time [ms]``, ``time (ms)``
or ``time_ms``; it may stand behind a ``#``. Without one, a file has just the wanted columns, in their order. What is not plainly a
number is refused with file and line: a guess would be a wrong number in silence.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Literal

from edgesim.errors import DataError
from edgesim.units import EXAMPLES, factor_of, reads_as_unit

Start = Literal["zero", "first"]
"""What the times of a file count from: the start of a trial, or the first time in the file."""

MAX_BYTE = 1 << 26
_MOST = 1e18
_LATE_S = 60.0
"""A recording may begin so long after the start of a trial without a doubt."""
_PLAIN = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*([A-Za-zµμ%/][^\s\d]{,20})?", re.ASCII)
_BEGINS_AS_NUMBER = re.compile(r"[-+]?[.,]?\d")
_TITLE = re.compile(r"(.*?)[\s_]*[\[(]([^\[\]()]*)[\])]\s*")
_SEPARATORS = "\t;,"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a file must have.

    Parameters
    ----------
    names : words by which a header may call it, in lower case; the first one is its name in messages and in what was read.
    unit : base unit of its values, one of `edgesim.units.EXAMPLES`; ``"1"``: bare numbers; empty: texts.
    needs_unit : whether numbers without a unit, behind them or in the header, are refused.
    is_moment : whether it is a time on the clock of the file, which ``start: first`` moves.
    """

    names: tuple[str, ...]
    unit: str
    needs_unit: bool = False
    is_moment: bool = False

    @property
    def name(self) -> str:
        """The name in messages and in what was read."""
        return self.names[0]


TIME = Column(("time", "timestamp", "timestamps", "times", "t", "seconds"), "s", is_moment=True)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a file says, by row.

    Parameters
    ----------
    path : the file.
    lines : the line of each row, counted from 1.
    numbers : values of each column with a unit, in its base unit.
    texts : values of each column without.
    """

    path: Path
    lines: tuple[int, ...]
    numbers: Mapping[str, tuple[float, ...]]
    texts: Mapping[str, tuple[str, ...]]

    @property
    def times_s(self) -> tuple[float, ...]:
        """The times, in s; they do not decrease."""
        return self.numbers[TIME.name]

    def error(self, row: int, message: str) -> DataError:
        """Return an error that names the file and the line of a row, counted from 0."""
        return DataError(f"{self.path}:{self.lines[row]}: {message}")


def read_recorded(path: Path, values: Sequence[Column] = (), *, start: Start = "zero", time: Column = TIME) -> Recorded:
    """Return the times in a file, and the values beside them.

    Parameters
    ----------
    path : a text file in UTF-8.
    values : the columns beside the time, which is always there.
    start : ``"first"`` counts moments from the first time in the file; the difference is taken before numbers are rounded.
    time : what a header may call the time instead; its name is that of `TIME`.

    Raises
    ------
    DataError
        With file and line, when the file cannot be read, has no rows or other columns, when a value is not plainly one of its
        column, or a time is negative or before the one above.
    """
    table = _read_table(path)
    wanted = (time, *values)
    found = _found(table, wanted)
    numbers: dict[str, tuple[Decimal, ...]] = {}
    for column, (position, unit) in zip(wanted, found, strict=True):
        if column.unit:
            numbers[column.name] = tuple(_number(table, row, position, column, unit) for row in range(len(table.rows)))
    origin = numbers[TIME.name][0] if start == "first" else Decimal(0)
    for column in wanted:
        if column.is_moment:
            numbers[column.name] = tuple(number - origin for number in numbers[column.name])
    texts = {
        column.name: tuple(row[position] for row in table.rows)
        for column, (position, _) in zip(wanted, found, strict=True)
        if not column.unit
    }
    read = Recorded(path, table.lines, {name: tuple(map(float, found)) for name, found in numbers.items()}, texts)
    _refuse_disorder(read, [column.name for column in wanted if column.is_moment])
    return read


def doubt_of(times_s: Sequence[float]) -> str:
    """Say that times begin so long after 0 that they hardly count from the start of a trial; empty when they may.

    Examples
    --------
    >>> doubt_of([0.0, 30.0])
    ''
    >>> doubt_of([36000.0, 36060.0])
    'the first time is 36000 s after the start of a trial, the recording lasts 60 s; times of day?'
    """
    first_s, span_s = times_s[0], times_s[-1] - times_s[0]
    if first_s < _LATE_S or first_s <= span_s:
        return ""
    return f"the first time is {first_s:.10g} s after the start of a trial, the recording lasts {span_s:.6g} s; times of day?"


def _refuse_disorder(read: Recorded, moments: Sequence[str]) -> None:
    for name in moments:
        for row, moment_s in enumerate(read.numbers[name]):
            if moment_s < 0:
                raise read.error(
                    row, f"the {name} is {moment_s:g} s, before the start; `start: first` counts from the first time"
                )
    for row, (before_s, after_s) in enumerate(pairwise(read.times_s), start=1):
        if after_s < before_s:
            raise read.error(
                row, f"the time {after_s!r} s is before the one above, {before_s!r} s; put the rows in order"
            )


@dataclass(frozen=True, slots=True)
class _Table:
    """The fields of a file; a header that stands in a comment may be prose."""

    path: Path
    titles: tuple[str, ...]
    is_comment: bool
    lines: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]

    def error(self, row: int, message: str) -> DataError:
        return DataError(f"{self.path}:{self.lines[row]}: {message}")


def _read_table(path: Path) -> _Table:
    written = [(number, line.strip(" ")) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    said = [(number, line) for number, line in written if not line.lstrip().startswith("#")]
    if not said:
        raise DataError(f"{path} holds no rows; write one per line, with the time first")
    separator = next((sign for sign in _SEPARATORS if sign in said[0][1]), None)
    divided = [(number, _divided(line, separator)) for number, line in said]
    has_header = not any(map(_BEGINS_AS_NUMBER.match, divided[0][1]))
    rows = divided[has_header:]
    if not rows:
        raise DataError(
            f"{path}:{said[0][0]}: {said[0][1][:60]!r} holds no number, and nothing follows; write a time per line"
        )
    above = [line.lstrip(" \t#") for number, line in written if number < rows[0][0] and line.lstrip().startswith("#")]
    n = len(rows[0][1])
    titles = _titles([line for _, line in said[:has_header]] or above[-1:], separator, n)
    table = _Table(
        path, titles, not has_header, tuple(number for number, _ in rows), tuple(fields for _, fields in rows)
    )
    _check_widths(table, n)
    return table


def _check_widths(table: _Table, n: int) -> None:
    """Refuse a table of which not all lines have n fields, its header included."""
    for row, fields in enumerate(table.rows):
        if len(fields) != n:
            raise table.error(row, f"the line has {len(fields)} fields, the first one has {n}; is the file damaged?")
    if not table.is_comment and len(table.titles) != n:
        raise table.error(0, f"the line has {n} fields, the header {len(table.titles)}; is the file damaged?")


def _titles(lines: Sequence[str], separator: str | None, n: int) -> tuple[str, ...]:
    """Return the titles of n columns in the last of some lines; blanks in a title and before a unit divide nothing."""
    if not lines:
        return ()
    if separator is None and n == 1:
        return (lines[-1].strip(),)
    return _divided(re.sub(r"\s+(?=[\[(])", "", lines[-1]) if separator is None else lines[-1], separator)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file. Raises `DataError`."""
    try:
        if not path.is_file():
            raise DataError(f"cannot read {path}: {'this is no file' if path.exists() else 'no such file'}")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTE + 1)
        if len(content) > MAX_BYTE:
            raise DataError(f"{path} has more than {MAX_BYTE >> 20} MiB; keep the columns and rows that are needed")
        return re.split("\r\n|\r|\n", content.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        why = (
            "it is no text in UTF-8"
            if isinstance(error, UnicodeDecodeError)
            else getattr(error, "strerror", None) or error
        )
        raise DataError(f"cannot read {path}: {why}") from None


def _divided(line: str, separator: str | None) -> tuple[str, ...]:
    if separator is None:
        return tuple(line.split())
    try:
        fields = next(csv.reader([line], delimiter=separator))
    except csv.Error:  # a field of more than 131,072 characters
        fields = line.split(separator)
    return tuple(field.strip() for field in fields)


def _found(table: _Table, wanted: Sequence[Column]) -> list[tuple[int, str]]:
    """Return where each wanted column stands, and its unit if the header names one."""
    if table.titles and (not table.is_comment or len(table.titles) == len(table.rows[0])):
        try:
            return [_by_title(table, column) for column in wanted]
        except DataError:
            if not table.is_comment:
                raise
    n = len(table.rows[0])
    if n != len(wanted):
        names = ", ".join(column.name for column in wanted)
        raise table.error(
            0, f"{n} fields where one has {names}; a header line says which is which, decimal commas are not read"
        )
    return [(position, "") for position in range(n)]


def _by_title(table: _Table, column: Column) -> tuple[int, str]:
    titles = [_title(title, column.unit) for title in table.titles]
    same = [position for position, (name, _) in enumerate(titles) if name in column.names]
    near = [position for position, (name, _) in enumerate(titles) if _is_called(name, column)]
    found = same or near
    if len(found) != 1:
        problem = f"no column {column.name!r}" if not found else f"several columns that may be {column.name!r}"
        raise DataError(
            f"{table.path}: {problem} in the header ({', '.join(map(repr, table.titles))[:200]}); call one of them {column.name!r}"
        )
    position, unit = found[0], titles[found[0]][1]
    if unit:
        try:
            factor_of(unit, column.unit or "1")
        except ValueError as error:
            raise DataError(f"{table.path}: column {table.titles[position]!r}: {error}") from None
    return position, unit


def _title(title: str, unit: str) -> tuple[str, str]:
    """Return the name and the unit in a title."""
    match = _TITLE.fullmatch(title)
    if match:
        return match[1].strip().casefold(), match[2].strip()
    name, _, last = title.strip().rpartition("_")
    return (name.casefold(), last) if name and unit and reads_as_unit(last, unit) else (title.strip().casefold(), "")


def _is_called(name: str, column: Column) -> bool:
    """Say whether a title holds one of a column's names as a word, or a longer one at the end of a word."""
    words = re.findall(r"[^\W\d_]+", name)
    return any(word == one or (len(one) > 3 and word.endswith(one)) for word in words for one in column.names)


def _number(table: _Table, row: int, position: int, column: Column, unit: str) -> Decimal:
    text = table.rows[row][position]
    match = _PLAIN.fullmatch(text) if len(text) <= 60 else None
    if match is None:
        remedy = (
            "write a decimal point" if "," in text else f"write a number such as {EXAMPLES[column.unit].split()[0]}"
        )
        raise table.error(row, f"{text[:60]!r} is not plainly a number, as a {column.name} is; {remedy}")
    unit = (match[2] or "").strip() or unit
    if not unit and column.needs_unit:
        raise table.error(
            row,
            f"the {column.name} {text} has no unit; name it in the header, e.g. {column.name} [{EXAMPLES[column.unit].split()[1]}]",
        )
    try:
        factor = factor_of(unit, column.unit) if unit else 1.0
    except ValueError as error:
        raise table.error(row, f"{column.name} {text!r}: {error}") from None
    number = Decimal(match[1]) * Decimal(repr(factor))
    if abs(number) > _MOST:
        raise table.error(row, f"the {column.name} {text} is out of range")
    return number
