"""Folders and files that options of plug-ins name: where they start, what is in them, and names that can be moved.

`plugins:` and the files that a scenario is read from have ways of their own.
"""

from __future__ import annotations

import hashlib
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.domain.places import OnDisk
from edgesim.scenario.code.plugins import is_file
from edgesim.scenario.form.paths import form_at, marks_of, parts_of, split, with_item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from edgesim.scenario.text.source import DataPath, Source

_HAVE_PLUGINS = ("workload", "strategies", "failures")
MOST_FILES = 200_000
"""So many files of a folder are told apart."""


def places(form: type[BaseModel], data: dict[str, Any]) -> Iterator[tuple[DataPath, OnDisk, str]]:
    """Yield where options of a scenario's plug-ins name a folder or file, also as value of a factor, of which kind, and the name."""
    for key in _HAVE_PLUGINS:
        yield from _places(form_at(form, data, (key,)), data.get(key), (key,))
    sweep = data.get("sweep")
    for label, factor in (sweep if isinstance(sweep, dict) else {}).items():
        path, values = (factor.get("path"), factor.get("values")) if isinstance(factor, dict) else (None, None)
        mark = _mark(form_at(form, data, split(path)), "") if isinstance(path, str) else None
        for index, value in enumerate(values if mark and isinstance(values, list) else ()):
            if mark and isinstance(value, str):
                yield ("sweep", label, "values", index), mark, value


def _places(form: Any, data: Any, path: DataPath) -> Iterator[tuple[DataPath, OnDisk, str]]:
    if isinstance(data, str):
        mark = _mark(form, data)
        if mark:
            yield path, mark, data
    elif isinstance(data, (dict, list)):
        entries = enumerate(data) if isinstance(data, list) else data.items()
        inside = parts_of(form, data)
        for key, value in entries:
            if key in inside and (isinstance(value, (dict, list)) or _mark(inside[key], value)):
                yield from _places(inside[key], value, (*path, key))


def _mark(form: Any, data: Any) -> OnDisk | None:
    return next((mark for mark in marks_of(form, data) if isinstance(mark, OnDisk)), None)


def with_absolute_places(form: type[BaseModel], data: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return the data with whole names of folders and files, also where factors vary them, so that they are found from anywhere."""
    for path, _, name in [*places(form, data)]:
        data = with_item(data, path, absolute_name(name, source.folder_of(path)))
    return data


def absolute_name(name: str, folder: Path) -> str:
    """Return a name of a folder or file that is found from anywhere."""
    return os.path.abspath(folder / Path(name).expanduser()) if name and "\0" not in name else name  # noqa: PTH100 - links stay


def portable(form: type[BaseModel], data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a resolved scenario that may stand in a folder and be moved together with it and the files it names.

    Names become relative to the folder, unless they share nothing with it but the root.
    """
    for path, _, name in [*places(form, data)]:
        data = with_item(data, path, _relative(name, folder))
    return data | {"plugins": [_relative(name, folder) if is_file(name) else name for name in data["plugins"]]}


def _relative(name: str, folder: Path) -> str:
    base = folder.absolute()
    shared = os.path.commonpath((name, base)) if Path(name).is_absolute() else ""
    is_near = shared and Path(shared) != Path(base.anchor)
    found = os.path.relpath(name, base) if is_near else name
    return found if "/" in found or not is_near else f"./{found}"


def fingerprint(name: str) -> str:
    """Return the last part of a name, and the SHA-256 of names and sizes of the files there, if any: the same wherever it lies."""
    path = Path(name)
    files = [path] if path.is_file() else (file for file in path.rglob("*") if file.is_file())
    found = sorted((file.relative_to(path).as_posix(), file.stat().st_size) for file in islice(files, MOST_FILES))
    return f"{path.name} {hashlib.sha256(repr(found).encode()).hexdigest()}" if found else path.name
