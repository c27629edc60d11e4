"""Goals of a scenario: which strategies meet them, where, and how surely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import edgesim as es
from edgesim.errors import PlanError, ScenarioError
from edgesim.report.answer import answer
from edgesim.report.goals import all_tables
from edgesim.report.result import Result

SCENARIO: dict[str, Any] = {
    "name": "goals",
    "replications": 40,
    "topology": {"star": {"count": 2, "profile": "wearable", "bandwidth": "1 Mbit/s", "latency": "2 ms"}},
    "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"single": {"device": "hub"}, "modnn": {"owner": "hub", "workers": "w*"}},
    "failures": {"loss": {"type": "packet-loss", "probability": 0}},
    "sweep": {"p": {"path": "failures.loss.probability", "values": [0, 0.02, 0.5]}},
}
GOALS = {"latency": "<= 200 ms", "answered": ">= 80 %"}


def test_verdicts_follow_from_the_intervals(tmp_path: Path) -> None:
    """One device is fast and never silent; the cut network answers all, then perhaps enough, then nearly nothing. Goals change no trial."""
    made = es.run(es.Scenario.from_data(SCENARIO), workers=1, output=tmp_path / "r", report=False)
    before = made.frame()
    es.run(es.Scenario.from_data({**SCENARIO, "goals": GOALS}), workers=1, output=tmp_path / "r", report=False)
    result = Result(tmp_path / "r")
    assert result.frame().equals(before)
    rows = result.summary().query("metric == 'answered' and strategy == 'modnn'").set_index("p")
    assert rows.loc[0.5, "exact"] < 0.01 or pd.isna(rows.loc[0.5, "exact"])
    table = all_tables(result)[0]
    assert (table.title, table.headers) == (
        "Goals",
        ("p", "strategy", "latency\n<= 200 ms", "answered\n>= 80 %", "all"),
    )
    found = {line[:2]: line[-1] for line in table.rows}
    assert [found[p, "single"] for p in ("0", "0.02", "0.5")] == ["met"] * 3
    assert found["0", "modnn"] == "met"
    assert found["0.02", "modnn"] in {"likely", "unlikely", "not met"}
    assert found["0.5", "modnn"] == "not met"
    text = answer(result)
    assert (
        "Of the goals (latency <= 200 ms, answered >= 80 %): single meets all everywhere; modnn meets all at p 0, "
        in text
    )
    assert "misses some at p" in text


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        ({"latncy": "<= 5 ms"}, "no metric 'latncy'; nearest 'latency'"),
        ({"latency": "5 ms"}, "'5 ms' is no goal of latency; write a bound such as '<= 5 ms'"),
        ({"latency": "<= 5"}, "'<= 5' is no goal of latency"),
        ({"accuracy": ">= 5 ms"}, "'>= 5 ms' is no goal of accuracy"),
    ],
)
def test_goals_that_are_none_are_findings(goals: dict[str, str], message: str) -> None:
    """They say what is expected."""
    with pytest.raises(ScenarioError) as error:
        es.Scenario.from_data({**SCENARIO, "goals": goals})
    assert message in str(error.value)


def test_a_goal_needs_its_metric(tmp_path: Path) -> None:
    """Before anything is simulated; without samples there is no accuracy, with single requests no throughput."""
    for goal in ({"accuracy": ">= 95 %"}, {"throughput": ">= 5 /s"}):
        with pytest.raises(PlanError, match="goals: the study has no metric"):
            es.run(es.Scenario.from_data({**SCENARIO, "goals": goal}), workers=1, output=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_goals_leave_the_hash_of_scenarios_without_any() -> None:
    """What was published keeps its hash; goals change it."""
    assert "goals" not in es.Scenario.from_data(SCENARIO).resolved()
    assert es.Scenario.from_data({**SCENARIO, "goals": GOALS}).hash() != es.Scenario.from_data(SCENARIO).hash()
