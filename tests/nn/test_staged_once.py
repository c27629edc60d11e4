"""What a network is divided into is found once, and not for every factor point and strategy."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import torch
from torch import nn

import edgesim as es
from edgesim.nn.cut import staging

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

STUDY = {
    "name": "many",
    "replications": 1,
    "topology": {"star": {"count": 3, "profile": "raspberry-pi-4b", "bandwidth": "50 Mbit/s"}},
    "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {
        "modnn": {"owner": "hub", "workers": "w*"},
        "two": {"type": "modnn", "owner": "hub", "workers": "w[12]"},
        "halo": {"type": "modnn", "owner": "hub", "workers": "w*", "execution": "halo"},
    },
    "sweep": {
        "bandwidth": {"path": "topology.star.bandwidth", "values": ["1 Mbit/s", "2 Mbit/s", "3 Mbit/s", "4 Mbit/s"]}
    },
}


def small() -> nn.Module:
    """Return a network of two layers that can be cut."""
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)).eval()


def test_factor_points_and_strategies_share_what_is_traced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Four points of three strategies, of which two divide the network alike: it is divided twice, not twelve times."""
    divide, asked = staging.staged, []
    monkeypatch.setattr(staging, "staged", lambda *args, **options: asked.append(args[2]) or divide(*args, **options))
    es.run(es.Scenario.from_data(STUDY), workers=1, output=tmp_path / "r", report=False)
    assert sorted(asked) == ["halo", "mapreduce"]


def test_other_weights_are_another_network() -> None:
    """Trained in place, or replaced: what was traced before is not taken for it."""
    network = small()
    first = staging.staged_once(network, (1, 8, 8), "mapreduce", "strips")
    assert staging.staged_once(network, (1, 8, 8), "mapreduce", "strips") is first
    assert staging.staged_once(network, (1, 8, 8), "mapreduce", "tiles") is not first
    assert staging.staged_once(small(), (1, 8, 8), "mapreduce", "strips") is not first
    with torch.no_grad():
        network[0].weight.add_(1.0)
    assert staging.staged_once(network, (1, 8, 8), "mapreduce", "strips") is not first


def test_a_network_that_is_gone_is_not_kept() -> None:
    """What was traced of it goes with it."""
    network = small()
    staging.staged_once(network, (1, 8, 8), "mapreduce", "strips")
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None
