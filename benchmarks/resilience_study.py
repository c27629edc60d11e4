"""Time the daily study: 8 devices, 3 student strategies, 10 probabilities of loss, 300,000 trials with real accuracy.

    python benchmarks/resilience_study.py [--kind devices|messages] [--engine auto|event] [--replications 10000] [--rounds 3]
                                          [--scheduler tcp://127.0.0.1:8786]

Trains first (or takes the networks from the cache), which is not timed. Prints median seconds with one and with two workers, in turns,
and on a Dask cluster whose scheduler is given.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from edgesim.scenario.scenario import Scenario
from edgesim.study.options import RunOptions
from edgesim.study.run import run

MODELS: dict[str, dict[str, Any]] = {
    "devices": {"type": "common-cause", "targets": "w*", "beta": 0.0, "probability": 0.1},
    "messages": {"type": "bernoulli", "links": "*", "probability": 0.1},
}


def scenario(kind: str, replications: int, engine: str) -> Scenario:
    students = {"students": 8, "devices": "w*", "merger": "hub", "deadline": "100 ms"}
    return Scenario.from_data(
        {
            "name": "resilience",
            "seed": 1,
            "replications": replications,
            "engine": engine,
            "topology": {
                "devices": [{"id": "hub", "profile": "phone"}, {"id": "w{1..8}", "profile": "wearable"}],
                "media": ["cell"],
                "links": [
                    {
                        "between": ["hub", "w*"],
                        "bandwidth": "20 Mbit/s",
                        "latency": "2 ms",
                        "message_overhead": "1 ms",
                        "medium": "cell",
                    }
                ],
            },
            "workload": {
                "dataset": "digits",
                "model": "small-cnn",
                "training": {"epochs": 30},
                "source": "hub",
                "sink": "hub",
                "deadline": "1 s",
            },
            "strategies": {"nonn": students, "resilient": students | {"parts": 4}, "ensemble": students},
            "failures": {"loss": MODELS[kind]},
            "sweep": {
                "p": {
                    "path": "failures.loss.probability",
                    "values": [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7],
                }
            },
        }
    )


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--kind", choices=tuple(MODELS), default="messages")
    options.add_argument("--engine", choices=("auto", "event"), default="auto")
    options.add_argument("--replications", type=int, default=10_000)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--scheduler")
    chosen = options.parse_args()
    study = scenario(chosen.kind, chosen.replications, chosen.engine)
    contestants: dict[str, dict[str, Any]] = {f"{workers} workers": {"workers": workers} for workers in chosen.workers}
    if chosen.scheduler:
        contestants["dask"] = {"scheduler": chosen.scheduler}
    times_s: dict[str, list[float]] = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory() as folder:
        run(scenario(chosen.kind, 10, chosen.engine), RunOptions(output=Path(folder) / "trained", workers=1))
        for number in range(chosen.rounds):
            for name, how in contestants.items():
                began_s = perf_counter()
                run(study, RunOptions(output=Path(folder) / f"{name} {number}", **how))
                times_s[name].append(perf_counter() - began_s)
    seconds = {name: round(median(times), 2) for name, times in times_s.items()}
    print(
        json.dumps(
            {"kind": chosen.kind, "engine": chosen.engine, "trials": 30 * chosen.replications, "seconds": seconds}
        )
    )


if __name__ == "__main__":
    main()
