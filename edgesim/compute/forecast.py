"""When the steps of a plan would end if nothing waited for a device or link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgesim.domain.plan import Compute, Plan, Step
from edgesim.domain.system.topology import Topology
from edgesim.interfaces import ComputeModel


@dataclass(frozen=True, slots=True)
class Forecast:
    """When one step begins and ends, in s from the release of the request."""

    started_s: float
    ended_s: float


def _ready_s(step: Step, found: dict[str, Forecast]) -> Iterator[float]:
    """Give when each input of a step is there, and of each group of alternatives as many as are enough."""
    groups = step.alternatives if isinstance(step, Compute) else ()
    for group in groups:
        yield sorted(found[name].ended_s for name in group)[_n_enough(step) - 1]
    grouped = {name for group in groups for name in group}
    for name in step.inputs:
        if name not in grouped:
            yield found[name].ended_s


def _n_enough(step: Step) -> int:
    return step.n_enough if isinstance(step, Compute) else 1


def forecast(plan: Plan, topology: Topology, compute: ComputeModel) -> dict[str, Forecast]:
    """Return when each step begins and ends without contention, loss or failure.

    A step begins when its inputs have ended; a task of a pool when its worker has asked for the first time, as if each worker took all tasks at once. A computation takes its time by the compute model; a message takes overhead,
    transmission and latency of every link of its route, one after the other. The end of the answer is a lower bound of what the
    simulation finds: there, messages that share a medium and computations that share a device wait for each other.

    Raises
    ------
    PlanError
        When a message has no route.

    Examples
    --------
    >>> from edgesim.compute.roofline import Roofline
    >>> from edgesim.domain.plan import Transfer
    >>> from edgesim.domain.system.topology import Device, DeviceProfile, Link
    >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
    >>> devices = (Device("a", profile), Device("b", profile))
    >>> topology = Topology(devices, (Link("a->b", "a", "b", 8e6, latency_s=0.001),))
    >>> plan = Plan((Transfer("input", "a", "b", 2000, "input", "input"), Compute("end", "b", (), ("input",))), "end", {})
    >>> forecast(plan, topology, Roofline())["end"].ended_s
    0.003
    """
    found: dict[str, Forecast] = {}
    asks = {
        row[0]: pool.turns[worker][0][-1]
        for pool in plan.pools
        for copies in pool.tasks
        for worker, row in enumerate(copies)
        if pool.turns
    }
    for step in plan.steps:
        started_s = max(_ready_s(step, found), default=0.0)
        ask = found.get(asks.get(step.step_id, ""))
        if ask is not None:
            started_s = max(started_s, ask.ended_s)
        if isinstance(step, Compute):
            time_s = compute.duration_s(step, topology.device_of[step.device_id].profile)
        else:
            route = topology.route(step.src_id, step.dst_id)
            time_s = sum(link.occupation_s(step.size_byte) + link.latency_s for link in route)
        found[step.step_id] = Forecast(started_s, started_s + time_s)
    return found
