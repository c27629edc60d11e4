"""Measured against simulated latencies, in namespaces of the kernel: strategies x devices x rates, as a table.

Root on Linux. ``python benchmarks/twin.py measure FILE.csv`` executes the cases, or some of them with ``--strategies``, ``--devices`` and ``--rates``, and adds a line for each to
the file; cases that are there are left out, so that a run can be divided. ``python benchmarks/twin.py table FILE.csv`` simulates each case twice: as
the scenario says, and with the two numbers that ``edgesim testbed --fit-on`` fits, on one case only, which is named: how long a computation takes at least, and
the host overhead per message. Beside it stands by how much sharing the cores of this machine makes a request longer, which is computed from the plan and these two numbers
before anything is measured (`edgesim.testbed.outcome.cores`). ``--worst 5`` shows five cases only, those with the largest errors. ``python benchmarks/twin.py why`` executes cases and says where
they lose time: on the way of steps that ends with the answer, each after the last of its inputs, and how long this machine computes, alone and while the
others do. ``taskset -c 0`` before it has all processes on one core.

There are three sets of cases, of the same strategies on as many devices at the same rates. Those of ``--set plain`` have a network of seven convolutions
and large students over links without latency. ``--set wearables`` was chosen before anything of it was measured, by this rule: the network, the students and the
latency of `scenarios/wearables.yaml`, which is what a user of edgesim meets first, with what namespaces could not do then taken away (its radio cell and the overhead per message). ``--set slow`` has the networks of ``plain``
on devices a fifth as fast: the least whole factor with which, by the two numbers of ``plain``, sharing two cores adds at most 2 % to each case. It was chosen, with the case
to be fitted on, before anything of it was measured.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from edgesim.domain.plan import Plan
from edgesim.domain.system.topology import HostOverhead
from edgesim.interfaces import Silent
from edgesim.processes import n_cpus
from edgesim.scenario.scenario import Scenario
from edgesim.testbed.comparison import (
    Measured,
    compare,
    fitted_overhead,
    least_computation_s,
    measure,
    shared_s,
    simulated_of,
)
from edgesim.testbed.course.director import Answered
from edgesim.testbed.limits import real_times_s
from edgesim.testbed.loopback import Executed, Loopback
from edgesim.testbed.namespaces import NamespaceNetwork
from edgesim.testbed.outcome.steps import StepFigures
from edgesim.testbed.prepared import PreparedStrategy, prepared

STRATEGIES = ("single", "chain", "mapreduce", "halo", "nonn", "resilient")
DEVICES = (2, 4, 8)
RATES = (5.0, 20.0, 50.0)
FITTED = ("mapreduce", "4", "20")
"""The case that the two numbers are fitted on, if no other is named."""
TOLERANCE = 0.05
"""The largest error that is allowed to a case."""
LINK = "mtu: 1448 B, header: 66 B, framing: 16 B, burst: 1600 B"
Case = tuple[str, int, float]


@dataclass(frozen=True, slots=True)
class Set:
    """Cases that differ in strategy, devices and rate only.

    Parameters
    ----------
    model, student : the network, and what a student is besides those of the strategy, as a scenario has them.
    link : what a link has besides what TCP and the kernel's token bucket make of it.
    cuts : of the chain, by devices.
    slower : than the tags of `scenarios/wearables.yaml`, a factor of their rates.
    """

    model: str
    student: str
    link: str
    cuts: Mapping[int, tuple[str, ...]]
    slower: int = 1


CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7")
PLAIN = Set(
    "{type: small-cnn, channels: [16, 16, 32, 32, 32, 64, 64]}",
    "student: {type: small-cnn, channels: [32, 32]}, ",
    "",
    {2: ("conv4",), 4: ("conv2", "conv4", "conv6"), 8: CONVOLUTIONS},
)
SETS = {
    "plain": PLAIN,
    "slow": replace(PLAIN, slower=5),
    "wearables": Set(
        "small-cnn",
        "",
        "latency: 2 ms, ",
        {
            2: ("relu2",),
            4: ("relu1", "relu2", "conv3"),
            8: ("conv1", "relu1", "conv2", "relu2", "pool", "conv3", "relu3"),
        },
    ),
}


def tag(slower: float) -> str:
    """Return the profile of a tag of which all rates are divided by a number."""
    return f"""profiles:
  tag:
    compute_rate: {{conv: {20 / slower:g} MFLOP/s, depthwise: {10 / slower:g} MFLOP/s, linear: {20 / slower:g} MFLOP/s, other: {10 / slower:g} MFLOP/s}}
    memory_bandwidth: {100 / slower:g} MB/s
    layer_overhead: 20 us
    memory: 4 MiB
    power: {{idle: 3 mW, busy: 13 mW, transmit: 18 mW, receive: 19 mW}}
    source: assumed (the rates of the tags of scenarios/wearables.yaml)
"""


def scenario(own: Set, n_devices: int, rate_mbit_per_s: float) -> str:
    """Return a scenario of devices that are all joined, over links as TCP and a token bucket of the kernel make them."""
    ids = [f"d{number}" for number in range(n_devices)]
    links = "\n".join(
        f"    - {{between: [{one}, {other}], bandwidth: {rate_mbit_per_s} Mbit/s, {own.link}{LINK}}}"
        for one, other in combinations(ids, 2)
    )
    students = f'students: {n_devices}, devices: "d*", {own.student}training: {{epochs: 1}}'
    return f"""
name: twin
seed: 1
{tag(own.slower)}topology:
  devices:
    - {{id: "d{{0..{n_devices - 1}}}", profile: tag}}
  links:
{links}
workload:
  dataset: {{type: digits}}
  model: {own.model}
  training: {{epochs: 1}}
  source: d0
  sink: d0
strategies:
  single: {{device: d1}}
  chain: {{devices: [{", ".join(ids)}], cuts: [{", ".join(own.cuts[n_devices])}]}}
  mapreduce: {{type: modnn, owner: d0}}
  halo: {{type: modnn, owner: d0, execution: halo}}
  nonn: {{{students}}}
  resilient: {{{students}, parts: {max(1, n_devices // 2)}}}
"""


def strategies(own: Set, n_devices: int, rate: float, labels: Sequence[str]) -> Iterator[PreparedStrategy]:
    """Give some strategies of a scenario, trained."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "twin.yaml"
        path.write_text(scenario(own, n_devices, rate), encoding="utf-8")
        yield from prepared(Scenario.load(path), labels, Silent())


@contextmanager
def awake() -> Iterator[None]:
    """Keep the cores awake with processes that yield to all others: a core of a virtual machine that sleeps takes tens of microseconds to wake up."""
    code = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile os.getppid() > 1: pass"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(n_cpus())]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def written(path: Path) -> dict[Case, dict[str, Any]]:
    """Return what was measured, by case."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["strategy"], int(row["devices"]), float(row["rate"])): row for row in csv.DictReader(file)}


def measure_all(path: Path, own: Set, n_requests: int, cases: Collection[Case]) -> None:
    """Execute the cases that are not there, and add them."""
    missing = [case for case in cases if case not in written(path)]
    for n_devices, rate in dict.fromkeys(case[1:] for case in missing):
        labels = [case[0] for case in missing if case[1:] == (n_devices, rate)]
        for one in strategies(own, n_devices, rate, labels):
            measured = measure(one, Loopback(n_requests, network=NamespaceNetwork()), tolerance=1.0)
            found = compare(measured, tolerance=1.0)
            row = {
                "strategy": one.label,
                "devices": n_devices,
                "rate": rate,
                "equal": f"{found.n_equal_sets} and {found.n_equal_answers} of {n_requests}",
                "least_s": least_computation_s(measured),
                "is_exact": found.measured_byte == found.simulated_byte,
                "latencies_s": " ".join(f"{time_s:.7f}" for time_s in measured.latencies_s),
            }
            is_new = not path.exists()
            with path.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, row)
                if is_new:
                    writer.writeheader()
                writer.writerow(row)
            print("executed", one.label, n_devices, rate, f"{100 * found.error:+.1f} %", flush=True)


def fitted_on(one: PreparedStrategy, row: Mapping[str, Any]) -> HostOverhead:
    """Return the overhead with which the simulation of a strategy takes as long as was measured."""
    requests = tuple(Answered(n, 0.0, time_s, [0.0]) for n, time_s in enumerate(latencies_s(row)))
    return fitted_overhead(Measured(one, Executed(requests, {}, {}, {})), float(row["least_s"]))


def latencies_s(row: Mapping[str, Any]) -> list[float]:
    """Return the latencies that were measured of a case, in s."""
    return [float(time_s) for time_s in row["latencies_s"].split()]


def table(path: Path, own: Set, fitted: Case, n_worst: int | None, n_cores: int) -> None:
    """Write the table of what was measured."""
    rows, twins = written(path), {}
    for n_devices, rate in sorted({case[1:] for case in rows}):
        labels = [case[0] for case in rows if case[1:] == (n_devices, rate)]
        twins |= {(one.label, n_devices, rate): one for one in strategies(own, n_devices, rate, labels)}
    overhead = fitted_on(twins[fitted], rows[fitted])
    least_ms, message_ms = 1e3 * overhead.least_computation_s, 1e3 * overhead.per_message_s
    print(
        f"a computation takes at least {least_ms:.3f} ms, a message {message_ms:.3f} ms of its sender and receiver; fitted on {fitted}\n"
    )
    print(
        "| strategy | devices | rate | mean | simulated | error | with overhead | error | sharing the cores | p95 | error | deliveries and answers |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    errors: dict[Case, tuple[float, float, float]] = {}
    sharing: dict[Case, float] = {}
    lines: dict[Case, str] = {}
    for case, one in twins.items():
        mean_s, p95_s = fmean(latencies_s(rows[case])), float(np.quantile(latencies_s(rows[case]), 0.95))
        plain_s = simulated_of(one, 1)[0].latency_s
        fitted_s = simulated_of(one, 1, overhead)[0].latency_s
        errors[case] = (mean_s / plain_s - 1, mean_s / fitted_s - 1, p95_s / fitted_s - 1)
        sharing[case] = shared_s(one, real_times_s(one.bundle), overhead, n_cores) / fitted_s
        lines[case] = (
            f"| {case[0]} | {case[1]} | {case[2]:g} Mbit/s | {1e3 * mean_s:.2f} ms | {1e3 * plain_s:.2f} ms | {100 * errors[case][0]:+.1f} % "
            f"| {1e3 * fitted_s:.2f} ms | {100 * errors[case][1]:+.1f} % | {100 * sharing[case]:.1f} % | {1e3 * p95_s:.2f} ms | {100 * errors[case][2]:+.1f} % "
            f"| {rows[case]['equal']}{'' if rows[case]['is_exact'] == 'True' else ', BYTES DIFFER'} |"
        )
    worst = sorted(lines, key=lambda case: -abs(errors[case][1]))[:n_worst]
    print("\n".join(lines[case] for case in (lines if n_worst is None else worst)))
    print()
    summarise({case: error for case, error in errors.items() if case != fitted}, sharing)


def summarise(errors: Mapping[Case, tuple[float, float, float]], sharing: Mapping[Case, float]) -> None:
    """Write the median and the worst error of all cases, and of those that this machine has cores enough for and not."""
    print(
        "| cases | mean, as the scenario says: median, worst error | mean, with the overhead | 95th percentile, with the overhead |"
    )
    print("|---|---|---|---|")
    few = {case for case, share in sharing.items() if share > TOLERANCE}
    groups = {
        "all": set(errors),
        f"sharing the cores adds at most {100 * TOLERANCE:g} %": set(errors) - few,
        "more": set(errors) & few,
        "of up to 4 devices": {case for case in errors if case[1] <= 4},
    }
    for name, own in groups.items():
        if own:
            off = [[abs(errors[case][place]) for case in own] for place in range(3)]
            cells = " | ".join(f"{100 * median(some):.1f} %, {100 * max(some):.1f} %" for some in off)
            print(f"| {name}: {len(own)} | {cells} |")


def why(own: Set, n_requests: int, cases: Collection[Case]) -> None:
    """Say where cases lose time, and whether their computations take longer than alone."""
    print(
        "| strategy | devices | rate | cores | mean | simulated | lost in computations | lost in messages | a computation alone | among others |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n_devices, rate in dict.fromkeys(case[1:] for case in cases):
        labels = [case[0] for case in cases if case[1:] == (n_devices, rate)]
        for one in strategies(own, n_devices, rate, labels):
            measured = measure(one, Loopback(n_requests, network=NamespaceNetwork()), tolerance=1.0)
            found = compare(measured, tolerance=1.0)
            way = list(last_way(one.bundle.plan, {step.step_id: step for step in found.steps}))
            computing_s, sending_s = (
                sum(step.difference_s for step in way if (step.kind == "compute") is is_computed)
                for is_computed in (True, False)
            )
            alone_s = fmean(real_times_s(one.bundle).values())
            among_s = fmean(took_s for times_s in measured.executed.took_s.values() for took_s in times_s.values())
            print(
                f"| {one.label} | {n_devices} | {rate:g} Mbit/s | {n_cpus()} | {1e3 * found.mean_s:.2f} ms | {1e3 * found.simulated_s:.2f} ms "
                f"| {1e3 * computing_s:.2f} ms | {1e3 * sending_s:.2f} ms | {1e3 * alone_s:.2f} ms | {1e3 * among_s:.2f} ms |",
                flush=True,
            )


def last_way(plan: Plan, figures: Mapping[str, StepFigures]) -> Iterator[StepFigures]:
    """Give the steps of the way to the answer, the last first: each before the one that waits for it longest."""
    name: str | None = plan.answer_id
    while name is not None:
        yield figures[name]
        inputs = next(step.inputs for step in plan.steps if step.step_id == name)
        name = max(inputs, key=lambda other: figures[other].mean_end_s, default=None)


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("measure", "table", "why"))
    parser.add_argument("file", type=Path, nargs="?", default=Path("twin.csv"))
    parser.add_argument("--set", choices=tuple(SETS), default="plain")
    parser.add_argument("--worst", type=int, help="rows of the table; by default all")
    parser.add_argument(
        "--cores", type=int, default=n_cpus(), help="of the machine that executed; by default of this one"
    )
    parser.add_argument("--fit-on", nargs=3, metavar=("STRATEGY", "DEVICES", "RATE"), default=FITTED)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--devices", type=int, nargs="+", default=list(DEVICES))
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="in Mbit/s")
    options = parser.parse_args()
    cases = tuple(product(options.strategies, options.devices, options.rates))
    if options.what == "measure":
        with awake():
            measure_all(options.file, SETS[options.set], options.requests, cases)
    elif options.what == "why":
        with awake():
            why(SETS[options.set], options.requests, cases)
    else:
        label, n_devices, rate = options.fit_on
        table(options.file, SETS[options.set], (label, int(n_devices), float(rate)), options.worst, options.cores)


if __name__ == "__main__":
    main()
