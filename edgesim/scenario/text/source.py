"""Plain data that know where they stand in a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesim.errors import Finding

DataPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line; line and column are counted from 1."""

    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Text:
    """A file that a part of the data comes from, where that is not the file itself."""

    file: str
    folder: Path
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the value at a path stands, and its key if it has one; `text` when it stands in another file."""

    value: Place
    key: Place | None
    is_scalar: bool
    text: Text | None = None


@dataclass(frozen=True)
class Source:
    """Plain data and where it stands in a text.

    Parameters
    ----------
    data : the top-level mapping, in plain Python values.
    file : name of the text for messages; empty for data that was written in Python.
    folder : where relative paths in the data start.
    lines : the lines of the text.
    marks : places by path.
    findings : mistakes met while reading that leave the rest readable, e.g. duplicate keys.
    """

    data: Mapping[str, Any]
    file: str = ""
    folder: Path = Path()
    lines: tuple[str, ...] = ()
    marks: Mapping[DataPath, Mark] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def finding(
        self, path: DataPath, message: str, *, expected: str = "", remedy: str = "", is_key: bool = False
    ) -> Finding:
        """Return a finding at `path`, or at the nearest place around it that the text has.

        Parameters
        ----------
        path : where the mistake is.
        message, expected, remedy : see `edgesim.errors.Finding`.
        is_key : whether the key is wrong rather than its value.
        """
        known = path
        while known and known not in self.marks:
            known = known[:-1]
        mark = self.marks.get(known)
        if mark is None:
            return Finding(message, path, expected, remedy, self.file)
        use_key = mark.key is not None and (is_key or not mark.is_scalar or mark.value.length == 0)
        place = mark.key if use_key and mark.key is not None else mark.value
        return self.at(place, message, path, expected, remedy, text=mark.text)

    def folder_of(self, path: DataPath) -> Path:
        """Return where relative paths in the value at `path` start: the folder of the file in which it stands."""
        mark = self.marks.get(path)
        return mark.text.folder if mark and mark.text else self.folder

    def line(self, path: DataPath) -> int:
        """Return the line of the value at `path`, 0 when it has none."""
        mark = self.marks.get(path)
        return mark.value.line if mark else 0

    def at(
        self, place: Place, message: str, path: DataPath, expected: str, remedy: str, *, text: Text | None = None
    ) -> Finding:
        """Return a finding at a place of the text, or of another text; see `finding`."""
        file, lines = (text.file, text.lines) if text else (self.file, self.lines)
        excerpt = lines[place.line - 1] if place.line <= len(lines) else ""
        return Finding(message, path, expected, remedy, file, place.line, place.column, place.length, excerpt)
