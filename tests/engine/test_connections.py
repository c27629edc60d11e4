"""Connections that outlive a message, by hand: packets of 1 ms, a round trip of 100 ms, a first window of 1."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.network.transport import Tcp
from edgesim.rng import Streams
from edgesim.scenario.scenario import Scenario

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def over(n_packets: int, *, is_answered: bool = False, tcp: Tcp | None = None, **options: Any) -> Program:
    """a sends so many packets to b, which may answer with one."""
    steps: list[Compute | Transfer] = [
        Transfer("t", "a", "b", 1000 * n_packets, "x", "input"), Compute("work", "b", (), ("t",)),
        Transfer("back", "b", "a", 1000, "x", "result", ("work",)), Compute("end", "a", (), ("back",)),
    ]  # fmt: skip
    tcp = tcp or Tcp(initial_window=1, persistent=True)
    links = [Link(f"{a}->{b}", a, b, 8e6, 0.05, mtu_byte=1000, transport=tcp, **options) for a, b in ("ab", "ba")]
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), tuple(links))
    plan = Plan(tuple(steps), "end", {}) if is_answered else Plan(tuple(steps[:2]), "work", {})
    return compile_plan(plan, topology, NoTime())


def latencies_s(program: Program, releases_s: list[float], **options: Any) -> list[float]:
    return [record.latency_s for record in simulate(program, releases_s=releases_s, is_checked=True, **options)]


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_the_window_lives_on(sharing: str) -> None:
    """Handshake until 100 ms, windows of 1, 2 and 4 at 100, 201 and 302 ms: 306 + 50. At 400 ms it is 8: 7 + 50."""
    assert latencies_s(over(7, sharing=sharing), [0.0, 0.4]) == pytest.approx([0.356, 0.057])


def test_a_window_that_was_not_full_grows_by_what_was_acknowledged() -> None:
    """Three packets, windows of 1 and 2, until 203 ms: the next has 4 at once."""
    assert latencies_s(over(3), [0.0, 0.4]) == pytest.approx([0.253, 0.053])
    assert latencies_s(over(2), [0.0, 0.4, 0.5]) == pytest.approx([0.252, 0.052, 0.052])


def test_after_a_timeout_without_a_message_the_window_is_the_initial_one() -> None:
    """No handshake at 1 s, but windows of 1, 2 and 4: 256 ms."""
    assert latencies_s(over(7), [0.0, 1.0]) == pytest.approx([0.356, 0.256])


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_messages_at_once_go_one_after_another(sharing: str) -> None:
    """The second begins when the first has left, at 101 ms, without a handshake."""
    assert latencies_s(over(1, sharing=sharing), [0.0, 0.0]) == pytest.approx([0.151, 0.152])


def test_both_directions_are_opened_once() -> None:
    """There in 100 + 51 ms, back in 51; the next 51 + 51."""
    assert latencies_s(over(1, is_answered=True), [0.0, 0.3]) == pytest.approx([0.202, 0.102])


def test_without_it_every_message_opens_a_connection() -> None:
    assert latencies_s(over(1, tcp=Tcp(initial_window=1)), [0.0, 0.3]) == pytest.approx([0.151, 0.151])


def test_an_outage_breaks_the_connection_and_the_next_message_opens_another() -> None:
    """Down from 201.5 to 203 ms, in the second window: the message that waits begins when that is noticed, the one of 1 s has no handshake."""
    found = simulate(over(3), releases_s=[0.0, 0.1, 1.0], outages=[Outage("a->b", 0.2015, 0.203)], is_checked=True)
    assert [record.outcome for record in found] == ["failed", "completed", "completed"]
    began_s = 0.2015
    assert found[1].latency_s == pytest.approx(began_s + 0.253 - 0.1)
    assert found[2].latency_s == pytest.approx(0.001 + 0.1 + 0.002 + 0.05)


def test_one_that_is_given_up_lets_the_next_begin() -> None:
    """Everything is lost, and nothing is repeated: each message opens a connection, and nothing hangs."""
    program = over(2, tcp=Tcp(retries=0, persistent=True))
    losses = {"loss": PacketBernoulli(1.0)}
    found = simulate(
        program, releases_s=[0.0, 0.0, 0.0], losses=losses, streams=Streams(1).replication(0), is_checked=True
    )
    assert [record.outcome for record in found] == ["failed"] * 3


TEXT = """
name: s
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, transport: {type: tcp, persistent: true}}}
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: w*}}
"""


def test_a_scenario_has_connections_that_live_on() -> None:
    scenario = Scenario.from_text(TEXT)
    assert {link.transport for link in scenario.built.links} == {Tcp(persistent=True)}
    assert Scenario.from_data(scenario.resolved()) == scenario
