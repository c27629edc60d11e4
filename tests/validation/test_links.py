"""Links, retransmission and failures against closed forms, each derived in the docstring; exact unless it says otherwise."""

from __future__ import annotations

from dataclasses import replace
from math import comb, sqrt

import pytest

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage, RequestRecord
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Sharing, Topology
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.gilbert_elliott import GilbertElliott
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.sampling.draw import draw_outages, draw_renewals
from edgesim.network.transport import Arq, Tcp
from edgesim.rng import ReplicationStreams, Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 2**40, 0.0, 0.0, 0.0, 0.0, "assumed")


class WorkIsTime:
    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def work(seconds: float) -> tuple[LayerWork, ...]:
    return (LayerWork("x", "conv", seconds, 0),)


def chain(n_hops: int, link: Link, **options: object) -> Topology:
    """n + 1 devices in a row, joined by links like `link`."""
    names = [f"d{i}" for i in range(n_hops + 1)]
    links = tuple(replace(link, link_id=f"d{i}->d{i + 1}", src_id=f"d{i}", dst_id=f"d{i + 1}") for i in range(n_hops))
    return Topology(tuple(Device(name, PROFILE) for name in names), links, **options)  # type: ignore[arg-type]


def across(topology: Topology, size_byte: int, *, n: int = 1) -> Program:
    """Compile n messages from the first to the last device at once, of which the last answers."""
    src, dst = topology.devices[0].device_id, topology.devices[-1].device_id
    messages = tuple(Transfer(f"t{i}", src, dst, size_byte, "x", "input") for i in range(n))
    ends = tuple(Compute(f"end{i}", dst, (), (f"t{i}",)) for i in range(n))
    return compile_plan(Plan((*messages, *ends), f"end{n - 1}", {}), topology, WorkIsTime())


def replications(n: int, seed: int = 3) -> list[ReplicationStreams]:
    return list(map(Streams(seed).replication, range(n)))


def is_near(values: list[float], expected: float, error: float = 0.05) -> bool:
    """Whether the mean is within 3 standard errors, which are below half of `error`."""
    n = len(values)
    mean = sum(values) / n
    spread = sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    assert 3 * spread < error / 2 * expected * 1.01, f"no power: {3 * spread / expected:.2%}"
    return abs(mean - expected) < 3 * spread


LINK = Link("a->b", "a", "b", bandwidth_bit_per_s=8e6, latency_s=0.002, mtu_byte=1_000)


@pytest.mark.parametrize(("m", "h"), [(1, 1), (1, 4), (10, 1), (10, 4), (3, 7)])
def test_m_packets_over_h_hops(m: int, h: int) -> None:
    """Cut-through by packets: (m + h - 1) p + h d; store and forward of the whole message: h (m p + d); p = 1 ms, d = 2 ms.

    The first packet arrives after h (p + d), and one more every p. Source: D. Bertsekas, R. Gallager, Data Networks, 2nd ed.,
    Prentice Hall, 1992, section 2.8.2 (pipelining).
    """
    (record,) = simulate(across(chain(h, LINK, forwarding="cut_through"), m * 1_000))
    assert record.latency_s == pytest.approx((m + h - 1) * 0.001 + h * 0.002, rel=1e-12)
    (record,) = simulate(across(chain(h, LINK), m * 1_000))
    assert record.latency_s == pytest.approx(h * (m * 0.001 + 0.002), rel=1e-12)


def test_cut_through_waits_for_the_slowest_link() -> None:
    """Ten packets over 1, 4 and 1 ms per packet: the last leaves the slow link at 1 + 40 ms and needs 1 ms more, then 6 ms."""
    topology = chain(3, LINK, forwarding="cut_through")
    first, slow, last = topology.links
    slow = replace(slow, bandwidth_bit_per_s=2e6)
    topology = replace(topology, links=(first, slow, last))
    (record,) = simulate(across(topology, 10_000))
    assert record.latency_s == pytest.approx(0.001 + 0.040 + 0.001 + 0.006, rel=1e-12)


def test_a_link_that_waits_for_packets_takes_no_power_meanwhile() -> None:
    """The same: four devices idle for 48 ms, and 10, 40 and 10 ms of sending and receiving, though the last link is held for longer."""
    topology = chain(3, LINK, forwarding="cut_through")
    first, slow, last = topology.links
    powered = replace(PROFILE, idle_w=1.0, transmit_w=2.0, receive_w=1.5)
    devices = tuple(replace(device, profile=powered) for device in topology.devices)
    topology = replace(topology, devices=devices, links=(first, replace(slow, bandwidth_bit_per_s=2e6), last))
    result = trace(across(topology, 10_000))
    assert result.records[0].energy_j == pytest.approx(4 * 1.0 * 0.048 + (1.0 + 0.5) * 0.060)
    busy_s = {one.resource_id: one.utilisation * 0.048 for one in result.resources if one.kind == "link"}
    assert busy_s == pytest.approx({"d0->d1": 0.010, "d1->d2": 0.040, "d2->d3": 0.037})


@pytest.mark.parametrize("n", [1, 2, 5, 50])
def test_pipeline_of_n_requests(n: int) -> None:
    """Three stages of 10, 25 and 15 ms and messages of 5 ms: the n-th answer comes after 60 ms + (n - 1) x 25 ms.

    Every request passes all stages once; behind the first one the slowest stage gives the rhythm.
    """
    steps: list[Compute | Transfer] = []
    for i, seconds in enumerate((0.010, 0.025, 0.015)):
        if i:
            steps.append(Transfer(f"t{i}", f"d{i - 1}", f"d{i}", 3_000, "x", "intermediate", (f"c{i - 1}",)))
        steps.append(Compute(f"c{i}", f"d{i}", work(seconds), (f"t{i}",) if i else ()))
    program = compile_plan(Plan(tuple(steps), "c2", {}), chain(2, LINK), WorkIsTime())
    records = simulate(program, releases_s=[0.0] * n)
    ends = [record.latency_s for record in records]
    assert ends == pytest.approx([0.060 + i * 0.025 for i in range(n)], rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 8, 64])
def test_k_equal_messages_on_one_fair_link(k: int) -> None:
    """Each gets B / k: all arrive together at k S / B + d."""
    topology = chain(1, replace(LINK, sharing="fair"))
    (record,) = simulate(across(topology, 10_000, n=k))
    assert record.latency_s == pytest.approx(k * 0.010 + 0.002, rel=1e-12)


def test_max_min_of_the_textbook_over_time() -> None:
    """Three links of 10 Mbit/s, a message of 1 MB over all three and one over each, three over the second.

    The second link is shared by four at 2.5 Mbit/s, the first and third give 7.5 Mbit/s to their own: these end at 8/7.5 s =
    1.0667 s. The long one and those of the second link stay at 2.5 Mbit/s: they end together at 3.2 s.
    Source: Bertsekas, Gallager, section 6.5.2, figure 6.13, with other numbers.
    """
    fair = Link("a->b", "a", "b", 10e6, sharing="fair")
    topology = chain(3, fair)
    ends = [("d0", "d3"), ("d0", "d1"), ("d2", "d3"), ("d1", "d2"), ("d1", "d2"), ("d1", "d2")]
    expected = [3.2, 8 / 7.5, 8 / 7.5, 3.2, 3.2, 3.2]
    messages = tuple(Transfer(f"t{i}", *pair, 1_000_000, "x", "input") for i, pair in enumerate(ends))
    for answer, moment_s in enumerate(expected):
        last = tuple(Compute(f"end{i}", pair[1], (), (f"t{i}",)) for i, pair in enumerate(ends))
        program = compile_plan(Plan((*messages, *last), f"end{answer}", {}), topology, WorkIsTime())
        assert simulate(program)[0].latency_s == pytest.approx(moment_s, rel=1e-12)


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_relayed_message_uses_the_air_twice(sharing: Sharing) -> None:
    """One medium of 8 Mbit/s, 10 kB from d0 over d1 to d2: 20 ms of air and two latencies, however it is shared."""
    topology = chain(2, replace(LINK, medium_id="air"), media=(Medium("air", sharing),))
    (record,) = simulate(across(topology, 10_000))
    assert record.latency_s == pytest.approx(0.024, rel=1e-12)
    assert record.input_byte == 20_000


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_headers_and_overhead_take_time_and_count(sharing: Sharing) -> None:
    """10 packets of 1,000 + 50 byte and 3 ms of overhead: 10.5 + 3 + 2 ms, 10,500 byte."""
    link = replace(LINK, header_byte=50, message_overhead_s=0.003, sharing=sharing)
    (record,) = simulate(across(chain(1, link), 10_000))
    assert record.latency_s == pytest.approx(0.0155, rel=1e-12)
    assert record.input_byte == 10_500


def losses_over(link: Link, model: object, n: int, size_byte: int = 20_000) -> list[RequestRecord]:
    """Simulate one message over one link in n replications."""
    program = across(chain(1, link), size_byte)
    return [
        simulate(program, losses={"loss": model}, streams=streams)[0]  # type: ignore[dict-item]
        for streams in replications(n)
    ]


@pytest.mark.parametrize("sharing", ["fifo", "fair"])
def test_arq_sends_and_loses_as_often_as_it_should(sharing: Sharing) -> None:
    """p = 0.3, R = 2 retries: each packet is sent (1 - p^3) / (1 - p) = 1.39 times, and lost with p^3 = 0.027.

    A geometric series: the i-th repetition happens with probability p^i. Packets count as bytes on the link, and, where all
    repetitions are immediate, as time.
    """
    link = replace(LINK, transport=Arq(retries=2, timeout_s=0.0), sharing=sharing)
    records = losses_over(link, PacketBernoulli(0.3), 3_000)
    assert is_near([record.input_byte / 20_000 for record in records], 1.39)
    lost = [1 - (record.partial[0][1] if record.partial else float(record.lost == 0)) for record in records]
    assert is_near(lost, 0.027, error=0.25)
    whole = [record for record in records if record.lost == 0]
    for record in whole:
        assert record.latency_s == pytest.approx(record.input_byte / 1e6 + 0.002, rel=1e-9)
        assert record.n_retransmitted == record.input_byte // 1_000 - 20


def test_arq_waits_for_its_timeouts() -> None:
    """One packet, p = 0.5, 5 ms between attempts: E latency of the delivered ones = d + 1 ms E(sends) + 5 ms (E(sends) - 1)."""
    link = replace(LINK, transport=Arq(retries=30, timeout_s=0.005))
    records = losses_over(link, PacketBernoulli(0.5), 6_000, size_byte=1_000)
    assert is_near([record.latency_s for record in records], 0.002 + 2 * 0.001 + 0.005, error=0.08)
    default = losses_over(replace(LINK, transport=Arq(retries=30)), PacketBernoulli(0.5), 6_000, size_byte=1_000)
    assert is_near([record.latency_s for record in default], 0.002 + 2 * 0.001 + 0.004, error=0.08)


def test_datagram_keeps_what_arrived() -> None:
    """20 packets at p = 0.05: whole with probability 0.95^20, and 95 % of the bytes arrive; the rest of time and traffic stays."""
    records = losses_over(LINK, PacketBernoulli(0.05), 8_000)
    whole = [float(record.lost == 0) for record in records]
    assert is_near(whole, 0.95**20, error=0.1)
    shares = [record.partial[0][1] if record.partial else 1.0 - record.lost for record in records]
    assert is_near(shares, 0.95, error=0.01)
    assert all(record.input_byte == 20_000 for record in records)


def test_lost_packets_do_not_cross_the_next_link() -> None:
    """Two links at p = 0.2: 0.8 of the bytes are put on the second, 0.64 arrive."""
    program = across(chain(2, LINK), 50_000)
    records = [
        simulate(program, losses={"loss": PacketBernoulli(0.2)}, streams=streams)[0] for streams in replications(2_000)
    ]
    assert is_near([record.input_byte / 50_000 for record in records], 1.8, error=0.01)
    assert is_near([record.partial[0][1] for record in records], 0.64, error=0.02)


def test_gilbert_elliott_through_the_engine() -> None:
    """Long messages over a bursty link lose (p h + r k) / (p + r) of their packets; 2 % in bursts of 4 packets."""
    model = GilbertElliott(to_bad=0.25 * 0.02 / 0.98, to_good=0.25)
    records = losses_over(LINK, model, 1_500, size_byte=1_000_000)
    shares = [record.partial[0][1] if record.partial else 1.0 - record.lost for record in records]
    assert is_near([1 - share for share in shares], 0.02, error=0.2)


def test_tcp_without_losses() -> None:
    """Handshake r, then windows of 10, 20, ...: 100 packets of 1 ms over r = 2 x 40 ms take r + 100 ms + stalls + 40 ms.

    The window of w packets leaves in w ms, and the acknowledgement of its first packet comes 81 ms after it began: stalls of
    71 and 61 ms behind the windows of 10 and 20, of 41 behind 40; the rest of 30 follows. Derived as in Kurose, Ross, section
    3.7.2, with a first window of 10.
    """
    link = replace(LINK, latency_s=0.040, transport=Tcp())
    for sharing in ("fifo", "fair"):
        (record,) = simulate(across(chain(1, replace(link, sharing=sharing)), 100_000))  # type: ignore[arg-type]
        assert record.latency_s == pytest.approx(0.080 + 0.100 + 0.071 + 0.061 + 0.041 + 0.040, rel=1e-9)
        assert record.input_byte == 100_000
    (record,) = simulate(across(chain(1, replace(link, transport=Tcp(handshake=False))), 10_000))
    assert record.latency_s == pytest.approx(0.050, rel=1e-9)


def test_tcp_delivers_whatever_is_lost() -> None:
    """At 5 % loss every message arrives whole; all packets are sent 1 / (1 - p) times in the mean; some wait for a timeout."""
    link = replace(LINK, transport=Tcp())
    records = losses_over(link, PacketBernoulli(0.05), 1_500, size_byte=50_000)
    assert all(record.outcome == "completed" for record in records)
    assert is_near([record.input_byte / 50_000 for record in records], 1 / 0.95, error=0.02)
    assert [record.n_retransmitted for record in records] == [record.input_byte // 1_000 - 50 for record in records]
    assert max(record.latency_s for record in records) > 0.2


def test_tcp_gives_up() -> None:
    """When nothing comes through, the connection ends after its retries, two of one packet: the request has failed."""
    link = replace(LINK, transport=Tcp(retries=2))
    (record,) = losses_over(link, PacketBernoulli(1.0), 1)
    assert record.outcome == "failed"
    assert record.input_byte == 10_000 + 2 * 1_000


def test_availability() -> None:
    """A device that is up MTBF / (MTBF + MTTR) of the time and computes for 1 s answers with A exp(-1 / MTBF).

    It must be up at the start, probability A, and stay up for the service, exp(-1 / MTBF) (no memory). MTBF 8, MTTR 2: 0.706.
    """
    topology = Topology((Device("d", PROFILE),))
    program = compile_plan(Plan((Compute("c", "d", work(1.0)),), "c", {}), topology, WorkIsTime())
    model = {"off": OnOff(8.0, 2.0)}
    answered = [
        float(simulate(program, renewals=draw_renewals(model, topology, streams))[0].outcome == "completed")
        for streams in replications(12_000)
    ]
    assert is_near(answered, 0.8 * 2.718281828459045 ** (-1 / 8), error=0.06)


def test_repaired_device_ends_its_work_later() -> None:
    """With resume, 10 s of work takes 10 + n repairs; n has mean 10 / MTBF, and the start waits (1 - A) MTTR: E = 10 + 5 + 2/3.

    MTBF 4, MTTR 2, A = 2/3. While it works, failures come as a Poisson process of rate 1 / MTBF, each costs MTTR in the mean;
    at the start it is down with 1 - A, for MTTR more in the mean (no memory).
    """
    topology = Topology((Device("d", PROFILE, on_outage="resume"),))
    program = compile_plan(Plan((Compute("c", "d", work(10.0)),), "c", {}), topology, WorkIsTime())
    model = {"off": OnOff(4.0, 2.0)}
    latencies = [
        simulate(program, renewals=draw_renewals(model, topology, streams))[0].latency_s
        for streams in replications(6_000)
    ]
    assert is_near(latencies, 10 + 5 + 2 / 3)


def test_k_of_n() -> None:
    """Replicas on 5 devices, each lost with 0.2: at least 3 messages arrive with probability sum C(5, i) 0.8^i 0.2^(5 - i)."""
    names = ["hub", *(f"w{i}" for i in range(5))]
    links = tuple(Link(f"{name}->hub", name, "hub", 1e6) for name in names[1:])
    topology = Topology(tuple(Device(name, PROFILE) for name in names), links)
    steps: list[Compute | Transfer] = []
    for name in names[1:]:
        steps += [Compute(f"c{name}", name), Transfer(f"t{name}", name, "hub", 10, "x", "result", (f"c{name}",))]
    inputs = tuple(f"t{name}" for name in names[1:])
    steps.append(Compute("end", "hub", (), inputs, on_missing="degrade", deadline_s=1.0))
    program = compile_plan(Plan(tuple(steps), "end", {}), topology, WorkIsTime())
    model = {"lost": CommonCause(0.2, beta=0.0, targets="w*")}
    enough = [
        float(simulate(program, outages=draw_outages(model, topology, streams))[0].lost.bit_count() <= 2)
        for streams in replications(4_000)
    ]
    assert is_near(enough, sum(comb(5, i) * 0.8**i * 0.2 ** (5 - i) for i in range(3, 6)))


def test_two_models_on_one_link_act_one_after_the_other() -> None:
    """A scripted outage and a packet loss on one link: what the loss leaves is cut by the outage at half."""
    program = across(chain(1, LINK), 20_000)
    (record,) = simulate(program, outages=[Outage("d0->d1", 0.010, 1.0)])
    assert record.partial == ((0, 0.5),)
    assert record.input_byte == 10_000
