"""How well requests were served over time in a trial under load in which failures are recovered from."""

from __future__ import annotations

from dataclasses import replace
from math import fsum, nan
from typing import TYPE_CHECKING

import numpy as np

from edgesim.domain.columns import OUTCOMES
from edgesim.engine.events.requests import RequestTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.networks.task import Score
    from edgesim.domain.records import RequestRecord, WatchRecord
    from edgesim.study.trials.trials import Trials


def service_of(records: Sequence[RequestRecord]) -> dict[str, float]:
    """Return availability, time to recover and lost requests of a trial; requests that are unfinished at the horizon are left out.

    Examples
    --------
    Requests each second, of which the second and third have no answer: 2 of 4 s, and from 1 s to 3 s nothing was to be had.

    >>> from math import isnan
    >>> from edgesim.domain.records import RequestRecord
    >>> outcomes = ["completed", "failed", "failed", "completed", "degraded"]
    >>> records = [RequestRecord(float(at), 0.1, outcome, 0, 0, 0, 0, 0.0) for at, outcome in enumerate(outcomes)]
    >>> service_of(records)
    {'availability': 0.5, 'recovery_time': 2.0, 'lost_requests': 2.0}
    """
    table = RequestTable.of(records)
    ended = table.at(np.flatnonzero(table.outcome != OUTCOMES.index("unfinished")))
    is_answered: list[bool] = ended.is_answered.tolist()
    times_s: list[float] = ended.released_s.tolist()
    incidents_s: list[float] = []
    since_s = nan
    for is_here, time_s in zip(is_answered, times_s, strict=True):
        if is_here and since_s == since_s:  # noqa: PLR0124 - not NaN: one began
            incidents_s.append(time_s - since_s)
            since_s = nan
        elif not is_here and since_s != since_s:  # noqa: PLR0124
            since_s = time_s
    return {
        "availability": 1 - _over_time(times_s, [float(not is_here) for is_here in is_answered], is_mean=True),
        "recovery_time": fsum(incidents_s) / len(incidents_s) if incidents_s else nan,
        "lost_requests": float(len(ended) - sum(is_answered)),
    }


def watching_of(watch: WatchRecord | None, records: Sequence[RequestRecord]) -> dict[str, float]:
    """Return how well a monitor found what was down in a trial with such requests, and what that cost; nothing where nobody watched.

    Examples
    --------
    Two of three outages were found, and one false alarm came in two hours.

    >>> from edgesim.domain.records import RequestRecord, WatchRecord
    >>> found = watching_of(WatchRecord(2.5, 2, 3, 1, 7200.0, 400), [RequestRecord(0.0, 0.1, "completed", 0, 0, 0, 0, 0.0)] * 100)
    >>> found["detection_time"], round(found["detected"], 3), found["false_alarms_per_hour"], found["recovery_traffic"]
    (2.5, 0.667, 0.5, 4.0)
    """
    if watch is None:
        return {}
    n_requests = len(records)
    found = {
        "detection_time": watch.detection_s,
        "detected": min(1.0, watch.n_detected / watch.n_outages) if watch.n_outages else nan,
        "false_alarms": float(watch.n_false),
        "false_alarms_per_hour": watch.n_false / (watch.up_s / 3600) if watch.up_s > 0 else nan,
        "recovery_traffic": watch.traffic_byte / n_requests if n_requests else nan,
    }
    if watch.n_changes is not None:
        n_replaced = int((RequestTable.of(records).plan > 0).sum())
        found["replaced"] = n_replaced / n_requests if n_requests else nan
        found |= {"changes": float(watch.n_changes), "change_time": watch.change_s}
    return found


def with_lost_score(
    trials: Trials,
    chosen: NDArray[np.bool_],
    score: Score,
    worth: Mapping[Delivery, float],
    whole: Delivery | None,
) -> Trials:
    """Return trials with the score that they lost, integrated over time.

    Parameters
    ----------
    trials : with `times_by_request` and `asked_by_request`.
    chosen : the trials of which the networks were asked.
    score : the main one.
    worth : its value by what arrived.
    whole : what arrives when nothing is lost; None where that depends on the sample.
    """
    sign = 1.0 if score.is_larger_better else -1.0
    found = []
    for is_chosen, asked, times in zip(chosen, trials.asked_by_request, trials.times_by_request, strict=True):
        values = [score.without_answer if one is None else worth[one] for one in asked] if is_chosen else []
        is_known = whole is not None and values
        lost = [sign * (worth[whole] - value) for value in values] if whole is not None else []
        found.append(_over_time(times[:, 0].tolist(), lost, is_mean=False) if is_known else nan)
    return replace(trials, load={**trials.load, "lost_score": np.array(found)})


def _over_time(times_s: Sequence[float], values: Sequence[float], *, is_mean: bool) -> float:
    """Return the integral, or the mean over time, of values that hold from each moment to the next."""
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return nan
    spans_s = np.diff(times_s)
    total = fsum((spans_s * np.array(values[:-1])).tolist())
    return total / (times_s[-1] - times_s[0]) if is_mean else total
