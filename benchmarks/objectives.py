"""Objectives x what stands in for lost parts x number of parts: accuracy for all sets of devices that are left, and which of ours is best.

    python benchmarks/objectives.py --dataset digits --seeds 1 2 3

The scenario `scenarios/objectives-<data set>.yaml` says what is compared. Networks are trained or taken from the cache; a killed run goes
on where it was. Each of the 2^8 sets of devices is answered by the real networks on the test split. Which of ours stands beside the published
methods is chosen on the validation split. Intervals are over seeds (t distribution, paired), with one seed over test samples (paired).
Writes <name>.csv and <name>.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pages import write_page
from resilience import LOST, ROOT, SCENARIOS, Log, accuracies, by_seed, interval, over_samples, right, summarise

from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import context_for, context_of, load_teacher

if TYPE_CHECKING:
    from edgesim.interfaces import DeploymentContext

OURS = ("-heads", "expectation", "mel")
"""What names of our own ways have in them."""


def is_ours(label: str) -> bool:
    """Return whether a strategy of the scenario is none that others have published."""
    return any(one in label for one in OURS)


def case(folder: Path, context: DeploymentContext, label: str, strategy: Any, seed: int) -> dict[str, Any]:
    """Return what one strategy reaches with one seed, also on the validation split; from the folder if it is there."""
    path = folder / f"{label}-{seed}.json"
    options = f"{strategy!r} {context.network_key}"
    if path.is_file():
        known: dict[str, Any] = json.loads(path.read_text())
        if known["options"] == options:
            return known
    started = time.perf_counter()
    deployment = strategy.deploy(context)
    made_s = time.perf_counter() - started
    subsets, n_right = accuracies(deployment, context.dataset.test.targets)
    facts = deployment.describe()
    found = {
        "label": label, "seed": seed, "options": options, "made_s": made_s,
        "traffic_byte": sum(step.size_byte for step in deployment.plan.transfers if step.kind == "result"),
        "merger_byte": deployment.plan.weight_byte[strategy.merger],
        "work_flop": max(one["work_flop"] for one in facts["students"]),
        "validation": facts["validation_accuracy_by_lost"][LOST],
        "subsets": subsets, "n_right": n_right,
    }  # fmt: skip
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found))
    partial.replace(path)
    return found


def validation(cases: list[dict[str, Any]], label: str) -> float:
    """Return the mean accuracy on the validation split with `LOST` lost, over seeds."""
    return float(np.mean([one["validation"] for one in cases if one["label"] == label]))


def best_within(cases: list[dict[str, Any]], limit_byte: float, *, ours: bool) -> str:
    """Return the strategy that is best on the validation split among those whose traffic is at most that, for every seed."""
    fitting = [
        label
        for label in dict.fromkeys(one["label"] for one in cases)
        if is_ours(label) is ours and all(one["traffic_byte"] <= limit_byte for one in cases if one["label"] == label)
    ]
    return max(fitting, key=lambda label: validation(cases, label))


def difference(cases: list[dict[str, Any]], one: str, other: str) -> str:
    """Return in points how much better one strategy is than another with `LOST` lost, with its paired interval."""
    own, others = by_seed(cases, one), by_seed(cases, other)
    if len(own) == 1:
        return over_samples(right(cases, one), right(cases, other), is_ratio=False, digits=1)
    return interval(100 * (own - others), 1)


def report(dataset: str, cases: list[dict[str, Any]], command: str) -> str:
    """Return the result in words and tables."""
    labels = list(dict.fromkeys(one["label"] for one in cases))
    seeds = sorted({one["seed"] for one in cases})
    summary = summarise(cases)
    table = summary.pivot_table(index="strategy", columns="lost", values="accuracy", sort=False)
    half = summary.pivot_table(index="strategy", columns="lost", values="half_width", sort=False, dropna=False)
    first = {label: next(one for one in cases if one["label"] == label) for label in labels}
    lines = [
        f"# What students learn, and which head merges what is left: {dataset}",
        "",
        f"Made by `{command}`. Seeds {', '.join(map(str, seeds))}; test accuracy in %, means over all sets of devices of a size; validation: the "
        f"same on the validation split with {LOST} lost. Intervals (95 %) are over "
        + ("seeds." if len(seeds) > 1 else "test samples, where they stand, and say nothing about other trainings."),
        "",
        "| strategy | "
        + " | ".join(f"{lost} lost" for lost in range(8))
        + " | validation | traffic byte | merger kB | MFLOP |",
        "|---" * 13 + "|",
    ]
    for label in labels:
        cells = [
            f"{100 * table.loc[label, lost]:.1f}" + (f" ± {100 * half.loc[label, lost]:.1f}" if len(seeds) > 1 else "")
            for lost in range(8)
        ]
        one = first[label]
        lines.append(
            f"| {label} | {' | '.join(cells)} | {100 * validation(cases, label):.1f} | {one['traffic_byte']} | "
            f"{one['merger_byte'] / 1000:.1f} | {one['work_flop'] / 1e6:.2f} |"
        )
    return "\n".join([*lines, "", *_beside(cases, labels), ""])


def _beside(cases: list[dict[str, Any]], labels: list[str]) -> list[str]:
    """Return the best of ours beside the published methods, at NoNN's traffic and at any."""
    limits = {
        "NoNN's": max(one["traffic_byte"] for one in cases if one["label"] == "distillation-8"),
        "any": float("inf"),
    }
    lines = [
        f"With {LOST} of 8 lost; which is best is chosen on the validation split. Differences in points, paired.",
        "",
        "| traffic | best of ours | best of others | ours - others |",
        "|---|---|---|---|",
    ]
    chosen = {}
    for name, limit in limits.items():
        ours, others = best_within(cases, limit, ours=True), best_within(cases, limit, ours=False)
        chosen[name] = ours
        lines.append(f"| {name} | {ours} | {others} | {difference(cases, ours, others)} |")
    beside = [
        label
        for label in ("distillation-4", "distillation-4-mean", "distillation-2", "distillation-2-mean", "ensemble")
        if label in labels
    ]
    lines += [
        "",
        "The same beside the resilient variant (`distillation-4`, `distillation-2`) and the ensemble:",
        "",
        "| ours | " + " | ".join(beside) + " |",
        "|---" * (1 + len(beside)) + "|",
    ]
    for ours in dict.fromkeys(chosen.values()):
        lines.append(f"| {ours} | " + " | ".join(difference(cases, ours, other) for other in beside) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--dataset", choices=sorted(SCENARIOS), default="digits")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--strategies", nargs="+", help="labels of the scenario; all by default")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "results" / "objectives", help="keeps what is done, to resume"
    )
    options = parser.parse_args()
    name = f"objectives-{SCENARIOS[options.dataset]}"
    scenario = Scenario.load(ROOT / "scenarios" / f"{name}.yaml")
    folder = options.work / name
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for seed in options.seeds:
        system = dataclasses.replace(build(scenario), seed=seed)
        context = context_of(system, load_teacher(system, Log()), Log())
        for label, strategy in system.strategies.items():
            if options.strategies is None or label in options.strategies:
                own = context_for(strategy, context, system.failures)
                cases.append(case(folder, own, label, strategy, seed))
                print(f"seed {seed}, {label}: {by_seed(cases[-1:], label)[0]:.4f} with {LOST} lost", flush=True)
    words = [f"--dataset {options.dataset}", "--seeds", *map(str, options.seeds)]
    words += ["--strategies", *options.strategies] if options.strategies else []
    command = " ".join(["python benchmarks/objectives.py", *words])
    summarise(cases).round(5).to_csv(options.output / f"{name}.csv", index=False)
    text = report(options.dataset, cases, command)
    write_page(options.output / f"{name}.md", text.splitlines())
    print(text)


if __name__ == "__main__":
    main()
