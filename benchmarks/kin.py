"""Exact ways of sharing one network compared: tables and figure from the results of a study.

    edgesim run scenarios/kin.yaml && python benchmarks/kin.py

Latency with one client, answers per second with four, traffic, energy and memory, for each bandwidth. Writes the tables between the marks of docs/results/kin.md, the figure, and
docs/results/kin.csv.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pages import put

from edgesim.report.draw.style import house_style, look, save

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
ONE, MANY = 1, 4
AT = "100 Mbit/s"
"""Bandwidth of the second table."""
KINDS = {
    "runs of layers": ["helper", "best-cut", "chain", "pipeline"],
    "every layer cut": ["mapreduce", "tensor", "halo", "channels", "coedge", "coded"],
    "fused tiles": ["tiles", "tiles-reuse", "tiles-stealing"],
}
"""Columns of the figure."""
IN_WORDS = {
    "helper": "all on a Pi",
    "offload": "all on the Jetson",
    "best-cut": "camera and Jetson, best single cut",
    "chain": "runs of layers on any devices, for latency",
    "pipeline": "runs of layers on any devices, for throughput",
    "mapreduce": "every layer cut into strips, scattered and gathered",
    "halo": "every layer cut into strips that exchange halos",
    "channels": "every layer cut by output channels",
    "tensor": "as mapreduce, linear layers in a row together",
    "coedge": "strips of least energy, no deadline",
    "tiles": "3 x 3 tiles through all convolutions, dealt out before",
    "tiles-reuse": "as tiles, overlaps computed once",
    "tiles-stealing": "as tiles, to whoever asks",
    "coded": "two parts and their sum",
}


def speeds(of: pd.Series, bandwidths: list[str], strategies: list[str]) -> str:
    """Return latencies and throughputs by bandwidth; the best of each column is bold."""
    heads = [f"s at {bandwidths[0]}", *bandwidths[1:], f"answers per s at {bandwidths[0]}", *bandwidths[1:]]
    columns = [
        *((bandwidth, ONE, "latency", min) for bandwidth in bandwidths),
        *((bandwidth, MANY, "throughput", max) for bandwidth in bandwidths),
    ]
    texts = {}
    for number, (bandwidth, n_clients, metric, best) in enumerate(columns):
        values = {name: f"{of[bandwidth, n_clients, name, metric]:.2f}" for name in strategies}
        first = best(map(float, values.values()))
        texts[number] = {name: f"**{text}**" if float(text) == first else text for name, text in values.items()}
    rows = [
        [f"`{name}`: {IN_WORDS[name]}", *(texts[number][name] for number in range(len(columns)))] for name in strategies
    ]
    return _table(["", *heads], rows)


def costs(of: pd.Series, strategies: list[str]) -> str:
    """Return traffic, energy and memory of one client at one bandwidth."""
    columns = (("traffic", 1e6), ("energy", 1.0), ("peak_memory", 1e6))
    rows = [
        [f"`{name}`", *(f"{of[AT, ONE, name, metric] / factor:.3g}" for metric, factor in columns)]
        for name in strategies
    ]
    return _table([f"at {AT}", "MB sent", "J", "MB in the fullest device"], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(of: pd.Series, bandwidths: list[str], path: Path) -> None:
    """Draw latency and throughput against bandwidth, a column for each kind of sharing, with the Jetson alone in grey."""
    from matplotlib.figure import Figure

    mbit_per_s = [float(number) * {"Mbit/s": 1, "Gbit/s": 1000}[unit] for number, unit in map(str.split, bandwidths)]
    rows = ((ONE, "latency", "latency, one client, s"), (MANY, "throughput", "answers a second, four clients"))
    with house_style():
        figure = Figure(figsize=(7.6, 4.8), layout="constrained")
        panels = figure.subplots(2, len(KINDS), sharex=True, sharey="row")
        for (n_clients, metric, label), row in zip(rows, panels, strict=True):
            for ax, names in zip(row, KINDS.values(), strict=True):
                for name, (colour, marker) in {"offload": ("#999999", ""), **look(names)}.items():
                    values = [of[bandwidth, n_clients, name, metric] for bandwidth in bandwidths]
                    ax.plot(mbit_per_s, values, color=colour, marker=marker, linewidth=1.0, label=name)
                ax.set(xscale="log", yscale="log")
                for axis in (ax.xaxis, ax.yaxis):
                    axis.set_major_formatter(lambda value, _: f"{value:g}")
                ax.set_xticks(mbit_per_s)
            row[0].set_ylabel(label)
        for ax, kind in zip(panels[0], KINDS, strict=True):
            ax.set_title(kind)
            ax.legend(loc="upper right")
        panels[1][1].set_xlabel("bandwidth of each link, Mbit/s")
        save(figure, path)


def main() -> None:
    """Read the results of the study, and write tables and figure."""
    summary = pd.read_csv(ROOT / "results" / "kin" / "summary.csv")
    bandwidths, strategies = (list(dict.fromkeys(summary[name])) for name in ("bandwidth", "strategy"))
    of = summary.set_index(["bandwidth", "clients", "strategy", "metric"])["mean"].sort_index()
    kept = summary[summary.metric.isin(["latency", "throughput", "traffic", "energy", "peak_memory"])]
    kept[["bandwidth", "clients", "strategy", "metric", "unit", "mean"]].to_csv(
        RESULTS / "kin.csv", index=False, float_format="%.6g"
    )
    draw(of, bandwidths, RESULTS / "kin")
    tables = f"\n{speeds(of, bandwidths, strategies)}\n\n{costs(of, strategies)}\n\n"
    put(RESULTS / "kin.md", "begin: benchmarks/kin.py", tables)


if __name__ == "__main__":
    main()
