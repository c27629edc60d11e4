"""What runs inside a worker: it holds what a study's tasks share, received once, and calls the tasks. Imports nothing heavy; see
`edgesim.processes`.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesim.processes import become_worker

_held = threading.local()


def hold(shared: Any) -> None:
    """Keep what the tasks of this thread share."""
    _held.shared = shared


def begin_process(shared_file: str) -> None:
    """Make a new process ready. The shared objects stay in the file `shared_file` until the first task, so that an error on loading
    them is reported like a task's.
    """
    become_worker()
    _held.shared_file = shared_file


def call(function: Callable[[Any, Any], Any], task: Any) -> Any:
    """Return ``function(shared, task)``."""
    if "shared" not in vars(_held):
        _held.shared = pickle.loads(Path(_held.shared_file).read_bytes())  # noqa: S301 - written by the main process of this study
        _limit_loaded_libraries()
    return function(_held.shared, task)


def _limit_loaded_libraries() -> None:
    """Limit libraries that the user's main script had loaded before the environment was set."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
