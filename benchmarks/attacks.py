"""Robust accuracy: one small network that learns under attack, and students under attack when devices are lost.

    python benchmarks/attacks.py --seeds 1 2 3

Digits, attacked by projected gradient as `scenarios/attacks-digits.yaml` says (PGD-20 on test samples, PGD-10 in training, radius 0.15).

First the networks of two convolutions of Goldblum et al.'s question made small: a student of width 2 or 4 learns from labels, under attack, or from
a natural or robust teacher of width 32. Then the students of the scenario: every set of devices that is left, with samples that were attacked
once (transfer) or anew for each set (adaptive), zeros or means in place of parts of which nothing arrived. The weight and the temperature of ARD are those that are
best on attacked validation samples; test samples choose nothing. Intervals (95 %, t distribution) are over seeds. Trained networks
are kept, so that a killed run goes on. Writes attacks.csv, attacks-single.csv, attacks.md and the figure.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from over import mean
from pages import write_page
from resilience import Log

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Transfer
from edgesim.nn.objectives.adversarial import Adversarial
from edgesim.nn.objectives.ard import ARD
from edgesim.report.draw.style import house_style, look, save
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.ensemble import Ensemble
from edgesim.study.preparation.prepare import context_of, load_teacher

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec
    from edgesim.interfaces import Deployment, DeploymentContext
    from edgesim.scenario.build import System

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
TEACHER_WIDTH, EPOCHS = 32, 30
GRID = list(itertools.product((0.5, 1.0), (1.0, 5.0)))
"""Weights alpha and temperatures of ARD that are tried on validation data."""
PUBLISHED = (1.0, 5.0)
"""Those that others took for digits."""
SINGLE = (
    f"Two convolutions of `width` and twice as many channels, {EPOCHS} epochs; teachers of width {TEACHER_WIDTH}, of the first seed. Options of ARD are tried with the first "
    "seed; the one that is best on attacked validation samples is bold."
)
DEVICES = "Strategies of `scenarios/attacks-digits.yaml`; `+mean` has `missing: mean`. All sets of devices."
SHOWN = ("natural+mean", "adversarial", "adversarial+mean", "ard+mean", "resilient-ard+mean", "ensemble-ard")


@dataclass(frozen=True, slots=True)
class Width:
    """Two convolutions of `width` and twice as many channels, pooling, one linear layer: 758 parameters at width 2, 1,650 at 4 (digits)."""

    width: int

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:
        from torch import nn

        [spec] = inputs.values()
        channels, height, width = spec.shape
        first, second = self.width, 2 * self.width
        layers: list[nn.Module] = [nn.Conv2d(channels, first, 3, padding=1), nn.BatchNorm2d(first), nn.ReLU()]
        layers += [nn.Conv2d(first, second, 3, padding=1), nn.BatchNorm2d(second), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(second * (height // 2) * (width // 2), output.size))

    def filter_layer(self) -> None:
        return None


def scored(deployment: Deployment, context: DeploymentContext) -> list[dict[str, Any]]:
    """Return the accuracies of every set of students that are left."""
    results = [step for step in deployment.plan.steps if isinstance(step, Transfer) and step.kind == "result"]
    labels, rows = context.dataset.test.targets, []
    for left in itertools.product((True, False), repeat=len(results)):
        delivery = Delivery(frozenset(step.step_id for step, there in zip(results, left, strict=True) if not there))
        answers = {
            "clean": deployment.predict(delivery),
            "transfer": deployment.predict_attacked(delivery, "transfer"),  # type: ignore[attr-defined]
            "adaptive": deployment.predict_attacked(delivery, "adaptive"),  # type: ignore[attr-defined]
        }
        shares = {name: 100 * float(np.mean(one.argmax(axis=1) == labels)) for name, one in answers.items()}
        rows.append({"left": "".join("x" if one else "-" for one in left), "lost": left.count(False), **shares})
    return rows


def reached(strategy: Any, context: DeploymentContext) -> dict[str, float]:
    """Return what one student reaches: with nothing lost on the test split, and attacked on the validation split."""
    deployment = strategy.deploy(context)
    whole = next(row for row in scored(deployment, context) if row["lost"] == 0)
    facts = deployment.describe()
    return {
        "clean": whole["clean"],
        "robust": whole["adaptive"],
        "validation_robust": 100 * facts.get("validation_robust_accuracy", np.nan),
    }


def single(system: System, seeds: list[int], width: int) -> pd.DataFrame:
    """Return what one network on one device reaches, by way of learning and seed; teachers are of the first seed."""
    rows = []
    attack, alone = system.training.attack, {"single": system.strategies["single"]}
    contexts = {}
    for kind, attacked_by in (("natural", None), ("robust", attack)):
        training = Training(epochs=EPOCHS, attack=attacked_by)
        own = replace(system, model=Width(TEACHER_WIDTH), training=training, seed=seeds[0], strategies=alone)
        contexts[kind] = context_of(own, load_teacher(own, Log()), Log())
        row = reached(system.strategies["single"], contexts[kind])
        rows.append({"width": TEACHER_WIDTH, "learns": f"teacher, {kind}", "seed": seeds[0], **row})
    plain = Ensemble(1, "w1", "hub", student=Width(width), training=Training(epochs=EPOCHS), alpha=0.0)

    def add(learns: str, kind: str, strategy: Ensemble, seed: int) -> None:
        row = reached(strategy, replace(contexts[kind], seed=seed))
        rows.append({"width": width, "learns": learns, "seed": seed, **row})
        print(rows[-1], file=sys.stderr, flush=True)

    def ard(alpha: float, temperature: float, seed: int) -> None:
        one = replace(plain, objective=ARD(attack or Attack()), alpha=alpha, temperature=temperature)
        add(f"ard, alpha {alpha:g}, T {temperature:g}", "robust", one, seed)

    for seed in seeds:
        add("natural", "natural", plain, seed)
        add("adversarial", "natural", replace(plain, objective=Adversarial(attack or Attack())), seed)
        add("distilled from natural", "natural", replace(plain, alpha=0.9), seed)
        add("distilled from robust", "robust", replace(plain, alpha=0.9), seed)
        ard(*PUBLISHED, seed)
    for alpha, temperature in GRID:
        if (alpha, temperature) != PUBLISHED:
            ard(alpha, temperature, seeds[0])
    best = chosen(pd.DataFrame(rows), seeds[0])
    for seed in seeds[1:]:
        for alpha, temperature in GRID:
            if f"ard, alpha {alpha:g}, T {temperature:g}" == best and (alpha, temperature) != PUBLISHED:
                ard(alpha, temperature, seed)
    return pd.DataFrame(rows)


def chosen(rows: pd.DataFrame, seed: int) -> str:
    """Return the options of ARD that are best on attacked validation samples, with one seed."""
    ard = rows[(rows["seed"] == seed) & rows["learns"].str.startswith("ard")].set_index("learns")
    return str(ard["validation_robust"].idxmax())


def with_devices(system: System, seeds: list[int]) -> tuple[pd.DataFrame, tuple[float, float], pd.DataFrame]:
    """Return accuracies of every set of devices, by strategy and seed; the options of ARD; and what validation data said of them."""
    rows, tried = [], []
    best = GRID[0]
    for seed in seeds:
        own = replace(system, seed=seed)
        context = context_of(own, load_teacher(own, Log()), Log())
        if not tried:
            for alpha, temperature in GRID:
                one = replace(own.strategies["ard"], alpha=alpha, temperature=temperature)
                facts = one.deploy(context).describe()
                tried.append({"alpha": alpha, "T": temperature, "robust": 100 * facts["validation_robust_accuracy"]})
                print(tried[-1], file=sys.stderr, flush=True)
            best = max(GRID, key=lambda pair: next(row["robust"] for row in tried if (row["alpha"], row["T"]) == pair))
        for label, written in own.strategies.items():
            is_ard = "ard" in label
            strategy = replace(written, alpha=best[0], temperature=best[1]) if is_ard else written
            variants = {label: strategy}
            if label not in ("single", "ensemble-ard"):
                variants[f"{label}+mean"] = replace(strategy, missing="mean")
            for name, variant in variants.items():
                deployment = variant.deploy(context)
                rows += [{"strategy": name, "seed": seed, **row} for row in scored(deployment, context)]
                print(f"seed {seed}, {name}: {rows[-16 if name != 'single' else -1]}", file=sys.stderr, flush=True)
    return pd.DataFrame(rows), best, pd.DataFrame(tried)


def interval(values: pd.Series) -> str:
    """Return a mean over seeds with its interval, nothing where nothing was measured."""
    if values.isna().all():
        return ""
    found = mean(values.to_numpy())
    return f"{found.value:.1f} ± {found.half_width:.1f}" if found.n > 1 else f"{found.value:.1f}"


def single_table(rows: pd.DataFrame) -> list[str]:
    """Return the table of one network on one device."""
    best = chosen(rows, rows["seed"].iloc[0])
    lines = [
        "| width | learns | seeds | clean | robust (PGD-20) | robust on validation data |",
        "|---|---|---|---|---|---|",
    ]
    for (width, learns), group in rows.groupby(["width", "learns"], sort=False):
        name = f"**{learns}** (chosen)" if learns == best else learns
        cells = " | ".join(interval(group[column]) for column in ("clean", "robust", "validation_robust"))
        lines.append(f"| {width} | {name} | {len(group)} | {cells} |")
    own = rows.set_index(["learns", "seed"])
    gain = own.loc[best] - own.loc["adversarial"]
    lines += [
        "",
        f"ARD as chosen minus adversarial training with the same seed: {interval(gain['clean'])} points without an attack, {interval(gain['robust'])} under it.",
    ]
    return lines


def by_lost(rows: pd.DataFrame) -> pd.DataFrame:
    """Return means over the sets of each size, by strategy, lost devices and seed."""
    return (
        rows.groupby(["strategy", "lost", "seed"], sort=False)[["clean", "transfer", "adaptive"]].mean().reset_index()
    )


def devices_tables(rows: pd.DataFrame) -> list[str]:
    """Return a table for each score: strategies by lost devices."""
    means, lines = by_lost(rows), []
    titles = {
        "clean": "Accuracy without an attack",
        "transfer": "Robust accuracy, attacked once (transfer)",
        "adaptive": "Robust accuracy, attacked anew through what is left (adaptive)",
    }
    most = int(means["lost"].max())
    for score, title in titles.items():
        lines += ["", f"### {title}, %", "", "| strategy | " + " | ".join(f"{n} lost" for n in range(most)) + " |"]
        lines.append("|---|" + "---|" * most)
        for label, group in means.groupby("strategy", sort=False):
            cells = [
                interval(group[group["lost"] == lost][score]) if (group["lost"] == lost).any() else ""
                for lost in range(most)
            ]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def figure(rows: pd.DataFrame, path: Path) -> None:
    """Draw robust accuracy against lost devices."""
    from matplotlib.figure import Figure

    means = by_lost(rows)
    labels = [label for label in SHOWN if label in set(means["strategy"])]
    with house_style():
        axes = Figure(figsize=(5.2, 3.2), layout="constrained").add_subplot()
        for label, (colour, marker) in look(labels).items():
            own = means[(means["strategy"] == label) & (means["lost"] < 4)].groupby("lost")["adaptive"]
            found = [mean(values.to_numpy()) for _, values in own]
            axes.errorbar(
                list(own.groups), [one.value for one in found], yerr=[one.half_width for one in found],
                color=colour, marker=marker, label=label,
            )  # fmt: skip
        axes.set_xlabel("lost devices, of 4")
        axes.set_ylabel("robust accuracy, adaptive attack, %")
        axes.set_ylim(0, 80)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(axes.figure, path)  # type: ignore[arg-type]


def main() -> None:
    """Train what is not kept, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--parts", nargs="+", choices=("single", "devices"), default=["single", "devices"])
    parser.add_argument("--width", type=int, default=2, help="of the single network")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    system = build(Scenario.load(ROOT / "scenarios" / "attacks-digits.yaml"))
    command = " ".join(
        [
            "python benchmarks/attacks.py --seeds",
            *map(str, options.seeds),
            "--parts",
            *options.parts,
            "--width",
            str(options.width),
        ]
    )
    evaluated, learnt = system.evaluation.attack, system.training.attack
    lines = [
        "# Robust accuracy of small networks, and robust accuracy x lost devices: digits",
        "",
        f"Made by `{command}`. Attack: {evaluated and evaluated.title} on validation and test samples, {learnt and learnt.title} in training, random starts.",
        "Means with 95 % intervals (t distribution) over seeds, which say nothing about other data.",
    ]
    if "single" in options.parts:
        alone = single(system, options.seeds, options.width)
        alone.round(3).to_csv(options.output / "attacks-single.csv", index=False)
        lines += ["", "## One network on one device", "", SINGLE, "", *single_table(alone)]
    if "devices" in options.parts:
        rows, (alpha, temperature), tried = with_devices(system, options.seeds)
        by_lost(rows).round(3).to_csv(options.output / "attacks.csv", index=False)
        chose = f"{DEVICES} ARD has alpha {alpha:g}, T {temperature:g}, the best on attacked validation samples of `ard` with the first seed:"
        grid = [f"| {row['alpha']:g} | {row['T']:g} | {row['robust']:.1f} |" for row in tried.to_dict("records")]
        lines += ["", "## Students on four devices", "", chose, "", "| alpha | T | robust on validation data, % |"]
        lines += ["|---|---|---|", *grid, *devices_tables(rows), "", "![robust accuracy](attacks.png)"]
        figure(rows, options.output / "attacks")
    write_page(options.output / "attacks.md", lines)


if __name__ == "__main__":
    main()
