"""Every failure-resilient method on the same eight devices, for each set of devices that may be left: table and figure.

    python -m benchmarks.survivors --dataset digits --seeds 1
    python -m benchmarks.survivors --dataset fashion-mnist --seeds 1 --only nonn resilient-4 resilient-2 ensemble

The scenario is `scenarios/survivors.yaml`, with another data set where one is given. The real networks answer the whole test split for each of the 2^8
sets of devices that are left; all messages to and from the others are lost. Where a method has no answer, it is guessed. A device that is lost with
probability p leaves each set with its probability, so that expectations over loss rates are exact. Writes docs/results/survivors-<data set>.csv, a table in
Markdown to stdout, and the figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.resilience import Log
from edgesim.domain.delivery import Delivery
from edgesim.errors import PlanError
from edgesim.registry import DATASETS
from edgesim.report.draw.style import house_style, look, save
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.students.distilled import DistilledStudents
from edgesim.study.preparation.prepare import context_of, load_teacher

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.interfaces import Deployment, DeploymentContext

ROOT = Path(__file__).resolve().parent.parent
RATES = (0.01, 0.05, 0.1, 0.2, 0.3)
"""Probabilities with which a device is lost."""
OF_STUDENTS_SIZE = ("cut", "coded", "parm", "approxifer")
"""Methods that run the network of the workload, and are asked again with one of a student's architecture."""
DEVICES = tuple(f"w{number}" for number in range(1, 9))


def lost_with(plan: Plan, down: set[str]) -> frozenset[str]:
    """Return the messages that are lost when devices are down: to them and from them."""
    return frozenset(one.step_id for one in plan.transfers if {one.src_id, one.dst_id} & down)


def accuracies(deployment: Deployment, context: DeploymentContext) -> list[dict[str, Any]]:
    """Return the main score for every set of devices that are left."""
    score, targets = context.dataset.task.scores[0], context.dataset.test.targets
    guess = context.dataset.task.guess(context.dataset.train.targets)
    guessed = score.of(np.broadcast_to(guess, (len(targets), *guess.shape)), targets)
    known: dict[frozenset[str], float] = {}
    rows = []
    for left in itertools.product((True, False), repeat=len(DEVICES)):
        down = {name for name, is_left in zip(DEVICES, left, strict=True) if not is_left}
        lost = lost_with(deployment.plan, down)
        if lost not in known:
            try:
                known[lost] = score.of(deployment.predict(Delivery(lost)), targets)
            except PlanError:
                known[lost] = guessed
        rows.append({"left": "".join("x" if one else "-" for one in left), "lost": len(down), "score": known[lost]})
    return rows


def cost(plan: Plan, n_queries: int) -> dict[str, float]:
    """Return what one query costs: bytes, and the most work and memory of a device, the hub apart."""
    work = {
        name: sum(w.work_flop for step in plan.computes if step.device_id == name for w in step.work)
        for name in DEVICES
    }
    memory = plan.peak_memory_byte()
    return {
        "mflop_device": max(work.values()) / 1e6 / n_queries,
        "mflop_all": sum(work.values()) / 1e6 / n_queries,
        "kb_memory_device": max(memory.get(name, 0) for name in DEVICES) / 1e3,
        "kb_traffic": sum(one.size_byte for one in plan.transfers) / 1e3 / n_queries,
    }


def measured(dataset: str, seeds: list[int], only: list[str], path: Path) -> pd.DataFrame:
    """Return a row for each method, seed and set of devices; what is in the file is not asked again."""
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    scenario = Scenario.load(ROOT / "scenarios" / "survivors.yaml")
    for seed, is_small in itertools.product(seeds, (False, True)):
        changes: dict[str, Any] = {"dataset": DATASETS.get(dataset)()}
        if is_small:
            changes["model"] = DistilledStudents().student
        workload = scenario.workload.model_copy(update=changes)
        system = dataclasses.replace(build(scenario.model_copy(update={"workload": workload})), seed=seed)
        context = None
        for name, strategy in system.strategies.items():
            label = f"{name}, student's size" if is_small else name
            is_known = any((row["strategy"], row["seed"]) == (label, seed) for row in rows)
            if is_known or (only and name not in only) or (is_small and name not in OF_STUDENTS_SIZE):
                continue
            context = context or context_of(system, load_teacher(system, Log()), Log())
            deployment = strategy.deploy(context)
            costs = cost(deployment.plan, deployment.describe().get("queries", 1))
            rows += [{"strategy": label, "seed": seed, **row, **costs} for row in accuracies(deployment, context)]
            pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g")
    return pd.DataFrame(rows)


def expected(rows: pd.DataFrame, rate: float) -> float:
    """Return the expectation over sets when each device is lost with a probability, a mean over seeds."""
    weights = rate ** rows["lost"] * (1 - rate) ** (len(DEVICES) - rows["lost"])
    return float((weights * rows["score"]).sum() / rows["seed"].nunique())


def table(rows: pd.DataFrame) -> str:
    """Return the costs and the expectations of each method, in %."""
    head = ["method", "MFLOP of a device", "kB of memory", "kB of traffic", "nothing lost"]
    head += [*(f"{100 * rate:g} % lost" for rate in RATES), "worst of 1 lost", "4 of 8 lost, mean", "worst"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for label, own in rows.groupby("strategy", sort=False):
        first = own.iloc[0]
        one, four = own[own["lost"] == 1]["score"], own[own["lost"] == 4]["score"]
        cells = [
            f"`{label}`",
            f"{first['mflop_device']:.2f}",
            f"{first['kb_memory_device']:.1f}",
            f"{first['kb_traffic']:.2f}",
        ]
        values = [own[own["lost"] == 0]["score"].mean(), *(expected(own, rate) for rate in RATES)]
        values += [one.min(), four.mean(), four.min()]
        lines.append(f"| {' | '.join([*cells, *(f'{100 * value:.1f}' for value in values)])} |")
    return "\n".join(lines)


def figure(rows: pd.DataFrame, path: Path, rate: float = 0.1) -> None:
    """Draw the expectation at one loss rate against the traffic of a query."""
    from matplotlib.figure import Figure

    with house_style():
        axes = Figure(figsize=(5.6, 3.6), layout="constrained").add_subplot()
        labels = list(dict.fromkeys(rows["strategy"]))
        for label, (colour, marker) in look(labels).items():
            own = rows[rows["strategy"] == label]
            axes.plot(
                own["kb_traffic"].iloc[0], 100 * expected(own, rate), marker, color=colour, label=label, linestyle=""
            )
        axes.set_xscale("log")
        axes.set_xlabel("traffic of a query in kB")
        axes.set_ylabel(f"accuracy in %, each device lost with {100 * rate:g} %")
        axes.figure.legend(loc="outside right center", fontsize=7)
        save(axes.figure, path)


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="*", default=[], help="labels of the scenario; all without")
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results")
    options = parser.parse_args()
    name = f"survivors-{options.dataset}"
    rows = measured(options.dataset, options.seeds, options.only, options.results / f"{name}.csv")
    print(table(rows))
    figure(rows, options.results / name)


if __name__ == "__main__":
    main()
