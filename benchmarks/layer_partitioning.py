"""Layer partitioning under message loss beside student networks: the figure of docs/results and the table of its page.

    python benchmarks/layer_partitioning.py                     runs scenarios/layer-partitioning.yaml first
    python benchmarks/layer_partitioning.py --result FOLDER     uses a result of it
    python benchmarks/layer_partitioning.py --traffic           prints what convolutions of known networks send, from their plans

Left: accuracy when lost messages are zeros and nobody waits longer. Middle: share of requests answered when everybody waits and
nothing is repeated, beside (1 - p)^n for the n messages of a plan. Right: latency when lost messages are repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from edgesim.cli.progress import progress_on_stderr
from edgesim.interfaces import Silent
from edgesim.report.draw.style import house_style, look
from edgesim.report.run import run
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.plans import plans
from edgesim.study.preparation.prepare import prepare

ROOT = Path(__file__).resolve().parent.parent
DEGRADING = ("degrade-2", "degrade-4", "degrade-8", "degrade-halo-8", "nonn", "resilient")
WAITING = ("wait-2", "wait-4", "wait-8", "wait-halo-8")
N_DEVICES = (2, 4, 8)
LOOK = look(["2", "4", "8", "halo-8", "nonn", "resilient"])
PANELS = (
    ("accuracy", "datagram", DEGRADING, "accuracy, lost is zero"),
    ("answered", "datagram", WAITING, "answered, waiting for all"),
    ("latency", "arq", (*WAITING, "nonn", "resilient"), "latency (ms), lost is repeated"),
)


def traffic_table() -> list[str]:
    """Return the bytes that convolutions cause, in MB, for equal devices of which the owner is one."""
    rows = [
        f"| network | execution | {' | '.join(f'p = {p}' for p in N_DEVICES)} |",
        "|---" * (2 + len(N_DEVICES)) + "|",
    ]
    for label, model, shape, n_classes in (
        ("VGG-16, 224x224", "vgg16", (3, 224, 224), 1000), ("WRN-40-4, 32x32", {"type": "wrn", "depth": 40, "width": 4}, (3, 32, 32), 10),
    ):  # fmt: skip
        for execution in ("mapreduce", "halo"):
            cells = [f"{convolution_byte(model, shape, n_classes, execution, p) / 1e6:.3g}" for p in N_DEVICES]
            rows.append(f"| {label} | {execution} | {' | '.join(cells)} |")
    return rows


def convolution_byte(model: Any, shape: tuple[int, ...], n_classes: int, execution: str, p: int) -> int:
    """Return the bytes of a plan that convolutions cause: scattered and gathered for them, or exchanged for them."""
    scenario = Scenario.from_data({
        "name": "traffic",
        "topology": {"mesh": {"count": p, "profile": "raspberry-pi-4b", "bandwidth": "10 Mbit/s", "name": "pi"}},
        "workload": {"input": list(shape), "classes": n_classes, "model": model, "source": "pi1", "sink": "pi1"},
        "strategies": {"cut": {"type": "modnn", "owner": "pi1", "workers": "pi*", "owner_computes": True, "execution": execution}},
    })  # fmt: skip
    deployment: Any = prepare([({}, build(scenario))], Silent()).deployments[0]
    if execution == "mapreduce":
        linear = {cut.stage.name for cut in deployment.stages if cut.stage.is_matrix}
        return sum(t.size_byte for t in deployment.plan.transfers if t.step_id.split("/")[0] not in linear)
    parts = {}
    for cut in deployment.stages:
        main = {layer.name for layer in cut.stage.layers if layer.is_main}
        for use in cut.schedule.uses:
            if use.layer in main:
                parts[cut.stage.name, use.message, use.tensor, use.box] = cut.stage.tensor(use.tensor).byte_of(use.box)
    return sum(parts.values())


ROWS = (
    *((f"accuracy, `degrade`, {n} workers", "accuracy", "datagram", f"degrade-{n}") for n in N_DEVICES),
    ("accuracy, `degrade`, 8 workers, halo", "accuracy", "datagram", "degrade-halo-8"),
    *((f"accuracy, `degrade` with means, {n} workers", "accuracy", "datagram", f"mean-{n}") for n in N_DEVICES),
    ("accuracy, `degrade` with means, 8 workers, halo", "accuracy", "datagram", "mean-halo-8"),
    ("accuracy, NoNN", "accuracy", "datagram", "nonn"),
    ("accuracy, resilient, 4 parts", "accuracy", "datagram", "resilient"),
    ("answered, `wait`, 8 workers, nothing repeated", "answered", "datagram", "wait-8"),
    *((f"latency in ms, `wait`, {n} workers, losses repeated", "latency", "arq", f"wait-{n}") for n in N_DEVICES),
    ("latency in ms, `wait`, 8 workers, halo, losses repeated", "latency", "arq", "wait-halo-8"),
    ("latency in ms, `degrade`, 8 workers, nothing repeated", "latency", "datagram", "degrade-8"),
    ("latency in ms, NoNN, losses repeated", "latency", "arq", "nonn"),
    ("latency in ms, resilient, 4 parts, losses repeated", "latency", "arq", "resilient"),
)


def loss_table(summary: pd.DataFrame) -> list[str]:
    """Return accuracy and answers in %, and latency in ms, against message loss."""
    losses = sorted(summary["loss"].unique())
    rows = ["| message loss | " + " | ".join(f"{100 * loss:g} %" if loss else "0" for loss in losses) + " |"]
    rows.append("|---" * (1 + len(losses)) + "|")
    for label, metric, transport, strategy in ROWS:
        chosen = summary[
            (summary["metric"] == metric) & (summary["transport"] == transport) & (summary["strategy"] == strategy)
        ].sort_values("loss")
        if metric == "latency":
            cells = [f"{value * 1e3:#.3g}".rstrip(".") for value in chosen["mean"]]
        else:
            cells = [f"{value * 100:.1f}" for value in chosen["mean"]]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return rows


def panel(
    ax: plt.Axes, summary: pd.DataFrame, n_messages: dict[str, int], what: tuple[str, str, tuple[str, ...]]
) -> None:
    """Draw one metric against message loss; `what` is metric, transport and strategies."""
    metric, transport, strategies = what
    for name in strategies:
        chosen = (summary["metric"] == metric) & (summary["transport"] == transport) & (summary["strategy"] == name)
        rows = summary[chosen].sort_values("loss")
        scale = 1e3 if metric == "latency" else 1.0
        places = np.arange(len(rows))
        half = np.stack([rows["mean"] - rows["ci_low"], rows["ci_high"] - rows["mean"]]).clip(0) * scale
        colour, marker = LOOK[name.removeprefix("degrade-").removeprefix("wait-")]
        ax.errorbar(
            places,
            rows["mean"] * scale,
            yerr=half,
            marker=marker,
            markersize=3.5,
            linewidth=0.9,
            color=colour,
            label=name,
        )
        if metric == "answered":
            ax.plot(places, (1 - rows["loss"]) ** n_messages[name], linestyle=":", linewidth=0.9, color=colour)
        ax.set_xticks(places, [f"{100 * loss:g}" for loss in rows["loss"]])
    ax.set_xlabel("lost messages (%)")
    ax.set_ylim(bottom=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--result", type=Path, help="folder of a finished run of the scenario")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--traffic", action="store_true", help="print the table of traffic and end")
    options = parser.parse_args()
    if options.traffic:
        print("\n".join(traffic_table()))
        return
    scenario = Scenario.load(ROOT / "scenarios" / "layer-partitioning.yaml")
    folder = options.result or run(scenario, progress=progress_on_stderr()).folder
    n_messages = {planned.label: len(planned.plan.transfers) for planned in plans(scenario, WAITING, Silent())}
    summary = pd.read_csv(folder / "summary.csv")
    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8))
        for ax, (metric, transport, strategies, title) in zip(axes, PANELS, strict=True):
            panel(ax, summary, n_messages, (metric, transport, strategies))
            ax.set_title(title, loc="left", fontsize=9)
            if metric == "latency":
                ax.set_ylim(top=1.4 * ax.get_ylim()[1])  # room for the legend
            ax.legend(fontsize=7, frameon=False, loc="upper right" if metric == "answered" else "best")
        figure.tight_layout()
        options.output.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.output / "layer-partitioning.png", dpi=150)
    print("\n".join(loss_table(summary)))
    wanted = summary["metric"].isin(["accuracy", "latency", "answered", "traffic"])
    summary[wanted].to_csv(options.output / "layer-partitioning.csv", index=False)


if __name__ == "__main__":
    main()
