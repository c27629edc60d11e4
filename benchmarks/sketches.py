"""What the dynamic branch of SketchGNN is worth on composed sketches, and what it reaches on the authors' files.

    python benchmarks/sketches.py --seeds 1 2 3
    python benchmarks/sketches.py --seeds 1 2 --folder FOLDER --category airplane    (the files of SketchGNN's authors)

Epochs are chosen on the validation split; the test split is looked at once. Trained networks are kept (`edgesim models list`). Writes the tables of
docs/results/sketches.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from over import mean
from pages import put
from resilience import Log

from edgesim.domain.networks.samples import Dataset
from edgesim.domain.networks.training import Training
from edgesim.nn.data.sketches.composed import ComposedSketches
from edgesim.nn.data.sketches.files import SketchFiles
from edgesim.nn.models.sketches.sketch_gnn import SketchGNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import forward, train_teacher

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results" / "sketches.md"
EPOCHS, EPOCHS_OF_FILES = 20, 30


def reached(dataset: Dataset, model: SketchGNN, epochs: int, seed: int) -> tuple[float, ...]:
    """Return the scores on the test split in per cent, the epoch that was chosen, and the number of parameters."""
    training = Training(epochs=epochs, batch_size=16, learning_rate=2e-3)
    trained = train_teacher(model, dataset, training, seed=seed, progress=Log(), cache=NetworkCache.default())
    answers = forward(trained.network, dataset.test.inputs)
    scores = [100 * score.of(answers, dataset.test.targets) for score in dataset.task.scores]
    return (*scores, trained.metrics["epoch"], sum(one.numel() for one in trained.network.parameters()))


def composed(seeds: list[int]) -> str:
    """Return the table of composed sketches: with and without the dynamic branch, and the difference seed by seed."""
    dataset = ComposedSketches().load()
    lines = ["| network | parameters | P, % | C, % | P of each seed | C of each seed |", "|---|---|---|---|---|---|"]
    found = {}
    for name, model in {"SketchGNN": SketchGNN(), "without the dynamic branch": SketchGNN(dynamic=False)}.items():
        found[name] = np.array([reached(dataset, model, EPOCHS, seed) for seed in seeds])
        lines.append(_row(name, f"{int(found[name][0, 3]):,}", found[name]))
    one, other = found.values()
    lines.append(_row("difference", f"{int(one[0, 3] - other[0, 3]):,}", one - other))
    guessed = dataset.task.guess(dataset.train.targets)[None].repeat(len(dataset.test), axis=0)
    scores = [f"{100 * score.of(guessed, dataset.test.targets):.1f}" for score in dataset.task.scores]
    return "\n".join([*lines, f"| always the most frequent class | 0 | {scores[0]} | {scores[1]} |  |  |"])


def _row(name: str, n_parameters: str, values: np.ndarray) -> str:
    means = [mean(values[:, column]) for column in (0, 1)]
    each = [", ".join(f"{value:.1f}" for value in values[:, column]) for column in (0, 1)]
    cells = [name, n_parameters, *(f"{one.value:.1f} ± {one.half_width:.1f}" for one in means), *each]
    return "| " + " | ".join(cells) + " |"


def of_files(folder: str, category: str, seeds: list[int]) -> str:
    """Return the table of a category of the authors' files, with means over several seeds."""
    dataset = SketchFiles(folder, category).load()
    lines = ["| category | seed | epoch | P, % | C, % |", "|---|---|---|---|---|"]
    found = []
    for seed in seeds:
        point, component, epoch, _ = reached(dataset, SketchGNN(), EPOCHS_OF_FILES, seed)
        found.append((point, component))
        lines.append(f"| {category} | {seed} | {int(epoch)} of {EPOCHS_OF_FILES} | {point:.2f} | {component:.2f} |")
        print(lines[-1], flush=True)
    if len(seeds) > 1:
        cells = (f"{one.value:.1f} ± {one.half_width:.1f}" for one in map(mean, np.array(found).T))
        lines.append(f"| {category} | mean |  | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train what is not there, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--folder")
    parser.add_argument("--category", default="airplane")
    options = parser.parse_args()
    if options.folder is None:
        name, table = "composed", composed(options.seeds)
    else:
        name, table = "files", of_files(options.folder, options.category, options.seeds)
    print(table)
    put(PAGE, name, f"{table}\n")


if __name__ == "__main__":
    main()
