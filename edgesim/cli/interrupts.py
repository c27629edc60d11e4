"""What Ctrl-C and SIGTERM do, from the first import on; imports only what Python has loaded anyway.

The first ends the command in order: what is finished is kept. The second ends it at once, with all its processes; so does
the first, some seconds later, when a library has caught what it raised.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells say it."""
GRACE_S = 10.0
"""So long an end in order may take."""
noted: list[int] = []
"""Signals so far. A library that is interrupted while it loads may raise something else than `KeyboardInterrupt`."""
farewell: list[str] = []
"""What is said at the end: how to go on."""


def note_interrupts() -> None:
    """Note signals before they raise `KeyboardInterrupt`; where they are ignored, as in a background job, they stay ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    # Python's helper would warn of what a process that ends at once leaves to it; it cleans up either way.
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), quiet)))


def _interrupt(number: int, _frame: FrameType | None) -> None:
    noted.append(number)
    if len(noted) > 1:
        leave()
    _thread.start_new_thread(_leave_later, ())  # takes no lock that the interrupted code may hold
    raise KeyboardInterrupt


def _leave_later() -> NoReturn:
    time.sleep(GRACE_S)
    leave()


def exit_code() -> int:
    """Return the exit code of a command that was interrupted, as shells say it."""
    return 128 + noted[0] if noted else INTERRUPTED


def leave() -> NoReturn:
    """End this process and its workers at once: threads are not waited for, and nothing half loaded is cleaned up."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for child in active_children():
            child.kill()
    show_cursor = "\x1b[?25h" if sys.stderr is not None and sys.stderr.isatty() else ""
    text = "; ".join(["edgesim: interrupted", *farewell])
    try:
        os.write(2, f"{show_cursor}{text}\n".encode())  # sys.stderr may be in the middle of writing
    finally:
        os._exit(exit_code())
