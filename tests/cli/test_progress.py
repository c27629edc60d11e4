"""What long work says of itself."""

from __future__ import annotations

import io
import re

from rich.console import Console

from edgesim.cli import progress
from edgesim.cli.progress import Bars, Lines


def test_lines_say_how_much_how_fast_and_how_long(monkeypatch):
    """40 of 100 in 20 s are 2 a second, and 30 s are left; no line before ten seconds have passed."""
    now_s = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now_s[0])
    out = io.StringIO()
    with Lines(Console(file=out, highlight=False, soft_wrap=True)).task("trials", 100) as task:
        now_s[0] = 5.0
        task.advance(10)
        now_s[0] = 20.0
        task.advance(30, "so far")
        now_s[0] = 21.0
        task.advance(60, "all")
    assert out.getvalue().splitlines() == [
        "trials: 40 of 100 in 20.0 s (2.0/s), about 30 s left; so far",
        "trials: 100 of 100 in 21.0 s (4.8/s); all",
    ]


def test_bars_say_how_fast():
    """On a terminal, when the work is done too."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with Bars(console).task("trials", 2000) as task:
        task.advance(1000)
        task.advance(1000, "accuracy 0.9")
    assert re.search(r"2000/2000.* [\d,]+/s.*accuracy 0\.9", out.getvalue())
