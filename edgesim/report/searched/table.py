"""The candidates of a search as a table and as plain data, and what is to be said of the best."""

from __future__ import annotations

from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from edgesim.domain.metrics import metric_named
from edgesim.report.table import Table
from edgesim.report.texts import words
from edgesim.study.search.race import difference
from edgesim.units import show

if TYPE_CHECKING:
    from edgesim.domain.metrics import Metric
    from edgesim.study.search.race import Runner
    from edgesim.study.search.search import Searched
    from edgesim.study.tables.statistics import Estimate

N_ROWS = 12
"""Candidates in the table; all stand in the files of a search."""


def metrics_of(found: Searched) -> list[str]:
    """Return what is told of each candidate: what it is ranked by, and what has a goal."""
    return list(dict.fromkeys((*found.judge.by, *(goal.metric for goal in found.judge.goals))))


def metric_of(found: Searched, name: str) -> Metric:
    """Return what a metric is."""
    return found.judge.scores.get(name) or metric_named(name)


def value_text(value: float, metric: Metric) -> str:
    """Return a value with its unit."""
    if isnan(value):
        return "no answer"
    return (
        f"{100 * value:.1f} %"
        if metric.is_share
        else f"{value:.4g}"
        if metric.unit == "1"
        else show(value, metric.unit)
    )


def candidates_table(found: Searched) -> Table:
    """Return the best candidates and the Pareto front; a mark says which are on it."""
    front = {id(one) for one in found.front}
    finished = [one for one in found.runners if one.state == "finished"]
    shown = [one for place, one in enumerate(finished) if place < N_ROWS or id(one) in front][: 2 * N_ROWS]
    names = metrics_of(found)
    rows = tuple(
        (
            str(one.candidate),
            "front" if id(one) in front else "",
            *(value_text(one.mean(name), metric_of(found, name)) for name in names),
            *([found.judge.verdict(one)] if found.judge.goals else []),
            "exact" if one.is_exact else str(one.n),
        )
        for one in shown
    )
    goals = ("goals",) if found.judge.goals else ()
    headers = ("candidate", "", *(words(name) for name in names), *goals, "trials")
    more = f"{len(shown)} of {len(finished)} finished candidates shown" if len(shown) < len(finished) else ""
    return Table("Candidates, the best first", headers, rows, n_names=2, note=more)


def why_not(found: Searched) -> list[str]:
    """Return in a line each which candidates are not feasible, and why; of many with one reason the first."""
    alike: dict[str, list[Runner]] = {}
    for one in found.runners:
        if one.state == "infeasible":
            alike.setdefault(one.why_not, []).append(one)
    more = {why: f" (and {len(some) - 1} more)" if len(some) > 1 else "" for why, some in alike.items()}
    return [f"not feasible: {some[0].candidate}{more[why]}: {why}" for why, some in list(alike.items())[:N_ROWS]]


def certificate_table(found: Searched) -> Table | None:
    """Return what the worst loss of up to two devices does to the best candidate; None where there is none."""
    if found.best is None:
        return None
    worst = found.certificates.get(found.best.candidate.key)
    if not worst:
        return None
    metric = metric_of(found, worst[0].metric)
    rows = tuple(
        (
            str(one.n_lost),
            str(one.n_sets),
            str(one.n_unanswered),
            value_text(one.value, metric) if isfinite(one.value) else "no answer",
            ", ".join(one.lost),
        )
        for one in worst
    )
    note = "every set of devices that the plan uses was simulated, but for the source and the sink; nothing else fails"
    headers = ("devices lost", "sets", "unanswered", f"worst {words(metric.name)}", "with")
    return Table(f"The worst loss for {found.best.candidate}", headers, rows, note=note)


def sentence(found: Searched) -> str:
    """Return what was looked at and what is best, with what lies between it and the next."""
    n = {state: sum(one.state == state for one in found.runners) for state in ("finished", "stopped", "infeasible")}
    looked = (
        f"All {found.n_candidates} candidates were looked at"
        if found.is_exhaustive
        else f"{len(found.runners)} of {found.n_candidates} candidates were looked at, as Optuna chose them"
    )
    looked += f" ({n['stopped']} stopped early, {n['infeasible']} not feasible). "
    if found.best is None:
        return looked + "None is feasible."
    name = found.judge.by[0]
    metric, value = metric_of(found, name), found.best.mean(name)
    verdict = f", goals {found.judge.verdict(found.best)}" if found.judge.goals else ""
    best = f"The best is {found.best.candidate}: {words(name)} {value_text(value, metric)}{verdict}"
    rivals = [one for one in found.runners[1:] if one.state == "finished"]
    if not rivals:
        return f"{looked}{best}."
    margin = difference(found.best, rivals[0], name)
    return f"{looked}{best}; against the next, {rivals[0].candidate}, {_margin(margin, metric)}."


def _margin(margin: Estimate, metric: Metric) -> str:
    """Return a difference with its interval; of shares in points, of which 100 are all."""

    def text(value: float) -> str:
        sign = "-" if value < 0 else "+"
        if metric.is_share:
            return f"{sign}{100 * abs(value):.3g} points"
        return f"{sign}{abs(value):.3g}" if metric.unit == "1" else sign + show(abs(value), metric.unit)

    interval = f" (95 % interval {text(margin.low)} to {text(margin.high)})" if margin.low < margin.high else ""
    return text(margin.value) + interval


def document(found: Searched) -> dict[str, Any]:
    """Return all that was found as plain data."""
    front = {id(one) for one in found.front}
    return {
        "answer": sentence(found),
        "candidates": found.n_candidates,
        "exhaustive": found.is_exhaustive,
        "by": list(found.judge.by),
        "rows": [_row(one, found, is_on_front=id(one) in front) for one in found.runners],
        "certificates": [
            {
                "strategy": one.candidate.strategy,
                "choices": dict(one.candidate.values),
                "worst": [
                    {
                        "lost": worst.n_lost,
                        "sets": worst.n_sets,
                        "unanswered": worst.n_unanswered,
                        "metric": worst.metric,
                        "value": _number(worst.value),
                        "devices": list(worst.lost),
                    }
                    for worst in found.certificates[one.candidate.key]
                ],
            }
            for one in found.front
            if one.candidate.key in found.certificates
        ],
    }


def _row(one: Runner, found: Searched, *, is_on_front: bool) -> dict[str, Any]:
    return {
        "strategy": one.candidate.strategy,
        "choices": dict(one.candidate.values),
        "state": one.state,
        "why_not": one.why_not,
        "front": is_on_front,
        "goals": found.judge.verdict(one) if found.judge.goals and one.estimates else None,
        "replications": one.n,
        "exact": one.is_exact,
        "metrics": {
            name: {"mean": _number(of.value), "low": _number(of.low), "high": _number(of.high)}
            for name in metrics_of(found)
            if (of := one.estimates.get(name)) is not None
        },
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
