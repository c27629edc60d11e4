"""Do two convolutions in a row help long texts? One, one with as many weights as two, and two, on short and on long texts.

    python benchmarks/text_lengths.py --seeds 1 2 3

Each network is trained on the training split; its epoch and, of two learning rates, the better one (with the first seed) are chosen on the
validation split. Beside them stands a linear model on weighted counts of words (scikit-learn, its penalty chosen on validation too). Networks come from
the cache where they are there, so that a killed run goes on. Writes text-lengths.csv and the figure to docs/results, and the table between the marks of sentiment.md.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from over import mean
from pages import put

from edgesim.domain.networks.training import Training
from edgesim.interfaces import Silent
from edgesim.nn.data.packages.texts import MovieSentences, Newsgroups, ReutersR8
from edgesim.nn.models.text import TextCNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import train_teacher
from edgesim.report.draw.style import house_style, save

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Dataset, Samples
    from edgesim.interfaces import DatasetSource

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
CASES: dict[str, tuple[DatasetSource, int]] = {
    "movie sentences, 40 words": (MovieSentences(), 8),
    "news, first 25 words": (ReutersR8(length=25), 8),
    "news, first 50 words": (ReutersR8(length=50), 8),
    "news, first 100 words": (ReutersR8(length=100), 8),
    "news, first 200 words": (ReutersR8(length=200), 8),
    "news, first 400 words": (ReutersR8(length=400), 8),
    "newsgroups, first 50 words": (Newsgroups(length=50), 6),
    "newsgroups, first 300 words": (Newsgroups(length=300), 6),
}
"""Each data set with the epochs of a training."""
VARIANTS = {
    "one": TextCNN(),
    "one, wide": TextCNN(channels=192),
    "two in a row": TextCNN(consecutive=2),
}
RATES = (1e-3, 3e-3)


def trained(dataset: Dataset, model: TextCNN, epochs: int, rate: float, seed: int) -> dict[str, float]:
    """Return the scores of a network."""
    training = Training(epochs=epochs, learning_rate=rate)
    return train_teacher(model, dataset, training, seed=seed, progress=Silent(), cache=NetworkCache.default()).metrics


def rows(case: str, seeds: list[int]) -> list[dict[str, object]]:
    """Return what all networks of a case reach."""
    source, epochs = CASES[case]
    dataset = source.load()
    found: list[dict[str, object]] = []
    for name, model in VARIANTS.items():
        began = time.process_time()
        rate = max(RATES, key=lambda rate: trained(dataset, model, epochs, rate, seeds[0])["validation_accuracy"])
        for seed in seeds:
            metrics = trained(dataset, model, epochs, rate, seed)
            found.append({"case": case, "network": name, "learning_rate": rate, "seed": seed, **metrics})
        print(f"{case}, {name}: {found[-1]}, {time.process_time() - began:.0f} s", flush=True)
    found.append({"case": case, "network": "linear", **linear(dataset)})
    return found


def counted(samples: Samples, n_words: int) -> np.ndarray:
    """Return how often each word stands in each text, shape (n, words); without padding and unknown words."""
    counts = np.zeros((len(samples), n_words), np.float32)
    np.add.at(counts, (np.arange(len(samples))[:, None], samples.only), 1.0)
    return counts[:, 2:]


def linear(dataset: Dataset) -> dict[str, float]:
    """Return the scores of logistic regression on weighted counts of words, with the penalty that is best on validation."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    n_words = dataset.n_values["tokens"]
    parts = [csr_matrix(counted(one, n_words)) for one in (dataset.train, dataset.validation, dataset.test)]
    weights = TfidfTransformer(sublinear_tf=True).fit(parts[0])
    train, validation, test = (weights.transform(part) for part in parts)
    fitted = [
        LogisticRegression(C=strength, max_iter=1000).fit(train, dataset.train.targets) for strength in (1, 10, 100)
    ]
    best = max(fitted, key=lambda model: model.score(validation, dataset.validation.targets))
    return {
        "validation_accuracy": best.score(validation, dataset.validation.targets),
        "test_accuracy": best.score(test, dataset.test.targets),
    }


def show(values: pd.Series) -> str:
    """Return a mean in per cent with its 95 % interval over seeds."""
    estimate = mean(values.to_numpy(float))
    spread = "" if np.isnan(estimate.half_width) else f" ± {100 * estimate.half_width:.1f}"
    return f"{100 * estimate.value:.1f}{spread}"


def table(frame: pd.DataFrame) -> str:
    """Return the table of the page."""
    lines = [
        "| texts | one | one, wide | two in a row | two - one, paired | two - one, wide, paired | linear |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, part in frame.groupby("case", sort=False):
        of = {name: one.set_index("seed")["test_accuracy"] for name, one in part.groupby("network")}
        cells = [show(of[name]) for name in VARIANTS]
        cells += [show(of["two in a row"] - of[other]) for other in ("one", "one, wide")]
        lines.append(f"| {case} | {' | '.join(cells)} | {show(of['linear'])} |")
    return "\n".join(lines) + "\n"


def draw(frame: pd.DataFrame) -> None:
    """Draw the paired differences over the cases."""
    import matplotlib.pyplot as plt

    with house_style():
        figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
        cases = list(dict.fromkeys(frame["case"]))
        for offset, other, marker in ((0.12, "one", "o"), (-0.12, "one, wide", "s")):
            for place, case in enumerate(reversed(cases)):
                of = frame[frame["case"] == case].set_index(["network", "seed"])["test_accuracy"]
                found = mean((of["two in a row"] - of[other]).to_numpy(float))
                axes.errorbar(
                    100 * found.value, place + offset, xerr=100 * found.half_width,
                    fmt=marker, color="C0" if other == "one" else "C1", capsize=3, label=f"two - {other}" if place == 0 else None,
                )  # fmt: skip
        axes.axvline(0.0, color="0.6", linewidth=0.8)
        axes.set_yticks(range(len(cases)), list(reversed(cases)))
        axes.set_xlabel("accuracy gained by a second convolution in points, 95 % over seeds")
        axes.legend()
    save(figure, RESULTS / "text-lengths")


def main() -> None:
    """Train, and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    frame = pd.DataFrame(itertools.chain.from_iterable(rows(case, options.seeds) for case in CASES))
    frame.to_csv(RESULTS / "text-lengths.csv", index=False, float_format="%.6g")
    put(RESULTS / "sentiment.md", "begin: benchmarks/text_lengths.py", f"\n{table(frame)}\n")
    draw(frame)


if __name__ == "__main__":
    main()
