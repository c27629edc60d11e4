"""Every failure-resilient method on the same eight devices, for each set of devices that may be left: table and figure.

    python -m benchmarks.survivors --dataset digits --seeds 1
    python -m benchmarks.survivors --dataset fashion-mnist --seeds 1

The scenarios are `scenarios/survivors.yaml` and `survivors-fashion.yaml`. The real networks answer the whole test split for each of the 2^8
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

from benchmarks.over import mean
from benchmarks.resilience import Log
from edgesim.domain.delivery import Delivery
from edgesim.domain.evaluation import Evaluation
from edgesim.errors import PlanError
from edgesim.report.draw.style import house_style, look, save
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.students.distilled import DistilledStudents
from edgesim.study.cases.evaluation import asked
from edgesim.study.preparation.prepare import context_of, load_teacher

if TYPE_CHECKING:
    from edgesim.domain.plan import Plan
    from edgesim.interfaces import Deployment, DeploymentContext

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = {"digits": "survivors", "fashion-mnist": "survivors-fashion"}
RATES = (0.01, 0.05, 0.1, 0.2, 0.3)
"""Probabilities with which a device is lost."""
SHOWN_RATE = 0.1
"""The rate of the figure, and of the intervals over seeds (95 %, t distribution)."""
OF_STUDENTS_SIZE = ("cut", "coded", "parm", "approxifer")
"""Methods that run the network of the workload, and are asked again with one of a student's architecture."""
SLOW, N_ASKED = ("cut", "coded"), 1000
"""Methods that compute the network anew for each of the 256 sets, and of how many samples of the test split, drawn from the seed."""
TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
FINE_TICKS = (0.2, 0.3, 0.4, 0.6, 0.8, 1, 1.5, 2, 3, 4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 80, 100)
"""Where there are fewer than three of the others."""
DEVICES = tuple(f"w{number}" for number in range(1, 9))


def of_students_size(name: str) -> str:
    """Return what a method is called whose network has a student's architecture."""
    return f"{name}, student's size"


def lost_with(plan: Plan, down: set[str]) -> frozenset[str]:
    """Return the messages that are lost when devices are down: to them and from them."""
    return frozenset(one.step_id for one in plan.transfers if {one.src_id, one.dst_id} & down)


def accuracies(deployment: Deployment, context: DeploymentContext) -> list[dict[str, Any]]:
    """Return the main score by number of lost devices, over all sets: mean, worst and best."""
    score, targets = context.dataset.task.scores[0], context.dataset.test.targets
    guess = context.dataset.task.guess(context.dataset.train.targets)
    guessed = score.of(np.broadcast_to(guess, (len(targets), *guess.shape)), targets)
    known: dict[frozenset[str], float] = {}
    reached: list[list[float]] = [[] for _ in range(len(DEVICES) + 1)]
    for n_lost, down in (
        (n, set(down)) for n in range(len(DEVICES) + 1) for down in itertools.combinations(DEVICES, n)
    ):
        lost = lost_with(deployment.plan, down)
        if lost not in known:
            try:
                known[lost] = score.of(deployment.predict(Delivery(lost)), targets)
            except PlanError:
                known[lost] = guessed
        reached[n_lost].append(known[lost])
    return [
        {"lost": n, "n_sets": len(some), "mean": sum(some) / len(some), "worst": min(some), "best": max(some)}
        for n, some in enumerate(reached)
    ]


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


def asked_few(context: DeploymentContext, seed: int) -> DeploymentContext:
    """Return the context with `N_ASKED` samples of the test split, or all if there are fewer."""
    dataset = context.dataset
    few = asked(dataset.test, Evaluation(samples=N_ASKED), seed)
    return dataclasses.replace(context, dataset=dataclasses.replace(dataset, test=few))


def measured(dataset: str, seeds: list[int], only: list[str], path: Path) -> pd.DataFrame:
    """Return a row for each method, seed and number of lost devices; what is in the file is not asked again."""
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    scenario = Scenario.load(ROOT / "scenarios" / f"{SCENARIOS[dataset]}.yaml")
    for seed, is_small in itertools.product(seeds, (False, True) if dataset == "digits" else (False,)):
        small = {"model": DistilledStudents().student}
        workload = scenario.workload.model_copy(update=small if is_small else {})
        system = dataclasses.replace(build(scenario.model_copy(update={"workload": workload})), seed=seed)
        context = None
        for name, strategy in system.strategies.items():
            label = of_students_size(name) if is_small else name
            is_known = any((row["strategy"], row["seed"]) == (label, seed) for row in rows)
            if is_known or (only and name not in only) or (is_small and name not in OF_STUDENTS_SIZE):
                continue
            context = context or context_of(system, load_teacher(system, Log()), Log())
            own = asked_few(context, seed) if name in SLOW else context
            deployment = strategy.deploy(own)
            costs = cost(deployment.plan, deployment.describe().get("queries", 1))
            rows += [{"strategy": label, "seed": seed, **row, **costs} for row in accuracies(deployment, own)]
            pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g")
    labels = [*scenario.strategies, *map(of_students_size, OF_STUDENTS_SIZE)]
    places = {label: place for place, label in enumerate(labels)}
    found = pd.DataFrame(rows).assign(place=[places[row["strategy"]] for row in rows])
    found = found.sort_values(["seed", "place", "lost"]).drop(columns="place")
    found.to_csv(path, index=False, float_format="%.6g")
    return found[found["seed"].isin(seeds)]


def expected(rows: pd.DataFrame, rate: float) -> float:
    """Return the expectation over sets when each device is lost with a probability, a mean over seeds."""
    weights = rows["n_sets"] * rate ** rows["lost"] * (1 - rate) ** (len(DEVICES) - rows["lost"])
    return float((weights * rows["mean"]).sum() / rows["seed"].nunique())


def over_seeds(rows: pd.DataFrame) -> str:
    """Return half the 95 % interval over seeds at the rate of the figure, in points; nothing of one seed."""
    found = mean(np.array([expected(own, SHOWN_RATE) for _, own in rows.groupby("seed")]))
    return f" ± {100 * found.half_width:.1f}" if found.n > 1 else ""


def table(rows: pd.DataFrame) -> str:
    """Return the costs and the expectations of each method, in %."""
    head = ["method", "MFLOP of a device", "kB of memory", "kB of traffic", "nothing lost"]
    head += [*(f"{100 * rate:g} % lost" for rate in RATES), "worst of 1 lost", "4 of 8 lost, mean", "worst"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for label, own in rows.groupby("strategy", sort=False):
        first = own.iloc[0]
        none, one, four = (own[own["lost"] == n] for n in (0, 1, 4))
        cells = [
            f"`{label}`",
            f"{first['mflop_device']:.2f}",
            f"{first['kb_memory_device']:.1f}",
            f"{first['kb_traffic']:.2f}",
        ]
        values = [none["mean"].mean(), *(expected(own, rate) for rate in RATES)]
        values += [one["worst"].min(), four["mean"].mean(), four["worst"].min()]
        shown = [f"{100 * value:.1f}" for value in values]
        shown[1 + RATES.index(SHOWN_RATE)] += over_seeds(own)
        lines.append(f"| {' | '.join([*cells, *shown])} |")
    return "\n".join(lines)


def figure(rows: pd.DataFrame, path: Path, rate: float = SHOWN_RATE) -> None:
    """Draw how much is wrong at one loss rate against the traffic of a query."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    with house_style():
        axes = Figure(figsize=(6.0, 4.4), layout="constrained").add_subplot()
        labels = list(dict.fromkeys(rows["strategy"]))
        for label, (colour, marker) in look(labels).items():
            own = rows[rows["strategy"] == label]
            wrong = 100 * (1 - expected(own, rate))
            axes.plot(
                own["kb_traffic"].iloc[0], wrong, marker, color=colour, label=label, linestyle="", fillstyle="none"
            )
        for axis, set_scale, limits in (
            (axes.xaxis, axes.set_xscale, axes.get_xlim),
            (axes.yaxis, axes.set_yscale, axes.get_ylim),
        ):
            set_scale("log")
            low, high = limits()
            ticks = [one for one in TICKS if low <= one <= high]
            ticks = ticks if len(ticks) > 2 else [one for one in FINE_TICKS if low <= one <= high]
            if len(ticks) < 2:
                set_scale("linear")
                continue
            axis.set_minor_locator(NullLocator())
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_major_formatter(FixedFormatter([f"{one:g}" for one in ticks]))
        axes.set_xlabel("traffic of a query in kB")
        axes.set_ylabel(f"wrong answers in %, each device lost with {100 * rate:g} %")
        axes.figure.legend(loc="outside right center", fontsize=7)
        save(axes.figure, path)  # type: ignore[arg-type]


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=sorted(SCENARIOS), default="digits")
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
