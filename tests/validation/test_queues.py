"""Devices and links under load against queueing theory.

Each test simulates one long run, forms 40 batches, and asks for the mean within 3 standard errors; the standard error must be
so small (1.1 % of it) that a rate that is 5 % off, which moves the mean by more than 5 %, would fail.
"""

from __future__ import annotations

from math import factorial, sqrt

import pytest

from edgesim.arrivals.poisson import Poisson
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Sharing, Topology
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.failures.stragglers import ShiftedExponential
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 2**40, 0.0, 0.0, 0.0, 0.0, "assumed")
EXPONENTIAL = {"service": ShiftedExponential(mu=1.0, shift=0.0)}


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def server(
    n: int, rate_hz: float, *, n_cores: int = 1, sharing: Sharing = "fifo", is_exponential: bool = True
) -> Trace:
    """Requests of 1 s each (in the mean) at one device."""
    device = Device("server", PROFILE, n_cores=n_cores, sharing=sharing)
    plan = Plan((Compute("serve", "server", (LayerWork("x", "conv", 1.0, 0),)),), "serve", {})
    return trace(
        compile_plan(plan, Topology((device,)), WorkIsTime()),
        slowdowns=EXPONENTIAL if is_exponential else {},
        streams=Streams(2).replication(0),
        arrivals=Poisson(rate_hz),
        n_requests=n,
        warm_up_s=500.0,
    )


def is_near(trace: Trace, expected_s: float) -> bool:
    """Whether the mean latency is what theory says; fails when the test has no power."""
    latencies = [record.latency_s for record in trace.records]
    size = len(latencies) // 40
    batches = [sum(latencies[i * size : (i + 1) * size]) / size for i in range(40)]
    mean = sum(batches) / 40
    spread = sqrt(sum((batch - mean) ** 2 for batch in batches) / 39 / 40)
    assert spread < 0.0115 * expected_s, f"no power: standard error {spread / expected_s:.3%}"
    return abs(mean - expected_s) < 3 * spread


def check_littles_law(trace: Trace, rate_hz: float) -> None:
    """L = lambda W at the device, with both sides measured apart; the arrival rate to 2 %."""
    device = trace.resources[0]
    span_s = trace.to_s - trace.from_s
    mean_s = sum(record.latency_s for record in trace.records) / len(trace.records)
    assert device.n_arrived / span_s == pytest.approx(rate_hz, rel=0.02)
    assert device.n_present == pytest.approx(device.n_arrived / span_s * mean_s, rel=0.01)


def test_m_m_1() -> None:
    """W = 1 / (mu - lambda), rho = lambda / mu; lambda = 0.5, mu = 1: 2 s.

    Source: L. Kleinrock, Queueing Systems I, Wiley, 1975, section 3.2. An error of 5 % in either rate moves W by 5 %.
    """
    result = server(120_000, 0.5)
    assert is_near(result, 2.0)
    assert result.resources[0].utilisation == pytest.approx(0.5, rel=0.02)
    check_littles_law(result, 0.5)


def test_m_m_c() -> None:
    """W = C(c, a) / (c mu - lambda) + 1 / mu with Erlang's C; c = 3, lambda = 1.8 (rho = 0.6).

    Source: Kleinrock, section 3.5: C = a^c / c! / (1 - rho) / (sum over k < c of a^k / k! + a^c / c! / (1 - rho)), a = lambda / mu.
    """
    c, a = 3, 1.8
    waiting = a**c / factorial(c) / (1 - a / c)
    erlang_c = waiting / (sum(a**k / factorial(k) for k in range(c)) + waiting)
    result = server(50_000, a, n_cores=c)
    assert is_near(result, erlang_c / (c - a) + 1)
    assert result.resources[0].utilisation == pytest.approx(a / c, rel=0.02)
    check_littles_law(result, a)


def test_m_d_1() -> None:
    """W = s + rho s / (2 (1 - rho)); s = 1, rho = 0.6: 1.75 s (Pollaczek-Khinchine without variance).

    Source: Kleinrock, section 5.6.
    """
    assert is_near(server(25_000, 0.6, is_exponential=False), 1.75)


def test_m_d_1_at_a_link() -> None:
    """The same at a link: 1 Mbit takes 1 s at 1 Mbit/s, then 0.25 s of latency that does not occupy it: 2 s."""
    plan = Plan((Transfer("t", "a", "b", 125_000, "x", "input"), Compute("end", "b", (), ("t",))), "end", {})
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (Link("a->b", "a", "b", 1e6, 0.25),))
    result = trace(
        compile_plan(plan, topology, WorkIsTime()),
        streams=Streams(2).replication(0),
        arrivals=Poisson(0.6),
        n_requests=25_000,
        warm_up_s=500.0,
    )
    assert is_near(result, 2.0)
    link = next(resource for resource in result.resources if resource.kind == "link")
    assert link.utilisation == pytest.approx(0.6, rel=0.02)
    assert link.n_waiting == pytest.approx(0.6 * 0.75, rel=0.05)


@pytest.mark.parametrize("is_exponential", [True, False])
def test_m_g_1_with_processor_sharing(*, is_exponential: bool) -> None:
    """W = s / (1 - rho) for whatever distribution of the service time; rho = 0.5: 2 s.

    Source: L. Kleinrock, Queueing Systems II, Wiley, 1976, section 4.4 (insensitivity). In order of arrival, a fixed time of
    1 s would give 1.5 s.
    """
    result = server(120_000 if is_exponential else 25_000, 0.5, sharing="fair", is_exponential=is_exponential)
    assert is_near(result, 2.0)
    assert result.resources[0].utilisation == pytest.approx(0.5, rel=0.02)
    check_littles_law(result, 0.5)


def test_m_m_1_at_a_fair_link() -> None:
    """Messages of fixed size on a fair link are M/D/1-PS: W = s / (1 - rho) = 2 s at rho = 0.5, plus 0.25 s of latency."""
    plan = Plan((Transfer("t", "a", "b", 125_000, "x", "input"), Compute("end", "b", (), ("t",))), "end", {})
    link = Link("a->b", "a", "b", 1e6, 0.25, sharing="fair")
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (link,))
    result = trace(
        compile_plan(plan, topology, WorkIsTime()),
        streams=Streams(2).replication(0),
        arrivals=Poisson(0.5),
        n_requests=25_000,
        warm_up_s=500.0,
    )
    assert is_near(result, 2.25)
    resource = next(resource for resource in result.resources if resource.kind == "link")
    assert resource.utilisation == pytest.approx(0.5, rel=0.02)
    assert resource.n_present == pytest.approx(1.0, rel=0.05)
