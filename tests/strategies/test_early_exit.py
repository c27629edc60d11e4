"""Early exits: who leaves where, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.training import Training
from edgesim.domain.system.topology import Link, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError
from edgesim.nn.chains.exits import train_exits
from edgesim.nn.train.cache import NetworkCache
from edgesim.strategies.exits.early_exit import EarlyExit, entropy, exits_of
from edgesim.testing import check_bundle, check_strategy, deployment_context
from tests.strategies.conftest import star

EARLY = EarlyExit(("w1", "w2", "hub"), ("relu1", "relu2"), 0.5, Training(epochs=4))


@pytest.fixture(scope="module")
def context(teacher, teacher_model, digits):
    """The digits at w1, in a mesh of three."""
    found = deployment_context(
        teacher.network, digits, star([1.0, 2.0]), source_id="w1", sink_id="hub",
        filter_layer=teacher_model.filter_layer(), network_key=teacher.key, seed=1,
    )  # fmt: skip
    names = [device.device_id for device in found.topology.devices]
    links = tuple(Link(f"{a}->{b}", a, b, 1e7) for a in names for b in names if a != b)
    return replace(found, topology=Topology(found.topology.devices, links))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
def test_conforms(context, threshold):
    """The contract of strategies; with 0 all go to the end, with 1 none goes on."""
    strategy = replace(EARLY, threshold=threshold)
    check_strategy(strategy, context, is_exact=False)
    deployment = strategy.deploy(context)
    shares = deployment.describe()["test_share_by_exit"]
    assert sum(shares) == pytest.approx(1.0)
    if threshold != 0.3:
        assert shares == ([0.0, 0.0, 1.0] if threshold == 0 else [1.0, 0.0, 0.0])
        assert len(deployment.plans) == 1
        check_bundle(deployment, context.dataset.test)
    else:
        assert min(shares) > 0
        assert len(deployment.plans) == 3
        with pytest.raises(PlanError, match="some samples leave early-exit at one device and some at another"):
            deployment.kernels()


def test_who_leaves_where_is_that_of_the_modules(context):
    """Sample by sample: layers, exit, entropy by its definition; answers are those of the exit where it left."""
    deployment = replace(EARLY, threshold=0.3).deploy(context)
    chain, _ = train_exits(
        context.network, context.network_key, context.dataset, EARLY.cuts, EARLY.training, seed=1,
        progress=context.progress, cache=NetworkCache.default(),
    )  # fmt: skip
    values = torch.from_numpy(context.dataset.test.only[:60])
    with torch.inference_mode():
        for position in range(60):
            tensor, expected = values[position : position + 1], 2
            for number in range(3):
                tensor = chain.segments[number](tensor)
                said = tensor if number == 2 else chain.exits[number](tensor)
                p = torch.softmax(said, 1)
                if number < 2 and float(-(p * p.log()).sum() / np.log(10)) <= 0.3:
                    expected = number
                    break
            assert deployment.plan_of_sample[position] == expected
            assert np.allclose(deployment.answers[position], said[0].numpy(), atol=1e-4)


def test_the_plans_by_hand(context):
    """Who leaves first sends the answer alone; who goes on sends 32 maps of 8 x 8 at each cut, to whom each is next."""
    plans = replace(EARLY, threshold=0.3).deploy(context).plans
    sent = [[(t.step_id, t.src_id, t.dst_id, t.size_byte) for t in plan.transfers] for plan in plans]
    first, second = ("behind relu1", "w1", "w2", 8192), ("behind relu2", "w2", "hub", 8192)
    assert sent == [[("answer of w1", "w1", "hub", 40)], [first, ("answer of w2", "w2", "hub", 40)], [first, second]]
    latencies_s = [simulate(compile_plan(plan, context.topology, Roofline()))[0].latency_s for plan in plans]
    assert latencies_s == sorted(latencies_s)
    work = [sum(w.work_flop for step in plan.computes for w in step.work) for plan in plans]
    exits_flop = 2 * (
        2 * 512 * 10
    )  # two linear layers on 32 maps of 4 x 4 besides the network itself, and their means and biases
    assert work[2] == pytest.approx(context.graph.work_flop + exits_flop, rel=0.01)


def test_a_lost_message_leaves_its_samples_without_an_answer(context):
    """Those that left before keep theirs, the others get the guess, whoever asked; where all go on, there is no answer."""
    deployment = replace(EARLY, threshold=0.3).deploy(context)
    lost = frozenset({"behind relu2"})
    whole, found = deployment.predict(Delivery()), deployment.predict(Delivery(lost, plan=1))
    is_last = np.array(deployment.plan_of_sample) == 2
    assert np.array_equal(found[~is_last], whole[~is_last])
    assert (found[is_last] == context.dataset.task.guess(context.dataset.train.targets)).all()
    assert np.array_equal(deployment.predict(Delivery(lost, plan=2)), found)
    with pytest.raises(PlanError, match="no answer without transfer 'behind relu1'"):
        replace(EARLY, threshold=0.0).deploy(context).predict(Delivery(frozenset({"behind relu1"})))


def test_exits_by_entropy():
    """Of four classes: sure, undecided between two (half the entropy), and no idea."""
    answers = np.array([[50.0, 0, 0, 0], [50.0, 50.0, 0, 0], [0.0, 0, 0, 0]], np.float32)
    assert entropy(answers) == pytest.approx([0.0, 0.5, 1.0], abs=1e-9)
    last = np.zeros((3, 4), np.float32)
    assert exits_of([answers, last], 0.49).tolist() == [0, 1, 1]
    assert exits_of([answers, last], 0.51).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": ("w1", "w9", "hub")}, "no device 'w9'"),
        ({"devices": ("w1", "w1", "hub")}, "named twice"),
        ({"cuts": ("relu1",)}, "3 devices need 2 cuts, not 1"),
        ({"cuts": ("relu1", "relu9")}, "no layer 'relu9'"),
    ],
)
def test_what_makes_no_chain_is_refused(context, options, message):
    """Each with what is wrong."""
    with pytest.raises(PlanError, match=message):
        replace(EARLY, **options).deploy(context)
