"""Messages on fair links: what they have sent when a trial ends, and when they are interrupted again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import nextafter
from typing import Any

import pytest

from edgesim.arrivals.periodic import Periodic
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage, Trace
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.network.transport import Arq, Tcp
from edgesim.rng import Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 10**9, 0.0, 0.0, 2.0, 1.5, "assumed")
"""Only sending (2 W) and receiving (1.5 W) take power."""


class NoTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return 0.0


def run(*outages: Outage, n: int = 1, on_outage: Any = "resume", **options: Any) -> Trace:
    """a sends 1,250 byte over 1 Mbit/s to b, which take 10 ms alone; n requests at the same moment."""
    steps = (
        Compute("begin", "a"), Transfer("t", "a", "b", 1250, "x", "result", ("begin",)), Compute("end", "b", (), ("t",))
    )  # fmt: skip
    link = Link("a->b", "a", "b", 1e6, 0.0, sharing="fair", on_outage=on_outage)
    topology = Topology((Device("a", PROFILE), Device("b", PROFILE)), (link,))
    program = compile_plan(Plan(steps, "end", {}), topology, NoTime())
    options = {"arrivals": Periodic(1e-12), "n_requests": n, **options}
    return trace(program, streams=Streams(1).replication(0), outages=outages, is_checked=True, **options)


def test_what_was_sent_when_a_trial_ends_counts() -> None:
    """Two messages share the link for 8 ms of 20: 500 byte each, and 4 ms of sending and receiving."""
    for record in run(n=2, horizon_s=0.008).records:
        assert record.outcome == "unfinished"
        assert record.result_byte == pytest.approx(500, abs=1)
        assert record.energy_j == pytest.approx(3.5 * 0.004)


def test_a_message_goes_on_after_every_outage() -> None:
    """10 ms of sending with outages from 2 to 3 and from 5 to 9 ms: there at 15 ms, every byte and joule once."""
    (record,) = run(Outage("a->b", 0.002, 0.003), Outage("a->b", 0.005, 0.009)).records
    assert (record.outcome, record.result_byte) == ("completed", 1250)
    assert record.latency_s == pytest.approx(0.015)
    assert record.energy_j == pytest.approx(3.5 * 0.010)


def test_a_message_that_an_outage_meets_when_all_of_it_is_sent_waits_for_the_end_of_the_outage() -> None:
    """From 3 to 13 ms, by a rounding behind the beginning of the outage: what is left is no bit, and there at 14 ms."""
    (record,) = run(Outage("a->b", nextafter(0.013, 0.0), 0.014), arrivals=None, releases_s=[0.003]).records
    assert (record.outcome, record.result_byte) == ("completed", 1250)
    assert record.latency_s == pytest.approx(0.011)
    assert record.energy_j == pytest.approx(3.5 * 0.010)


def test_a_link_goes_down_for_all_its_messages_each_time() -> None:
    """Two messages lose the link from 4 to 5 and from 8 to 9 ms, of which 20 ms are needed: both there at 22 ms."""
    records = run(Outage("a->b", 0.004, 0.005), Outage("a->b", 0.008, 0.009), n=2).records
    assert [record.latency_s for record in records] == pytest.approx([0.022, 0.022])
    assert [record.result_byte for record in records] == [1250, 1250]


def test_a_lost_link_ends_a_message_where_it_was() -> None:
    """Down at 4 ms of 10: 500 byte were sent, and nothing follows."""
    (record,) = run(Outage("a->b", 0.004, 0.005), on_outage="lost").records
    assert (record.outcome, record.result_byte) == ("failed", 500)
    assert record.energy_j == pytest.approx(3.5 * 0.004)


# ---- messages over chains of links of 1 Mbit/s, on which a packet of 1,000 byte takes 8 ms


@dataclass
class Planned:
    """Loses so many packets on a link each time that some are sent, and none after that."""

    link_id: str
    n_lost_each: tuple[int, ...]
    numbers: Iterator[int] = field(init=False)

    def applies_to(self, link: Link) -> bool:
        return link.link_id == self.link_id

    def losses(self, _link: Link, _streams: object) -> Planned:
        self.numbers = iter(self.n_lost_each)
        return self

    def n_lost(self, _n_packets: int) -> int:
        return next(self.numbers, 0)


def hop(ends: str, bandwidth_bit_per_s: float = 1e6, latency_s: float = 0.0, **options: Any) -> Link:
    """A link between two devices of one letter, fair unless said otherwise."""
    return Link(
        f"{ends[0]}->{ends[1]}",
        *ends,
        bandwidth_bit_per_s,
        latency_s,
        **{"sharing": "fair", "mtu_byte": 1000, **options},
    )


def send(
    *links: Link, to: tuple[str, ...] = ("",), n_byte: int = 2000, media: tuple[Medium, ...] = (), **options: Any
) -> Trace:
    """Send a message from the first device to each one named, or to the last of the chain."""
    source, *names = dict.fromkeys(name for link in links for name in (link.src_id, link.dst_id))
    ends = [name or names[-1] for name in to]
    steps = [Transfer(f"to {name} ({n})", source, name, n_byte, "x", "result") for n, name in enumerate(ends)]
    last = Compute("end", ends[0], (), (steps[0].step_id,), on_missing="degrade", deadline_s=10.0)
    topology = Topology(tuple(Device(name, PROFILE) for name in (source, *names)), links, media)
    program = compile_plan(Plan((*steps, last), "end", {}), topology, NoTime())
    return trace(program, streams=Streams(1).replication(0), is_checked=True, has_stays=True, **options)


def arrival_s(found: Trace, link_id: str) -> list[float]:
    """Return when each message on a link has left it, in order."""
    return sorted(stay.ended_s for stay in found.stays if stay.resource_id == link_id)


def test_a_window_of_tcp_begins_while_the_last_one_propagates() -> None:
    """4 packets in windows of 2, 1 ms of latency: sent from 0 to 16 and, acknowledged at 10, from 16 to 32; there at 33 ms."""
    (record,) = send(hop("ab", latency_s=0.001, transport=Tcp(2, handshake=False)), n_byte=4000).records
    assert record.latency_s == pytest.approx(0.033)


def test_what_a_window_is_ahead_counts_on_its_first_link_only() -> None:
    """The same, behind it a fast queue and a fast fair link of 1 ms, which the second window has before it as the first had."""
    (record,) = send(
        hop("ab", latency_s=0.001, transport=Tcp(2, handshake=False)),
        hop("bc", 1e15, sharing="fifo"),
        hop("cd", 1e15, latency_s=0.001),
        n_byte=4000,
    ).records
    assert record.latency_s == pytest.approx(0.034)


def test_a_message_that_goes_on_has_come_once() -> None:
    """Interrupted from 4 to 5 and from 8 to 9 ms, and joined three times: one arrival at the link."""
    found = run(Outage("a->b", 0.004, 0.005), Outage("a->b", 0.008, 0.009))
    assert {one.resource_id: one.n_arrived for one in found.resources}["a->b"] == 1


def test_a_message_that_lost_packets_has_fewer_bits_to_share_for() -> None:
    """Two messages of 2 packets, of which the first loses one on its way to b, share b->c from 0 on, bit by bit.

    The halved one is through when both have sent 1 packet, at 16 ms; the other goes on alone until 24 ms.
    """
    found = send(hop("ab", 1e15, sharing="fifo"), hop("bc"), to=("c", "c"), losses={"x": Planned("a->b", (1, 0))})
    assert arrival_s(found, "b->c") == pytest.approx([0.016, 0.024])
    assert found.records[0].partial == ((0, 0.5),)


def test_links_that_are_held_together_take_the_time_of_what_crosses_them() -> None:
    """Of 2 packets one is lost on the fast first link: the second, held with it, is busy for one packet, 8 ms, not for two."""
    found = send(hop("ab", 1e9), hop("bc"), losses={"x": Planned("a->b", (1,))})
    assert arrival_s(found, "b->c") == pytest.approx([0.008])


def test_timeouts_delay_the_arrival_and_not_the_link() -> None:
    """2 packets, one sent again after 5 ms: the link is busy for 24 ms, and the message there at 29 ms."""
    found = send(hop("ab", transport=Arq(timeout_s=0.005)), losses={"x": Planned("a->b", (1,))})
    assert arrival_s(found, "a->b") == pytest.approx([0.024])
    assert found.records[0].latency_s == pytest.approx(0.029)


@pytest.mark.parametrize(
    ("outages", "outcome"), [((), "completed"), ((Outage("c", 0.030, 0.040),), "degraded")], ids=["up", "down"]
)
def test_a_connection_breaks_when_its_receiver_goes_down_between_two_attempts(
    outages: tuple[Outage, ...], outcome: str
) -> None:
    """TCP over two links held together; the second sends a packet twice, until 16 ms, and it is there 50 ms later.

    The receiver is down from 30 to 40 ms, before the packet is there: the second window is never sent.
    """
    found = send(
        hop("ab", 1e15, transport=Tcp(1, handshake=False)),
        hop("bc", transport=Arq(timeout_s=0.050)),
        losses={"x": Planned("b->c", (1,))},
        outages=outages,
    )
    assert found.records[0].outcome == outcome


@pytest.mark.parametrize(("second", "outcome"), [("resume", "completed"), ("lost", "degraded")])
def test_a_message_goes_on_only_if_all_the_links_that_it_holds_do(second: Any, outcome: str) -> None:
    """The first link says `resume`; what the second says decides when the first is down from 4 to 5 ms."""
    links = hop("ab", on_outage="resume"), hop("bc", on_outage=second)
    found = send(*links, outages=(Outage("a->b", 0.004, 0.005),))
    assert found.records[0].outcome == outcome


def test_a_fair_link_and_its_medium_are_each_busy_once() -> None:
    """A message of 16 ms and nothing else: a link is busy all the time, and so are a medium and the link that sends in it."""
    alone, shared = send(hop("ab")), send(hop("ab", medium_id="air"), media=(Medium("air", "fair"),))
    for found, names in ((alone, ["a->b"]), (shared, ["air", "a->b"])):
        busy = {one.resource_id: (one.utilisation, one.n_present) for one in found.resources if one.kind != "device"}
        assert busy == {name: pytest.approx((1.0, 1.0)) for name in names}
