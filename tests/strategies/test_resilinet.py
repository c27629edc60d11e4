"""Chains with connections past devices: what each device reads when others fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.training import Training
from edgesim.domain.system.topology import Link, Topology
from edgesim.errors import PlanError
from edgesim.nn.chains.segments import segments_of
from edgesim.nn.chains.skipping import SkippingChain, skip_between
from edgesim.strategies.layers.resilinet import ResiliNet
from edgesim.testing import check_strategy

DEVICES, CUTS = ("w1", "w2", "w3", "hub"), ("3", "5", "8")
BRIEF = Training(epochs=2)


@pytest.fixture
def context(make_context):
    """The small network in a mesh: past a device there must be a way."""
    found = make_context((1.0, 1.0, 2.0))
    names = [device.device_id for device in found.topology.devices]
    links = tuple(Link(f"{a}->{b}", a, b, 1e7) for a in names for b in names if a != b)
    return replace(found, topology=Topology(found.topology.devices, links))


@pytest.mark.parametrize("options", [{}, {"deadline_s": 0.1}, {"deadline_s": 0.1, "join": "add", "survival": 1.0}])
@pytest.mark.parametrize("source_id", ["hub", "w1"])
def test_conforms(context, options, source_id):
    """The contract of strategies; the network is another one than the undivided."""
    strategy = ResiliNet(DEVICES, CUTS, training=BRIEF, **options)
    check_strategy(strategy, replace(context, source_id=source_id), is_exact=False)


@pytest.mark.parametrize("join", ["mux", "add"])
def test_what_a_failed_device_leaves(context, join):
    """By hand from the modules: past w2 and past w3 goes what was before them; w3 and hub read the sum of both with add."""
    strategy = ResiliNet(DEVICES, CUTS, 0.1, join, 0.5, BRIEF)
    deployment = strategy.deploy(context)
    one, two, three, four = deployment.chain.segments
    past_two, past_three = deployment.chain.skips
    is_sum = join == "add"
    with torch.no_grad():
        first = one(torch.from_numpy(context.dataset.test.inputs["images"]))
        second = two(first)
        third = three(second + past_two(first) if is_sum else second)
        without_two = three(past_two(first))
        expected = {
            (): four(third + past_three(second) if is_sum else third),
            ("w2",): four(without_two),
            ("w3",): four(past_three(second)),
            ("w2", "w3"): four(torch.zeros_like(third)),
        }
    for failed, answers in expected.items():
        lost = frozenset(
            name
            for name in deployment.plan.transfer_ids
            if name.split("/")[0] in failed or name.split("/")[-1] in failed
        )
        assert deployment.predict(Delivery(lost)) == pytest.approx(answers.numpy(), abs=1e-5), failed


def test_plan_by_hand(context):
    """Tensors of 4 x 4 x 4, 6 x 4 x 4 and 10 numbers; the first two go past a device too, to the one that computes the connection."""
    plan = ResiliNet(DEVICES, CUTS, 0.1, training=BRIEF).deploy(context).plan
    assert {step.step_id: step.size_byte for step in plan.transfers} == {
        "input": 256, "w1/next/w2": 256, "w2/next/w3": 384, "w1/past/w3": 256, "w3/next/hub": 40, "w2/past/hub": 384,
    }  # fmt: skip
    assert plan.weight_byte["w3"] == 4 * (4 * 6 + 96 * 10 + 10)
    assert [(step.on_missing, step.deadline_s) for step in plan.computes] == [
        ("wait", None), ("wait", None), ("degrade", 0.2), ("degrade", pytest.approx(0.3)),
    ]  # fmt: skip


def test_devices_between_fail_in_training_as_often_as_is_said(context):
    """Only these: over 2,000 batches with survival 0.8 each is there in 80 %, and the first always."""
    chain = SkippingChain(segments_of(context.network, context.dataset.inputs, CUTS), "mux", 0.8).train()
    seen = []
    chain.passed = lambda values, came, skipped: seen.append((came, skipped)) or values
    torch.manual_seed(0)
    for _ in range(2000):
        chain(torch.zeros(1, 1, 8, 8))
    came, skipped = (np.array(some) for some in zip(*seen, strict=True))
    assert came[:, 0].all()
    assert came[:, 1:].mean(axis=0) == pytest.approx([0.8, 0.8], abs=3 * (0.16 / 2000) ** 0.5)
    assert np.array_equal(came[:, :2], skipped)
    chain.eval()(torch.zeros(1, 1, 8, 8))
    assert seen[-1] == ([True] * 3, [True] * 2)


@pytest.mark.parametrize(
    ("source", "target", "shape"),
    [
        ((4, 8, 8), (6, 4, 4), (6, 4, 4)),
        ((4, 7, 7), (6, 4, 4), (6, 4, 4)),
        ((10,), (3,), (3,)),
        ((4, 4, 4), (7,), (7,)),
        ((3, 9), (5, 9), (5, 9)),
    ],
)
def test_a_connection_makes_one_shape_of_the_other(source, target, shape):
    """With strides, by hand: 8 to 4 and 7 to 4 rows with stride 2."""
    assert tuple(skip_between(source, target)(torch.zeros(2, *source)).shape) == (2, *shape)


def test_shapes_without_a_stride_are_refused():
    """No stride makes five rows of eight."""
    with pytest.raises(PlanError, match="no stride makes a tensor of shape"):
        skip_between((4, 8, 8), (4, 5, 5))


class Skipping(nn.Module):
    """A shortcut past the second convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(256, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.one(images)
        return self.head((self.two(first) + first).flatten(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": ("w1", "w1", "hub"), "cuts": ("3", "5")}, "named twice"),
        ({"devices": ("w1", "w2", "hub"), "cuts": ("3",)}, "3 devices need 2 cuts, not 1"),
        ({"devices": ("w1", "w9", "hub"), "cuts": ("3", "5")}, "no device 'w9'"),
        ({"devices": ("w1", "w2", "hub"), "cuts": ("3", "5"), "survival": 1.0}, "nothing trains the connections"),
        ({"devices": ("w1", "w2", "hub"), "cuts": ("3", "nine")}, "no layer 'nine'"),
        ({"devices": ("w1", "w2", "hub"), "cuts": ("5", "3")}, "leave a device without layers"),
        ({"devices": ("w1", "w2", "hub"), "cuts": ("3", "9")}, "leave a device without layers"),
    ],
)
def test_what_makes_no_chain_is_refused(context, options, message):
    """Each with what is wrong."""
    with pytest.raises(PlanError, match=message):
        ResiliNet(**options).deploy(context)


def test_two_tensors_across_a_cut_are_refused(make_context):
    """Behind the second convolution its input crosses too; behind the addition there is one."""
    network = Skipping().eval()
    inputs = make_context(network=network).dataset.inputs
    with pytest.raises(PlanError, match="2 tensors cross the cut behind 'two', of 'one', 'two'"):
        segments_of(network, inputs, ["two"])
    assert [one.output_shape for one in segments_of(network, inputs, ["one", "add"])] == [(4, 8, 8), (4, 8, 8), (3,)]
