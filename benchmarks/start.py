"""What starts, and the fixed cost of a small study: python benchmarks/start.py [--before CHECKOUT] [--output docs/results/start.md]

Each command runs in a process of its own, in turns, and its processor time is taken, with that of its own processes; the median is printed. The
small study has one replication of one strategy with a network that is trained already, so that all it costs is fixed. What imports cost is
measured alone, each on top of those above it, in processes that look for garbage as rarely as the command does. Modules are compiled by the
first call, as where edgesim is installed. `--before` runs the small study in the same turns also with the code of another checkout (`git worktree`).
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edgesim.__main__ import N_BETWEEN_COLLECTIONS

ROOT = Path(__file__).resolve().parents[1]
N_TURNS = 5
RUNS = ("edgesim run --fresh --no-report", "edgesim run --fresh")
SMALL = """
name: small
replications: 1
topology: {star: {profile: raspberry-pi-4b, count: 4, bandwidth: 20 Mbit/s}}
workload: {dataset: digits, model: small-cnn, training: {epochs: 1}, source: hub, sink: hub}
strategies: {modnn: {owner: hub, workers: "w*"}}
failures: {loss: {type: exactly-k, k: 1, targets: "w*"}}
"""
GARBAGE = f"import atexit, gc; gc.set_threshold({N_BETWEEN_COLLECTIONS}); atexit.register(gc.freeze)"
IMPORTS = (
    ("Python itself", GARBAGE),
    ("pydantic, numpy, ruamel.yaml and the scenario", "import edgesim.scenario.scenario"),
    ("pandas and pyarrow", "import pandas, pyarrow.parquet"),
    ("the study with its engines", "import edgesim.study.completion"),
    ("torch", "import torch"),
    ("matplotlib", "import matplotlib.axes, matplotlib.figure"),
)


def cpu_s(command: list[str], folder: Path, **environment: str) -> float:
    """Return the processor time of a command in a folder, and of what it starts, in s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, env={**inherited, **environment}, cwd=folder, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr[-800:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(folder: Path) -> dict[str, list[str]]:
    """Return what is measured, by name; in this order, since the last two need a finished study."""
    file = str(folder / "small.yaml")
    edgesim = [sys.executable, "-m", "edgesim"]
    run = [*edgesim, "run", file, "--output", str(folder / "result")]
    before = ""
    imports = {}
    for name, statement in IMPORTS:
        before += f"{statement}\n"
        imports[f"imports: {name}"] = [sys.executable, "-c", before]
    return {
        "edgesim --help": [*edgesim, "--help"],
        "import edgesim": [sys.executable, "-c", "import edgesim"],
        "edgesim validate": [*edgesim, "validate", file],
        **imports,
        RUNS[0]: [*run, "--fresh", "--no-report"],
        RUNS[1]: [*run, "--fresh"],
        "edgesim run, finished before": run,
    }


def measured(n_turns: int, before: Path | None) -> dict[str, float]:
    """Return the median processor time of each command, in s; `before` is another checkout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
        every = {label: (command, ROOT) for label, command in commands(folder).items()}
        if before is not None:
            commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=before, text=True).strip()
            every |= {f"{label}` of `{commit}": (every[label][0], before.resolve()) for label in RUNS}
        for command, where in every.values():  # trains, and writes what Python compiles
            cpu_s(command, where, OMP_NUM_THREADS="1")
        found: dict[str, list[float]] = {label: [] for label in every}
        for _ in range(n_turns):
            for label, (command, where) in every.items():
                found[label].append(cpu_s(command, where, OMP_NUM_THREADS="1"))
    return {label: statistics.median(times) for label, times in found.items()}


def page(found: dict[str, float]) -> str:
    """Return the page of results."""
    lines = ["| command | CPU, s |", "|---|---|"]
    lines += [f"| `{label}` | {found[label]:.2f} |" for label in found if not label.startswith("imports")]
    names = [name for name, _ in IMPORTS]
    after = [found[f"imports: {name}"] for name in names]
    costs = dict(zip(names, np.diff(after, prepend=0.0), strict=True))
    plain, drawn = (found[label] for label in RUNS)
    drawing = costs.pop("matplotlib")
    fixed = [
        *costs.items(),
        ("the study: checks, deployment, one trial, tables", plain - sum(costs.values())),
        ("matplotlib", drawing),
        ("figures and report", drawn - plain - drawing),
    ]
    lines += [
        "",
        "| fixed cost of a small study | CPU, s |",
        "|---|---|",
        *(f"| {name} | {cost:.2f} |" for name, cost in fixed),
    ]
    lines += [f"| together | {drawn:.2f} |", f"| together without torch | {drawn - costs['torch']:.2f} |"]
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=N_TURNS, metavar="N")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    table = page(measured(options.turns, options.before))
    print(table)
    if options.output:
        where = f"python {platform.python_version()}, {os.cpu_count()} processors of which {load:.1f} were wanted when it began"
        other = f" --before {options.before.name}" if options.before else ""
        options.output.write_text(
            f"# Start\n\nMade by `python benchmarks/start.py --turns {options.turns}{other} --output docs/results/start.md` on {datetime.now(UTC):%Y-%m-%d}, {where}. "
            f"Medians of {options.turns} turns.\n\n{table}\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
