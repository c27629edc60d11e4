"""Score and traffic against lost devices, over folds or seeds: table and figure from the results of a study.

    edgesim run scenarios/graphs.yaml && python benchmarks/lost_devices.py graphs --over fold
    edgesim run scenarios/sentiment.yaml && python benchmarks/lost_devices.py sentiment --over training_seed

The study has a factor `lost_devices`, whose sets are enumerated (column `exact` of its summary), and the factor named by `--over`; every other factor becomes part of
the name of a strategy. Values are means over all sets of a size; intervals (95 %, t distribution) are over folds or seeds and say nothing about other data. Writes
docs/results/NAME.csv, the figure, and the tables between the marks of docs/results/NAME.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from over import mean
from pages import END, put

from edgesim.report.draw.style import house_style, look, save

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
LOST = "lost_devices"
MARK = "begin: benchmarks/lost_devices.py"
COSTS = {"traffic_input": 1.0, "traffic_intermediate": 1.0, "traffic_result": 1.0, "latency": 1e3, "peak_memory": 1e-3}
TITLES = {"roc_auc": "ROC-AUC"}
HEADS = ("input byte", "between devices byte", "result byte", "latency ms", "largest memory kB")


def collected(summary: pd.DataFrame, over: str) -> pd.DataFrame:
    """Return mean and interval over folds or seeds, by strategy, metric and number of lost devices."""
    factors = list(summary.columns[: summary.columns.get_loc("strategy")])
    named = summary.assign(strategy=summary["strategy"])
    for factor in factors:
        if factor not in {LOST, over}:
            named["strategy"] += [f", {factor.replace('_', ' ')} {value:g}" for value in named[factor]]
    rows = []
    for (strategy, metric, lost), part in named.groupby(["strategy", "metric", LOST], sort=False):
        values = part["exact"].fillna(part["mean"]).to_numpy(float)
        found = mean(values)
        rows.append({
            "strategy": strategy, "metric": metric, "lost": lost, "mean": found.value, "half_width": found.half_width, "n": found.n,
        })  # fmt: skip
    return pd.DataFrame(rows)


def tables(frame: pd.DataFrame, score: str, over: str) -> str:
    """Return the tables of the page: the score by lost devices, and what an inference costs when nothing is lost."""
    strategies, lost = list(dict.fromkeys(frame["strategy"])), sorted(set(frame["lost"]))
    of = frame.set_index(["strategy", "metric", "lost"])

    def cell(strategy: str, n_lost: int) -> str:
        row = of.loc[(strategy, score, n_lost)]
        return f"{100 * row['mean']:.1f} ± {100 * row['half_width']:.1f}"

    n = int(frame["n"].max())
    lines = [
        f"{TITLES.get(score, score.capitalize())} in %, mean ± half the 95 % interval over {n} values of {over.replace('_', ' ')}:",
        "",
    ]
    lines += [f"| strategy | {' | '.join(f'{k} lost' for k in lost)} |", "|---" * (len(lost) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cell(name, k) for k in lost)} |" for name in strategies]
    lines += ["", "What one inference costs when nothing is lost:", ""]
    lines += [f"| strategy | {' | '.join(HEADS)} |", "|---" * (len(HEADS) + 1) + "|"]
    for name in strategies:
        values = [factor * of.loc[(name, metric, 0)]["mean"] for metric, factor in COSTS.items()]
        costs = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values]
        lines.append(f"| {name} | {' | '.join(costs)} |")
    return "\n".join(lines)


def draw(frame: pd.DataFrame, score: str, strategies: list[str], path: Path) -> None:
    """Draw the score against lost devices, and against traffic with nothing and with half of the devices lost."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    scores = frame[(frame["metric"] == score) & frame["strategy"].isin(strategies)]
    lowest = max(0.0, (scores["mean"] - scores["half_width"]).min())
    highest = min(1.0, (scores["mean"] + scores["half_width"]).max() + 0.03)
    traffic = frame[(frame["metric"] == "traffic") & (frame["lost"] == 0)].set_index("strategy")["mean"]
    with house_style():
        figure = Figure(figsize=(7.6, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for place, (name, (colour, marker)) in enumerate(look(strategies).items()):
            rows = scores[scores["strategy"] == name]
            at = rows["lost"] + 0.06 * (place - (len(strategies) - 1) / 2)
            left.errorbar(at, rows["mean"], yerr=rows["half_width"], color=colour, marker=marker, label=name)
            reached = rows.set_index("lost")["mean"]
            if traffic[name] > 0:
                right.plot([traffic[name]] * 2, [reached[0], reached[4]], color=colour, linewidth=0.8)
                right.plot(traffic[name], reached[0], color=colour, marker=marker)
                right.plot(traffic[name], reached[4], color=colour, marker=marker, markerfacecolor="white")
            else:
                right.axhline(reached[0], color=colour, linewidth=0.8, linestyle="--")
        left.set(
            xlabel="lost devices, of 8",
            ylabel=f"{TITLES.get(score, score)}, mean over all sets",
            ylim=(lowest - 0.03, highest),
        )
        right.set(xlabel="traffic of an inference, byte; hollow: 4 lost", xscale="log")
        sent = traffic[strategies][traffic[strategies] > 0]
        right.set_xlim(10 ** np.floor(np.log10(sent.min())), 10 ** np.ceil(np.log10(sent.max())))
        right.xaxis.set_minor_formatter(NullFormatter())
        right.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
        save(figure, path)


def main() -> None:
    """Read the results of a study, and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the study; its results are in results/NAME")
    parser.add_argument("--over", required=True, help="factor over which intervals are, e.g. fold")
    parser.add_argument("--draw", nargs="+", help="strategies in the figure, as the table calls them; all by default")
    options = parser.parse_args()
    summary = pd.read_csv(ROOT / "results" / options.name / "summary.csv")
    score = summary["metric"].iloc[0]
    frame = collected(summary, options.over)
    frame.to_csv(RESULTS / f"{options.name}.csv", index=False, float_format="%.6g")
    draw(frame, score, options.draw or list(dict.fromkeys(frame["strategy"])), RESULTS / options.name)
    page = RESULTS / f"{options.name}.md"
    if not page.is_file():
        page.write_text(f"<!-- {MARK} -->\n{END}\n", encoding="utf-8")
    put(page, MARK, f"\n{tables(frame, score, options.over)}\n\n")


if __name__ == "__main__":
    main()
