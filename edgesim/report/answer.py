"""The answer to a study's question in one paragraph, made of its numbers alone: who is best where, by how much, and where that changes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from math import isnan, nan
from typing import TYPE_CHECKING, Any

from edgesim.report.draw.select import NO_FIT, at_first, crossed_factors, loss_factor, strategies_of, unfit_rows
from edgesim.report.goals import goals_sentence
from edgesim.report.texts import short, words
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from edgesim.domain.metrics import Metric
    from edgesim.study.folder.store import Result


@dataclass(frozen=True, slots=True)
class Lead:
    """Who leads at a factor point.

    Parameters
    ----------
    value : of the factor; None without one.
    best : the strategies with the best mean: several where the paired intervals of their differences from the best hold zero.
    second : the next one behind them; empty for none.
    margin, low, high : how much better the best one is than the second, and the interval; NaN where it is not known.
    """

    value: Any
    best: tuple[str, ...]
    second: str
    margin: float
    low: float
    high: float


def answer(result: Result) -> str:
    """Return which strategy is best where, by how much with its interval, and where the lead changes, in a few sentences.

    Of the main score, or of latency where none was asked, along the first factor that changes failures, else the first; other factors stay at
    their first value. Then who needs the least latency and traffic, who leaves requests without an answer, and what does not fit.
    """
    factor = loss_factor(result)
    others = crossed_factors(result.summary(), factor)
    summary, place = at_first(result.summary(), others)
    differences = at_first(result.differences(), others)[0]
    metric = result.metric(result.main_metric)
    found = leads(summary, differences, metric, factor)
    several = len(strategies_of(summary)) > 1
    sentences = [_standing(run, metric, factor) for run in _runs(found)] if several and found else []
    sentences += _changes(found, factor) if several else []
    if several:
        sentences += [
            _least(summary, result.metric(name), factor) for name in ("latency", "traffic") if name != metric.name
        ]
    sentences += [goals_sentence(result), _unanswered(summary, factor), _too_large(summary, factor)]
    text = " ".join(sentence for sentence in sentences if sentence)
    return f"At {place}: {text}" if place and text else text


def leads(summary: pd.DataFrame, differences: pd.DataFrame, metric: Metric, factor: str | None) -> list[Lead]:
    """Return who leads in a metric at each value of a factor; values at which nobody has a value are left out."""
    rows = summary[summary["metric"] == metric.name]
    pairs = differences[differences["metric"] == metric.name]
    found = []
    for value in [None] if factor is None else rows[factor].drop_duplicates().tolist():
        here, beside = ((table if value is None else table[table[factor] == value]) for table in (rows, pairs))
        means = dict(zip(here["strategy"], here["mean"], strict=True))
        exact = dict(zip(here["strategy"], here["exact"], strict=True))
        sign = 1.0 if metric.is_larger_better else -1.0
        order = sorted((name for name in means if not isnan(means[name])), key=lambda name: -sign * means[name])
        if not order:
            continue
        margins = {name: _margin(beside, order[0], name, sign, exact) for name in order[1:]}
        tied = [name for name, (_, low, _) in margins.items() if not low > 0]
        rest = [name for name in order[1:] if name not in tied]
        best = (order[0], *(name for name in order[1:] if name in tied))
        found.append(Lead(value, best, rest[0] if rest else "", *(margins[rest[0]] if rest else (nan, nan, nan))))
    return found


def _margin(
    pairs: pd.DataFrame, best: str, other: str, sign: float, exact: dict[str, float]
) -> tuple[float, float, float]:
    """Return how much better one strategy is than another, with its interval: exact where both are, else paired."""
    known = sign * (exact[best] - exact[other])
    if not isnan(known):
        return known, known, known
    for one, minus, turned in ((best, other, sign), (other, best, -sign)):
        row = pairs[(pairs["strategy"] == one) & (pairs["minus"] == minus)]
        if len(row):
            low, high = sorted((turned * float(row["ci_low"].iloc[0]), turned * float(row["ci_high"].iloc[0])))
            return turned * float(row["mean"].iloc[0]), low, high
    return nan, nan, nan


def _runs(found: Sequence[Lead]) -> list[list[Lead]]:
    """Return the leads in runs of the same leaders."""
    return [list(run) for _, run in groupby(found, key=lambda lead: frozenset(lead.best))]


def _where(run: Sequence[Lead], factor: str | None) -> str:
    if factor is None:
        return ""
    first, last = run[0].value, run[-1].value
    return f" at {words(factor)} {short(first)}" + (f" to {short(last)}" if len(run) > 1 else "")


def _standing(run: Sequence[Lead], metric: Metric, factor: str | None) -> str:
    """Return who is best in a run of factor points, and by how much."""
    best, where = run[0].best, _where(run, factor)
    name = words(metric.label or metric.name)
    if len(best) > 1:
        others = f", ahead of {run[0].second}" if run[0].second else ""
        return f"In {name}{where} {_list(sorted(best))} are equally good as far as their intervals tell{others}."
    margins = [lead for lead in run if not isnan(lead.margin)]
    if not margins:
        return f"In {name}{where} {best[0]} is the only one with a value."
    ends = [margins[0], margins[-1]] if len(margins) > 1 else margins
    texts = [
        f"{_by(lead, metric)} over {lead.second}" + (f" at {short(lead.value)}" if len(ends) > 1 else "")
        for lead in ends
    ]
    return f"In {name}{where} {best[0]} is best, by {' and '.join(texts)}."


def _by(lead: Lead, metric: Metric) -> str:
    half = (lead.high - lead.low) / 2
    if metric.is_share or metric.unit == "1":
        scale, n_digits, unit = (100, 1, " points") if metric.is_share else (1, 3, "")
        text, width = _digits(scale * lead.margin, n_digits), _digits(scale * half, n_digits)
    else:
        text, width, unit = show(lead.margin, metric.unit), show(half, metric.unit), ""
    return text + ("" if isnan(half) or half == 0 else f" ±{width}") + unit


def _digits(value: float, n_digits: int) -> str:
    """Return a number with so many digits behind the point, or with the first that counts where these are zeros.

    >>> _digits(12.34, 1), _digits(0.0123, 1)
    ('12.3', '0.01')
    """
    text = f"{value:.{n_digits}f}"
    return text if float(text) else f"{value:.1g}"


def _changes(found: Sequence[Lead], factor: str | None) -> list[str]:
    """Return where the lead changes, or that it does not."""
    runs = _runs(found)
    if factor is None or len(found) < 2:
        return []
    if len(runs) == 1:
        return ["The lead does not change."]
    places = [f"{short(one[-1].value)} and {short(other[0].value)}" for one, other in pairwise(runs)]
    return [f"The lead changes between {_list(places)}."]


def _least(summary: pd.DataFrame, metric: Metric, factor: str | None) -> str:
    """Return who needs least of a metric at the first factor point, and how many times as much the next one does."""
    rows, _ = at_first(summary[summary["metric"] == metric.name], [] if factor is None else [factor])
    known = rows.dropna(subset="mean").sort_values("mean", kind="stable")
    if len(known) < 2:
        return ""
    first, second = known.iloc[0], known.iloc[1]
    where = f" at {words(factor)} {short(rows[factor].iloc[0])}" if factor is not None else ""
    if first["mean"] == second["mean"]:
        return f"The least {words(metric.name)}{where}: {_list(known[known['mean'] == first['mean']]['strategy'])}, {_amount(first['mean'], metric)}."
    ratio = second["mean"] / first["mean"] if first["mean"] > 0 else nan
    times = "" if isnan(ratio) else f", {100 * (ratio - 1):.2g} % more" if ratio < 1.1 else f", {ratio:.3g} times that"
    return (
        f"The least {words(metric.name)}{where}: {first['strategy']}, {_amount(first['mean'], metric)}, then {second['strategy']}, "
        f"{_amount(second['mean'], metric)}{times}."
    )


def _amount(value: float, metric: Metric) -> str:
    return "none" if value == 0 else show(float(value), metric.unit)


def _unanswered(summary: pd.DataFrame, factor: str | None) -> str:
    """Return which strategies leave most requests without an answer, and where."""
    rows = summary[(summary["metric"] == "answered") & (summary["mean"] < 1)]
    texts = []
    for strategy in strategies_of(rows):
        own = rows[rows["strategy"] == strategy].to_dict(orient="records")
        row = min(own, key=lambda one: float(one["mean"]))
        where = f" at {words(factor)} {short(row[factor])}" if factor is not None else ""
        texts.append(f"{strategy} up to {100 * (1 - row['mean']):.3g} %{where}")
    return f"Without an answer: {'; '.join(texts)}." if texts else ""


def _too_large(summary: pd.DataFrame, factor: str | None) -> str:
    rows = unfit_rows(summary)
    texts = []
    for strategy in strategies_of(rows):
        here = rows[rows["strategy"] == strategy]
        if factor is None or len(here) == summary[factor].nunique():
            texts.append(strategy)
        else:
            texts.append(f"{strategy} at {words(factor)} {_list([short(value) for value in here[factor]])}")
    return f"What {NO_FIT}: {'; '.join(texts)}." if texts else ""


def _list(names: Sequence[str] | pd.Series[str]) -> str:
    """Return names with commas and a last `and`."""
    shown = [str(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
