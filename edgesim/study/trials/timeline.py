"""When each computation and message of one request began and ended, as a trace that browsers show too.

The file is in the Trace Event Format of Chrome: `chrome://tracing` and other viewers open it. A process is a strategy, a thread is
a device, link or medium, times are in microseconds.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from edgesim.domain.plan import Compute
from edgesim.engine.events.simulation import trace

if TYPE_CHECKING:
    from edgesim.domain.plan import Step
    from edgesim.study.cases.design import Case
    from edgesim.study.cases.shared import Shared

N_MOST_EVENTS = 20_000
"""Of one strategy; a plan with more is left out, since no viewer would show it."""


def timelines(shared: Shared) -> dict[str, Any]:
    """Return one request of every strategy at its first factor point, when nothing is lost."""
    events: list[dict[str, Any]] = []
    first: dict[str, Case] = {}
    for case in shared.cases:
        first.setdefault(case.strategy, case)
    for process, case in enumerate(first.values()):
        events.append({"name": "process_name", "ph": "M", "pid": process, "tid": 0, "args": {"name": case.strategy}})
        events += _events(shared, case, process)
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _events(shared: Shared, case: Case, process: int) -> list[dict[str, Any]]:
    program = shared.prepared[case.prepared].program
    trial = trace(program, deadline_s=case.deadline_s, has_stays=True, is_checked=shared.is_checked)
    stays = [stay for stay in trial.stays if isfinite(stay.ended_s)]
    if len(stays) > N_MOST_EVENTS:
        return []
    steps = {step.step_id: step for step in program.plan.steps}
    threads: dict[str, int] = {}
    events: list[dict[str, Any]] = []
    for stay in stays:
        thread = threads.setdefault(stay.resource_id, len(threads))
        events.append(
            {
                "name": stay.step_id,
                "cat": _kind(steps[stay.step_id]),
                "ph": "X",
                "pid": process,
                "tid": thread,
                "ts": _microseconds(stay.started_s),
                "dur": _microseconds(stay.ended_s - stay.started_s),
                "args": {"waited": _microseconds(stay.started_s - stay.arrived_s), "link": stay.link_id},
            }
        )
    names = [
        {"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": {"name": resource}}
        for resource, thread in threads.items()
    ]
    return [*names, *events]


def _kind(step: Step) -> str:
    return "compute" if isinstance(step, Compute) else step.kind


def _microseconds(value_s: float) -> float:
    return round(value_s * 1e6, 3)
