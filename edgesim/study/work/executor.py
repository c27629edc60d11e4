"""Runs tasks in this process, in local worker processes, or on a Dask cluster.

A task is run as ``perform(shared, task)``: `shared` is what all tasks need (programs, networks) and goes to each worker
once. Executors are those of `concurrent.futures`; one worker is a single thread of this process, which needs no pickling
and no start-up.
"""

from __future__ import annotations

import pickle
import re
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from concurrent.futures.thread import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from math import inf
from multiprocessing import connection
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from edgesim.errors import EdgesimError, SimulationError
from edgesim.files.temporary import shared_file
from edgesim.processes import GUARD, Starting
from edgesim.study.work.worker import begin_process, call, hold

TASKS_AHEAD = 4
"""Tasks per worker that are submitted before their turn; more would only cost memory."""
WATCH_S = 5.0
"""So long nothing may end before it is looked whether the workers are still there."""
PATIENCE_S = 2.0
"""So long one thread works alone when nobody said how many workers there shall be."""
N_DEATHS = 3
"""So often may a worker die with the same task as its only one before the task is held to be the cause."""


class WorkerPool(Protocol):
    """Workers that hold what the tasks share."""

    @property
    def n_ahead(self) -> int:
        """So many tasks shall be submitted at a time."""

    def submit(self, task: Any) -> Future[Any]:
        """Have a task run."""

    def is_broken(self) -> bool:
        """Return whether workers have ended, so that what was submitted may never come to an end."""

    def restart(self) -> None:
        """Begin again with new workers, after `submit` or a result has raised `BrokenExecutor`."""


OpenPool = Callable[[object], AbstractContextManager[WorkerPool]]
"""Opens workers that hold what it is given; leaving the context cancels what has not begun."""


class LocalPool:
    """Worker processes on this machine, or one thread of this process when there is one worker.

    Parameters
    ----------
    workers : how many.
    function, shared : what a task is given to, and what it needs besides.
    patience_s : so long the thread works alone. Processes take a second or two to start: a short study is over by then.
    """

    def __init__(
        self, workers: int, function: Callable[[Any, Any], Any], shared: object, patience_s: float = 0.0
    ) -> None:
        self._function = function
        self._context = Starting()
        self._shared_file = ""
        self._open = ExitStack()
        self._n_processes = workers if workers > 1 else 0
        if self._n_processes:
            # A file: a pool would write it into the pipe of each new process, and wait for ever for one that dies unread.
            path = self._open.enter_context(shared_file(pickled(shared)))
            self._shared_file = str(path)  # written once; each worker reads it at its first task
        self._pool_from_s = time.monotonic() + patience_s if self._n_processes else inf
        self._thread = ThreadPoolExecutor(1, initializer=hold, initargs=(shared,))
        self._pool: ProcessPoolExecutor | None = None

    @property
    def n_ahead(self) -> int:
        """So many tasks shall be submitted at a time."""
        return TASKS_AHEAD * self._n_processes if self._is_pool_due() else 2

    def _is_pool_due(self) -> bool:
        return self._pool is not None or time.monotonic() >= self._pool_from_s

    def _start_pool(self) -> ProcessPoolExecutor:
        self._context.started.clear()
        return ProcessPoolExecutor(self._n_processes, self._context, begin_process, (self._shared_file,))

    def submit(self, task: Any) -> Future[Any]:
        """Have a task run."""
        if self._pool is None and self._is_pool_due():
            self._pool = self._start_pool()
        try:
            return (self._pool or self._thread).submit(call, self._function, task)
        except OSError as error:
            if self.is_broken():  # the pool was taking note of it, and has closed what a new worker was to be given
                raise BrokenExecutor from error
            raise EdgesimError(
                f"no worker process can be started: {error}; run with fewer workers, or with one"
            ) from error

    def is_broken(self) -> bool:
        """Return whether a worker has ended."""
        sentinels = [process.sentinel for process in self._context.started if process.pid is not None]
        return bool(connection.wait(sentinels, 0))

    def restart(self) -> None:
        """Begin again with new processes. Raises `EdgesimError` when these would not come to life either."""
        self._kill_pool()
        if any(process.exitcode == 1 for process in self._context.started):  # of an exception outside of any task
            raise EdgesimError(f"{GUARD}, or run with one worker")
        self._pool = self._start_pool()

    def close(self) -> None:
        """Cancel what has not begun, and wait for what runs."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._context.kill()  # one that began while the pool broke is nobody's, and would wait for ever
        self._open.close()

    def abandon(self) -> None:
        """End at once, as nobody wants what runs: processes are killed, and the thread is left to end its task."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._kill_pool()
        self._open.close()

    def _kill_pool(self) -> None:
        self._context.kill()
        if self._pool is not None:  # which ends by itself; an interrupt may have left locks on which it waits for ever
            self._pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def local_pool(
    workers: int, function: Callable[[Any, Any], Any], shared: object, patience_s: float = 0.0
) -> Iterator[LocalPool]:
    """Open workers on this machine that run ``function(shared, task)``; see `LocalPool`.

    Raises
    ------
    EdgesimError
        When `shared` cannot be pickled for worker processes.
    """
    with threadpool_limits(1):
        pool = LocalPool(workers, function, shared, patience_s)
        try:
            yield pool
        except BaseException:
            pool.abandon()
            raise
        pool.close()


def pickled(shared: object) -> bytes:
    """Return `shared` as it travels to workers. Raises `EdgesimError` when it cannot."""
    try:
        return pickle.dumps(shared, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise EdgesimError(
            f"the deployments cannot be sent to worker processes: {error}; "
            "let deployments hold only what pickles (no lambdas, no local classes), or run with one worker"
        ) from error


class Flow:
    """Tasks on their way through a pool; more may be added while others run.

    When a worker dies its tasks are run again, those that may have been the cause one at a time.

    Parameters
    ----------
    pool : runs them.
    tasks : those that are known from the beginning; read as workers become free.
    """

    def __init__(self, pool: WorkerPool, tasks: Iterable[Any] = ()) -> None:
        self._pool = pool
        self._tasks = iter(tasks)
        self._urgent: deque[Any] = deque()
        self._suspects: deque[tuple[Any, int]] = deque()
        self._running: dict[Future[Any], tuple[Any, int]] = {}

    def add(self, task: Any) -> None:
        """Run a task before those that have not begun."""
        self._urgent.append(task)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield each task and its result as soon as it is there, in any order.

        Raises
        ------
        EdgesimError
            When a task raises one, or when workers die of a task.
        SimulationError
            When a task raises any other exception; it names the task (its `str`) and where the exception came from.
        """
        while True:
            try:
                self._fill()
            except BrokenExecutor:
                self._begin_again()
                continue
            if not self._running:
                return
            done = wait(self._running, WATCH_S, return_when=FIRST_COMPLETED).done
            # a task that was submitted in the moment in which a worker died is forgotten by the pool
            is_forgotten = not done and self._pool.is_broken()
            if is_forgotten or any(isinstance(future.exception(), BrokenExecutor) for future in done):
                self._begin_again()
                continue
            for future in done:
                task, _ = self._running.pop(future)
                error = future.exception()
                if error is not None:
                    raise clear_error(error, str(task)) from error
                yield task, future.result()

    def _fill(self) -> None:
        """Submit tasks until the workers have enough before them."""
        if self._suspects:
            if not self._running:
                task, n_deaths = self._suspects[0]
                self._running[self._pool.submit(task)] = (task, n_deaths)
                self._suspects.popleft()
            return
        while len(self._running) < self._pool.n_ahead:
            task = self._urgent.popleft() if self._urgent else next(self._tasks, None)
            if task is None:
                return
            try:
                self._running[self._pool.submit(task)] = (task, 0)
            except BrokenExecutor:
                self._urgent.appendleft(task)
                raise

    def _begin_again(self) -> None:
        """Start new workers, and run the tasks that were under way one at a time."""
        alone = len(self._running) == 1
        for task, n_deaths in self._running.values():  # also those that have ended: they are pure functions
            if alone and n_deaths + 1 >= N_DEATHS:
                raise EdgesimError(
                    f"a worker process ended before its time {N_DEATHS} times, each time with the task {task} (killed, out of "
                    "memory, or a script without 'if __name__ == \"__main__\":' around the call); finished parts are kept; run "
                    "again, with fewer workers or with one"
                )
            self._suspects.append((task, n_deaths + 1 if alone else 0))
        self._running.clear()
        self._pool.restart()


def clear_error(error: BaseException, subject: str) -> EdgesimError:
    """Return an error that says what failed, how and where; errors of edgesim say it themselves, a note says what failed."""
    if isinstance(error, EdgesimError):
        error.add_note(f"in {subject}")
        return error
    from_worker = error.__cause__  # the traceback of another process, as text
    text = str(from_worker) if from_worker is not None else "".join(traceback.format_exception(error))
    places = re.findall(r'File "([^"]+)", line (\d+)', text)
    place = f" ({places[-1][0]}:{places[-1][1]})" if places else ""
    return SimulationError(f"{subject}: {type(error).__name__}: {error}{place}")
