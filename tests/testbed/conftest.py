"""The scenario of the page, whose networks are trained in a second."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testbed.md"


@pytest.fixture
def scenario(tmp_path):
    text, *_ = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "twins.yaml"
    path.write_text(text)
    return path


def until(is_so, patience_s=300.0):
    """Wait until something is so, and say whether it is; the patience is for machines that do much else."""
    given_up_s = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > given_up_s:
            return False
        time.sleep(0.05)
    return True


def state(pid):
    """The state of a process as the kernel names it; Z when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def are_gone(pids):
    """Wait until processes are."""
    return until(lambda: all(state(pid) in {"Z", "X"} for pid in pids), 60.0)
