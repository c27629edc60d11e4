"""What runs inside a worker: it holds what a study's tasks share, received once, and calls the tasks.

Imports nothing heavy, so that a worker process can limit its threads before numpy and torch read the environment.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_held = threading.local()


def hold(shared: Any) -> None:
    """Keep what the tasks of this thread share."""
    _held.shared = shared


def begin_process(luggage: str) -> None:
    """Make a new process ready: one thread for matrix products, no orphan, and Ctrl-C left to the main process.

    The shared objects stay in the file `luggage` until the first task, so that an error on loading them is reported like a task's.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _held.luggage = luggage


def _end_with_parent() -> None:
    """End this process when the main process is gone: a pool's queue alone does not tell its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def call(function: Callable[[Any, Any], Any], task: Any) -> Any:
    """Return ``function(shared, task)``."""
    if not hasattr(_held, "shared"):
        _held.shared = pickle.loads(Path(_held.luggage).read_bytes())  # noqa: S301 - written by the main process of this study
        _limit_loaded_libraries()
    return function(_held.shared, task)


def _limit_loaded_libraries() -> None:
    """Limit libraries that the user's main script had loaded before the environment was set."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
