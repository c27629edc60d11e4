"""`edgesim validate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesim.cli.validate import validate

ROOT = Path(__file__).parents[2]
VALID = ROOT / "scenarios" / "wearables.yaml"
BROKEN = ROOT / "tests" / "data" / "broken"


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_scenario_is_valid(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, one line on stdout, nothing on stderr."""
    assert validate([path]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{path}: valid, ")
    assert shown.err == ""


def test_the_size_of_the_study_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anybody waits for it."""
    validate([VALID])
    assert "5 strategies x 8 points x 400 replications = 16,000 trials" in capsys.readouterr().out


def test_all_files_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken or missing file does not hide the others; findings on stdout, their number on stderr, exit code 2."""
    assert validate([BROKEN / "five_mistakes.yaml", tmp_path / "none.yaml", VALID]) == 2
    shown = capsys.readouterr()
    assert shown.out.count("\n    5 | ") == 1
    assert f"{tmp_path / 'none.yaml'}: no such file" in shown.out
    assert f"{VALID}: valid" in shown.out
    assert shown.err == "6 findings in 2 files\n"


def test_json_has_one_record_per_file(capsys: pytest.CaptureFixture[str]) -> None:
    """For editors and scripts."""
    assert validate([VALID, BROKEN / "disconnected.yaml"], is_json=True) == 2
    valid, broken = json.loads(capsys.readouterr().out)
    assert (valid["is_valid"], valid["findings"]) == (True, [])
    (finding,) = broken["findings"]
    assert (finding["line"], finding["column"], finding["path"]) == (5, 12, ["topology", "devices", 1, "id"])
    assert "w3" in finding["message"]


ODD = """\
name: odd
profiles: {tiny: {extends: wearable, memory: 20 kB}}
topology:
  star: {count: 3, profile: tiny, hub_profile: phone, bandwidth: 1 Mbit/s, latency: 30 ms}
workload: {dataset: digits, model: small-cnn, source: hub, sink: hub, deadline: 9 ms}
strategies:
  single: {device: w1}
  nonn: {students: 3, devices: "w*", merger: hub, deadline: 10 ms}
failures:
  nobody: {type: exactly-k, targets: "w*", k: 0}
"""


def test_odd_scenarios_are_valid_with_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr with their lines; exit code 0; --deep finds what does not fit and what comes too late."""
    path = tmp_path / "odd.yaml"
    path.write_text(ODD, encoding="utf-8")
    assert validate([path]) == 0
    shown = capsys.readouterr().err
    assert shown.count("warning: ") == 2
    assert (
        f"{path}:8:61: no answer of another device can reach 'hub' in time: messages from 'hub' and on to 'hub' take 60.1 ms"
        in shown
    )
    assert validate([path], is_deep=True) == 0
    shown = capsys.readouterr().err
    assert f"{path}:7:3: it does not fit: device 'w1' needs" in shown
    assert f"{path}:8:3: it goes on without inputs that come after its own deadline" in shown
    assert f"{path}:8:3: it needs" in shown


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_broken_scenarios_end_with_2_and_no_traceback(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, at least thirty."""
    assert len(list(BROKEN.glob("*.yaml"))) >= 30
    assert validate([path]) == 2
    assert "Traceback" not in capsys.readouterr().out
