"""Files that are written whole or not at all, with one message when they cannot be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesim.errors import ResultError

TEMPORARY = ".unfinished-"
"""What the name of a file begins with until it is whole."""
_REMEDIES = {
    errno.ENOSPC: "make room, and give the command again: what is finished is kept",
    errno.EDQUOT: "your quota is used up: make room, and give the command again: what is finished is kept",
    errno.ENOENT: "the folder is not there, or was moved",
    errno.EFBIG: "the file system takes no file of this size; choose another place",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say which file cannot be written, why, and what to do.

    Raises
    ------
    ResultError
        In place of an `OSError` in the context.
    """
    try:
        yield
    except OSError as error:
        text = os.strerror(error.errno) if error.errno else str(error)
        remedy = _REMEDIES.get(error.errno or 0, "choose another place")
        raise ResultError(f"{path} cannot be written: {text}; {remedy}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; bring the file to the disk and rename it, or remove it on any error.

    Raises
    ------
    ResultError
        When the disk is full or the folder cannot be written.
    """
    temporary = path.parent / f"{TEMPORARY}{path.name}"
    with writing(path):
        try:
            temporary.unlink(missing_ok=True)  # in a stranger's folder it may be a link to elsewhere
            yield temporary
            file = os.open(temporary, os.O_RDWR)
            try:
                os.fsync(file)
            finally:
                os.close(file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all. Raises `ResultError` as `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
