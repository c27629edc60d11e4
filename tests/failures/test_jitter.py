"""Messages that are delayed, by closed forms."""

from __future__ import annotations

from math import log1p, sqrt
from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.jitter import Jitter
from edgesim.failures.sampling.draw import batch_obstacle
from edgesim.network.transport import Tcp
from edgesim.rng import Streams
from edgesim.testing import check_failure_model

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
STREAMS = Streams(5)


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def topology(n: int, **options: Any) -> Topology:
    names = [f"w{number}" for number in range(n)]
    links = tuple(Link(f"{name}->hub", name, "hub", 8e6, 0.001, **options) for name in names)
    return Topology(tuple(Device(name, PROFILE) for name in ("hub", *names)), links)


def star(n: int, **options: Any) -> Program:
    """n workers each send 1,000 byte (1 ms, and 1 ms of latency) to the hub, which answers when all are there."""
    steps = [Transfer(f"t{number}", f"w{number}", "hub", 1000, "x", "result") for number in range(n)]
    plan = Plan((*steps, Compute("end", "hub", (), tuple(step.step_id for step in steps))), "end", {})
    return compile_plan(plan, topology(n, **options), NoTime())


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("sharing", ["fifo", "fair", "fifo_packets"])
def test_the_last_of_n_messages_is_late_by_a_harmonic_number(n: int, sharing: str) -> None:
    """2 ms + mean x H_n, within three standard errors; the variance is mean^2 x (1 + 1/4 + ... + 1/n^2)."""
    program, n_trials, mean_s = star(n, sharing=sharing), 1500, 0.01
    losses = {"jitter": Jitter(mean_s)}
    total_s = 0.0
    for number in range(n_trials):
        [record] = simulate(program, losses=losses, streams=STREAMS.replication(number), is_checked=True)
        total_s += record.latency_s
    error_s = mean_s * sqrt(sum(1 / k**2 for k in range(1, n + 1)) / n_trials)
    assert total_s / n_trials == pytest.approx(0.002 + mean_s * sum(1 / k for k in range(1, n + 1)), abs=3 * error_s)


def test_each_link_draws_from_its_own_stream_and_other_models_draw_as_ever() -> None:
    """The delay is that of the stream of the link; a message that is lost beside it is lost as without jitter."""
    uniform = STREAMS.replication(0).scope("jitter")("link/w0->hub").uniform()
    [record] = simulate(star(1), losses={"jitter": Jitter(0.01)}, streams=STREAMS.replication(0))
    assert record.latency_s == pytest.approx(0.002 - 0.01 * log1p(-uniform), rel=1e-12)
    outcomes = [
        [simulate(star(1), losses=losses, streams=STREAMS.replication(number))[0].outcome for number in range(40)]
        for losses in ({"loss": Bernoulli(0.4)}, {"loss": Bernoulli(0.4), "jitter": Jitter(0.01)})
    ]
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {"completed", "failed"}


def test_only_links_that_are_chosen_are_delayed() -> None:
    [record] = simulate(star(1), losses={"jitter": Jitter(0.01, "hub->*")}, streams=STREAMS.replication(0))
    assert record.latency_s == 0.002


def test_bursts_of_tcp_are_delayed_too() -> None:
    program = star(1, transport=Tcp(initial_window=1, handshake=False), mtu_byte=500)
    plain = simulate(program)[0].latency_s
    [record] = simulate(program, losses={"jitter": Jitter(0.01)}, streams=STREAMS.replication(0))
    assert record.latency_s > plain


def test_arrays_say_that_they_cannot() -> None:
    assert batch_obstacle({"jitter": Jitter(0.01)}, topology(1)) == "failure model 'jitter' has no array form"


def test_it_is_a_failure_model_like_others() -> None:
    check_failure_model(Jitter(0.01), topology(2))
