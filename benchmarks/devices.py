"""Boards that others measured: half of the networks fitted, half predicted.

    python benchmarks/devices.py

It writes docs/results/devices-layers.csv (the layers of the networks), devices.csv (every row) and the tables of devices.md. The same fit from
the command line, of all boards at once:

    edgesim calibrate docs/results/devices-measured.csv --layers docs/results/devices-layers.csv --base raspberry-pi-4b

The rows to fit were chosen before anything was computed: every other network in the order of the published table. "the other way round" fits the other half.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from devices_networks import NETWORKS, with_winograd
from pages import put

from edgesim.compute.fitting import DEFAULT_FREE, free_numbers
from edgesim.study.calibration.calibrated import Calibrated, calibrate, shown
from edgesim.study.calibration.rows import MeasuredRow, read_latencies
from edgesim.study.calibration.works import Works

RESULTS = Path(__file__).parents[1] / "docs" / "results"
BASE = "raspberry-pi-4b"
"""Where every fit begins; what is fitted replaces its numbers."""


def write_layers(path: Path, works: Works) -> None:
    """Write the layers of networks in the form that `edgesim calibrate --layers` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("# made by python benchmarks/devices.py after the network descriptions of ncnn\n")
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["network", "layer", "operator", "work", "moved", "weights"])
        for name, work in works.items():
            for one in work:
                out.writerow([name, one.layer_id, one.operator, f"{one.work_flop:.0f} FLOP", f"{one.moved_byte} B", f"{one.weight_byte} B"])  # fmt: skip


def other_way(rows: Sequence[MeasuredRow]) -> list[MeasuredRow]:
    """Return the rows with what is fitted and what is predicted exchanged."""
    return [replace(row, use="fit" if row.use == "predict" else "predict") for row in rows]


def fitted(rows: Sequence[MeasuredRow], works: Works) -> list[Calibrated]:
    """Fit each board that has enough rows to fit."""
    enough = {
        row.device for row in rows if sum(r.use == "fit" and r.device == row.device for r in rows) >= len(DEFAULT_FREE)
    }
    return calibrate([row for row in rows if row.device in enough], works, BASE, free_numbers(DEFAULT_FREE))


def summary(found: Sequence[Calibrated], others: Sequence[Calibrated], winograd: Sequence[Calibrated]) -> str:
    """Return the errors of each board as Markdown."""
    lines = [
        "| board | fitted rows: median, worst | predicted rows: median, worst | worst predicted | the other way round | with Winograd |",
        "|---|---|---|---|---|---|",
    ]
    names = list(dict.fromkeys(one.device for one in (*found, *others)))
    for name in names:
        one, other, counted = (
            next((one for one in some if one.device == name), None) for some in (found, others, winograd)
        )
        if one is None:
            cells = ["too few rows", "-", "-"]
        else:
            worst = max((row for row in one.rows if row.row.use == "predict"), key=lambda row: abs(row.error))
            cells = [_pair([one], "fit"), _pair([one], "predict"), f"{worst.row.network} {worst.error:+.0%}"]
        cells += [_pair([some], "predict") if some else "too few rows" for some in (other, counted)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    last = [_pair(found, "fit"), _pair(found, "predict"), "", _pair(others, "predict"), _pair(winograd, "predict")]
    return "\n".join([*lines, f"| **all** | {' | '.join(last)} |"])


def _pair(found: Sequence[Calibrated], use: str) -> str:
    errors = [error for one in found for error in one.errors(use)]
    return f"{median(errors):.0%}, {max(errors):.0%}"


def rows_table(found: Sequence[Calibrated]) -> str:
    """Return the error of every network on every board as Markdown; predicted ones are bold."""
    lines = [f"| network | {' | '.join(one.device for one in found)} |", "|---" * (len(found) + 1) + "|"]
    for name in NETWORKS:
        cells = []
        for one in found:
            row = next((row for row in one.rows if row.row.network == name), None)
            text = "-" if row is None else f"{1e3 * row.row.latency_s:.4g} ms {row.error:+.0%}"
            cells.append(f"**{text}**" if row is not None and row.row.use == "predict" else text)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def numbers_table(found: Sequence[Calibrated]) -> str:
    """Return the fitted numbers with their 95 % intervals as Markdown."""
    lines = [f"| board | {' | '.join(DEFAULT_FREE)} |", "|---" * (len(DEFAULT_FREE) + 1) + "|"]
    for one in found:
        cells = [
            f"{shown(n.value, n.unit)} ({shown(n.low, n.unit)} to {shown(n.high, n.unit)})"
            if n.low is not None
            else f"{shown(n.value, n.unit)} (not determined)"
            for n in one.numbers
        ]
        lines.append(f"| {one.device} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Fit, predict and write."""
    works = {name: tuple(build().made) for name, build in NETWORKS.items()}
    write_layers(RESULTS / "devices-layers.csv", works)
    rows = read_latencies(RESULTS / "devices-measured.csv")
    found, others = fitted(rows, works), fitted(other_way(rows), works)
    winograd = fitted(rows, {name: with_winograd(work) for name, work in works.items()})
    with (RESULTS / "devices.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["device", "network", "use", "measured_ms", "computed_ms", "error"])
        for one in found:
            for row in one.rows:
                out.writerow([one.device, row.row.network, row.row.use, f"{1e3 * row.row.latency_s:.4g}", f"{1e3 * row.predicted_s:.4g}", f"{row.error:.4f}"])  # fmt: skip
    page = RESULTS / "devices.md"
    for name, lines in {
        "boards": summary(found, others, winograd),
        "rows": rows_table(found),
        "numbers": numbers_table(found),
    }.items():
        put(page, name, f"{lines}\n")


if __name__ == "__main__":
    main()
