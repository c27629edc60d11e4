"""Files that a scenario names: found from its own folder, and read into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesim.errors import ScenarioError
from edgesim.scenario.help.oddities import oddities
from edgesim.scenario.scenario import Scenario

TEXT = """
name: traced
topology: {star: {count: 2, profile: wearable, bandwidth: 10 Mbit/s}}
workload:
  {dataset: digits, model: small-cnn, source: hub, sink: hub, load: {arrivals: {type: trace, file: data/times.csv}}}
strategies: {single: {device: hub}}
"""


def write(folder: Path, times: str) -> Path:
    (folder / "data").mkdir()
    (folder / "data" / "times.csv").write_text(times)
    path = folder / "traced.yaml"
    path.write_text(TEXT)
    return path


def test_a_trace_is_read_from_the_folder_of_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any working directory; the times are part of the scenario's hash, the place of the file is not."""
    monkeypatch.chdir("/")
    path = write(tmp_path, "0.25\n1\n")
    scenario = Scenario.load(path)
    assert scenario.resolved()["workload"]["load"]["arrivals"] == {
        "type": "trace",
        "times": ["0.25 s", "1 s"],
        "file": "",
        "start": "zero",
    }
    assert Scenario.from_data(scenario.resolved()).hash() == scenario.hash()
    (tmp_path / "data" / "times.csv").write_text("0.25\n2\n")
    assert Scenario.load(path).hash() != scenario.hash()


def test_a_mistake_in_a_trace_is_one_finding(tmp_path: Path) -> None:
    """With the line in the scenario, and the line in the file."""
    path = write(tmp_path, "1\n0.5\n")
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path)
    (finding,) = caught.value.findings
    assert finding.line == 5
    assert "times.csv:2: the time 0.5 s is before the one above, 1.0 s; put the rows in order" in finding.message


def test_times_of_day_are_doubted_or_count_from_the_first(tmp_path: Path) -> None:
    """`start: first` leaves times from 0 in the resolved scenario; without it the time since 1970 is a warning."""
    path = write(tmp_path, "timestamp\n1285837093.1\n1285837093.35\n")
    (doubt,) = oddities(Scenario.load(path))
    assert doubt.path == ("workload", "load", "arrivals")
    assert doubt.remedy == "`start: first` counts from the first time"
    path.write_text(TEXT.replace("data/times.csv", "data/times.csv, start: first"))
    scenario = Scenario.load(path)
    arrivals = scenario.resolved()["workload"]["load"]["arrivals"]
    assert arrivals == {"type": "trace", "times": ["0 s", "0.25 s"], "file": "", "start": "zero"}
    assert oddities(scenario) == []
