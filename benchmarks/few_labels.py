"""Few labels: interpolation consistency against labels alone, and students that learn from such a network when devices are lost.

    python benchmarks/few_labels.py --seeds 1 2 3

Digits, as `scenarios/few-labels-digits.yaml` says. First the network of the workload with the smallest number of labels: labels alone, mixtures of labelled samples, and
interpolation consistency; what Beta distribution, and whether labelled samples are mixed, is tried with the first seed and chosen by
validation accuracy. Then, for each number of labels, the students of the scenario and every set of devices that is left. Test samples choose nothing. Each seed draws other
labelled samples. Intervals (95 %, t distribution) are over seeds. Trained networks are kept, so that a killed run goes on.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from over import mean
from pages import write_page
from resilience import Log, accuracies

from edgesim.domain.networks.interpolation import Interpolation
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import train_teacher
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import context_of, load_teacher

if TYPE_CHECKING:
    from edgesim.domain.networks.training import Training
    from edgesim.scenario.build import System

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
LABELS = (2, 5, 10)
GRID = list(itertools.product((0.1, 1.0), (True, False)))
"""Parameters of the Beta distribution, and whether labelled samples are mixed, that are tried on validation data."""


def with_options(training: Training, options: Interpolation) -> Training:
    """Return the training with other options of few labels."""
    return replace(training, interpolation=options)


def learnt(system: System, options: Interpolation, seed: int) -> dict[str, float]:
    """Return what the network of the workload reaches, in %."""
    dataset, training = system.dataset.load(), with_options(system.training, options)
    found = train_teacher(
        system.model, dataset, training, seed=seed, progress=Log(), cache=NetworkCache.default()
    ).metrics
    row = {name: 100 * found[f"{name}_accuracy"] for name in ("validation", "test")}
    print(f"seed {seed}, {options}: {row}", file=sys.stderr, flush=True)
    return row


def networks(system: System, seeds: list[int], labels: int) -> tuple[pd.DataFrame, Interpolation]:
    """Return what networks reach with few labels, by way of learning and seed; and the options that validation data chose."""
    base = replace(system.training.interpolation or Interpolation(), labels_per_class=labels)
    rows = []

    def add(learns: str, options: Interpolation, seed: int) -> None:
        rows.append({"labels_per_class": labels, "learns": learns, "seed": seed, **learnt(system, options, seed)})

    tried = {}
    for mixing, mixes in GRID:
        name = f"consistency, a = {mixing:g}, labelled samples {'mixed' if mixes else 'as they are'}"
        tried[name] = replace(base, mixing=mixing, mixes_labelled=mixes)
        add(name, tried[name], seeds[0])
    best = str(pd.DataFrame(rows).set_index("learns")["validation"].idxmax())
    for seed in seeds:
        add("labels alone", replace(base, weight=0.0, mixes_labelled=False), seed)
        if seed != seeds[0]:
            add(best, tried[best], seed)
    for seed in seeds:
        add(
            f"mixtures of labelled samples alone, a = {tried[best].mixing:g}",
            replace(tried[best], weight=0.0, mixes_labelled=True),
            seed,
        )
    return pd.DataFrame(rows), tried[best]


def with_devices(system: System, seeds: list[int], options: Interpolation) -> pd.DataFrame:
    """Return accuracies of every set of devices, in %, by number of labels, strategy and seed."""
    rows = []
    for labels, seed in itertools.product(LABELS, seeds):
        training = with_options(system.training, replace(options, labels_per_class=labels))
        own = replace(system, training=training, seed=seed)
        context = context_of(own, load_teacher(own, Log()), Log())
        for label, strategy in own.strategies.items():
            sets, _ = accuracies(strategy.deploy(context), context.dataset.test.targets)
            known = {"labels_per_class": labels, "strategy": label, "seed": seed}
            rows += [{**known, "lost": row["lost"], "accuracy": 100 * row["accuracy"]} for row in sets]
            print(f"{known}: {rows[-len(sets)]}", file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def interval(values: pd.Series) -> str:
    """Return a mean over seeds with its interval."""
    found = mean(values.to_numpy())
    return f"{found.value:.1f} ± {found.half_width:.1f}" if found.n > 1 else f"{found.value:.1f}"


def networks_table(rows: pd.DataFrame) -> list[str]:
    """Return the table of networks."""
    lines = ["| labels per class | learns | seeds | test | validation |", "|---|---|---|---|---|"]
    for (labels, learns), group in rows.groupby(["labels_per_class", "learns"], sort=False):
        lines.append(
            f"| {labels} | {learns} | {len(group)} | {interval(group['test'])} | {interval(group['validation'])} |"
        )
    return lines


def devices_table(rows: pd.DataFrame) -> list[str]:
    """Return the table of students: labels and strategies by lost devices."""
    means = rows.groupby(["labels_per_class", "strategy", "lost", "seed"], sort=False)["accuracy"].mean().reset_index()
    most = int(means["lost"].max())
    lines = ["| labels per class | strategy | " + " | ".join(f"{lost} lost" for lost in range(most)) + " |"]
    lines.append("|---|---|" + "---|" * most)
    for (labels, strategy), group in means.groupby(["labels_per_class", "strategy"], sort=False):
        by_lost = {lost: own["accuracy"] for lost, own in group.groupby("lost")}
        cells = [
            interval(by_lost[lost]) if (lost in by_lost and strategy != "single") or lost == 0 else ""
            for lost in range(most)
        ]
        lines.append(f"| {labels} | {strategy} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Train what is not kept, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--parts", nargs="+", choices=("networks", "devices"), default=["networks", "devices"])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    system = build(Scenario.load(ROOT / "scenarios" / "few-labels-digits.yaml"))
    seeds = " ".join(map(str, options.seeds))
    lines = [
        "# Few labels, and few labels x lost devices: digits",
        "",
        f"Made by `python benchmarks/few_labels.py --seeds {seeds} --parts {' '.join(options.parts)}`.",
        "Accuracy of the test split in %, means with 95 % intervals (t distribution) over seeds; each seed draws other labelled samples.",
    ]
    chosen = system.training.interpolation or Interpolation()
    if "networks" in options.parts:
        rows, chosen = networks(system, options.seeds, LABELS[0])
        rows.round(3).to_csv(options.output / "few-labels-networks.csv", index=False)
        lines += ["", "## One network", "", NETWORKS, "", *networks_table(rows)]
    if "devices" in options.parts:
        sets = with_devices(system, options.seeds, chosen)
        sets.round(3).to_csv(options.output / "few-labels.csv", index=False)
        lines += ["", "## Students on four devices", "", DEVICES, "", *devices_table(sets)]
    write_page(options.output / "few-labels.md", lines)


NETWORKS = (
    "The mean network answers. Options with one seed were tried on validation data, which has all of its labels; the best of them has all seeds. Tested, but not chosen, "
    "are all others."
)
DEVICES = "Students learn from the network's answers alone (alpha 1). Means over all sets of devices that are left."


if __name__ == "__main__":
    main()
