"""Strategies whose plans are executed as graphs of operators: the answers are those of `predict`, whatever single message is lost."""

from __future__ import annotations

import pytest

from edgesim.domain.networks.training import Training
from edgesim.domain.system.topology import Link, Topology
from edgesim.errors import PlanError
from edgesim.strategies.layers.chain import Chain
from edgesim.strategies.layers.coded import Coded
from edgesim.strategies.layers.fused_tiles import FusedTiles
from edgesim.strategies.layers.resilinet import ResiliNet
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
        Coded("hub", "w3"),
        Coded("hub", "w3", on_missing="degrade", step_deadline_s=0.1),
    ],
    ids=lambda strategy: type(strategy).__name__.lower(),
)
def test_written_kernels_answer_what_predict_answers(strategy, source_id):
    """With nothing, each one and all transfers lost; what is sent is as large as the plan says."""
    made = context(source_id=source_id)
    check_bundle(strategy.deploy(made), made.dataset.test)


def test_what_is_decided_while_a_request_runs_is_refused():
    """With its reason: tiles that are given to who asks, or done again by others."""
    made = context()
    for options in ({"assign": "stealing"}, {"again_s": 0.1}):
        with pytest.raises(PlanError, match="take assign: static"):
            FusedTiles("hub", **options).deploy(made).kernels()
