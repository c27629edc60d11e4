"""A result at chosen values of some factors, so that tables and figures show these in place of the first ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesim.errors import UnknownNameError, nearest_name
from edgesim.report.result import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


class At(Result):
    """A result of which only the factor points with some values are there.

    Parameters
    ----------
    result : of which.
    where : values of factors as texts, as tables show them, e.g. ``{"bandwidth": "5 Mbit/s"}``.

    Raises
    ------
    UnknownNameError
        When the result has no such factor, or the factor no such value.
    """

    def __init__(self, result: Result, where: Mapping[str, str]) -> None:
        super().__init__(result.folder)
        object.__setattr__(self, "_whole", result)
        object.__setattr__(self, "_where", dict(where))
        summary = result.summary()
        for name, value in where.items():
            if name not in result.factors:
                raise UnknownNameError("factor", name, result.factors, nearest_name(name, result.factors))
            known = tuple(str(one) for one in summary[name].unique())
            if not any(_equal(one, value) for one in known):
                raise UnknownNameError(f"value of {name}", value, known, nearest_name(value, known))

    def summary(self) -> pd.DataFrame:
        """Return the rows of the summary at these values."""
        return self._at(self._whole.summary())  # type: ignore[attr-defined]

    def intact(self) -> pd.DataFrame:
        """Return what is there when nothing is lost at these values."""
        return self._at(self._whole.intact())  # type: ignore[attr-defined]

    def budget(self) -> pd.DataFrame:
        """Return where the mean latency goes at these values."""
        return self._at(self._whole.budget())  # type: ignore[attr-defined]

    def frame(self, kind: str = "trials", columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the trials at these values."""
        return self._at(self._whole.frame(kind, columns))  # type: ignore[attr-defined]

    def _at(self, table: pd.DataFrame) -> pd.DataFrame:
        for name, value in self._where.items():  # type: ignore[attr-defined]
            table = table[[_equal(one, value) for one in table[name]]]
        return table


def _equal(one: Any, other: str) -> bool:
    """Return whether two values of a factor are the same; numbers however they are written."""
    try:
        return float(one) == float(other)
    except ValueError:
        return str(one) == other
