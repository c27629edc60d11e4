"""What stands in for features that did not arrive."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from edgesim.domain.delivery import Delivery
from edgesim.errors import DataError, PlanError
from edgesim.nn.merging.stand_ins import StandIns
from edgesim.nn.parts.filters import CoActivation
from edgesim.nn.train.cache import NetworkCache
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.nonn import NoNN
from edgesim.strategies.resilient import Resilient
from edgesim.strategies.students.distilled import divide
from edgesim.study.preparation.prepare import context_of, load_teacher

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "models", "label", "zeros", "mean"),
    [
        ("digits", "digits", "nonn", 0.808, 0.971),
        ("digits", "digits", "resilient-4", 0.933, 0.982),
        ("digits", "digits", "resilient-2", 0.968, 0.980),
        pytest.param("fashion", "fashion-mnist", "nonn", 0.602, 0.809, marks=pytest.mark.slow),
        pytest.param("fashion", "fashion-mnist", "resilient-4", 0.833, 0.882, marks=pytest.mark.slow),
        pytest.param("fashion", "fashion-mnist", "resilient-2", 0.880, 0.887, marks=pytest.mark.slow),
        pytest.param("cifar100", "cifar-100", "nonn", 0.172, 0.278, marks=pytest.mark.slow),
        pytest.param("cifar100", "cifar-100", "resilient-4", 0.336, 0.393, marks=pytest.mark.slow),
        pytest.param("cifar100", "cifar-100", "resilient-2", 0.436, 0.438, marks=pytest.mark.slow),
    ],
)
def test_means_in_place_of_zeros_on_the_published_networks(
    name, models, label, zeros, mean, silent, tmp_path, monkeypatch
):
    """Four of eight lost, all 70 sets: the figures that a plain torch script gave."""
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    for card in (ROOT / "models" / models).glob("*.json"):
        NetworkCache.default().take_in(card)
    system = build(Scenario.load(ROOT / "scenarios" / f"resilience-{name}.yaml"))
    try:
        system.dataset.load()
    except DataError as error:
        pytest.skip(f"the data are not on this machine: {error}")
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


@pytest.fixture
def published(silent, tmp_path, monkeypatch):
    """The scenario of the digits with the published networks, and its context."""
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    for card in (ROOT / "models" / "digits").glob("*.json"):
        NetworkCache.default().take_in(card)
    system = build(Scenario.load(ROOT / "scenarios" / "resilience-digits.yaml"))
    return system, context_of(system, load_teacher(system, silent), silent)


def test_learned_stand_ins_predict_lost_parts_from_those_that_came(published, silent):
    """They are trained once and kept, are the students' own answers with nothing lost, and beat zeros and constants with one part left of eight."""
    system, context = published
    ways = {
        missing: dataclasses.replace(system.strategies["nonn"], missing=missing).deploy(context)
        for missing in ("zeros", "mean", "learned")
    }
    assert silent.labels == ["stand-ins for lost parts on digits"]
    sent = [step.step_id for step in ways["learned"].plan.transfers if step.kind == "result"]
    assert np.array_equal(ways["learned"].predict(Delivery()), ways["zeros"].predict(Delivery()))

    def reached(missing, n_lost):
        answers = [ways[missing].predict(Delivery(frozenset(one))) for one in itertools.combinations(sent, n_lost)]
        return np.mean([np.mean(one.argmax(axis=1) == context.dataset.test.targets) for one in answers])

    for n_lost in (4, 7):
        assert reached("learned", n_lost) > reached("zeros", n_lost) + 0.1
    assert reached("learned", 7) > reached("mean", 7)
    again = dataclasses.replace(system.strategies["nonn"], missing="learned").deploy(context)
    lost = Delivery(frozenset(sent[:3]))
    assert silent.labels == ["stand-ins for lost parts on digits"]
    assert np.array_equal(again.predict(lost), ways["learned"].predict(lost))
    traffic = {missing: sum(step.size_byte for step in way.plan.transfers) for missing, way in ways.items()}
    assert traffic["learned"] == traffic["zeros"]
    n_features, hidden = 55, 128  # the published parts; mean and scale of each feature beside the weights
    weights = (n_features + 8 + 1) * hidden + (hidden + 1) * n_features + 2 * n_features
    assert ways["learned"].plan.weight_byte["hub"] - ways["zeros"].plan.weight_byte["hub"] == 4 * weights


def test_the_prediction_of_a_lost_part_does_not_see_it():
    """What stands in the place of a lost part does not count, and what came stays as it is."""
    torch.manual_seed(0)
    network = StandIns((2, 3), torch.zeros(5), torch.ones(5))
    came, there = torch.randn(4, 5), torch.tensor([[1.0, 0.0]]).expand(4, -1)
    other = torch.cat([came[:, :2], torch.randn(4, 3)], dim=1)
    assert torch.equal(network(came, there), network(other, there))
    assert torch.equal(network(came, there)[:, :2], came[:, :2])


@pytest.mark.parametrize(
    ("strategy", "match"),
    [
        (Resilient(missing="learned", parts=1), "there is one part"),
        (Resilient(missing="learned", denominator="all"), "denominator: all"),
    ],
)
def test_stand_ins_that_make_no_sense_are_refused(strategy, match, published):
    strategy = dataclasses.replace(strategy, devices="w*")
    with pytest.raises(PlanError, match=match):
        strategy.check(published[1].topology)


@pytest.mark.parametrize(("recipe", "n_dropped"), [("mixed", 9), ("paper", 0)])
def test_recipes_of_nonn_drop_what_they_say(recipe, n_dropped, published):
    partition, _ = divide(NoNN(recipe=recipe).followed(), 8, published[1])
    assert len(partition.dropped) == n_dropped


def test_a_recipe_beside_a_graph_of_its_own_is_refused(published):
    with pytest.raises(PlanError, match="recipe: code says which graph"):
        NoNN(devices="w*", recipe="code", graph=CoActivation()).check(published[1].topology)
