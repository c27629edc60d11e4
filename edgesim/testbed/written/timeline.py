"""One request of each strategy, as it was simulated and as it was measured, for viewers of Chrome's trace format.

The file is in the Trace Event Format (Google, 2016; `chrome://tracing` and Perfetto read it). Each strategy has two processes, one
for the simulation and one for the measurement, whose threads are the same devices, links and media in the same order. Times are
microseconds since the release. Viewers let events of a thread lie within each other, but not overlap, so a message begins when the
one before it on the same link has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from edgesim.domain.plan import Compute
from edgesim.testbed.comparison import simulated_of

if TYPE_CHECKING:
    from edgesim.domain.plan import Step
    from edgesim.domain.system.topology import HostOverhead
    from edgesim.testbed.comparison import Measured
    from edgesim.testbed.course.simulated import Simulated


@dataclass(frozen=True, slots=True)
class Bar:
    """What one device, link or medium did: from when to when after the release, and since when it could have, in s."""

    where: str
    step_id: str
    ready_s: float
    started_s: float
    ended_s: float


def timeline(measured: Sequence[Measured], overhead: HostOverhead | None = None) -> dict[str, Any]:
    """Return the request of median latency of each strategy, and its simulation.

    Parameters
    ----------
    measured : what was.
    overhead : of all devices in the simulation; None for what the scenario says.
    """
    events: list[dict[str, Any]] = []
    for one in measured:
        position = _median(one)
        course = simulated_of(one.prepared, len(one.executed.requests), overhead)[position]
        simulated = _simulated_bars(course)
        real = _measured_bars(one, position)
        threads = _threads(one, (*simulated, *real))
        request = one.executed.requests[position].number
        steps = {step.step_id: step for step in one.prepared.bundle.plan.steps}
        for side, bars in (("simulated", simulated), ("measured", real)):
            process = 1 + sum(event["name"] == "process_name" for event in events)
            names = {
                "process_name": {"name": f"{one.prepared.label}: {side}"},
                "process_sort_index": {"sort_index": process},
            }
            events += [_metadata(name, process, 0, given) for name, given in names.items()]
            for place, where in enumerate(threads, start=1):
                events.append(_metadata("thread_name", process, place, {"name": where}))
                events.append(_metadata("thread_sort_index", process, place, {"sort_index": place}))
            events += [
                {
                    "name": bar.step_id,
                    "cat": _kind(steps[bar.step_id]),
                    "ph": "X",
                    "pid": process,
                    "tid": threads.index(bar.where) + 1,
                    "ts": _microseconds(bar.started_s),
                    "dur": _microseconds(bar.ended_s - bar.started_s),
                    "args": {"waited": _microseconds(bar.started_s - bar.ready_s), "request": request},
                }
                for bar in bars
            ]
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _metadata(name: str, process: int, thread: int, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "pid": process, "tid": thread, "ts": 0, "args": given}


def _median(measured: Measured) -> int:
    """Return the position of the request of median latency among those that were answered."""
    answered = [place for place, one in enumerate(measured.executed.requests) if isfinite(one.answered_s)]
    latency_s = [one.answered_s - one.released_s for one in measured.executed.requests]
    return sorted(answered, key=lambda place: latency_s[place])[(len(answered) - 1) // 2]


def _simulated_bars(course: Simulated) -> tuple[Bar, ...]:
    bars = [
        Bar(one.resource_id, one.step_id, one.arrived_s, one.started_s, one.ended_s)
        for one in course.stays
        if isfinite(one.ended_s)
    ]
    return tuple(_one_by_one(bars))


def _measured_bars(measured: Measured, position: int) -> tuple[Bar, ...]:
    plan, topology, executed = measured.prepared.bundle.plan, measured.prepared.context.topology, measured.executed
    request = executed.requests[position]
    begun_s, ended_s = executed.begun_s.get(request.number, {}), executed.ended_s[request.number]
    bars = []
    for step in plan.steps:
        if step.step_id not in ended_s or step.step_id not in begun_s:
            continue  # a message that did not come has no bar
        start_s, end_s = (moments[step.step_id] - request.released_s for moments in (begun_s, ended_s))
        if isinstance(step, Compute):
            bars.append(Bar(step.device_id, step.step_id, start_s, start_s, end_s))
        else:
            way = topology.route(step.src_id, step.dst_id)
            left_s = max(start_s, end_s - sum(link.latency_s for link in way))
            bars.append(Bar(way[0].medium_id or way[0].link_id, step.step_id, start_s, start_s, left_s))
    return tuple(_one_by_one(bars))


def _one_by_one(bars: Iterable[Bar]) -> list[Bar]:
    """Let each begin when what ended before it at the same place has."""
    free_s: dict[str, float] = {}
    found = []
    for bar in sorted(bars, key=lambda bar: (bar.ended_s, bar.started_s)):
        started_s = min(bar.ended_s, max(bar.started_s, free_s.get(bar.where, 0.0)))
        free_s[bar.where] = bar.ended_s
        found.append(Bar(bar.where, bar.step_id, bar.ready_s, started_s, bar.ended_s))
    return found


def _threads(measured: Measured, bars: Iterable[Bar]) -> list[str]:
    """Return what does something: devices first, both in their order."""
    busy = dict.fromkeys(bar.where for bar in bars)
    devices = [one for one in measured.prepared.bundle.plan.device_ids if one in busy]
    return [*devices, *(one for one in busy if one not in devices)]


def _kind(step: Step) -> str:
    return "compute" if isinstance(step, Compute) else step.kind


def _microseconds(value_s: float) -> float:
    return round(max(0.0, value_s) * 1e6, 3)
