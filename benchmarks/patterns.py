"""What it costs to ask networks about sets of lost messages: python benchmarks/patterns.py [--output docs/results/patterns.md]

Layer partitioning: every single loss of ``modnn`` with eight workers, asked as a study asks (so many in a task), beside a plain forward pass of
the network for each of them, and the multiplications of convolutions that either needs. Students: the scores of all sets of eight students. All on
one thread, in turns, by processor time; the median is printed. Weights and images are random: they change what is answered, not what it costs.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.plan import Compute, Plan
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.interfaces import Deployment, DeploymentContext, ModelBuilder
from edgesim.nn.models.zoo import SmallCNN, WideResNet
from edgesim.nn.train.training import EVALUATION_BATCH
from edgesim.strategies.ends import ANSWER_ID, INPUT_ID
from edgesim.strategies.modnn import MoDNN
from edgesim.strategies.students.networks import StudentDeployment
from edgesim.study.cases.design import Deployments, Prepared
from edgesim.study.cases.shared import Shared
from edgesim.study.trials.trial import scores_of
from edgesim.study.trials.trials import Question
from edgesim.study.work.execute import DELIVERIES_PER_TASK
from edgesim.tasks.classification import Classification
from edgesim.testing import deployment_context

N_TURNS, LEAST_S = 3, 10.0
"""Turns, and how long all of them take at least, in s: short pieces of work vary more."""
N_WORKERS = 8
N_STUDENTS = 8
N_IMAGES = 10_000
AT_ONCE = 512
"""Images in a batch before edgesim took fewer: what layers make of them falls out of the cache."""
NETWORKS: dict[str, tuple[ModelBuilder, tuple[int, int, int], int]] = {
    "small-cnn, 360 digits": (SmallCNN(), (1, 8, 8), 360),
    "WRN-16-1, 512 images of 32x32": (WideResNet(), (3, 32, 32), 512),
}


def context_of(builder: ModelBuilder, shape: tuple[int, int, int], n_images: int) -> DeploymentContext:
    """Return eight equal workers around a hub, and an untrained network with images of noise."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    images = rng.standard_normal((n_images, *shape)).astype(np.float32)
    samples = Samples({"images": images}, np.zeros(n_images, dtype=int))
    task = Classification(10)
    dataset = Dataset("noise", samples[:1], samples[:1], samples, task, "none", "drawn")
    profile = DeviceProfile(
        "equal", dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9), 1e10, 0.0, 2**30, 1, 2, 2, 2, "assumed"
    )
    workers = [f"w{number}" for number in range(1, N_WORKERS + 1)]
    names = ["hub", *workers]
    links = tuple(Link(f"{a}->{b}", a, b, 1e7) for a in names for b in names if a != b)
    topology = Topology(tuple(Device(name, profile) for name in names), links)
    network = builder.build(dataset.inputs, task.output)
    return deployment_context(network, dataset, topology, source_id="hub", sink_id="hub")


def students(n_classes: int) -> StudentDeployment:
    """Return eight students of which each knows a part, with random contributions."""
    rng = np.random.default_rng(0)
    contributions = rng.standard_normal((N_STUDENTS, N_IMAGES, n_classes)).astype(np.float32)
    needs = tuple(frozenset({f"features {number}"}) for number in range(N_STUDENTS))
    plan = Plan((Compute("merge", "hub", ()),), "merge", {})
    bias = np.zeros(n_classes, dtype=np.float32)
    return StudentDeployment(plan, contributions, bias, tuple(range(N_STUDENTS)), needs, (), {})


def asking(deployment: Deployment, n_samples: int, deliveries: Sequence[Delivery]) -> Callable[[], object]:
    """Return what asks a fresh copy of a deployment for scores, in tasks of a study."""
    task = Classification(10)
    targets = np.zeros(n_samples, dtype=int)
    firsts = range(0, len(deliveries), DELIVERIES_PER_TASK)
    tasks = [Question(0, tuple(deliveries[first : first + DELIVERIES_PER_TASK]), "all") for first in firsts]

    def ask() -> None:
        prepared = Prepared(None, targets, task.scores[:1])
        shared = Shared((prepared,), (), pickle.loads(pickle.dumps(Deployments([deployment]))))  # noqa: S301 - its own
        for one in tasks:
            scores_of(shared, one)

    return ask


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work, in s."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


class Multiplications(TorchFunctionMode):
    """Counts those of two-dimensional convolutions; none with the zeros around an image."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d:
            images, weight, _, stride, padding, dilation, _ = args
            n = len(images) * weight.shape[0] * weight.shape[1]
            for size, k, s, p, d in zip(images.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True):
                firsts = range(-p, size + p - d * (k - 1), s)
                n *= sum(0 <= first + tap * d < size for first in firsts for tap in range(k))
            self.n += n
        return func(*args, **(kwargs or {}))


def multiplications(work: Callable[[], object]) -> int:
    """Return how many multiplications of convolutions a piece of work needs."""
    with Multiplications() as counted:
        work()
    return counted.n


def answers_by(network: torch.nn.Module, images: NDArray[np.float32], size: int) -> None:
    """Ask a network about all images, so many at a time."""
    with torch.inference_mode():
        for first in range(0, len(images), size):
            network(torch.from_numpy(images[first : first + size]))


def medians(works: Sequence[Callable[[], object]], n_turns: int) -> list[float]:
    """Return the median times of pieces of work, done in turns: so many, and more where they are short."""
    works[0]()  # what is loaded once
    turns: list[list[float]] = []
    while len(turns) < n_turns or sum(map(sum, turns)) < LEAST_S:
        turns.append([cpu_s(work) for work in works])
    return [statistics.median(column) for column in zip(*turns, strict=True)]


def of_layers(n_turns: int) -> list[str]:
    """Return the table of layer partitioning."""
    heads = ("network", "execution", "losses", f"plain by {AT_ONCE}, s", f"plain by {EVALUATION_BATCH}, s", "all losses, s",
             f"times as fast as by {AT_ONCE}", f"times as fast as by {EVALUATION_BATCH}", "times fewer multiplications")  # fmt: skip
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, (builder, shape, n_images) in NETWORKS.items():
        context = context_of(builder, shape, n_images)
        for execution in ("mapreduce", "halo"):
            deployment = MoDNN("hub", "w*", execution=execution, on_missing="degrade", step_deadline_s=1.0).deploy(
                context
            )
            ids = [step.step_id for step in deployment.plan.transfers if step.step_id not in {INPUT_ID, ANSWER_ID}]
            losses = [Delivery(frozenset({one})) for one in ids]
            images = context.dataset.test.inputs["images"]
            plain = [partial(answers_by, context.network, images, size) for size in (AT_ONCE, EVALUATION_BATCH)]
            asked = asking(deployment, n_images, losses)
            fewer = multiplications(plain[0]) * len(losses) / multiplications(asked)
            *plain_s, asked_s = medians([*plain, asked], n_turns)
            cells = [name, f"`{execution}`", len(losses), *(f"{one:.3g}" for one in (*plain_s, asked_s))]
            cells += [*(f"{one * len(losses) / asked_s:.1f}" for one in plain_s), f"{fewer:.1f}"]
            rows.append(f"| {' | '.join(map(str, cells))} |")
            print(rows[-1], file=sys.stderr)
    return rows


def of_students(n_turns: int) -> list[str]:
    """Return the table of students."""
    rows = ["| sets | images | classes | s |", "|---|---|---|---|"]
    sets = [
        Delivery(frozenset(f"features {number}" for number, is_lost in enumerate(lost) if is_lost))
        for lost in product((False, True), repeat=N_STUDENTS)
    ]
    for n_classes in (10, 100):
        [spent_s] = medians([asking(students(n_classes), N_IMAGES, sets)], n_turns)
        rows.append(f"| {len(sets)} | {N_IMAGES:,} | {n_classes} | {spent_s:.2f} |")
        print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=N_TURNS, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    tables = of_layers(options.turns), of_students(options.turns)
    where = f"python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} processors of which {load:.1f} were wanted when it began"
    head = f"Made by `python benchmarks/patterns.py --turns {options.turns} --output docs/results/patterns.md` on {datetime.now(UTC):%Y-%m-%d}, {where}. Processor time of one thread, medians of {options.turns} turns, of more where they are short."
    text = (
        "\n\n".join(
            ["# Answers to patterns of losses", head, LAYERS, "\n".join(tables[0]), STUDENTS, "\n".join(tables[1])]
        )
        + "\n"
    )
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


LAYERS = f"""## Layers cut over devices

Every single loss of `modnn` with {N_WORKERS} equal workers and `on_missing: degrade`, asked as a study asks: {DELIVERIES_PER_TASK} losses in a task, which come from a fresh process.
A plain forward pass for each loss is the naive bound, in batches of {AT_ONCE} images, and of {EVALUATION_BATCH}, which edgesim takes. The first varies more: its tensors leave the cache, so that it meets what else uses the memory.
Before boxes were computed alone (commit 5cfc6015, one turn on the same machine), the losses of small-cnn took 0.456 s with `mapreduce` and 0.362 s with `halo`.

What makes it fast: layers before the first loss are not run again; of the others only the box that a loss reaches, a strip and a halo that
grows with every layer; of convolutions, normalisations, sums and means of whole channels only by how much they change, so that windows at the border of a box multiply what differs and nothing else. A slice that is lost on the way
there is as one that is lost on the way back, and is asked about once, which halves the work of `mapreduce`. Images are laid out with the channels of a pixel beside each other, in which such parts cost what their arithmetic costs. Where
the run without losses does not fit the memory for what is kept, activations and convolutions that are only added or normalised are left out and computed again for the boxes that need them; what does not fit then runs once for each task.

Five times as fast was asked for. The last column says what bounds it: the multiplications of convolutions in the plain passes over those for all losses, the run without losses included. Boxes grow to the whole image behind early
losses, and all that they hold may change the answer, so direct convolution does with hardly fewer. Plain passes by 128 multiply about as fast, so against them the time stays behind that column by what is no multiplication: sums, activations,
differences, copies, and with small images the calls themselves and what a fresh process reads and builds. From one run to the next ratios with `halo` vary by a tenth."""
STUDENTS = "## Students\n\nScores of all sets of eight students, each one product of the weights of the set and what each student adds to the answers."

if __name__ == "__main__":
    main()
