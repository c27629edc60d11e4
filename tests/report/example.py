"""A finished study in a folder, made of plain numbers, so that reports and figures are tested without running anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgesim.domain.columns import BUDGET_PARTS, DIFFERENCE_NAMES, DIFFERENCE_NUMBERS, QUEUE_NAMES, QUEUE_NUMBERS
from edgesim.domain.metrics import METRICS
from edgesim.report.result import Result
from edgesim.scenario.scenario import Scenario
from edgesim.study.folder.manifest_file import FORMAT, write_manifest
from edgesim.study.folder.names import BUDGET, DIFFERENCES, QUEUES
from edgesim.study.work.manifest import _score
from edgesim.tasks.scores import SCORES

LEVELS = (0, 1, 2, 3)
STRATEGIES = {"single": (0.0, 0.004, 0.99), "modnn": (5e4, 0.084, 0.98), "nonn": (2.2e3, 0.019, 0.97)}
"""Traffic in byte, latency in s and accuracy when nothing is lost."""
SCENARIO: dict[str, Any] = {
    "name": "example",
    "question": "What is left when <devices> are lost?",
    "replications": 50,
    "topology": {"star": {"count": 8, "profile": "wearable", "hub_profile": "phone", "bandwidth": "20 Mbit/s", "medium": "cell"}},
    "workload": {"dataset": "digits", "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {
        "single": {"device": "hub"}, "modnn": {"owner": "hub", "workers": "w*"},
        "nonn": {"students": 8, "devices": "w*", "merger": "hub"},
    },
    "failures": {"loss": {"type": "exactly-k", "targets": "w*", "k": 0}},
    "sweep": {"lost_devices": {"path": "failures.loss.k", "values": list(LEVELS)}},
}  # fmt: skip


_BYTES = ("input_byte", "intermediate_byte", "result_byte")


class Example(Result):
    """A result whose trials are in memory."""

    def frame(self, *_: Any, **__: Any) -> pd.DataFrame:
        """Return 50 trials per case; of those with nonn at the last level a tenth has no answer."""
        rows = []
        for level in LEVELS:
            for name, (_, latency_s, accuracy) in STRATEGIES.items():
                for number in range(50):
                    is_lost = name == "nonn" and level == LEVELS[-1] and number % 10 == 0
                    spread = 1 + 0.004 * number if name != "single" else 1.0
                    value = np.nan if is_lost else latency_s * spread * (1 + 0.3 * level)
                    rows.append((level, name, number, value, accuracy, 100, 800, 100))
        return pd.DataFrame(rows, columns=["lost_devices", "strategy", "replication", "latency_s", "accuracy", *_BYTES])

    def dataset(self, *_: Any) -> Any:
        """Return the same as a table of Arrow."""
        import pyarrow as pa

        return pa.Table.from_pandas(self.frame(), preserve_index=False)


def example(folder: Path) -> Result:
    """Write the folder of a finished study and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    scenario = Scenario.from_data(SCENARIO)
    rows, intact = [], []
    for level in LEVELS:
        for position, (name, (traffic, latency_s, accuracy)) in enumerate(STRATEGIES.items()):
            fall = 0.0 if name == "single" else 0.12 * level * (3 - position)
            values = {
                "accuracy": accuracy - fall, "latency": latency_s * (1 + 0.3 * level), "latency_p95": latency_s * 1.4,
                "traffic": traffic, "traffic_input": 0.1 * traffic, "traffic_intermediate": 0.8 * traffic,
                "traffic_result": 0.1 * traffic, "energy": 0.002 * (1 + 40 * position), "answered": 1.0 if level < 3 else 0.9,
                "peak_memory": 1.3e5 / (1 + position),
            }  # fmt: skip
            for metric, mean in values.items():
                half = 0.02 if metric == "accuracy" and level else 0.0
                rows.append(
                    (level, name, metric, (SCORES | METRICS)[metric].unit, mean, mean - half, mean + half, 50, 50, mean)
                )
            whole = {**values, "accuracy": accuracy}
            intact.append({"lost_devices": level, "strategy": name, "outcome": "completed", **whole})
    columns = ["lost_devices", "strategy", "metric", "unit", "mean", "ci_low", "ci_high", "n", "n_effective", "exact"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "summary.csv", index=False)
    shares = {
        "single": (1, 0, 0, 0, 0, 0, 0),
        "modnn": (0.1, 0.05, 0.3, 0.05, 0.35, 0.1, 0.05),
        "nonn": (0.6, 0.1, 0.1, 0.1, 0, 0.1, 0),
    }
    parts = [
        (level, name, part, share * latency_s * (1 + 0.3 * level), share, 20)
        for level in LEVELS
        for name, (_, latency_s, _) in STRATEGIES.items()
        for part, share in zip(BUDGET_PARTS, shares[name], strict=True)
    ]
    pd.DataFrame(parts, columns=["lost_devices", "strategy", "part", "mean_s", "share", "n"]).to_csv(
        folder / BUDGET, index=False
    )
    header = ["lost_devices", *DIFFERENCE_NAMES, *DIFFERENCE_NUMBERS]
    (folder / DIFFERENCES).write_text(",".join(header) + "\n", encoding="utf-8")
    about = {
        "format": FORMAT, "status": "complete", "name": scenario.name, "question": scenario.question, "hash": scenario.hash(), "seed": 1,
        "replications": 50, "factors": ["lost_devices"], "command": "edgesim run example.yaml",
        "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00+00:00",
        "versions": {"python": "3.11.0", "edgesim": "0.0.0"}, "workers": 1,
        "platform": {"system": "Linux", "machine": "x86_64", "processors": 2},
        "deployments": [{"strategy": "single", "description": {"device": "hub"}}], "intact": intact, "files": [],
        "scores": [_score(SCORES["accuracy"])],
        "learnt": [{"network": "nonn", "warning": "strategy 'nonn' <learnt> too little"}],
        "engines": [{"strategy": name, "engine": "array", "trials": 200, "by_events": 0, "why": ""} for name in STRATEGIES],
        "scenario": scenario.resolved(),
    }  # fmt: skip
    write_manifest(folder, about)
    moments = np.arange(201)
    queue_rows = [
        (name, resource, 0.05 * moment, waiting, waiting + 1, busy)
        for name, resource, period, busy in (
            ("modnn", "cell", 40, 0.9),
            ("modnn", "hub", 25, 0.3),
            ("nonn", "cell", 60, 0.5),
        )
        for moment in moments
        for waiting in [int(moment % period * (8 if period == 40 else 3) / period)]
    ]
    pd.DataFrame(queue_rows, columns=[*QUEUE_NAMES, *QUEUE_NUMBERS]).to_csv(folder / QUEUES, index=False)
    (folder / "timeline.json").write_text(json.dumps(_trace()), encoding="utf-8")
    return Example(folder)


def _trace() -> dict[str, Any]:
    events: list[dict[str, Any]] = []
    for process, (name, (_, latency_s, _)) in enumerate(STRATEGIES.items()):
        events.append({"name": "process_name", "ph": "M", "pid": process, "tid": 0, "args": {"name": name}})
        resources = ["hub"] if name == "single" else ["cell", "hub", *(f"w{number}" for number in range(1, 9))]
        share = 1e6 * latency_s / len(resources)
        for thread, resource in enumerate(resources):
            events.append({"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": {"name": resource}})
            kind = ("input", "intermediate", "result")[process % 3] if resource == "cell" else "compute"
            events.append(
                {
                    "name": f"step {thread}", "cat": kind, "ph": "X", "pid": process, "tid": thread, "ts": thread * share,
                    "dur": share, "args": {"waited": share / 2 if thread else 0.0, "link": ""},
                }
            )  # fmt: skip
    return {"displayTimeUnit": "ms", "traceEvents": events}
