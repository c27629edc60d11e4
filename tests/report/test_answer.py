"""The answer in words: who is best where, by how much, and where the lead changes, from numbers that a reader can check."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from example import example
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

import edgesim as es
from edgesim.domain.metrics import METRICS
from edgesim.report.answer import answer, leads
from edgesim.report.html.page import page
from edgesim.report.result import Result
from edgesim.report.run import draw
from edgesim.tasks.scores import SCORES
from edgesim.units import show

NAN = float("nan")
ACCURACY = SCORES["accuracy"]


def tables(margins: list[tuple[float, float]], *, metric: str = "accuracy") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two strategies at several levels: by how much a is larger than b, 0.5, and half the interval of that."""
    means, pairs = [], []
    for level, (margin, half) in enumerate(margins):
        means += [(level, "a", metric, "1", 0.5 + margin, NAN), (level, "b", metric, "1", 0.5, NAN)]
        pairs.append((level, "b", "a", metric, -margin, -margin - half, -margin + half))
    return (
        pd.DataFrame(means, columns=["level", "strategy", "metric", "unit", "mean", "exact"]),
        pd.DataFrame(pairs, columns=["level", "strategy", "minus", "metric", "mean", "ci_low", "ci_high"]),
    )


def test_a_lead_needs_an_interval_that_leaves_zero_out() -> None:
    """a leads, then both are equal as far as the interval tells, then b leads; no bound is no lead."""
    found = leads(*tables([(0.1, 0.02), (0.01, 0.02), (-0.2, 0.05), (0.1, NAN)]), ACCURACY, "level")
    assert [set(lead.best) for lead in found] == [{"a"}, {"a", "b"}, {"b"}, {"a", "b"}]
    assert (found[0].second, found[0].margin, found[0].low) == ("b", pytest.approx(0.1), pytest.approx(0.08))
    assert (found[2].second, found[2].margin, found[2].high) == ("a", pytest.approx(0.2), pytest.approx(0.25))
    (less,) = leads(*tables([(0.1, 0.02)], metric="latency"), METRICS["latency"], "level")
    assert (less.best, less.margin) == (("b",), pytest.approx(0.1))


SCENARIO: dict[str, Any] = {
    "name": "answered",
    "question": "Alone, or together?",
    "replications": 200,
    "topology": {"star": {"count": 2, "profile": "wearable", "bandwidth": "100 Mbit/s"}},
    "workload": {"input": [3, 32, 32], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"single": {"device": "hub"}, "modnn": {"owner": "hub", "workers": "w*"}},
    "failures": {"slow": {"type": "log-normal", "sigma": 0.1, "devices": "w*"}},
    "sweep": {"rate": {"path": "topology.star.bandwidth", "values": ["1 Mbit/s", "1 Gbit/s"]}},
}


def test_the_answer_has_the_numbers_of_the_tables(tmp_path: Path) -> None:
    """Of a real study in which fast links make two devices faster than one: the lead changes, by the paired difference of differences.csv."""
    result = es.run(es.Scenario.from_data(SCENARIO), workers=1, output=tmp_path / "r", report=False)
    text = answer(Result(result.folder))
    rows = result.differences().query("metric == 'latency'").set_index("rate")
    slow, fast = (rows.loc[rate] for rate in ("1 Mbit/s", "1 Gbit/s"))
    assert slow["mean"] > 0 > fast["mean"]
    sentences = text.split(". ")
    assert sentences[0].startswith("In latency at rate 1 Mbit/s single is best, by")
    assert sentences[1].startswith("In latency at rate 1 Gbit/s modnn is best, by")
    assert sentences[2] == "The lead changes between 1 Mbit/s and 1 Gbit/s"
    assert f"by {show(slow['mean'], 's')} ±" in sentences[0]
    assert f"by {show(-fast['mean'], 's')} ±" in sentences[1]
    shown = page(Result(result.folder))
    assert f'<p class="answer">{text}</p>' in shown


def test_the_answer_of_the_example(tmp_path: Path) -> None:
    """By hand: 0.99 for single at all levels; modnn 0.98 at 0; nonn 0.97 - 3 x 0.12 at 3."""
    text = answer(example(tmp_path))
    assert text.startswith(
        "In accuracy at lost devices 0 to 3 single is best, by 1.0 points over modnn at 0 and 38.0 points over nonn at 3. "
        "The lead does not change. The least latency at lost devices 0: single, 4 ms, then nonn, 19 ms, 4.75 times that."
    )
    assert "nonn up to 10 % at lost devices 3" in text


def test_one_strategy_at_several_places_leads_nobody(tmp_path: Path) -> None:
    """Two factors and no differences between strategies: the page says where its numbers are, and nobody is best."""
    data = SCENARIO | {
        "replications": 1, "strategies": {"single": {"device": "hub"}}, "failures": {},
        "sweep": SCENARIO["sweep"] | {"more": {"path": "topology.star.latency", "values": ["1 ms", "2 ms"]}},
    }  # fmt: skip
    result = es.run(es.Scenario.from_data(data), workers=1, output=tmp_path / "r", report=False)
    assert answer(result) == ""
    assert "<html" in page(result)


def test_every_picture_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each file and for the page; laid out once for each pair of files and the page, and once more where labels look for places.

    `savefig` alone would draw each twice, and the page would have figures of its own.
    """
    result = es.run(
        es.Scenario.from_data(SCENARIO | {"replications": 2}), workers=1, output=tmp_path / "r", report=False
    )
    counts = Counter()

    def counted(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def counting(*values: Any) -> Any:
            counts[name] += 1
            return original(*values)

        monkeypatch.setattr(owner, name, counting)

    counted(Figure, "draw")
    counted(ConstrainedLayoutEngine, "execute")
    draw(result.folder)
    n_files = sum(path.suffix in {".png", ".svg"} for path in result.folder.iterdir())
    n_in_page = (result.folder / "report.html").read_text(encoding="utf-8").count("<svg role=")
    assert (n_files, n_in_page) == (4, 9)
    assert counts == {"draw": n_files + n_in_page, "execute": n_files / 2 + n_in_page + 2}
