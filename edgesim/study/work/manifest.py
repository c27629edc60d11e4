"""What is written down about a study, so that it can be judged and repeated."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from edgesim.processes import THREAD_VARIABLES, n_cpus
from edgesim.study.cases.design import Case
from edgesim.study.cases.shared import Shared
from edgesim.study.tables.known import known_of
from edgesim.study.trials.batch import why_not

if TYPE_CHECKING:
    from edgesim.domain.metrics import Metric
    from edgesim.study.cases.tasks import Work
    from edgesim.study.work.evaluation import Evaluated


def facts(
    shared: Shared,
    work: Work,
    found: Evaluated,
    *,
    workers: int,
    scheduler: str | None,
    started: datetime,
) -> dict[str, Any]:
    """Return what else is worth knowing, as plain JSON values: when, where, and what the strategies made."""
    return {
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": {"system": platform.platform(), "machine": platform.machine(), "processors": n_cpus()},
        "workers": workers if scheduler is None else scheduler,
        "threads_per_worker": dict.fromkeys(THREAD_VARIABLES, 1),
        **_stops(shared, work),
        "rare": _rare(shared, work),
        "infeasible": [
            {
                **one.point,
                "strategy": one.strategy,
                "device": one.device_id,
                "needed_byte": one.needed_byte,
                "available_byte": one.available_byte,
            }
            for one in shared.unfit
        ],
        "deployments": [_deployment(shared, case) for case in _first_of_each(shared.cases)],
        "learnt": [one.as_data() for one in shared.learnt],
        "engines": _engines(shared, work, found),
        "scores": [_score(score.metric()) for score in shared.scores],
        "intact": found.intact,
    }


def _score(metric: Metric) -> dict[str, Any]:
    """Return what a score is as plain JSON values; no bound is none."""
    return {key: None if value in (inf, -inf) else value for key, value in asdict(metric).items()}


def _engines(shared: Shared, work: Work, found: Evaluated) -> list[dict[str, Any]]:
    """Return which engine simulated each strategy, and why; factor points of which the same can be said are one entry."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for position, case in enumerate(shared.cases):
        n = sum(block.stop - block.start for block in work.of_case(position, is_enumeration=False))
        n_by_events = found.n_by_events[position]
        why = why_not(case, shared)
        if n_by_events and not why:
            why = "by events where messages or computations came in another order, or outages began later"
            if case.load is not None:
                why += ", and for the first trial, which is drawn over time, and the last ones, if they are few"
        entry = entries.setdefault(
            (case.strategy, why),
            {"strategy": case.strategy, "engine": "", "trials": 0, "by_events": 0, "why": why},
        )
        entry["trials"] += n
        entry["by_events"] += n_by_events
        entry["engine"] = "event" if entry["by_events"] == entry["trials"] else "array"
    return list(entries.values())


def _stops(shared: Shared, work: Work) -> dict[str, Any]:
    """Return how many replications a study with a rule has, and where each factor point stopped."""
    if not work.stops:
        return {}
    numbers = sorted({stop.replications for stop in work.stops})
    points = [
        {
            **shared.cases[stop.case].point,
            "replications": stop.replications,
            "is_met": stop.is_met,
            "rare": list(stop.rare),
        }
        for stop in work.stops
    ]
    text = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    return {"replications": text, "stopping": points}


def _rare(shared: Shared, work: Work) -> list[dict[str, Any]]:
    """Return by factor point what can strike, but so rarely that its trials may not have met it; in words.

    Where all outcomes were enumerated, nothing is missing.
    """
    found: dict[str, dict[str, Any]] = {}
    for position, case in enumerate(shared.cases):
        if work.n_outcomes[position]:
            continue
        n = sum(block.stop - block.start for block in work.of_case(position, is_enumeration=False))
        for rare in known_of(shared, case).unmet(n):
            entry = {**case.point, "replications": n, "what": str(rare)}
            found.setdefault(json.dumps(entry, sort_keys=True), entry)
    return list(found.values())


def _first_of_each(cases: Sequence[Case]) -> list[Case]:
    """Return one case of each label and deployment; those that only differ in their failures are the same."""
    seen: dict[tuple[str, int], Case] = {}
    for case in cases:
        seen.setdefault((case.strategy, case.prepared), case)
    return list(seen.values())


def _deployment(shared: Shared, case: Case) -> dict[str, Any]:
    return {
        "strategy": case.strategy,
        "first_point": dict(case.point),
        "peak_memory_byte": shared.prepared[case.prepared].program.devices.peak_memory_byte,
        "description": shared.deployments[case.prepared].describe(),
    }
