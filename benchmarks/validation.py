"""Compare the engine with closed forms, SimGrid and ns-3, case by case: python benchmarks/validation.py

Writes the table of closed forms of docs/validation.md; then docs/results/validation.csv (one row per case of another simulator),
docs/figures/validation.png, and their table. SimGrid is run; where it is not installed, only the closed forms are written. The
figures of ns-3 are fixtures.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import closed_forms
import matplotlib as mpl
from references import (
    Case,
    arrivals_s,
    cell_packets,
    grid_cases,
    is_simgrid_here,
    other_cell_packets,
    random_case,
    simgrid_arrivals_s,
    staggered_packets,
    textbook_cases,
    wired_packets,
)

from edgesim.domain.system.topology import LinkSharing

STAGGERED_PACKETS = "ns-3 UDP staggered, by packets"
STAGGERED: dict[str, LinkSharing] = {
    STAGGERED_PACKETS: "fifo_packets",
    "ns-3 UDP staggered, fair": "fair",
}
DOCS = Path(__file__).parents[1] / "docs"
FORMS, OTHERS, END = "<!-- benchmarks/closed_forms.py -->\n", "<!-- benchmarks/validation.py -->\n", "<!-- end -->\n"
"""Before the tables of the documentation, and behind each of them."""
ROUNDING = 1e-16


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are compared in one way.

    Parameters
    ----------
    name : what is compared.
    asked : largest error that is asked for, or NaN where it is only told.
    errors : by case: its name, and the largest relative error of what is compared.
    """

    name: str
    asked: float
    errors: list[tuple[str, float]]


def simgrid(name: str, cases: list[Case]) -> Group:
    """Compare all arrivals of some cases with SimGrid."""
    errors = []
    for case, expected in zip(cases, simgrid_arrivals_s(cases), strict=True):
        worst = max(abs(ours / theirs - 1) for ours, theirs in zip(arrivals_s(case), expected, strict=True))
        errors.append((case.name, worst))
    return Group(name, 1e-6, errors)


def groups() -> list[Group]:
    """Return all comparisons."""
    found = [
        simgrid("SimGrid: textbook", textbook_cases()),
        simgrid("SimGrid: one link, grid", grid_cases()),
        simgrid("SimGrid: random networks", [random_case(seed) for seed in range(200)]),
    ]
    last: dict[str, list[tuple[str, float]]] = {}
    for packets in wired_packets("udp"):
        last.setdefault("ns-3 UDP, last arrival", []).append(_last(packets.case, packets.expected_s))
    for name, sharing in STAGGERED.items():
        group = last.setdefault(name, [])
        for packets in staggered_packets(sharing):
            starts_s = [sending.start_s for sending in packets.case.sendings]
            triples = zip(arrivals_s(packets.case), packets.expected_s, starts_s, strict=True)
            worst = max(abs(ours - theirs) / (theirs - start_s) for ours, theirs, start_s in triples)
            group.append((packets.case.name, worst))
    for packets in wired_packets("tcp"):
        is_single = len(packets.expected_s) == 1
        name = "ns-3 TCP, single message" if is_single else "ns-3 TCP, last of several"
        last.setdefault(name, []).append(_last(packets.case, packets.expected_s))
        if not is_single:
            pairs = zip(sorted(arrivals_s(packets.case)), sorted(packets.expected_s), strict=True)
            worst = max(abs(ours / theirs - 1) for ours, theirs in pairs)
            last.setdefault("ns-3 TCP, every one of several", []).append((packets.case.name, worst))
    for packets in (*cell_packets(), *other_cell_packets()):
        last.setdefault("ns-3 802.11n cell, last arrival", []).append(_last(packets.case, packets.expected_s))
    asked = {
        "ns-3 UDP, last arrival": 0.01,
        STAGGERED_PACKETS: 0.02,
        "ns-3 TCP, single message": 0.1,
        "ns-3 802.11n cell, last arrival": 0.15,
    }
    return found + [Group(name, asked.get(name, float("nan")), errors) for name, errors in last.items()]


def _last(case: Case, expected_s: list[float]) -> tuple[str, float]:
    return case.name, abs(max(arrivals_s(case)) / max(expected_s) - 1)


def draw(found: list[Group], path: Path) -> None:
    """Draw the error of every case."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    for row, group in enumerate(reversed(found)):
        errors = [max(error, ROUNDING) for _, error in group.errors]
        spread = [row + 0.5 * (index / max(1, len(errors) - 1) - 0.5) for index in range(len(errors))]
        axes.scatter(errors, spread, s=9, alpha=0.6, linewidths=0, color="C0")
        if group.asked == group.asked:
            axes.plot([group.asked] * 2, [row - 0.4, row + 0.4], color="C3", linewidth=1.5)
    axes.set_xscale("log")
    axes.set_yticks(range(len(found)), [f"{group.name} ({len(group.errors)})" for group in reversed(found)])
    axes.set_xlabel("relative error of the time; red: what is asked for")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=150)


def table(found: list[Group]) -> str:
    """Return the table of the documentation."""
    lines = [
        "| compared with | cases | median error | largest error | asked for | worst case |",
        "|---|---|---|---|---|---|",
    ]
    for group in found:
        ordered = sorted(group.errors, key=lambda item: item[1])
        asked = (
            f"{group.asked:.0e}" if group.asked < 1e-3 else f"{group.asked:.0%}" if group.asked == group.asked else "-"
        )
        median, (name, worst) = ordered[len(ordered) // 2][1], ordered[-1]
        lines.append(f"| {group.name} | {len(ordered)} | {_show(median)} | {_show(worst)} | {asked} | {name} |")
    return "\n".join(lines) + "\n"


def _show(error: float) -> str:
    return "below 1e-12" if error < 1e-12 else f"{error:.2%}" if error > 1e-4 else f"{error:.1e}"


def write(begin: str, lines: str) -> None:
    """Write a table behind its marker in the documentation, and print it."""
    page = DOCS / "validation.md"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(before + begin + lines + rest[rest.index(END) :], encoding="utf-8")
    print(lines)


def main() -> int:
    """Write table and figure; return the exit code, 1 when an error is larger than what is asked for."""
    forms = [form() for form in closed_forms.FORMS]
    write(FORMS, closed_forms.table(forms))
    if not is_simgrid_here():
        print("SimGrid is not installed (Debian: python3-simgrid); nothing more is written")
        return 2
    found = groups()
    with (DOCS / "results" / "validation.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["compared_with", "case", "relative_error", "asked"])
        for group in found:
            writer.writerows([group.name, name, f"{error:.3g}", group.asked] for name, error in group.errors)
    draw(found, DOCS / "figures" / "validation.png")
    write(OTHERS, table(found))
    is_met = all(form.is_met() for form in forms)
    return int(not is_met or any(error > group.asked for group in found for _, error in group.errors))


if __name__ == "__main__":
    sys.exit(main())
