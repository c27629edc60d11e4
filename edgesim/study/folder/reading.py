"""Reads the tables of a result folder, which anybody may have written: what is not of their form is refused, not drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.columns import BUDGET_PARTS
from edgesim.domain.metrics import UNITS, metric_named
from edgesim.errors import ResultError
from edgesim.files.untrusted import hidden_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

MOST_BYTE = 1 << 30
"""A larger table is not read: the summary of a study with a million rows has a tenth of it."""
MOST_ROWS = 10**8
"""More trials are not read into memory at once."""
SMALLEST, LARGEST = 1e-100, 1e60
"""No quantity of a study is nearer to zero or larger, and figures can show no such ones."""
NAMES = ("strategy", "minus", "metric", "unit")


def read_table(
    path: Path, factors: Sequence[str], names: Sequence[str], numbers: Sequence[str], scores: Mapping[str, str]
) -> pd.DataFrame:
    """Return a table of a result folder; empty cells of `numbers` are no number.

    Parameters
    ----------
    path : the file.
    factors, names, numbers : its columns in order: values of factors, texts, and numbers.
    scores : the scores of the task and their units.

    Raises
    ------
    ResultError
        When it is missing, too large, or not such a table; it says all that is wrong.
    """
    import pandas as pd

    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTE:
            raise ResultError(f"{path} is missing, or larger than {MOST_BYTE:,} byte")
        table = pd.read_csv(path, keep_default_na=False, na_values={column: [""] for column in numbers})
    except (OSError, ValueError, OverflowError) as error:
        raise ResultError(f"{path} is damaged: it is no table") from error
    columns = [*factors, *names, *numbers]
    faults = ["its columns are not " + ", ".join(columns)] if list(table.columns) != columns else []
    has_metrics = "metric" in names
    faults = faults or [*_wrong_values(table, names, numbers), *(_wrong_names(table, scores) if has_metrics else ())]
    if faults:
        raise ResultError(f"{path} is damaged: {'; '.join(faults)}")
    return table


def _wrong_values(table: pd.DataFrame, names: Sequence[str], numbers: Sequence[str]) -> Iterator[str]:
    """Yield which columns hold what they may not."""
    for column in table:
        values = table[column]
        if values.dtype.kind in "iuf":
            sizes = abs(values.to_numpy(float))
            if ((sizes > LARGEST) | ((sizes < SMALLEST) & (sizes > 0))).any():
                yield f"column {column!r} has a number beyond all bounds"
        elif column in numbers and len(values):
            yield f"column {column!r} has something else than numbers"
        elif next(hidden_in(values.astype(str).unique().tolist()), None) is not None:
            yield f"column {column!r} has characters that are not printable"
        if column in names and len(values) and values.dtype.kind in "iufb":
            yield f"column {column!r} has something else than texts"


def _wrong_names(table: pd.DataFrame, scores: Mapping[str, str]) -> Iterator[str]:
    """Yield the metrics that edgesim does not know, and those with another unit."""
    for metric, unit in table[["metric", "unit"]].drop_duplicates().itertuples(index=False):
        try:
            known = scores[metric] if metric in scores else metric_named(str(metric)).unit
        except KeyError:
            yield f"there is no metric {metric!r}"
            continue
        if unit != known:
            yield f"metric {metric!r} has unit {unit!r}, not {known!r}"


def check_summary(
    table: pd.DataFrame, path: Path, factors: Sequence[str], strategies: Sequence[str], scores: Sequence[str]
) -> None:
    """Refuse a summary in which tables and figures would miss a row.

    Raises
    ------
    ResultError
        When it has no rows, or not every metric of every strategy of the scenario once at each factor point.
    """
    keys = [*factors, "strategy", "metric"]
    faults = ["it has no rows"] if not len(table) else []
    if table.duplicated(keys).any():
        faults.append("it has a row twice")
    elif not faults:
        asked = [*UNITS, *(name for name in scores if (table["metric"] == name).any())]
        needed = table[table["metric"].isin(asked)]
        n_points = len(table[list(factors)].drop_duplicates()) if factors else 1
        if set(table["strategy"]) != set(strategies) or len(needed) != n_points * len(strategies) * len(asked):
            faults.append("it has not every metric of every strategy of the scenario at each factor point")
    if faults:
        raise ResultError(f"{path} is damaged: {'; '.join(faults)}")


def check_budget(table: pd.DataFrame, path: Path, factors: Sequence[str], strategies: Sequence[str]) -> None:
    """Refuse parts of latencies of which some are missing or strange.

    Raises
    ------
    ResultError
        When there is not every part of every strategy of the scenario once at each factor point.
    """
    keys = [*factors, "strategy", "part"]
    n_points = len(table[list(factors)].drop_duplicates()) if factors else 1
    is_whole = len(table) == n_points * len(strategies) * len(BUDGET_PARTS) and not table.duplicated(keys).any()
    if not is_whole or set(table["strategy"]) != set(strategies) or set(table["part"]) != set(BUDGET_PARTS):
        raise ResultError(
            f"{path} is damaged: it has not every part of every strategy of the scenario at each factor point"
        )
