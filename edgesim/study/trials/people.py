"""From the answers of a trial under load to the work of people, and when answers are final."""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf, nan
from typing import TYPE_CHECKING

import numpy as np

from edgesim.engine.people import Look, busy_share, looks
from edgesim.rng import Streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.system.people import People
    from edgesim.rng import ReplicationStreams
    from edgesim.study.cases.design import Case
    from edgesim.study.trials.trials import Trials

Scored = dict[str, "NDArray[np.float64]"]
ESCALATED, SERVICE = "people/escalated", "people/service"
"""Streams: whether the sample of a request is one that is escalated, and how long a person takes; one draw of each for each request."""
FINAL = "final_"


def with_people(
    case: Case,
    trials: Trials,
    *,
    first: int,
    chosen: NDArray[np.bool_],
    scores: Scored,
    escalated: Mapping[Delivery, float],
) -> tuple[Trials, Scored]:
    """Return trials under load with what people did in them, and their scores where people did not get to everything.

    Whether the sample of a request is escalated has the probability that one of those that follow its plan is, with what arrived. A final score lies
    between those without and with people, by the share of escalated samples that are done.

    Parameters
    ----------
    case : whose trials.
    trials : with `times_by_request` and `asked_by_request`.
    first : replication of the first trial.
    chosen : the trials of which the networks were asked.
    scores : of each trial.
    escalated : share of the samples that are escalated, by what arrived.
    """
    people = case.people
    if people is None or not trials.load:
        return trials, scores
    streams = Streams(case.seed)
    until_s = inf if case.load is None or case.load.horizon_s is None else case.load.horizon_s
    rows = [
        _row(people, asked, times, escalated, streams=streams.replication(first + place), until_s=until_s) if is_chosen else dict.fromkeys(NAMES, nan)
        for place, (is_chosen, asked, times) in enumerate(
            zip(chosen, trials.asked_by_request, trials.times_by_request, strict=True)
        )
    ]  # fmt: skip
    columns = {name: np.array([row[name] for row in rows]) for name in NAMES}
    done = 1 - np.nan_to_num(columns["unreviewed"])
    final = {
        name: scores[name[len(FINAL) :]] + done * (values - scores[name[len(FINAL) :]])
        for name, values in scores.items()
        if name.startswith(FINAL) and name[len(FINAL) :] in scores
    }
    return replace(trials, load={**trials.load, **columns}), {**scores, **final}


NAMES = (
    "final_latency", "final_latency_p95", "person_wait", "person_utilisation", "person_time", "person_minutes_per_km2", "person_cost", "unreviewed",
)  # fmt: skip


def _row(
    people: People,
    asked: Sequence[Delivery | None],
    times: NDArray[np.float64],
    escalated: Mapping[Delivery, float],
    *,
    streams: ReplicationStreams,
    until_s: float,
) -> dict[str, float]:
    """Return the metrics of one trial; `times` are release and latency of each request, in s."""
    drawn, service = streams(ESCALATED), streams(SERVICE)
    came: list[tuple[float, float, int]] = []
    final = []
    for number, (delivery, (released_s, latency_s)) in enumerate(zip(asked, times.tolist(), strict=True)):
        is_uncertain = drawn.uniform() < (0.0 if delivery is None else escalated[delivery])
        work_s = service_time_s(people, service.uniform())
        if is_uncertain:
            came.append((released_s + latency_s, work_s, number))
        elif delivery is not None:
            final.append(latency_s)
    came.sort()
    found = looks([(at_s, work_s) for at_s, work_s, _ in came], people)
    done = [(look, number) for look, (_, _, number) in zip(found, came, strict=True) if look.ended_s <= until_s]
    final += [look.ended_s - float(times[number, 0]) for look, number in done]
    work_s = sum(look.worked_s for look, _ in done)
    n = len(asked)
    return dict(zip(NAMES, (
        _mean(final), float(np.quantile(final, 0.95)) if final else nan, _mean([_wait_s(look) for look, _ in done]),
        busy_share(found, people, until_s), work_s / n if n else nan,
        work_s / 60 / (n * people.sample_km2) if n and people.sample_km2 else nan,
        work_s / 60 * people.cost_per_minute / n if n else nan,
        1 - len(done) / len(came) if came else nan,
    ), strict=True))  # fmt: skip


def service_time_s(people: People, uniform: float) -> float:
    """Return a log-normal time of the given mean, from a uniform on [0, 1)."""
    from scipy.special import ndtri  # scipy is slow to load

    spread = people.service_spread
    z = float(ndtri(max(uniform, 1e-300))) if spread else 0.0
    return people.service_s * exp(spread * z - spread**2 / 2)


def _wait_s(look: Look) -> float:
    return look.started_s - look.arrived_s


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else nan
