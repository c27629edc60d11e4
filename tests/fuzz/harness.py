"""Reads mutants and says which of them are neither read nor refused in words."""

from __future__ import annotations

import json
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from random import Random
from types import FrameType
from typing import Any

from edgesim.errors import HIDDEN, EdgesimError

from .mutate import damaged_bytes, damaged_data, damaged_text

MOST_S = 10.0
"""What takes longer hangs."""


class HangError(BaseException):
    """A mutant is read for too long; no clause for errors catches it."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Parameters
    ----------
    name : as the command line calls it.
    seeds : inputs that are right, or nearly so.
    read : does with a file what a user does with it; an `EdgesimError` refuses it. The file lies alone in its folder, and a refusal leaves
        nothing new there.
    file_name : of the mutant.
    data_of : plain data of a seed, to be damaged as such; None where there is none. It is written as JSON, which is YAML too.
    is_text : whether seeds are damaged line by line too.
    """

    name: str
    seeds: Sequence[bytes]
    read: Callable[[Path], object]
    file_name: str
    data_of: Callable[[bytes], Any] | None = None
    is_text: bool = True

    def mutant(self, seed: int, number: int) -> bytes:
        """Return a mutant; the same for the same numbers."""
        rng = Random(f"{self.name}/{seed}/{number}")  # noqa: S311 - nothing secret
        content = rng.choice(self.seeds)
        ways = [1] + [3] * self.is_text + [4] * (self.data_of is not None)
        way = rng.choice([way for way in ways for _ in range(way)])
        if way == 3:
            return damaged_text(content.decode(), rng).encode("utf-8", "surrogatepass")
        if way == 4 and self.data_of is not None:
            return json.dumps(damaged_data(self.data_of(content), rng)).encode()
        return damaged_bytes(content, rng)


@dataclass(frozen=True)
class Failure:
    """A mutant that is neither read nor refused in words."""

    number: int
    content: bytes
    why: str


@dataclass(frozen=True)
class Tally:
    """What became of mutants."""

    n_read: int
    n_refused: int
    failures: tuple[Failure, ...]


def all_kinds() -> dict[str, Kind]:
    """Return every kind, by name."""
    modules = sorted(
        found.name for found in iter_modules([str(Path(__file__).parent)]) if found.name.startswith("kind_")
    )
    found = [kind for name in modules for kind in import_module(f".{name}", __package__).KINDS]
    return {kind.name: kind for kind in found}


def tally(kind: Kind, numbers: range, seed: int = 0) -> Tally:
    """Let edgesim read mutants of a kind."""
    n_read = n_refused = 0
    failures: list[Failure] = []
    for number in numbers:
        content = kind.mutant(seed, number)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / kind.file_name
            path.write_bytes(content)
            try:
                with _limited(), warnings.catch_warnings():
                    warnings.simplefilter("error")
                    kind.read(path)
                n_read += 1
                continue
            except EdgesimError as error:
                why = _wrong_refusal(str(error), path)
            except (Exception, HangError):  # noqa: BLE001 - all that is not a refusal
                why = traceback.format_exc()
            if why:
                failures.append(Failure(number, content, why))
            else:
                n_refused += 1
    return Tally(n_read, n_refused, tuple(failures))


def _wrong_refusal(message: str, path: Path) -> str:
    left = sorted(entry.name for entry in path.parent.iterdir() if entry != path)
    if left:
        return f"the refusal leaves {', '.join(left)}: {message}"
    if not message.strip():
        return "a refusal without words"
    return f"the message holds what is not shown: {message!r}" if HIDDEN.search(message) else ""


@contextmanager
def _limited() -> Iterator[None]:
    """Raise `HangError` in what takes too long."""

    def end(number: int, frame: FrameType | None) -> None:
        raise HangError(f"longer than {MOST_S:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, MOST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
