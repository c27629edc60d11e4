"""The parts of the latency of every published scenario, against its mean: a table of the largest part and of the distance.

Networks are trained for one epoch: latency depends on their shapes only. CIFAR-100 is left out unless it is there.

    python -m benchmarks.budgets                   all of scenarios/, with its folders
    python -m benchmarks.budgets wearables kin     some, by name
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import edgesim as es
from edgesim.domain.columns import BUDGET_PARTS
from edgesim.errors import DataError

N = 20


def hurried(node: Any) -> Any:
    """Return plain data of a scenario in which every training lasts one epoch."""
    if isinstance(node, dict):
        return {key: 1 if key == "epochs" else hurried(value) for key, value in node.items()}
    return [hurried(one) for one in node] if isinstance(node, list) else node


def main() -> None:
    """Print the table."""
    print("| scenario | strategy | largest part | share | parts - mean, relative |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGESIM_CACHE_DIR"] = folder
        chosen = [
            path for path in sorted(Path("scenarios").rglob("*.yaml")) if path.stem in sys.argv[1:] or not sys.argv[1:]
        ]
        for path in chosen:
            data = {**es.Scenario.load(path, allow_code=True).resolved(), "replications": N}
            data["sweep"] = {}
            try:
                result = es.run(es.Scenario.from_data(hurried(data)), output=f"{folder}/{path.stem}")
            except DataError as error:
                print(f"| {path.stem} | not run: {error} | | | |")
                continue
            _print(path.stem, result)
            sys.stdout.flush()


def _print(name: str, result: es.Result) -> None:
    measured = result.frame().groupby("strategy")
    for strategy in result.infeasible()["strategy"] if len(result.infeasible()) else []:
        print(f"| {name} | {strategy} | does not fit | | |")
    for strategy, parts in result.budget().groupby("strategy", sort=False):
        if strategy not in measured.groups:
            continue
        n, mean_s = (
            int(parts["n"].iloc[0]),
            measured.get_group(strategy)["latency_s"].iloc[: int(parts["n"].iloc[0])].mean(),
        )
        largest = parts.loc[parts["share"].idxmax()] if n else None
        if largest is None:
            print(f"| {name} | {strategy} | no answer | | |")
        else:
            distance = abs(parts["mean_s"].sum() / mean_s - 1)
            print(
                f"| {name} | {strategy} | {BUDGET_PARTS[largest['part']]} | {100 * largest['share']:.1f} % | {distance:.0e} |"
            )


if __name__ == "__main__":
    main()
