"""What `edgesim run` hints at where a default misleads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgesim as es
from edgesim.report.said.warnings import lost_messages, overfull

SCENARIO: dict[str, Any] = {
    "name": "hinted",
    "replications": 100,
    "topology": {"star": {"count": 4, "profile": "wearable", "bandwidth": "1 Mbit/s", "latency": "2 ms"}},
    "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"modnn": {"owner": "hub", "workers": "w*"}, "single": {"device": "hub"}},
    "failures": {"loss": {"type": "packet-loss", "probability": 0}},
    "sweep": {"p": {"path": "failures.loss.probability", "values": [0, 0.01, 0.1]}},
}


@pytest.mark.parametrize(("transport", "n_hints"), [({}, 1), ({"transport": "arq"}, 0)])
def test_datagrams_that_leave_requests_without_an_answer_are_a_hint(
    transport: dict[str, str], n_hints: int, tmp_path: Path
) -> None:
    """MoDNN waits for each of its messages: at 1 % loss four in ten requests have no answer. Where messages are repeated, nothing is said."""
    star = {**SCENARIO["topology"]["star"], **transport}
    scenario = es.Scenario.from_data({**SCENARIO, "topology": {"star": star}})
    hints = list(lost_messages(es.run(scenario, workers=1, output=tmp_path / "r", report=False), scenario))
    assert len(hints) == n_hints
    for shown in hints:
        assert "strategy 'modnn' answers" in shown
        assert "at p = 0.01" in shown
        assert all(remedy in shown for remedy in ("`transport: arq`", "`transport: tcp`", "`partial: use`"))


@pytest.mark.parametrize(("admission_limit", "n_warnings"), [(None, 1), (1, 0)])
def test_devices_over_their_memory_are_a_warning(admission_limit: int | None, n_warnings: int, tmp_path: Path) -> None:
    """100 requests at once, over two and four workers: the hub holds what it sends for all of them, and has the memory for a few."""
    load = {"arrivals": {"type": "periodic", "period": "1 us"}, "requests": 100, "admission_limit": admission_limit}
    profile = {"extends": "wearable", "memory": "200 kB"}
    scenario = es.Scenario.from_data({
        **SCENARIO, "replications": 1, "failures": {}, "sweep": {"workers": {"path": "topology.star.count", "values": [2, 4]}}, "profiles": {"small": profile},
        "topology": {"star": {**SCENARIO["topology"]["star"], "profile": "small"}},
        "workload": {**SCENARIO["workload"], "load": {key: value for key, value in load.items() if value is not None}},
        "strategies": {"modnn": {"owner": "hub", "workers": "w*"}},
    })  # fmt: skip
    warnings = list(overfull(es.run(scenario, workers=1, output=tmp_path / "r", report=False), scenario))
    assert len(warnings) == n_warnings
    for shown in warnings:
        assert "with strategy 'modnn' device 'hub' needs" in shown
        assert "has 200 kB" in shown
