"""What `edgesim plot` takes, LaTeX tables, and BibTeX."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib.image as mpl_image
import pytest

import edgesim as es
from edgesim.cli import main as cli
from edgesim.report.result import Result
from edgesim.report.where import At

SCENARIO: dict[str, Any] = {
    "name": "drawn",
    "replications": 20,
    "topology": {"star": {"count": 2, "profile": "wearable", "bandwidth": "1 Mbit/s", "latency": "2 ms"}},
    "workload": {"input": [1, 8, 8], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"single": {"device": "hub"}, "modnn": {"owner": "hub", "workers": "w*"}},
    "failures": {"slow": {"type": "log-normal", "sigma": 0.2}},
    "sweep": {
        "sigma": {"path": "failures.slow.sigma", "values": [0.2, 0.5]},
        "rate": {"path": "topology.star.bandwidth", "values": ["1 Mbit/s", "10 Mbit/s"]},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result with two factors."""
    return es.run(es.Scenario.from_data(SCENARIO), workers=1, output=tmp_path_factory.mktemp("results") / "r").folder


def edgesim(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["edgesim", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_other_values_of_factors_are_drawn(folder: Path) -> None:
    """In place of the first; an unknown one names what there is."""
    result = Result(folder)
    first, other = (
        one.plot_energy().containers[1][0].get_xdata()[0] for one in (result, At(result, {"rate": "10 Mbit/s"}))
    )
    rows = (
        result.summary().query("metric == 'energy' and strategy == 'modnn' and sigma == 0.2").set_index("rate")["mean"]
    )
    assert (first, other) == (pytest.approx(rows["1 Mbit/s"]), pytest.approx(rows["10 Mbit/s"]))
    assert "rate = 10 Mbit/s" in At(result, {"rate": "10 Mbit/s"}).plot_energy().get_title(loc="left")
    assert set(At(result, {"sigma": "0.50"}).frame()["sigma"].astype(float)) == {0.5}


def test_plot_takes_factor_metric_limits_and_width(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page is 7.16 inches of 300 pixels wide, a column 3.5."""
    drawn = (
        "plot",
        str(folder),
        "--kind",
        "resilience",
        "--x",
        "rate",
        "--metric",
        "energy",
        "--output",
        str(tmp_path / "a.png"),
    )
    for width, n_pixels in (("column", 1050), ("page", 2148)):
        assert edgesim(monkeypatch, *drawn, "--width", width, "--limits", "1 mJ:2 J") == 0
        assert mpl_image.imread(tmp_path / "a.png").shape[1] == n_pixels
    for wrong, message in (
        (("--limits", "5"), "is no LOW:HIGH"),
        (("--limits", "2 J:1 J"), "does not go up"),
        (("--width", "wide"), "none of column and page"),
        (("--where", "rate"), "is no factor and value"),
        (("--where", "rate=3 Mbit/s"), "unknown value of rate"),
        (("--x", "speed"), "unknown factor"),
    ):
        assert edgesim(monkeypatch, *drawn, *wrong) == 2
        assert message in capsys.readouterr().err.replace("\n", " ").replace("│", "").replace("  ", " ")
    assert edgesim(monkeypatch, "plot", str(folder), "--kind", "energy", "--metric", "latency") == 2


def test_tables_in_latex(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To a file or stdout; what LaTeX would obey is escaped, and braces and environments are closed."""
    assert edgesim(monkeypatch, "results", "export", str(folder), "--format", "latex") == 0
    text = capsys.readouterr().out
    assert edgesim(monkeypatch, "results", "export", str(folder), str(tmp_path / "t.tex")) == 0
    assert (tmp_path / "t.tex").read_text(encoding="utf-8") == text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == text.count(r"\toprule") > 0
    assert text.count("{") == text.count("}")
    assert "%" not in text.replace(r"\%", "").replace("% needs", "")
    assert edgesim(monkeypatch, "results", "export", str(folder)) == 2


def test_bibtex(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The tool, the study by its hash, and the paper of MoDNN with its DOI."""
    assert edgesim(monkeypatch, "cite", str(folder)) == 0
    text = capsys.readouterr().out
    assert text.startswith("@software{edgesim,\n  title = {edgesim: ")
    assert f"scenario {Result(folder).manifest['hash'][:16]}" in text
    assert "@misc{ref-modnn," in text
    assert "  doi = {10.23919/DATE.2017.7927211}\n" in text
    assert text.count("{") == text.count("}")
