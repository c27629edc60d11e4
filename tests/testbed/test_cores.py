"""What it adds to a request that devices share the cores of this machine: by hand, and refused where it is too much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Stay
from edgesim.domain.system.topology import HostOverhead
from edgesim.errors import ExecutionError
from edgesim.strategies.modnn import MoDNN
from edgesim.testbed.comparison import Measured, check_machine, compare, shared_s
from edgesim.testbed.loopback import Loopback
from edgesim.testbed.outcome.cores import sharing_s, spans_of
from tests.testbed.test_loopback import made, taking


def test_things_that_cores_suffice_for_add_nothing():
    assert sharing_s([(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)], 2) == 0.0
    assert sharing_s([], 1) == 0.0


def test_four_things_on_two_cores_take_twice_as_long():
    """And on one core four times: behind by three times what each takes."""
    four = [(0.5, 0.6)] * 4
    assert sharing_s(four, 2) == pytest.approx(0.1)
    assert sharing_s(four, 1) == pytest.approx(0.3)


def test_devices_work_while_they_compute_and_handle_messages_and_not_while_they_pace():
    """The computation takes 5 ms of the 40 ms of its device; the message occupies both devices for 1 ms, and its link is none of the machine's work."""
    plan = Plan(
        (Compute("work", "a", ()), Transfer("message", "a", "b", 10, "features", "intermediate", ("work",)), Compute("end", "b", (), ("message",))), "end", {}
    )  # fmt: skip
    stays = [
        Stay("a", 0, "work", 0.0, 0.0, 0.040), Stay("a", 0, "message", 0.040, 0.040, 0.041), Stay("a->b", 0, "message", 0.041, 0.041, 0.060),
        Stay("b", 0, "message", 0.060, 0.060, 0.061), Stay("b", 0, "end", 0.061, 0.061, 0.062),
    ]  # fmt: skip
    assert spans_of(plan, stays, {"work": 0.005, "end": 0.002}) == [
        (0.0, 0.005),
        (0.040, 0.041),
        (0.060, 0.061),
        (0.061, 0.063),
    ]


def halves():
    """Two devices that compute halves of each layer at the same time: the other one's input comes late over 16 kbit/s."""
    return made(MoDNN("a", owner_computes=True))


def test_a_chain_never_shares_and_halves_do(monkeypatch):
    """Of one core, as long as both compute: each takes 1 s here, and begins when its input has come."""
    monkeypatch.setattr("edgesim.testbed.comparison.n_cpus", lambda: 1)
    chain, both = made(), halves()
    assert shared_s(chain, dict.fromkeys((step.step_id for step in chain.bundle.plan.computes), 1e-4)) == 0.0
    real_s = {step.step_id: 1.0 if step.step_id.startswith("0/compute/") else 0.0 for step in both.bundle.plan.computes}
    late_s = next(
        link.latency_s + link.occupation_s(transfer.size_byte)
        for transfer in both.bundle.plan.transfers
        for link in both.context.topology.links
        if transfer.step_id == "0/scatter/b" and link.dst_id == "b"
    )
    assert shared_s(both, real_s) == pytest.approx(1.0 - late_s)
    monkeypatch.setattr("edgesim.testbed.comparison.n_cpus", lambda: 2)
    assert shared_s(both, real_s) == 0.0


def test_an_overhead_counts_as_work_and_its_least_computation_too(monkeypatch):
    monkeypatch.setattr("edgesim.testbed.comparison.n_cpus", lambda: 1)
    both = halves()
    nothing = dict.fromkeys((step.step_id for step in both.bundle.plan.computes), 0.0)
    one = nothing | {"0/compute/a": 1.0}
    assert shared_s(both, nothing) == shared_s(both, one) == 0.0
    assert shared_s(both, one, HostOverhead(0.1)) > 0.199  # b reads and sends a message while a computes
    assert shared_s(both, nothing, HostOverhead(0.0, least_computation_s=0.5)) > 0.1
    assert shared_s(both, {}, HostOverhead(0.3)) == 0.0


def test_too_few_cores_are_refused_before_and_make_no_verdict_afterwards(monkeypatch):
    """What the scenario says of its devices is known before; what is fitted is not."""
    monkeypatch.setattr("edgesim.testbed.comparison.n_cpus", lambda: 1)
    both = halves()
    busy = tuple(
        replace(device, host_overhead=HostOverhead(0.0, least_computation_s=0.5))
        for device in both.context.topology.devices
    )
    topology = replace(both.context.topology, devices=busy)
    busy_too = replace(both, context=replace(both.context, topology=topology))
    with pytest.raises(
        ExecutionError,
        match=r"strategy 'twin': its devices compute, send and receive at the same time.*take fewer devices",
    ):
        check_machine(busy_too, Loopback(2), 0.05, is_paced=True)
    real_s = check_machine(both, Loopback(2), 0.05, is_paced=True)
    measured = Measured(both, taking(0.2), real_s=real_s)
    assert compare(measured, 1e3).verdict == "agrees"
    fitted = compare(measured, 0.01, HostOverhead(0.0, least_computation_s=0.5))
    assert (fitted.verdict, fitted.sharing_s) == (
        "too few cores",
        pytest.approx(shared_s(both, real_s, HostOverhead(0.0, least_computation_s=0.5))),
    )
