"""Two results side by side: how much each metric differs, with intervals, and what differs in their scenarios."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from edgesim.errors import ResultError, UnknownNameError, nearest_name
from edgesim.report.draw.select import factors_of
from edgesim.report.table import OPEN, Cell, Table, Writer
from edgesim.report.texts import words
from edgesim.study.folder.target import differences
from edgesim.study.tables.statistics import Estimate
from edgesim.study.tables.two_results import paired, unpaired
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from edgesim.domain.metrics import Metric
    from edgesim.study.folder.store import Result

    Weighted = tuple[NDArray[np.float64], NDArray[np.float64]]

COLUMNS = ("strategy", "metric", "unit", "first", "second", "difference", "ci_low", "ci_high", "n", "draws")
"""Of the comparison, behind the factors: `n` pairs or, unpaired, values of the result with fewer; `draws` is `same` or `other`, or `exact`
where both have an exact expectation."""
N_SHOWN = 60


def compare(first: Result, second: Result, *, by: str | None = None) -> pd.DataFrame:
    """Return how much more of each metric the second result has than the first, where both have a strategy at a factor point.

    Results of the same seed meet the same draws in the same replication: what each replication has is compared pair by pair
    (`edgesim.study.tables.two_results.paired`), over the replications that both have. Of other seeds, and for percentiles, which no replication
    has, the interval is made of those of both (`unpaired`). Where both have an exact expectation, the difference is that of these.

    Parameters
    ----------
    first, second : finished results.
    by : a factor of both, whose values are compared; other factors stay at their first value. By default all points of the factors that both
        have.

    Returns
    -------
    table
        The factors, and `COLUMNS`.

    Raises
    ------
    UnknownNameError
        When a result has no factor `by`.
    ResultError
        When they have no strategy at a factor point in common.
    """
    import pandas as pd

    for one in (first, second):
        if by is not None and by not in one.factors:
            raise UnknownNameError(f"factor of {one.folder}", by, one.factors, nearest_name(by, one.factors))
    kept = [by] if by is not None else [name for name in first.factors if name in second.factors]
    is_same_seed = first.manifest["seed"] == second.manifest["seed"]
    rows, trials = [], []
    for one in (first, second):
        summary = one.summary()
        others = {name: summary[name].iloc[0] for name in factors_of(summary) if name not in kept}
        rows.append({_key(row, kept, "metric"): row for row in _at(summary, others).to_dict(orient="records")})
        trials.append(_by_case(_at(one.frame(), others), kept) if is_same_seed else {})
    found = [
        (
            *(row[name] for name in (*kept, "strategy", "metric", "unit")),
            *_compared(row, rows[1][key], [of.get(key[:-1]) for of in trials]),
        )
        for key, row in rows[0].items()
        if key in rows[1]
    ]
    if not found:
        raise ResultError(f"{first.folder} and {second.folder} have no strategy at a factor point in common")
    return pd.DataFrame(found, columns=[*kept, *COLUMNS])


def _compared(
    row: Mapping[Any, Any], other: Mapping[Any, Any], trials: Sequence[pd.DataFrame | None]
) -> tuple[Any, ...]:
    """Return both means, their difference with its interval and number of values, and whether it is paired."""
    estimates = _estimate(row), _estimate(other)
    values = [None if of is None else _values(of, row["metric"]) for of in trials]
    exact = other["exact"] - row["exact"]
    if not isnan(exact):
        found, draws = Estimate(exact, exact, exact, 0), "exact"
    elif values[0] is not None and values[1] is not None:
        found, draws = paired(*_aligned(values[0], values[1]), estimates), "same"
    else:
        found, draws = unpaired(*estimates), "other"
    return estimates[0].value, estimates[1].value, found.value, found.low, found.high, found.n, draws


def _key(row: Mapping[Any, Any], factors: Sequence[str], *names: str) -> tuple[Any, ...]:
    """Return what tells rows of different tables apart: equal numbers are equal however they are written."""
    return (*(_comparable(row[name]) for name in factors), row["strategy"], *(row[name] for name in names))


def _comparable(value: Any) -> Any:
    try:
        return float(value)
    except ValueError:
        return str(value)


def _at(table: pd.DataFrame, others: dict[str, Any]) -> pd.DataFrame:
    for name, value in others.items():
        table = table[[_comparable(one) == _comparable(value) for one in table[name]]]
    return table


def _by_case(trials: pd.DataFrame, factors: Sequence[str]) -> dict[tuple[Any, ...], pd.DataFrame]:
    keys = [*factors, "strategy"]
    return {
        _key(rows.iloc[0].to_dict(), factors): rows.sort_values("replication")
        for _, rows in trials.groupby(keys, sort=False)
    }


def _estimate(row: Mapping[Any, Any]) -> Estimate:
    return Estimate(row["mean"], row["ci_low"], row["ci_high"], int(row["n"]))


def _values(trials: pd.DataFrame, metric: str) -> pd.DataFrame | None:
    """Return the values of a metric by trial, with replication and weight; None of one that a trial has no value of."""
    traffic = {f"traffic_{kind}": f"{kind}_byte" for kind in ("input", "intermediate", "result")}
    if metric in trials:
        values = trials[metric]
    elif metric == "latency":
        values = trials["latency_s"]
    elif metric == "answered":
        values = trials["latency_s"].notna()
    elif metric == "energy":
        values = trials["energy_j"]
    elif metric == "traffic":
        values = trials[list(traffic.values())].sum(axis=1)
    elif metric in traffic:
        values = trials[traffic[metric]]
    else:
        return None
    return trials[["replication", "weight"]].assign(value=values.astype(float))


def _aligned(one: pd.DataFrame, other: pd.DataFrame) -> tuple[Weighted, Weighted]:
    """Return values and weights of the replications that both have, in order."""
    both = one.merge(other, on="replication", suffixes=("", "_other"), sort=True)
    first, second = (
        (both[f"value{end}"].to_numpy(float), both[f"weight{end}"].to_numpy(float)) for end in ("", "_other")
    )
    return first, second


def what_differs(first: Result, second: Result) -> str:
    """Return in one line where the scenarios of two results differ, and their releases."""
    one, other = (
        {**result.manifest["scenario"], "edgesim": result.manifest["versions"]["edgesim"]} for result in (first, second)
    )
    if one == other:
        return "the same scenario"
    return differences(one, other, n_most=5, names=("in A", "in B"))


def main_metrics(found: pd.DataFrame, result: Result) -> list[str]:
    """Return which metrics are shown where none is named: the main score, latency and traffic, as far as both results have them."""
    there = set(found.dropna(subset="difference")["metric"])
    return [name for name in (next(iter(result.scores)), "latency", "traffic") if name in there]


def comparison_tables(found: pd.DataFrame, first: Result, metrics: Sequence[str]) -> list[Table]:
    """Return a table per metric: a line per strategy and factor point, with both means, the difference, and whether it is sure."""
    factors = factors_of(found)
    made = []
    for name in metrics:
        metric = first.metric(name)
        rows = found[found["metric"] == name]
        lines = []
        halves = [Cell(0.0, -half, half, metric.unit) for half in ((rows["ci_high"] - rows["ci_low"]) / 2).tolist()]
        n_digits = Writer.of(metric, halves).n_digits if any(cell.half > 0 for cell in halves) else None
        for row in rows.head(N_SHOWN).to_dict(orient="records"):
            names = (_short(row[key]) for key in (*factors, "strategy"))
            lines.append(
                (
                    *names,
                    _text(row["first"], metric),
                    _text(row["second"], metric),
                    _difference(row, metric, n_digits),
                    _verdict(row),
                )
            )
        kinds = {"same": "paired: the same draws", "other": "unpaired: other draws", "exact": "of exact expectations"}
        draws = " or ".join(text for kind, text in kinds.items() if (rows["draws"] == kind).any())
        note = f"B - A with half its 95 % interval, {draws}"
        if len(rows) > N_SHOWN:
            note += f"; {N_SHOWN} of {len(rows)} lines shown, --csv has all"
        title = words(f"{metric.title[:1].upper()}{metric.title[1:]}")
        made.append(Table(title, (*factors, "strategy", "A", "B", "B - A", ""), tuple(lines), len(factors) + 1, note))
    return made


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _text(value: float, metric: Metric, n_digits: int | None = None) -> str:
    """Return a value with so many digits behind the point, if it is a share or a number, else with three that count."""
    if isnan(value):
        return ""
    if value == 0 and n_digits is None:
        return "0"
    if metric.is_share and n_digits is not None:
        return f"{100 * value:.{n_digits}f} %"
    if metric.is_share:
        return f"{100 * value:.1f} %" if abs(value) >= 0.0005 else f"{100 * value:.1g} %"
    return f"{value:.{3 if n_digits is None else n_digits}f}" if metric.unit == "1" else show(value, metric.unit)


def _difference(row: Mapping[Any, Any], metric: Metric, n_digits: int | None) -> str:
    """Return a difference with its sign and half its interval, both with the digits of their column."""
    value, half = row["difference"], (row["ci_high"] - row["ci_low"]) / 2
    if isnan(value):
        return ""
    if not half > 0:
        n_digits = None
    text = f"+{_text(value, metric, n_digits)}" if value > 0 else _text(value, metric, n_digits)
    if isnan(half):
        return text + (f" {OPEN}" if row["n"] > 1 else "")
    return text + (f" ±{_text(half, metric, n_digits)}" if half > 0 else "")


def _verdict(row: Mapping[Any, Any]) -> str:
    """Return in a word what the interval of a difference says; nothing where there is none."""
    if row["ci_low"] > 0:
        return "more"
    if row["ci_high"] < 0:
        return "less"
    if row["difference"] == row["ci_low"] == row["ci_high"]:
        return "equal"
    return "may be equal" if row["ci_low"] <= 0 <= row["ci_high"] else ""
