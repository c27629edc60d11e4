"""Tasks: scores by hand and against scikit-learn, losses, imitation, and what is wrong with targets."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    jaccard_score,
    log_loss,
    matthews_corrcoef,
    r2_score,
    roc_auc_score,
)
from sklearn.metrics import root_mean_squared_error as rmse

from edgesim.domain.evaluation import Evaluation
from edgesim.errors import DataError, PlanError
from edgesim.registry import TASKS
from edgesim.study.cases.evaluation import asked_scores
from edgesim.tasks.classification import Classification
from edgesim.tasks.dense_classification import DenseClassification
from edgesim.tasks.detection import Detection
from edgesim.tasks.multi_label import MultiLabel
from edgesim.tasks.next_character import NextCharacter
from edgesim.tasks.regression import Regression
from edgesim.tasks.scores import SCORES
from edgesim.tasks.stroke_segmentation import StrokeSegmentation

RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=60)
YES = np.where(RNG.random((60, 2)) < 0.2, np.nan, RNG.integers(2, size=(60, 2))).astype(np.float32)
NUMBERS = RNG.standard_normal((60, 2)).astype(np.float32)
MAPS = RNG.integers(-1, 3, size=(10, 4, 5))
BOXES = np.array([[[n % 2, 0.1, 0.1, 0.4, 0.3], [-1] * 5] for n in range(10)], dtype=np.float32)
TEXTS = np.random.default_rng(1).integers(3, size=(10, 6))
POINTS = np.array([[[n % 2, 1, 0], [1, n + 1, 0], [0, 1, 1]] for n in range(10)])
TASKS_AND_TARGETS = [
    (Classification(3), LABELS),
    (MultiLabel(2), YES),
    (Regression(2), NUMBERS),
    (DenseClassification(3, (4, 5)), MAPS),
    (Detection(2, 2, 3), BOXES),
    (DenseClassification(3, (4, 5), has_uncertainty=True), MAPS),
    (NextCharacter(3, 6), TEXTS),
    (StrokeSegmentation(2, 3), POINTS),
]
BY_TASK = pytest.mark.parametrize(("task", "targets"), TASKS_AND_TARGETS, ids=lambda one: type(one).__name__)


def answers_to(task, targets):
    return RNG.standard_normal((len(targets), *task.output.shape)).astype(np.float32)


def test_every_registered_task_is_looked_at_here() -> None:
    assert {TASKS.get(name) for name in TASKS.names()} == {type(task) for task, _ in TASKS_AND_TARGETS}


def test_scores_are_those_of_scikit_learn() -> None:
    """Known places only, as means over labels."""
    for task, targets, wanted in (
        (
            Classification(3), LABELS,
            lambda a, t: (accuracy_score(t, a.argmax(1)), f1_score(t, a.argmax(1), average="macro")),
        ),
        (
            MultiLabel(2), YES,
            lambda a, t: tuple(
                np.mean([f(t[known, k] > 0.5, a[known, k]) for k in (0, 1) for known in [~np.isnan(t[:, k])]])
                for f in (
                    roc_auc_score,
                    lambda y, z: matthews_corrcoef(y, z > 0),
                    lambda y, z: accuracy_score(y, z > 0),
                    lambda _, z: np.isfinite(z).all(),
                )
            ),
        ),
        (Regression(2), NUMBERS, lambda a, t: (rmse(t, a), r2_score(t, a))),
        (
            DenseClassification(3, (4, 5)), MAPS,
            lambda a, t: (
                accuracy_score(t[t >= 0], a.argmax(1)[t >= 0]), jaccard_score(t[t >= 0], a.argmax(1)[t >= 0], average="macro"),
            ),
        ),
        (
            NextCharacter(3, 6), TEXTS,
            lambda a, t: (
                log_loss(t.ravel(), torch.from_numpy(a).double().softmax(1).numpy().transpose(0, 2, 1).reshape(-1, 3)) / np.log(2),
                accuracy_score(t.ravel(), a.argmax(1).ravel()),
            ),
        ),
    ):  # fmt: skip
        answers = answers_to(task, targets)
        assert [score.of(answers, targets) for score in task.scores] == pytest.approx(wanted(answers, targets))


@BY_TASK
def test_scores_have_bounds_and_a_worth_without_an_answer(task, targets) -> None:
    """They survive pickling, since workers receive them."""
    answers = answers_to(task, targets)
    for score in pickle.loads(pickle.dumps(task.scores)):  # noqa: S301 - our own
        assert score.low <= score.of(answers, targets) <= score.high
        assert score.low <= score.without_answer <= score.high
        assert score.summary
        assert score.formula
        assert score.metric().title


@BY_TASK
def test_guessing_is_never_better_than_what_it_is_worth_without_an_answer_plus_chance(task, targets) -> None:
    """The best constant answer: the coin of ROC-AUC, no correlation, the spread of the targets, the frequent class."""
    guess = task.guess(targets)
    assert guess.shape == task.output.shape
    assert guess.dtype == np.float32
    everywhere = np.broadcast_to(guess, (len(targets), *guess.shape))
    found = {score.name: score.of(everywhere, targets) for score in task.scores}
    known = {
        "Classification": {"accuracy": np.bincount(LABELS).max() / 60},
        "MultiLabel": {"roc_auc": 0.5, "mcc": 0.0},
        "Regression": {"rmse": NUMBERS.std(axis=0).mean(), "r2": 0.0},
        "NextCharacter": {"bits_per_character": -sum(p * np.log2(p) for p in np.bincount(TEXTS.ravel()) / TEXTS.size)},
        "Detection": {"map_voc2010": 0.0},  # IoU 0.0325 / 0.0875 with the only box
        "DenseClassification": {"pixel_accuracy": np.bincount(MAPS[MAPS >= 0]).max() / (MAPS >= 0).sum()},
        "StrokeSegmentation": {"point_accuracy": np.mean([(1 + (n % 2 == 0)) / (n + 3) for n in range(10)])},  # class 0
    }[type(task).__name__]
    assert {name: found[name] for name in known} == pytest.approx(known, abs=1e-6)


@BY_TASK
def test_losses_fall_along_their_gradient(task, targets) -> None:
    """Loss and imitation are differentiable; imitation is smallest, and zero, at the teacher's own answers."""
    answers = torch.from_numpy(answers_to(task, targets)).requires_grad_()
    wanted = torch.from_numpy(answers_to(task, targets))
    for loss in (
        lambda one: task.loss(one, torch.from_numpy(targets)),
        lambda one: task.imitation(one, wanted, 4.0),
    ):
        before = loss(answers)
        (slope,) = torch.autograd.grad(before, answers)
        step = 1e-2 / float(slope.abs().max())
        with torch.no_grad():
            assert float(loss(answers - step * slope)) < float(before)
    assert float(task.imitation(wanted, wanted, 2.0)) == pytest.approx(0.0, abs=1e-6)


def test_gaps_have_no_say_in_the_loss() -> None:
    """Binary cross-entropy of one known answer of three: log(1 + exp(-1)) for logit 1 and yes."""
    targets = torch.tensor([[1.0, float("nan"), float("nan")]])
    assert float(MultiLabel(3).loss(torch.tensor([[1.0, 50.0, -50.0]]), targets)) == pytest.approx(np.log1p(np.exp(-1)))
    assert float(MultiLabel(3).loss(torch.ones(1, 3), targets * float("nan"))) == 0.0


def test_the_temperature_cancels_in_the_distillation_of_regressions() -> None:
    """2 T^2 times the imitation is the mean squared difference: (1 + 4) / 2."""
    ours, theirs = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]])
    for temperature in (1.0, 4.0):
        found = 2 * temperature**2 * Regression(2).imitation(ours, theirs, temperature)
        assert float(found) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("task", "targets", "fault"),
    [
        (Classification(3), np.array([0, 3]), "labels from 0 to 3, but classes are 0 to 2"),
        (
            Classification(3),
            np.array([0.0, 1.0]),
            "targets are float64 of shape () a sample; expected int64 of shape ()",
        ),
        (Classification(1), np.array([0, 0]), "has 1 class; a network is asked which of several it is"),
        (MultiLabel(1), np.array([[0.5], [1.0]], np.float32), "targets hold values beside 0, 1 and NaN"),
        (MultiLabel(1), np.array([[1.0], [1.0]], np.float32), "no label has both answers, so none can be judged"),
        (MultiLabel(2), np.zeros((3, 1), np.float32), "of shape (1,) a sample; expected float32 of shape (2,)"),
        (Regression(1), np.array([[np.inf]], np.float32), "targets hold values that are not finite"),
        (Regression(1), np.zeros(3, np.float32), "of shape () a sample; expected float32 of shape (1,)"),
        (DenseClassification(2, (1, 2)), np.array([[[0, -2]]]), "labels from -2 to 0, but classes are 0 to 1"),
    ],
)
def test_wrong_targets_are_named(task, targets, fault) -> None:
    assert fault in task.fault(targets)


@BY_TASK
def test_right_targets_have_no_fault(task, targets) -> None:
    assert task.fault(targets) == ""


def test_scores_are_chosen_by_name() -> None:
    """The main one alone by default; the first that is named is the main one then."""
    task = Classification(3)
    assert [score.name for score in asked_scores(task, Evaluation())] == ["accuracy"]
    both = Evaluation(scores=("f1_macro", "accuracy"))
    assert [score.name for score in asked_scores(task, both)] == ["f1_macro", "accuracy"]
    with pytest.raises(DataError, match="no score 'roc_auc'; it has accuracy, f1_macro"):
        asked_scores(task, Evaluation(scores=("roc_auc",)))
    with pytest.raises(PlanError, match="names a score twice"):
        Evaluation(scores=("accuracy", "accuracy"))
    assert next(iter(SCORES)) == "accuracy"
