"""Uncertain answers and the person who looks at them: closed forms, small cases by hand, and what cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from edgesim.domain.evaluation import Evaluation
from edgesim.domain.networks.escalation import Escalation, Uncertainty
from edgesim.errors import DataError, PlanError
from edgesim.study.cases.evaluation import asked_scores
from edgesim.tasks.classification import Classification
from edgesim.tasks.dense_classification import DenseClassification
from edgesim.tasks.review import (
    classification_quality,
    escalated_samples,
    non_rejected_accuracy,
    rejection_quality,
)
from edgesim.tasks.uncertainty import PENALTY, dirichlet_loss, expected_entropy, uncertainty_of

TASK = DenseClassification(2, (1, 2))
P = np.array([[[0.9, 0.9]], [[0.6, 0.9]], [[0.5, 0.7]]])
"""Probability of class 0 at the two places of each of three samples."""
ANSWERS = np.log(np.stack([P, 1 - P], axis=1)).astype(np.float32)
TARGETS = np.array([[[0, 0]], [[1, 0]], [[1, -1]]])
"""Wrong are the first place of the second sample and the first of the third, whose second does not count."""


def scores(**options: object) -> dict[str, float]:
    return {score.name: score.of(ANSWERS, TARGETS) for score in TASK.reviewed(Escalation(**options))}  # type: ignore[arg-type]


def test_a_person_corrects_what_is_above_the_bound() -> None:
    """Means of 1 - max p: 0.1, 0.25 and, of the place that counts, 0.5. Above 0.2 are two samples: three of five places, two of them wrong."""
    found = scores(uncertainty="least-confidence", above=0.2)
    assert found == pytest.approx({
        "final_pixel_accuracy": 1.0, "final_mean_iou": 1.0, "escalated": 2 / 3, "non_rejected_accuracy": 1.0,
        "classification_quality": 4 / 5, "rejection_quality": (2 / 1) / (2 / 3),
    })  # fmt: skip


def test_a_share_takes_the_most_uncertain() -> None:
    """One of three samples, the third: one place, wrong; then 4 of 5 are right, as of 4 kept 3 are."""
    found = scores(uncertainty="least-confidence", share=1 / 3)
    assert found["final_pixel_accuracy"] == pytest.approx(4 / 5)
    assert found["escalated"] == pytest.approx(1 / 3)
    assert found["non_rejected_accuracy"] == pytest.approx(3 / 4)
    assert np.isnan(found["rejection_quality"]), "nothing right is escalated"


def test_nobody_and_everybody() -> None:
    nobody, everybody = scores(above=1.0), scores(share=1.0)
    assert (
        nobody["final_pixel_accuracy"] == nobody["non_rejected_accuracy"] == nobody["classification_quality"] == 3 / 5
    )
    assert nobody["escalated"] == 0
    assert everybody["final_pixel_accuracy"] == everybody["escalated"] == 1
    assert np.isnan(everybody["non_rejected_accuracy"])
    assert everybody["rejection_quality"] == 1, "as at random"


def test_qualities_by_hand() -> None:
    """Ten places, 6 right: of 4 rejected 3 are wrong. NRA = 5/6, CQ = (5 + 3) / 10, RQ = (3/1) / (4/6)."""
    right, rejected = np.array([1] * 6 + [0] * 4, bool), np.array([0] * 5 + [1] * 4 + [0], bool)
    assert non_rejected_accuracy(right, rejected) == 5 / 6
    assert classification_quality(right, rejected) == 8 / 10
    assert rejection_quality(right, rejected) == 4.5


@pytest.mark.parametrize("kind", ["entropy", "least-confidence"])
def test_uncertainties_are_those_of_scipy(kind: Uncertainty) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32)
    p = softmax(logits.astype(float), axis=1)
    wanted = entropy(p, axis=1) if kind == "entropy" else 1 - p.max(axis=1)
    assert uncertainty_of(kind, logits, np.zeros((4, 2, 2), int), 3) == pytest.approx(wanted)


def test_an_oracle_finds_more_wrong_places_than_any_other() -> None:
    rng = np.random.default_rng(0)
    answers, targets = rng.normal(size=(50, 3, 2, 2)).astype(np.float32), rng.integers(3, size=(50, 2, 2))
    task = DenseClassification(3, (2, 2))
    final = {
        kind: task.reviewed(Escalation(kind, share=0.2))[0].of(answers, targets)  # type: ignore[arg-type]
        for kind in ("oracle", "entropy", "least-confidence", "random")
    }
    assert max(final, key=lambda kind: final[kind]) == "oracle"


def test_a_random_choice_does_not_look() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=(50, 2, 2))
    first, second = (
        escalated_samples(
            Escalation("random", share=0.2), rng.normal(size=(50, 3, 2, 2)).astype(np.float32), targets, 3
        )
        for _ in range(2)
    )
    assert (first == second).all()
    assert first.sum() == 10


@pytest.mark.parametrize("beta", [0.3, 2.0, 40.0])
def test_closed_forms_are_means_over_draws(beta: float) -> None:
    """q ~ Dirichlet(beta p): mean entropy and mean -ln q_y of 40,000 draws, three standard errors."""
    p = np.array([0.6, 0.3, 0.1])
    q = np.random.default_rng(0).dirichlet(beta * p, size=40_000)
    entropies = entropy(q, axis=1)
    found = expected_entropy(p[None, :], np.array([beta]))[0]
    assert abs(entropies.mean() - found) < 3 * entropies.std() / 200
    with np.errstate(divide="ignore"):
        surprise = -np.log(np.maximum(q[:, 1], 1e-300))
    logits = torch.log(torch.from_numpy(p)).reshape(1, 3, 1)
    raw = torch.log(torch.expm1(torch.tensor([[beta]], dtype=torch.float64)))
    loss = float(dirichlet_loss(logits, raw, torch.tensor([[1]]), -1)) - PENALTY * beta**2
    assert abs(surprise.mean() - loss) < 3 * surprise.std() / 200 + 1e-4


def test_a_second_network_teaches_the_first_nothing() -> None:
    """The gradient of the logits is that of cross-entropy alone; a place that does not count teaches nobody."""
    both, one = DenseClassification(3, (1, 4), has_uncertainty=True), DenseClassification(3, (1, 4))
    answers = torch.randn(2, 4, 1, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.tensor([[[0, 1, 2, -1]], [[2, 2, -1, 0]]])
    (found,) = torch.autograd.grad(both.loss(answers, targets), answers)
    (wanted,) = torch.autograd.grad(one.loss(answers[:, :3], targets), answers)
    assert torch.allclose(found[:, :3], wanted[:, :3])
    assert (found[:, 3] != 0).tolist() == (targets >= 0).tolist()


def test_a_second_network_learns_where_the_first_is_wrong() -> None:
    """Sure of class 0 everywhere, and wrong at every second place: there beta grows, and with it the uncertainty."""
    logits = torch.tensor([3.0, 0.0]).reshape(1, 2, 1).expand(1, 2, 8).clone()
    targets = torch.tensor([[0, 1] * 4])
    raw = torch.zeros(1, 8, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        dirichlet_loss(logits, raw, targets, -1).backward()
        optimizer.step()
    answers = torch.cat([logits, raw.detach()[:, None]], dim=1).numpy()
    found = uncertainty_of("second-network", answers, targets.numpy(), 2)
    assert found[0, 1::2].min() > found[0, ::2].max()


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({}, "give one of `above` and `share`"),
        ({"above": 1.0, "share": 0.5}, "give one of `above` and `share`"),
        ({"share": 1.5}, "share 1.5; it must be a number from 0 to 1"),
        ({"above": -1.0}, "above -1.0; it must be"),
        ({"uncertainty": "doubt", "above": 1.0}, "one of 'entropy'"),
        ({"uncertainty": "random", "above": 0.5}, "a random escalation takes a `share`"),
    ],
)
def test_escalations_that_say_nothing_are_refused(options: dict[str, object], finding: str) -> None:
    with pytest.raises(PlanError, match=finding):
        Escalation(**options)  # type: ignore[arg-type]


def test_what_cannot_be_asked_is_refused() -> None:
    every = Escalation("second-network", share=0.2)
    with pytest.raises(DataError, match="no second network says how uncertain answers are"):
        asked_scores(TASK, Evaluation(), every)
    with pytest.raises(
        DataError, match=r"workload.escalate: nothing says how uncertain answers to the task Classification are"
    ):
        asked_scores(Classification(3), Evaluation(), every)


def test_the_main_score_stays_the_first() -> None:
    names = [score.name for score in asked_scores(TASK, Evaluation(), Escalation(above=0.5))]
    assert names[:3] == ["pixel_accuracy", "final_pixel_accuracy", "escalated"]
    chosen = asked_scores(TASK, Evaluation(scores=("final_mean_iou",)), Escalation(above=0.5))
    assert [score.name for score in chosen] == ["final_mean_iou"]
