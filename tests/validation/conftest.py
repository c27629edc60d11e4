"""The reference cases are shared with `benchmarks/validation.py`, and live there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
