"""`edgesim validate`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgesim.cli.scenarios.validate import validate

ROOT = Path(__file__).parents[2]
VALID = ROOT / "scenarios" / "wearables.yaml"
BROKEN = ROOT / "tests" / "data" / "broken"
DATA_ARE_MISSING = re.compile(r"data set \S+ is not there(; looked in |: .+; get it with: )")
"""A warning that is right where data are not on this machine: it says where they would be, or how to get them."""


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_scenario_is_valid(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, one line on stdout, nothing on stderr but where a data set is that this machine lacks."""
    assert validate([path]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{path}: valid, ")
    warnings = [line for line in shown.err.splitlines() if line.startswith("warning: ")]
    assert [line for line in warnings if not DATA_ARE_MISSING.search(line)] == []


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


SHAPES = """
name: shapes
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s}}
workload: {input: [1, 8, 8], classes: 3, model: small-cnn, source: hub, sink: hub}
strategies:
  single: {device: hub}
  cut: {type: modnn, owner: hub, workers: "w*"}
  pruned: {type: modnn, owner: hub, workers: "w*", pruning: 0.5}
  ensemble: {students: 2, devices: "w*"}
  nonn: {students: 2, devices: "w*"}
  resilient: {students: 2, parts: 1, devices: "w*"}
"""


def test_strategies_that_learn_need_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A workload with a shape only: `run` would refuse them, so `validate` does; what only divides the network is fine."""
    path = tmp_path / "shapes.yaml"
    path.write_text(SHAPES)
    assert validate([path]) == 2
    out = capsys.readouterr().out
    for label in ("pruned", "ensemble", "nonn", "resilient"):
        assert (
            f"\n   {SHAPES.splitlines().index(next(one for one in SHAPES.splitlines() if one.startswith(f'  {label}:'))) + 1:2} | "
            in out
        )
    assert out.count("it learns from samples, but the workload has none, only their shape") == 4


def test_a_rehearsal_that_fails_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More parts than filters: exit code 2, in JSON too, and other files are still checked."""
    path = tmp_path / "parts.yaml"
    text = SHAPES[: SHAPES.index("strategies:")].replace("input: [1, 8, 8], classes: 3", "dataset: digits")
    text = text.replace("model: small-cnn", "model: {type: small-cnn, channels: [4, 1], pool_after: 0}")
    path.write_text(text + "strategies: {nonn: {students: 2, devices: 'w*'}}\n")
    assert validate([path]) == 0
    capsys.readouterr()
    assert validate([path, VALID], is_json=True, is_deep=True) == 2
    parts, valid = json.loads(capsys.readouterr().out)
    (finding,) = parts["findings"]
    assert finding["message"] == "strategy 'nonn': 1 filters cannot be divided into 2 parts"
    assert "use fewer students or parts" in finding["help"]
    assert valid["is_valid"]


def test_a_rehearsal_names_all_strategies_that_cannot_be_distributed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Layers that are not there: a finding on the line of each strategy, with the remedy behind it."""
    path = tmp_path / "cuts.yaml"
    text = SHAPES[: SHAPES.index("strategies:")] + "strategies:\n  single: {device: hub}\n"
    path.write_text(
        text
        + "".join(f"  {label}: {{type: chain, devices: [hub, w1], cuts: [{label}]}}\n" for label in ("first", "second"))
    )
    assert validate([path]) == 0
    capsys.readouterr()
    assert validate([path], is_json=True, is_deep=True) == 2
    (found,) = json.loads(capsys.readouterr().out)
    n_before = len(text.splitlines())
    assert [(one["line"], one["message"].split(";")[0]) for one in found["findings"]] == [
        (n_before + place, f"chain.cuts: the network has no layer '{label}'")
        for place, label in ((1, "first"), (2, "second"))
    ]
    assert all("its layers are" in one["help"] for one in found["findings"])
