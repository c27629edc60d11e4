"""Replications until the intervals are narrow enough."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.domain.stopping import Stopping, Target
from edgesim.errors import ScenarioError
from edgesim.scenario.scenario import Scenario


def test_targets_are_in_the_unit_of_the_metric_or_in_percent(small: dict[str, Any]) -> None:
    """A share is a bare number, a quantity has its unit; the rule survives being written and read."""
    small["replications"] = {"min": 300, "max": 9000, "until": {"accuracy": 0.01, "latency": "5 ms", "energy": "2.5 %"}}
    scenario = Scenario.from_data(small)
    targets = (Target("accuracy", 0.01, False), Target("latency", 0.005, False), Target("energy", 0.025, True))
    assert scenario.rule == Stopping(300, 9000, targets)
    assert Scenario.from_data(scenario.resolved()) == scenario
    assert scenario.with_(replications=50).rule == 50


@pytest.mark.parametrize(
    ("replications", "messages"),
    [
        ({"max": 10, "min": 20, "until": {"accuracy": 0.1}}, [".max: max is 10, below min, which is 20"]),
        (
            {
                "max": 500,
                "until": {"acuracy": 0.1, "latency": 3, "energy": "0 J", "accuracy": "1 s", "peak_memory": "1 %"},
            },
            [
                ".until.acuracy: no metric 'acuracy' with an interval; nearest 'accuracy'",
                ".until.latency: 3.0 is no width of latency; write '5 ms', or '5 %' of its value",
                ".until.energy: a width of '0 J' is never reached; it must be positive",
                ".until.accuracy: '1 s' is no width of accuracy; write a number such as 0.01, or '5 %' of its value",
                ".until.peak_memory: no metric 'peak_memory' with an interval",
            ],
        ),
        ({"max": 500, "until": {}}, [".until: 'until' has 0 entries"]),
        (0, [": 'replications' is the number 0"]),
    ],
)
def test_what_is_no_rule_is_told(small: dict[str, Any], replications: Any, messages: list[str]) -> None:
    """All mistakes at once, and nothing about the form that was not chosen."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_data(small | {"replications": replications})
    found = [f"{'.'.join(map(str, one.path))}: {one.message}" for one in caught.value.findings]
    assert sorted(found) == sorted(f"replications{message}" for message in messages)
