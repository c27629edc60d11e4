"""Images per second of training, against a minimal loop of the same networks written by hand in torch.

    OMP_NUM_THREADS=1 python benchmarks/training.py

The loop by hand shuffles, computes the loss, steps, lets the rate fall along a cosine, and asks the validation split behind each epoch; it keeps no
best epoch and no checkpoint, and names no error. Both run on one thread, in turns, from the same data and of the same architecture; the best of
`--repeats` counts. Images per second are the samples of the training split, times epochs, over the processor time of the whole call: in edgesim with
building the network, looking for it in an empty cache, checkpoints, measuring on both splits, and storing it. Ends with 1 where edgesim has less than
0.9 of the images per second of the loop by hand.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.partition import Partition
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.training import Distillation, Training
from edgesim.interfaces import Silent
from edgesim.nn.data.datasets import Digits
from edgesim.nn.distill.ensembles import build_ensemble
from edgesim.nn.distill.student_training import StudentTraining
from edgesim.nn.distill.students import train_students
from edgesim.nn.distill.teacher_outputs import Teacher
from edgesim.nn.models.zoo import SmallCNN, StridedCNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import train_teacher
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.interfaces import ModelBuilder

LEAST = 0.9
ATTACK = Attack(0.15, 0.04, 10)
STUDENT = SmallCNN((8, 16), pool_after=1)
PARTS = tuple(tuple(range(first, 64, 4)) for first in range(4))


@dataclass(frozen=True, slots=True)
class Case:
    """What is trained, by edgesim and by hand."""

    title: str
    dataset: Dataset
    epochs: int
    ours: Callable[[Path], object]
    by_hand: Callable[[], object]

    @property
    def images(self) -> int:
        return len(self.dataset.train) * self.epochs


def noise(n: int, shape: tuple[int, ...], classes: int) -> Dataset:
    """Return images of noise: how long training takes does not depend on what they show."""
    rng = np.random.default_rng(0)
    train, rest = (
        Samples({"images": rng.random((size, *shape), np.float32)}, rng.integers(classes, size=size))
        for size in (n, n // 10)
    )
    return Dataset("noise", train, rest, rest, Classification(classes), "none", "drawn")


def loop(
    network: nn.Module,
    batch_loss: Callable[[torch.Tensor], torch.Tensor],
    dataset: Dataset,
    training: Training,
) -> None:
    """Train as one writes it for oneself; a network that is attacked is also asked attacked validation samples."""
    images, labels = (torch.from_numpy(array) for array in (dataset.validation.only, dataset.validation.targets))
    n = len(dataset.train)
    n_batches = -(-n // training.batch_size)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, foreach=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.epochs * n_batches)
    for _ in range(training.epochs):
        network.train()
        for indices in torch.randperm(n).chunk(n_batches):
            loss = batch_loss(indices)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        asked = images if training.attack is None else by_hand_attacked(network, images, labels, training.attack)
        with torch.inference_mode():
            (network(asked).argmax(1) == labels).float().mean().item()


def teacher(title: str, dataset: Dataset, model: ModelBuilder, training: Training) -> Case:
    """Return a network that learns from labels, under attack if the training says so."""
    x, y = torch.from_numpy(dataset.train.only), torch.from_numpy(dataset.train.targets)

    def by_hand() -> None:
        network = model.build(dataset.inputs, dataset.task.output)

        def batch_loss(indices: torch.Tensor) -> torch.Tensor:
            images, labels = x[indices], y[indices]
            if training.attack is not None:
                images = by_hand_attacked(network, images, labels, training.attack)
            return nn.functional.cross_entropy(network(images), labels)

        loop(network, batch_loss, dataset, training)

    def ours(folder: Path) -> object:
        return train_teacher(model, dataset, training, seed=1, progress=Silent(), cache=NetworkCache(folder))

    return Case(title, dataset, training.epochs, ours, by_hand)


def by_hand_attacked(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, attack: Attack) -> torch.Tensor:
    """Return attacked images, as the published code of ARD makes them."""
    x = (images + torch.empty_like(images).uniform_(-attack.radius, attack.radius)).clamp(0, 1)
    for _ in range(attack.steps):
        x.requires_grad_()
        slope = torch.autograd.grad(nn.functional.cross_entropy(network(x), labels), x)[0]
        x = x.detach() + attack.step * slope.sign()
        x = torch.min(torch.max(x, images - attack.radius), images + attack.radius).clamp(0, 1)
    return x


def students(title: str, dataset: Dataset, training: Training) -> Case:
    """Return four students that learn together from a teacher, by NoNN's loss."""
    with tempfile.TemporaryDirectory() as folder:
        taught = train_teacher(
            SmallCNN(), dataset, Training(epochs=1), seed=1, progress=Silent(), cache=NetworkCache(Path(folder))
        )
    partition, options = Partition(PARTS, 64), Distillation()
    x, y = torch.from_numpy(dataset.train.only), torch.from_numpy(dataset.train.targets)

    def by_hand() -> None:
        ensemble = build_ensemble(STUDENT, partition, dataset, len(PARTS))
        kept: list[torch.Tensor] = []
        hook = taught.network.get_submodule("relu3").register_forward_hook(
            lambda _module, _inputs, output: kept.append(output.mean((2, 3)))
        )
        with torch.inference_mode():
            logits = taught.network(x)
        hook.remove()
        logits, wanted = logits.clone(), torch.cat(kept)[:, [unit for part in PARTS for unit in part]].clone()

        def batch_loss(indices: torch.Tensor) -> torch.Tensor:
            features = torch.cat([student(x[indices]) for student in ensemble.students], dim=1)
            answers, t = ensemble.head(features), options.temperature
            wanted_t = (logits[indices] / t).softmax(1)
            soft = (wanted_t * (wanted_t.log() - (answers / t).log_softmax(1))).mean()
            hard = nn.functional.cross_entropy(answers, y[indices])
            transfer = nn.functional.mse_loss(
                nn.functional.normalize(features, dim=1), nn.functional.normalize(wanted[indices], dim=1)
            )
            return 2 * options.alpha * t**2 * soft + (1 - options.alpha) * hard + options.beta * transfer

        loop(ensemble, batch_loss, dataset, training)

    def ours(folder: Path) -> object:
        who = Teacher(taught.network, taught.key, "relu3")
        setup = StudentTraining(STUDENT, who, dataset, options, training, 1, Silent(), NetworkCache(folder), 1)
        return train_students(setup, partition, n_students=len(PARTS))

    return Case(title, dataset, training.epochs, ours, by_hand)


def timed(work: Callable[[], object]) -> float:
    """Return the processor time that something takes, in s: on one thread what it would take alone on a core."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def main() -> None:
    """Measure all cases, print a table, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cases", type=int, nargs="+", help="numbers from 0; all by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    digits, training = Digits().load(), Training(epochs=20)
    cases = [
        teacher("small-cnn, 8x8", digits, SmallCNN(), replace(training, epochs=5)),
        teacher("small-cnn 4-8, 8x8", digits, SmallCNN((4, 8), 1), training),
        teacher("small-cnn, 8x8, attacked", digits, SmallCNN(), replace(training, epochs=3, attack=ATTACK)),
        teacher("strided-cnn, 32x32", noise(4000, (3, 32, 32), 100), StridedCNN(), replace(training, epochs=2)),
        students("4 students of small-cnn, 8x8", digits, replace(training, epochs=10)),
    ]
    print("| what | edgesim, images/s | by hand, images/s | ratio |\n|---|---|---|---|")
    worst = 1.0
    for case in (cases[number] for number in options.cases or range(len(cases))):
        ours, by_hand = [], []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                ours.append(timed(partial(case.ours, Path(folder))))
            by_hand.append(timed(case.by_hand))
        speeds = case.images / min(ours), case.images / min(by_hand)
        worst = min(worst, speeds[0] / speeds[1])
        print(f"| {case.title} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {speeds[0] / speeds[1]:.2f} |", flush=True)
    if worst < LEAST:
        sys.exit(f"{worst:.2f} of the images per second of a loop by hand; at least {LEAST} are wanted")


if __name__ == "__main__":
    main()
