"""Students that learn each for itself, several at the same time: each in a process with one thread, with the same weights as one
after another.
"""

from __future__ import annotations

import pickle
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from edgesim.errors import EdgesimError
from edgesim.files.temporary import shared_file
from edgesim.interfaces import Silent
from edgesim.processes import GUARD, Starting, become_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgesim.nn.distill.student_training import StudentTraining

WORTH_S = 10.0
"""Time of a student's training from which on processes pay, in s: each needs seconds to load torch and the samples."""

Learnt = TypeVar("Learnt")


def learn_alone(
    setup: StudentTraining, learn: Callable[..., Learnt], arguments: Sequence[tuple[Any, ...]], label: str
) -> list[Learnt]:
    """Return ``learn(setup, *one)`` for each of the arguments.

    Students learn in this process, until one takes long; then the others learn in processes, which leave what they learnt in the
    cache. A training that was interrupted goes on there from its last epoch.

    Parameters
    ----------
    setup : who learns from whom, and how; `n_at_once` says how many processes.
    learn : a function of a module that returns a network from the cache, or trains it and puts it there.
    arguments : of each student.
    label : what the progress bar says.

    Raises
    ------
    EdgesimError
        When a process ends before its time.
    """
    learnt: list[Learnt] = []
    is_filled = setup.n_at_once < 2
    for position, one in enumerate(arguments):
        began_s = time.monotonic()
        learnt.append(learn(setup, *one))
        rest = arguments[position + 1 :]
        if not is_filled and len(rest) > 1 and time.monotonic() - began_s >= WORTH_S:
            _fill_cache(setup, learn, rest, label)
            is_filled = True
    return learnt


def _fill_cache(
    setup: StudentTraining, learn: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], label: str
) -> None:
    content = pickle.dumps(replace(setup, progress=Silent()), protocol=pickle.HIGHEST_PROTOCOL)
    with shared_file(content) as path, setup.progress.task(label, len(arguments)) as bar:
        n_processes = min(setup.n_at_once, len(arguments))
        context = Starting()
        pool = ProcessPoolExecutor(n_processes, context, become_worker)
        try:
            for done in as_completed([pool.submit(_learn, path, learn, one) for one in arguments]):
                done.result()
                bar.advance()
        except BaseException as error:
            context.kill()  # also at Ctrl-C: each has left a checkpoint behind its last epoch
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise EdgesimError(f"{label}: {GUARD}, or the memory was exhausted; what was learnt is kept") from error
            raise
        pool.shutdown()


def _learn(path: Path, learn: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    setup = pickle.loads(path.read_bytes())  # noqa: S301 - written by the main process
    learn(setup, *arguments)
