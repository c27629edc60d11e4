"""Strategies that do not fit a device's memory: a row that says so everywhere, and the others go on."""

from __future__ import annotations

import json
import sys
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import edgesim as es
from edgesim.cli import main as cli
from edgesim.errors import InfeasiblePlanError
from edgesim.interfaces import Silent
from edgesim.report.answer import answer
from edgesim.report.table import tables, too_large
from edgesim.study.changes.latency import explain_latency

NEEDED = 132_800
"""Peak memory of the small CNN on one device: weights and the two largest tensors alive."""
SCENARIO: dict[str, Any] = {
    "name": "unfit",
    "replications": 20,
    "topology": {"star": {"count": 2, "profile": "wearable", "hub_profile": "small", "bandwidth": "1 Mbit/s", "latency": "2 ms"}},
    "profiles": {"small": {"extends": "wearable", "memory": "20 kB"}},
    "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"single": {"device": "hub"}, "away": {"type": "single", "device": "w1"}},
    "sweep": {"memory": {"path": "profiles.small.memory", "values": ["20 kB", "132800 B"]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> es.Result:
    return es.run(es.Scenario.from_data(SCENARIO), workers=1, output=tmp_path_factory.mktemp("results") / "r")


def test_what_does_not_fit_is_a_row_and_the_others_are_simulated(result: es.Result) -> None:
    """The bytes that are needed and there; one byte of memory decides."""
    assert result.infeasible().to_dict(orient="records") == [
        {"memory": "20 kB", "strategy": "single", "device": "hub", "needed_byte": NEEDED, "available_byte": 20_000}
    ]
    rows = {
        place: dict(zip(of["metric"], of["mean"], strict=True))
        for place, of in result.summary().groupby(["memory", "strategy"])
    }
    unfit = rows.pop(("20 kB", "single"))
    assert {name: value for name, value in unfit.items() if not isnan(value)} == {
        "peak_memory": NEEDED,
        "memory_available": 20_000,
    }
    assert len(rows) == 3
    assert not any(isnan(value) for of in rows.values() for value in of.values())
    assert [list(of) for of in rows.values()] == [list(unfit)[:-1]] * 3
    assert result.intact()["outcome"].tolist() == ["infeasible", "completed", "completed", "completed"]
    assert len(result.frame()) == 3 * 20


def test_tables_and_report_say_that_it_does_not_fit(result: es.Result) -> None:
    """In place of every number; what does not fit is never best."""
    costs, misfits = tables(result)[:2]
    assert costs.rows[0] == ("single", *["no fit"] * 7)
    assert not [cell for cell in costs.best if cell[0] == 0]
    assert misfits.rows == (("20 kB", "single", "hub", "133 kB", "20 kB"),)
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "single does not fit" in page
    assert "nan" not in page.partition('<section aria-labelledby="assumptions">')[0].lower().replace("resonan", "")


def test_the_answer_names_places_where_there_are_others(result: es.Result, tmp_path: Path) -> None:
    """What fits at one of two points is said to be missing at the other; what fits at none needs no places."""
    assert "What does not fit: single at memory 20 kB." in answer(result)
    nowhere = {**SCENARIO, "sweep": {"memory": {"path": "profiles.small.memory", "values": ["20 kB", "30 kB"]}}}
    assert "What does not fit: single." in answer(
        es.run(es.Scenario.from_data(nowhere), workers=1, output=tmp_path / "r", report=False)
    )


def test_what_fits_nowhere_is_one_line() -> None:
    """Of two strategies at two points: one fits nowhere and needs the same, the other once, with two needs."""
    row = {"device": "hub", "available_byte": 10_000}
    rows = [("1", "single", 20_000), ("2", "single", 20_000), ("1", "cut", 15_000)]
    infeasible = pd.DataFrame([{"k": k, "strategy": name, **row, "needed_byte": byte} for k, name, byte in rows])
    infeasible = infeasible[["k", "strategy", "device", "needed_byte", "available_byte"]]
    assert too_large(infeasible, 2).rows == (
        ("all", "single", "hub", "20 kB", "10 kB"),
        ("1", "cut", "hub", "15 kB", "10 kB"),
    )


def test_figures_say_that_it_does_not_fit(result: es.Result) -> None:
    """A cross at the foot where the axis is the factor; the bytes beside the axis of strategies."""
    crosses = [line for line in result.plot_resilience().lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [len(line.get_xdata()) for line in crosses] == [1]
    for ax in (result.plot_energy(), result.plot_memory()):
        assert "does not fit: needs 133 kB, has 20 kB" in [text.get_text() for text in ax.texts]
    assert "does not fit" in [text.get_text() for text in result.plot_budget().texts]
    assert {text.get_text() for text in result.plot_tradeoff().texts} == {"single", "away"}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["edgesim", "run", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_the_command_goes_on_with_exit_code_1_and_refuses_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One where some fits, whether it is run or shown again; 2 where nothing fits, and nothing is written."""
    path, folder = tmp_path / "s.json", tmp_path / "r"
    path.write_text(json.dumps(SCENARIO), encoding="utf-8")
    for _ in range(2):
        assert run(monkeypatch, str(path), "--output", str(folder), "--json") == 1
        shown = capsys.readouterr()
        assert json.loads(shown.out)["infeasible"][0]["needed_byte"] == NEEDED
        assert "'single' does not fit at memory = 20 kB: 'hub' needs 133 kB and has 20 kB" in shown.err
    path.write_text(
        json.dumps({**SCENARIO, "strategies": {"single": {"device": "hub"}}, "sweep": {}}), encoding="utf-8"
    )
    assert run(monkeypatch, str(path), "--output", str(tmp_path / "no")) == 2
    assert "needs 132800 byte but has 20000 byte" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_study_grows_where_something_does_not_fit(tmp_path: Path) -> None:
    """It has the bytes of a study begun with the larger number."""
    small, large = (es.Scenario.from_data({**SCENARIO, "replications": n}) for n in (10, 25))
    es.run(small, workers=1, output=tmp_path / "grown", report=False)
    es.run(large, workers=1, output=tmp_path / "grown", report=False)
    es.run(large, workers=1, output=tmp_path / "whole", report=False)
    for name in ("summary.csv", "budget.csv", "differences.csv", "timeline.json"):
        assert (tmp_path / "grown" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_dominates_the_latency_is_said_of_the_others() -> None:
    """The one that does not fit says so."""
    single, away = explain_latency(es.Scenario.from_data(SCENARIO), {}, (), Silent())
    assert single.sentence() == (
        "single at memory = 20 kB: it does not fit: device 'hub' needs 132800 byte but has 20000 byte; use a smaller model, more devices, or "
        "a device with more memory."
    )
    assert "largest part" in away.sentence()


def test_an_error_of_several_devices_survives_a_process() -> None:
    """Its text is its own."""
    error = InfeasiblePlanError("w1, w2", 9, 5, "no room; take more")
    kind, arguments = error.__reduce__()[:2]
    assert str(kind(*arguments)) == "no room; take more"
