"""Perfect students, zeros and means for a lost part, features scaled over the whole or over each part: what is left with four of eight devices lost.

    edgesim models import models/digits/*.json models/fashion-mnist/*.json models/cifar-100/*.json
    python benchmarks/stand_ins.py --dataset digits

The networks are those of `scenarios/resilience-<data set>.yaml` with its seed; those that were imported are not trained. Each of the 70 sets is answered by
the real networks on the test split, the perfect students' by the teacher's own filters (`edgesim bound`). Writes the table of the data set in
docs/results/stand-ins.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pages import put
from resilience import LOST, ROOT, SCENARIOS, Log, accuracies

from edgesim.nn.train.training import scored
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.ensemble import Ensemble
from edgesim.strategies.students.distilled import DistilledStudents
from edgesim.study.preparation.bounds import bound_of
from edgesim.study.preparation.prepare import context_of, load_teacher

if TYPE_CHECKING:
    from edgesim.interfaces import DeploymentContext, Strategy


def main() -> None:
    """Ask the networks, and write down what they reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=sorted(SCENARIOS), default="digits")
    parser.add_argument(
        "--strategies", nargs="+", help="labels of the scenario; all that divide filters, and ensemble, by default"
    )
    options = parser.parse_args()
    name = SCENARIOS[options.dataset]
    system = build(Scenario.load(ROOT / "scenarios" / f"resilience-{name}.yaml"))
    context = context_of(system, load_teacher(system, Log()), Log())
    lines = [
        "| strategy | scaled over | perfect students | nothing lost | zeros | means |",
        "|---|---|---|---|---|---|",
    ]
    for label, strategy in system.strategies.items():
        if options.strategies and label not in options.strategies:
            continue
        if isinstance(strategy, DistilledStudents):
            if strategy.missing != "zeros":
                continue
            bound = bound_of(strategy, context)
            perfect = "" if bound is None else f"{bound.by_lost[LOST]:.3f}"
            kept = [_kept(replace(strategy, missing=missing), context) for missing in ("zeros", "mean")]
            scaled = "each part" if strategy.normalised_over == "part" else "the whole"
            cells = [scaled, perfect, *(f"{one:.3f}" for one in (kept[0][0], kept[0][1], kept[1][1]))]
        elif isinstance(strategy, Ensemble):
            whole, four = _kept(strategy, context)
            cells = ["", "", f"{whole:.3f}", f"{four:.3f}", ""]
        else:
            continue
        lines.append(f"| {label} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    score = context.dataset.task.scores[0].name
    teacher = f"Teacher: {scored(context.network, context.dataset.test, context.dataset.task):.3f} ({score} on the test split)."
    put(ROOT / "docs" / "results" / "stand-ins.md", name, "\n".join([teacher, "", *lines, "", ""]))


def _kept(strategy: Strategy, context: DeploymentContext) -> tuple[float, float]:
    """Return what is left of the accuracy with nothing lost and with `LOST` lost, the mean over the sets."""
    rows, _ = accuracies(strategy.deploy(context), context.dataset.test.targets)
    whole, four = (float(np.mean([row["accuracy"] for row in rows if row["lost"] == lost])) for lost in (0, LOST))
    return whole, four


if __name__ == "__main__":
    main()
