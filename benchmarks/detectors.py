"""Detectors compared on mAP, frames a second, traffic and energy: table and figure from the results of a study.

    edgesim run scenarios/detectors.yaml && python benchmarks/detectors.py

Frames a second both ways: with one frame in flight, which is 1 / latency (checked here to 1 %), and with 16, where one frame waits for another at each device and link but
none for the end of the one before it. Energy is per frame, of both devices: with one frame in flight, and with 16. Writes the table between the marks of docs/results/detectors.md, the
figure, and docs/results/detectors.csv.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pages import put

from edgesim.report.draw.style import house_style, look, save

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
FACTORS = ["camera", "frames_in_flight", "strategy"]
SCORES = ("map_voc2010", "map_voc2007", "map_coco")
ONE, MANY = 1, 16
HEADS = (
    "camera", "detector", "mAP VOC 2010", "VOC 2007", "COCO", "FPS, 1 / latency", "FPS, pipelined", "traffic, kB", "energy, mJ", "pipelined, mJ",
)  # fmt: skip


def table(of: pd.DataFrame, cameras: list[str], strategies: list[str]) -> str:
    """Return the table of the page; `of` has mean and interval by camera, frames in flight, strategy and metric."""
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    for camera in cameras:
        for name in strategies:
            scores = [f"{100 * of.loc[(camera, ONE, name, score), 'mean']:.1f}" for score in SCORES]
            numbers = [
                _with_interval(of, (camera, n, name), metric, factor)
                for metric, n, factor in (
                    ("throughput", ONE, 1.0), ("throughput", MANY, 1.0), ("traffic", ONE, 1e-3), ("energy", ONE, 1e3), ("energy", MANY, 1e3),
                )
            ]  # fmt: skip
            lines.append(f"| {' | '.join([camera, name.replace('-', ' '), *scores, *numbers])} |")
    return "\n".join(lines)


def _with_interval(of: pd.DataFrame, place: tuple[str, int, str], metric: str, factor: float) -> str:
    """Return a mean with half its interval, where trials differ: else the latency has none."""
    row = of.loc[(*place, metric)]
    mean, half = factor * row["mean"], factor * (row["ci_high"] - row["ci_low"]) / 2
    return f"{mean:.3g}" + ("" if pd.isna(of.loc[(*place, "latency"), "ci_high"]) else f" ± {half:.2g}")


def draw(of: pd.DataFrame, cameras: list[str], strategies: list[str], path: Path) -> None:
    """Draw energy against frames a second, one panel a camera: hollow with one frame in flight, filled pipelined."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    with house_style():
        figure = Figure(figsize=(7.6, 3.4), layout="constrained")
        panels = figure.subplots(1, len(cameras), sharex=True, sharey=True)
        for ax, camera in zip(panels, cameras, strict=True):
            for name, (colour, marker) in look(strategies).items():
                x, y = (
                    [factor * of.loc[(camera, n, name, metric), "mean"] for n in (ONE, MANY)]
                    for metric, factor in (("throughput", 1.0), ("energy", 1e3))
                )
                score = of.loc[(camera, ONE, name, "map_coco"), "mean"]
                ax.plot(x, y, color=colour, linewidth=0.8)
                ax.plot(x[0], y[0], color=colour, marker=marker, markerfacecolor="white", linestyle="")
                label = f"{name.replace('-', ' ')}, mAP {100 * score:.0f} %"
                ax.plot(x[1], y[1], color=colour, marker=marker, linestyle="", label=label)
            ax.set(title=camera, xlabel="frames a second; hollow: one in flight", xscale="log", yscale="log")
            for axis, ticks in ((ax.xaxis, (10, 20, 50, 100, 200, 500)), (ax.yaxis, (20, 50, 100, 200, 500))):
                axis.set_major_locator(FixedLocator(ticks))
                axis.set_minor_locator(NullLocator())
                axis.set_major_formatter(lambda value, _: f"{value:g}")
        panels[0].set_ylabel("energy of a frame, mJ")
        panels[0].set(xlim=(10, 500), ylim=(18, 500))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        save(figure, path)


def main() -> None:
    """Read the results of the study, and write table and figure."""
    summary = pd.read_csv(ROOT / "results" / "detectors" / "summary.csv")
    cameras, strategies = (list(dict.fromkeys(summary[name])) for name in ("camera", "strategy"))
    of = summary.set_index([*FACTORS, "metric"])[["mean", "ci_low", "ci_high"]].sort_index()
    for camera in cameras:
        for name in strategies:
            fps, latency_s = (of.loc[(camera, ONE, name, metric), "mean"] for metric in ("throughput", "latency"))
            if abs(fps * latency_s - 1) > 0.01:
                raise SystemExit(f"{name} with {camera}: {fps} frames a second, but a latency of {latency_s} s")
    of.reset_index().to_csv(RESULTS / "detectors.csv", index=False, float_format="%.6g")
    draw(of, cameras, strategies, RESULTS / "detectors")
    put(RESULTS / "detectors.md", "begin: benchmarks/detectors.py", f"\n{table(of, cameras, strategies)}\n\n")


if __name__ == "__main__":
    main()
