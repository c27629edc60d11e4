"""What every worker process of edgesim has in common.

Imports nothing heavy, so that a process can limit its threads before numpy and torch read the environment.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import cache
from multiprocessing import parent_process, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

GUARD = (
    "a worker process ended before it could begin: its traceback stands above; a script needs the line "
    "'if __name__ == \"__main__\":' around what it does"
)
"""What to say of a pool whose processes end with exit code 1, which is that of an exception outside of any task."""


NOTED_S = 5.0
"""So long another thread has for noting that a process has ended."""


def n_cpus() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def keep_memory() -> None:
    """Let this process keep memory that it frees: to ask the system for it anew takes longer than to compute what it holds.

    glibc gives back what is free beyond a threshold, and sets that to twice the size of the largest array that was freed (mallopt(3),
    M_TRIM_THRESHOLD and M_MMAP_THRESHOLD). So an array of 8 MB, which is never written to, keeps 16 MB. No other library minds.
    """
    import numpy as np

    np.empty(2**20)


class Worker(SpawnProcess):
    """A process that Ctrl-C never reaches, from its first moment on: the terminal sends it to all, and the main process decides."""

    def start(self) -> None:
        """Start it with the signal blocked, which it inherits."""
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            super().start()
            return
        resource_tracker.ensure_running()  # it unblocks the signal when it starts
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Starting(SpawnContext):
    """Starts new processes and remembers them. Forking after torch has started threads would be unsafe."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Worker] = []
        self._answers: list[Any] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802 - the base's name
        """Make a process."""
        process = Worker(*args, **options)
        self.started.append(process)
        return process

    def SimpleQueue(self) -> Any:  # noqa: N802 - the base's name
        """Make the pipe of a pool's answers."""
        self._answers.append(super().SimpleQueue())
        return self._answers[-1]

    def kill(self) -> None:
        """End those that still live, and the wait of their pool for the rest of an answer that one was giving."""
        for process in self.started:
            if process.pid is not None and process.is_alive():
                process.kill()
                process.join()
                _noted(process)
        while self._answers:
            self._answers.pop()._writer.close()  # noqa: SLF001 - else the pool waits for ever for what nobody writes


def _noted(process: Worker) -> None:
    """Wait until the end of a process is noted: where the thread of its pool was told of it, this one is not, and that one may be about to note it."""
    until_s = time.monotonic() + NOTED_S
    while process.is_alive() and time.monotonic() < until_s:
        time.sleep(0.001)


def become_worker() -> None:
    """Make a new process ready: one thread for matrix products, no orphan, and Ctrl-C left to the main process."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the main process is gone: a pool's queue alone does not tell its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
