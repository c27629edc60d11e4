"""The array engine gives what the event engine gives, for the same streams."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields, replace
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.domain.system.transport import AFTER
from edgesim.engine.arrays.losses import DrawnLosses
from edgesim.engine.arrays.program import array_program, held_byte, obstacle
from edgesim.engine.arrays.trials import simulate_batch
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.sampling.draw import draw_down, draw_outages, draw_renewals
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.failures.stragglers import LogNormal, ShiftedExponential
from edgesim.network.transport import Arq, Datagram, Tcp
from edgesim.processes import keep_memory
from edgesim.rng import Streams

N = 24
PROFILE = DeviceProfile("test", {"conv": 1e9}, 1e9, 0.0, 2**40, 1.0, 2.0, 1.5, 1.25, "assumed")


class WorkIsTime:
    def duration_s(self, step, profile):
        return step.fixed_s + sum(work.work_flop for work in step.work) * 1e-9


def work(seconds):
    return (LayerWork("layer", "conv", seconds * 1e9, 0.0),)


def by_kind(failures):
    """Return what takes down, what loses, and what slows."""
    kinds = ("outages", "renewals"), ("is_lost", "losses"), ("factor",)
    return [{k: m for k, m in failures.items() if any(hasattr(m, name) for name in names)} for names in kinds]


def in_batch(ready, batch, topology, failures, deadline_s):
    outages, losses, slowdowns = by_kind(failures)
    down, until_s = draw_down(outages, topology, batch)
    drawn = DrawnLosses(losses, batch) if losses else None
    return simulate_batch(
        ready, N, down=down, until_s=until_s, losses=drawn, slowdowns=slowdowns, streams=batch, deadline_s=deadline_s
    )


def both(program: Program, topology: Topology, failures, deadline_s=None, seed=3):
    """Return the array engine's trials, and the event engine's records; they do not depend on the order of tasks."""
    streams = Streams(seed)
    outages, losses, slowdowns = by_kind(failures)
    ready = array_program(program)
    by_rank = replace(ready, tasks=tuple(sorted(ready.tasks, key=lambda task: task.rank)))
    batches = [streams.batch(5, 5 + N) for _ in range(2)]
    found, again = (
        in_batch(*one, topology, failures, deadline_s) for one in zip((ready, by_rank), batches, strict=True)
    )
    for name in (field.name for field in fields(found)):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name), name)
    batch = batches[0]
    np.testing.assert_array_equal(batch.weight, batches[1].weight)
    records, weights = [], []
    for index in range(5, 5 + N):
        own = streams.replication(index)
        drawn_outages = draw_outages(outages, topology, own)
        renewals = draw_renewals(outages, topology, own)
        kinds = {"losses": losses, "slowdowns": slowdowns, "renewals": renewals}
        records += simulate(program, outages=drawn_outages, streams=own, deadline_s=deadline_s, **kinds)
        weights.append(own.weight)
    return found, records, np.array(weights), batch.weight


def assert_equal(found, records, weights, found_weights):
    valid = np.flatnonzero(found.is_valid)
    for i in valid:
        record = records[i]
        assert isnan(found.latency_s[i]) == isnan(record.latency_s)
        if not isnan(record.latency_s):
            assert found.latency_s[i] == pytest.approx(record.latency_s, rel=1e-12, abs=1e-15)
        assert found.energy_j[i] == pytest.approx(record.energy_j, rel=1e-9)
        assert tuple(found.traffic_byte[:, i]) == (record.input_byte, record.intermediate_byte, record.result_byte)
        assert sum(1 << t for t in np.flatnonzero(found.is_lost[:, i]).tolist()) == record.lost
        outcome = "timed_out" if found.is_timed_out[i] else "failed" if isnan(found.latency_s[i]) else None
        assert record.outcome == (outcome or ("degraded" if found.is_degraded[i] else "completed"))
    assert found_weights[valid] == pytest.approx(weights[valid], rel=1e-9)


def star(n=4, medium=None, transport=None, n_cores=1):
    devices = [Device("hub", PROFILE), *(Device(f"w{i}", PROFILE, n_cores=n_cores) for i in range(n))]
    links = []
    for i in range(n):
        for src, dst in (("hub", f"w{i}"), (f"w{i}", "hub")):
            links.append(Link(f"{src}->{dst}", src, dst, 1e6, 0.002, 0.0001, 100, 4, medium, transport=transport))
    return Topology(tuple(devices), tuple(links), (Medium("air"),) if medium else ())


def students(n=4, deadline_s=None, sizes=(300, 120)):
    """Scatter, compute, gather."""
    steps = [Compute("in", "hub")]
    for i in range(n):
        steps += [
            Transfer(f"send{i}", "hub", f"w{i}", sizes[0], "x", "input", ("in",)),
            Compute(f"run{i}", f"w{i}", work(0.001 * (i + 1)), (f"send{i}",)),
            Transfer(f"give{i}", f"w{i}", "hub", sizes[1], "y", "result", (f"run{i}",)),
        ]
    kind = {} if deadline_s is None else {"on_missing": "degrade", "deadline_s": deadline_s}
    steps.append(Compute("merge", "hub", work(0.0005), tuple(f"give{i}" for i in range(n)), **kind))
    return Plan(tuple(steps), "merge", {})


CASES = {
    "nothing": {},
    "losses": {"loss": Bernoulli(0.2)},
    "twice": {"loss": Bernoulli(0.2), "more": Bernoulli(0.3, links="w*->*")},
    "rare": {"loss": Bernoulli(1e-4, sampled_at=0.2)},
    "packets": {"loss": PacketBernoulli(0.1)},
    "rare packets": {"loss": PacketBernoulli(1e-4, sampled_at=0.1)},
    "two": {"loss": Bernoulli(0.1), "more": PacketBernoulli(0.05, links="w*->hub")},
    "devices": {"lost": ExactlyK(2, "w*"), "common": CommonCause(0.3, 0.5, "hub->*")},
    "slow": {"slow": ShiftedExponential(2.0), "more": LogNormal(0.3, devices="w1")},
    "all": {"slow": ShiftedExponential(2.0), "loss": Bernoulli(0.1), "lost": ExactlyK(1, "w*")},
}


@pytest.mark.parametrize("failures", CASES.values(), ids=CASES)
@pytest.mark.parametrize("medium", [None, "air"])
@pytest.mark.parametrize("deadline_s", [None, 0.02])
@pytest.mark.parametrize(
    "transport", [None, Datagram(), Arq(2), Arq(1, 0.003), Tcp(1), Tcp(2, timeout_s=0.005, retries=1)], ids=str
)
def test_students_in_a_star(failures, medium, deadline_s, transport):
    topology = star(medium=medium, transport=transport)
    program = compile_plan(students(deadline_s=deadline_s), topology, WorkIsTime())
    assert obstacle(program) == ""
    found = both(program, topology, failures, deadline_s=0.05)
    assert_equal(*found)
    if medium is None:
        assert found[0].is_valid.all()  # everybody has a link alone: no order to get wrong
    elif "slow" not in failures and not isinstance(transport, (Arq, Tcp)):
        assert found[0].is_valid.mean() > 0.9


@settings(deadline=None, max_examples=200)
@given(data=st.data(), is_on_grid=st.booleans())
def test_random_plans(data, is_on_grid):
    """Random graphs of computations over a random network: several hops, media, cores, deadlines, alternatives.

    On a grid of times many things happen at the same moment, and their order matters.
    """
    times = GRID if is_on_grid else ANY
    topology = data.draw(networks(times))
    plan = data.draw(plans(topology, times))
    program = compile_plan(plan, topology, WorkIsTime())
    if obstacle(program):
        return
    failures = CASES[data.draw(st.sampled_from(sorted(CASES)))]
    failures = {k: m for k, m in failures.items() if not isinstance(m, (ExactlyK, CommonCause))}
    if data.draw(st.booleans()):
        failures["lost"] = CommonCause(0.3, 0.0, data.draw(st.sampled_from(["w*", "w*->w*"])))
    if data.draw(st.booleans()):
        failures["off"] = OnOff(
            30 * times["tick_s"], 30 * times["tick_s"], data.draw(st.sampled_from(["w*", "w*->w*"]))
        )
    deadline_s = data.draw(st.sampled_from([None, None, 20 * times["tick_s"]]))
    assert_equal(*both(program, topology, failures, deadline_s=deadline_s, seed=data.draw(st.integers(0, 9))))


CHANGES = {
    "seldom": ({"off": OnOff(1.0, 0.1, "w*"), "links": OnOff(2.0, 0.2, "w*->hub")}, 0.5),
    "often": ({"off": OnOff(0.01, 0.01)}, 0.0),
    "before": ({"once": Scripted((ScriptedOutage("w1", 0.0, 10.0), ScriptedOutage("w2", 5.0, 6.0)))}, 1.0),
    "both": ({"once": Scripted((ScriptedOutage("w1", 0.0, 10.0),)), "off": OnOff(1.0, 0.1, "w*")}, 0.5),
    "within": ({"once": Scripted((ScriptedOutage("w1", 0.001, 10.0),))}, 0.0),
    "within, unused": ({"once": Scripted((ScriptedOutage("idle", 0.001, 10.0),))}, 1.0),
}


@pytest.mark.parametrize(("failures", "share"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("deadline_s", [None, 0.02])
@pytest.mark.parametrize("on_outage", ["lost", "resume"])
def test_outages_that_begin_and_end(failures, share, deadline_s, on_outage):
    """Trials in which nothing that is used changes are valid, whatever has ended before and begins behind; with losses and slow devices, too."""
    plain = star()
    devices = (*(replace(one, on_outage=on_outage) for one in plain.devices), Device("idle", PROFILE))
    topology = Topology(devices, plain.links)
    program = compile_plan(students(deadline_s=deadline_s), topology, WorkIsTime())
    for others in ({}, CASES["losses"], CASES["slow"]):
        found = both(program, topology, failures | others, deadline_s=0.05)
        assert_equal(*found)
        assert found[0].is_valid.mean() >= (share if on_outage == "lost" else 0.0)
    if share == 0.0 and "once" in failures:
        assert not found[0].is_valid.any()


ANY = {"tick_s": 0.0011, "bandwidths": [1e6, 3e6], "latencies": [0.0, 0.001], "overheads": [0.0, 0.0002], "header": 8,
       "sizes": st.integers(1, 400), "mtu": 100}  # fmt: skip
TICK = 2.0**-10
GRID = {"tick_s": TICK, "bandwidths": [8 * 100 * 2.0**10], "latencies": [0.0, TICK], "overheads": [0.0, TICK], "header": 0,
        "sizes": st.sampled_from([100, 200, 300]), "mtu": 100}  # fmt: skip


@st.composite
def networks(draw, times):
    n = draw(st.integers(2, 4))
    outage = st.sampled_from(["lost", "resume"])
    devices = tuple(Device(f"w{i}", PROFILE, n_cores=draw(st.integers(1, 2)), on_outage=draw(outage)) for i in range(n))
    tcp = Tcp(1, draw(st.booleans()), times["tick_s"], draw(st.integers(0, 2)))
    transport = st.sampled_from([None, Datagram(), Arq(1, times["tick_s"]), tcp])
    medium = st.sampled_from([None, None, "air"])
    pairs = [(i, i + 1) for i in range(n - 1)] + ([(0, n - 1)] if n > 2 and draw(st.booleans()) else [])
    links = tuple(
        Link(f"w{a}->w{b}", f"w{a}", f"w{b}", draw(st.sampled_from(times["bandwidths"])),
             draw(st.sampled_from(times["latencies"])), draw(st.sampled_from(times["overheads"])), times["mtu"],
             times["header"], draw(medium), transport=draw(transport), on_outage=draw(outage))
        for one, other in pairs for a, b in ((one, other), (other, one))
    )  # fmt: skip
    return Topology(devices, links, (Medium("air"),))


@st.composite
def plans(draw, topology, times):
    """Every computation takes the results of some earlier ones, over the network where they are elsewhere."""
    names = [device.device_id for device in topology.devices]
    steps, where = [], {}
    for number in range(draw(st.integers(2, 9))):
        here = draw(st.sampled_from(names))
        sources = draw(st.lists(st.sampled_from(sorted(where)), unique=True, max_size=3)) if where else []
        inputs, sent = [], []
        for source in sources:
            if where[source] == here:
                inputs.append(source)
                continue
            transfer = f"{source}-{number}"
            kind = draw(st.sampled_from(["input", "intermediate", "result"]))
            steps.append(Transfer(transfer, where[source], here, draw(times["sizes"]), "t", kind, (source,)))
            inputs.append(transfer)
            sent.append(transfer)
        options = {}
        if inputs and draw(st.booleans()):
            options = {"on_missing": "degrade", "deadline_s": draw(st.integers(0, 8)) * times["tick_s"]}
        if len(sent) > 1 and draw(st.booleans()):
            options["alternatives"] = (tuple(sent),)
            options["n_enough"] = draw(st.integers(1, len(sent) - 1))
        seconds = draw(st.integers(0, 4)) * times["tick_s"]
        steps.append(Compute(f"c{number}", here, work(seconds), tuple(inputs), **options))
        where[f"c{number}"] = here
    return Plan(tuple(steps), f"c{len(where) - 1}", {})


def pair(deadline_s, on_outage="lost"):
    """One device sends another one message of 100 byte, which takes a tick and another of latency."""
    devices = (Device("w0", PROFILE), Device("w1", PROFILE))
    topology = Topology(devices, (Link("w0->w1", "w0", "w1", 8 * 100 * 2.0**10, TICK, on_outage=on_outage),))
    send = Transfer("send", "w0", "w1", 100, "t", "result")
    end = Compute("end", "w1", (), ("send",), on_missing="degrade", deadline_s=deadline_s)
    return compile_plan(Plan((send, end), "end", {}), topology, WorkIsTime()), topology


@pytest.mark.parametrize(("ticks", "is_lost"), [(1, True), (2, True), (3, False)])
def test_a_message_at_the_deadline_is_late(ticks, is_lost):
    found, *others = both(*pair(ticks * TICK), {})
    assert_equal(found, *others)
    assert found.is_valid.all()
    assert found.is_lost.all() == found.is_degraded.all() == is_lost


@pytest.mark.parametrize("on_outage", ["lost", "resume"])
@pytest.mark.parametrize("target", ["w0", "w1", "w0->w1"])
def test_a_request_without_an_answer_costs_what_happened(target, on_outage):
    """It waits until the last thing that was under way has ended, and idle power counts as long."""
    program, topology = pair(TICK, on_outage)
    plan = Plan((program.steps.step[0], Compute("end", "w1", (), ("send",))), "end", {})
    program = compile_plan(plan, topology, WorkIsTime())
    found, *others = both(program, topology, {"lost": CommonCause(1.0, 1.0, target)})
    assert_equal(found, *others)
    assert found.is_valid.all()


def test_marks_trials_in_which_two_come_at_the_same_moment():
    """`first` sends at 3 ticks, or at its deadline at 4, when `second` sends, too, on the same medium: then the other one wins."""
    devices = tuple(Device(f"w{i}", PROFILE) for i in range(4))
    links = (
        Link("w3->w1", "w3", "w1", 8 * 100 * 2.0**10, 2 * TICK),
        *(Link(f"w{i}->w2", f"w{i}", "w2", 8 * 100 * 2.0**10, 0.0, medium_id="air") for i in (0, 1)),
    )
    topology = Topology(devices, links, (Medium("air"),))
    plan = Plan(
        (
            Compute("second", "w0", work(4 * TICK)),
            Compute("local", "w1", work(2 * TICK)),
            Transfer("help", "w3", "w1", 100, "t", "input"),
            Compute("first", "w1", (), ("local", "help"), on_missing="degrade", deadline_s=2 * TICK),
            Transfer("a", "w0", "w2", 100, "t", "result", ("second",)),
            Transfer("b", "w1", "w2", 300, "t", "result", ("first",)),
            Compute("early", "w2", (), ("a",)),
        ),
        "early",
        {},
    )
    program = compile_plan(plan, topology, WorkIsTime())
    found, records, *weights = both(program, topology, {"loss": Bernoulli(0.5, links="w3->w1")})
    is_lost = np.array([record.lost & 1 for record in records], dtype=bool)
    assert 0 < is_lost.sum() < N
    assert (found.is_valid == ~is_lost).all()
    assert_equal(found, records, *weights)


def alternatives(ticks, deadline):
    """Two devices send the same, so many ticks after each other, to a third, which begins with the first or at its deadline."""
    devices = tuple(Device(f"w{i}", PROFILE) for i in range(3))
    links = tuple(Link(f"w{i}->w2", f"w{i}", "w2", 8 * 100 * 2.0**10, (1 + i * ticks) * TICK) for i in (0, 1))
    sends = tuple(Transfer(f"send{i}", f"w{i}", "w2", 100, "t", "result") for i in (0, 1))
    names = ("send0", "send1")
    end = Compute("end", "w2", (), names, on_missing="degrade", deadline_s=deadline * TICK, alternatives=(names,))
    topology = Topology(devices, links)
    return compile_plan(Plan((*sends, end), "end", {}), topology, WorkIsTime()), topology


@pytest.mark.parametrize(
    ("ticks", "deadline", "is_lost"),
    [(0, 2, [True, True]), (0, 3, [False, False]), (1, 1, [True, True]), (1, 3, [False, False])],
)
def test_alternatives_are_late_together(ticks, deadline, is_lost):
    """Both come behind the deadline, at once or one after the other: neither is used; or nobody waits for the second."""
    found, *others = both(*alternatives(ticks, deadline), {})
    assert_equal(found, *others)
    assert found.is_valid.all()
    assert found.is_lost[:, 0].tolist() == is_lost


def test_marks_trials_in_which_messages_set_out_in_another_order():
    """`a` sets out before `b` when nothing is slowed, and comes to their common link behind it; what it loses there is drawn first."""
    devices = tuple(Device(f"w{i}", PROFILE) for i in range(3))
    topology = Topology(devices, tuple(Link(f"w{i}->w{i + 1}", f"w{i}", f"w{i + 1}", 1e6, 0.02) for i in (0, 1)))
    steps = (
        *(Compute(f"c{i}", f"w{i}", work(seconds)) for i, seconds in ((0, 0.001), (1, 0.002))),
        Transfer("a", "w0", "w2", 100, "t", "result", ("c0",)),
        Transfer("b", "w1", "w2", 100, "t", "result", ("c1",)),
        Compute("end", "w2", (), ("a", "b"), on_missing="degrade", deadline_s=1.0),
    )
    program = compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())
    failures = {"slow": LogNormal(0.7), "loss": Bernoulli(0.5, links="w1->w2")}
    found, *others = both(program, topology, failures)
    assert 0 < found.is_valid.sum() < N
    assert_equal(found, *others)


def test_cores_are_used_in_order():
    """Of two cores one is busy for 3 ticks, so that the other serves one computation after another."""
    steps = tuple(Compute(f"c{i}", "w0", work(ticks * TICK)) for i, ticks in enumerate((3, 1, 1, 1)))
    topology = Topology((Device("w0", PROFILE, n_cores=2),))
    found, *others = both(compile_plan(Plan(steps, "c3", {}), topology, WorkIsTime()), topology, {})
    assert_equal(found, *others)
    assert found.is_valid.all()
    assert (found.latency_s == 3 * TICK).all()


def test_marks_trials_in_which_two_go_on_at_the_same_deadline():
    """Their inputs do not tell which of the two is first at their device."""
    devices = (Device("w0", PROFILE), Device("w1", PROFILE))
    topology = Topology(devices, (Link("w0->w1", "w0", "w1", 8 * 100 * 2.0**10, TICK),))
    late = {"on_missing": "degrade", "deadline_s": TICK}
    steps = (
        *(Transfer(f"help{i}", "w0", "w1", 100, "t", "input") for i in (0, 1)),
        *(Compute(f"go{i}", "w1", work(TICK), (f"help{i}",), **late) for i in (0, 1)),
        Compute("end", "w1", (), ("go0", "go1")),
    )
    program = compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())
    assert not both(program, topology, {})[0].is_valid.any()


def test_marks_trials_in_which_one_end_lets_two_begin_in_another_order():
    """`b` goes first when nothing is slowed. Where `z` ends last, it lets both begin, and then `a` goes first."""
    devices = (Device("w0", PROFILE, n_cores=3), Device("w1", PROFILE))
    topology = Topology(devices, (Link("w0->w1", "w0", "w1", 1e6, 0.001),))
    steps = (
        *(Compute(name, "w0", work(seconds)) for name, seconds in (("x", 0.003), ("y", 0.001), ("z", 0.002))),
        Transfer("a", "w0", "w1", 100, "t", "result", ("x", "z")),
        Transfer("b", "w0", "w1", 300, "t", "result", ("y", "z")),
        Compute("end", "w1", (), ("a",)),
    )
    program = compile_plan(Plan(steps, "end", {}), topology, WorkIsTime())
    found, *others = both(program, topology, {"slow": LogNormal(0.5)})
    assert 0 < found.is_valid.sum() < N
    assert_equal(found, *others)


def test_marks_trials_in_which_the_order_differs():
    """Random times on a shared medium: who comes first is drawn, so some trials must be left to the event engine."""
    topology = star(medium="air")
    program = compile_plan(students(), topology, WorkIsTime())
    found, records, *weights = both(program, topology, {"slow": ShiftedExponential(0.5)})
    assert 0 < found.is_valid.sum() < N
    assert_equal(found, records, *weights)


@pytest.mark.parametrize(
    ("topology", "text"),
    [
        (star(transport=Tcp(persistent=True)), "one connection"),
        (Topology((Device("hub", PROFILE, sharing="fair"),)), "shared by rates"),
    ],
    ids=["tcp", "fair"],
)
def test_says_what_it_cannot_do(topology, text):
    plan = students() if topology.links else Plan((Compute("merge", "hub"),), "merge", {})
    assert text in obstacle(compile_plan(plan, topology, WorkIsTime()))


def test_nothing_is_left_at_infinity():
    program = compile_plan(students(), star(), WorkIsTime())
    found = simulate_batch(array_program(program), 3, down={"w0": np.ones(3, dtype=bool)})
    assert np.isnan(found.latency_s).all()
    assert (found.energy_j < inf).all()


@pytest.mark.parametrize(("has_inputs", "most_byte"), [(False, 7), (True, 50)])
def test_holds_no_array_of_a_step_that_nobody_looks_at_again(has_inputs, most_byte):
    """What a device computed is sent at once: of both only flags are left. Where inputs come first, one number per device and trial, too.

    It is 4 and 38 byte per device; 10 when messages are sent in the order of time, and 69 when what comes is kept.
    """
    n_devices, n = 256, 2_000
    plan = students(n_devices, deadline_s=0.02)
    if not has_inputs:
        steps = [step for step in plan.steps if not step.step_id.startswith(("in", "send"))]
        plan = replace(plan, steps=tuple(replace(s, inputs=()) if s.step_id.startswith("run") else s for s in steps))
    program = compile_plan(plan, star(n_devices), WorkIsTime())
    ready, batch = array_program(program), Streams(1).batch(0, n)
    losses, slowdowns = DrawnLosses({"loss": Bernoulli(0.1)}, batch), {"slow": ShiftedExponential(2.0)}
    keep_memory()
    tracemalloc.start()
    simulate_batch(ready, n, down={}, losses=losses, slowdowns=slowdowns, streams=batch)
    _, peak_byte = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_byte < most_byte * n_devices * n
    assert peak_byte < 1.5 * n * held_byte(program, may_be_down=False)


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_windows_of_many_replications_are_those_of_each(data):
    """Windows, waits and packets of `Tcp.bursts_batch` are those of `Tcp.bursts`, whatever is lost."""
    tcp = Tcp(data.draw(st.integers(1, 4)), data.draw(st.booleans()), 0.03, data.draw(st.integers(0, 3)))
    n_packets, n = data.draw(st.integers(1, 40)), 3
    at_once = tcp.bursts_batch(n_packets, 0.02, n)
    alone = [tcp.bursts(n_packets, 0.02) for _ in range(n)]
    bursts, wanted = next(at_once), [next(one) for one in alone]
    while any(one is not None for one in wanted):
        n_lost = np.zeros(n, dtype=np.int64)
        for i, one in enumerate(wanted):
            assert bursts.n_packets[i] == (0 if one is None else one.n_packets)
            if one is not None:
                assert (AFTER[bursts.after[i]], bursts.delay_s[i]) == (one.after, one.delay_s)
                n_lost[i] = data.draw(st.integers(0, one.n_packets))
        wanted = [
            None if one is None else sent(own, int(n_lost[i]))
            for i, (one, own) in enumerate(zip(wanted, alone, strict=True))
        ]
        try:
            bursts = at_once.send(n_lost)
        except StopIteration:
            assert wanted == [None] * n


def sent(bursts, n_lost):
    """Return the next burst, or None behind the last one."""
    try:
        return bursts.send(n_lost)
    except StopIteration:
        return None
