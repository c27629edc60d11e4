"""What a study of 10^9 trials costs on many workers: python benchmarks/cluster_scale.py [--output docs/results/cluster-scale.md]

Measures by processor time what one part costs a worker (simulating), Dask's scheduler (passing a task and its result on) and the main process
(taking the result and writing the part): real parts of `modnn` on eight devices with lost messages, and a real scheduler with eight worker
processes on this machine, which sleep in place of simulating, so that two processors suffice. From these follows which of the three is the
slowest with so many workers. Nothing is trained.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from edgesim.interfaces import Silent
from edgesim.scenario.build import build
from edgesim.scenario.scenario import Scenario
from edgesim.study.cases.shared import Shared
from edgesim.study.cases.tasks import Block
from edgesim.study.folder.parts import Parts
from edgesim.study.preparation.prepare import prepare
from edgesim.study.trials.trial import simulate_block
from edgesim.study.trials.trials import Trials
from edgesim.study.work.cluster import dask_pool
from edgesim.study.work.division import plan_work
from edgesim.study.work.executor import Flow

N_TRIALS = 10**9
N_WORKERS = 100
N_HERE = 8
N_PARTS = 200
CASES = {"arrays": {"engine": "array"}, "single events": {"engine": "event"}}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part costs: processor time of a worker, of the scheduler and of the main process, in s, and its size.

    Parameters
    ----------
    n_trials : in the part.
    worker_s, scheduler_s, main_s : of the part.
    part_byte : on disk.
    message_byte : from the worker to the main process.
    """

    n_trials: int
    worker_s: float
    scheduler_s: float
    main_s: float
    part_byte: float
    message_byte: int

    def duration_s(self, n_trials: int, n_workers: int) -> float:
        """Return how long trials take when the slowest of the three is never without work.

        >>> Cost(100, 1.0, 0.002, 0.01, 0, 0).duration_s(100_000, 10), Cost(100, 1.0, 0.002, 0.01, 0, 0).duration_s(100_000, 1000)
        (100.0, 10.0)
        """
        return n_trials / self.n_trials * max(self.worker_s / n_workers, self.scheduler_s, self.main_s)

    def most_workers(self) -> float:
        """Return with how many workers scheduler or main process have no time left."""
        return self.worker_s / max(self.scheduler_s, self.main_s)


def shared_of(engine: str) -> Shared:
    """Return a study of `modnn` on eight devices whose messages are lost with 2 %."""
    scenario = Scenario.from_data({
        "name": "scale",
        "replications": 20_000,
        "exact_up_to": 0,
        "engine": engine,
        "topology": {"star": {"count": 8, "profile": "raspberry-pi-4b", "bandwidth": "50 Mbit/s"}},
        "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
        "strategies": {"modnn": {"type": "modnn", "owner": "hub", "workers": "w*", "on_missing": "degrade", "step_deadline": "50 ms"}},
        "failures": {"loss": {"type": "bernoulli", "probability": 0.02}},
    })  # fmt: skip
    return prepare([({}, build(scenario))], Silent())


def of_worker(shared: Shared, block: Block) -> tuple[float, Trials]:
    """Return the processor time of simulating a part, the median of three, and the part."""
    times = []
    for _ in range(4):
        begin = time.process_time()
        trials = simulate_block(shared, block)
        times.append(time.process_time() - begin)
    return statistics.median(times[1:]), trials


def nap(shared: tuple[float, Trials], task: object) -> Trials:  # noqa: ARG001 - a task like any other
    """Take as long as asked without work, and return a real part."""
    time.sleep(shared[0])
    return shared[1]


@contextmanager
def cluster() -> Iterator[tuple[str, psutil.Process]]:
    """Give the address and the process of a scheduler with worker processes of one thread each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m"]
    begun = [
        subprocess.Popen(
            [*dask, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
            **quiet,
        )
    ]
    workers = [address, "--nworkers", str(N_HERE), "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
    begun.append(subprocess.Popen([*dask, "distributed.cli.dask_worker", *workers], **quiet))
    try:
        from distributed import Client

        with Client(address, timeout="60s") as client:
            client.wait_for_workers(N_HERE, timeout=120)
        yield address, psutil.Process(begun[0].pid)
    finally:
        for process in reversed(begun):
            process.terminate()
            process.wait(30)


def passed_on(
    address: str, scheduler: psutil.Process, shared: Shared, block: Block, part: tuple[float, Trials]
) -> tuple[float, float, float, float]:
    """Return parts per second, processor time of scheduler and main process per part, and bytes of a part on disk; a part is how long it takes, and its trials."""
    with tempfile.TemporaryDirectory() as name:
        parts = Parts(Path(name), shared.cases, "scale", scores=())
        parts.begin()
        tasks = [
            Block(block.case, number * len(part[1]), (number + 1) * len(part[1]), False, block.name)
            for number in range(N_PARTS)
        ]
        with dask_pool(address, nap, (), part) as pool:
            for _ in Flow(pool, range(2 * N_HERE)):  # all workers have what they need
                pass
            before = sum(scheduler.cpu_times()[:2]), time.process_time(), time.monotonic()
            for task, found in Flow(pool, tasks):
                parts.write(task, found, {})
            after = sum(scheduler.cpu_times()[:2]), time.process_time(), time.monotonic()
        size = sum(path.stat().st_size for path in Path(name).rglob("*.parquet")) / N_PARTS
    scheduler_s, main_s, wall_s = (b - a for a, b in zip(before, after, strict=True))
    return N_PARTS / wall_s, scheduler_s / N_PARTS, main_s / N_PARTS, size


def measured() -> tuple[dict[str, Cost], dict[str, list[float]]]:
    """Return the cost of parts by engine, and parts per second by how long a part takes a worker."""
    costs: dict[str, Cost] = {}
    rates: dict[str, list[float]] = {}
    with cluster() as (address, scheduler):
        for name, options in CASES.items():
            shared = shared_of(**options)
            block = plan_work(shared, 20_000).blocks[0]
            worker_s, trials = of_worker(shared, block)
            found = [passed_on(address, scheduler, shared, block, (nap_s, trials)) for nap_s in (0.0, worker_s)]
            _, scheduler_s, main_s, size = found[0]
            rates[name] = [rate for rate, *_ in found]
            costs[name] = Cost(len(trials), worker_s, scheduler_s, main_s, size, len(pickle.dumps(trials)))
    return costs, rates


def page(costs: dict[str, Cost], rates: dict[str, list[float]]) -> str:
    """Return the tables."""
    heads = ("engine", "trials in a part", "worker, ms", "scheduler, ms", "main process, ms", "message, kB", "on disk, kB",
             "parts/s, no work", f"parts/s, {N_HERE} workers of this speed")  # fmt: skip
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, cost in costs.items():
        times = (f"{1000 * one:.3g}" for one in (cost.worker_s, cost.scheduler_s, cost.main_s))
        cells = (
            name,
            f"{cost.n_trials:,}",
            *times,
            f"{cost.message_byte / 1000:.3g}",
            f"{cost.part_byte / 1000:.3g}",
            *(f"{one:.3g}" for one in rates[name]),
        )
        rows.append(f"| {' | '.join(cells)} |")
    heads = (
        "engine",
        "parts",
        "hours on 1 worker",
        f"hours on {N_WORKERS}",
        "most workers that are busy",
        "bytes per trial",
        "GB in the store",
    )
    plan = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, cost in costs.items():
        hours = (f"{cost.duration_s(N_TRIALS, n) / 3600:.3g}" for n in (1, N_WORKERS))
        per_trial = cost.part_byte / cost.n_trials
        cells = (
            name,
            f"{N_TRIALS // cost.n_trials:,}",
            *hours,
            f"{cost.most_workers():.0f}",
            f"{per_trial:.3g}",
            f"{per_trial * N_TRIALS / 1e9:.3g}",
        )
        plan.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n\n" + PLAN + "\n\n" + "\n".join(plan)


PLAN = f"""What {N_TRIALS:,} trials cost: the slowest of all workers, the scheduler and the main process sets the time. Hours on {N_WORKERS} workers are reckoned, not
measured; here were {N_HERE}."""


def read(costs: dict[str, Cost]) -> str:
    """Return what follows from the costs, in words."""
    arrays, events = costs["arrays"], costs["single events"]
    larger = arrays.n_trials // events.n_trials * events.worker_s / arrays.main_s
    return f"""What follows:

- Not the scheduler is the first without time left but the main process, which takes the results and writes the files. Dask's scheduler saturates at
  {1 / events.scheduler_s:.0f} parts of single events per second, {events.worker_s / events.scheduler_s:.0f} workers, and at {1 / arrays.scheduler_s:.0f} by arrays.
- Trials by arrays take a worker hardly longer than the main process takes to write them: a cluster gains nothing there, and one machine is enough.
- Trials by events are worth {events.most_workers():.0f} workers for a result folder. With as many trials in a part as by arrays it would be {larger:.0f}: what a part costs the main process is
  {1000 * events.main_s:.1f} ms for {events.n_trials:,} trials and {1000 * arrays.main_s:.1f} ms for {arrays.n_trials:,}. Otherwise divide the study: a folder for each value of a factor, each with a main process of its own.
- Answers of networks are not in these times: they are asked once for each set of losses, see `docs/results/patterns.md`."""


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    costs, rates = measured()
    table = page(costs, rates)
    where = (
        f"python {platform.python_version()}, {os.cpu_count()} processors of which {load:.1f} were wanted when it began"
    )
    head = f"Made by `python benchmarks/cluster_scale.py --output docs/results/cluster-scale.md` on {datetime.now(UTC):%Y-%m-%d}, {where}. {N_PARTS} parts for each line, processor time."
    text = f"# A billion trials\n\n{head}\n\n{ABOUT}\n\n{table}\n\n{read(costs)}\n"
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


ABOUT = f"""A part is simulated by a worker, its task and its result pass through Dask's scheduler, and the main process takes the result and writes the file. The
study is `modnn` on eight devices with lost messages; {N_HERE} worker processes on one machine sleep as long as a part takes and return real parts."""

if __name__ == "__main__":
    main()
