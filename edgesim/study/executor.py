"""Runs tasks in local worker processes, or in this process.

A task is run as ``function(shared, task)``: `shared` is what all tasks need (programs, networks) and goes to each worker
once. Executors are those of `concurrent.futures`; one worker is a single thread of this process, which needs no pickling
and no start-up.
"""

from __future__ import annotations

import os
import pickle
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.thread import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from threadpoolctl import threadpool_limits

from edgesim.errors import EdgesimError, SimulationError
from edgesim.study.worker import begin_process, call, hold

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Answer = TypeVar("Answer")

TASKS_AHEAD = 4
"""Tasks per worker that are submitted before their turn; more would only cost memory."""


def n_cpus() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def local_executor(workers: int, shared: object) -> Iterator[Executor]:
    """Open an executor whose workers hold `shared`; leaving the context cancels what has not begun and waits for the rest.

    Raises
    ------
    EdgesimError
        When `shared` cannot be pickled for worker processes.
    """
    executor: Executor
    if workers == 1:
        executor = ThreadPoolExecutor(1, initializer=hold, initargs=(shared,))
    else:
        # spawn: forking after torch has started threads is unsafe
        executor = ProcessPoolExecutor(workers, get_context("spawn"), begin_process, (_pickle(shared),))
    with threadpool_limits(1):
        try:
            yield executor
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _pickle(shared: object) -> bytes:
    try:
        return pickle.dumps(shared, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise EdgesimError(
            f"the deployments cannot be sent to worker processes: {error}; "
            "let deployments hold only what pickles (no lambdas, no local classes), or run with one worker"
        ) from error


def completed(
    executor: Executor,
    workers: int,
    function: Callable[[Shared, Item], Answer],
    tasks: Sequence[Item],
) -> Iterator[tuple[int, Answer]]:
    """Run the tasks and yield each one's position and result as soon as it is there, in any order.

    Raises
    ------
    EdgesimError
        When a task raises one, or when a worker process ends before its time.
    SimulationError
        When a task raises any other exception; it names the task (its `str`) and where the exception came from.
    """
    waiting = iter(enumerate(tasks))
    running: dict[Future[Answer], int] = {}
    try:
        while True:
            for position, task in islice(waiting, TASKS_AHEAD * workers - len(running)):
                running[executor.submit(call, function, task)] = position
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                position = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenExecutor):
                    raise error
                if error is not None:
                    raise clear_error(error, str(tasks[position])) from error
                yield position, future.result()
    except BrokenExecutor as error:
        raise EdgesimError(
            "a worker process ended before its time (killed, out of memory, or a script without "
            "'if __name__ == \"__main__\":' around the call); run again, with fewer workers or with one"
        ) from error


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
