"""Time and memory per event of one trial, as the system grows: python benchmarks/scale.py [--json]

Cells of 10 devices, each with an access point that passes on to a neighbour; every device computes and sends 10 messages,
one after another. Messages in a cell share its medium; with `fair` their rates are computed anew at each arrival and end.
The small case is repeated, so that its span can be timed.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from dataclasses import dataclass

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.topology import Device, DeviceProfile, Link, Medium, Sharing, Topology
from edgesim.engine.program import Program, compile_plan
from edgesim.engine.simulation import trace

PROFILE = DeviceProfile("scale", {"conv": 1e9}, 1e9, 0.0, 2**40, 1.0, 2.0, 1.5, 1.5, "assumed")
N_ROUNDS = 10
CELL = 10


class WorkIsTime:
    """A compute model in which 1 GFLOP takes one second."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:  # noqa: ARG002 - the seam's form
        """Return the time of a step."""
        return sum(work.work_flop for work in step.work) * 1e-9


def cells(n_devices: int, sharing: Sharing) -> Program:
    """Return rounds of computing and sending in cells of ten devices."""
    n_cells = n_devices // CELL
    devices, links, steps = [], [], []
    ends: list[str] = []
    for cell in range(n_cells):
        point = f"ap{cell}"
        devices.append(Device(point, PROFILE))
        for number in range(CELL - 1):
            name = f"w{cell}.{number}"
            devices.append(Device(name, PROFILE))
            links.append(Link(f"{name}->{point}", name, point, 20e6, 0.002, medium_id=f"cell{cell}", sharing=sharing))
            before: tuple[str, ...] = ()
            for index in range(N_ROUNDS):
                work = (LayerWork("x", "conv", 1e6 * (1 + (7 * number + 3 * index + cell) % 11), 0),)
                steps.append(Compute(f"c{name}.{index}", name, work, before))
                before = (f"c{name}.{index}",)
                steps.append(Transfer(f"t{name}.{index}", name, point, 10_000, "x", "result", before))
                ends.append(f"t{name}.{index}")
        steps.append(Compute(f"end{cell}", point, (), tuple(ends)))
        ends = []
    media = tuple(Medium(f"cell{cell}", sharing) for cell in range(n_cells))
    topology = Topology(tuple(devices), tuple(links), media)
    return compile_plan(Plan(tuple(steps), "end0", {}), topology, WorkIsTime())


@dataclass(frozen=True, slots=True)
class Figure:
    """What one size costs."""

    sharing: str
    n_devices: int
    n_transfers: int
    n_events: int
    compile_s: float
    us_per_event: float
    byte_per_event: float


def measure(n_devices: int, sharing: Sharing, n_repeats: int) -> Figure:
    """Return time and memory per event; the best of three spans of `n_repeats` trials."""
    begin = time.perf_counter()
    program = cells(n_devices, sharing)
    compile_s = time.perf_counter() - begin
    gc.collect()
    spans = []
    for _ in range(3):
        begin = time.process_time()
        for _ in range(n_repeats):
            n_events = trace(program).n_events
        spans.append((time.process_time() - begin) / n_repeats)
    tracemalloc.start()
    trace(program)
    peak_byte = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return Figure(
        sharing,
        n_devices,
        len(program.plan.transfers),
        n_events,
        compile_s,
        min(spans) / n_events * 1e6,
        peak_byte / n_events,
    )


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    figures = []
    for sharing in ("fifo", "fair"):
        small = measure(100, sharing, 20)  # type: ignore[arg-type]
        large = measure(11_120, sharing, 1)  # type: ignore[arg-type]
        figures += [small, large]
    if parser.parse_args().json:
        print(json.dumps([{name: getattr(one, name) for name in Figure.__slots__} for one in figures], indent=1))
        return
    print(
        f"{'sharing':8}{'devices':>9}{'transfers':>11}{'events':>9}{'compile s':>11}{'us/event':>10}{'byte/event':>12}"
    )
    for one in figures:
        print(
            f"{one.sharing:8}{one.n_devices:9,}{one.n_transfers:11,}{one.n_events:9,}{one.compile_s:11.1f}"
            f"{one.us_per_event:10.1f}{one.byte_per_event:12.0f}"
        )


if __name__ == "__main__":
    main()
