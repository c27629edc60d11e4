"""Training: the loop that teachers and students share, and the teacher."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from edgesim.errors import FOREIGN, DataError, EdgesimError
from edgesim.interfaces import Solvable, is_trained
from edgesim.nn.attacks.projected_gradient import attacked, attacked_samples
from edgesim.nn.data.views import Views
from edgesim.nn.tensors import ask, on, tensors_of
from edgesim.nn.train.cache import NetworkCache, fingerprint
from edgesim.nn.train.cards import content_key, provenance
from edgesim.nn.train.checkpoint import load_checkpoint, save_checkpoint
from edgesim.nn.train.device import device_draws, set_device_draws, training_device
from edgesim.nn.train.interpolation import WithMean, consistency_loss, labelled_loss, labelled_samples
from edgesim.rng import generator
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgesim.domain.networks.attack import Attack
    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.domain.networks.task import Score, Task
    from edgesim.domain.networks.training import Training
    from edgesim.interfaces import ModelBuilder, Progress

EVALUATION_BATCH = 128
"""Samples per forward pass when nothing is trained: so few that what layers make of them stays in the cache of the processor."""
CHECKPOINT_EVERY_S = 1.0
"""A training whose epochs are shorter keeps its state behind the first epoch that ends so long after the last state that was kept."""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network.

    Parameters
    ----------
    network : in evaluation mode.
    key : hash of everything that determined its weights.
    metrics : the main score of the task on two splits, e.g. ``validation_accuracy`` and ``test_accuracy``, and ``epoch``, the one
        that was selected, from 1; 0 where weights are solved for.
    """

    network: nn.Module
    key: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Reached:
    """How good a network is behind an epoch.

    Parameters
    ----------
    score : the main one of the task.
    value : of it, NaN where it is not defined.
    loss : of the task.
    """

    score: Score
    value: float
    loss: float

    @property
    def rank(self) -> tuple[float, float]:
        """What epochs are selected by: the worth of the score, among equal ones minus the loss; larger is better."""
        return (-math.inf if math.isnan(self.value) else self.score.worth(self.value)), -self.loss

    def __str__(self) -> str:
        return f"validation {self.score.name} {self.value:.3f}"


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
    was_deterministic = torch.get_deterministic_debug_mode()
    was_filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    draws = generator(seed, name)
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # as `use_deterministic_algorithms`, which loads torch's compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # only slower
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(draws.integers(2**63)))
            yield torch.Generator().manual_seed(int(draws.integers(2**63)))
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = was_filled  # type: ignore[attr-defined]
        torch.set_deterministic_debug_mode(was_deterministic)
        torch.set_num_threads(n_threads)


def forward(network: nn.Module, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return a network's answers to many samples: in batches, in evaluation mode, without gradients, on one thread.

    Parameters
    ----------
    network : left in evaluation mode.
    inputs : named arrays whose first axis counts the samples.
    """
    network.eval()
    return forward_of(partial(ask, network), inputs)


def forward_of(
    answer: Callable[[Mapping[str, torch.Tensor]], torch.Tensor], inputs: Mapping[str, NDArray[Any]]
) -> NDArray[np.float32]:
    """Return the answers to many samples as `forward` does, of anything that answers batches."""
    tensors = tensors_of(inputs)
    n_samples = len(next(iter(tensors.values())))
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            starts = range(0, max(1, n_samples), EVALUATION_BATCH)
            batches = [
                {name: all_[first : first + EVALUATION_BATCH] for name, all_ in tensors.items()} for first in starts
            ]
            return torch.cat([answer(batch) for batch in batches]).cpu().numpy()
    finally:
        torch.set_num_threads(n_threads)


def scored(network: nn.Module, samples: Samples, task: Task) -> float:
    """Return the main score of a network on some samples."""
    return task.scores[0].of(forward(network, samples.inputs), samples.targets)


def fit(
    network: nn.Module,
    batch_loss: Callable[[torch.Tensor, int], torch.Tensor],
    training: Training,
    *,
    n_samples: int,
    validate: Callable[[], Reached],
    draws: torch.Generator,
    label: str,
    progress: Progress,
    checkpoint: Path | None = None,
) -> int:
    """Train a network and leave it with the weights of its best epoch.

    Parameters
    ----------
    network : all its parameters are trained, on the device of the training; it is left on the processor.
    batch_loss : indices of samples of a batch, and the epoch from 1 -> loss, with gradients.
    training : options.
    n_samples : samples in the training split.
    validate : tells how good the network is on samples that it is not trained on; see `validated`.
    draws : shuffles the samples.
    label : what the progress bar says.
    progress : one unit per epoch.
    checkpoint : file that keeps the state behind an epoch, of short ones each `CHECKPOINT_EVERY_S`; if it is there, training goes on from it and
        ends with the same weights, bit by bit, as without the interruption.

    Returns
    -------
    The selected epoch, from 1.

    Raises
    ------
    DataError
        When a step fails, or training diverges: the loss or the answers are not finite; when there is no such device.
    """
    device = training_device(training.device)
    network.to(device)
    n_batches = math.ceil(n_samples / training.batch_size)
    run = _Run(network, training, n_batches, draws, device)
    with progress.task(label, training.epochs) as task:
        if checkpoint is not None and run.resume(checkpoint):
            task.advance(run.epoch, f"resumed behind epoch {run.epoch}")
        kept_s = time.monotonic()
        while run.epoch < training.epochs:
            run.epoch += 1
            network.train()
            total = 0.0
            for indices in torch.randperm(n_samples, generator=draws).chunk(n_batches):
                total += _taken(run, batch_loss, indices, label) * len(indices)
            mean_loss = total / n_samples
            if not math.isfinite(mean_loss):
                raise DataError(f"{label}: the loss became {mean_loss} in epoch {run.epoch}; {_REMEDY}")
            reached = validate()
            run.keep_best(reached)
            if not math.isfinite(reached.loss):
                raise DataError(f"{label}: behind epoch {run.epoch} its answers are not finite any more; {_REMEDY}")
            if checkpoint is not None and time.monotonic() - kept_s >= CHECKPOINT_EVERY_S:
                run.save(checkpoint)
                kept_s = time.monotonic()
            task.advance(1, f"loss {mean_loss:.4f}, {reached}")
    network.load_state_dict(run.best_state)
    network.cpu().eval()
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

    def __init__(
        self, network: nn.Module, training: Training, n_batches: int, draws: torch.Generator, device: torch.device
    ) -> None:
        self.network, self.draws, self.device = network, draws, device
        self.optimizer = _optimizer(network, training)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=training.epochs * n_batches)
        self.epoch = 0
        self.best = (-math.inf, -math.inf)
        self.best_epoch = 0
        self.best_state = _copied(network.state_dict())

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()

    def keep_best(self, reached: Reached) -> None:
        if reached.rank > self.best:
            self.best, self.best_epoch = reached.rank, self.epoch
            self.best_state = _copied(self.network.state_dict())

    def save(self, path: Path) -> None:
        state = {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "draws": self.draws.get_state(),
            "global_draws": device_draws(self.device),  # dropout draws from it
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
        set_device_draws(self.device, state["global_draws"])
        self.epoch, self.best, self.best_epoch = state["epoch"], tuple(state["best"]), state["best_epoch"]
        self.best_state = state["best_state"]
        return True


def _copied(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def train_teacher(
    builder: ModelBuilder, dataset: Dataset, training: Training, *, seed: int, progress: Progress, cache: NetworkCache
) -> TrainedNetwork:
    """Return the teacher, trained by the loss of its task on the training split or solved for, or taken from the cache.

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
        **task_determinants(dataset.task),
        training=training,
        seed=seed,
    )
    key = content_key(determinants)
    with reproducible(seed, "teacher") as draws:
        network = builder.build(dataset.inputs, dataset.task.output)
        found = cache.restore(key, network, dataset.task.scores[0].name)
        if found is not None:
            return TrainedNetwork(network.eval(), key, found)
        epoch = 0
        if isinstance(network, Solvable):
            network.solve(dataset)
        elif is_trained(builder):
            network.eval()
        else:
            checkpoint = cache.checkpoint_path(key)
            views = Views(dataset, training, seed)
            teach = _taught if training.interpolation is None else _taught_by_few
            epoch = teach(network, views, dataset, training, draws=draws, progress=progress, checkpoint=checkpoint)
        metrics = measured(network, dataset, epoch)
    cache.store(key, network.state_dict(), determinants, metrics, about(dataset, network))
    return TrainedNetwork(network, key, metrics)


def _taught(
    network: nn.Module,
    views: Views,
    dataset: Dataset,
    training: Training,
    *,
    draws: torch.Generator,
    progress: Progress,
    checkpoint: Path,
) -> int:
    """Train a network by the loss of its task; return the selected epoch."""
    device = training_device(training.device)
    targets = torch.from_numpy(dataset.train.targets).to(device)

    def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        inputs: Mapping[str, torch.Tensor] = on(device, views.batch(indices, views.of_epoch(epoch)))
        loss = partial(dataset.task.loss, targets=targets[indices])
        if training.attack is not None:
            inputs = attacked(partial(ask, network), inputs, loss, training.attack, draws)
        return loss(ask(network, inputs))

    return fit(
        network,
        batch_loss,
        training,
        n_samples=len(targets),
        validate=lambda: validated(network, dataset, training.attack),
        draws=draws,
        label=f"teacher on {dataset.name}",
        progress=progress,
        checkpoint=checkpoint,
    )


def _taught_by_few(
    network: nn.Module,
    views: Views,
    dataset: Dataset,
    training: Training,
    *,
    draws: torch.Generator,
    progress: Progress,
    checkpoint: Path,
) -> int:
    """Train a network by `Interpolation`, and leave it with the mean of its weights; return the selected epoch."""
    options, task, device = training.interpolation, dataset.task, training_device(training.device)
    if options is None:
        return 0
    known = torch.from_numpy(labelled_samples(dataset, options.labels_per_class, views.seed))
    targets = torch.from_numpy(dataset.train.targets)
    pair = WithMean(network, options.decay)
    n_batches = math.ceil(len(targets) / training.batch_size)

    def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        pair.begin_step()
        view = views.of_epoch(epoch)
        some = known[torch.randperm(len(known), generator=draws)[: training.batch_size]]
        labelled = on(device, views.batch(some, view)), targets[some].to(device)
        loss = labelled_loss(pair.network, task, labelled, options, draws)
        weight = options.weight_at(int(pair.n_steps) / n_batches, training.epochs)
        unlabelled = on(device, views.batch(indices, view))
        if weight:
            return loss + weight * consistency_loss(pair, unlabelled, options, draws)
        with torch.no_grad():
            ask(pair.mean, unlabelled)  # for its batch statistics
        return loss

    def validate() -> Reached:
        pair.follow()
        return validated(pair, dataset)

    epoch = fit(
        pair,
        batch_loss,
        training,
        n_samples=len(targets),
        validate=validate,
        draws=draws,
        label=f"teacher on {dataset.name} with {options.labels_per_class} labels per class",
        progress=progress,
        checkpoint=checkpoint,
    )
    network.load_state_dict(pair.mean.state_dict())
    network.eval()
    return epoch


def task_determinants(task: Task) -> dict[str, object]:
    """Return what of a task determines weights; of classification the number of classes, as when the first networks were published."""
    return {"n_classes": task.classes} if isinstance(task, Classification) else {"task": task}


def measured(network: nn.Module, dataset: Dataset, epoch: int) -> dict[str, float]:
    """Return the metrics of a trained network; see `TrainedNetwork`."""
    name = dataset.task.scores[0].name
    return {
        f"validation_{name}": scored(network, dataset.validation, dataset.task),
        f"test_{name}": scored(network, dataset.test, dataset.task),
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


def validated(network: nn.Module, dataset: Dataset, attack: Attack | None = None) -> Reached:
    """Return how good a network is on the validation split, attacked with the same random starts each time if need be."""
    split, task = dataset.validation, dataset.task
    inputs = split.inputs
    if attack is not None:
        inputs = attacked_samples(partial(ask, network.eval()), split, task, attack, 0)
    answers = forward(network, inputs)
    loss = task.loss(torch.from_numpy(answers), torch.from_numpy(split.targets))
    return Reached(task.scores[0], task.scores[0].of(answers, split.targets), float(loss))
