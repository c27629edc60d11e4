"""Workers that die at the worst moment: while a task is being submitted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Future
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from edgesim.errors import EdgesimError
from edgesim.processes import Starting
from edgesim.study.work import executor
from edgesim.study.work.executor import Flow, LocalPool, local_pool


def double(shared: int, task: int) -> int:
    """A task."""
    return 2 * task + shared


def end(shared: int, task: int) -> None:
    """A task of which the worker dies."""
    os._exit(9)


def closed(*arguments: object) -> Future[Any]:
    """What a pool does that has just taken note of a death."""
    raise OSError("handle is closed")


def test_a_pool_that_breaks_while_it_takes_a_task_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a failure of the operating system, which it looks like."""
    with local_pool(2, end, 0) as pool:
        with pytest.raises(BrokenExecutor):
            pool.submit(1).result(60)
        assert pool.is_broken()
        monkeypatch.setattr(pool._pool, "submit", closed)
        with pytest.raises(BrokenExecutor):
            pool.submit(2)
        pool.restart()
        assert not pool.is_broken()


def test_workers_that_cannot_be_started_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all of those that were started live."""
    with local_pool(2, double, 1) as pool:
        assert pool.submit(3).result(60) == 7
        monkeypatch.setattr(pool._pool, "submit", closed)
        with pytest.raises(EdgesimError, match="no worker process can be started: handle is closed; run with fewer"):
            pool.submit(4)


def test_a_worker_that_began_while_the_pool_broke_is_ended() -> None:
    """It would wait for ever, and the main process for it."""
    pool = LocalPool(2, double, 1)
    orphan = pool._context.Process(target=time.sleep, args=(600,))
    orphan.start()
    pool.close()
    assert not orphan.is_alive()
    assert orphan not in active_children()


UNGUARDED = """
from edgesim.study.work.executor import Flow, local_pool
def work(shared, task):
    return task
with local_pool(2, work, bytes(1_000_000)) as pool:  # more than a pipe holds
    list(Flow(pool, range(4)))
"""


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    """Its workers die while they start, at once and every time."""
    script = tmp_path / "study.py"
    script.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "EdgesimError: a worker process ended before it could begin" in done.stderr
    assert "a script needs the line 'if __name__ == \"__main__\":'" in done.stderr


class Forgetful:
    """Workers of which the first dies with its task, and nobody says so."""

    n_ahead = 1

    def __init__(self) -> None:
        self.n_started = 0

    def submit(self, task: int) -> Future[int]:
        future: Future[int] = Future()
        if self.n_started:
            future.set_result(task)
        return future

    def is_broken(self) -> bool:
        return self.n_started == 0

    def restart(self) -> None:
        self.n_started += 1


def test_a_task_that_a_breaking_pool_forgets_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its future never ends, so the workers are looked after."""
    monkeypatch.setattr(executor, "WATCH_S", 0.01)
    pool = Forgetful()
    assert sorted(Flow(pool, [1, 2])) == [(1, 1), (2, 2)]
    assert pool.n_started == 1


def test_a_process_that_was_killed_is_noted_as_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the thread of the pool is told of its end before this one, and notes it later: nothing is left of it."""
    context, told, waitpid = Starting(), threading.Event(), os.waitpid
    process = context.Process(target=time.sleep, args=(60,))
    process.start()

    def late(pid: int, options: int) -> tuple[int, int]:
        if threading.current_thread() is not pool:
            if not options:  # wait for the end, which the other thread is told of
                told.wait()
            return waitpid(pid, options)
        found = waitpid(pid, options)
        told.set()
        time.sleep(0.3)
        return found

    pool = threading.Thread(target=process._popen.wait)  # type: ignore[attr-defined]
    monkeypatch.setattr(os, "waitpid", late)
    pool.start()
    context.kill()
    assert not process.is_alive()
    assert process not in active_children()
    pool.join()
