"""One writer per result folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgesim.errors import ResultError
from edgesim.files.temporary import acquire
from edgesim.files.whole import writing

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a result folder; the folder is made if needed.

    The operating system frees the lock when its process ends in whatever way, so none is ever left over.

    Raises
    ------
    ResultError
        When another process holds it; it says which. When the folder cannot be made, or its file system knows no locks.
    """
    path = folder / LOCK
    while True:
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        _take(file, folder)
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            break
        os.close(file)  # its last holder removed it between our opening and our locking
    try:
        with writing(path):
            os.truncate(file, 0)
            os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def check_free(folder: Path) -> None:
    """Refuse a result folder that another process writes; `locked` may still find that one has begun."""
    with suppress(FileNotFoundError):
        file = os.open(folder / LOCK, os.O_RDWR)
        _take(file, folder)
        os.close(file)


def _take(file: int, folder: Path) -> None:
    """Lock an open file, or close it and raise."""
    try:
        if acquire(file):
            return
        holder = os.read(file, 200).decode(errors="replace").strip() or "another process"
    except OSError as error:
        os.close(file)
        raise ResultError(
            f"{folder} cannot be locked: {error.strerror}; choose a folder on another file system with --output"
        ) from error
    os.close(file)
    raise ResultError(f"{folder} is being written by {holder}; wait for it, or choose another folder")
