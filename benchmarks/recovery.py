"""What is lost while devices fail and come back, by policy: table and figure from the results of a study.

    edgesim run scenarios/recovery.yaml && python benchmarks/recovery.py

Writes the table between the marks of docs/results/recovery.md, the figure, and docs/results/recovery.csv.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from pages import put

from edgesim.report.draw.style import house_style, look, save

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
COLUMNS = {  # metric: heading, factor, digits behind the point
    "accuracy": ("accuracy, %", 100.0, 1),
    "availability": ("available, %", 100.0, 1),
    "lost_score": ("lost, s of 600", 1.0, 1),
    "recovery_time": ("time to recover, s", 1.0, 1),
    "detection_time": ("to detect, s", 1.0, 2),
    "replaced": ("other plan, %", 100.0, 1),
    "change_time": ("to change, ms", 1000.0, 0),
    "traffic": ("traffic, kB", 1e-3, 2),
    "recovery_traffic": ("of it recovery, kB", 1e-3, 2),
    "peak_memory": ("memory, kB", 1e-3, 0),
}
POLICIES = ("none", "retry", "failover", "reassign")


def split(label: str) -> tuple[str, str]:
    """Return the strategy and the policy of a label.

    Examples
    --------
    >>> split("chain-retry"), split("chain")
    (('chain', 'retry'), ('chain', 'none'))
    """
    name, _, policy = label.partition("-")
    return name, policy or "none"


def table(of: pd.DataFrame, labels: list[str]) -> str:
    """Return the table of the page: means, with half the interval of what is lost."""
    heads = ["strategy", "policy", *(head for head, _, _ in COLUMNS.values())]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for label in labels:
        cells = [*split(label)]
        for metric, (_, factor, digits) in COLUMNS.items():
            if (label, metric) not in of.index or pd.isna(of.loc[(label, metric), "mean"]):
                cells.append("")
                continue
            row = factor * of.loc[(label, metric)]
            half = (row["ci_high"] - row["ci_low"]) / 2
            cells.append(
                f"{row['mean']:.{digits}f}" + (f" ± {half:.{digits}f}" if metric in {"accuracy", "lost_score"} else "")
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(of: pd.DataFrame, labels: list[str], path: Path) -> None:
    """Draw what is lost by policy, one panel a strategy, with the interval over trials."""
    from matplotlib.figure import Figure

    names = [name for name in dict.fromkeys(split(label)[0] for label in labels) if name != "small"]
    with house_style():
        figure = Figure(figsize=(7.6, 2.6), layout="constrained")
        panels = figure.subplots(1, len(names), sharey=True, sharex=True)
        for ax, name in zip(panels, names, strict=True):
            for policy, (colour, marker) in look(list(POLICIES)).items():
                label = name if policy == "none" else f"{name}-{policy}"
                place = -POLICIES.index(policy)
                if label not in labels:
                    ax.text(0.5, place, "refused", transform=ax.get_yaxis_transform(), va="center", ha="center")
                    continue
                row = of.loc[(label, "lost_score")]
                ax.plot([row["ci_low"], row["ci_high"]], [place, place], color=colour)
                ax.plot(row["mean"], place, color=colour, marker=marker, linestyle="")
            ax.set(title=name, xlabel="seconds of right answers lost of 600")
            ax.set_yticks([-number for number in range(len(POLICIES))], POLICIES)
            ax.set_ylim(-len(POLICIES) + 0.5, 0.5)
        panels[0].set_xlim(left=0)
        save(figure, path)


def main() -> None:
    """Read the results of the study, and write table and figure."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results" / "recovery"
    summary = pd.read_csv(folder / "summary.csv")
    labels = list(dict.fromkeys(summary["strategy"]))
    of = summary.set_index(["strategy", "metric"])[["mean", "ci_low", "ci_high", "n"]].sort_index()
    kept = [
        row
        for row in of.index
        if row[1] in COLUMNS or row[1] in {"detected", "false_alarms", "changes", "lost_requests", "latency"}
    ]
    of.loc[kept].reset_index().to_csv(RESULTS / "recovery.csv", index=False, float_format="%.6g")
    draw(of, labels, RESULTS / "recovery")
    put(RESULTS / "recovery.md", "begin: benchmarks/recovery.py", f"\n{table(of, labels)}\n\n")


if __name__ == "__main__":
    main()
