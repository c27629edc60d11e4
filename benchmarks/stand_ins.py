"""Zeros or means for a lost part x features scaled over the whole or over each part: what is left with four of eight devices lost.

    edgesim models import models/digits/*.json models/fashion-mnist/*.json
    python benchmarks/stand_ins.py --dataset digits
    python benchmarks/stand_ins.py --dataset fashion-mnist

The networks are those of `scenarios/resilience-<data set>.yaml` with its seed; those that were imported are not trained. Each of the 70 sets is answered by
the real networks on the test split. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from resilience import LOST, ROOT, SCENARIOS, Log, accuracies

from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.students.distilled import DistilledStudents
from edgesim.study.preparation.prepare import context_of, load_teacher

METHODS = {"nonn": "NoNN", "resilient-4": "resilient, M = 4", "resilient-2": "resilient, M = 2"}
SCALED = {"": "the whole", "-per-part": "each part"}


def main() -> None:
    """Ask the networks, and print what they reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=sorted(SCENARIOS), default="digits")
    options = parser.parse_args()
    system = build(Scenario.load(ROOT / "scenarios" / f"resilience-{SCENARIOS[options.dataset]}.yaml"))
    context = context_of(system, load_teacher(system, Log()), Log())
    print("| | scaled over | zeros | means |\n|---|---|---|---|")
    for method, title in METHODS.items():
        for suffix, scaled in SCALED.items():
            strategy = system.strategies.get(f"{method}{suffix}")
            if not isinstance(strategy, DistilledStudents):
                continue
            cells = []
            for missing in ("zeros", "mean"):
                rows, _ = accuracies(replace(strategy, missing=missing).deploy(context), context.dataset.test.targets)
                cells.append(f"{np.mean([row['accuracy'] for row in rows if row['lost'] == LOST]):.3f}")
            print(f"| {title} | {scaled} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
