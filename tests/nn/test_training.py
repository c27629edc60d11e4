from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.training import Training
from edgesim.errors import DataError
from edgesim.nn.data.datasets import Digits
from edgesim.nn.models.zoo import SmallCNN, WideResNet
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.checkpoint import load_checkpoint
from edgesim.nn.train.training import Reached, fit, forward, reproducible, train_teacher, validated
from edgesim.tasks.classification import Classification, accuracy

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Silent

    from edgesim.domain.networks.samples import Dataset
    from edgesim.nn.train.training import TrainedNetwork

SMALL = SmallCNN(channels=(4, 6), pool_after=1)
BRIEF = Training(epochs=2)


def test_the_teacher_reaches_97_percent_of_the_test_split(teacher: TrainedNetwork, digits: Dataset) -> None:
    """Eight epochs are enough for 0.97, and the metrics are those of the network itself."""
    assert teacher.metrics["test_accuracy"] >= 0.97
    answers = forward(teacher.network, digits.test.inputs)
    assert answers.shape == (360, 10)
    assert answers.dtype == np.float32
    assert accuracy(answers, digits.test.targets) == teacher.metrics["test_accuracy"]


def test_training_depends_on_the_seed_only(tmp_path: Path, digits: Dataset, silent: Silent) -> None:
    """Whatever torch did before, the same seed gives bitwise the same network, and another seed another one."""
    answers = []
    for folder, seed, before in (("a", 1, 0), ("b", 1, 7), ("c", 2, 0)):
        torch.manual_seed(before)
        trained = train_teacher(SMALL, digits, BRIEF, seed=seed, progress=silent, cache=NetworkCache(tmp_path / folder))
        answers.append(forward(trained.network, digits.test.inputs))
    assert np.array_equal(answers[0], answers[1])
    assert not np.allclose(answers[0], answers[2])


def test_training_leaves_torch_as_it_was(tmp_path: Path, digits: Dataset, silent: Silent) -> None:
    """Threads, determinism and the global generator are restored."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        state = torch.get_rng_state()
        train_teacher(SMALL, digits, Training(epochs=1), seed=1, progress=silent, cache=NetworkCache(tmp_path))
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(n_threads)


def test_a_cached_network_gives_bitwise_the_same_outputs(tmp_path: Path, digits: Dataset, silent: Silent) -> None:
    """The second call trains nothing and returns the same key, metrics and outputs."""
    cache = NetworkCache(tmp_path)
    first = train_teacher(SMALL, digits, BRIEF, seed=1, progress=silent, cache=cache)
    n_notes = len(silent.notes)
    second = train_teacher(SMALL, digits, BRIEF, seed=1, progress=silent, cache=cache)
    assert n_notes == len(silent.notes) == BRIEF.epochs
    assert (first.key, first.metrics) == (second.key, second.metrics)
    assert np.array_equal(forward(first.network, digits.test.inputs), forward(second.network, digits.test.inputs))


def test_each_epoch_reports_loss_and_accuracy(tmp_path: Path, digits: Dataset, silent: Silent) -> None:
    """One note per epoch, with the training loss and the validation accuracy."""
    train_teacher(SMALL, digits, BRIEF, seed=1, progress=silent, cache=NetworkCache(tmp_path))
    assert silent.labels == ["teacher on digits"]
    assert len(silent.notes) == 2
    assert all(note.startswith("loss ") and "validation accuracy " in note for note in silent.notes)


def test_the_test_split_does_not_influence_the_weights(tmp_path: Path, digits: Dataset, silent: Silent) -> None:
    """With other test samples the same weights come out."""
    import dataclasses

    other = dataclasses.replace(digits, test=dataclasses.replace(digits.test, inputs={"images": 1 - digits.test.only}))
    networks = [
        train_teacher(SMALL, data, BRIEF, seed=1, progress=silent, cache=NetworkCache(tmp_path / name)).network
        for name, data in (("a", digits), ("b", other))
    ]
    assert np.array_equal(*(forward(network, digits.test.inputs) for network in networks))


def test_the_best_epoch_is_kept(digits: Dataset, silent: Silent) -> None:
    """A loss that ruins the network after the first epoch leaves the weights of the first."""
    training = Training(epochs=4, batch_size=len(digits.train), optimizer="sgd", learning_rate=0.5)
    inputs, labels = torch.from_numpy(digits.train.only), torch.from_numpy(digits.train.targets)
    calls = 0
    with reproducible(1, "test") as draws:
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            nonlocal calls
            calls += 1
            loss = nn.functional.cross_entropy(network(inputs[indices]), labels[indices])
            return loss if calls == 1 else -loss

        best = fit(
            network,
            batch_loss,
            training,
            n_samples=len(labels),
            validate=lambda: validated(network, digits),
            draws=draws,
            label="ruin",
            progress=silent,
        )
    assert best == 1
    kept = accuracy(forward(network, digits.validation.inputs), digits.validation.targets)
    assert f"{kept:.3f}" in silent.notes[0]


def test_a_loss_that_is_not_finite_is_an_error(tmp_path: Path, digits: Dataset, silent: Silent) -> None:
    """A learning rate that is far too high ends with a message that says what to do."""
    training = Training(epochs=3, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(DataError, match="training diverged: lower `learning_rate`"):
        train_teacher(SMALL, digits, training, seed=1, progress=silent, cache=NetworkCache(tmp_path))


def test_a_last_step_that_ruins_the_network_is_an_error(tmp_path: Path, digits: Dataset, silent: Silent) -> None:
    """One step: its loss is that of the network before it, and finite; the answers behind it are not."""
    training = Training(epochs=1, batch_size=2000, optimizer="sgd", learning_rate=1e38)
    with pytest.raises(DataError, match="behind epoch 1 its answers are not finite any more; training diverged"):
        train_teacher(SMALL, digits, training, seed=1, progress=silent, cache=NetworkCache(tmp_path))


def test_a_step_that_fails_names_what_was_trained(digits: Dataset, silent: Silent) -> None:
    """Batch normalisation of a vector cannot work on one sample."""
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))
    inputs, labels = torch.from_numpy(digits.train.only), torch.from_numpy(digits.train.targets)

    def batch_loss(indices: torch.Tensor, _epoch: int) -> torch.Tensor:
        return nn.functional.cross_entropy(network(inputs[indices]), labels[indices])

    message = (
        "norm: a step of training with 1 samples fails: ValueError: Expected more than 1 value.*another `batch_size`"
    )
    with reproducible(1, "norm") as draws, pytest.raises(DataError, match=message):
        fit(
            network,
            batch_loss,
            Training(epochs=1, batch_size=1),
            n_samples=5,
            validate=lambda: Reached(Classification(2).scores[0], 0.0, 0.0),
            draws=draws,
            label="norm",
            progress=silent,
        )


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(
    tmp_path: Path, digits: Dataset, silent: Silent
) -> None:
    """A process that is killed (SIGKILL) behind its third epoch: the next one resumes and gives bitwise the same network.

    With augmentation and dropout, so that every generator counts.
    """
    training = "Training(epochs=5, optimizer='sgd', learning_rate=0.02, augmentation='shift', views=3)"
    model = "WideResNet(depth=10, width=1, dropout=0.3)"
    code = f"""
import contextlib, os, pathlib, signal
from edgesim.domain.networks.training import Training
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.checkpoint import load_checkpoint
from edgesim.nn.data.datasets import Digits
from edgesim.nn.data.datasets import Digits
from edgesim.nn.train import training
from edgesim.nn.train.training import train_teacher
from edgesim.nn.models.zoo import WideResNet

training.CHECKPOINT_EVERY_S = 0

class Killer:
    n_done = 0
    @contextlib.contextmanager
    def task(self, label, n_total):
        yield self
    def advance(self, n_done=1, note=""):
        self.n_done += n_done
        if self.n_done == 3:
            os.kill(os.getpid(), signal.SIGKILL)

train_teacher({model}, Digits(train_size=150).load(), {training}, seed=1, progress=Killer(),
              cache=NetworkCache(pathlib.Path({str(tmp_path / "killed")!r})))
"""
    data = Digits(train_size=150).load()
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    left = [path.suffix for path in (tmp_path / "killed").iterdir()]
    assert left == [".checkpoint"]
    networks, metrics = {}, {}
    for name in ("killed", "whole"):
        trained = train_teacher(
            WideResNet(depth=10, width=1, dropout=0.3),
            data,
            Training(epochs=5, optimizer="sgd", learning_rate=0.02, augmentation="shift", views=3),
            seed=1,
            progress=silent,
            cache=NetworkCache(tmp_path / name),
        )
        networks[name], metrics[name] = trained.network.state_dict(), trained.metrics
    resumed, whole = silent.notes[:3], silent.notes[3:]
    assert resumed == ["resumed behind epoch 3", *whole[3:]]
    assert metrics["killed"] == metrics["whole"]
    assert metrics["whole"]["epoch"] > 3  # else the weights would be those of before the kill
    assert all(torch.equal(tensor, networks["killed"][name]) for name, tensor in networks["whole"].items())
    assert sorted(path.suffix for path in (tmp_path / "killed").iterdir()) == [".json", ".safetensors"]


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x02]q\x00."])
def test_a_damaged_checkpoint_is_not_used(tmp_path: Path, content: bytes) -> None:
    """Training then starts anew."""
    (tmp_path / "x.checkpoint").write_bytes(content)
    assert load_checkpoint(tmp_path / "x.checkpoint") is None
