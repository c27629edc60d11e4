"""Time and memory per event of one trial, as the system grows: python benchmarks/scale.py [--only fifo] [--json]

Cells of 10 devices around an access point; every device but that computes and sends, again and again, one after another.
Messages in a cell share its medium, which is busy for 0.6 of the time; with `fair` their rates are computed anew at each arrival
and end. Were there more to send than the medium takes, ever more messages would share it, and a change would cost more the
longer the trial is, whatever the number of devices.

Three cases: 11,120 devices that send 100,080 messages; 100 devices that send as many, in a trial that is as many times longer;
and 100 devices with 9 messages each, simulated so often that as many events happen. Each without records of resources (`simulate`) and
with them (`trace`). The cases are timed in turns, in CPU time, and compared in the same turn; medians are printed. The bar is
read on the growth against as many messages: only the number of devices differs. The growth against few messages also has what
any long plan costs, that does not fit into the caches. Below stands what SimPy alone does: one timeout after another, without
any model, over as many devices.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import simpy

from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Sharing, Topology
from edgesim.engine.events.simulation import simulate, trace
from edgesim.engine.program.compiled import Program, compile_plan

PROFILE = DeviceProfile("scale", {"conv": 1e9}, 1e9, 0.0, 2**40, 1.0, 2.0, 1.5, 1.5, "assumed")
CELL = 10
SIZES = ((100, 10), (100, 1_112), (11_120, 10))
"""Devices, and rounds of each; the last two have 100,080 messages."""
FEW, AS_MANY = 0, 1
"""The cases that the others are compared with."""
N_TURNS = 7


class WorkIsTime:
    """A compute model in which 1 GFLOP takes one second."""

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:  # noqa: ARG002 - the seam's form
        """Return the time of a step."""
        return sum(work.work_flop for work in step.work) * 1e-9


def cells(n_devices: int, n_rounds: int, sharing: Sharing) -> Program:
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
            for index in range(n_rounds):
                work = (LayerWork("x", "conv", 10e6 * (1 + (7 * number + 3 * index + cell) % 11), 0),)
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
    """What one size costs.

    Parameters
    ----------
    growth, growth_from_few : medians over turns of its time per event / that of 100 devices with as many messages, or few.
    """

    what: str
    sharing: str
    n_devices: int
    n_transfers: int
    n_events: int
    us_per_event: float
    growth: float
    growth_from_few: float
    byte_per_event: float


def cpu_s(work: Callable[[], object], n_repeats: int) -> float:
    """Return the CPU time of one repetition, in s."""
    gc.collect()
    begin = time.process_time()
    for _ in range(n_repeats):
        work()
    return (time.process_time() - begin) / n_repeats


def peak_byte(work: Callable[[], object]) -> int:
    """Return the most memory that a piece of work holds at once, in byte."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def in_turns(works: list[Callable[[], object]], n_events: list[int]) -> list[tuple[float, float, float]]:
    """Return the median time per event of each piece of work, in us, and how it relates to those that are compared with."""
    turns = [
        [cpu_s(work, max(n_events) // n) / n * 1e6 for work, n in zip(works, n_events, strict=True)]
        for _ in range(N_TURNS)
    ]
    return [
        (
            statistics.median(times),
            *(statistics.median(turn[position] / turn[other] for turn in turns) for other in (AS_MANY, FEW)),
        )
        for position, times in enumerate(zip(*turns, strict=True))
    ]


def measure(sharing: Sharing) -> list[Figure]:
    """Return what all sizes cost, with and without records of resources."""
    programs = [cells(n_devices, n_rounds, sharing) for n_devices, n_rounds in SIZES]
    n_events = [trace(program).n_events for program in programs]
    figures = []
    for simulation in (simulate, trace):
        works = [partial(simulation, program) for program in programs]
        costs = in_turns(works, n_events)
        figures += [
            Figure(simulation.__name__, sharing, size[0], len(program.plan.transfers), n, *cost, peak_byte(work) / n)
            for size, program, n, work, cost in zip(SIZES, programs, n_events, works, costs, strict=True)
        ]
    return figures


def timeouts(n_devices: int, n_rounds: int) -> None:
    """Let devices wait again and again, in SimPy alone."""
    environment = simpy.Environment()
    left = [2 * n_rounds] * n_devices

    def go_on(event: simpy.Event) -> None:
        device: int = event.value
        left[device] -= 1
        if left[device] > 0:
            start(device)

    def start(device: int) -> None:
        delay_s = 0.001 + (7919 * device + 104_729 * left[device]) % 9973 / 1e6
        environment.timeout(delay_s, device).callbacks.append(go_on)  # type: ignore[union-attr]

    for device in range(n_devices):
        start(device)
    gc.disable()
    environment.run()
    gc.enable()


def measure_simpy() -> list[Figure]:
    """Return what SimPy alone costs."""
    works = [partial(timeouts, *size) for size in SIZES]
    n_events = [2 * n_devices * n_rounds for n_devices, n_rounds in SIZES]
    return [
        Figure("simpy", "-", size[0], 0, n, *cost, peak_byte(work) / n)
        for size, n, work, cost in zip(SIZES, n_events, works, in_turns(list(works), n_events), strict=True)
    ]


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=("fifo", "simpy", "fair"), help="one part")
    options = parser.parse_args()
    figures: list[Figure] = []
    if not options.json:
        print("| what | sharing | devices | transfers | events | us per event | growth | from few | byte per event |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for part in ("fifo", "simpy", "fair") if options.only is None else (options.only,):
        found = measure_simpy() if part == "simpy" else measure(part)
        figures += found
        for one in () if options.json else found:
            print(
                f"| {one.what} | {one.sharing} | {one.n_devices:,} | {one.n_transfers:,} | {one.n_events:,} | "
                f"{one.us_per_event:.2f} | {one.growth:.2f} | {one.growth_from_few:.2f} | {one.byte_per_event:.0f} |",
                flush=True,
            )
    if options.json:
        print(json.dumps([asdict(one) for one in figures], indent=1))


if __name__ == "__main__":
    main()
