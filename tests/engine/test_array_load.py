"""The array engine gives what the event engine gives for trials of several requests, for the same streams."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.arrivals.closed_loop import ClosedLoop
from edgesim.arrivals.periodic import Periodic
from edgesim.arrivals.poisson import Poisson
from edgesim.arrivals.trace import Trace as Recorded
from edgesim.domain.load import Load
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.system.topology import Device, Link, Topology
from edgesim.engine.arrays.batch import Batch
from edgesim.engine.arrays.load import obstacle_of_load, simulate_load
from edgesim.engine.arrays.losses import DrawnLosses
from edgesim.engine.arrays.program import array_program, obstacle
from edgesim.engine.arrays.trials import simulate_batch
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.on_off import OnOff
from edgesim.failures.sampling.draw import draw_down, draw_outages, draw_renewals
from edgesim.network.transport import Arq, Tcp
from edgesim.rng import Streams
from tests.engine.test_arrays import (
    ANY,
    CASES,
    GRID,
    PROFILE,
    TICK,
    WorkIsTime,
    by_kind,
    networks,
    plans,
    star,
    students,
    work,
)

N = 12


def both(program, topology, failures, load, deadline_s=None, seed=3):
    """Return the traces of the array engine, None where they are not valid, and those of the event engine."""
    streams = Streams(seed)
    outages, losses, slowdowns = by_kind(failures)
    batch = streams.batch(5, 5 + N)
    down, until_s = draw_down(outages, topology, batch)
    found = simulate_load(
        array_program(program, is_repeated=True), load, down=down, until_s=until_s,
        losses=DrawnLosses(losses, batch) if losses else None, slowdowns=slowdowns, streams=batch, deadline_s=deadline_s,
    )  # fmt: skip
    traces = []
    for index in range(5, 5 + N):
        own = streams.replication(index)
        outages_of = {
            "outages": draw_outages(outages, topology, own),
            "renewals": draw_renewals(outages, topology, own),
        }
        drawn = {"losses": losses, "slowdowns": slowdowns, "streams": own, **outages_of}
        limits = {"n_requests": load.requests, "horizon_s": load.horizon_s or np.inf, "warm_up_s": load.warm_up_s}
        traces.append(trace(program, arrivals=load.arrivals, deadline_s=deadline_s, **drawn, **limits))
    return list(found), traces


def n_batches():
    return sum(type(one) is Batch for one in gc.get_objects())  # isinstance would ask objects of torch, which warn


def test_nothing_is_left_for_the_collector():
    """What a batch holds goes with it, or a study would hold some hundred MB until garbage is collected."""
    ready, streams = array_program(compile_plan(students(), star(), WorkIsTime())), Streams(1)
    load = Load(ClosedLoop(), 5)
    repeated = array_program(ready.program, is_repeated=True)
    gc.collect()
    gc.disable()
    n_before = n_batches()  # a test that failed before may hold some
    try:
        simulate_batch(ready, N, down={}, losses=DrawnLosses({}, streams.batch(0, N)))
        simulate_batch(array_program(compile_plan(students(), star(medium="air"), WorkIsTime())), N, down={})
        assert len(list(simulate_load(repeated, load, down={}, streams=streams.batch(0, N)))) == N
        assert n_batches() == n_before
    finally:
        gc.enable()


def close(found, wanted):
    return pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True) == found


def assert_equal(found, traces):
    for own, wanted in zip(found, traces, strict=True):
        if own is None:
            continue
        assert (own.from_s, len(own.records)) == (wanted.from_s, len(wanted.records))
        assert close(own.to_s, wanted.to_s)
        assert close(own.idle_share_j, wanted.idle_share_j)
        for column in ("outcome", "input_byte", "intermediate_byte", "result_byte", "plan"):
            assert getattr(own.records, column).tolist() == getattr(wanted.records, column).tolist()
        everywhere = np.arange(len(own.records))
        assert own.records.lost(everywhere) == wanted.records.lost(everywhere)
        for column in ("released_s", "latency_s", "energy_j"):
            assert close(getattr(own.records, column).tolist(), getattr(wanted.records, column).tolist())
        for one, other in zip(own.resources, wanted.resources, strict=True):
            assert (one.resource_id, one.kind, one.n_arrived) == (other.resource_id, other.kind, other.n_arrived)
            assert (one.resource_id, one.peak_memory_byte) == (other.resource_id, other.peak_memory_byte)
            assert close(one.utilisation, other.utilisation)
            assert close(one.n_waiting, other.n_waiting)
            assert close(one.n_present, other.n_present)


LOADS = {
    "alone": Load(ClosedLoop(think_time_s=0.003), requests=6),
    "at once": Load(ClosedLoop(), requests=6),
    "clients": Load(ClosedLoop(clients=3, think_time_s=0.001), requests=9),
    "seldom": Load(Periodic(0.05, 0.01), requests=6),
    "often": Load(Periodic(0.0041), requests=12),
    "too often": Load(Periodic(0.001), requests=12),
    "random": Load(Poisson(150.0), requests=12),
    "warm": Load(Poisson(150.0), requests=12, warm_up_s=0.04),
    "until": Load(Poisson(150.0), horizon_s=0.06, warm_up_s=0.01),
    "recorded": Load(Recorded((1.0, 1.004, 1.004, 1.06), start="first")),
    "cut": Load(Periodic(0.0041), horizon_s=0.0205),
}
MORE = {name: CASES[name] for name in ("nothing", "losses", "packets", "devices", "slow", "all")}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("failures", MORE.values(), ids=MORE)
@pytest.mark.parametrize("medium", [None, "air"])
@pytest.mark.parametrize(("deadline_s", "waits_s"), [(None, None), (0.05, 0.02)])
def test_students_in_a_star(load, failures, medium, deadline_s, waits_s):
    by_packets = Arq(2) if waits_s is None else Tcp(1, timeout_s=0.002)
    topology = star(medium=medium, transport=by_packets if failures is MORE["packets"] else None)
    program = compile_plan(students(deadline_s=waits_s), topology, WorkIsTime())
    assert obstacle(program) == obstacle_of_load(program, load) == ""
    found, traces = both(program, topology, failures, load, deadline_s=deadline_s)
    assert_equal(found, traces)
    if (
        not failures and load.horizon_s is None
    ):  # to the last bit, so that trials of both engines that are alike are so for statistics
        for own, wanted in ((own, wanted) for own, wanted in zip(found, traces, strict=True) if own is not None):
            assert own.records.energy_j.tolist() == wanted.records.energy_j.tolist()
            assert own.records.latency_s.tolist() == wanted.records.latency_s.tolist()
            assert [one.utilisation for one in own.resources] == [one.utilisation for one in wanted.resources]
    has_packets, is_slowed = failures is MORE["packets"], "slow" in failures
    is_alone = load is LOADS["seldom"] or (load in (LOADS["alone"], LOADS["at once"]) and not (has_packets and waits_s))
    is_overtaken = failures and (waits_s or has_packets)  # a request that waits, by one behind it
    if medium is None and (is_alone or not (is_slowed or is_overtaken)):
        assert sum(trace is not None for trace in found) >= 0.8 * N


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (Load(ClosedLoop(), horizon_s=1.0), "not known how many"),
        (Load(Periodic(1.0), requests=3, admission_limit=1), "admitted"),
    ],
    ids=["number", "limit"],
)
def test_says_what_load_it_cannot_do(load, text):
    assert text in obstacle_of_load(compile_plan(students(), star(), WorkIsTime()), load)


def test_marks_trials_in_which_the_next_client_is_another():
    """Of two clients the second one's request is lost first, so that it asks again before the first, whose request is answered."""
    program, topology = compile_plan(students(1), star(1), WorkIsTime()), star(1)
    load, failures = Load(ClosedLoop(2), requests=3), {"loss": Bernoulli(0.5, links="hub->*")}
    found, traces = both(program, topology, failures, load)
    assert_equal(found, traces)
    is_other = [trace.records[1].outcome == "failed" != trace.records[0].outcome for trace in traces]
    assert 0 < sum(is_other) < N
    assert [trace is None for trace in found] == is_other


def test_marks_trials_in_which_a_request_comes_when_its_device_gets_work():
    """The third request comes at the moment at which the hub begins to merge the first, and was planned behind that: it waits, which nobody can tell."""
    links = tuple(Link(f"{a}->{b}", a, b, 8 * 100 * 2.0**10) for a, b in (("hub", "w0"), ("w0", "hub")))
    topology = Topology((Device("hub", PROFILE), Device("w0", PROFILE)), links)
    steps = (
        Compute("in", "hub"),
        Transfer("send", "hub", "w0", 100, "x", "input", ("in",)),
        Compute("run", "w0", work(TICK), ("send",)),
        Transfer("give", "w0", "hub", 100, "y", "result", ("run",)),
        Compute("merge", "hub", work(TICK), ("give",)),
    )
    program = compile_plan(Plan(steps, "merge", {}), topology, WorkIsTime())
    found, traces = both(program, topology, {}, Load(Recorded((0.0, 2.5 * TICK, 3 * TICK))))
    assert traces[0].records[2].latency_s == 5 * TICK
    assert found == [None] * N
    found, traces = both(program, topology, {}, Load(Recorded((0.0, 2.5 * TICK, 3.5 * TICK))))
    assert_equal(found, traces)
    assert None not in found


@settings(deadline=None, max_examples=100)
@given(data=st.data(), is_on_grid=st.booleans())
def test_random_plans(data, is_on_grid):
    """As the single requests of `test_arrays`, with loads so slow that requests are alone and so quick that they meet."""
    times = GRID if is_on_grid else ANY
    topology = data.draw(networks(times))
    plan = data.draw(plans(topology, times))
    sizes = st.sampled_from([0, 100, 100, 300])
    steps = [replace(s, activation_byte=data.draw(sizes)) if isinstance(s, Compute) else s for s in plan.steps]
    program = compile_plan(replace(plan, steps=tuple(steps)), topology, WorkIsTime())
    tick_s = times["tick_s"]
    arrivals = data.draw(
        st.sampled_from(
            [ClosedLoop(), ClosedLoop(2), ClosedLoop(1, tick_s), ClosedLoop(3, 2 * tick_s)]
            + [Periodic(n * tick_s) for n in (1, 4, 16, 64)]
            + [Poisson(1 / (n * tick_s)) for n in (4, 16)]
        )
    )
    horizon_s = data.draw(st.sampled_from([None, None, 8 * tick_s, 50.3 * tick_s]))
    load = Load(
        arrivals, data.draw(st.sampled_from([1, 2, 6])), horizon_s, data.draw(st.sampled_from([0.0, 5 * tick_s]))
    )
    if obstacle(program) or obstacle_of_load(program, load):
        return
    failures = CASES[data.draw(st.sampled_from(sorted(CASES)))]
    failures = {k: m for k, m in failures.items() if not isinstance(m, (ExactlyK, CommonCause))}
    if data.draw(st.booleans()):
        failures["lost"] = CommonCause(0.3, 0.0, data.draw(st.sampled_from(["w*", "w*->w*"])))
    if data.draw(st.booleans()):
        failures["off"] = OnOff(30 * tick_s, 30 * tick_s, data.draw(st.sampled_from(["w*", "w*->w*"])))
    deadline_s = data.draw(st.sampled_from([None, None, 20 * tick_s]))
    assert_equal(*both(program, topology, failures, load, deadline_s=deadline_s, seed=data.draw(st.integers(0, 9))))
