"""What is left of a message that lost packets, read by a method that can use half a message."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.domain.system.transport import LinkTransport
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.network.transport import Arq
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
FEATURES = np.arange(1.0, 11.0)
"""What a device sends: ten features, one per packet of 1,000 byte. The hub adds them up."""


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


PLAN = Plan(
    (
        Compute("c", "w1", (LayerWork("x", "conv", 0.010, 0),)),
        Transfer("t", "w1", "hub", 10_000, "ten features", "result", ("c",)),
        Compute("end", "hub", (), ("t",), on_missing="degrade", deadline_s=0.100),
    ),
    "end",
    {},
)


def request(transport: LinkTransport | None = None, outages: tuple[Outage, ...] = (), p: float = 0.0) -> RequestRecord:
    """Simulate one request: 10 ms of computing, then 10 packets of 0.8 ms each, over 5 ms."""
    link = Link("w1->hub", "w1", "hub", 1e7, 0.005, mtu_byte=1_000, transport=transport)
    topology = Topology((Device("hub", PROFILE), Device("w1", PROFILE)), (link,))
    program = compile_plan(PLAN, topology, WorkIsTime())
    losses = {"p": PacketBernoulli(p)}
    [record] = simulate(program, outages=outages, losses=losses, streams=Streams(1).replication(0), is_checked=True)
    return record


def concealed(record: RequestRecord) -> NDArray[np.float64]:
    """The method: features of packets that came are used, the others are zeros. Here the first packets are those that came."""
    shares = dict(record.partial)
    came: list[float] = []
    for index, transfer in enumerate(PLAN.transfers):
        is_lost = record.lost >> index & 1
        share = shares.get(index, 0.0) if is_lost else 1.0
        n_packets = -(-transfer.size_byte // 1_000)
        came.append(round(share * n_packets))
    [n_came] = came
    return np.where(np.arange(10) < n_came, FEATURES, 0.0)


def test_method_uses_the_packets_that_came() -> None:
    """The link fails when four packets, 3.2 ms, are out: 1 + 2 + 3 + 4, where a whole message gives 55 and a lost one 0."""
    assert concealed(request()).sum() == 55
    assert concealed(request(outages=(Outage("w1"),))).sum() == 0
    record = request(outages=(Outage("w1->hub", 0.0132),))
    assert record.outcome == "degraded"
    assert record.partial == ((0, 0.4),)
    assert concealed(record).sum() == 10
    assert record.result_byte == 4_000


def test_share_counts_the_packets_that_random_losses_left() -> None:
    """Whole tenths; with retransmissions the message is whole, so that nothing is partial."""
    record = request(p=0.5)
    [(index, share)] = record.partial
    assert index == 0
    assert share * 10 == pytest.approx(round(share * 10))
    assert 0 < share < 1
    assert record.lost == 1
    whole = request(Arq(retries=50), p=0.5)
    assert (whole.partial, whole.lost) == ((), 0)
    assert whole.n_retransmitted > 0


def test_what_comes_after_the_deadline_is_no_part() -> None:
    """The message is on the way for 5 s too long: what came of it is late, and late is lost."""
    late = Link("w1->hub", "w1", "hub", 1e7, 5.0, mtu_byte=1_000)
    program = compile_plan(PLAN, Topology((Device("hub", PROFILE), Device("w1", PROFILE)), (late,)), WorkIsTime())
    [record] = simulate(program, outages=[Outage("w1->hub", 0.0132)], is_checked=True)
    assert (record.outcome, record.partial, record.lost) == ("degraded", (), 1)
