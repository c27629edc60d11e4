"""Reading what others wrote: bounded, strict, and nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 60
"""Deeper nesting is nothing that edgesim has written."""
# Control characters but tab and line feed, separators of lines, what turns the direction of writing, halves of characters.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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
        raise DataError(f"a text has characters that are not printable: {place!r}")
    return value


def hidden_in(value: object, depth: int = 0) -> Iterator[str]:
    """Yield the texts in plain data, keys too, that have characters that are not shown but obeyed.

    Raises
    ------
    RecursionError
        When it is nested deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        if _HIDDEN.search(value):
            yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from hidden_in(key, depth + 1)
            yield from hidden_in(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from hidden_in(item, depth + 1)


def visible(text: str) -> str:
    r"""Return a text with such characters written out.

    Examples
    --------
    >>> visible("\x1b[2J")
    '\\x1b[2J'
    """
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
