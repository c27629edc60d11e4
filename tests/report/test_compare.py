"""Two results side by side: differences that a reader can subtract, paired or not, in tables, CSV and a page."""

from __future__ import annotations

import json
import sys
from io import StringIO
from math import hypot, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import edgesim as es
from edgesim.cli import main as cli
from edgesim.errors import ResultError, UnknownNameError
from edgesim.report.compare import compare, comparison_tables, what_differs
from edgesim.report.html.comparison import comparison
from edgesim.study.tables.statistics import Estimate, student
from edgesim.study.tables.two_results import paired, unpaired

SCENARIO: dict[str, Any] = {
    "name": "compared",
    "replications": 60,
    "topology": {"star": {"count": 2, "profile": "wearable", "bandwidth": "1 Mbit/s", "latency": "2 ms"}},
    "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"modnn": {"owner": "hub", "workers": "w*"}, "single": {"device": "hub"}},
    "failures": {"slow": {"type": "log-normal", "sigma": 0.5}},
    "sweep": {"sigma": {"path": "failures.slow.sigma", "values": [0.5, 1]}},
}


def made(folder: Path, **changes: Any) -> es.Result:
    return es.run(es.Scenario.from_data(SCENARIO | changes), workers=1, output=folder, report=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[es.Result, es.Result, es.Result]:
    """A study; the same on faster links, with more replications and one strategy; and with another seed."""
    folder = tmp_path_factory.mktemp("results")
    fast = {**SCENARIO["topology"]["star"], "bandwidth": "2 Mbit/s"}
    modnn = {"modnn": SCENARIO["strategies"]["modnn"]}
    return (
        made(folder / "a"),
        made(folder / "b", topology={"star": fast}, strategies=modnn, replications=80, sweep={"sigma": {**SCENARIO["sweep"]["sigma"], "values": [1, 2]}}),
        made(folder / "c", seed=2),
    )  # fmt: skip


def test_results_of_one_seed_are_paired(results: tuple[es.Result, es.Result, es.Result]) -> None:
    """By hand: the mean of the differences of the 60 replications that both have, and Student's interval."""
    first, second, _ = results
    found = compare(first, second)
    assert set(found["strategy"]) == {"modnn"}
    assert set(found["sigma"]) == {1}
    row = found[found["metric"] == "latency"].iloc[0]
    one, other = (
        frame[(frame["sigma"].astype(float) == 1) & (frame["strategy"] == "modnn")].sort_values("replication")["latency_s"].to_numpy()[:60]
        for frame in (first.frame(), second.frame())
    )  # fmt: skip
    expected = student(other - one)
    assert (row["draws"], row["n"]) == ("same", 60)
    assert row["difference"] == pytest.approx(expected.value)
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    apart = unpaired(student(one), student(other))
    assert expected.high - expected.low < 0.5 * (apart.high - apart.low)
    memory = found[found["metric"] == "peak_memory"].iloc[0]
    assert (memory["draws"], memory["difference"], memory["ci_low"]) == ("exact", 0, 0)


def test_results_of_other_seeds_are_not_paired(results: tuple[es.Result, es.Result, es.Result]) -> None:
    """The interval is made of those in both summaries; a factor's values are compared with --by."""
    first, _, third = results
    found = compare(first, third, by="sigma").set_index(["sigma", "strategy", "metric"])
    row = found.loc[(1, "modnn", "latency")]
    one, other = (
        result.summary().set_index(["sigma", "strategy", "metric"]).loc[(1, "modnn", "latency")]
        for result in (first, third)
    )
    above = hypot(other["ci_high"] - other["mean"], one["mean"] - one["ci_low"])
    assert row["draws"] == "other"
    assert row["difference"] == pytest.approx(other["mean"] - one["mean"])
    assert row["ci_high"] == pytest.approx(row["difference"] + above)
    with pytest.raises(UnknownNameError, match="seed"):
        compare(first, third, by="seed")


def test_what_an_estimate_allows_for_stays_in_the_difference() -> None:
    """An interval of the table that goes 0.5 below the plain one widens the difference above; one without a bound leaves it without."""
    ones = np.ones(4)
    values = np.array([1.0, 2.0, 3.0, 4.0])
    plain = student(values)
    other = values + np.array([1.0, 1.5, 1.2, 2.0])
    difference, wide = student(other - values), Estimate(plain.value, plain.low - 0.5, plain.high, 4)
    found = paired((values, ones), (other, ones), (wide, student(other)))
    assert (found.low, found.high) == (pytest.approx(difference.low), pytest.approx(difference.high + 0.5))
    found = paired((values, ones), (other, ones), (Estimate(plain.value, nan, plain.high, 4), student(other)))
    assert isnan(found.high)
    assert found.low == pytest.approx(difference.low)


def test_unpaired_intervals_hold_their_difference() -> None:
    """Of 2,000 pairs of small normal samples 93.5 to 97.5 % (Student's intervals, so rather more than 95 %)."""
    rng = np.random.default_rng(5)
    held = [
        (found := unpaired(student(rng.normal(1, 1, 12)), student(rng.normal(3, 2, 12)))).low <= 2 <= found.high
        for _ in range(2000)
    ]
    assert 0.935 < np.mean(held) < 0.975


def test_tables_and_page_say_what_differs(results: tuple[es.Result, es.Result, es.Result]) -> None:
    """A word for what the interval says, and where the scenarios differ."""
    first, second, third = results
    assert what_differs(first, third) == "seed: 1 in A, 2 in B"
    (table,) = comparison_tables(compare(first, second), first, ["latency"])
    assert table.rows[0][:2] == ("1", "modnn")
    assert table.rows[0][-1] == "less"
    assert "paired: the same draws" in table.note
    page = comparison(first, second)
    assert "topology.star.bandwidth: 1000000 bit/s in A, 2000000 bit/s in B" in page
    assert page.count("<svg") == 4
    with pytest.raises(ResultError, match="no strategy at a factor point in common"):
        compare(second, _other(second))


def _other(result: es.Result) -> es.Result:
    scenario = {**SCENARIO, "strategies": {"alone": {"type": "single", "device": "hub"}}}
    return es.run(es.Scenario.from_data(scenario), workers=1, output=result.folder.parent / "other", report=False)


def test_the_command_writes_tables_csv_json_and_a_page(
    results: tuple[es.Result, es.Result, es.Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same numbers in each."""
    first, second, _ = (str(one.folder) for one in results)
    monkeypatch.chdir(tmp_path)

    def shown(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["edgesim", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code
        return capsys.readouterr().out

    assert "paired: the same draws" in shown("results", "compare", first, second)
    csv = pd.read_csv(StringIO(shown("results", "compare", first, second, "--metric", "latency", "--csv")))
    as_json = json.loads(shown("results", "compare", first, second, "--metric", "latency", "--json", "--by", "sigma"))
    assert csv["difference"].tolist() == [row["difference"] for row in as_json]
    assert shown("report", first, second) == "compare.html\n"
    assert "<svg" in Path("compare.html").read_text(encoding="utf-8")
