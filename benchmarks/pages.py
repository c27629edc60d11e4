"""Pages of results: tables that are made anew, and what is said of them by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

END = "<!-- end -->"
SAID = "\n## What it says\n"


def write_page(path: Path, lines: Sequence[str]) -> None:
    """Write a page anew, but for what follows from the heading `What it says` on, which is written by hand."""
    _, heading, said = (path.read_text(encoding="utf-8") if path.is_file() else "").partition(SAID)
    path.write_text("\n".join([*lines, ""]) + heading + said, encoding="utf-8")


def put(path: Path, name: str, text: str) -> None:
    """Write what a command makes into a page, between `<!-- name -->` and the next `<!-- end -->`, which stay."""
    begin = f"<!-- {name} -->"
    page = path.read_text(encoding="utf-8")
    between = re.compile(f"(?<={re.escape(begin)}\n).*?(?={END})", flags=re.DOTALL)
    found, n = between.subn(lambda _: text, page, count=1)
    if not n:
        raise SystemExit(f"{path} has no place for a table: {begin}, and behind it {END}")
    path.write_text(found, encoding="utf-8")
