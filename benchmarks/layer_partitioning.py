"""Layer partitioning under message loss beside student networks: the figure and table of docs/results.

    python benchmarks/layer_partitioning.py                     runs scenarios/layer-partitioning.yaml first
    python benchmarks/layer_partitioning.py --result FOLDER     uses a result of it

Left: accuracy when lost messages are zeros and nobody waits longer. Middle: share of requests answered when everybody waits and
nothing is repeated, beside (1 - p)^n for the n messages of a plan. Right: latency when lost messages are repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from edgesim.report.run import run
from edgesim.report.style import house_style
from edgesim.scenario.schema import Scenario

ROOT = Path(__file__).resolve().parent.parent
DEGRADING = ("degrade-2", "degrade-4", "degrade-8", "degrade-halo-8", "nonn", "resilient")
WAITING = ("wait-2", "wait-4", "wait-8", "wait-halo-8")
N_MESSAGES = {"wait-2": 16, "wait-4": 32, "wait-8": 56, "wait-halo-8": 55}  # counted by `edgesim plan`
PANELS = (
    ("accuracy", "datagram", DEGRADING, "accuracy, lost is zero"),
    ("answered", "datagram", WAITING, "answered, waiting for all"),
    ("latency", "arq", (*WAITING, "nonn", "resilient"), "latency (ms), lost is repeated"),
)


def panel(ax: plt.Axes, summary: pd.DataFrame, metric: str, transport: str, strategies: tuple[str, ...]) -> None:
    for number, name in enumerate(strategies):
        chosen = (summary["metric"] == metric) & (summary["transport"] == transport) & (summary["strategy"] == name)
        rows = summary[chosen].sort_values("loss")
        scale = 1e3 if metric == "latency" else 1.0
        places = np.arange(len(rows))
        half = np.stack([rows["mean"] - rows["ci_low"], rows["ci_high"] - rows["mean"]]).clip(0) * scale
        colour = f"C{number if name not in {'nonn', 'resilient'} else 6 + (name == 'resilient')}"
        ax.errorbar(
            places, rows["mean"] * scale, yerr=half, marker="o", markersize=3, linewidth=0.9, color=colour, label=name
        )
        if metric == "answered":
            ax.plot(places, (1 - rows["loss"]) ** N_MESSAGES[name], linestyle=":", linewidth=0.9, color=colour)
        ax.set_xticks(places, [f"{100 * loss:g}" for loss in rows["loss"]])
    ax.set_xlabel("lost messages (%)")
    ax.set_ylim(bottom=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--result", type=Path, help="folder of a finished run of the scenario")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    options = parser.parse_args()
    folder = options.result
    if folder is None:
        folder = run(Scenario.load(ROOT / "scenarios" / "layer-partitioning.yaml")).folder
    summary = pd.read_csv(folder / "summary.csv")
    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8))
        for ax, (metric, transport, strategies, title) in zip(axes, PANELS, strict=True):
            panel(ax, summary, metric, transport, strategies)
            ax.set_title(title, loc="left", fontsize=9)
            if metric == "latency":
                ax.set_ylim(top=1.4 * ax.get_ylim()[1])  # room for the legend
            ax.legend(fontsize=7, frameon=False, loc="upper right" if metric == "answered" else "best")
        figure.tight_layout()
        options.output.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.output / "layer-partitioning.png", dpi=150)
    wanted = summary["metric"].isin(["accuracy", "latency", "answered", "traffic"])
    summary[wanted].to_csv(options.output / "layer-partitioning.csv", index=False)


if __name__ == "__main__":
    main()
