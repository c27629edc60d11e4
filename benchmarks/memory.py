"""What memory a million trials and a million requests need: python benchmarks/memory.py [--output docs/results/memory.md]

Each study runs in a process of its own, from the scenario to the tables, without a report; its peak of resident memory and its processor time are
those that the kernel counts. Single requests through `modnn` on eight devices with lost messages, by arrays, and requests under Poisson load through one
device, as one long trial by events and as many short ones by arrays. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SIZES = (10_000, 100_000, 1_000_000)


def scenario(kind: str, n: int) -> dict[str, Any]:
    """Return a study of so many trials, or requests."""
    workload: dict[str, Any] = {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"}
    modnn = {"type": "modnn", "owner": "hub", "workers": "w*", "on_missing": "degrade", "step_deadline": "50 ms"}
    data = {
        "name": "memory",
        "exact_up_to": 0,
        "topology": {"star": {"count": 8, "profile": "raspberry-pi-4b", "bandwidth": "50 Mbit/s"}},
        "workload": workload,
        "strategies": {"modnn": modnn},
        "failures": {"loss": {"type": "bernoulli", "probability": 0.02}},
    }
    if kind == "trials":
        return {**data, "replications": n}
    per_trial = n if kind == "requests of one trial" else 1000
    workload["load"] = {"arrivals": {"type": "poisson", "rate": "20 Hz"}, "requests": per_trial}
    return {**data, "strategies": {"single": {"type": "single", "device": "w1"}}, "replications": n // per_trial}


def one(data: Mapping[str, Any]) -> None:
    """Run a study in this process, and print what it took."""
    import edgesim as es

    with tempfile.TemporaryDirectory() as name:
        es.run(es.Scenario.from_data(data), workers=1, output=Path(name) / "result", report=False)
        size = sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())
        n_files = sum(path.is_file() for path in Path(name).rglob("*"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, size / 1e6, n_files]))


def measured() -> list[str]:
    """Return the table."""
    rows = ["| study | number | CPU, s | peak memory, MB | on disk, MB | files |", "|---|---|---|---|---|---|"]
    for kind in ("trials", "requests in trials of 1,000", "requests of one trial"):
        for n in SIZES:
            command = [sys.executable, __file__, "--one", json.dumps(scenario(kind, n))]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr[-2000:])
            cpu_s, peak_mb, disk_mb, n_files = json.loads(done.stdout.splitlines()[-1])
            rows.append(f"| {kind} | {n:,} | {cpu_s:.1f} | {peak_mb:.0f} | {disk_mb:.1f} | {n_files} |")
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.one is not None:
        one(json.loads(options.one))
        return
    load = os.getloadavg()[0]
    table = "\n".join(measured())
    if options.output is not None:
        where = f"python {platform.python_version()}, {os.cpu_count()} processors of which {load:.1f} were wanted when it began"
        head = f"Made by `python benchmarks/memory.py --output docs/results/memory.md` on {datetime.now(UTC):%Y-%m-%d}, {where}. One process each, from the scenario to the tables."
        options.output.write_text(f"# Memory of large studies\n\n{head}\n\n{table}\n\n{READ}\n", encoding="utf-8")


READ = """Requests in many trials need no more memory the more there are: a task of 100 trials takes some 70 MB, and four million (run by hand) 476 MB in all.
Trials need 0.4 kB each, since the tables are made from all trials of a case at once. Of the
requests of a single trial what became of them is held until it ends, 65 byte each. Its first requests (400,000 computations and messages of them) are simulated once more with
every stay noted, for the budget, which takes 0.3 GB."""

if __name__ == "__main__":
    main()
