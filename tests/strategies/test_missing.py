"""What stands in for features that did not arrive."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from edgesim.domain.delivery import Delivery
from edgesim.nn.train.cache import NetworkCache
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import context_of, load_teacher

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("label", "zeros", "mean"), [("nonn", 0.808, 0.971), ("resilient-4", 0.933, 0.982), ("resilient-2", 0.968, 0.980)]
)
def test_means_in_place_of_zeros_on_the_published_networks(label, zeros, mean, silent, tmp_path, monkeypatch):
    """Four of eight lost, all 70 sets: the figures that a plain torch script gave."""
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    for card in (ROOT / "models" / "digits").glob("*.json"):
        NetworkCache.default().take_in(card)
    system = build(Scenario.load(ROOT / "scenarios" / "resilience-digits.yaml"))
    context = context_of(system, load_teacher(system, silent), silent)
    for missing, expected in (("zeros", zeros), ("mean", mean)):
        deployment = dataclasses.replace(system.strategies[label], missing=missing).deploy(context)
        sent = [step.step_id for step in deployment.plan.transfers if step.kind == "result"]
        reached = [
            np.mean(deployment.predict(Delivery(frozenset(lost))).argmax(axis=1) == context.dataset.test.targets)
            for lost in itertools.combinations(sent, 4)
        ]
        assert np.mean(reached) == pytest.approx(expected, abs=0.002)
    assert silent.labels == []
