"""``edgesim repeat``: a result that was moved is repeated from its folder alone, with the same bytes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import edgesim as es
from edgesim.cli import main as cli
from edgesim.cli.studies.repeat import differing_files
from edgesim.study.folder.contents import file_entries
from edgesim.study.folder.manifest_file import read_manifest, write_manifest

SCENARIO = """
name: moved
replications: 30
topology: {star: {count: 2, profile: wearable, bandwidth: 1 Mbit/s, latency: 2 ms}}
workload:
  {input: [1, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub, load: {arrivals: {type: trace, file: times.csv}}}
strategies: {modnn: {owner: hub, workers: "w*", on_missing: degrade, step_deadline: 1 s}}
failures: {loss: {type: packet-loss, probability: 0.1}}
"""


def repeat(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["edgesim", "repeat", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_a_moved_result_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its scenario and the file of arrivals are gone; what differs is named."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "times.csv").write_text("time_s\n0.1\n0.2\n", encoding="utf-8")
    (tmp_path / "here" / "s.yaml").write_text(SCENARIO, encoding="utf-8")
    made = es.run(es.Scenario.load(tmp_path / "here" / "s.yaml"), workers=1, output=tmp_path / "here" / "r")
    shutil.move(made.folder, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "here")
    assert repeat(monkeypatch, str(tmp_path / "elsewhere"), "-q") == 0
    assert "same bytes" in capsys.readouterr().out
    first, again = es.Result(tmp_path / "elsewhere"), es.Result(tmp_path / "elsewhere-repeated")
    assert (first.folder / "summary.csv").read_bytes() == (again.folder / "summary.csv").read_bytes()
    assert differing_files(first, again) == []
    assert repeat(monkeypatch, str(tmp_path / "elsewhere"), "--output", str(tmp_path / "elsewhere")) == 2

    about = read_manifest(first.folder)
    about["versions"]["numpy"] = "0.1"
    path = first.folder / "summary.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    about["files"] = file_entries(first.folder)
    write_manifest(first.folder, {key: value for key, value in about.items() if key != "seal"})
    assert repeat(monkeypatch, str(first.folder), "-q") == 1
    shown = capsys.readouterr().err
    assert "other bytes than in" in shown
    assert "summary.csv; made with other releases: numpy 0.1 there" in shown
    assert json.loads((again.folder / "manifest.json").read_text(encoding="utf-8"))["status"] == "complete"
