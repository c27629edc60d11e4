"""Strokes over devices: bytes by hand, what a lost message loses, and that nothing is lost without losses."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError
from edgesim.nn.models.sketches.sketch_gnn import SketchGNN
from edgesim.strategies.graphs.strokes import Strokes
from edgesim.tasks.stroke_segmentation import StrokeSegmentation
from edgesim.testing import check_strategy, deployment_context

if TYPE_CHECKING:
    from edgesim.interfaces import DeploymentContext

N_POINTS, IDS = 128, ("hub", "d", "w1", "w2")


def sketches(n: int) -> Samples:
    """Four strokes of 48, 16, 32 and 32 points: shares of two devices have 80 and 48."""
    rng = np.random.default_rng(n)
    strokes = np.tile(np.repeat(np.arange(4), (48, 16, 32, 32)), (n, 1))
    targets = np.stack([strokes % 2, np.ones_like(strokes), strokes], axis=2)
    return Samples({"points": rng.random((n, N_POINTS, 2), np.float32), "strokes": strokes}, targets)


@cache
def context(*, dynamic: bool = True) -> DeploymentContext:
    rates = {"conv": 1e9, "linear": 1e9, "other": 1e9, "depthwise": 1e9}
    profile = DeviceProfile("p", rates, 1e9, 1e-6, 2**30, 1, 1, 1, 1, "assumed")
    links = tuple(Link(f"{a}->{b}", a, b, 1e7) for a, b in product(IDS, IDS) if a != b)
    topology = Topology(tuple(Device(name, profile) for name in IDS), links)
    task = StrokeSegmentation(2, N_POINTS)
    dataset = Dataset("lines", sketches(2), sketches(3), sketches(5), task, "none", "none")
    torch.manual_seed(0)
    network = SketchGNN(dynamic=dynamic).build(dataset.inputs, task.output).eval()
    return deployment_context(network, dataset, topology, source_id="hub", sink_id="hub")


@pytest.mark.parametrize(
    "strategy",
    [
        Strokes("w*"),
        Strokes("w1", dynamic="w2"),
        Strokes("w*", dynamic="d", merger="w1"),
        Strokes("hub", deadline_s=1.0),
    ],
    ids=repr,
)
def test_it_keeps_its_promises(strategy: Strokes) -> None:
    check_strategy(strategy, context())
    with pytest.raises(PlanError, match="no sketch has just these to send"):
        strategy.deploy(context()).kernels()


def test_bytes_by_hand() -> None:
    """A point is 2 x 4 byte and its stroke 8; 80 and 48 points go out, and go on as 128 x 4 byte each, from the dynamic branch too; 2 x 4 come back.

    The merger has its own share, and is told the strokes of the others.
    """
    plan = Strokes("w*", dynamic="d", merger="w1").deploy(context()).plan
    assert {one.step_id: one.size_byte for one in plan.transfers} == {
        "strokes": 128 * 8, "sketch": 128 * 16, "points->w1": 80 * 16, "points->w2": 48 * 16,
        "static 1": 48 * 512, "dynamic 0": 80 * 512, "dynamic 1": 48 * 512, "answer": 128 * 2 * 4,
    }  # fmt: skip
    work = {one.step_id: sum(layer.work_flop for layer in one.work) for one in plan.computes}
    assert work["static 0 on w1"] / work["static 1 on w2"] == pytest.approx(80 / 48)


def test_a_merger_that_lacks_the_sketch_cannot_pool() -> None:
    """It has the strokes of the points from the sketch alone, or as a message of their own where another device runs the dynamic branch."""
    for strategy, lost in (
        (Strokes("w2", merger="w1", deadline_s=1.0), "sketch"),
        (Strokes("w2", dynamic="d", merger="w1", deadline_s=1.0), "strokes"),
    ):
        deployment = strategy.deploy(context())
        assert lost in deployment.plan.transfer_ids
        with pytest.raises(PlanError):
            deployment.predict(Delivery(frozenset({lost})))


def test_a_lost_message_loses_the_strokes_of_its_share() -> None:
    """What the network says when the static features of strokes 1 and 3 are zeros, written out; their points being lost is the same."""
    deployment = Strokes("w*", dynamic="d", merger="w1").deploy(context())
    network, asked = context().network, context().dataset.test.inputs
    from edgesim.nn.models.sketches.network import OneBranch, answered

    tensors = {name: torch.from_numpy(array) for name, array in asked.items()}
    with torch.no_grad():
        static, dynamic = (OneBranch(network, is_dynamic=which).eval()(**tensors) for which in (False, True))
        static[:, 48:64] = 0
        static[:, 96:] = 0
        wanted = answered(network, static, dynamic, tensors["strokes"]).numpy()
    found = deployment.predict(Delivery(frozenset({"static 1"})))
    assert found == pytest.approx(wanted, abs=1e-5)
    assert np.array_equal(found, deployment.predict(Delivery(frozenset({"points->w2"}))))
    nothing = deployment.predict(Delivery(frozenset({"sketch"})))
    assert np.array_equal(nothing, deployment.predict(Delivery(frozenset({"dynamic 0", "dynamic 1"}))))
    with pytest.raises(PlanError, match="no answer without transfer 'strokes'"):
        deployment.predict(Delivery(frozenset({"strokes"})))


def test_other_networks_and_devices_are_refused() -> None:
    with pytest.raises(PlanError, match="a SketchNetwork without one; take the model sketch-gnn"):
        Strokes("w*").deploy(context(dynamic=False))
    with pytest.raises(PlanError, match="'x' matches no device"):
        Strokes("x").deploy(context())
