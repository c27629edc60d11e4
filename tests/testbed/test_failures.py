"""Losses and outages of the scenario, simulated and brought about: the same messages are missing, and the answers are those without them."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import replace
from math import inf, nan

import pytest

from edgesim.domain.records import Outage
from edgesim.domain.system.links import Link
from edgesim.domain.system.topology import Device, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import ExecutionError
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.jitter import Jitter
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.sampling.draw import draw_outages, draw_renewals, loss_models
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.failures.stragglers import LogNormal
from edgesim.network.transport import Arq, Datagram
from edgesim.rng import Streams
from edgesim.strategies.modnn import MoDNN
from edgesim.study.trials.deliveries import lost_in
from edgesim.testbed.bundle import bundled
from edgesim.testbed.comparison import compare, measure
from edgesim.testbed.course.director import Director
from edgesim.testbed.course.fate import Fate, intervals, meets
from edgesim.testbed.course.simulated import Simulated, check_failures, simulated
from edgesim.testbed.loopback import Loopback
from edgesim.testbed.prepared import PreparedStrategy
from edgesim.testing import deployment_context
from tests.strategies.conftest import noise_dataset, profile, small_network
from tests.testbed.conftest import state, until


def made(failures, strategy=None, **more):
    """Three devices with slow links; the owner waits for no layer longer than 300 ms, which is longer than messages take."""
    names = "abc"
    links = tuple(
        Link(f"{one}->{two}", one, two, 400e3, 0.002, mtu_byte=100, **more)
        for one in names
        for two in names
        if one != two
    )
    topology = Topology(tuple(Device(name, profile(0.1)) for name in names), links)
    context = deployment_context(small_network(), noise_dataset((1, 8, 8)), topology, source_id="a", sink_id="a")
    deployment = (strategy or MoDNN("a", on_missing="degrade", step_deadline_s=0.3)).deploy(context)
    return PreparedStrategy("twin", deployment, context, bundled(deployment, context.dataset.test[:1].inputs), failures)  # fmt: skip


LOSSES = {"losses": PacketBernoulli(0.1)}
STOPPED = {"stopped": ExactlyK(1, "[bc]")}
FLAKY = {"flaky": OnOff(0.4, 0.2, "[bc]")}
"""Up for 400 ms and down for 200 ms in the mean: several times in a request that waits for its deadlines."""


class Again:
    """Down, up and down again: both far from whatever a message meets."""

    def renewals(self, topology, streams):
        return {
            "b": iter([Outage("b", 0.0, 0.2), Outage("b", 0.5, 0.7)]), "c": iter([Outage("c", 0.15, 0.5), Outage("c", 9.0, 9.5)]),
        }  # fmt: skip


@pytest.mark.parametrize("failures", [LOSSES, STOPPED, {**LOSSES, **STOPPED}, FLAKY])
def test_request_r_meets_what_replication_r_of_a_study_does(failures):
    one = made(failures)
    plan, topology = one.bundle.plan, one.context.topology
    program = compile_plan(plan, topology, one.context.compute)
    found = simulated(plan, one.context, failures, 12)
    for number, course in enumerate(found):
        streams = Streams(one.context.seed).replication(number)
        [record] = simulate(
            program, outages=draw_outages(failures, topology, streams), renewals=draw_renewals(failures, topology, streams),
            losses=loss_models(failures, topology), streams=streams,
        )  # fmt: skip
        assert (course.lost, course.latency_s) == (lost_in(plan, record.lost), record.latency_s)
    assert len({course.lost for course in found}) > 1


@pytest.mark.parametrize(
    ("failures", "more"),
    [(LOSSES, {}), (STOPPED, {}), ({"again": Again()}, {}), ({**LOSSES, **STOPPED}, {"transport": Datagram()})],
)
def test_the_same_messages_are_missing_and_answers_are_those_without_them(failures, more):
    twin = made(failures, **more)
    measured = measure(twin, Loopback(5), tolerance=1.0)
    found = compare(measured, tolerance=1.0)
    assert (found.n_equal_sets, found.n_equal_answers) == (5, 5)
    assert found.measured_byte == found.simulated_byte < sum(one.size_byte for one in twin.bundle.plan.transfers)
    assert found.n_degraded > 0
    assert found.mean_s >= found.simulated_s > 0.3  # it waited for its deadline


def test_a_request_without_an_answer_has_none_here_either():
    """Who waits for a message that is lost waits for ever."""
    twin = made({"losses": Bernoulli(0.1)}, MoDNN("a"))
    courses = simulated(twin.bundle.plan, twin.context, twin.failures, 6)
    n_answered = sum(course.is_answered for course in courses)
    assert 0 < n_answered < 6
    measured = measure(twin, Loopback(6), tolerance=1.0)
    found = compare(measured, tolerance=1.0)
    assert len(measured.latencies_s) == n_answered
    assert (found.n_equal_sets, found.n_equal_answers) == (6, 6)


def test_a_straggler_takes_as_long_as_drawn_and_jitter_delays():
    twin = made({"slow": LogNormal(0.3, 1.5, "b"), "jitter": Jitter(0.01)})
    courses = simulated(twin.bundle.plan, twin.context, twin.failures, 3)
    of_b = {step.step_id for step in twin.bundle.plan.computes if step.device_id == "b"}
    assert courses[0].fate.durations_s.keys() == of_b & courses[0].ended_s.keys()
    assert courses[0].fate.waits_s.keys() == twin.bundle.plan.transfer_ids
    found = compare(measure(twin, Loopback(3), tolerance=1.0), tolerance=1.0)
    assert (found.n_equal_sets, found.n_equal_answers) == (3, 3)


def resuming(end_s):
    """Who computes its first layers from 7 to 550 ms, and is down for a while from 200 ms on."""
    failures = {"down": Scripted((ScriptedOutage("b", 0.2, end_s),))}
    twin = made(failures, MoDNN("a", workers="b", on_missing="degrade", step_deadline_s=2.0))
    devices = tuple(
        replace(device, profile=profile(1e-5), on_outage="resume") for device in twin.context.topology.devices
    )
    context = replace(twin.context, topology=replace(twin.context.topology, devices=devices))
    return replace(twin, context=context)


def test_a_device_that_resumes_goes_on_with_what_is_left():
    """It rests for 200 ms, and the request takes just as much longer; one that is down for ever loses what it had."""
    plain, twin, lost = resuming(0.2000001), resuming(0.4), resuming(inf)
    (usual,), (longer,), (never,) = (
        simulated(one.bundle.plan, one.context, one.failures, 1) for one in (plain, twin, lost)
    )
    assert usual.ended_s["0/compute/b"] > 0.4
    assert longer.latency_s == pytest.approx(usual.latency_s + 0.2, abs=1e-5)
    assert not longer.lost
    assert not longer.fate.durations_s
    assert not never.fate.durations_s
    assert "0/gather/b" in never.lost
    found = compare(measure(twin, Loopback(2), tolerance=1.0), tolerance=1.0)
    assert (found.n_equal_sets, found.n_equal_answers) == (2, 2)
    assert found.mean_s >= found.simulated_s


class _Alone:
    """A node of which only the process matters."""

    def __init__(self, process):
        self.processes = {"a": process}


def disturbed(process, *outages):
    """What meets a request while a process is device a."""
    course = Simulated(nan, {}, frozenset(), 0.1, Fate(outages=outages))
    director = Director(made({}).bundle.plan, {}, _Alone(process))
    return director._disturbed(course, time.monotonic())


def test_a_device_that_is_down_is_a_process_that_is_stopped():
    """It goes on with the next request."""
    with subprocess.Popen(["sleep", "300"]) as process:
        try:
            with disturbed(process, Outage("a", 0.05)):
                assert until(lambda: state(process.pid) == "T", 60.0)
            assert until(lambda: state(process.pid) == "S", 60.0)
        finally:
            process.kill()


class _Silent:
    """A node that says nothing for a while, and then what it is to say; this process was stopped meanwhile, so that none of its waits is long."""

    def __init__(self, n_waits):
        self.processes = {"a": None}
        self.said = (
            [None] * n_waits
            + [("a", {"told": 3})]
            + [None] * n_waits
            + [("a", {"answer": 3, "at_s": 5.0, "values": [1.0]})]
        )

    def tell(self, device_id, **document):
        """Hear it."""

    def listen(self, until_s):
        return self.said.pop(0)


def test_time_in_which_this_process_is_stopped_does_not_count_against_nodes():
    """A stopped process finds its patience over when it goes on, and what nodes say not yet read."""
    twin = made({})
    (course,) = simulated(twin.bundle.plan, twin.context, {}, 1)
    hops_of = {transfer.step_id: [[]] for transfer in twin.bundle.plan.transfers}
    found = Director(twin.bundle.plan, hops_of, _Silent(100)).ask(3, course)
    assert (found.answered_s, found.values) == (5.0, [1.0])
    with pytest.raises(ExecutionError, match="the answer to request 3 did not come in time"):
        Director(twin.bundle.plan, hops_of, _Silent(1000)).ask(3, course)


class _Signalled:
    """A process that notes what it is told, and when."""

    def __init__(self):
        self.signals = []

    def send_signal(self, number):
        self.signals.append((number, time.monotonic()))


def test_a_device_goes_on_when_it_is_up_again():
    process = _Signalled()
    begun_s = time.monotonic()
    with disturbed(process, Outage("a", 0.05, 0.1), Outage("b", 0.0, 0.2)):
        assert until(lambda: len(process.signals) == 2, 60.0)
    numbers, moments_s = zip(*process.signals, strict=True)
    assert numbers == (signal.SIGSTOP, signal.SIGCONT, signal.SIGCONT)
    assert moments_s[0] >= begun_s + 0.05
    assert moments_s[1] >= begun_s + 0.1


def test_intervals_are_half_open():
    down = intervals((Outage("a", 1.0, 2.0), Outage("b")), "a", 10.0)
    assert down == [[11.0, 12.0]]
    assert intervals((Outage("b"),), "b", 10.0) == [[10.0, None]]
    assert [meets(down, *times) for times in ((10.0, 11.0), (11.0, 11.0), (12.0, 13.0), (11.9, 12.5))] == [
        None,
        11.0,
        None,
        11.9,
    ]


def test_failures_that_processes_cannot_meet_are_refused():
    one = made({})
    plan, topology = one.bundle.plan, one.context.topology

    def check(failures, topology=topology, *, has_recovery=False):
        check_failures(plan, topology, failures, has_recovery=has_recovery)

    check(LOSSES)
    check({})
    with pytest.raises(ExecutionError, match="leave out recoveries"):
        check(LOSSES, has_recovery=True)
    outage = {"down": Scripted((ScriptedOutage("b", 0.0, 1.0),))}
    check(outage)
    resuming = replace(topology, links=tuple(replace(link, on_outage="resume") for link in topology.links))
    with pytest.raises(ExecutionError, match=r"link 'a->.' resumes after an outage"):
        check(outage, resuming)
    again = made(LOSSES, transport=Arq())
    with pytest.raises(ExecutionError, match="sends lost packets again"):
        measure(again, Loopback(3), tolerance=1.0)
