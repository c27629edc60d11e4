"""Which strategies meet the goals of a scenario, where, and how surely."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, get_args

from edgesim.domain.metrics import Verdict
from edgesim.errors import ResultError
from edgesim.report.draw.select import at_first, loss_factor, strategies_of
from edgesim.report.table import N_ROWS, Table, tables
from edgesim.report.texts import short, words
from edgesim.scenario.form.goals import read_goal
from edgesim.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from edgesim.domain.metrics import Goal, Metric
    from edgesim.study.folder.store import Result

_ORDER: tuple[Verdict, ...] = get_args(Verdict)
"""From the best to the worst."""


def goals_of(result: Result) -> dict[str, tuple[Goal, str]]:
    """Return the goals of a result's scenario by metric, with their texts.

    Raises
    ------
    ResultError
        When the manifest has something else there.
    """
    given = result.manifest["scenario"].get("goals", {})
    try:
        return {str(metric): (read_goal(metric, text), str(text)) for metric, text in given.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ResultError(f"{result.folder}: the goals in the manifest are none: {error}") from error


def all_tables(result: Result) -> list[Table]:
    """Return the tables of a result, that of its goals first."""
    goals = goals_table(result)
    return [*([goals] if goals is not None else []), *tables(result)]


def goals_table(result: Result) -> Table | None:
    """Return a table of what each strategy reaches of each goal at every factor point, and whether it meets all; None without goals."""
    goals = goals_of(result)
    if not goals:
        return None
    lines = []
    for keys, values in _cases(result.summary(), result.factors):
        found = {metric: _verdict(goal, values.get(metric)) for metric, (goal, _) in goals.items()}
        cells = [_text(values.get(metric), result.metric(metric), found[metric]) for metric in goals]
        lines.append((*(short(key) for key in keys), *cells, _worst(list(found.values()))))
    headers = (*result.factors, "strategy", *(f"{words(metric)}\n{text}" for metric, (_, text) in goals.items()), "all")
    note = "met: the whole 95 % interval meets the goal; likely: the mean does; unlikely: only some of the interval does; not met: none of it"
    more = f"; {N_ROWS} of {len(lines)} lines shown" if len(lines) > N_ROWS else ""
    return Table("Goals", headers, tuple(lines[:N_ROWS]), len(result.factors) + 1, note + more)


def goals_sentence(result: Result) -> str:
    """Return which strategies meet all goals where along the first factor that changes failures; empty without goals."""
    goals = goals_of(result)
    if not goals:
        return ""
    factor = loss_factor(result)
    summary, _ = at_first(result.summary(), [name for name in result.factors if name != factor])
    cases = _cases(summary, [] if factor is None else [factor])
    texts = []
    for strategy in strategies_of(summary):
        own = [
            (keys[0], _worst([_verdict(goal, values.get(metric)) for metric, (goal, _) in goals.items()]))
            for keys, values in cases
            if keys[-1] == strategy
        ]
        runs = [(verdict, [value for value, _ in run]) for verdict, run in groupby(own, key=lambda one: one[1])]
        said = [_WORDS[verdict] + _where(values, factor, is_everywhere=len(runs) == 1) for verdict, values in runs]
        texts.append(f"{strategy} {', '.join(said)}")
    asked = ", ".join(f"{words(metric)} {text}" for metric, (_, text) in goals.items())
    return f"Of the goals ({asked}): {'; '.join(texts)}."


_WORDS: dict[Verdict, str] = {
    "met": "meets all",
    "likely": "likely meets all",
    "unlikely": "is unlikely to meet all",
    "not met": "misses some",
    "unknown": "has no value of some",
}


def _where(values: Sequence[Any], factor: str | None, *, is_everywhere: bool) -> str:
    if factor is None:
        return ""
    if is_everywhere:
        return " everywhere"
    return f" at {words(factor)} {short(values[0])}" + (f" to {short(values[-1])}" if len(values) > 1 else "")


def _cases(summary: pd.DataFrame, factors: Sequence[str]) -> list[tuple[tuple[Any, ...], dict[str, Mapping[Any, Any]]]]:
    """Return the rows of each strategy at each factor point, by metric."""
    found: dict[tuple[Any, ...], dict[str, Mapping[Any, Any]]] = {}
    for row in summary.to_dict(orient="records"):
        found.setdefault((*(row[name] for name in factors), row["strategy"]), {})[row["metric"]] = row
    return list(found.items())


def _verdict(goal: Goal, row: Mapping[Any, Any] | None) -> Verdict:
    """Return whether a goal is met: by the exact expectation where there is one."""
    if row is None:
        return "unknown"
    if row["exact"] == row["exact"]:
        return goal.verdict(row["exact"], row["exact"], row["exact"])
    return goal.verdict(row["mean"], row["ci_low"], row["ci_high"])


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return what can be said of all goals together."""
    return max(verdicts, key=_ORDER.index) if "not met" not in verdicts else "not met"


def _text(row: Mapping[Any, Any] | None, metric: Metric, verdict: Verdict) -> str:
    if row is None or verdict == "unknown":
        return "no value"
    value = float(row["mean"])
    text = (
        f"{100 * value:.1f} %"
        if metric.is_share
        else f"{value:.3f}"
        if metric.unit == "1"
        else show(value, metric.unit)
    )
    return f"{text} {verdict}"
