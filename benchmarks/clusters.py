"""Clusters that others measured, predicted blind: calibrated on one and two nodes of one model, compared with all other rows.

    python benchmarks/clusters.py --calibrate   writes the calibrated numbers into scenarios/clusters/
    python benchmarks/clusters.py               simulates the scenarios, and writes docs/results/clusters.csv and the tables of clusters.md

What is fitted is said in `CALIBRATED`: two rows for each cluster give three numbers, and no other row is looked at in doing so.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median

from pages import put

from edgesim.compute.roofline import Roofline
from edgesim.domain.plan import Plan
from edgesim.domain.system.topology import HostOverhead, Topology
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.interfaces import Silent
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.plans import plans

ROOT = Path(__file__).parents[1]
SCENARIOS, RESULTS = ROOT / "scenarios" / "clusters", ROOT / "docs" / "results"
CLUSTERS = {"pi4": "Raspberry Pi 4B, 0.1.0", "pi5": "Raspberry Pi 5, 0.3.1", "vm": "VM c3d-highcpu-30"}
MODELS = {
    "llama2-7b": "Llama 2 7B",
    "llama2-13b": "Llama 2 13B",
    "llama2-70b": "Llama 2 70B",
    "llama3-8b": "Llama 3 8B",
}
CALIBRATED = ("llama2-7b", (1, 2))
"""The only rows that numbers are fitted to: this model on so many nodes."""


@dataclass(frozen=True)
class Row:
    """What was measured of one token: in ms; kilobyte is 1024 byte, None where it was not printed."""

    cluster: str
    model: str
    n: int
    total_ms: float
    computing_ms: float
    sending_ms: float
    kilobyte: float | None

    @property
    def is_calibrated(self) -> bool:
        """Whether numbers were fitted to it."""
        return self.model == CALIBRATED[0] and self.n in CALIBRATED[1]


@dataclass(frozen=True)
class Numbers:
    """What is fitted for a cluster: s per byte of weights, s per layer, s per message at each end."""

    byte_s: float
    layer_s: float
    message_s: float


@dataclass(frozen=True)
class Token:
    """One token in ms: the root's computing, all else, both; bytes of all messages in kB of 1024 byte."""

    computing_ms: float
    total_ms: float
    kilobyte: float

    @property
    def sending_ms(self) -> float:
        """What is not the root's computing."""
        return self.total_ms - self.computing_ms


def measured() -> list[Row]:
    """Return the published rows."""
    with (RESULTS / "clusters-measured.csv").open(encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    return [
        Row(
            row["cluster"], row["model"], int(row["devices"]), float(row["total_ms"]), float(row["computing_ms"]),
            float(row["sending_ms"]), float(row["kilobyte"]) if row["kilobyte"] else None,
        )
        for row in csv.DictReader(lines)
    ]  # fmt: skip


@lru_cache
def system(cluster: str, model: str) -> tuple[Topology, dict[int, Plan]]:
    """Return the devices and links of a scenario, and its plan by number of nodes."""
    scenario = Scenario.load(SCENARIOS / f"{cluster}-{model}.yaml")
    return build(scenario).topology, {int(one.label[1:]): one.plan for one in plans(scenario, (), Silent())}


def token(topology: Topology, plan: Plan) -> Token:
    """Simulate one token."""
    [record] = simulate(compile_plan(plan, topology, Roofline()))
    root = next(step.device_id for step in plan.computes)
    profile = topology.device_of[root].profile
    computing_s = sum(Roofline().duration_s(step, profile) for step in plan.computes if step.device_id == root)
    n_byte = sum(one.size_byte for one in plan.transfers)
    return Token(1e3 * computing_s, 1e3 * record.latency_s, n_byte / 1024)


def with_numbers(topology: Topology, numbers: Numbers) -> Topology:
    """Return the topology with other fitted numbers."""
    profile = replace(
        topology.devices[0].profile, memory_bandwidth_byte_per_s=1.0 / numbers.byte_s, layer_overhead_s=numbers.layer_s
    )
    host = HostOverhead(numbers.message_s)
    devices = tuple(replace(one, profile=profile, host_overhead=host) for one in topology.devices)
    return replace(topology, devices=devices)


def calibrate(one: Row, two: Row) -> Numbers:
    """Return the numbers with which one and two nodes compute as long as measured, and two send as long."""
    topology, by_n = system(one.cluster, one.model)
    ends = []
    for row in (one, two):
        work = [layer for step in by_n[row.n].computes if step.device_id == "n1" for layer in step.work]
        ends.append((sum(layer.moved_byte for layer in work), len(work), 1e-3 * row.computing_ms))
    (b1, k1, t1), (b2, k2, t2) = ends
    byte_s = (t1 * k2 - t2 * k1) / (b1 * k2 - b2 * k1)
    layer_s = (t1 - b1 * byte_s) / k1
    sending = [
        1e-3 * token(with_numbers(topology, Numbers(byte_s, layer_s, message_s)), by_n[2]).sending_ms
        for message_s in (0.0, 1e-4)
    ]
    message_s = max(0.0, 1e-4 * (1e-3 * two.sending_ms - sending[0]) / (sending[1] - sending[0]))
    return Numbers(byte_s, layer_s, message_s)


def numbers_of(cluster: str, rows: list[Row]) -> Numbers:
    """Calibrate a cluster on its two rows."""
    model, (n_one, n_two) = CALIBRATED
    chosen = {row.n: row for row in rows if row.cluster == cluster and row.model == model and row.is_calibrated}
    return calibrate(chosen[n_one], chosen[n_two])


def write_numbers(cluster: str, numbers: Numbers) -> None:
    """Write calibrated numbers into the scenario of a cluster, to four digits."""
    path = SCENARIOS / f"{cluster}-{CALIBRATED[0]}.yaml"
    text = path.read_text(encoding="utf-8")
    for pattern, said in {
        r"memory_bandwidth: .*? # cal": f"memory_bandwidth: {1e-9 / numbers.byte_s:.4g} GB/s # cal",
        r"layer_overhead: .*? # cal": f"layer_overhead: {1e6 * numbers.layer_s:.4g} us # cal",
        r"per_message: .*?\}": f"per_message: {1e6 * numbers.message_s:.4g} us}}",
    }.items():
        text, n = re.subn(pattern, said, text)
        if n != 1:
            raise ValueError(f"{path} has {n} places like {pattern!r}")
    path.write_text(text, encoding="utf-8")


def null(row: Row, rows: list[Row]) -> Token:
    """Return what no simulator is needed for: a / n + b, a by the bytes of weights, and bytes / bandwidth."""
    model, (n_one, n_two) = CALIBRATED
    one, two = (next(r for r in rows if (r.cluster, r.model, r.n) == (row.cluster, model, n)) for n in (n_one, n_two))
    a = 2 * (one.computing_ms - two.computing_ms)
    b = one.computing_ms - a
    topology, by_n = system(row.cluster, row.model)
    _, base = system(row.cluster, model)
    scale = _divided_byte(by_n[row.n], row.n) / _divided_byte(base[n_one], n_one)
    n_byte = sum(one.size_byte for one in by_n[row.n].transfers)
    computing_ms = a * scale / row.n + b
    sending_ms = 8e3 * n_byte / topology.links[0].bandwidth_bit_per_s
    return Token(computing_ms, computing_ms + sending_ms, n_byte / 1024)


def _divided_byte(plan: Plan, n: int) -> float:
    """Return the bytes that the matrices that are divided move on all nodes."""
    here = [layer for step in plan.computes if step.device_id == "n1" for layer in step.work]
    return n * sum(layer.moved_byte for layer in here if layer.layer_id != "classifier")


def _error(found: float, expected: float) -> float:
    return 100 * (found / expected - 1)


def table(rows: list[Row], found: Mapping[Row, Token], nulls: Mapping[Row, Token]) -> str:
    """Return every row as Markdown."""
    lines = [
        "| cluster | model | nodes | | computing: measured, simulated (ms) | error | sending: measured, simulated (ms) | total: measured, simulated (ms) | error | null model: computing, total | kB a token: printed, ours |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        one, other = found[row], nulls[row]
        printed = "-" if row.kilobyte is None else f"{row.kilobyte:.0f}"
        lines.append(
            f"| {CLUSTERS[row.cluster]} | {MODELS[row.model]} | {row.n} | {'calibrated' if row.is_calibrated else '**predicted**'} "
            f"| {row.computing_ms:.1f}, {one.computing_ms:.1f} | {_error(one.computing_ms, row.computing_ms):+.1f} % "
            f"| {row.sending_ms:.1f}, {one.sending_ms:.1f} | {row.total_ms:.1f}, {one.total_ms:.1f} "
            f"| {_error(one.total_ms, row.total_ms):+.1f} % | {_error(other.computing_ms, row.computing_ms):+.1f} %, "
            f"{_error(other.total_ms, row.total_ms):+.1f} % | {printed}, {one.kilobyte:.0f} |"
        )
    return "\n".join(lines)


def summary(rows: list[Row], found: Mapping[Row, Token], nulls: Mapping[Row, Token]) -> str:
    """Return what was asked for beside what came out, of predicted rows only."""
    asked = [row for row in rows if not row.is_calibrated]
    lines = ["| asked for | simulated | null model |", "|---|---|---|"]

    def share(values: list[float]) -> str:
        return f"median {median(values):.1f} %, worst {max(values):.1f} %"

    parts = {
        "computing, all predicted rows: median within 5 %": (asked, "computing_ms"),
        "total at 4 nodes: within 10 %": ([row for row in asked if row.n == 4], "total_ms"),
        "total, all predicted rows": (asked, "total_ms"),
        "total at 8 nodes": ([row for row in asked if row.n == 8], "total_ms"),
    }
    for name, (chosen, what) in parts.items():
        errors = [
            share([abs(_error(getattr(one[row], what), getattr(row, what))) for row in chosen])
            for one in (found, nulls)
        ]
        lines.append(f"| {name} ({len(chosen)} rows) | {errors[0]} | {errors[1]} |")
    for model in ("llama2-7b", "llama2-13b"):
        four, eight = (
            next(row for row in rows if (row.cluster, row.model, row.n) == ("pi4", model, n)) for n in (4, 8)
        )
        said = [
            f"{_error(pair[1], pair[0]):+.0f} %"
            for pair in (
                (four.total_ms, eight.total_ms), (found[four].total_ms, found[eight].total_ms), (nulls[four].total_ms, nulls[eight].total_ms),
            )
        ]  # fmt: skip
        lines.append(f"| from 4 to 8 Pis, {MODELS[model]}: measured {said[0]} | {said[1]} | {said[2]} |")
    return "\n".join(lines)


def fitted(rows: list[Row]) -> str:
    """Return the calibrated numbers as Markdown."""
    lines = ["| cluster | memory bandwidth | per layer | per message and end |", "|---|---|---|---|"]
    for cluster, name in CLUSTERS.items():
        one = numbers_of(cluster, rows)
        lines.append(
            f"| {name} | {1e-9 / one.byte_s:.3g} GB/s | {1e6 * one.layer_s:.3g} us | {1e6 * one.message_s:.3g} us |"
        )
    return "\n".join(lines)


def main() -> None:
    """Calibrate, or simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibrate", action="store_true")
    rows = measured()
    if parser.parse_args().calibrate:
        for cluster in CLUSTERS:
            write_numbers(cluster, numbers_of(cluster, rows))
        return
    found, nulls = {}, {}
    for row in rows:
        topology, by_n = system(row.cluster, row.model)
        found[row], nulls[row] = token(topology, by_n[row.n]), null(row, rows)
    with (RESULTS / "clusters.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["cluster", "model", "devices", "row", "measured_computing_ms", "computing_ms", "null_computing_ms",
                      "measured_sending_ms", "sending_ms", "measured_total_ms", "total_ms", "null_total_ms"])  # fmt: skip
        for row in rows:
            one, other = found[row], nulls[row]
            numbers = (row.computing_ms, one.computing_ms, other.computing_ms, row.sending_ms, one.sending_ms, row.total_ms,
                       one.total_ms, other.total_ms)  # fmt: skip
            kind = "calibrated" if row.is_calibrated else "predicted"
            out.writerow([row.cluster, row.model, row.n, kind, *(f"{number:.2f}" for number in numbers)])
    page = RESULTS / "clusters.md"
    for name, lines in {
        "rows": table(rows, found, nulls),
        "summary": summary(rows, found, nulls),
        "fitted": fitted(rows),
    }.items():
        put(page, name, f"{lines}\n")


if __name__ == "__main__":
    main()
