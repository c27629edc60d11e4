"""Strategies whose plans are executed as graphs of operators: the answers are those of `predict`, whatever single message is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesim.domain.networks.training import Training
from edgesim.domain.system.topology import Link, Topology
from edgesim.errors import PlanError
from edgesim.interfaces import SAMPLE
from edgesim.nn.kernels.program import Runner
from edgesim.nn.tensors import tensors_of
from edgesim.strategies.layers.chain import Chain
from edgesim.strategies.layers.coded import Coded
from edgesim.strategies.layers.fused_tiles import FusedTiles
from edgesim.strategies.layers.resilinet import ResiliNet
from edgesim.strategies.queries.approxifer import ApproxIFER
from edgesim.strategies.queries.parm import ParM
from edgesim.testbed.bundle import bundled
from edgesim.testbed.devices import device_bundles
from edgesim.testbed.folder import read_device, write_device
from edgesim.testbed.node import Node
from edgesim.testing import check_bundle, deployment_context
from tests.strategies.conftest import noise_dataset, small_network, star

BRIEF = Training(epochs=1)


def context(speeds=(1.0, 1.0, 2.0), **ends):
    """The small network in a mesh: any device has a way to any other."""
    devices = star(speeds).devices
    names = [device.device_id for device in devices]
    links = tuple(Link(f"{a}->{b}", a, b, 1e7) for a in names for b in names if a != b)
    where = {"source_id": "hub", "sink_id": "hub", **ends}
    return deployment_context(small_network(), noise_dataset((1, 8, 8)), Topology(devices, links), **where)


CUTS = {"devices": ("w1", "w2", "w3", "hub"), "cuts": ("3", "5", "8"), "training": BRIEF}


@pytest.mark.parametrize("source_id", ["hub", "w1"])
@pytest.mark.parametrize(
    "strategy",
    [
        Chain(("hub", "w1", "w2"), ("3", "5"), bottleneck=0.5, training=BRIEF),
        ResiliNet(deadline_s=0.1, **CUTS),
        ResiliNet(deadline_s=0.1, join="add", **CUTS),
        ResiliNet(**CUTS),
        FusedTiles("hub"),
        FusedTiles("hub", owner_computes=True, grid=(2, 4), reuse=True, on_missing="degrade", deadline_s=0.1),
        FusedTiles("hub", workers="w1", reuse=True, on_missing="degrade", deadline_s=0.1),
        ApproxIFER(2, merger="w2", deadline_s=0.1),
        ApproxIFER(2),
        ParM("w3", workers="w*", deadline_s=0.1, training=BRIEF),
        Coded("hub", "w3"),
        Coded("hub", "w3", on_missing="degrade", step_deadline_s=0.1),
    ],
    ids=lambda strategy: type(strategy).__name__.lower(),
)
def test_written_kernels_answer_what_predict_answers(strategy, source_id):
    """With nothing, each one and all transfers lost; what is sent is as large as the plan says."""
    made = context(source_id=source_id)
    check_bundle(strategy.deploy(made), made.dataset.test)


def test_a_query_leaves_at_the_release_by_a_program_of_its_own(tmp_path):
    """Of a group of three queries a device gets one; the folder of who sends it says which."""
    made = context()
    queries = made.dataset.test[:3].inputs
    bundle = bundled(ParM("hub", workers="w*", training=BRIEF).deploy(made), queries)
    write_device(device_bundles(bundle.plan, bundle.programs)["hub"], tmp_path / "hub")
    read = read_device(tmp_path / "hub")
    ((sent,),) = Runner(read.programs["input 1->w2"]).run({SAMPLE: tuple(tensors_of(queries).values())}).values()
    assert np.array_equal(sent.numpy(), queries["images"][1:2])
    assert bundle.n_queries == 3


def test_what_is_decided_while_a_request_runs_is_refused():
    """With its reason: tiles that are given to who asks, or done again by others."""
    made = context()
    for options in ({"assign": "stealing"}, {"again_s": 0.1}):
        with pytest.raises(PlanError, match="take assign: static"):
            FusedTiles("hub", **options).deploy(made).kernels()


def test_a_deadline_of_a_request_that_is_over_begins_nothing():
    """A tile that waits for messages alone would be computed of zeros, long after the answer."""
    made = context()
    deployment = FusedTiles("hub", workers="w1", on_missing="degrade", deadline_s=0.1).deploy(made)
    bundle = bundled(deployment, made.dataset.test[:1].inputs)
    node = Node(device_bundles(bundle.plan, bundle.programs)["hub"], {}, {}, {}, [], channels_path=Path("channels"))
    (join,) = (step for step in node.bundle.computes if step.on_missing == "degrade")
    node._be_late(0.0, 3, replace(join, inputs=("tile 0,0/gather",)))
    assert not node._requests
    assert not node._ready
