"""Land cover with a person: the tables and the figure of docs/results/land-cover.md, from finished runs of two scenarios.

    edgesim run scenarios/land-cover-review.yaml && edgesim run scenarios/land-cover.yaml
    python benchmarks/land_cover.py                          reads results/land-cover-review and results/land-cover
    python benchmarks/land_cover.py --review A --lost B      reads results elsewhere
    python benchmarks/land_cover.py split [--first N]        what the accuracy owes to how tiles are divided and to the training: eight ways, or the first N;
                                                             five networks each, trained for half a minute of one core (24 epochs: up to two)

Writes docs/results/land-cover-review.csv and land-cover-lost.csv, or land-cover-split.csv, too, what the tables are made of.

Left: accuracy behind the person against the share of tiles that go there, the mean over five folds. Right: minutes of a person's
work for each square kilometre against lost devices.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from pages import put
from resilience import Log

from edgesim.domain.networks.samples import Dataset
from edgesim.domain.networks.training import Training
from edgesim.nn.data.packages.land_cover import N_ORIENTATIONS, LandCover
from edgesim.nn.models.maps.unet import UNet
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import train_teacher
from edgesim.report.draw.style import COLOURS, MARKERS, house_style

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results" / "land-cover.md"
MARK = "begin: benchmarks/land_cover.py, {}"
KINDS = ("oracle", "least-confidence", "entropy", "second-network", "random")
SHARE, FOLDS = 0.2, 5
OF_REVIEW = {
    "final_pixel_accuracy": "final accuracy", "final_mean_iou": "final mean IoU", "non_rejected_accuracy": "non-rejected accuracy",
    "classification_quality": "classification quality", "rejection_quality": "rejection quality",
}  # fmt: skip
OF_LOST = {
    "pixel_accuracy": ("accuracy", 100, " %"), "escalated": ("escalated", 100, " %"), "final_pixel_accuracy": ("final accuracy", 100, " %"),
    "person_minutes_per_km2": ("person-minutes per km²", 1, ""), "person_utilisation": ("person busy", 100, " %"), "person_wait": ("wait (s)", 1, ""),
    "final_latency": ("final latency (s)", 1, ""), "latency": ("latency of the devices (ms)", 1000, ""),
}  # fmt: skip


def over_folds(review: pd.DataFrame, metric: str, kind: str, share: float) -> np.ndarray:
    """Return the values of the folds."""
    here = review[
        (review["metric"] == metric) & (review["uncertainty"] == kind) & np.isclose(review["rejected"], share)
    ]
    return here.sort_values("fold")["exact"].to_numpy(dtype=float)


def review_table(review: pd.DataFrame) -> list[str]:
    """Return the table of what a fifth of the tiles with a person is worth."""
    lines = ["| uncertainty | " + " | ".join(OF_REVIEW.values()) + " |", "|---" * (1 + len(OF_REVIEW)) + "|"]
    for kind in KINDS:
        texts = [
            f"{found.mean():.2f} ({some(found, 1, 2)})" if metric == "rejection_quality" else f"{100 * found.mean():.1f} % ({some(found, 100, 1)})"
            for metric, found in ((metric, over_folds(review, metric, kind, SHARE)) for metric in OF_REVIEW)
        ]  # fmt: skip
        lines.append(f"| {kind} | " + " | ".join(texts) + " |")
    before = [over_folds(review, metric, "random", SHARE) for metric in ("pixel_accuracy", "mean_iou")]
    texts = [f"{100 * one.mean():.1f} % ({some(one, 100, 1)})" for one in before]
    return [
        f"Without a person: pixel accuracy {texts[0]}, mean IoU {texts[1]}. With a fifth of the tiles at the person, means over the folds and each of them:",
        "",
        *lines,
    ]  # fmt: skip


def some(values: np.ndarray, scale: float, digits: int) -> str:
    """Return the value of each fold."""
    return ", ".join(f"{scale * value:.{digits}f}" for value in values)


def lost_table(lost: pd.DataFrame) -> list[str]:
    """Return the table of what lost devices cost."""
    lines = [
        "| strategy | lost | " + " | ".join(label for label, *_ in OF_LOST.values()) + " |",
        "|---" * (2 + len(OF_LOST)) + "|",
    ]
    for (strategy, n_lost), rows in lost.groupby(["strategy", "lost_devices"], sort=False):
        by_metric = rows.set_index("metric")["mean"]
        texts = [show(scale * by_metric[metric]) + unit for metric, (_, scale, unit) in OF_LOST.items()]
        lines.append(f"| `{strategy}` | {n_lost} | " + " | ".join(texts) + " |")
    return lines


def show(value: float) -> str:
    """Return a number with three digits, or more in front of the point."""
    return "none" if np.isnan(value) else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def draw(review: pd.DataFrame, lost: pd.DataFrame, path: Path) -> None:
    """Write the figure."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2))
        shares = sorted(review["rejected"].unique())
        for kind, colour, marker in zip(KINDS, COLOURS, MARKERS, strict=False):
            found = [100 * over_folds(review, "final_pixel_accuracy", kind, share).mean() for share in shares]
            left.plot([100 * share for share in shares], found, color=colour, marker=marker, markersize=4, label=kind)
        left.set_xlabel("tiles that go to the person (%)")
        left.set_ylabel("pixel accuracy behind the person (%)")
        left.legend()
        own = lost[lost["metric"] == "person_minutes_per_km2"]
        for (strategy, rows), colour, marker in zip(
            own.groupby("strategy", sort=False), COLOURS, MARKERS, strict=False
        ):
            half = np.stack([rows["mean"] - rows["ci_low"], rows["ci_high"] - rows["mean"]]).clip(0)
            right.errorbar(
                rows["lost_devices"], rows["mean"], yerr=half, color=colour, marker=marker, markersize=4, label=strategy
            )
        right.set_xlabel("lost devices, of three")
        right.set_ylabel("person-minutes per km²")
        right.set_xticks(sorted(own["lost_devices"].unique()))
        right.set_ylim(0, 1.5 * own["ci_high"].max())
        right.legend(loc="upper left", ncols=2)
        figure.tight_layout()
        figure.savefig(path, dpi=150)


@dataclass(frozen=True, slots=True)
class Division:
    """A way to divide the tiles, and how a network is trained with it.

    Parameters
    ----------
    tiles : in words.
    epochs, learning_rate : of the training.
    chosen_on : the split that chooses the epoch.
    fold : the data set of one fold.
    """

    tiles: str
    epochs: int
    fold: Callable[[int], Dataset]
    chosen_on: str = "validation"
    learning_rate: float = 3e-3


def in_blocks(fold: int) -> Dataset:
    """Return the published division: by blocks of 64 pixels."""
    return LandCover(fold=fold).load()


def tile_by_tile(fold: int) -> Dataset:
    """Return each tile in a split drawn for it alone; those of training do not overlap, since blocks are no larger."""
    return LandCover(fold=fold, block=16).load()


def overlapping(fold: int) -> Dataset:
    """Return the training tiles of fold 0, which overlap by half, divided at random: what they share is in two splits."""
    pool = in_blocks(0)
    n = len(pool.train) // N_ORIENTATIONS
    parts = drawn(n, fold)
    turned = np.concatenate([parts[0] + n * k for k in range(N_ORIENTATIONS)])
    return replace(pool, train=pool.train[turned], validation=pool.train[parts[1]], test=pool.train[parts[2]])


def turned_first(fold: int) -> Dataset:
    """Return the same tiles, divided after they were turned: a tile of the test is in the training, turned otherwise."""
    pool = in_blocks(0)
    train, validation, test = (pool.train[part] for part in drawn(len(pool.train), fold))
    return replace(pool, train=train, validation=validation, test=test)


def drawn(n: int, fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which of n tiles are for training, validation and test: three, one and one of five folds drawn with seed 0."""
    of = np.random.default_rng(0).permutation(n) % FOLDS
    validation = (fold + 1) % FOLDS
    return (
        np.flatnonzero((of != fold) & (of != validation)),
        np.flatnonzero(of == validation),
        np.flatnonzero(of == fold),
    )


DIVISIONS = (
    Division("blocks of 64 pixels", 6, in_blocks),
    Division("tiles at random", 24, tile_by_tile),
    Division("overlapping tiles at random", 6, overlapping),
    Division("overlapping tiles at random, turned before", 6, turned_first),
    Division("blocks of 64 pixels", 24, in_blocks),
    Division("tiles at random", 24, tile_by_tile, "test"),
    Division("blocks of 64 pixels", 6, in_blocks, learning_rate=1e-3),
    Division("blocks of 64 pixels", 6, in_blocks, learning_rate=1e-2),
)


def split(n_first: int) -> None:
    """Train what is not there, and write the table and the CSV behind each network, so that a run that is ended shows what it has."""
    rows = []
    for division in DIVISIONS[:n_first]:
        for fold in range(FOLDS):
            dataset = division.fold(fold)
            if division.chosen_on == "test":
                dataset = replace(dataset, validation=dataset.test)
            training = Training(epochs=division.epochs, learning_rate=division.learning_rate)
            trained = train_teacher(UNet(), dataset, training, seed=1, progress=Log(), cache=NetworkCache.default())
            rows.append({
                "tiles": division.tiles, "epochs": division.epochs, "learning_rate": division.learning_rate,
                "epoch_chosen_on": division.chosen_on, "fold": fold, "training_tiles": len(dataset.train),
                "validation_pixel_accuracy": trained.metrics["validation_pixel_accuracy"],
                "test_pixel_accuracy": trained.metrics["test_pixel_accuracy"],
            })  # fmt: skip
            found = pd.DataFrame(rows)
            found.to_csv(PAGE.with_name("land-cover-split.csv"), index=False, float_format="%.6g")
            put(PAGE, MARK.format("split"), "\n".join([*split_table(found), ""]))


def split_table(found: pd.DataFrame) -> list[str]:
    """Return the table of the divisions."""
    lines = [
        "| tiles | epochs | learning rate | epoch chosen on | tiles of training | validation | test |",
        "|---" * 7 + "|",
    ]
    names = ["tiles", "epochs", "learning_rate", "epoch_chosen_on"]
    for (tiles, epochs, rate, chosen_on), rows in found.groupby(names, sort=False):
        n_tiles = rows["training_tiles"].mean()
        validation, test = (rows[f"{name}_pixel_accuracy"].to_numpy() for name in ("validation", "test"))
        lines.append(
            f"| {tiles} | {epochs} | {rate} | {chosen_on} | {n_tiles:,.0f} | {100 * validation.mean():.1f} % | {100 * test.mean():.1f} % ({some(test, 100, 1)}) |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="?", choices=["split"], help="what to measure; without it, tables of finished runs"
    )
    parser.add_argument("--first", type=int, default=len(DIVISIONS), metavar="N", help="only so many ways of split")
    parser.add_argument("--review", type=Path, default=Path("results/land-cover-review"))
    parser.add_argument("--lost", type=Path, default=Path("results/land-cover"))
    options = parser.parse_args()
    if options.what == "split":
        split(options.first)
        return
    review, lost = (pd.read_csv(folder / "summary.csv") for folder in (options.review, options.lost))
    for name, lines in (("review", review_table(review)), ("lost", lost_table(lost))):
        put(PAGE, MARK.format(name), "\n".join([*lines, ""]))
    draw(review, lost, PAGE.with_suffix(".png"))
    metrics = {*OF_REVIEW, *OF_LOST, "mean_iou"}
    for name, rows in (("review", review), ("lost", lost)):
        rows[rows["metric"].isin(metrics)].to_csv(PAGE.with_name(f"land-cover-{name}.csv"), index=False)


if __name__ == "__main__":
    main()
