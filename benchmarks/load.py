"""Trials under load by both engines: python benchmarks/load.py [--turns 3] [--output docs/results/load.md]

A star of K devices around a hub, as in `benchmarks/engine.py` but with messages both ways: the hub sends each device an input, which computes and
sends back a result, and the hub merges. Everything is measured as in a study: records of requests, utilisation, waiting and peaks of memory.
The engines take turns in one process on one thread; printed is the median of requests per second of processor time, and how many trials the array
engine left to events.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgesim.arrivals.closed_loop import ClosedLoop
from edgesim.arrivals.periodic import Periodic
from edgesim.arrivals.poisson import Poisson
from edgesim.domain.load import Load
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.engine.arrays.load import simulate_load
from edgesim.engine.arrays.losses import DrawnLosses
from edgesim.engine.arrays.program import array_program
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import Program, compile_plan
from edgesim.failures.bernoulli import Bernoulli
from edgesim.rng import Streams

PROFILE = DeviceProfile("star", {"conv": 1e9}, 1e9, 0.0, 2**30, 1.0, 2.0, 1.5, 1.25, "assumed")
LOSSES = {"loss": Bernoulli(0.02)}
LOADS: dict[str, tuple[Any, dict[str, Bernoulli]]] = {
    "one client": (ClosedLoop(), {}),
    "one client, losses": (ClosedLoop(), LOSSES),
    "every 20 ms": (Periodic(0.02), {}),
    "40 per second at random, losses": (Poisson(40.0), LOSSES),
}
SIZES = ((8, 384, 200), (8, 100, 200), (64, 100, 50))
"""Devices, trials at once, and requests of a trial."""
N_BY_EVENTS = 2000
"""Requests that the event engine simulates, about."""


ABOUT = (
    "A hub sends each of K devices an input over a link of its own, which computes and sends back a result; the hub merges. All that a study "
    "records is measured: each request, utilisation, waiting, peaks of memory. Where requests overlap, as those at random, a large part of the "
    "time of the array engine goes into peaks of memory."
)


class WorkIsTime:
    """1 GFLOP is a second."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:  # noqa: ARG002 - the seam's form
        """Return the time of a step."""
        return sum(work.work_flop for work in step.work) * 1e-9


def program_of(n_devices: int) -> Program:
    """Return the star: inputs of 1 kB and results of 200 byte over 10 Mbit/s and 2 ms, 10 ms to compute and 1 ms to merge."""
    names = [f"w{number}" for number in range(n_devices)]
    devices = [Device("hub", PROFILE), *(Device(name, PROFILE) for name in names)]
    ends = [pair for name in names for pair in (("hub", name), (name, "hub"))]
    steps: list[Compute | Transfer] = [Compute("in", "hub")]
    for name in names:
        steps += [
            Transfer(f"send {name}", "hub", name, 1000, "x", "input", ("in",)),
            Compute(f"run {name}", name, _work(0.01), (f"send {name}",), activation_byte=4000),
            Transfer(f"give {name}", name, "hub", 200, "y", "result", (f"run {name}",)),
        ]
    steps.append(Compute("merge", "hub", _work(0.001), tuple(f"give {name}" for name in names)))
    links = tuple(Link(f"{src}->{dst}", src, dst, 10e6, 0.002) for src, dst in ends)
    return compile_plan(Plan(tuple(steps), "merge", {}), Topology(tuple(devices), links), WorkIsTime())


def _work(time_s: float) -> tuple[LayerWork, ...]:
    return (LayerWork("layer", "conv", time_s * 1e9, 0.0),)


def rate(run: Callable[[], int]) -> float:
    """Return requests per second of processor time."""
    start_s = time.process_time()
    n = run()
    return n / (time.process_time() - start_s)


def measured(name: str, size: tuple[int, int, int], n_turns: int) -> str:
    """Return a line of the table."""
    n_devices, n_trials, n_requests = size
    arrivals, losses = LOADS[name]
    program, streams = program_of(n_devices), Streams(1)
    ready, load = array_program(program, is_repeated=True), Load(arrivals, n_requests)
    n_left = 0

    def by_arrays() -> int:
        nonlocal n_left
        batch = streams.batch(0, n_trials)
        drawn = DrawnLosses(losses, batch) if losses else None
        found = list(simulate_load(ready, load, down={}, losses=drawn, streams=batch))
        n_left = found.count(None)
        return n_trials * n_requests

    def by_events() -> int:
        n = max(1, N_BY_EVENTS // n_requests)
        for number in range(n):
            own = streams.replication(number)
            trace(program, losses=losses, streams=own, arrivals=arrivals, n_requests=n_requests)
        return n * n_requests

    turns = [(rate(by_arrays), rate(by_events)) for _ in range(n_turns)]
    arrays, events = (median(some) for some in zip(*turns, strict=True))
    return f"| {n_devices} | {name} | {n_trials} x {n_requests} | {events:,.0f} | {arrays:,.0f} | {arrays / events:.1f} | {n_left} |"


def main() -> None:
    """Measure all loads and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path, help="where the page goes, too")
    arguments = parser.parse_args()
    began, load = datetime.now(UTC), os.getloadavg()[0]
    lines = [measured(name, size, arguments.turns) for size in SIZES for name in LOADS]
    page = "\n".join(
        [
            "# Trials under load",
            "",
            f"Made by `python benchmarks/load.py {' '.join(sys.argv[1:])}`".rstrip()
            + f" on {began:%Y-%m-%d}, python {platform.python_version()}, "
            f"numpy {np.__version__}, {os.cpu_count()} processors of which {load:.1f} were wanted when it began. Requests per second of processor time of one thread, medians of {arguments.turns} turns.",
            "",
            ABOUT,
            "",
            "| devices | load | trials x requests | event engine | array engine | times as fast | trials left to events |",
            "|---|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )
    print(page)
    if arguments.output is not None:
        arguments.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
