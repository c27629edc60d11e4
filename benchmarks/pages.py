"""Pages of results: tables that are made anew, and what is said of them by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SAID = "\n## What it says\n"


def write_page(path: Path, lines: Sequence[str]) -> None:
    """Write a page anew, but for what follows from the heading `What it says` on, which is written by hand."""
    _, heading, said = (path.read_text() if path.is_file() else "").partition(SAID)
    path.write_text("\n".join([*lines, ""]) + heading + said)
