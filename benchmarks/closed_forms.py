"""Closed forms that the engine must meet: each with its formula, what was simulated, and what a rate 5 % off would give.

The cases are tests (`tests/validation/test_closed_forms.py`), and a table of docs/validation.md (`benchmarks/validation.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb, exp, sqrt
from typing import Any

from edgesim.arrivals.closed_loop import ClosedLoop
from edgesim.arrivals.poisson import Poisson
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import RequestRecord
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.arrays.losses import DrawnLosses
from edgesim.engine.arrays.program import array_program
from edgesim.engine.arrays.results import ArrayTrials
from edgesim.engine.arrays.trials import simulate_batch
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.failures.gilbert_elliott import GilbertElliott
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.stragglers import ShiftedExponential
from edgesim.network.transport import Arq
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 2**40, 0.0, 0.0, 0.0, 0.0, "assumed")
EXPONENTIAL = {"service": ShiftedExponential(mu=1.0, shift=0.0)}
N_BATCHES = 40
OFF = 1.05


@dataclass(frozen=True, slots=True)
class Found:
    """What was simulated, beside what theory says.

    Parameters
    ----------
    name, formula : what it is.
    values : independent values whose expectation is compared: of trials, or means of batches of one long trial.
    expected : by the formula.
    expected_off : by the formula with one rate 5 % off.
    """

    name: str
    formula: str
    values: Sequence[float]
    expected: float
    expected_off: float

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return sum(self.values) / len(self.values)

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        n = len(self.values)
        return sqrt(sum((value - self.mean) ** 2 for value in self.values) / (n - 1) / n)

    def is_met(self) -> bool:
        """Return whether the mean is within three standard errors of the formula, and further from that with the wrong rate."""
        return abs(self.mean - self.expected) < 3 * self.error < abs(self.mean - self.expected_off)


class WorkIsTime:
    """One FLOP takes one second."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:  # noqa: ARG002 - the seam's form
        """Return the time of a step."""
        return sum(work.work_flop for work in step.work)


def _work(seconds: float) -> tuple[LayerWork, ...]:
    return (LayerWork("x", "conv", seconds, 0),)


def _ready(steps: Sequence[Compute | Transfer], **link: Any) -> Program:
    """Return a plan on its devices, with a link for each pair that a message goes between; empty messages take no time."""
    plan = Plan(tuple(steps), steps[-1].step_id, {})
    ends = sorted({(one.src_id, one.dst_id) for one in plan.transfers})
    options = {"bandwidth_bit_per_s": 1e6, **link}
    links = tuple(Link(f"{src}->{dst}", src, dst, **options) for src, dst in ends)
    return compile_plan(plan, Topology(tuple(Device(name, PROFILE) for name in plan.device_ids), links), WorkIsTime())


def _trials(
    program: Program, losses: dict[str, Any], slowdowns: dict[str, Any], n: int, part: int = 4_000
) -> Iterator[ArrayTrials]:
    """Yield trials of one request each, by the array engine, which the tests compare with the event engine."""
    ready, streams = array_program(program), Streams(5)
    for start in range(0, n, part):
        batch = streams.batch(start, start + part)
        drawn = DrawnLosses(losses, batch) if losses else None
        found = simulate_batch(ready, part, down={}, losses=drawn, slowdowns=slowdowns, streams=batch)
        if not found.is_valid.all():
            raise SystemExit("trials were left to the event engine")
        yield found


def _long(program: Program, n: int, **options: Any) -> tuple[RequestRecord, ...]:
    """Return the requests of one long trial, without the first 500 s."""
    options = {"slowdowns": EXPONENTIAL, "n_requests": n, "warm_up_s": 500.0, **options}
    return trace(program, streams=Streams(5).replication(0), **options).records


def _batches(values: Sequence[float]) -> list[float]:
    size = len(values) // N_BATCHES
    return [sum(values[index * size : (index + 1) * size]) / size for index in range(N_BATCHES)]


def fork_join(n: int = 40_000) -> Found:
    """Two exponential servers that each get a task of every request, which ends with the later one.

    L. Flatto, S. Hahn, Two parallel queues created by arrivals with two demands I, SIAM J. Appl. Math. 44(5), 1984; the mean in
    R. Nelson, A. Tantawi, IEEE Trans. Computers 37(6), 1988, equation 4.
    """

    def formula(rate_hz: float) -> float:
        return (12 - rate_hz) / 8 / (1 - rate_hz)  # mu = 1, so rho = lambda

    steps: list[Compute | Transfer] = [Compute("a", "a", _work(1.0)), Compute("b", "b", _work(1.0))]
    steps += [Transfer(f"from {name}", name, "hub", 0, "x", "result", (name,)) for name in "ab"]
    program = _ready([*steps, Compute("join", "hub", (), ("from a", "from b"))])
    records = _long(program, n, arrivals=Poisson(0.3))
    values = _batches([record.latency_s for record in records])
    name = "fork-join of two M/M/1 (Flatto and Hahn), latency"
    return Found(name, "(12 - rho) / 8 / (mu - lambda)", values, formula(0.3), OFF * formula(0.3 * OFF))


def mean_value_analysis(service_s: Sequence[float], clients: int, think_s: float) -> float:
    """Return the mean latency of clients that go through exponential servers one after another and then think.

    M. Reiser, S. S. Lavenberg, Mean-Value Analysis of Closed Multichain Queuing Networks, J. ACM 27(2), 1980.
    """
    present = [0.0] * len(service_s)
    total_s = 0.0
    for n in range(1, clients + 1):
        stays_s = [time_s * (1 + waiting) for time_s, waiting in zip(service_s, present, strict=True)]
        total_s = sum(stays_s)
        present = [n / (think_s + total_s) * stay_s for stay_s in stays_s]
    return total_s


def closed_network(n: int = 30_000) -> Found:
    """Five clients, two servers of 1 and 0.6 s in the mean, 2 s of thinking."""
    program = _ready(
        [
            Compute("first", "a", _work(1.0)),
            Transfer("on", "a", "b", 0, "x", "intermediate", ("first",)),
            Compute("second", "b", _work(0.6), ("on",)),
        ]
    )
    records = _long(program, n, arrivals=ClosedLoop(clients=5, think_time_s=2.0))
    expected = [mean_value_analysis((factor, 0.6), 5, 2.0) for factor in (1.0, OFF)]
    values = _batches([record.latency_s for record in records])
    return Found(
        "closed network of two servers, latency", "R = s (1 + Q(n - 1)), mean value analysis", values, *expected
    )


@cache
def _loss_system(n: int) -> tuple[RequestRecord, ...]:
    """M/M/1/3 at 0.8 requests per service time."""
    return _long(_ready([Compute("serve", "server", _work(1.0))]), n, arrivals=Poisson(0.8), admission_limit=3)


def _blocking(rho: float) -> float:
    return (1 - rho) * rho**3 / (1 - rho**4)


def _stay(rho: float) -> float:
    """Return the mean stay of the admitted: L / (lambda (1 - P_3))."""
    present = sum(k * rho**k for k in range(4)) * (1 - rho) / (1 - rho**4)
    return present / (rho * (1 - _blocking(rho)))


def blocked(n: int = 50_000) -> Found:
    """Share of the requests that find three in the system. L. Kleinrock, Queueing Systems I, 1975, section 3.6."""
    values = _batches([float(record.outcome == "rejected") for record in _loss_system(n)])
    formula = "(1 - rho) rho^K / (1 - rho^(K + 1))"
    return Found("M/M/1/K, share rejected", formula, values, _blocking(0.8), _blocking(0.8 * OFF))


def admitted(n: int = 50_000) -> Found:
    """Mean stay of the others, with a service 5 % longer as the wrong rate."""
    values = _batches([record.latency_s for record in _loss_system(n) if record.outcome == "completed"])
    return Found("M/M/1/K, latency", "L / (lambda (1 - P_K))", values, _stay(0.8), OFF * _stay(0.8 * OFF))


def bursty_loss(n: int = 16_000) -> Found:
    """A message of m packets is whole with pi D (P D)^(m - 1) 1, D the probabilities that a packet comes in each state."""
    n_packets, to_bad, to_good, bad, good = 20, 0.03, 0.3, 0.9, 0.02

    def formula(scale: float = 1.0) -> float:
        turns, kept = to_bad * scale, (1 - good * scale, 1 - bad)
        state = [to_good / (turns + to_good) * kept[0], turns / (turns + to_good) * kept[1]]
        for _ in range(n_packets - 1):
            moved = (state[0] * (1 - turns) + state[1] * to_good, state[0] * turns + state[1] * (1 - to_good))
            state = [moved[0] * kept[0], moved[1] * kept[1]]
        return sum(state)

    steps = [
        Compute("a", "a"),
        Transfer("t", "a", "b", n_packets * 1000, "x", "input", ("a",)),
        Compute("b", "b", (), ("t",)),
    ]
    model = GilbertElliott(to_bad, to_good, bad, good)
    program, streams = _ready(steps, mtu_byte=1000), Streams(5)
    values = [
        float(simulate(program, losses={"loss": model}, streams=streams.replication(number))[0].lost == 0)
        for number in range(n)
    ]
    return Found(
        "message under Gilbert-Elliott, share whole",
        "pi D (P D)^(m - 1) 1",
        values,
        formula(),
        formula(OFF),
    )


def arq_latency() -> Found:
    """Ten packets of 8 ms, p = 0.3: after each attempt, of j missing packets i are missing with C(j, i) p^i (1 - p)^(j - i).

    So a message with j missing packets still takes T(j) = j s + sum_i P(j -> i) [i > 0] (timeout + T(i)), and the latency d.
    """
    n_packets, packet_s, timeout_s, latency_s = 10, 0.008, 0.02, 0.005

    def formula(loss: float) -> float:
        takes = [0.0]
        for j in range(1, n_packets + 1):
            go_on = [comb(j, i) * loss**i * (1 - loss) ** (j - i) for i in range(j + 1)]
            rest = sum(go_on[i] * (timeout_s + takes[i]) for i in range(1, j))
            takes.append((j * packet_s + rest + go_on[j] * timeout_s) / (1 - go_on[j]))
        return latency_s + takes[n_packets]

    steps = [
        Compute("a", "a"),
        Transfer("t", "a", "b", n_packets * 1000, "x", "input", ("a",)),
        Compute("b", "b", (), ("t",)),
    ]
    program = _ready(steps, latency_s=latency_s, mtu_byte=1000, transport=Arq(retries=60, timeout_s=timeout_s))
    trials = _trials(program, {"loss": PacketBernoulli(0.3)}, {}, 4_000)
    values = [time_s for found in trials for time_s in found.latency_s.tolist()]
    return Found(
        "ARQ, latency of ten packets", "Markov chain of the missing packets", values, formula(0.3), formula(0.3 * OFF)
    )


def late_stragglers() -> Found:
    """Four workers that begin when the hub is ready, all exponential; the sink takes what is there 1.2 s after the release.

    Given when the hub is ready, the number in time is binomial: P(K >= 3) = integral of f(h) sum_k C(4, k) F(D - h)^k (1 - F(D - h))^(4 - k).
    """
    deadline_s, n_workers, n_cells = 1.2, 4, 4000

    def formula(worker_hz: float, hub_hz: float = 2.0) -> float:
        total, width_s = 0.0, deadline_s / n_cells
        for cell in range(n_cells):
            h = (cell + 0.5) * width_s
            there = 1 - exp(-worker_hz * (deadline_s - h))
            at_least = sum(comb(n_workers, k) * there**k * (1 - there) ** (n_workers - k) for k in (3, 4))
            total += hub_hz * exp(-hub_hz * h) * width_s * at_least
        return total

    steps: list[Compute | Transfer] = [Compute("begin", "hub", _work(0.5))]
    for i in range(n_workers):
        steps += [
            Transfer(f"to {i}", "hub", f"w{i}", 0, "x", "input", ("begin",)),
            Compute(f"run {i}", f"w{i}", _work(1.0), (f"to {i}",)),
            Transfer(f"from {i}", f"w{i}", "sink", 0, "y", "result", (f"run {i}",)),
        ]
    inputs = tuple(f"from {i}" for i in range(n_workers))
    steps.append(Compute("merge", "sink", (), inputs, on_missing="degrade", deadline_s=deadline_s))
    program = _ready(steps)
    results = [index for index, transfer in enumerate(program.plan.transfers) if transfer.kind == "result"]
    trials = _trials(program, {}, EXPONENTIAL, 16_000)
    values = [float(n_lost <= 1) for found in trials for n_lost in found.is_lost[results].sum(axis=0).tolist()]
    return Found(
        "deadline under exponential stragglers, three of four in time", "integral f(h) P(Bin(4, F(D - h)) >= 3) dh", values,
        formula(1.0), formula(1.0 / OFF),
    )  # fmt: skip


FORMS: tuple[Callable[[], Found], ...] = (
    fork_join, closed_network, blocked, admitted, bursty_loss, arq_latency, late_stragglers,
)  # fmt: skip
"""All of them."""


def table(found: Sequence[Found]) -> str:
    """Return the table of the documentation."""
    lines = [
        "| what | formula | expected | simulated | standard error | with a rate 5 % off |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {one.formula} | {one.expected:.4g} | {one.mean:.4g} | {one.error / one.mean:.2%} | {one.expected_off:.4g} |"
        for one in found
    ]
    return "\n".join(lines) + "\n"
