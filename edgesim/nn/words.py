"""Inputs, errors and lines of users' code in words."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edgesim.errors import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, FrameType, TracebackType

    from edgesim.domain.networks.samples import Inputs

_NOT_OF_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def show_inputs(specs: Inputs) -> str:
    """Return inputs in words."""
    if len(specs) == 1:
        (spec,) = specs.values()
        return f"an input of shape {tuple(spec.shape)}" + ("" if spec.dtype == "float32" else f" and type {spec.dtype}")
    return "inputs of shape " + ", ".join(f"{name} {tuple(spec.shape)} {spec.dtype}" for name, spec in specs.items())


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def calling_line(outermost: str) -> str:
    """Return the line of a user's code that is running, as ``file:line: text``; empty where there is none.

    Parameters
    ----------
    outermost : name of the function that called the user's code.
    """
    return _shown(_frames(sys._getframe()), outermost)  # noqa: SLF001 - as torch does


def failing_line(error: BaseException, outermost: str) -> str:
    """Return the line of a user's code in which an error arose; see `calling_line`."""
    return _shown(reversed([*_steps(error.__traceback__)]), outermost)


def _frames(frame: FrameType | None) -> Iterator[tuple[CodeType, int]]:
    while frame is not None:
        yield frame.f_code, frame.f_lineno
        frame = frame.f_back


def _steps(step: TracebackType | None) -> Iterator[tuple[CodeType, int]]:
    while step is not None:
        yield step.tb_frame.f_code, step.tb_lineno
        step = step.tb_next


def _shown(places: Iterable[tuple[CodeType, int]], outermost: str) -> str:
    for code, line in places:
        file = code.co_filename
        if code.co_name == outermost and file.startswith(_NOT_OF_USERS):
            break
        if not file.startswith(_NOT_OF_USERS):
            text = linecache.getline(file, line).strip()
            return f"{visible(file)}:{line}" + (f": `{visible(text)}`" if text else "")
    return ""
