"""The tables as plain texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import edgesim as es
from edgesim.cli.main import app
from edgesim.domain.metrics import METRICS
from edgesim.report.answer import answer
from edgesim.report.table import WIDTH, Cell, Writer, _best, _share_between, costs, levels, tables
from edgesim.tasks.scores import SCORES
from edgesim.units import show

COLUMNS = ["lost", "strategy", "metric", "unit", "mean", "ci_low", "ci_high", "n", "exact"]
NAN = float("nan")

ACCURACY = SCORES["accuracy"]


def summary(n_levels: int = 2, strategy: str = "nonn") -> pd.DataFrame:
    """One strategy with traffic, latency and accuracy at some levels of loss."""
    rows = []
    for lost in range(n_levels):
        for metric, unit, mean, half in (
            ("accuracy", "1", 0.95 - 0.01 * lost, 0.005 * lost),
            ("latency", "s", 0.02, 0.0002),
            ("latency_p95", "s", 0.1, NAN),
            ("traffic_input", "byte", 2048, 0),
            ("traffic_intermediate", "byte", 0, 0),
            ("traffic_result", "byte", 220, 0),
            ("energy", "J", 0.0369, 0),
            ("peak_memory", "byte", 9960, 0),
        ):
            rows.append((lost, strategy, metric, unit, mean, mean - half, mean + half, 400, NAN))
    return pd.DataFrame(rows, columns=COLUMNS)


def test_costs_are_one_line_per_strategy_with_units() -> None:
    """Traffic in three parts, latency with its interval, and the accuracy with nothing lost."""
    intact = pd.DataFrame({"lost": [0], "strategy": ["nonn"], "accuracy": [0.989]})
    table = costs(summary(), intact, "lost", [ACCURACY])
    assert table.rows == (("nonn", "2.05 kB", "0 B", "220 B", "20 ms ±1 %", "100 ms", "36.9 mJ", "9.96 kB", "98.9 %"),)
    assert len(table.headers) == len(table.rows[0])
    assert "lost = 0" in table.title


def test_no_answer_is_said() -> None:
    """A strategy that never answers has no latency rather than a number."""
    silent = summary()
    silent.loc[silent["metric"].str.startswith("latency"), ["mean", "ci_low", "ci_high"]] = NAN
    intact = pd.DataFrame({"lost": [0], "strategy": ["nonn"], "accuracy": [0.0]})
    assert costs(silent, intact, "lost", [ACCURACY]).rows[0][4:6] == ("no answer", "no answer")


def test_levels_show_intervals_where_something_varies() -> None:
    """Percent, with half the interval; none at a level where nothing varies."""
    table = levels(summary(), "lost", ACCURACY, "Accuracy")
    assert table.headers == ("strategy", "0", "1")
    assert table.rows == (("nonn", "95.0", "94.0 ±0.5"),)


def test_levels_fit_the_width_and_say_what_they_leave_out() -> None:
    """Of 40 levels those are shown that fit, the first and the last among them."""
    table = levels(summary(40, "a-strategy-with-a-long-name"), "lost", ACCURACY, "Accuracy")
    assert table.headers[1] == "0"
    assert table.headers[-1] == "39"
    widths = [max(len(cell) for cell in column) + 1 for column in zip(table.headers, *table.rows, strict=True)]
    assert sum(widths) <= WIDTH
    assert table.note == f"{len(table.headers) - 1} of 40 values of lost shown; summary.csv has all"


def test_other_factors_make_lines() -> None:
    """A second factor is shown as a column, not averaged over."""
    both = pd.concat([summary().assign(rate=rate) for rate in ("1 Mbit/s", "5 Mbit/s")])[["rate", *COLUMNS]]
    table = levels(both, "lost", ACCURACY, "Accuracy")
    assert [row[:2] for row in table.rows] == [("1 Mbit/s", "nonn"), ("5 Mbit/s", "nonn")]
    assert table.n_names == 2


def test_factors_that_move_together_are_one() -> None:
    """A second factor that has one value at each of the first makes no lines of its own, most of them empty."""
    moved = summary().assign(rate=lambda rows: rows["lost"].map({0: "1 Mbit/s", 1: "5 Mbit/s"}))[["rate", *COLUMNS]]
    table = levels(moved, "lost", ACCURACY, "Accuracy")
    assert table.headers == ("strategy", "0", "1")
    assert table.rows == (("nonn", "95.0", "94.0 ±0.5"),)


def test_intervals_of_shares_have_both_ends() -> None:
    """Wilson's interval reaches below 100 %, not above; the best is compared with its ends."""
    whole, half, less = Cell(1.0, 0.94, 1.0, "1"), Cell(0.75, 0.62, 0.85, "1"), Cell(0.93, 0.9, 0.945, "1")
    assert _share_between(whole) == "100.0 (94-100)"
    assert _share_between(half) == "75.0 (62-85)"
    assert _share_between(Cell(1.0, 1.0, 1.0, "1")) == "100.0"
    assert _best([[whole], [half], [less]], 1, {0}) == {(0, 1), (2, 1)}
    assert _best([[whole], [half], [less]], 1, set()) == {(1, 1)}


@pytest.mark.parametrize(
    ("half", "shown"),
    [(2.4, "±240 %"), (0.174, "±17 %"), (0.012, "±1 %"), (0.00042, "±0.04 %"), (1e-7, "±<0.01 %"), (0.0, "")],
)
def test_half_an_interval_has_no_exponent(half: float, shown: str) -> None:
    """Relative to a mean of one second, alone in its column."""
    one = Cell(1.0, 1.0 - half, 1.0 + half, "s")
    assert Writer.of(METRICS["latency"], [one])(one) == f"1 s {shown}".strip()
    for metric, size in ((ACCURACY, 0.1), (SCORES["mcc"], 1.0)):
        score = Cell(0.5, 0.5 - size * half, 0.5 + size * half, "1")
        assert "e" not in Writer.of(metric, [score])(score)


def written(metric: Any, means_and_halves: list[tuple[float, float]]) -> list[str]:
    column = [Cell(mean, mean - half, mean + half, metric.unit) for mean, half in means_and_halves]
    return list(map(Writer.of(metric, column), column))


def test_intervals_of_a_column_have_the_same_digits() -> None:
    """±0.0301 stood beside ±0.1: the longest one of a column says how many digits all have, down to a hundredth of the usual ones."""
    assert written(ACCURACY, [(0.974, 0.000301), (0.9, 0.001), (1.0, 0.0)]) == ["97.4 ±<0.1", "90.0 ±0.1", "100.0"]
    assert written(ACCURACY, [(0.97412, 0.000301), (0.97, 0.00002)]) == ["97.41 ±0.03", "97.00 ±<0.01"]
    assert written(ACCURACY, [(0.5, 1e-13), (0.5, 0.0)]) == ["50.0 ±<0.1", "50.0"]
    assert written(METRICS["latency"], [(0.2, 0.0002), (0.1, 0.02)]) == ["200 ms ±<1 %", "100 ms ±20 %"]
    assert written(SCORES["mcc"], [(0.5, 0.0002), (0.25, 0.04)]) == ["0.500 ±<0.001", "0.250 ±0.040"]


BANDWIDTH = """
name: bandwidth
replications: 2
topology:
  devices: [{id: hub, profile: phone}, {id: w1, profile: phone}]
  links: [{between: [hub, w1], bandwidth: 1 Mbit/s}]
workload: {input: [3, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
strategies: {here: {type: single, device: hub}, there: {type: single, device: w1}}
sweep: {bandwidth: {path: topology.links.0.bandwidth, values: [1 Mbit/s, 2 Mbit/s, 4 Mbit/s]}}
"""


def test_a_sweep_of_the_bandwidth_shows_the_latency_at_each_value(tmp_path: Path) -> None:
    """768 byte there and 40 back; in the table, and in a figure of the report."""
    result = es.run(es.Scenario.from_text(BANDWIDTH), workers=1, output=tmp_path / "r")
    computing_s = float(result.summary().query("metric == 'latency' and strategy == 'here'")["mean"].iloc[0])
    [table] = [one for one in tables(result) if one.title.startswith("Latency")]
    assert table.headers == ("strategy", "1 Mbit/s", "2 Mbit/s", "4 Mbit/s")
    expected = [show(computing_s + 8 * 808 / rate, "s") for rate in (1e6, 2e6, 4e6)]
    assert table.rows == (("here", *[show(computing_s, "s")] * 3), ("there", *expected))
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert 'id="latency-by-bandwidth"' in page
    assert f"there from {expected[0]} to {expected[2]}" in page
    shown = CliRunner().invoke(app, ["results", "show", str(result.folder)]).stdout
    assert answer(result).startswith("In latency at bandwidth 1 Mbit/s to 4 Mbit/s here is best")
    assert " ".join(shown.split()).startswith(answer(result))
    assert "ci_low" in shown
