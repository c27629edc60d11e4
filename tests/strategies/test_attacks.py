"""Attacks by projected gradient, against closed forms; and students that learn under attack."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.delivery import Delivery
from edgesim.domain.evaluation import Evaluation
from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.training import Distillation, Training
from edgesim.errors import DataError, PlanError, ScenarioError
from edgesim.interfaces import AttackableDeployment, Silent
from edgesim.nn.attacks.projected_gradient import attacked, attacked_samples, check_attackable
from edgesim.nn.distill.lessons import BatchLesson, GivenAnswers
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.objectives.ard import ARD
from edgesim.nn.tensors import ask
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import forward, train_teacher
from edgesim.registry import OBJECTIVES
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.ensemble import Ensemble
from edgesim.strategies.modnn import MoDNN
from edgesim.strategies.nonn import NoNN
from edgesim.strategies.resilient import Resilient
from edgesim.strategies.single import Single
from edgesim.study.cases.evaluation import asked_scores
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edgesim.interfaces import DeploymentContext

TINY = SmallCNN(channels=(4,), pool_after=0)


def linear() -> nn.Linear:
    """Logits (0, w x + b) with w = (1, -2, 0), b = 0.5."""
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 0.0]]))
        layer.bias.copy_(torch.tensor([0.0, 0.5]))
    return layer


@pytest.mark.parametrize("start", ["sample", "random"])
def test_of_a_linear_model_it_finds_the_corner_of_the_box_that_is_worst(start: str) -> None:
    """The loss of class 1 rises against w, so x* = clip(x - radius sign(w)); a value without weight stays in its box."""
    samples = Samples({"x": np.array([[0.5, 0.5, 0.5], [0.05, 0.98, 0.5]], np.float32)}, np.array([1, 1]))
    attack = Attack(radius=0.1, step=0.05, steps=6, start=start)  # type: ignore[arg-type]
    moved = attacked_samples(partial(ask, linear()), samples, Classification(2), attack, 0)["x"]
    np.testing.assert_allclose(moved[:, :2], [[0.4, 0.6], [0.0, 1.0]], atol=1e-6)
    assert np.all(np.abs(moved[:, 2] - 0.5) <= 0.1 + 1e-6)
    again = attacked_samples(partial(ask, linear()), samples, Classification(2), attack, 0)["x"]
    assert np.array_equal(moved, again)


def test_whole_numbers_and_a_radius_of_zero_stay_as_they_are() -> None:
    inputs = {"x": torch.tensor([[0.2]]), "token": torch.tensor([[3]])}

    def answer(given: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return given["x"] * given["token"]

    moved = attacked(answer, inputs, torch.Tensor.sum, Attack(0.5, 0.3, 4, "sample"), torch.Generator())
    assert (moved["x"].tolist(), moved["token"].tolist()) == ([[pytest.approx(0.7)]], [[3]])
    still = attacked(answer, inputs, torch.Tensor.sum, Attack(0.0, 0.3, 4), torch.Generator())
    assert torch.equal(still["x"], inputs["x"])


def test_values_beyond_zero_and_one_are_refused(make_noise: Callable[..., Dataset]) -> None:
    with pytest.raises(DataError, match="an attack needs inputs from 0 to 1"):
        check_attackable(make_noise((1, 8, 8)))


def test_robust_scores_are_asked_by_name() -> None:
    task, attack = Classification(3), Attack()
    names = [score.name for score in asked_scores(task, Evaluation(attack=attack))]
    assert names == ["accuracy", "robust_accuracy_transfer", "robust_accuracy_adaptive"]
    one = Evaluation(scores=("robust_f1_macro_adaptive",), attack=attack)
    assert [score.against for score in asked_scores(task, one)] == ["adaptive"]
    with pytest.raises(DataError, match=r"robust ones need `evaluation.attack`"):
        asked_scores(task, Evaluation(scores=("robust_accuracy_transfer",)))


@pytest.fixture
def context(make_context: Callable[..., DeploymentContext], make_noise: Callable[..., Dataset]) -> DeploymentContext:
    noise = make_noise((1, 8, 8))
    splits = {
        name: Samples({"images": 1 / (1 + np.exp(-split.only))}, split.targets)
        for name, split in (("train", noise.train), ("validation", noise.validation), ("test", noise.test))
    }
    made = make_context((1.0, 1.0), dataset=replace(noise, **splits))
    return replace(made, attack=Attack(0.3, 0.1, 5), filter_layer="5")


STUDENTS = [
    Ensemble(2, "w*", student=TINY, training=Training(epochs=1)),
    NoNN(2, "w*", student=TINY, training=Training(epochs=1)),
    Resilient(2, "w*", student=TINY, training=Training(epochs=1), parts=1, replicas="identical"),
]


@pytest.mark.parametrize("strategy", STUDENTS, ids=lambda one: type(one).__name__)
def test_adaptive_and_transferred_attacks_agree_where_nothing_is_lost(
    strategy: NoNN | Ensemble, context: DeploymentContext
) -> None:
    """With a student lost, the adaptive answers are those to an attack through the other alone."""
    deployment = pickle.loads(pickle.dumps(strategy.deploy(context)))  # noqa: S301 - our own
    assert isinstance(deployment, AttackableDeployment)
    plain = strategy.deploy(replace(context, attack=None))
    assert not isinstance(plain, AttackableDeployment)
    assert np.array_equal(plain.predict(Delivery()), deployment.predict(Delivery()))
    whole = deployment.predict_attacked(Delivery(), "transfer"), deployment.predict_attacked(Delivery(), "adaptive")
    np.testing.assert_allclose(whole[0], whole[1], atol=1e-5)
    loss, targets = context.dataset.task.loss, torch.from_numpy(context.dataset.test.targets)
    lost = Delivery(frozenset({"features w1->hub"}))
    clean, transferred, adaptive = (
        float(loss(torch.from_numpy(answers), targets))
        for answers in (
            deployment.predict(lost),
            deployment.predict_attacked(lost, "transfer"),
            deployment.predict_attacked(lost, "adaptive"),
        )
    )
    assert clean < adaptive
    assert transferred <= adaptive + 1e-5
    nothing = Delivery(frozenset({"features w1->hub", "features w2->hub"}))
    np.testing.assert_allclose(deployment.predict_attacked(nothing, "adaptive"), deployment.predict(nothing), atol=1e-6)


def test_a_network_in_one_place_is_attacked_once(context: DeploymentContext) -> None:
    deployment = Single().deploy(context)
    assert isinstance(deployment, AttackableDeployment)
    answers = deployment.predict_attacked(Delivery(), "transfer"), deployment.predict_attacked(Delivery(), "adaptive")
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], deployment.predict(Delivery()))
    assert not isinstance(MoDNN("hub", "w*").deploy(context), AttackableDeployment)


def test_an_attack_that_would_be_ignored_is_refused(context: DeploymentContext) -> None:
    for strategy in (
        NoNN(2, "w*", training=Training(attack=Attack())),
        NoNN(2, "w*", objective=ARD(), fitting="independent"),
    ):
        with pytest.raises(PlanError, match="attack"):
            strategy.check(context.topology)


class Learner:
    """A linear student without activities."""

    def __init__(self) -> None:
        self.task = Classification(2)
        self.network = linear()
        self.n_students = 1

    def answers(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        answers: torch.Tensor = ask(self.network, inputs)
        return answers

    def taught(self, inputs: Mapping[str, torch.Tensor], activities: torch.Tensor) -> GivenAnswers:
        return GivenAnswers(self.answers(inputs), torch.zeros(()))


@pytest.mark.parametrize("objective", ["adversarial", "ard", "rslad"])
def test_losses_are_those_of_the_papers(objective: str) -> None:
    """By hand for a linear student, whose worst x is known: against label 1, and against a teacher who is sure of it."""
    from edgesim.nn.distill.teacher_outputs import TaughtBatch

    x, teacher = torch.tensor([[0.5, 0.5, 0.5]]), torch.tensor([[0.0, 4.0]])
    batch = TaughtBatch({"x": x}, torch.tensor([1]), teacher, torch.zeros(1, 0))
    options = OBJECTIVES.get(objective)(attack=Attack(0.1, 0.1, 3, "sample"))
    found = options.loss(BatchLesson(Learner(), batch, Distillation(2.0, 0.7), torch.Generator()))
    student, worst = linear(), torch.tensor([[0.4, 0.6, 0.5]])

    def divergence(at: torch.Tensor, temperature: float) -> torch.Tensor:
        p = (teacher / temperature).softmax(1)
        return (p * (p.log() - (student(at) / temperature).log_softmax(1))).sum()

    label = nn.functional.cross_entropy
    wanted = {
        "adversarial": label(student(worst), batch.targets),
        "ard": 0.7 * 4 * divergence(worst, 2.0) + 0.3 * label(student(x), batch.targets),
        "rslad": 5 / 6 * divergence(worst, 1.0) + 1 / 6 * divergence(x, 1.0),
    }
    assert found.item() == pytest.approx(wanted[objective].item(), rel=1e-5)


def test_training_under_attack_makes_digits_robust(digits: Dataset, tmp_path: Path) -> None:
    """Twelve epochs: under a longer attack the plain network is right by chance at most, the attacked one in half of the samples."""
    attack, kept = Attack(0.1, 0.02, 10), []
    some = replace(digits, validation=digits.validation[:100], test=digits.test[:150])
    for training in (
        Training(epochs=12, batch_size=32),
        Training(epochs=12, batch_size=32, attack=Attack(0.1, 0.06, 3)),
    ):
        cache = NetworkCache(tmp_path)
        network = train_teacher(SmallCNN((8, 16), 1), some, training, seed=1, progress=Silent(), cache=cache).network
        moved = attacked_samples(partial(ask, network), some.test, some.task, attack, 0)
        kept.append(some.task.scores[0].of(forward(network, moved), some.test.targets))
    assert kept[0] < 0.2
    assert kept[1] > 0.4


REFUSED = """\
name: attacked
topology:
  devices: [{id: hub, profile: phone}, {id: "w{1..8}", profile: wearable}]
  links: [{between: [hub, "w*"], bandwidth: 20 Mbit/s, latency: 2 ms}]
workload:
  dataset: digits
  model: small-cnn
  source: hub
  sink: hub
  evaluation: {attack: {radius: 0.1}}
strategies:
  single: {device: hub}
  cut: {type: modnn, owner: hub, workers: "w*"}
  learned: {type: nonn, devices: "w*", merger: hub, missing: learned}
  heads: {type: resilient, devices: "w*", merger: hub, head: per-survivors}
  rounded: {type: ensemble, devices: "w*", merger: hub, messages: {dtype: float16}}
  grouped: {type: rocoin, devices: "w*", merger: hub, most_lost: 0.01}
failures: {}
"""


def test_what_cannot_be_attacked_is_refused_with_its_line_before_anything_is_trained(tmp_path: Path) -> None:
    """All of them at once; without the attack the same scenario is right."""
    path = tmp_path / "attacked.yaml"
    path.write_text(REFUSED)
    with pytest.raises(ScenarioError) as found:
        Scenario.load(path)
    text = str(found.value)
    lines = {
        13: "its answers cannot be attacked",
        14: "students with missing: learned cannot be attacked yet",
        15: "students with head: per-survivors cannot be attacked yet",
        16: "messages of dtype float16 have none of",
    }
    for line, message in lines.items():
        assert re.search(rf"attacked\.yaml:{line}:.*{re.escape(message)}", text), text
    assert not re.search(r"attacked\.yaml:(12|17):", text)
    path.write_text(REFUSED.replace("  evaluation: {attack: {radius: 0.1}}\n", ""))
    Scenario.load(path)
