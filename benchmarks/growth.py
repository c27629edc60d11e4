"""How CPU time grows with the size of a study: python benchmarks/growth.py [--output docs/results/growth.md]

Each part of a study is done at three sizes, each twice the one before, in turns; the exponent is the slope of log time over log size by
least squares, of the medians. One is linear. Times are CPU seconds of this process, which other processes on the machine change
far less than the time on the clock. Python looks for garbage between the pieces of work only (`--gc`: also during them). Nothing is trained.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scale import cells

from edgesim.domain.plan import Compute, Plan
from edgesim.engine.events.simulation import simulate
from edgesim.interfaces import Silent
from edgesim.report.draw.topology import topology
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.scenario.topology import shapes
from edgesim.strategies.students.networks import StudentDeployment
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Block
from edgesim.study.preparation.prepare import prepare
from edgesim.study.trials.trial import simulate_block

N_TURNS = 3


def data_of(n_devices: int, n_values: int = 1, n_strategies: int = 1, shape: str = "star") -> dict[str, Any]:
    """Return a scenario without training: devices, values of a factor, and strategies."""
    side = 100.0 * math.sqrt(n_devices / 50)
    table = [{"distance": "20 m", "bandwidth": "50 Mbit/s"}, {"distance": "30 m", "bandwidth": "10 Mbit/s"}]
    area = {"width": f"{side} m", "height": f"{side} m", "path_loss": table}
    forms = {"star": {"count": n_devices - 1, "bandwidth": "20 Mbit/s"}, "geometric": {"count": n_devices, **area}}
    end = "hub" if shape == "star" else "w1"
    levels = [(number + 1) / (2 * n_values) for number in range(n_values)]
    return {
        "name": "growth",
        "topology": {shape: {"profile": "wearable", **forms[shape]}},
        "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": end, "sink": end},
        "strategies": {f"single{number}": {"type": "single", "device": end} for number in range(n_strategies)},
        "failures": {"loss": {"type": "bernoulli", "probability": 0.1}},
        "sweep": {"loss": {"path": "failures.loss.probability", "values": levels}},
    }


def checked(**sizes: Any) -> None:
    """Check a scenario and build the system of each of its points; random places are found anew."""
    shapes._places.cache_clear()  # noqa: SLF001 - of what a process remembers
    shapes._near_pairs.cache_clear()  # noqa: SLF001
    scenario = Scenario.from_data(data_of(**sizes))
    for point in scenario.points():
        build(scenario.at(point))


def cases() -> dict[str, tuple[tuple[int, int, int], Callable[[int], Callable[[], object]]]]:
    """Return by name the sizes of each part, and what does it at a size."""
    return {
        "check and build: devices of a star": ((2000, 4000, 8000), lambda n: partial(checked, n_devices=n)),
        "check and build: devices at random places": (
            (1000, 2000, 4000), lambda n: partial(checked, n_devices=n, shape="geometric"),
        ),
        "check and build: factor points, 200 devices": ((50, 100, 200), lambda n: partial(checked, n_devices=200, n_values=n)),
        "check and build: strategies": ((50, 100, 200), lambda n: partial(checked, n_devices=20, n_strategies=n)),
        "draw: devices of a star": ((250, 500, 1000), drawing("star")),
        "draw: devices at random places": ((250, 500, 1000), drawing("geometric")),
        "simulate: devices in cells": ((1000, 2000, 4000), lambda n: partial(simulate, cells(n, 10, "fifo"))),
        "simulate: requests under load": ((1000, 2000, 4000), loaded),
        "simulate: trials by arrays": ((100_000, 200_000, 400_000), by_arrays),
        "answer: students, 64 sets of them": ((32, 64, 128), answering),
        "simulate: messages of 100 devices": ((100, 200, 400), lambda n: partial(simulate, cells(100, n, "fifo"))),
    }  # fmt: skip


def drawing(shape: str) -> Callable[[int], Callable[[], object]]:
    """Return what draws so many devices."""
    return lambda n: partial(topology, build(Scenario.from_data(data_of(n, shape=shape))).topology)


def shared_of(**workload: Any) -> Shared:
    """Return a study of one strategy on 20 devices, ready to be simulated."""
    data = data_of(20)
    data["workload"].update(workload)
    return prepare([({}, build(Scenario.from_data(data)))], Silent())


def loaded(n: int) -> Callable[[], object]:
    """Return what simulates one trial of so many requests."""
    shared = shared_of(load={"arrivals": {"type": "poisson", "rate": "20 Hz"}, "requests": n})
    return lambda: simulate_block(shared, Block(0, 0, 1, False, "growth"))


def by_arrays(n: int) -> Callable[[], object]:
    """Return what simulates so many trials."""
    shared = shared_of()
    return lambda: simulate_block(shared, Block(0, 0, n, False, "growth"))


def answering(n: int) -> Callable[[], object]:
    """Return what answers 64 sets of so many students, drawn, each for 2,000 images of 10 classes."""
    rng = np.random.default_rng(0)
    contributions = rng.standard_normal((n, 2000, 10)).astype(np.float32)
    plan = Plan((Compute("merge", "hub", ()),), "merge", {})
    needs = tuple(frozenset({str(number)}) for number in range(n))
    deployment = StudentDeployment(plan, contributions, np.zeros(10, np.float32), tuple(range(n)), needs, (), {})
    sets = rng.random((64, n)) < 0.5
    return lambda: [deployment.answers(arrived) for arrived in sets.tolist()]


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU time of a piece of work."""
    gc.collect()
    begin = time.process_time()
    work()
    spent_s = time.process_time() - begin
    gc.collect()
    return spent_s


def measured(sizes: tuple[int, int, int], of_size: Callable[[int], Callable[[], object]]) -> tuple[list[float], float]:
    """Return the median times at the sizes, and the exponent."""
    works = [of_size(size) for size in sizes]
    works[0]()  # what is loaded once
    turns = [[cpu_s(work) for work in works] for _ in range(N_TURNS)]
    times = [statistics.median(column) for column in zip(*turns, strict=True)]
    return times, float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


EXPLAINED = (
    "Simulating more devices also needs a deeper heap of events and a plan that fits less into the caches of the processor; "
    "`python benchmarks/scale.py` compares as many events of few and many devices. With `--gc` checking 8,000 devices grows with an exponent "
    "near 1.2: Python looks through all objects again and again while there are more and more of them. Reading of what does not change with "
    "the number of points or strategies makes exponents below 1."
)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--gc", action="store_true", help="let Python look for garbage when it likes")
    options = parser.parse_args()
    if not options.gc:
        gc.disable()
    busy = os.getloadavg()[0]
    lines = ["| | sizes | CPU, s | exponent |", "|---|---|---|---|"]
    for name, (sizes, of_size) in cases().items():
        times, exponent = measured(sizes, of_size)
        lines.append(
            f"| {name} | {', '.join(f'{size:,}' for size in sizes)} | {', '.join(f'{one:.3g}' for one in times)} | {exponent:.2f} |"
        )
        print(lines[-1], flush=True)
    head = (
        f"Made by `python benchmarks/growth.py{' --gc' * options.gc}` on {datetime.now(UTC):%Y-%m-%d}, python {platform.python_version()}, numpy {np.__version__}, "
        f"{os.cpu_count()} processors of which {busy:.1f} were wanted when it began. Medians of {N_TURNS} turns; an exponent of 1 is linear."
    )
    if options.output is not None:
        options.output.write_text("\n\n".join(["# Growth", head, "\n".join(lines), EXPLAINED]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
