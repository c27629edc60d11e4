"""What was measured beside what was simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from edgesim.compute.forecast import forecast
from edgesim.domain.delivery import Delivery
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import ExecutionError, PlanError
from edgesim.testbed.limits import check_times, real_times_s
from edgesim.testbed.loopback import answers_of
from edgesim.testbed.outcome.steps import StepFigures, figures_of

if TYPE_CHECKING:
    from edgesim.testbed.loopback import Executed, Loopback
    from edgesim.testbed.prepared import PreparedStrategy

Verdict = Literal["agrees", "differs", "too noisy"]
N_HALVED = 30
_CLOSE = 1e-4


@dataclass(frozen=True, slots=True)
class Compared:
    """A strategy, simulated and executed.

    Parameters
    ----------
    strategy : its label.
    n_devices, n_requests : how many executed it, and how often.
    simulated_s : latency of a request, without losses and failures.
    mean_s, median_s, p95_s : measured latency.
    error : (mean_s - simulated_s) / simulated_s.
    noise : how much the mean of the repeat differs, as a share; without a repeat, the difference between the means of the first and the
        second half of the requests.
    simulated_byte, measured_byte : payload of all messages of a request; measured in the mean.
    n_equal_answers : answers that are those of `predict` with what arrived, to 1e-4 of the largest number.
    n_degraded : requests of which a message was too late.
    verdict : whether the error is within the tolerance; nothing is said where the noise is beyond it.
    steps : all steps that ended, in plan order.
    """

    strategy: str
    n_devices: int
    n_requests: int
    simulated_s: float
    mean_s: float
    median_s: float
    p95_s: float
    error: float
    noise: float
    simulated_byte: int
    measured_byte: float
    n_equal_answers: int
    n_degraded: int
    verdict: Verdict
    steps: tuple[StepFigures, ...]

    @property
    def is_right(self) -> bool:
        """Whether latency, bytes and answers are as simulated."""
        return (
            self.verdict == "agrees"
            and self.measured_byte == self.simulated_byte
            and self.n_equal_answers == self.n_requests
        )


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A strategy, what was measured of it, and what was when it was done again."""

    prepared: PreparedStrategy
    executed: Executed
    repeat: Executed | None = None

    @property
    def latencies_s(self) -> list[float]:
        """Of the requests, in order, in s."""
        return latencies_s(self.executed)

    @property
    def noise(self) -> float:
        """How much the mean latency changes while nothing else does, as a share."""
        every_s = self.latencies_s
        half, mean_s = len(every_s) // 2, fmean(every_s)
        if self.repeat is not None:
            return abs(fmean(latencies_s(self.repeat)) - mean_s) / mean_s
        return abs(fmean(every_s[:half]) - fmean(every_s[half:])) / mean_s if half else 0.0


def latencies_s(executed: Executed) -> list[float]:
    """Return the latencies of the requests, in order, in s."""
    return [one.answered_s - one.released_s for one in executed.requests]


def measure(
    prepared: PreparedStrategy, how: Loopback, tolerance: float, *, has_repeat: bool = False, is_paced: bool = True
) -> Measured:
    """Execute a strategy.

    Parameters
    ----------
    prepared : its bundle, and the system.
    how : it is executed.
    tolerance : of the mean latency, as a share; a machine that is slower is refused.
    has_repeat : whether all is done again with new processes, to see how noisy the machine is.
    is_paced : whether computations take at least as long as the profiles of their devices say, or as long as they do on this machine.

    Raises
    ------
    ExecutionError
        When it cannot be executed, or not honestly.
    """
    plan, topology, compute = prepared.bundle.plan, prepared.context.topology, prepared.context.compute
    links = how.network.check(plan, topology)
    latency_s = _simulated(prepared, None)[plan.answer_id]
    times = forecast(plan, topology, compute)
    paced_s = {step.step_id: times[step.step_id].ended_s - times[step.step_id].started_s for step in plan.computes}
    if not is_paced:
        paced_s = {}
    check_times(real_times_s(prepared.bundle), paced_s, latency_s, tolerance)

    def execute() -> Executed:
        return how.execute(prepared.bundle, prepared.context.dataset.test.inputs, links, paced_s, latency_s)

    return Measured(prepared, execute(), execute() if has_repeat else None)


def fitted_overhead_s(measured: Measured) -> float:
    """Return the time per message for which sender and receiver are busy, so that the simulation takes as long as was measured, in s.

    It is that of every device (`edgesim.domain.system.devices.HostOverhead`), found by halving intervals; 0 where the simulation takes longer
    without any.

    Parameters
    ----------
    measured : one strategy; what is predicted of others with its overhead is no fit.
    """
    mean_s, answer_id = fmean(measured.latencies_s), measured.prepared.bundle.plan.answer_id
    low_s, high_s = 0.0, mean_s
    for _ in range(N_HALVED):
        middle_s = (low_s + high_s) / 2
        if _simulated(measured.prepared, middle_s)[answer_id] < mean_s:
            low_s = middle_s
        else:
            high_s = middle_s
    return low_s


def compare(measured: Measured, tolerance: float, overhead_s: float | None = None) -> Compared:
    """Hold what was measured of a strategy against its simulation.

    Parameters
    ----------
    measured : what was.
    tolerance : of the mean latency, as a share.
    overhead_s : host overhead per message of all devices, in s; None for what the scenario says.
    """
    return _compared(measured, _simulated(measured.prepared, overhead_s), tolerance)


def _simulated(prepared: PreparedStrategy, overhead_s: float | None) -> dict[str, float]:
    """Return when each step ends after the release, in s."""
    plan, topology = prepared.bundle.plan, prepared.context.topology
    if overhead_s is not None:
        busy = tuple(
            replace(device, host_overhead=replace(device.host_overhead, per_message_s=overhead_s))
            for device in topology.devices
        )
        topology = replace(topology, devices=busy)
    traced = trace(compile_plan(plan, topology, prepared.context.compute), has_stays=True)
    if isnan(traced.records[0].latency_s):
        raise ExecutionError("its simulation without failures comes to no answer; `edgesim plan` shows its steps")
    latencies_s = {link.link_id: link.latency_s for link in topology.links}
    found: dict[str, float] = {}
    for stay in (
        traced.stays
    ):  # a message has come when the latency of its link is over, or later, when its receiver has handled it
        ended_s = stay.ended_s + latencies_s.get(stay.link_id, 0.0)
        found[stay.step_id] = max(found.get(stay.step_id, 0.0), ended_s)
    found[plan.answer_id] = traced.records[0].latency_s
    return found


def _compared(measured: Measured, simulated_s: Mapping[str, float], tolerance: float) -> Compared:
    import numpy as np

    prepared, executed = measured.prepared, measured.executed
    plan = prepared.bundle.plan
    every_s = np.array(measured.latencies_s)
    mean_s, wanted_s, noise = float(every_s.mean()), simulated_s[plan.answer_id], measured.noise
    error = (mean_s - wanted_s) / wanted_s if wanted_s > 0 else 0.0
    within: Verdict = "agrees" if abs(error) <= tolerance else "differs"
    return Compared(
        strategy=prepared.label,
        n_devices=len(plan.device_ids),
        n_requests=len(every_s),
        simulated_s=wanted_s,
        mean_s=mean_s,
        median_s=float(np.median(every_s)),
        p95_s=float(np.quantile(every_s, 0.95)),
        error=error,
        noise=noise,
        simulated_byte=sum(transfer.size_byte for transfer in plan.transfers),
        measured_byte=fmean(executed.payload_byte.values()),
        n_equal_answers=_n_equal(prepared, executed),
        n_degraded=sum(bool(missing) for missing in executed.missing.values()),
        verdict="too noisy" if noise > tolerance else within,
        steps=figures_of(plan, simulated_s, executed),
    )


def _n_equal(prepared: PreparedStrategy, executed: Executed) -> int:
    """Return how many answers are those of `predict` with what arrived."""
    import numpy as np

    answers = answers_of(executed, prepared.context.dataset.task.output.shape)
    n_samples, n_equal = len(prepared.context.dataset.test), 0
    for request, answer in zip(executed.requests, answers, strict=True):
        try:
            every = prepared.deployment.predict(Delivery(executed.missing[request.number]))
        except PlanError:
            continue
        expected = every[request.number % n_samples]
        n_equal += bool(np.abs(answer - expected).max() <= _CLOSE * np.abs(expected).max())
    return n_equal
