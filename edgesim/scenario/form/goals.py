"""What metrics are to reach, as scenarios write it: ``latency_p95: <= 300 ms``."""

from __future__ import annotations

import re

from edgesim.domain.metrics import LOAD_METRICS, METRICS, RECOVERY_METRICS, Goal
from edgesim.errors import nearest_name
from edgesim.tasks.scores import SCORES
from edgesim.units import EXAMPLES, parse

KNOWN = (*SCORES, *METRICS, *LOAD_METRICS, *RECOVERY_METRICS)
"""Metrics that goals may name, besides the scores of tasks that plug-ins bring."""
_GOAL = re.compile(r"\s*(<=|>=)\s*(.+?)\s*")


def read_goal(metric: str, text: str) -> Goal:
    """Read a goal. Raises `ValueError` when there is no such metric, or the text is no bound on it.

    Examples
    --------
    >>> read_goal("latency_p95", "<= 300 ms"), read_goal("accuracy", ">= 95 %")
    (Goal(metric='latency_p95', limit=0.3, is_most=True), Goal(metric='accuracy', limit=0.95, is_most=False))
    """
    near = nearest_name(metric, KNOWN)
    if metric not in KNOWN and (near or not metric.isidentifier()):
        raise ValueError(f"no metric {metric!r}" + (f"; nearest {near!r}" if near else ""))
    known = {**METRICS, **LOAD_METRICS, **RECOVERY_METRICS, **SCORES}
    unit = known[metric].unit if metric in known else "1"
    unit = "Hz" if unit == "/s" else unit
    example = "<= 5 /s" if unit == "Hz" else f"<= {EXAMPLES[unit]}"
    match = _GOAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no goal of {metric}; write a bound such as {example!r}, with <= or >=")
    try:
        limit = (
            float(match[2])
            if unit == "1" and re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", match[2])
            else parse(match[2], unit)
        )
    except ValueError as error:
        raise ValueError(f"{text!r} is no goal of {metric}: {error}; write a bound such as {example!r}") from None
    return Goal(metric, limit, is_most=match[1] == "<=")
