"""The metrics of a study: their units, what they mean, and bounds that they are to keep."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of results.

    Parameters
    ----------
    name : as in ``summary.csv``.
    unit : base unit; ``"1"`` for a share.
    summary : what it is, in one line.
    formula : how it is computed.
    validity : when to believe it.
    source : where the definition comes from.
    lowest, highest : between which each value of a trial lies.
    label : for headings; the name when it is not given.
    is_share : whether it is shown in per cent.
    is_larger_better : whether it is.
    """

    name: str
    unit: str
    summary: str
    formula: str
    validity: str
    source: str = "edgesim's own definition"
    lowest: float = 0.0
    highest: float = inf
    label: str = ""
    is_share: bool = False
    is_larger_better: bool = False

    @property
    def title(self) -> str:
        """The label, or the name."""
        return self.label or self.name


_TRAFFIC = "all bytes that are put on links count, also of messages that are lost on the way, and acknowledgements where a link says what they are"
_LATENCY = (
    "of the trials with an answer only; see `answered` for how many those are, and compare strategies at equal shares"
)

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "latency", "s", "time from the release of a request to the end of the computation that answers it",
            "mean over trials with an answer of (end of the answering step - release); under load, of the means over the requests "
            "of a trial",
            "compute times follow the roofline model and link times the model of the link; " + _LATENCY,
        ),
        Metric(
            "latency_p95", "s", "95th percentile of the latency",
            "smallest latency that at least 95 % of the trials with an answer do not exceed; under load the mean over trials of the "
            "95th percentile over the requests of a trial",
            _LATENCY + "; it needs some hundreds of replications",
        ),
        Metric(
            "traffic", "byte", "bytes put on links per inference",
            "traffic_input + traffic_intermediate + traffic_result; each hop counts, headers and lost messages included",
            _TRAFFIC,
        ),
        Metric("traffic_input", "byte", "traffic that distributes the input", "sum over transfers of kind input", _TRAFFIC),
        Metric(
            "traffic_intermediate", "byte", "traffic of tensors between layers",
            "sum over transfers of kind intermediate", _TRAFFIC,
        ),
        Metric(
            "traffic_result", "byte", "traffic towards the device that merges or wants the answer",
            "sum over transfers of kind result", _TRAFFIC,
        ),
        Metric(
            "energy", "J", "energy of the devices that the plan uses, per inference",
            "sum over devices of idle power x time + (busy - idle) x computing time + (transmit - idle) x sending time + (receive - idle) x "
            "receiving time, where time is from the release to the end of the request; under load from the first release to the last end "
            "of the trial, and the sum / number of requests",
            "as good as the powers of the device profiles; a device that is down takes nothing, and rejected requests neither take nor share",
        ),
        Metric(
            "answered", "1", "share of trials with an answer", "number of trials with an answer / number of trials; under load the mean over trials of the share of the requests that "
            "ended",
            "interval after Wilson, which holds near 0 and 1 too",
            "E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22(158), 1927", highest=1.0,
            label="Share of requests with an answer", is_share=True, is_larger_better=True,
        ),
        Metric(
            "peak_memory", "byte", "memory that the fullest device needs",
            "max over devices of (resident weights + largest sum of activations alive at once); under load the largest `memory of` a device, mean over trials",
            "weights and activations in float32; buffers of the run time and of the operating system are not counted",
        ),
    )
}  # fmt: skip
"""All metrics but the scores of the task by name, in the order of the table, in which the scores come first."""
UNITS = {name: metric.unit for name, metric in METRICS.items()}

MEMORY_AVAILABLE = Metric(
    "memory_available", "byte", "memory of the device that a strategy does not fit",
    "that of the device in whose row `peak_memory` is what the strategy needs there",
    "only where a strategy does not fit: its other metrics are empty, and nothing was simulated",
)  # fmt: skip
"""What the summary has of a strategy that does not fit, besides the other metrics."""

_OUTCOME = "number of such requests / number of requests of the trial; mean over trials"
_COUNTED = "requests that are released before the end of the warm-up do not count"
_HELD = (
    "a message is alive at its sender until it has arrived, at its receiver until the computation that needs it begins, activations while the "
    "computation runs; a request that waits where its sample was taken, and what relaying devices hold, do not count; a device with less "
    "memory is not stopped, so compare it with the memory of the profile"
)
_WATCHED = "over the time from the end of the warm-up to the end of the trial; mean over trials"
_LITTLE = "J. D. C. Little, A Proof for the Queuing Formula L = lambda W, Operations Research 9(3), 1961"

LOAD_METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "throughput", "/s", "answers per second over the watched time",
            "number of requests with an answer / watched time; mean over trials",
            "steady only where the system is: with more requests than it can answer, it is what the slowest device or link can do",
            label="Answers per second", is_larger_better=True,
        ),
        Metric("requests", "1", "number of requests of a trial that count", "number of requests released in the watched time; mean over trials", _COUNTED),
        Metric("degraded", "1", "share of requests answered without some input", _OUTCOME, _COUNTED, highest=1.0),
        Metric("failed", "1", "share of requests that can no more have an answer", _OUTCOME, _COUNTED, highest=1.0),
        Metric("timed_out", "1", "share of requests without an answer at the deadline", _OUTCOME, _COUNTED, highest=1.0),
        Metric("rejected", "1", "share of requests that the admission limit turned away", _OUTCOME, _COUNTED, highest=1.0),
        Metric(
            "unfinished", "1", "share of requests without an end at the horizon", _OUTCOME,
            "many of them mean that the trial is too short, or that the system is overloaded; they are in no other share's numerator", highest=1.0,
        ),
        Metric(
            "utilisation", "1", "how busy the busiest device, link or medium is",
            f"max over resources of busy time / watched time (of a device: busy cores / cores), {_WATCHED}",
            "near 1 the resource is the bottleneck and latencies grow with the length of the trial", highest=1.0,
        ),
    )
}  # fmt: skip
"""What a study under load has besides, by name, in the order of the table."""
RESOURCE_METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "utilisation of", "1", "how busy one device, link or medium is", f"busy time / watched time, {_WATCHED}",
            "only of what a strategy's plan uses", highest=1.0,
        ),
        Metric(
            "waiting at", "1", "how much waits for one device, link or medium",
            f"time-weighted mean number of computations or messages that wait, {_WATCHED}",
            "zero for resources that are shared (`fair`), where nothing waits", _LITTLE,
        ),
        Metric(
            "memory of", "byte", "most memory that one device needs at once, with all requests that are there",
            f"largest value over time of weights + sum over requests of the largest of what is alive of each there, {_WATCHED}",
            _HELD,
        ),
        Metric(
            "lifetime of", "s", "when the battery of one device is empty",
            "time from the start of a trial to the moment at which idle power and work have used up the `battery`; mean over the trials in which that is",
            "only of devices with a `battery`; its number of values says in how many trials it was empty, and no mean that it lasted in all of them",
        ),
    )
}  # fmt: skip
"""Metrics of every device, link and medium under load: their names go on with its id."""


_SEEN = "of the requests that count; where trials have a horizon, of those that a person has done by then; closed clients do not wait for people"

PEOPLE_METRICS = {
    metric.name: metric
    for metric in (
        Metric("final_latency", "s", "time from the release of a request to its final answer", "mean over requests of latency, or of the time to the end of a person's look", _SEEN),
        Metric("final_latency_p95", "s", "95th percentile of the final latency", "over the requests of a trial; mean over trials", _SEEN),
        Metric("person_wait", "s", "how long a sample waits for a person", "mean over escalated requests of beginning of the look - answer of the networks, nights included", _SEEN),
        Metric("person_utilisation", "1", "how busy the people are", "time of looking / (people x hours of work to the end of the trial)", _SEEN, highest=1.0),
        Metric("person_time", "s", "work of people per request", "sum of the times of looks / number of requests", _SEEN),
        Metric("person_minutes_per_km2", "1", "minutes of people's work for each square kilometre", "sum of the times of looks / (60 x number of requests x sample_km2)", _SEEN + "; needs `sample_km2`"),
        Metric("person_cost", "1", "cost of people per request", "sum of the times of looks / 60 x cost_per_minute / number of requests", _SEEN),
        Metric("unreviewed", "1", "share of escalated requests that no person has done by the horizon", "1 - done / escalated; they keep the answer of the networks, also in the final scores", "empty where nothing was escalated", highest=1.0),
    )
}  # fmt: skip
"""What a study under load with `escalate: {people}` has besides."""
_STANDS = "each request stands for the time until the next one, so requests should come often against outages; of those that are not unfinished"
_HEARTBEATS = "only with a `detector`; see [recovery](recovery.md)"
_TAKEOVER = "only with the recoveries `failover` and `reassign`"
RECOVERY_METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "availability", "1", "share of the time in which requests are answered", "sum over requests with an answer of the time until the next release / time from the first release to the last", _STANDS,
            highest=1.0, is_share=True, is_larger_better=True,
        ),
        Metric(
            "recovery_time", "s", "time to recover: how long answers stay away", "release of the first request with an answer behind some without - release of the first of these; mean over such runs of a trial",
            _STANDS + "; empty without such a run, runs at the end of a trial do not count",
        ),
        Metric("lost_requests", "1", "number of requests of a trial without an answer", "number of requests without an answer; mean over trials", "of those that are not unfinished"),
        Metric(
            "lost_score", "s", "main score that was lost, integrated over time", "sum over requests of (score with everything delivered - score of the request) x time until the next release; the other way round where less is better",
            _STANDS + "; 1 s is a second without answers where they would all be right; empty where no scores are computed, or the plan depends on the sample", lowest=-inf,
        ),
        Metric(
            "detection_time", "s", "time from the beginning of an outage of a device until the monitor suspects it", "mean over the detected outages of a trial of suspicion - beginning; mean over trials",
            _HEARTBEATS + "; of outages that are detected: those that end before are not among them, see `detected`",
        ),
        Metric("detected", "1", "share of the outages of devices that the monitor detects", "number of detected outages / number of outages of watched devices that begin; mean over trials", _HEARTBEATS, highest=1.0, is_share=True, is_larger_better=True),
        Metric("false_alarms", "1", "number of times that a device was suspected though it was up", "number of suspicions of devices that were up since they sent the last heartbeat that came; mean over trials", _HEARTBEATS + "; a device that cannot be reached is a false alarm, too"),
        Metric("false_alarms_per_hour", "1", "false alarms for each hour of a device that is up", "false alarms / (sum over watched devices of the time up / 3600 s); mean over trials", _HEARTBEATS),
        Metric("replaced", "1", "share of requests that a stand-in plan was to answer", "number of requests released while another plan than that of the strategy was followed / number of requests; mean over trials", _TAKEOVER, highest=1.0, is_share=True),
        Metric("changes", "1", "number of times that another plan took over, ways back included", "number of changes of the plan; mean over trials", _TAKEOVER),
        Metric("change_time", "s", "time from the decision for another plan until it is followed", "mean over the changes of a trial of the time to send weights and read them into memory; mean over trials", _TAKEOVER + "; changes that were given up on the way do not count"),
        Metric("recovery_traffic", "byte", "bytes that heartbeats and weights put on links, for each request", "bytes of messages that belong to no request / number of requests; mean over trials", "they are part of `traffic_intermediate` and of `traffic`"),
    )
}  # fmt: skip
"""What a study under load with `recoveries` has besides."""


def metric_named(name: str) -> Metric:
    """Return the metric of a row of ``summary.csv``. Raises `KeyError` when there is none of this name.

    Examples
    --------
    >>> metric_named("waiting at hub").unit, metric_named("energy").unit
    ('1', 'J')
    """
    start = next((start for start in RESOURCE_METRICS if name.startswith(f"{start} ")), name)
    return (
        METRICS
        | LOAD_METRICS
        | PEOPLE_METRICS
        | RECOVERY_METRICS
        | RESOURCE_METRICS
        | {MEMORY_AVAILABLE.name: MEMORY_AVAILABLE}
    )[start]


Verdict = Literal["met", "likely", "unlikely", "not met", "unknown"]
"""Whether a goal is met: surely, by the mean only, by the interval only, surely not; nothing is known."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on the expectation of a metric.

    Parameters
    ----------
    metric : its name.
    limit : the bound, in the metric's base unit.
    is_most : whether the metric is to be at most that much, else at least.
    """

    metric: str
    limit: float
    is_most: bool

    def verdict(self, mean: float, low: float, high: float) -> Verdict:
        """Return whether a metric with this mean and 95 % interval meets the goal; a bound that is NaN is none.

        Examples
        --------
        >>> goal = Goal("latency", 0.3, is_most=True)
        >>> goal.verdict(0.2, 0.1, 0.29), goal.verdict(0.2, 0.1, 0.4), goal.verdict(0.4, 0.2, 0.6), goal.verdict(0.4, 0.31, 0.5)
        ('met', 'likely', 'unlikely', 'not met')
        """
        if isnan(mean):
            return "unknown"
        sign = 1.0 if self.is_most else -1.0
        best, worst = (low, high) if self.is_most else (high, low)
        if sign * worst <= sign * self.limit:
            return "met"
        if sign * best > sign * self.limit:
            return "not met"
        return "likely" if sign * mean <= sign * self.limit else "unlikely"
