"""One writer per result folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesim.errors import ResultError
from edgesim.luggage import acquire

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a result folder; the folder is made if needed.

    The operating system frees the lock when its process ends in whatever way, so none is ever left over.

    Raises
    ------
    ResultError
        When another process holds it; it says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not acquire(file):
            holder = os.read(file, 200).decode(errors="replace").strip() or "another process"
            os.close(file)
            raise ResultError(f"{folder} is being written by {holder}; wait for it, or choose another folder")
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            break
        os.close(file)  # its last holder removed it between our opening and our locking
    try:
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)
