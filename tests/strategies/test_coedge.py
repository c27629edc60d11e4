"""Shares of least energy under a deadline: CoEdge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError
from edgesim.strategies.modnn import MoDNN
from edgesim.strategies.shares.alone import alone
from edgesim.strategies.shares.coedge import CoEdge, Search
from edgesim.testing import check_strategy


def drawn(rng: np.random.Generator, n_workers: int, *, has_medium: bool) -> Topology:
    """A hub and workers with random speeds, powers and links."""

    def device(name: str) -> Device:
        speed, idle_w = 10 ** rng.uniform(5.5, 7.5), rng.uniform(0, 2)
        powers = idle_w + rng.uniform(0, 4, 3)
        rates = dict.fromkeys(("conv", "depthwise", "linear", "other"), speed)
        return Device(name, DeviceProfile(name, rates, 10 * speed, 1e-5, 2**30, idle_w, *powers, "assumed"))

    names = [f"w{number}" for number in range(1, n_workers + 1)]
    cell = "cell" if has_medium else None
    links = [
        Link(f"{a}->{b}", a, b, 10 ** rng.uniform(5.5, 7.5), 1e-4, 1e-4, medium_id=cell)
        for a in ("hub", *names)
        for b in ("hub", *names)
        if a != b
    ]
    return Topology(tuple(map(device, ("hub", *names))), tuple(links), (Medium("cell"),) if has_medium else ())


def test_the_deadline_holds_or_is_said_infeasible_and_energy_is_no_worse_than_equal_shares(make_context):
    """16 random small cases, simulated: latency, and energy against equal shares where these are in time."""
    rng = np.random.default_rng(3)
    n_cheaper, refused = 0, []
    for case in range(16):
        topology = drawn(rng, int(rng.integers(1, 4)), has_medium=bool(case % 2))
        context = replace(make_context(), topology=topology)

        def simulated(strategy, context=context, topology=topology):
            plan = strategy.deploy(context).plan
            return simulate(compile_plan(plan, topology, Roofline()))[0], plan

        proportional, plan = simulated(MoDNN("hub", owner_computes=True, execution="halo"))
        assert alone(plan, topology, Roofline()).latency_s == pytest.approx(proportional.latency_s, rel=1e-9)
        assert alone(plan, topology, Roofline()).energy_j == pytest.approx(proportional.energy_j, rel=1e-9)
        deadline_s = proportional.latency_s * rng.uniform(0.3, 2.0)
        try:
            deployment = CoEdge("hub", deadline_s=deadline_s).deploy(context)
        except PlanError as error:
            refused.append((str(error), deadline_s < proportional.latency_s))
            continue
        found, _ = simulated(CoEdge("hub", deadline_s=deadline_s))
        assert found.latency_s <= deadline_s * (1 + 1e-9)
        equal = deployment.describe()["equal_shares"]
        if equal["latency_s"] <= deadline_s:
            assert found.energy_j <= equal["energy_j"] * (1 + 1e-9)
            n_cheaper += found.energy_j < 0.95 * equal["energy_j"]
    assert all("no shares answer within" in text and is_short for text, is_short in refused)
    assert 2 <= len(refused) <= 10
    assert n_cheaper >= 2


def test_equal_shares_are_those_of_modnn_on_equal_devices(make_context):
    """The first candidate, on devices of one speed, is modnn's halo plan."""
    context = make_context((1.0, 1.0))
    plan = MoDNN("hub", owner_computes=True, execution="halo").deploy(context).plan
    network = CoEdge("hub").deploy(context).network
    assert next(Search(context, "hub", ("hub", "w1", "w2"), network).candidates(None)).plan == plan


@pytest.mark.parametrize(("source_id", "sink_id"), [("hub", "hub"), ("w2", "w3")])
def test_conforms(make_context, source_id, sink_id):
    """The contract holds, and there is no answer without a message."""
    context = make_context(source_id=source_id, sink_id=sink_id)
    context = replace(context, topology=drawn(np.random.default_rng(1), 3, has_medium=False))
    check_strategy(CoEdge("hub", deadline_s=1.0), context)
    deployment = CoEdge("hub", "w1", deadline_s=1.0).deploy(context)
    for transfer in deployment.plan.transfers:
        with pytest.raises(PlanError, match="no answer without"):
            deployment.predict(Delivery(frozenset({transfer.step_id})))


def test_a_loose_deadline_leaves_the_work_where_it_is_cheapest(make_context):
    """A hub that takes 9 W more while it computes, for free links: a worker that takes 1 W does it all, unless time is short."""
    context = make_context((1.0,))
    hub, worker = context.topology.devices
    links = tuple(replace(link, bandwidth_bit_per_s=1e12) for link in context.topology.links)
    dear = replace(hub, profile=replace(hub.profile, busy_w=10.0))
    cheap = replace(worker, profile=replace(worker.profile, busy_w=2.0, transmit_w=1.0, receive_w=1.0))
    context = replace(context, topology=Topology((dear, cheap), links))
    loose = CoEdge("hub", deadline_s=10.0).deploy(context)
    assert all(box.keys() == {"w1"} for box in loose.describe()["boxes"].values())
    need_s = loose.describe()["alone"]["latency_s"]
    tight = CoEdge("hub", deadline_s=0.8 * need_s).deploy(context)
    assert any(box.keys() == {"hub", "w1"} for box in tight.describe()["boxes"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"owner": "w9"}, "no device 'w9'"),
        ({"owner": "hub", "workers": "hub"}, "matches no device but the owner"),
        ({"owner": "hub", "deadline_s": 0.0}, "is no time to answer in"),
        ({"owner": "hub", "deadline_s": 1e-9}, "no shares answer within 1 ns, the fastest found take .*give more time"),
    ],
)
def test_what_cannot_be_is_refused(make_context, options, message):
    """Each with what is wrong and what to do."""
    with pytest.raises(PlanError, match=message):
        CoEdge(**options).deploy(make_context())


@pytest.mark.parametrize(
    "changes",
    [{"sharing": "fair"}, {"first_message_s": 0.1}, {"burst_byte": 100}],
)
def test_a_deadline_that_cannot_be_promised_is_refused(make_context, changes):
    """Where latencies are not what the search sees; without a deadline the shares are what they are."""
    context = make_context((1.0,))
    links = tuple(replace(link, **changes) for link in context.topology.links)
    context = replace(context, topology=Topology(context.topology.devices, links))
    with pytest.raises(PlanError, match="cannot be promised on link 'hub->w1'"):
        CoEdge("hub", deadline_s=10.0).deploy(context)
    assert CoEdge("hub").deploy(context).plan.computes
