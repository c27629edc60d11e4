"""Results in Python: opened by folder, drawn on axes of the caller or of their own, shown by notebooks."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from example import STRATEGIES, Example, example
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import edgesim as es
from edgesim.errors import ResultError, UnknownNameError
from edgesim.report.draw.style import COLOURS
from edgesim.report.result import KINDS
from edgesim.study.folder import store
from edgesim.study.folder.contents import file_entries
from edgesim.study.folder.manifest_file import read_manifest, write_manifest
from edgesim.study.folder.reading import read_table


@pytest.fixture
def result(tmp_path: Path) -> Example:
    """The example, all its trials in memory."""
    return example(tmp_path)


def unfinished(folder: Path) -> es.Result:
    """Make a study that was interrupted."""
    write_manifest(folder, {**read_manifest(folder), "status": "unfinished"})
    for name in ("summary.csv", "differences.csv"):
        (folder / name).unlink()
    return es.Result(folder)


def test_a_folder_is_a_path_or_a_text(result: Example) -> None:
    """And is equal either way."""
    assert es.Result(str(result.folder)) == es.Result(result.folder)
    assert es.Result(str(result.folder)).summary().equals(result.summary())


def test_a_folder_that_is_no_result_is_refused_at_once(tmp_path: Path) -> None:
    """Not at the first table."""
    with pytest.raises(ResultError, match="there is no folder"):
        es.Result(tmp_path / "none")


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_drawn_on_the_axes_that_it_is_given(kind: str, result: Example) -> None:
    """And on no other; without any, on a figure of its own."""
    figure = Figure()
    left, right = figure.subplots(1, 2)
    draw = getattr(result, f"plot_{kind}")
    assert draw(right) is right
    assert right.has_data()
    assert not left.has_data()
    assert draw(ax=None).figure is not figure


@pytest.mark.parametrize("kind", KINDS)
def test_a_notebook_shows_a_figure(kind: str, result: Example) -> None:
    """As a picture of twice the pixels of its width."""
    png, shown = getattr(result, f"plot_{kind}")()._repr_png_()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert abs(int.from_bytes(png[16:20], "big") - 2 * shown["width"]) <= 2


def test_ipython_finds_what_it_shows(result: Example) -> None:
    """By its own rules: tables for a result, a picture for axes."""
    core = pytest.importorskip("IPython.core.formatters")
    formatter = core.DisplayFormatter()
    assert "text/html" in formatter.format(result)[0]
    data, about = formatter.format(result.plot_energy())
    assert "image/png" in data
    assert about["image/png"]["width"] > 0


def test_figures_show_the_metric_and_the_factor_that_are_asked_for(result: Example) -> None:
    """By default accuracy, over the factor that changes failures."""
    assert result.plot_resilience().get_ylabel() == result.plot_tradeoff().get_ylabel() == "accuracy"
    ax = result.plot_resilience(metric="latency", factor="lost_devices")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lost devices", "latency")
    assert result.plot_tradeoff(metric="energy").get_ylabel() == "energy"


def test_a_timeline_is_of_the_strategy_that_is_asked_for(result: Example) -> None:
    """Each has one."""
    for name in STRATEGIES:
        legend = result.plot_timeline(strategy=name).get_legend()
        assert legend is not None
        assert legend.get_title().get_text() == name


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("resilience", {"factor": "lost_device"}, "unknown factor 'lost_device'; expected one of lost_devices; nearest"),
        ("tradeoff", {"factor": "speed"}, "unknown factor 'speed'; expected one of lost_devices"),
        ("resilience", {"metric": "accurcy"}, "unknown metric 'accurcy'; .*nearest 'accuracy'"),
        ("tradeoff", {"metric": 7}, "unknown metric 7; expected one of"),
        ("timeline", {"strategy": "non"}, "unknown strategy 'non'; expected one of single, modnn, nonn; nearest 'nonn'"),
    ],
)  # fmt: skip
def test_unknown_names_say_what_there_is(kind: str, arguments: dict[str, Any], message: str, result: Example) -> None:
    """And what is nearest."""
    with pytest.raises(UnknownNameError, match=message):
        getattr(result, f"plot_{kind}")(**arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_axes_is_refused(kind: str, result: Example) -> None:
    """A figure in their place is a common slip."""
    with pytest.raises(TypeError, match="ax: Figure given, matplotlib axes expected"):
        getattr(result, f"plot_{kind}")(Figure())


def test_without_a_sweep_there_is_no_resilience(result: Example) -> None:
    """It says what to sweep."""
    write_manifest(
        result.folder, {**result.manifest, "factors": [], "scenario": {**result.manifest["scenario"], "sweep": {}}}
    )
    with pytest.raises(ResultError, match="sweep a failure model"):
        es.Result(result.folder).plot_resilience()


def test_an_unfinished_study_says_how_it_goes_on(result: Example) -> None:
    """In errors, and in a notebook, where it is no error."""
    result = unfinished(result.folder)
    for read in (result.summary, result.plot_energy, result.differences):
        with pytest.raises(ResultError, match=r"not finished; go on with: edgesim run example\.yaml"):
            read()
    assert "<code>edgesim run example.yaml</code>" in result._repr_html_()


class Cells(HTMLParser):
    """The cells of tables, by row; refuses elements that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def test_a_notebook_shows_tables_with_intervals_and_the_best_marked(result: Example) -> None:
    """Also where style sheets are stripped; names are escaped, the folder is told."""
    shown = result._repr_html_()
    reader = Cells()
    reader.feed(shown)
    assert reader.open == []
    accuracy = reader.rows[reader.rows.index(["strategy", "0", "1", "2", "3"]) :][:4]
    assert accuracy[1] == ["single", "● 99.0", "● 99.0 ±2.0", "● 99.0 ±2.0", "● 99.0 ±2.0"]
    assert accuracy[2] == ["modnn", "98.0", "74.0 ±2.0", "50.0 ±2.0", "26.0 ±2.0"]
    assert "What is left when &lt;devices&gt; are lost?" in shown
    assert f"<code>{result.folder}</code>" in shown
    assert not re.search(r"<script|https?:", shown)


def test_tables_and_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    """Of the trials of a folder that has some."""
    import pandas as pd

    example(tmp_path)
    (tmp_path / "trials").mkdir()
    pd.DataFrame({"strategy": ["single"], "latency_s": [0.004]}).to_parquet(tmp_path / "trials" / "00000.parquet")
    write_manifest(tmp_path, {**read_manifest(tmp_path), "files": file_entries(tmp_path)})
    result = es.Result(tmp_path)
    assert result.frame(columns=["latency_s"])["latency_s"].tolist() == [0.004]
    with pytest.raises(
        UnknownNameError, match="unknown column 'latency'; expected one of strategy, latency_s; nearest"
    ):
        result.frame(columns=["latency"])
    with pytest.raises(UnknownNameError, match="unknown kind of table 'trial'; expected one of trials, outcomes"):
        result.dataset("trial")


def test_strategies_have_their_colours_on_axes_of_the_caller(result: Example) -> None:
    """The house's, whatever style the caller uses."""
    ax = result.plot_energy(Figure().subplots())
    assert [to_hex(container[0].get_color()) for container in ax.containers] == [
        colour.lower() for colour in COLOURS[:3]
    ]


def test_the_summary_is_read_once_while_its_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and tables all begin with it; whoever changes what he got changes only that."""
    folder = example(tmp_path).folder
    result, reads = store.Result(folder), []
    monkeypatch.setattr(store, "read_table", lambda *values: reads.append(values[0].name) or read_table(*values))
    first = result.summary()
    first.loc[:, "mean"] = 0.0
    assert result.main_metric == "accuracy"
    assert result.summary()["mean"].max() > 0
    assert reads == ["summary.csv"]
    path = folder / "summary.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("accuracy", "strange"), encoding="utf-8")
    with pytest.raises(ResultError, match="there is no metric 'strange'"):
        result.summary()
