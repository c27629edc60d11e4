"""Notes Ctrl-C from the first import on; imports only what Python has loaded anyway."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""Exit code, as shells say it."""
noted: list[int] = []
"""Interrupts so far. A library that is interrupted while it loads may raise something else than `KeyboardInterrupt`."""


def note_interrupts() -> None:
    """Note interrupts before they are raised; where they are ignored, as in a background job, they stay ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    noted.append(number)
    raise KeyboardInterrupt


def leave() -> NoReturn:
    """End the process at once: what was half loaded cannot be cleaned up."""
    sys.stderr.write("edgesim: interrupted\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)
