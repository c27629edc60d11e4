"""Shows the progress of long work on stderr: bars on a terminal, plain lines elsewhere, nothing when it should be quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.text import Text

from edgesim.interfaces import Bar

SECONDS_BETWEEN_LINES = 10.0


def _per_s(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


class _Rate(ProgressColumn):
    """How much is done per second."""

    def render(self, task: RichTask) -> Text:
        """Return it; nothing as long as it is not known."""
        rate = task.finished_speed or task.speed
        return Text(_per_s(rate) if rate else "")


class BarTask:
    """A bar on the terminal."""

    def __init__(self, progress: Progress, task_id: TaskID) -> None:
        self._progress = progress
        self._task_id = task_id

    def advance(self, n_done: int = 1, note: str = "") -> None:
        """Move the bar."""
        self._progress.update(self._task_id, advance=n_done, note=note)


class Bars:
    """One bar per piece of work, the running ones at the bottom; a finished one stays as a line."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
        )
        self._n_open = 0

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Bar]:
        """Open a bar; the display runs while any is open."""
        if self._n_open == 0:
            self._progress.start()
        self._n_open += 1
        task_id = self._progress.add_task(label, total=n_total, note="")
        try:
            yield BarTask(self._progress, task_id)
        finally:
            self._progress.stop_task(task_id)
            self._n_open -= 1
            if self._n_open == 0:
                self._progress.stop()


class LineTask:
    """A line now and then, for logs."""

    def __init__(self, console: Console, label: str, n_total: int) -> None:
        self._console = console
        self._label = label
        self._n_total = n_total
        self._n_done = 0
        self._started_s = self._last_s = monotonic()
        self._note = ""

    def advance(self, n_done: int = 1, note: str = "") -> None:
        """Count, and write a line when the last one is long ago."""
        self._n_done += n_done
        self._note = note
        if monotonic() - self._last_s >= SECONDS_BETWEEN_LINES and self._n_done < self._n_total:
            self._last_s = monotonic()
            self.write()

    def write(self) -> None:
        """Write how far it is."""
        passed_s = max(monotonic() - self._started_s, 1e-3)
        note = f"; {self._note}" if self._note else ""
        rate = _per_s(self._n_done / passed_s)
        left = ""
        if 0 < self._n_done < self._n_total:
            left = f", about {passed_s / self._n_done * (self._n_total - self._n_done):.0f} s left"
        self._console.print(
            f"{self._label}: {self._n_done} of {self._n_total} in {passed_s:.1f} s ({rate}){left}{note}"
        )


class Lines:
    """Plain lines: one at the end of each piece of work, and every ten seconds between."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Bar]:
        """Open a piece of work."""
        task = LineTask(self._console, label, n_total)
        try:
            yield task
        finally:
            task.write()


def progress_on_stderr() -> Bars | Lines:
    """Return what fits stderr: bars on a terminal, else lines."""
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    return Bars(console) if console.is_terminal else Lines(console)
