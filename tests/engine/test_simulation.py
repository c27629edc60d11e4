"""The event engine against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.engine.arrays.program import array_program
from edgesim.engine.arrays.trials import simulate_batch
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import InfeasiblePlanError, PlanError, SimulationError
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.exactly_k import ExactlyK
from edgesim.rng import Streams


class WorkIsTime:
    """A compute model for tests: one FLOP takes one second."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        return sum(work.work_flop for work in step.work)


def profile(memory_byte: int = 10**9) -> DeviceProfile:
    return DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, memory_byte, 1.0, 3.0, 2.0, 1.5, "assumed")


def star(n: int, *, is_shared: bool = False, overhead_s: float = 0.0, memory_byte: int = 10**9) -> Topology:
    """n devices with links of 10 Mbit/s and 5 ms to and from a hub."""
    ids = ["hub", *(f"w{i}" for i in range(1, n + 1))]
    links = [
        Link(f"{src}->{dst}", src, dst, 1e7, 0.005, overhead_s, medium_id="cell" if is_shared else None)
        for i in range(1, n + 1)
        for src, dst in (("hub", f"w{i}"), (f"w{i}", "hub"))
    ]
    devices = tuple(Device(name, profile(memory_byte)) for name in ids)
    return Topology(devices, tuple(links), (Medium("cell"),) if is_shared else ())


def gather(n: int, *, compute_s: float = 0.010, size_byte: int = 10_000, deadline_s: float | None = None) -> Plan:
    """n devices compute and send one message each to the hub, which then answers."""
    steps: list[Compute | Transfer] = []
    for i in range(1, n + 1):
        steps.append(Compute(f"c{i}", f"w{i}", (LayerWork("x", "conv", compute_s, 0),)))
        steps.append(Transfer(f"t{i}", f"w{i}", "hub", size_byte, "x", "result", (f"c{i}",)))
    inputs = tuple(f"t{i}" for i in range(1, n + 1))
    on_missing = "wait" if deadline_s is None else "degrade"
    steps.append(Compute("merge", "hub", (), inputs, on_missing=on_missing, deadline_s=deadline_s))
    return Plan(tuple(steps), "merge", {})


def run(plan: Plan, topology: Topology, **options: object) -> object:
    return simulate(compile_plan(plan, topology, WorkIsTime()), **options)[0]  # type: ignore[arg-type]


def test_own_links_serve_in_parallel() -> None:
    """Compute 10 ms + 10 kB at 10 Mbit/s (8 ms) + 5 ms = 23 ms, whatever the number of devices."""
    for n in (1, 8, 64):
        record = run(gather(n), star(n))
        assert record.latency_s == pytest.approx(0.023, abs=1e-12)
        assert record.outcome == "completed"
        assert record.lost == 0
        assert record.result_byte == 10_000 * n


def test_shared_medium_serves_one_after_another() -> None:
    """n messages of 8 ms and 1 ms overhead on one medium: 10 + 9 n + 5 ms."""
    for n in (1, 2, 8):
        record = run(gather(n), star(n, is_shared=True, overhead_s=0.001))
        assert record.latency_s == pytest.approx(0.015 + 0.009 * n, abs=1e-12)


def test_two_messages_on_one_fifo_link_arrive_at_13_and_21_ms() -> None:
    """Exact FIFO: 8 ms on the link each, 5 ms propagation that does not occupy the link."""
    topology = star(1)
    steps = (
        Transfer("a", "hub", "w1", 10_000, "x", "input"),
        Transfer("b", "hub", "w1", 10_000, "x", "input"),
        Compute("first", "w1", (), ("a",)),
        Compute("second", "w1", (), ("b",)),
    )
    assert run(Plan(steps, "first", {}), topology).latency_s == pytest.approx(0.013, abs=1e-12)
    assert run(Plan(steps, "second", {}), topology).latency_s == pytest.approx(0.021, abs=1e-12)


def test_multi_hop_is_store_and_forward() -> None:
    """w1 -> hub -> w2 takes two times 8 + 5 ms and counts the bytes twice."""
    steps = (Transfer("a", "w1", "w2", 10_000, "x", "input"), Compute("end", "w2", (), ("a",)))
    record = run(Plan(steps, "end", {}), star(2))
    assert record.latency_s == pytest.approx(0.026, abs=1e-12)
    assert record.input_byte == 20_000


def test_device_serves_in_order_of_arrival() -> None:
    """Two computations of 1 s and 2 s on one device end at 1 s and 3 s."""
    work = [LayerWork("x", "conv", seconds, 0) for seconds in (1.0, 2.0)]
    plan = Plan((Compute("a", "hub", (work[0],)), Compute("b", "hub", (work[1],))), "b", {})
    assert run(plan, star(1)).latency_s == 3.0


def test_lost_device_is_waited_for_until_the_deadline() -> None:
    """With one device lost the answer comes at the deadline, degraded; its message is marked as lost."""
    record = run(gather(4, deadline_s=0.1), star(4), outages=[Outage("w3")])
    assert record.latency_s == pytest.approx(0.1, abs=1e-12)
    assert record.outcome == "degraded"
    assert record.lost == 0b0100
    assert record.result_byte == 30_000


def test_lost_device_without_deadline_means_no_answer() -> None:
    """A step that waits stalls for ever: the request has failed, or has timed out where it has a deadline."""
    record = run(gather(4), star(4), outages=[Outage("w3")])
    assert (record.outcome, math.isnan(record.latency_s)) == ("failed", True)
    record = run(gather(4), star(4), outages=[Outage("w3")], deadline_s=0.5)
    assert (record.outcome, math.isnan(record.latency_s)) == ("timed_out", True)


def test_late_message_is_lost_but_counts_as_traffic() -> None:
    """Four messages on one medium end at 18, 26, 34, 42 ms + 5 ms: a deadline of 35 ms takes two of them."""
    record = run(gather(4, deadline_s=0.035), star(4, is_shared=True))
    assert record.lost == 0b1100
    assert record.result_byte == 40_000


def test_deadline_counts_from_the_devices_own_inputs() -> None:
    """A step that needs a computation of 1 s on its own device waits until 1 s + deadline."""
    steps = (
        Compute("own", "hub", (LayerWork("x", "conv", 1.0, 0),)),
        Compute("far", "w1"),
        Transfer("t", "w1", "hub", 1, "x", "result", ("far",)),
        Compute("end", "hub", (), ("own", "t"), on_missing="degrade", deadline_s=0.25),
    )
    assert run(Plan(steps, "end", {}), star(1), outages=[Outage("w1")]).latency_s == pytest.approx(1.25)
    assert run(Plan(steps, "end", {}), star(1)).latency_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("outage", "sent_byte"),
    [
        (Outage("w1", 0.014, 0.020), 5_000),  # half of the 8 ms that begin at 10 ms
        (Outage("w1->hub", 0.014, 0.020), 5_000),
        (Outage("hub", 0.014, 0.020), 10_000),
        (Outage("hub", 0.020, 0.030), 10_000),  # after the last bit has left, before it arrives
        (Outage("w1", 0.000, 0.005), 0),
        (Outage("w1->hub", 0.010, 0.011), 0),
    ],
)
def test_outage_in_each_state_loses_the_message(outage: Outage, sent_byte: int) -> None:
    """The table of the module: what an outage meets decides which bytes were sent; the message is lost in each case."""
    record = run(gather(1), star(1), outages=[outage])
    assert record.outcome == "failed"
    assert record.result_byte == sent_byte


@pytest.mark.parametrize(
    "outage", [Outage("w1", 0.0181, 1.0), Outage("w1->hub", 0.0181, 1.0), Outage("hub", 0.0231, 1.0)]
)
def test_outage_after_the_work_changes_nothing(outage: Outage) -> None:
    """What begins when the sender has sent, or the answer is there, is harmless."""
    assert run(gather(1), star(1), outages=[outage]).outcome == "completed"


def test_bernoulli_losses_have_their_rate() -> None:
    """8 messages x 4,000 replications at p = 0.3: within three standard errors, which are half of an error of 5 %."""
    program = compile_plan(gather(8, deadline_s=0.1), star(8), WorkIsTime())
    n_lost = 0
    streams = Streams(3)
    for index in range(4000):
        record = simulate(program, losses={"loss": Bernoulli(0.3)}, streams=streams.replication(index))[0]
        n_lost += record.lost.bit_count()
    n = 32_000
    assert abs(n_lost / n - 0.3) < 3 * math.sqrt(0.3 * 0.7 / n) < 0.025 * 0.3 * 1.05


def test_losses_need_streams() -> None:
    """Loss models without streams are an error of the caller."""
    with pytest.raises(SimulationError, match="pass the streams"):
        run(gather(1), star(1), losses={"loss": Bernoulli(0.5)})


def test_energy_of_one_transfer() -> None:
    """Idle 1 W over 23 ms on both; +2 W for 10 ms computing, +1 W for 8 ms sending, +0.5 W for 8 ms receiving."""
    record = run(gather(1), star(1))
    assert record.energy_j == pytest.approx(2 * 0.023 + 2 * 0.010 + 1 * 0.008 + 0.5 * 0.008)


def test_lost_device_takes_no_energy() -> None:
    """A device that is down for the whole trial draws no power."""
    record = run(gather(1, deadline_s=0.1), star(1), outages=[Outage("w1")])
    assert record.energy_j == pytest.approx(1.0 * 0.1)


def test_requests_queue_behind_each_other() -> None:
    """Two requests at once share the devices: compute ends at 10 and 20 ms, so the answers come at 23 and 33 ms."""
    program = compile_plan(gather(2), star(2), WorkIsTime())
    records = simulate(program, releases_s=(0.0, 0.0))
    assert [record.latency_s for record in records] == pytest.approx([0.023, 0.033])


def test_plan_that_does_not_fit_names_device_and_bytes() -> None:
    """Memory is checked before anything is simulated."""
    with pytest.raises(InfeasiblePlanError, match=r"'hub' needs 10000 byte but has 9999 byte"):
        compile_plan(gather(1), star(1, memory_byte=9_999), WorkIsTime())


def test_plan_on_unknown_device_is_refused() -> None:
    """A plan for nine devices does not run on eight."""
    with pytest.raises(PlanError, match="'w2'"):
        compile_plan(gather(2), star(1), WorkIsTime())


def test_same_streams_same_trial_and_nested_subsets() -> None:
    """The same replication gives the same record; k lost devices are among the k + 1 lost ones."""
    topology = star(8)
    streams = Streams(1)
    lost = [{o.target_id for o in ExactlyK(k, "w*").outages(topology, Streams(1).replication(7))} for k in range(9)]
    assert [len(ids) for ids in lost] == list(range(9))
    assert all(few < many for few, many in pairwise(lost))
    first = {o.target_id for o in ExactlyK(4, "w*").outages(topology, streams.replication(7))}
    assert first == lost[4]


@pytest.mark.parametrize(("deadline_s", "outcome"), [(0.5, "completed"), (0.02, "degraded")])
def test_what_begins_behind_the_answer_does_not_degrade_it(deadline_s: float, outcome: str) -> None:
    """The answer comes after 0.1 s. Beside it a message is lost that a step without users waits for until its deadline."""
    plan = Plan(
        (
            Compute("think", "hub", (LayerWork("x", "conv", 0.1, 0),)),
            Compute("make", "w1"),
            Transfer("lost", "w1", "hub", 100, "x", "intermediate", ("make",)),
            Compute("log", "hub", (), ("lost",), on_missing="degrade", deadline_s=deadline_s),
        ),
        "think",
        {},
    )
    topology = star(1)
    program = compile_plan(plan, topology, WorkIsTime())
    down = [Outage("w1->hub", 0.0, math.inf)]
    record = simulate(program, outages=down)[0]
    assert (record.outcome, record.latency_s) == (outcome, pytest.approx(0.1))
    found = simulate_batch(array_program(program), 1, down={"w1->hub": np.array([True])})
    assert bool(found.is_degraded[0]) == (outcome == "degraded")
    assert found.latency_s[0] == pytest.approx(0.1)
