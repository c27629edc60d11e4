from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.partition import Partition
from edgesim.domain.networks.training import Distillation, Training
from edgesim.nn.distill import processes
from edgesim.nn.distill.ensembles import contributions
from edgesim.nn.distill.independent import train_whole_students
from edgesim.nn.distill.losses import imitation_loss, transfer_loss
from edgesim.nn.distill.student_training import StudentTraining
from edgesim.nn.distill.students import train_students
from edgesim.nn.distill.teacher_outputs import Teacher
from edgesim.nn.merging.heads import features_of
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.objectives.distillation import JointDistillation
from edgesim.nn.objectives.failout import Failout
from edgesim.nn.tensors import tensors_of
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import forward
from edgesim.tasks.classification import Classification, accuracy

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Silent

    from edgesim.domain.networks.objective import Objective
    from edgesim.domain.networks.partition import Denominator
    from edgesim.domain.networks.samples import Dataset, Inputs
    from edgesim.domain.networks.task import TensorSpec
    from edgesim.interfaces import ModelBuilder
    from edgesim.nn.distill.students import Fitting, TrainedStudents
    from edgesim.nn.train.training import TrainedNetwork

PARTITION = Partition((tuple(range(20)), tuple(range(20, 50))), 64)
TINY = SmallCNN(channels=(4,), pool_after=0)
LOSS = Distillation()


def trained(
    teacher: TrainedNetwork,
    digits: Dataset,
    silent: Silent,
    folder: Path,
    *,
    n_students: int = 3,
    epochs: int = 1,
    distillation: Distillation = LOSS,
    model: ModelBuilder = TINY,
    fitting: Fitting = "joint",
    denominator: Denominator = "arrived",
    objective: Objective = JointDistillation(),  # noqa: B008 - frozen
) -> TrainedStudents:
    setup = StudentTraining(
        builder=model,
        teacher=Teacher(teacher.network, teacher.key, "relu3"),
        dataset=digits,
        distillation=distillation,
        training=Training(epochs=epochs),
        seed=1,
        progress=silent,
        cache=NetworkCache(folder),
        objective=objective,
    )
    return train_students(setup, PARTITION, n_students=n_students, fitting=fitting, denominator=denominator)


def test_student_i_learns_part_i_mod_m(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """Five students on two parts: 0 1 0 1 0, each with as many features as its part has filters."""
    ensemble = trained(teacher, digits, silent, tmp_path, n_students=5).ensemble
    assert ensemble.part_of == (0, 1, 0, 1, 0)
    outputs = [forward(network, digits.test[:2].inputs).shape[1] for network in ensemble.students]
    assert outputs == [20, 30, 20, 30, 20]


def test_contributions_add_up_to_the_network_for_every_subset(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """Bias plus the means over arrived students of each part equal merging the features and running the head, to 1e-5."""
    ensemble = trained(teacher, digits, silent, tmp_path).ensemble
    inputs = digits.test[:50].inputs
    shares = contributions(ensemble, features_of(ensemble, inputs), range(len(ensemble.students)))
    bias = ensemble.head.bias.detach().numpy()
    with torch.inference_mode():
        features = ensemble.features(tensors_of(inputs))
        for arrived in itertools.product((False, True), repeat=3):
            wanted = ensemble.head(ensemble.merge(features, arrived)).numpy()
            found = bias + np.zeros_like(shares[0])
            for part in (0, 1):
                there = [i for i in range(3) if arrived[i] and ensemble.part_of[i] == part]
                if there:
                    found = found + shares[there].mean(axis=0)
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_same_students_come_out_of_training_and_cache(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """Trained twice, or loaded: bitwise the same logits; another loss is another key."""
    first = trained(teacher, digits, silent, tmp_path / "a")
    again = trained(teacher, digits, silent, tmp_path / "b")
    n_notes = len(silent.notes)
    loaded = trained(teacher, digits, silent, tmp_path / "a")
    assert len(silent.notes) == n_notes
    answers = [forward(found.ensemble, digits.test.inputs) for found in (first, again, loaded)]
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])
    assert first.metrics == loaded.metrics
    other = trained(teacher, digits, silent, tmp_path / "a", distillation=Distillation(beta=0.0))
    assert other.key != first.key


def test_the_teacher_is_not_changed(teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path) -> None:
    """Its answers are the same before and after, and it stays in evaluation mode."""
    before = forward(teacher.network, digits.test.inputs)
    trained(teacher, digits, silent, tmp_path)
    assert np.array_equal(before, forward(teacher.network, digits.test.inputs))
    assert not any(module.training for module in teacher.network.modules())


def test_imitation_loss_is_the_formula() -> None:
    """By hand for two classes: T = 2, alpha = 0.9; the mean over classes halves the divergence."""
    answers, wanted = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0 * np.log(3.0), 0.0]])
    divergence = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    loss = imitation_loss(Classification(2), answers, wanted, torch.tensor([1]), Distillation(2.0, 0.9))
    assert float(loss) == pytest.approx(2 * 0.9 * 4 * divergence / 2 + 0.1 * np.log(2), rel=1e-6)


def test_transfer_loss_over_the_whole_and_over_parts() -> None:
    """Two students of two features: over the whole (3, 0, 4, 0)/5 against (0, 3, 0, 4)/5; over parts unit vectors."""
    features = [torch.tensor([[3.0, 0.0]]), torch.tensor([[4.0, 0.0]])]
    targets = [torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 4.0]])]
    assert float(transfer_loss(features, targets, is_per_part=False)) == pytest.approx((9 + 9 + 16 + 16) / 25 / 4)
    assert float(transfer_loss(features, targets, is_per_part=True)) == pytest.approx(1.0)


def test_transfer_loss_does_not_see_the_scale() -> None:
    """Features are normalised for each sample, so a student may answer in any scale."""
    features, targets = [torch.rand(5, 3)], [torch.rand(5, 3)]
    scaled = [features[0] * torch.tensor([[0.1], [1.0], [2.0], [3.0], [40.0]])]
    assert float(transfer_loss(scaled, targets, is_per_part=False)) == pytest.approx(
        float(transfer_loss(features, targets, is_per_part=False)), rel=1e-5
    )


def test_students_come_to_resemble_their_filters(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """With the activation transfer, features point where the teacher's activities point; without, they need not."""
    from edgesim.nn.parts.activations import filter_activities

    activities = filter_activities(teacher.network, "relu3", digits.test.inputs)
    distances = []
    for beta in (0.0, 10000.0):
        found = trained(
            teacher,
            digits,
            silent,
            tmp_path,
            n_students=2,
            epochs=8,
            distillation=Distillation(beta=beta),
            model=SmallCNN(channels=(8, 16), pool_after=1),
        )
        features = [torch.from_numpy(forward(network, digits.test.inputs)) for network in found.ensemble.students]
        targets = [torch.from_numpy(activities[:, list(part)]) for part in PARTITION.parts]
        distances.append(float(transfer_loss(features, targets, is_per_part=False)))
    assert distances[1] < 0.5 * distances[0]


def test_students_may_be_any_traceable_network(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """A builder from outside, whose network is no sequence and uses functions."""
    from dataclasses import dataclass

    class Branching(nn.Module):
        def __init__(self, n_inputs: int, n_classes: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(n_inputs, 3, 3, padding=1)
            self.second = nn.Conv2d(3, 3, 1)
            self.classifier = nn.Linear(3, n_classes)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            first = self.first(inputs).relu()
            return self.classifier((first + self.second(first)).relu().mean((2, 3)))

    @dataclass(frozen=True)
    class Builder:
        def build(self, inputs: Inputs, output: TensorSpec) -> nn.Module:
            return Branching(inputs["images"].shape[0], output.size)

        def filter_layer(self) -> str:
            return "second"

    found = trained(teacher, digits, silent, tmp_path, n_students=2, model=Builder())
    assert forward(found.ensemble, digits.test.inputs).shape == (360, 10)


def test_failout_loses_students_in_training(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """With a survival of a half the ensemble is better when only one of two students arrives, on average."""
    left = []
    for objective in (JointDistillation(), Failout(0.5)):
        ensemble = trained(
            teacher,
            digits,
            silent,
            tmp_path,
            n_students=2,
            epochs=10,
            objective=objective,
            model=SmallCNN(channels=(8, 16), pool_after=1),
        ).ensemble
        shares = contributions(ensemble, features_of(ensemble, digits.test.inputs), range(len(ensemble.students)))
        bias = ensemble.head.bias.detach().numpy()
        left.append(np.mean([accuracy(share + bias, digits.test.targets) for share in shares]))
    assert left[1] > left[0] + 0.03


def test_the_denominator_counts_where_failout_loses_replicas(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """Only then does it change what is trained."""
    plain, halved = (
        [
            trained(teacher, digits, silent, tmp_path, objective=objective, denominator=denominator).key
            for denominator in ("arrived", "all")
        ]
        for objective in (JointDistillation(), Failout(0.5))
    )
    assert plain[0] == plain[1]
    assert halved[0] != halved[1]


def test_independent_students_learn_their_part_and_share_a_fitted_head(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """Each student is trained by its part alone (another number of students changes nothing for the first), and the head
    makes something of them; from the cache it is bitwise the same.
    """
    model = SmallCNN(channels=(8, 16), pool_after=1)
    two, four, again = (
        trained(teacher, digits, silent, tmp_path, n_students=n, epochs=8, model=model, fitting="independent")
        for n in (2, 4, 2)
    )
    for name, tensor in two.ensemble.students.state_dict().items():
        assert torch.equal(tensor, four.ensemble.students.state_dict()[name])
    assert silent.labels == [
        "student 1 of 2 on digits", "student 2 of 2 on digits", "head of 2 students on digits",
        "student 3 of 4 on digits", "student 4 of 4 on digits", "head of 4 students on digits",
    ]  # fmt: skip
    assert two.metrics["test_accuracy"] > 0.85
    assert np.array_equal(forward(two.ensemble, digits.test.inputs), forward(again.ensemble, digits.test.inputs))


def test_whole_students_differ_and_answer_the_whole_question(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """Two networks of one architecture, each far above chance (0.1), with different answers."""
    setup = StudentTraining(
        builder=SmallCNN(channels=(8, 16), pool_after=1),
        teacher=Teacher(teacher.network, teacher.key, "relu3"),
        dataset=digits,
        distillation=Distillation(),
        training=Training(epochs=8),
        seed=1,
        progress=silent,
        cache=NetworkCache(tmp_path),
    )
    members = train_whole_students(setup, n_students=2)
    assert all(metrics["test_accuracy"] > 0.6 for _, _, metrics in members)
    assert not np.array_equal(*(forward(network, digits.test.inputs) for network, _, _ in members))


def test_the_teacher_is_asked_once_for_each_view(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path
) -> None:
    """With augmentation its answers are kept, and a second set of students finds them; they are those to the moved samples."""
    training = Training(epochs=3, augmentation="shift", views=2)
    setup = StudentTraining(
        builder=TINY,
        teacher=Teacher(teacher.network, teacher.key, "relu3"),
        dataset=digits,
        distillation=LOSS,
        training=training,
        seed=1,
        progress=silent,
        cache=NetworkCache(tmp_path),
    )
    train_students(setup, PARTITION, n_students=2)
    kept = sorted(tmp_path.glob("teacher-outputs-*"))
    assert len(kept) == 2
    written = [path.stat().st_mtime_ns for path in kept]
    train_students(setup, PARTITION, n_students=3)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("teacher-outputs-*"))] == written
    batch = setup.outputs().batch(torch.arange(5), 2)
    inputs = {"images": batch.inputs["images"].numpy()}
    np.testing.assert_allclose(batch.answers, forward(teacher.network, inputs), atol=1e-4)
    assert batch.activities.shape == (5, 64)
    whole = kept[1].read_bytes()
    for content in (b"", b"no answers", whole[:-50], whole[:200] + b"damaged" + whole[207:]):
        kept[1].write_bytes(content)
        assert np.array_equal(setup.outputs().batch(torch.arange(5), 2).answers, batch.answers)


def test_the_number_of_threads_does_not_change_the_weights(
    teacher: TrainedNetwork, digits: Dataset, silent: Silent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three students in one and in two threads: the same bytes."""
    monkeypatch.setattr("edgesim.nn.distill.parallel.WORTH_S", 0.0)
    states = []
    for n_threads in (1, 2):
        setup = StudentTraining(
            builder=TINY,
            teacher=Teacher(teacher.network, teacher.key, "relu3"),
            dataset=digits,
            distillation=LOSS,
            training=Training(epochs=1),
            seed=1,
            progress=silent,
            cache=NetworkCache(tmp_path / str(n_threads)),
            n_at_once=n_threads,
        )
        states.append(train_students(setup, PARTITION, n_students=3).ensemble.state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_students_that_learn_alone_learn_the_same_in_processes(
    teacher: TrainedNetwork,
    digits: Dataset,
    silent: Silent,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bit by bit; and they do learn there: here nothing is trained but the first student and the head."""
    trainings = {
        n_at_once: StudentTraining(
            builder=TINY,
            teacher=Teacher(teacher.network, teacher.key, "relu3"),
            dataset=digits,
            distillation=LOSS,
            training=Training(epochs=1),
            seed=1,
            progress=silent,
            cache=NetworkCache(tmp_path / str(n_at_once)),
            n_at_once=n_at_once,
        )
        for n_at_once in (1, 2)
    }
    monkeypatch.setattr(processes, "WORTH_S", 0.0)
    found = []
    for setup in trainings.values():
        silent.notes.clear()
        found.append(train_students(setup, PARTITION, n_students=3, fitting="independent").ensemble)
        found.append(nn.Sequential(*(network for network, _, _ in train_whole_students(setup, n_students=3))))
    one, whole, one_again, whole_again = (network.state_dict() for network in found)
    assert all(torch.equal(one[name], one_again[name]) for name in one)
    assert all(torch.equal(whole[name], whole_again[name]) for name in whole)
    n_trained_here = sum("loss" in note for note in silent.notes)  # one epoch each: student, head, whole student
    assert n_trained_here == 3
