"""The scenario of the page, whose networks are trained in a second."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testbed.md"


@pytest.fixture
def scenario(tmp_path):
    text, *_ = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "twins.yaml"
    path.write_text(text)
    return path
