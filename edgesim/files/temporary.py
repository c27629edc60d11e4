"""Files for worker processes, in the system's folder for temporary files; none stays for long, however its owner ends.

Each lies in a folder with a lock that its owner holds. The operating system frees the lock of a process that is gone, and
whoever packs the next time removes the folders that nobody holds.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgesim.errors import EdgesimError

PREFIX = "edgesim-"
_OWNER = "owner"
_COMPILER_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
"""Names the folder in the environment; torch sets it when it makes the folder."""


@contextmanager
def shared_file(content: bytes) -> Iterator[Path]:
    """Write a file in a folder of its own, which is there until the context is left.

    Raises
    ------
    EdgesimError
        When it cannot be written.
    """
    with shared_folder() as folder:
        path = folder / "shared"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise _unwritable(error, folder) from error
        yield path


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make a folder, which is there until the context is left.

    Raises
    ------
    EdgesimError
        When it cannot be made.
    """
    try:
        remove_ownerless()
        folder, file = _owned_folder()
    except OSError as error:
        raise _unwritable(error, Path(tempfile.gettempdir())) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(file)


def _unwritable(error: OSError, folder: Path) -> EdgesimError:
    return EdgesimError(
        f"what worker processes need cannot be written to {folder}: {error.strerror or error}; make room, set TMPDIR to another "
        "folder, or run with one worker"
    )


def _owned_folder() -> tuple[Path, int]:
    """Return a new folder, and the open file that is its lock; one that is swept before it is locked is left."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        file = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT, 0o600)
        if acquire(file) and (folder / _OWNER).exists():
            return folder, file
        os.close(file)


def remove_ownerless() -> None:
    """Remove the folders whose owners are gone."""
    for owner in [Path(entry.path) / _OWNER for entry in _ours()]:
        with suppress(OSError):  # another user's, or gone meanwhile
            file = os.open(owner, os.O_RDWR)
            try:
                if acquire(file):
                    shutil.rmtree(owner.parent, ignore_errors=True)
            finally:
                os.close(file)


def _ours() -> list[os.DirEntry[str]]:
    with os.scandir(tempfile.gettempdir()) as entries:
        return [entry for entry in entries if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False)]


def leave_no_compiler_folder() -> None:
    """When this process ends, remove the folder for compiled code that torch makes as soon as it trains or traces, if it is empty.

    Nothing in edgesim compiles networks; where a network of one's own does, the folder is not empty, and stays.
    """
    if _COMPILER_FOLDER not in os.environ:  # else somebody else chose the folder, or this process's parent removes it
        atexit.register(_remove_if_new_and_empty, time.time())


def _remove_if_new_and_empty(since_s: float) -> None:
    folder = os.environ.get(_COMPILER_FOLDER)
    with suppress(OSError):  # not made, or not empty
        if folder and Path(folder).stat().st_ctime >= since_s - 1.0:
            Path(folder).rmdir()


def acquire(file: int) -> bool:
    """Lock an open file, unless another process has."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _acquire_on_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _acquire_on_windows(file: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True
