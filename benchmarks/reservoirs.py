"""How well do random reservoirs tell graphs apart? Nested cross-validation on MUTAG and Cuneiform.

    python benchmarks/reservoirs.py --seeds 1 2 3

For each fold and seed the options of the reservoirs (and the penalty of the read-out) are those that are best on the validation split of that fold, among equal ones
the first; the test split is looked at once, with these. Writes reservoirs.csv to docs/results and prints the table.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from over import mean

from edgesim.domain.networks.training import Training
from edgesim.errors import DataError
from edgesim.interfaces import Silent
from edgesim.nn.data.packages.graphs import Cuneiform, Mutag
from edgesim.nn.models.reservoirs import FDGNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import train_teacher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.domain.networks.samples import Dataset

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
SETS = {"mutag": (Mutag, 10), "cuneiform": (Cuneiform, 5)}
OPTIONS = [
    FDGNN(layers=layers, omega=omega, rho=rho, scaled_by=by, features=200, iterations=50)
    for layers, omega, (rho, by) in itertools.product(
        (1, 2, 3), (0.5, 1.0), ((0.9, "value"), (0.5, "radius"), (0.9, "radius"))
    )
]


def folds(name: str) -> Iterator[Dataset]:
    """Yield the data set with each fold as its test."""
    make, n_folds = SETS[name]
    for fold in range(n_folds):
        yield make(folds=n_folds, fold=fold).load()


def reached(dataset: Dataset, model: FDGNN, seed: int) -> dict[str, float] | None:
    """Return the scores of a network, or None where its states do not settle."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return train_teacher(
                model, dataset, Training(), seed=seed, progress=Silent(), cache=NetworkCache(Path(folder))
            ).metrics
        except DataError:
            return None


def chosen(dataset: Dataset, seed: int) -> dict[str, object]:
    """Return the options that are best on the validation split, and what they reach on the test split."""
    found = [(model, reached(dataset, model, seed)) for model in OPTIONS]
    settled = [(model, metrics) for model, metrics in found if metrics is not None]
    model, metrics = max(settled, key=lambda pair: pair[1]["validation_accuracy"])
    picked = {name: getattr(model, name) for name in ("layers", "omega", "rho", "scaled_by")}
    return {**picked, "refused": len(found) - len(settled), **metrics}


def main() -> None:
    """Run the nested cross-validation, print and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    rows = []
    for name in SETS:
        began = time.process_time()
        for fold, dataset in enumerate(folds(name)):
            rows += [{"data": name, "fold": fold, "seed": seed, **chosen(dataset, seed)} for seed in options.seeds]
        scores = (
            pd.DataFrame(rows).query("data == @name").pivot_table(index="fold", columns="seed", values="test_accuracy")
        )
        by_fold = mean(scores.mean(axis=1).to_numpy())
        print(
            f"{name}: {100 * by_fold.value:.1f} ± {100 * by_fold.half_width:.1f} % (95 % over folds), standard deviation over folds and seeds "
            f"{100 * np.std(scores.to_numpy(), ddof=1):.1f}, {time.process_time() - began:.0f} CPU s",
            flush=True,
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(RESULTS / "reservoirs.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
