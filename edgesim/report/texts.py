"""How names and values of a study are written in tables and figures, and what the report is called."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT = "report.html"


def short(value: object) -> str:
    """Return the value of a factor with three significant digits where it is a long number, with or without a unit.

    >>> short(0.0031622776601683794), short("3.1622776601683795 Mbit/s"), short(12500), short("louvain"), short(0.25)
    ('0.00316', '3.16 Mbit/s', '12500', 'louvain', '0.25')
    """
    match = re.fullmatch(r"([-+]?\d+\.\d+(?:[eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+)(\s*[^\d\s].*)?", str(value).strip())
    if match is None or isinstance(value, (bool, int)):
        return str(value)
    number = f"{float(match[1]):.3g}"
    return f"{float(number):.0f}{match[2] or ''}" if "e+" in number else number + (match[2] or "")


def shorts(values: Sequence[object]) -> list[str]:
    """Return the values of a factor with three significant digits, or wholly where two would look the same.

    >>> shorts([0.1234, 0.1235]), shorts([1.0, 3.1622776601683795])
    (['0.1234', '0.1235'], ['1', '3.16'])
    """
    found = [short(value) for value in values]
    return found if len(set(found)) == len({str(value) for value in values}) else [str(value) for value in values]


def words(name: str) -> str:
    """Return a column name in words."""
    return name.replace("_", " ")


def fold(text: str, n_letters: int) -> str:
    """Break a text into lines, at spaces and hyphens where there are some.

    >>> print(fold("every-layer-cut", 12))
    every-layer-
    cut
    """
    return textwrap.fill(text, n_letters)
