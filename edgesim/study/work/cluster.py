"""Runs tasks on a Dask cluster, given the address of its scheduler; needs the extra ``edgesim[dask]``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from distributed import Client, WorkerPlugin
from distributed.comm.core import CommClosedError

from edgesim.errors import EdgesimError
from edgesim.scenario.code.plugins import is_file
from edgesim.study.work.executor import TASKS_AHEAD, pickled

_held: dict[str, Any] = {}
"""In a worker: what the tasks of each study share, by the study's key."""


class SharedData(WorkerPlugin):  # type: ignore[misc,unused-ignore]
    """What a worker needs for a study, in the form of a Dask worker plug-in: every worker gets it once, late ones too.

    Parameters
    ----------
    key : tells studies apart that use a cluster at the same time.
    shared : what all tasks need, pickled.
    files : the plug-in files of the scenario, by name.
    """

    idempotent = True

    def __init__(self, key: str, shared: bytes, files: dict[str, bytes]) -> None:
        self.name = self.key = key
        self.shared = shared
        self.files = files

    def setup(self, worker: Any) -> None:
        """Unpack: the plug-in files join the module search path."""
        import pickle

        from threadpoolctl import threadpool_limits

        if self.files:
            folder = Path(worker.local_directory) / self.key  # which goes with the worker
            folder.mkdir(exist_ok=True)
            for name, content in self.files.items():
                (folder / name).write_bytes(content)
            sys.path.append(str(folder))
            importlib.invalidate_caches()
        _held[self.key] = pickle.loads(self.shared)  # noqa: S301 - sent by the main process of this study
        threadpool_limits(1)

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Forget the study."""
        _held.pop(self.key, None)


def call_on_worker(key: str, function: Callable[[Any, Any], Any], task: Any) -> Any:
    """Return ``function(shared, task)`` in a worker that has unpacked the shared data."""
    return function(_held[key], task)


class DaskPool:
    """The workers of a Dask cluster. The scheduler gives the tasks of a worker that dies to another."""

    def __init__(self, executor: Executor, key: str, function: Callable[[Any, Any], Any], n_workers: int) -> None:
        self.n_ahead = TASKS_AHEAD * n_workers
        self._executor, self._key, self._function = executor, key, function

    def submit(self, task: Any) -> Future[Any]:
        """Have a task run."""
        return self._executor.submit(call_on_worker, self._key, self._function, task)

    def is_broken(self) -> bool:
        """Return False: the scheduler watches the workers."""
        return False

    def restart(self) -> None:
        """Give up: Dask replaces workers itself."""
        raise EdgesimError("the Dask cluster cannot run tasks any more; finished parts are kept, run again to go on")


@contextmanager
def dask_pool(
    address: str, function: Callable[[Any, Any], Any], plugins: Sequence[str], shared: object
) -> Iterator[DaskPool]:
    """Open the workers of a Dask cluster.

    Parameters
    ----------
    address : of the scheduler.
    function : called with `shared` and a task.
    plugins : of the scenario; files among them are sent along.
    shared : what all tasks need.

    Raises
    ------
    EdgesimError
        When the scheduler does not answer or is lost, or has no workers.
    """
    connect: Any = Client
    try:
        client = connect(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise EdgesimError(f"no Dask scheduler answers at {address}: {error}") from error
    key = f"edgesim-{uuid4().hex}"
    files = {Path(name).name: Path(name).read_bytes() for name in plugins if is_file(name)}
    try:
        n_workers = sum(client.nthreads().values())
        if n_workers == 0:
            raise EdgesimError(f"the Dask scheduler at {address} has no workers; start one with: dask worker {address}")
        client.register_plugin(SharedData(key, pickled(shared), files), name=key)
        executor = client.get_executor(pure=False)
        yield DaskPool(executor, key, function, n_workers)
    except CommClosedError as error:
        raise EdgesimError(
            f"the Dask scheduler at {address} is gone; finished parts are kept, run again to go on"
        ) from error
    finally:
        if client.status == "running":
            client.cancel(list(client.futures.values()), force=True)
            client.unregister_worker_plugin(key)
        client.close()
