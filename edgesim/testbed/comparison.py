"""What was measured beside what was simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from edgesim.compute.forecast import forecast
from edgesim.domain.delivery import Delivery
from edgesim.domain.system.topology import HostOverhead
from edgesim.errors import ExecutionError, PlanError
from edgesim.processes import n_cpus
from edgesim.testbed.course.simulated import check_failures, simulated
from edgesim.testbed.limits import check_cores, check_datagrams, check_times, real_times_s
from edgesim.testbed.outcome.cores import sharing_s, spans_of
from edgesim.testbed.outcome.steps import StepFigures, figures_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.system.links import Link
    from edgesim.testbed.course.simulated import Simulated
    from edgesim.testbed.loopback import Executed, Loopback
    from edgesim.testbed.prepared import PreparedStrategy

Verdict = Literal["agrees", "differs", "too noisy", "too few cores"]
N_HALVED = 30
TINY_S = 1e-4
"""Computations that are simulated as shorter than this say how long one takes at least: the rest is what their program costs."""
_CLOSE = 1e-4


@dataclass(frozen=True, slots=True)
class Compared:
    """A strategy, simulated and executed.

    Parameters
    ----------
    strategy : its label.
    n_devices, n_requests : how many executed it, and how often.
    simulated_s, simulated_p95_s : latency of the requests that are answered in the simulation: mean, and 95th percentile.
    mean_s, median_s, p95_s : measured latency of those that were.
    error : (mean_s - simulated_s) / simulated_s.
    noise : how much the mean of the repeat differs, as a share; without a repeat, the difference between the means of the first and the
        second half of the requests.
    simulated_byte, measured_byte : payload of the messages of a request that come in time, in the mean.
    n_equal_answers : requests with the answer that `predict` gives with what arrived, to 1e-4 of the largest number, or with none where it gives none.
    n_equal_sets : requests of which exactly those messages came in time that do in the simulation.
    n_degraded : requests of which a message was too late.
    sharing_s : by how much sharing the cores of this machine makes a request longer, computed from the simulation and not measured, see `edgesim.testbed.outcome.cores`; 0 on
        machines of their own.
    verdict : whether the error is within the tolerance; nothing is said where the noise, or what sharing the cores adds, is beyond it.
    clock_error_s : how far times of messages may be off because devices have clocks of their own, in s; latencies are not where a request
        begins and is answered on the same device.
    n_real_time : devices whose nodes the scheduler preferred to all other programs, as members of its real-time class.
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
    simulated_p95_s: float
    simulated_byte: float
    measured_byte: float
    n_equal_answers: int
    n_equal_sets: int
    n_degraded: int
    sharing_s: float
    verdict: Verdict
    clock_error_s: float
    n_real_time: int
    steps: tuple[StepFigures, ...]

    @property
    def is_right(self) -> bool:
        """Whether latency, bytes and answers are as simulated."""
        return (
            self.verdict == "agrees"
            and self.measured_byte == self.simulated_byte
            and self.n_equal_answers == self.n_equal_sets == self.n_requests
        )


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A strategy, what was measured of it, what was when it was done again, and how long each of its computations takes on this machine alone, in s."""

    prepared: PreparedStrategy
    executed: Executed
    repeat: Executed | None = None
    real_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def latencies_s(self) -> list[float]:
        """Of the requests that were answered, in order, in s."""
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
    """Return the latencies of the requests that were answered, in order, in s."""
    return [one.answered_s - one.released_s for one in executed.requests if one.values]


def check(prepared: PreparedStrategy, how: Loopback) -> Mapping[str, tuple[Link, ...]]:
    """Return the links of the way of each transfer of a strategy, before anything is executed.

    Raises
    ------
    ExecutionError
        When its network or its failures cannot be brought about.
    """
    plan, topology = prepared.bundle.plan, prepared.context.topology
    try:
        ways = how.network.check(plan, topology)
        check_datagrams(plan, ways)
        check_failures(plan, topology, prepared.failures, has_recovery=prepared.has_recovery)
    except ExecutionError as error:
        raise ExecutionError(f"strategy {prepared.label!r}: {error}") from error
    return ways


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
    ways = check(prepared, how)
    real_s = check_machine(prepared, how, tolerance, is_paced=is_paced)
    courses = simulated_of(prepared, how.n_requests)
    paced_s = _paced_s(prepared) if is_paced else {}

    def execute() -> Executed:
        executed = how.execute(prepared.bundle, prepared.context.dataset.test.inputs, ways, paced_s, courses)
        if not latencies_s(executed):
            raise ExecutionError("no request was answered, though some are in the simulation")
        return executed

    return Measured(prepared, execute(), execute() if has_repeat else None, real_s)


def check_machine(
    prepared: PreparedStrategy, how: Loopback, tolerance: float, *, is_paced: bool
) -> Mapping[str, float]:
    """Return how long each computation of a strategy takes on this machine, before anything is executed, in s; empty where devices have machines of their own.

    Parameters
    ----------
    prepared, how, tolerance, is_paced : as of `measure`.

    Raises
    ------
    ExecutionError
        When this machine is too slow, or has too few cores.
    """
    if not how.network.is_here:
        return {}
    latency_s = min(one.latency_s for one in simulated_of(prepared, how.n_requests) if one.is_answered)
    real_s = real_times_s(prepared.bundle)
    try:
        check_times(real_s, _paced_s(prepared) if is_paced else {}, latency_s, tolerance)
        check_cores(shared_s(prepared, real_s), latency_s, tolerance)
    except ExecutionError as error:
        raise ExecutionError(f"strategy {prepared.label!r}: {error}") from error
    return real_s


def _paced_s(prepared: PreparedStrategy) -> dict[str, float]:
    """Return how long each computation takes by the profile of its device, in s."""
    plan, context = prepared.bundle.plan, prepared.context
    times = forecast(plan, context.topology, context.compute)
    return {step.step_id: times[step.step_id].ended_s - times[step.step_id].started_s for step in plan.computes}


def shared_s(
    prepared: PreparedStrategy,
    real_s: Mapping[str, float],
    overhead: HostOverhead | None = None,
    n_cores: int | None = None,
) -> float:
    """Return by how much sharing the cores of a machine makes a request longer in which nothing fails, in s.

    Parameters
    ----------
    prepared : the strategy.
    real_s : how long each computation takes on this machine; empty: they take machines of their own.
    overhead : of all devices; None for what the scenario says.
    n_cores : of the machine; None for those of this one.
    """
    if not real_s:
        return 0.0
    plan, context = prepared.bundle.plan, prepared.context
    (course,) = simulated(plan, context, {}, 1, overhead=overhead)
    least_s = {
        step.step_id: (overhead or context.topology.device_of[step.device_id].host_overhead).least_computation_s
        for step in plan.computes
    }
    busy_s = {name: max(time_s, least_s[name]) for name, time_s in real_s.items()}
    return sharing_s(spans_of(plan, course.stays, busy_s), n_cores or n_cpus())


def least_computation_s(measured: Measured) -> float:
    """Return how long a computation takes at least, in s: the mean of those that the simulation says take less than `TINY_S`; 0 without any.

    Parameters
    ----------
    measured : one strategy.
    """
    prepared, executed = measured.prepared, measured.executed
    courses = simulated_of(prepared, len(executed.requests), HostOverhead())
    figures = figures_of(prepared.bundle.plan, [course.ended_s for course in courses], executed)
    return fmean([one.mean_s for one in figures if one.kind == "compute" and one.simulated_s < TINY_S] or [0.0])


def fitted_overhead(measured: Measured, least_s: float) -> HostOverhead:
    """Return the overhead of all devices with which the simulation takes as long as was measured.

    The time per message, for which sender and receiver are busy, is found by halving intervals; it is 0 where the simulation takes longer without any.

    Parameters
    ----------
    measured : one strategy; what is predicted of others with its overhead is no fit.
    least_s : how long a computation takes at least, in s; see `least_computation_s`.
    """
    mean_s, n_requests = fmean(measured.latencies_s), len(measured.executed.requests)
    low_s, high_s = 0.0, mean_s
    for _ in range(N_HALVED):
        middle_s = (low_s + high_s) / 2
        tried = HostOverhead(middle_s, least_computation_s=least_s)
        if _mean_s(simulated_of(measured.prepared, n_requests, tried)) < mean_s:
            low_s = middle_s
        else:
            high_s = middle_s
    return HostOverhead(low_s, least_computation_s=least_s)


def compare(measured: Measured, tolerance: float, overhead: HostOverhead | None = None) -> Compared:
    """Hold what was measured of a strategy against its simulation.

    Parameters
    ----------
    measured : what was.
    tolerance : of the mean latency, as a share.
    overhead : of all devices; None for what the scenario says.
    """
    courses = simulated_of(measured.prepared, len(measured.executed.requests), overhead)
    return _compared(measured, courses, tolerance, shared_s(measured.prepared, measured.real_s, overhead))


def simulated_of(prepared: PreparedStrategy, n_requests: int, overhead: HostOverhead | None = None) -> list[Simulated]:
    """Return what becomes of each request in the simulation.

    Parameters
    ----------
    prepared : the strategy, and what fails.
    n_requests : how many.
    overhead : of all devices; None for what the scenario says.

    Raises
    ------
    ExecutionError
        When none is answered.
    """
    plan, context = prepared.bundle.plan, prepared.context
    found = simulated(plan, context, prepared.failures, n_requests, overhead=overhead)
    if not any(one.is_answered for one in found):
        raise ExecutionError("its simulation comes to no answer; `edgesim plan` shows its steps")
    return found


def _mean_s(courses: Sequence[Simulated]) -> float:
    """Return the mean latency of those that are answered, in s."""
    return fmean(one.latency_s for one in courses if one.is_answered)


def _compared(measured: Measured, courses: Sequence[Simulated], tolerance: float, sharing: float) -> Compared:
    import numpy as np

    prepared, executed = measured.prepared, measured.executed
    plan = prepared.bundle.plan
    every_s = np.array(measured.latencies_s)
    mean_s, wanted_s, noise = float(every_s.mean()), _mean_s(courses), measured.noise
    error = (mean_s - wanted_s) / wanted_s if wanted_s > 0 else 0.0
    verdict: Verdict = "agrees" if abs(error) <= tolerance else "differs"
    if sharing > tolerance * wanted_s:
        verdict = "too few cores"
    if noise > tolerance:
        verdict = "too noisy"
    return Compared(
        strategy=prepared.label,
        n_devices=len(plan.device_ids),
        n_requests=len(executed.requests),
        simulated_s=wanted_s,
        mean_s=mean_s,
        median_s=float(np.median(every_s)),
        p95_s=float(np.quantile(every_s, 0.95)),
        error=error,
        noise=noise,
        simulated_p95_s=float(np.quantile([one.latency_s for one in courses if one.is_answered], 0.95)),
        simulated_byte=fmean(
            sum(transfer.size_byte for transfer in plan.transfers if transfer.step_id not in one.lost)
            for one in courses
        ),
        measured_byte=fmean(executed.payload_byte.values()),
        n_equal_answers=_n_equal(prepared, executed),
        n_equal_sets=_n_equal_sets(measured, courses),
        n_degraded=sum(bool(missing) for missing in executed.missing.values()),
        sharing_s=sharing,
        verdict=verdict,
        clock_error_s=executed.clock_error_s,
        n_real_time=executed.n_real_time,
        steps=figures_of(plan, [course.ended_s for course in courses], executed),
    )


def _n_equal_sets(measured: Measured, courses: Sequence[Simulated]) -> int:
    """Return of how many requests the same messages came in time as in the simulation."""
    every, executed = measured.prepared.bundle.plan.transfer_ids, measured.executed
    return sum(
        executed.came[request.number] == every - course.lost and bool(request.values) == course.is_answered
        for request, course in zip(executed.requests, courses, strict=True)
    )


def _n_equal(prepared: PreparedStrategy, executed: Executed) -> int:
    """Return how many answers are those of `predict` with what arrived."""
    import numpy as np

    shape, every = prepared.context.dataset.task.output.shape, prepared.bundle.plan.transfer_ids
    n_queries = prepared.bundle.n_queries
    n_asked, n_equal = len(prepared.context.dataset.test) // n_queries, 0
    known: dict[frozenset[str], NDArray[np.float32] | None] = {}
    for request in executed.requests:
        # of alternatives that came, those that were not waited for did not count
        lost = every - executed.came[request.number] | every & executed.missing[request.number]
        if lost not in known:
            known[lost] = _predicted(prepared, lost)
        predicted = known[lost]
        if predicted is None or not request.values:
            n_equal += not request.values
            continue
        first = request.number % n_asked * n_queries
        expected = predicted[first : first + n_queries]
        answer = np.array(request.values, np.float32).reshape(n_queries, *shape)
        close = _CLOSE * np.abs(np.nan_to_num(expected)).max()
        n_equal += bool(np.allclose(answer, expected, rtol=0.0, atol=close, equal_nan=True))
    return n_equal


def _predicted(prepared: PreparedStrategy, lost: frozenset[str]) -> NDArray[np.float32] | None:
    try:
        return prepared.deployment.predict(Delivery(lost))
    except PlanError:
        return None
