"""Time the daily study: 8 devices, 3 student strategies, 10 probabilities of loss, 300,000 trials with real accuracy.

    python benchmarks/resilience_study.py [--kind devices|messages] [--replications 10000]

Trains first (or takes the networks from the cache), which is not timed. Prints seconds with one and with two workers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from edgesim.scenario.schema import Scenario
from edgesim.study.run import run

MODELS: dict[str, dict[str, Any]] = {
    "devices": {"type": "common-cause", "targets": "w*", "beta": 0.0, "probability": 0.1},
    "messages": {"type": "bernoulli", "links": "*", "probability": 0.1},
}


def scenario(kind: str, replications: int) -> Scenario:
    students = {"students": 8, "devices": "w*", "merger": "hub", "deadline": "100 ms"}
    return Scenario.from_data(
        {
            "name": "resilience",
            "seed": 1,
            "replications": replications,
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
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kind", choices=tuple(MODELS), default="messages")
    options.add_argument("--replications", type=int, default=10_000)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    chosen = options.parse_args()
    times_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        run(scenario(chosen.kind, 10), output=Path(folder) / "trained", workers=1)
        for workers in chosen.workers:
            began_s = perf_counter()
            run(scenario(chosen.kind, chosen.replications), output=Path(folder) / str(workers), workers=workers)
            times_s[f"{workers} workers"] = round(perf_counter() - began_s, 2)
    print(json.dumps({"kind": chosen.kind, "trials": 30 * chosen.replications, "seconds": times_s}))


if __name__ == "__main__":
    main()
