"""Training: the loop that teachers and students share, and the teacher."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from edgesim.errors import FOREIGN, DataError, EdgesimError
from edgesim.nn.cache import NetworkCache, fingerprint
from edgesim.nn.cards import content_key, provenance
from edgesim.nn.checkpoint import load_checkpoint, save_checkpoint
from edgesim.nn.views import Views
from edgesim.rng import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgesim.domain.model import Dataset, Split
    from edgesim.domain.training import Training
    from edgesim.interfaces import ModelBuilder, Progress

EVALUATION_BATCH = 512
"""Samples per forward pass when nothing is trained."""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network.

    Parameters
    ----------
    network : in evaluation mode.
    key : hash of everything that determined its weights.
    metrics : ``validation_accuracy``, ``test_accuracy`` and ``epoch``, the one that was selected, from 1.
    """

    network: nn.Module
    key: str
    metrics: dict[str, float]


@contextmanager
def reproducible(seed: int, name: str) -> Iterator[torch.Generator]:
    """Make torch's work depend on nothing but the seed: one thread, deterministic algorithms, generators of its own.

    Gives a generator for explicit draws. Initialisations of modules draw from torch's global generator, which is seeded inside and
    restored at the end, like the other settings.

    Parameters
    ----------
    seed : the study's seed.
    name : what the draws are for.
    """
    n_threads = torch.get_num_threads()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    draws = generator(seed, name)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(draws.integers(2**63)))
            yield torch.Generator().manual_seed(int(draws.integers(2**63)))
    finally:
        torch.use_deterministic_algorithms(was_deterministic)
        torch.set_num_threads(n_threads)


def forward(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a network's output for many samples: in batches, in evaluation mode, without gradients, on one thread.

    Parameters
    ----------
    network : left in evaluation mode.
    inputs : shape (n, channels, height, width).
    """
    network.eval()
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            batches = torch.from_numpy(np.ascontiguousarray(inputs)).split(EVALUATION_BATCH)  # type: ignore[no-untyped-call]
            return torch.cat([network(batch) for batch in batches]).numpy()
    finally:
        torch.set_num_threads(n_threads)


def logits(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a classifier's logits, shape (n, classes); see `forward`."""
    return forward(network, inputs)


def accuracy(answers: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the share of samples whose largest logit is at the right class."""
    return float(np.mean(answers.argmax(axis=1) == labels))


def fit(
    network: nn.Module,
    batch_loss: Callable[[torch.Tensor, int], torch.Tensor],
    training: Training,
    *,
    n_samples: int,
    score: Callable[[], tuple[float, float]],
    draws: torch.Generator,
    label: str,
    progress: Progress,
    checkpoint: Path | None = None,
) -> int:
    """Train a network and leave it with the weights of its best epoch.

    Parameters
    ----------
    network : all its parameters are trained.
    batch_loss : indices of samples of a batch, and the epoch from 1 -> loss, with gradients.
    training : options.
    n_samples : samples in the training split.
    score : how good the network is on samples that it is not trained on, larger is better; see `validation_score`.
    draws : shuffles the samples.
    label : what the progress bar says.
    progress : one unit per epoch.
    checkpoint : file that keeps the state after each epoch; if it is there, training goes on from it and ends with the
        same weights, bit by bit, as without the interruption.

    Returns
    -------
    The selected epoch, from 1.

    Raises
    ------
    DataError
        When a step fails, or training diverges: the loss or the answers are not finite.
    """
    n_batches = math.ceil(n_samples / training.batch_size)
    run = _Run(network, training, n_batches, draws)
    with progress.task(label, training.epochs) as task:
        if checkpoint is not None and run.resume(checkpoint):
            task.advance(run.epoch, f"resumed behind epoch {run.epoch}")
        while run.epoch < training.epochs:
            run.epoch += 1
            network.train()
            total = 0.0
            for indices in torch.randperm(n_samples, generator=draws).chunk(n_batches):
                total += _taken(run, batch_loss, indices, label) * len(indices)
            mean_loss = total / n_samples
            if not math.isfinite(mean_loss):
                raise DataError(f"{label}: the loss became {mean_loss} in epoch {run.epoch}; {_REMEDY}")
            reached = run.keep_best(score())
            if not all(math.isfinite(value) for value in reached):
                raise DataError(f"{label}: behind epoch {run.epoch} its answers are not finite any more; {_REMEDY}")
            if checkpoint is not None:
                run.save(checkpoint)
            task.advance(1, f"loss {mean_loss:.4f}, validation accuracy {reached[0]:.3f}")
    network.load_state_dict(run.best_state)
    network.eval()
    return run.best_epoch


_REMEDY = "training diverged: lower `learning_rate`, or look at the network and its inputs"


def _taken(
    run: _Run, batch_loss: Callable[[torch.Tensor, int], torch.Tensor], indices: torch.Tensor, label: str
) -> float:
    """Take one step and return its loss; what the network raises names who was trained."""
    try:
        loss = batch_loss(indices, run.epoch)
        run.step(loss)
    except EdgesimError:
        raise
    except FOREIGN as error:
        first = str(error).strip().split("\n", maxsplit=1)[0]
        raise DataError(
            f"{label}: a step of training with {len(indices)} samples fails: {type(error).__name__}: {first}; look at the network's forward "
            "method, or try another `batch_size`"
        ) from error
    return loss.item()


class _Run:
    """A training under way: all that must be kept to go on with it."""

    def __init__(self, network: nn.Module, training: Training, n_batches: int, draws: torch.Generator) -> None:
        self.network, self.draws = network, draws
        self.optimizer = _optimizer(network, training)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=training.epochs * n_batches)
        self.epoch = 0
        self.best = (-1.0, -math.inf)
        self.best_epoch = 0
        self.best_state = _copied(network.state_dict())

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()

    def keep_best(self, score: tuple[float, float]) -> tuple[float, float]:
        if score > self.best:
            self.best, self.best_epoch = score, self.epoch
            self.best_state = _copied(self.network.state_dict())
        return score

    def save(self, path: Path) -> None:
        state = {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "draws": self.draws.get_state(),
            "global_draws": torch.get_rng_state(),  # dropout draws from it
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_state": self.best_state,
        }
        save_checkpoint(path, state)

    def resume(self, path: Path) -> bool:
        state = load_checkpoint(path)
        if state is None:
            return False
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.draws.set_state(state["draws"])
        torch.set_rng_state(state["global_draws"])
        self.epoch, self.best, self.best_epoch = state["epoch"], tuple(state["best"]), state["best_epoch"]
        self.best_state = state["best_state"]
        return True


def _copied(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def train_teacher(
    builder: ModelBuilder, dataset: Dataset, training: Training, *, seed: int, progress: Progress, cache: NetworkCache
) -> TrainedNetwork:
    """Return the teacher, trained with cross-entropy on the training split, or taken from the cache.

    Parameters
    ----------
    builder : its architecture.
    dataset : trains on ``train``, selects the epoch on ``validation``; ``test`` is only measured, at the end.
    training : options.
    seed : of the initialisation and the order of samples.
    progress : one unit per epoch; nothing is shown when it comes from the cache.
    cache : where it is looked up and kept; an unfinished training goes on from its last epoch.
    """
    determinants = provenance(
        "teacher",
        dataset=fingerprint(dataset),
        model=builder,
        n_classes=dataset.n_classes,
        training=training,
        seed=seed,
    )
    key = content_key(determinants)
    with reproducible(seed, "teacher") as draws:
        network = builder.build(dataset.input_shape, dataset.n_classes)
        found = cache.restore(key, network)
        if found is not None:
            return TrainedNetwork(network.eval(), key, found)
        views, labels = Views(dataset.train.inputs, training, seed), torch.from_numpy(dataset.train.labels)

        def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            return nn.functional.cross_entropy(network(views.batch(indices, views.of_epoch(epoch))), labels[indices])

        epoch = fit(
            network,
            batch_loss,
            training,
            n_samples=len(labels),
            score=lambda: validation_score(network, dataset.validation),
            draws=draws,
            label=f"teacher on {dataset.name}",
            progress=progress,
            checkpoint=cache.checkpoint_path(key),
        )
        metrics = measured(network, dataset, epoch)
    cache.store(key, network.state_dict(), determinants, metrics, about(dataset, network))
    return TrainedNetwork(network, key, metrics)


def measured(network: nn.Module, dataset: Dataset, epoch: int) -> dict[str, float]:
    """Return the metrics of a trained network; see `TrainedNetwork`."""
    return {
        "validation_accuracy": accuracy(logits(network, dataset.validation.inputs), dataset.validation.labels),
        "test_accuracy": accuracy(logits(network, dataset.test.inputs), dataset.test.labels),
        "epoch": epoch,
    }


def about(dataset: Dataset, network: nn.Module) -> dict[str, str | int]:
    """Return what a card says for its reader: the data set, its licence and source, and the number of parameters."""
    return {
        "dataset": dataset.name,
        "licence_of_data": dataset.licence,
        "source_of_data": dataset.source,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def _optimizer(network: nn.Module, training: Training) -> torch.optim.Optimizer:
    if training.optimizer == "adamw":
        return torch.optim.AdamW(
            network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, foreach=True
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=training.momentum > 0,
        weight_decay=training.weight_decay,
    )


def validation_score(network: nn.Module, split: Split) -> tuple[float, float]:
    """Return (accuracy, minus cross-entropy) on a split: larger is better, among equal accuracies the lower cross-entropy."""
    answers = logits(network, split.inputs)
    loss = nn.functional.cross_entropy(torch.from_numpy(answers), torch.from_numpy(split.labels))
    return accuracy(answers, split.labels), -float(loss)
