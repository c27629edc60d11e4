"""Output that outlives its reader: `edgesim run study.yaml | head -1` does all its work, and ends with the exit code of that."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Pipe(io.FileIO):
    """A file of which nobody is told when its reader has gone: what is written from then on goes nowhere."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, and return how many bytes were taken."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


def outlive_readers(errors: str) -> None:
    """Make stdout and stderr such files; those that tests or notebooks put in their place stay.

    Parameters
    ----------
    errors : name of what is done with signs that a terminal cannot show; see `codecs.register_error`.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
            buffer = stream.buffer  # the file itself with `python -u`
            if isinstance(buffer.raw if isinstance(buffer, io.BufferedWriter) else buffer, io.FileIO):
                setattr(sys, name, _outliving(stream))


def _outliving(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Pipe(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if isinstance(stream.buffer, io.BufferedWriter) else raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
