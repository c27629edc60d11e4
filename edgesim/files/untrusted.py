"""Reading what others wrote: bounded, strict, and nothing in it that a terminal would obey."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgesim.errors import HIDDEN, DataError, visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 60
"""Deeper nesting is nothing that edgesim has written."""


def read_json(path: Path, *, most_byte: int) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    DataError
        When it cannot be read, is larger than `most_byte`, is no JSON in UTF-8, is nested too deeply, or holds characters
        that a terminal would obey.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_byte + 1)
        if len(content) > most_byte:
            raise DataError(f"it has more than {most_byte:,} byte")
        value = json.loads(content.decode("utf-8"))
        place = next(hidden_in(value), None)
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror or error}") from error
    except RecursionError:
        raise DataError("it is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"it is no JSON: {visible(str(error))}") from None
    if place is not None:
        raise DataError(f"{visible('.'.join(map(str, place)))!r} has characters that are not printable")
    return value


def hidden_in(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where texts in plain data, keys too, have characters that are not shown but obeyed.

    Raises
    ------
    RecursionError
        When it is nested deeper than `MAX_DEPTH`.
    """
    if len(path) > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        if HIDDEN.search(value):
            yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and HIDDEN.search(key):
                yield (*path, key)
            yield from hidden_in(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from hidden_in(item, (*path, index))
