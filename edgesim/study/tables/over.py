"""Means over the values of factors that only repeat a study: folds of a data set, or seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgesim.errors import UnknownNameError, nearest_name
from edgesim.study.tables.statistics import student

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def over(summary: pd.DataFrame, factors: Sequence[str], repeated: Sequence[str]) -> pd.DataFrame:
    """Return the mean of every metric over the values of some factors, with its interval and spread.

    Each value is the exact expectation where there is one, else the mean over the replications. The interval is Student's, for values
    that are independent. Folds are nearly so in their test samples, but not in their training samples, which they share: then it says
    how the values spread, not where those of other samples of the same kind would lie.

    Parameters
    ----------
    summary : rows of ``summary.csv``.
    factors : of the study.
    repeated : those over whose values the mean is taken.

    Returns
    -------
    table
        The other factors, strategy, metric, unit, mean, ci_low, ci_high, sd (with n - 1) and n.

    Raises
    ------
    UnknownNameError
        When the study has no such factor.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [[fold, "single", "accuracy", "1", None, value] for fold, value in enumerate((0.8, 0.9, 1.0))]
    >>> table = over(pd.DataFrame(rows, columns=["fold", "strategy", "metric", "unit", "exact", "mean"]), ["fold"], ["fold"])
    >>> table[["mean", "sd", "n"]].round(3).values.tolist()
    [[0.9, 0.1, 3.0]]
    """
    for name in repeated:
        if name not in factors:
            raise UnknownNameError("factor", name, tuple(factors), nearest_name(name, tuple(factors)))
    keys = [*(name for name in factors if name not in repeated), "strategy", "metric", "unit"]
    values = summary.assign(value=summary["exact"].astype(float).fillna(summary["mean"]))
    rows = []
    for key, group in values.groupby(keys, sort=False, dropna=False):
        known = group["value"].dropna().to_numpy(float)
        found = student(known)
        sd = float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")
        rows.append([*key, found.value, found.low, found.high, sd, found.n])
    import pandas as pd

    return pd.DataFrame(rows, columns=[*keys, "mean", "ci_low", "ci_high", "sd", "n"])
