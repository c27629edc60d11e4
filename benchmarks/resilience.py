"""Accuracy against the number of lost devices: every strategy of a resilience scenario, several seeds, all subsets of the devices.

    python benchmarks/resilience.py --dataset digits --seeds 1 2 3

The scenario `scenarios/resilience-<data set>.yaml` says what is compared. For each seed the teacher and the students are trained,
or taken from the cache; a killed run goes on where it was. For each strategy the real networks answer the whole test split for every
one of the 2^8 sets of devices that are left; lost devices are equally likely, so that the mean over all subsets of one size is
exact, and intervals (95 %, t distribution) are over seeds; with a single seed they are over test samples. Writes <name>.csv, <name>-partitions.csv, <name>.md and the figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from edgesim.domain.delivery import Delivery
from edgesim.domain.plan import Transfer
from edgesim.nn.parts.cuts import cut_ratio, modularity
from edgesim.nn.parts.filters import ActivationHubs, ActivationHubsCode, CoActivation
from edgesim.registry import PARTITIONERS
from edgesim.report.draw.style import house_style, look, save
from edgesim.rng import generator
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import context_of, load_teacher
from edgesim.study.tables.statistics import mean as estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.interfaces import Deployment, DeploymentContext

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = {"digits": "digits", "fashion-mnist": "fashion", "cifar-100": "cifar100", "cifar-100-long": "cifar100-long"}
FACTORS = ("nonn", "balancing", "averaging-4", "resilient-4", "averaging-2", "resilient-2")
SHOWN = ("nonn", "balancing", "averaging-4", "resilient-4", "resilient-2", "ensemble")
LOST = 4
"""Devices lost in the comparison that the paper makes: half of eight."""


class Log:
    """Progress as lines on stderr."""

    @contextmanager
    def task(self, label: str, n_total: int) -> Iterator[Log]:
        print(f"{time.strftime('%H:%M:%S')} {label}, {n_total} epochs", file=sys.stderr, flush=True)
        yield self

    def advance(self, n_done: int = 1, note: str = "") -> None:  # noqa: ARG002 - the seam's form
        print(f"{time.strftime('%H:%M:%S')}   {note}", file=sys.stderr, flush=True)


def accuracies(deployment: Deployment, labels: np.ndarray) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the accuracy for every set of students that are left, and in how many sets with `LOST` lost each sample is right."""
    plan = deployment.plan
    results = [step for step in plan.steps if isinstance(step, Transfer) and step.kind == "result"]
    rows, n_right = [], np.zeros(len(labels), dtype=np.int64)
    for left in itertools.product((True, False), repeat=len(results)):
        lost = frozenset(step.step_id for step, is_there in zip(results, left, strict=True) if not is_there)
        answers = deployment.predict(Delivery(lost))
        is_right = answers.argmax(axis=1) == labels
        reached = float(np.mean(is_right))
        if left.count(False) == LOST:
            n_right += is_right
        rows.append(
            {"left": "".join("x" if one else "-" for one in left), "lost": left.count(False), "accuracy": reached}
        )
    return rows, n_right.tolist()


def case(folder: Path, context: DeploymentContext, label: str, strategy: Any, seed: int) -> dict[str, Any]:
    """Return what one strategy reaches with one seed; from the folder if it is there with the same options."""
    path = folder / f"{label}-{seed}.json"
    options = f"{strategy!r} {context.network_key}"
    if path.is_file():
        known: dict[str, Any] = json.loads(path.read_text())
        if known["options"] == options and "n_right" in known:
            return known
    started = time.perf_counter()
    deployment = strategy.deploy(context)
    trained_s = time.perf_counter() - started
    if path.is_file() and json.loads(path.read_text())["options"] == options:
        trained_s = json.loads(path.read_text())["trained_s"]  # of the training, not of loading what was trained
    subsets, n_right = accuracies(deployment, context.dataset.test.targets)
    found = {
        "label": label,
        "seed": seed,
        "options": options,
        "trained_s": trained_s,
        "facts": deployment.describe(),
        "traffic_byte": sum(step.size_byte for step in deployment.plan.transfers if step.kind == "result"),
        "subsets": subsets,
        "n_right": n_right,
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found))
    partial.replace(path)
    return found


def partitions(context: DeploymentContext, seed: int) -> pd.DataFrame:
    """Compare all partitioners on the teacher's real activations."""
    from edgesim.nn.parts.activations import filter_activities

    activities = filter_activities(context.network, context.filter_layer, context.dataset.validation.inputs)
    correlation = CoActivation().affinity(activities)
    rows = []
    for graph, (name, n_parts) in itertools.product(
        (ActivationHubs(), ActivationHubsCode(), CoActivation()), itertools.product(PARTITIONERS.names(), (8, 4, 2))
    ):
        affinity = graph.affinity(activities)
        started = time.perf_counter()
        found = PARTITIONERS.get(name)().partition(affinity, n_parts, generator(seed, "partition"), activities)
        rows.append(
            {
                "graph": type(graph).__name__, "partitioner": name, "parts": n_parts, "seed": seed,
                "smallest": min(found.sizes), "largest": max(found.sizes), "imbalance": found.imbalance,
                "dropped": len(found.dropped), "cut_ratio": cut_ratio(found, affinity),
                "modularity": modularity(found, affinity), "lost_correlation": cut_ratio(found, correlation),
                "seconds": time.perf_counter() - started,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def summarise(cases: list[dict[str, Any]]) -> pd.DataFrame:
    """Return for each strategy and number of lost devices the mean over subsets and seeds, with its interval over seeds."""
    rows = pd.DataFrame(
        [{"strategy": one["label"], "seed": one["seed"], **subset} for one in cases for subset in one["subsets"]]
    )
    by_seed = rows.groupby(["strategy", "lost", "seed"], sort=False)["accuracy"].mean().reset_index()
    table = []
    for (label, lost), group in by_seed.groupby(["strategy", "lost"], sort=False):
        mean, half_width = mean_interval(group["accuracy"].to_numpy())
        subsets = rows[(rows["strategy"] == label) & (rows["lost"] == lost)]["accuracy"]
        table.append(
            {
                "strategy": label, "lost": lost, "accuracy": mean, "half_width": half_width,
                "worst_subset": subsets.min(), "best_subset": subsets.max(), "n_seeds": len(group),
            }
        )  # fmt: skip
    return pd.DataFrame(table)


def by_seed(cases: list[dict[str, Any]], label: str, lost: int = LOST) -> np.ndarray:
    """Return the mean over subsets for each seed, in the order of seeds."""
    own = sorted((one for one in cases if one["label"] == label), key=lambda one: one["seed"])
    return np.array([np.mean([row["accuracy"] for row in one["subsets"] if row["lost"] == lost]) for one in own])


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % interval, NaN for a single value."""
    found = estimate(values)
    return found.value, (found.high - found.low) / 2


def interval(values: np.ndarray, digits: int = 3) -> str:
    mean, half_width = mean_interval(values)
    return f"{mean:.{digits}f} ± {half_width:.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f}"


def right(cases: list[dict[str, Any]], label: str) -> np.ndarray:
    """Return for each test sample the share of the sets with `LOST` lost in which it is answered rightly, of the only seed."""
    [one] = [one for one in cases if one["label"] == label]
    return np.array(one["n_right"]) / sum(row["lost"] == LOST for row in one["subsets"])


def over_samples(values: np.ndarray, others: np.ndarray | float, *, is_ratio: bool, digits: int = 3) -> str:
    """Return the ratio of two means over test samples, or their difference in points, with its interval (paired, delta method)."""
    if is_ratio:
        found = float(np.mean(values) / np.mean(others))
        errors = (values - found * others) / np.mean(others)
    else:
        found = 100 * float(np.mean(values - others))
        errors = 100 * (values - others)
    half_width = 1.96 * float(np.std(errors, ddof=1)) / len(values) ** 0.5
    return f"{found:.{digits}f} ± {half_width:.{digits}f}"


def partition_table(rows: pd.DataFrame) -> list[str]:
    """Return how the partitioners divide the teacher's filters, means over seeds, for as many parts as students and half of them."""
    head = (
        "Means over seeds. Imbalance: largest over mean size; correlation lost: share of co-activation between filters of different "
        "parts or dropped; cut: the same share on the graph that was divided."
    )
    columns = ("graph", "partitioner", "parts", "imbalance", "dropped", "cut", "correlation lost")
    rows = rows[rows["parts"] > 2]
    means = rows.groupby(["graph", "partitioner", "parts"], sort=False).mean(numeric_only=True).reset_index()
    body = [
        f"| {row['graph']} | {row['partitioner']} | {row['parts']} | {row['imbalance']:.2f} | {row['dropped']:.1f} | "
        f"{row['cut_ratio']:.3f} | {row['lost_correlation']:.3f} |"
        for row in means.to_dict("records")
    ]
    return [head, "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *body]


def report(
    name: str, dataset: str, cases: list[dict[str, Any]], tables: pd.DataFrame, *, command: str, chance: float
) -> str:
    """Return the result in words and tables."""
    labels = list(dict.fromkeys(one["label"] for one in cases))
    seeds = sorted({one["seed"] for one in cases})
    summary = summarise(cases)
    hours = sum(one["trained_s"] for one in cases) / 3600
    first = {label: next(one for one in cases if one["label"] == label) for label in labels}
    teacher = np.array(
        [next(one for one in cases if one["seed"] == seed)["facts"]["teacher_test_accuracy"] for seed in seeds]
    )
    table = summary.pivot_table(index="strategy", columns="lost", values="accuracy", sort=False)
    how = (
        f"Made by `{command}`, seeds {', '.join(map(str, seeds))}; distillation and evaluation took {hours:.2f} hours (one core, "
        "shared with other work) where they were not in the cache."
    )
    what = (
        f"Teacher: test accuracy {interval(teacher)}. Guessing: {chance:.3f}. All values are of the test split, means over "
        "all subsets of the given size. "
        + (
            "Intervals (95 %, t distribution) are over seeds and say nothing about other data."
            if len(seeds) > 1
            else "Intervals (95 %, paired, delta method) are over test samples and say nothing about other trainings."
        )
    )
    lines = [
        f"# Accuracy against lost devices: {dataset}",
        "",
        how,
        what,
        "",
        "| strategy | " + " | ".join(f"{lost} lost" for lost in table.columns) + " |",
        "|---|" + "---|" * len(table.columns),
    ]
    half = summary.pivot_table(index="strategy", columns="lost", values="half_width", sort=False, dropna=False)
    for label in labels:
        cells = [
            f"{table.loc[label, lost]:.3f}" + (f" ± {half.loc[label, lost]:.3f}" if len(seeds) > 1 else "")
            for lost in table.columns
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += ["", f"## {LOST} of 8 lost, against NoNN with the same seed", "", *_ratios(cases, labels, teacher)]
    lines += ["", "## What each strategy costs", "", *_costs(first, labels)]
    lines += ["", "## Partitions of the teacher's filters", "", *partition_table(tables)]
    lines += ["", f"![accuracy against lost devices]({name}.png)", ""]
    return "\n".join(lines)


def _ratios(cases: list[dict[str, Any]], labels: list[str], teacher: np.ndarray) -> list[str]:
    lines = ["| strategy | ratio to nonn | ratio to its teacher |", "|---|---|---|"]
    base = by_seed(cases, "nonn")
    is_single = len(base) == 1
    for label in labels:
        own = by_seed(cases, label)
        if is_single:
            ratio = over_samples(right(cases, label), right(cases, "nonn"), is_ratio=True)
            lines.append(f"| {label} | {ratio} | {interval(own / teacher)} |")
        elif len(own) == len(base):
            lines.append(f"| {label} | {interval(own / base)} | {interval(own / teacher)} |")
    if all(len(by_seed(cases, label)) == len(base) for label in FACTORS):
        lines += [
            "",
            "The two ideas apart, in points of accuracy (100 points are all):",
            "",
            "| effect | M=4 | M=2 |",
            "|---|---|---|",
        ]
        value = {label: right(cases, label) if is_single else 100 * by_seed(cases, label) for label in FACTORS}

        def shown(difference: np.ndarray) -> str:
            return over_samples(difference, 0.0, is_ratio=False, digits=1) if is_single else interval(difference, 1)

        effects = {
            "averaging, on NoNN's parts": lambda m: value[f"averaging-{m}"] - value["nonn"],
            "balancing, without averaging": lambda _: value["balancing"] - value["nonn"],
            "balancing, on top of averaging": lambda m: value[f"resilient-{m}"] - value[f"averaging-{m}"],
            "both": lambda m: value[f"resilient-{m}"] - value["nonn"],
        }
        lines += [f"| {effect} | {shown(of(4))} | {shown(of(2))} |" for effect, of in effects.items()]
    return lines


def _costs(first: dict[str, dict[str, Any]], labels: list[str]) -> list[str]:
    lines = [
        "Of the first seed. Parameters and work are of one student (smallest to largest), traffic is what all students send to the merger.",
        "",
        "| strategy | parameters | MFLOP | traffic byte | part sizes | dropped filters | correlation lost |",
        "|---|---|---|---|---|---|---|",
    ]
    for label in labels:
        facts = first[label]["facts"]
        parameters = [student["n_parameters"] for student in facts["students"]]
        work = [student["work_flop"] / 1e6 for student in facts["students"]]
        sizes = " ".join(map(str, facts["part_sizes"])) if "part_sizes" in facts else "-"
        dropped = len(facts["dropped_filters"]) if "dropped_filters" in facts else "-"
        lost = f"{facts['lost_correlation']:.2f}" if "lost_correlation" in facts else "-"
        lines.append(
            f"| {label} | {min(parameters):,} to {max(parameters):,} | {min(work):.2f} to {max(work):.2f} | "
            f"{first[label]['traffic_byte']:,} | {sizes} | {dropped} | {lost} |"
        )
    return lines


def figure(summary: pd.DataFrame, path: Path, teacher: float, chance: float) -> None:
    """Draw accuracy against lost devices with intervals."""
    from matplotlib.figure import Figure

    with house_style():
        axes = Figure(figsize=(5.2, 3.2), layout="constrained").add_subplot()
        shown = [label for label in SHOWN if label in set(summary["strategy"])]
        for position, (label, (colour, marker)) in enumerate(look(shown).items()):
            rows = summary[(summary["strategy"] == label) & (summary["lost"] < 8)]
            at = rows["lost"] + 0.05 * (
                position - (len(shown) - 1) / 2
            )  # side by side, so that intervals do not hide each other
            axes.errorbar(
                at, rows["accuracy"], yerr=rows["half_width"].fillna(0), color=colour, marker=marker, label=label
            )
        for level, text in ((teacher, "teacher"), (chance, "guessing")):
            axes.axhline(level, color="#555555", linewidth=0.8, linestyle="--")
            axes.annotate(text, (-0.3, level), fontsize=7, va="bottom")
        axes.set_xlabel("lost devices, of 8")
        axes.set_ylabel("accuracy, mean over all subsets")
        axes.set_ylim(0, 1.05)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(axes.figure, path)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--dataset", choices=sorted(SCENARIOS), default="digits")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--strategies", nargs="+", help="labels of the scenario; all by default")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "results" / "resilience", help="keeps what is done, to resume"
    )
    options = parser.parse_args()
    name = f"resilience-{SCENARIOS[options.dataset]}"
    scenario = Scenario.load(ROOT / "scenarios" / f"{name}.yaml")
    folder = options.work / name
    folder.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    cases, tables = [], []
    for seed in options.seeds:
        system = dataclasses.replace(build(scenario), seed=seed)
        teacher = load_teacher(system, Log())
        context = context_of(system, teacher, Log())
        tables.append(partitions(context, seed))
        for label, strategy in system.strategies.items():
            if options.strategies is None or label in options.strategies:
                cases.append(case(folder, context, label, strategy, seed))
                lost = by_seed(cases[-1:], label)[0]
                print(f"seed {seed}, {label}: {lost:.4f} with {LOST} lost", flush=True)
    chosen = {
        "--dataset": [options.dataset],
        "--seeds": map(str, options.seeds),
        "--strategies": options.strategies or (),
    }
    words = [word for flag, values in chosen.items() for word in ([flag, *values] if values else ())]
    command = " ".join(["python benchmarks/resilience.py", *words])
    summary = summarise(cases)
    summary.round(5).to_csv(options.output / f"{name}.csv", index=False)
    pd.concat(tables).round(4).to_csv(options.output / f"{name}-partitions.csv", index=False)
    chance = 1 / context.dataset.task.classes
    text = report(name, options.dataset, cases, pd.concat(tables), command=command, chance=chance)
    (options.output / f"{name}.md").write_text(text)
    reached = float(np.mean([one["facts"]["teacher_test_accuracy"] for one in cases]))
    figure(summary, options.output / name, reached, chance)


if __name__ == "__main__":
    main()
