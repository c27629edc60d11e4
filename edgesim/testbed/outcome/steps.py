"""How long each computation and message took, simulated and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from edgesim.domain.plan import Compute

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan, Step, TrafficKind
    from edgesim.testbed.loopback import Executed


@dataclass(frozen=True, slots=True)
class StepFigures:
    """A computation or message of a plan, simulated and measured.

    Times count from the moment when all that it needs was there (from the release of the request where it needs nothing) until it
    ended or came, so that waiting is in them, and what is late before it is not.

    Parameters
    ----------
    step_id : the step.
    kind : ``compute``, or the kind of the message.
    where : the device, or sender and receiver.
    size_byte : payload of the message as planned, in byte; 0 of a computation.
    measured_byte : payload that came, in the mean of the requests in which it did.
    n : requests in which it ended.
    simulated_s : time in the simulation, in the mean of the same requests.
    mean_s, median_s, p95_s : measured times.
    simulated_end_s, mean_end_s : when it ended after the release of the request, measured in the mean.
    """

    step_id: str
    kind: TrafficKind | str
    where: str
    size_byte: int
    measured_byte: float
    n: int
    simulated_s: float
    mean_s: float
    median_s: float
    p95_s: float
    simulated_end_s: float
    mean_end_s: float

    @property
    def difference_s(self) -> float:
        """How much longer it took than simulated, in s."""
        return self.mean_s - self.simulated_s


def figures_of(plan: Plan, simulated_s: Sequence[Mapping[str, float]], executed: Executed) -> tuple[StepFigures, ...]:
    """Return the figures of all steps that ended, both simulated and measured, in some request, in plan order.

    Parameters
    ----------
    plan : of the steps.
    simulated_s : of each request, by step: when it ended after the release.
    executed : what was measured.
    """
    found = (_figures(step, simulated_s, executed) for step in plan.steps)
    return tuple(one for one in found if one is not None)


def largest(figures: tuple[StepFigures, ...], n: int) -> tuple[StepFigures, ...]:
    """Return the steps whose measured times differ most from the simulated ones, the largest difference first."""
    return tuple(sorted(figures, key=lambda one: -abs(one.difference_s))[:n])


def _figures(step: Step, simulated_s: Sequence[Mapping[str, float]], executed: Executed) -> StepFigures | None:
    import numpy as np

    times_s: list[float] = []
    ends_s: list[float] = []
    sizes_byte: list[int] = []
    wanted_s: list[float] = []
    wanted_ends_s: list[float] = []
    for request, own_s in zip(executed.requests, simulated_s, strict=True):
        ended_s = executed.ended_s[request.number]
        if step.step_id not in ended_s or step.step_id not in own_s:
            continue
        wanted_ends_s.append(own_s[step.step_id])
        wanted_s.append(own_s[step.step_id] - _ready_s(step, own_s, 0.0))
        ends_s.append(ended_s[step.step_id] - request.released_s)
        times_s.append(ended_s[step.step_id] - _ready_s(step, ended_s, request.released_s))
        sizes_byte.append(executed.message_byte.get(request.number, {}).get(step.step_id, 0))
    if not times_s:
        return None
    is_compute = isinstance(step, Compute)
    return StepFigures(
        step_id=step.step_id,
        kind="compute" if isinstance(step, Compute) else step.kind,
        where=step.device_id if isinstance(step, Compute) else f"{step.src_id}->{step.dst_id}",
        size_byte=0 if isinstance(step, Compute) else step.size_byte,
        measured_byte=0.0 if is_compute else fmean(sizes_byte),
        n=len(times_s),
        simulated_s=fmean(wanted_s),
        mean_s=fmean(times_s),
        median_s=float(np.median(times_s)),
        p95_s=float(np.quantile(times_s, 0.95)),
        simulated_end_s=fmean(wanted_ends_s),
        mean_end_s=fmean(ends_s),
    )


def _ready_s(step: Step, ended_s: Mapping[str, float], released_s: float) -> float:
    """Return when the last of what it needs was there; what came after its end was not waited for."""
    return max(
        (ended_s[name] for name in step.inputs if name in ended_s and ended_s[name] <= ended_s[step.step_id]),
        default=released_s,
    )
