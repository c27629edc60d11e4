"""Result folders of strangers: refused in words or drawn, and nothing of them is run, obeyed, or written elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from example import Example, example
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.errors import ResultError
from edgesim.report.html.page import Picture, texts, write_page, written
from edgesim.study.folder.contents import file_entries
from edgesim.study.folder.manifest_file import MANIFEST, write_manifest
from edgesim.study.folder.names import BUDGET, SUMMARY, TIMELINE

EVIL = "<script>alert(1)</script>\"' onload=x $\\frac{"


@pytest.fixture
def result(tmp_path: Path) -> Example:
    """A finished study."""
    example(tmp_path / "result")
    return Example(tmp_path / "result")


def changed(result: Example, change: Callable[[dict[str, Any]], object]) -> Example:
    """Change the manifest as somebody would who can seal it."""
    about = json.loads((result.folder / MANIFEST).read_text(encoding="utf-8"))
    change(about)
    write_manifest(result.folder, about)
    return Example(result.folder)


def with_table(result: Example, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Example:
    """Change the summary."""
    change(pd.read_csv(result.folder / SUMMARY)).to_csv(result.folder / SUMMARY, index=False)
    return Example(result.folder)


class Attributes(HTMLParser):
    """Collects the names of attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {name for name, _ in attrs}


def test_texts_are_escaped_everywhere(result: Example) -> None:
    """Whatever may be a text in a manifest and a table."""

    def everywhere(about: dict[str, Any]) -> None:
        about |= dict.fromkeys(("question", "name", "command", "hash", "finished", "started"), EVIL)
        about["platform"]["system"] = about["versions"]["edgesim"] = about["replications"] = EVIL
        about["scenario"]["profiles"]["phone"]["source"] = EVIL
        about["deployments"][0]["description"] = {EVIL: EVIL}
        for entry in about["intact"]:
            entry["lost_devices"] = EVIL if entry["lost_devices"] == 0 else entry["lost_devices"]

    evil = changed(result, everywhere)
    evil = with_table(evil, lambda table: table.replace({"lost_devices": {0: EVIL}}))
    text = written(texts(evil), topology=Picture("", "", ""), figures=[], timelines=[])
    assert "<script" not in text
    reader = Attributes()
    reader.feed(text)
    assert "class" in reader.found
    assert "onload" not in reader.found
    assert "&lt;script" in text


@pytest.mark.parametrize("kind", ["resilience", "timeline"])
def test_names_in_figures_are_drawn_as_they_are(kind: str, result: Example) -> None:
    """Dollar signs are no formulas, and angle brackets no elements."""
    from edgesim.report.draw.style import figure_of
    from edgesim.report.draw.svg import inline_svg

    path = result.folder / TIMELINE
    path.write_text(path.read_text().replace('"hub"', json.dumps("$\\frac{<b>")), encoding="utf-8")
    with_table(
        result,
        lambda table: table.assign(lost_devices=[f"$\\frac{{<b>{n}" for n in table["lost_devices"]]).rename(
            columns={"lost_devices": "x"}
        ),
    )
    about = json.loads((result.folder / MANIFEST).read_text(encoding="utf-8"))
    about["scenario"]["sweep"] = {"x": about["scenario"]["sweep"]["lost_devices"]}
    about["factors"] = ["x"]
    about["intact"] = [{"x": entry.pop("lost_devices"), **entry} for entry in about["intact"]]
    write_manifest(result.folder, about)
    ax = getattr(Example(result.folder), f"plot_{kind}")()
    svg = inline_svg(figure_of(ax), "x", "<b>", "<b>")
    assert "<b>" not in svg
    assert "frac{&lt;b&gt;" in svg


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="unit"), "its columns are not"),
        (lambda table: table.assign(more=1), "its columns are not"),
        (lambda table: table.drop(index=3), "not every metric of every strategy"),
        (lambda table: table.drop(index=table.index), "it has no rows"),
        (lambda table: table.assign(strategy="other"), "it has a row twice"),
        (lambda table: table.assign(metric=table["metric"] + "\x1b[2J"), "not printable"),
        (lambda table: table.assign(metric=table["metric"].replace("energy", "power")), "no metric 'power'"),
        (lambda table: table.assign(unit="furlong"), "has unit 'furlong'"),
        (lambda table: table.assign(mean="many"), "something else than numbers"),
        (lambda table: table.assign(mean=float("inf")), "beyond all bounds"),
        (lambda table: table.assign(ci_low=-1e300), "beyond all bounds"),
        (lambda table: table.assign(strategy=1), "something else than texts"),
    ],
)
def test_tables_of_another_form_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str, result: Example
) -> None:
    """The message says what is wrong."""
    with pytest.raises(ResultError, match=message):
        with_table(result, change).summary()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="share"), "its columns are not"),
        (lambda table: table.drop(index=3), "not every part of every strategy"),
        (lambda table: table.assign(part="sending"), "not every part of every strategy"),
        (lambda table: table.assign(part=table["part"].replace("host", "guest")), "not every part of every strategy"),
        (
            lambda table: table.assign(strategy=table["strategy"].replace("nonn", "none")),
            "not every part of every strategy",
        ),
        (lambda table: table.assign(share="much"), "something else than numbers"),
    ],
)
def test_budgets_of_another_form_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str, result: Example
) -> None:
    """A figure of them would lack a bar."""
    path = result.folder / BUDGET
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(ResultError, match=message):
        result.plot_budget()


@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
@pytest.mark.parametrize("share", [float("nan"), 0.0, -1.0, 1e50])
def test_odd_shares_are_drawn(share: float, result: Example) -> None:
    """A strategy without an answer has no shares."""
    path = result.folder / BUDGET
    pd.read_csv(path).assign(share=share, mean_s=share).to_csv(path, index=False)
    result.plot_budget().get_figure().draw_without_rendering()
    texts(result)


@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
@pytest.mark.parametrize("factor", [1e50, 1e-90, -1.0, float("nan"), 0.0])
def test_odd_numbers_are_drawn(factor: float, result: Example) -> None:
    """Huge, tiny, negative, or none at all."""
    numbers = ["mean", "ci_low", "ci_high"]
    odd = with_table(result, lambda table: table.assign(**{name: table[name] * factor for name in numbers}))
    for kind in ("tradeoff", "resilience", "energy", "memory"):
        getattr(odd, f"plot_{kind}")().get_figure().draw_without_rendering()
    texts(odd)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.update(factors=["other"]), "factors are not those of the scenario"),
        (lambda about: about["scenario"]["sweep"].update({"<b>": {"path": "a"}}), "should match pattern"),
        (lambda about: about["scenario"]["strategies"].update(single="single"), "strategies.single"),
        (lambda about: about["scenario"].pop("workload"), "scenario.workload"),
        (lambda about: about["versions"].pop("edgesim"), "version of edgesim"),
        (lambda about: about["intact"].pop(), "intact has not the strategies"),
        (lambda about: about["intact"].clear(), "intact has not the strategies"),
        (lambda about: about["intact"][0].pop("lost_devices"), "intact lacks a factor"),
        (lambda about: about["intact"][0].update(energy="much"), "metrics that are no numbers"),
        (lambda about: about["intact"][0].update(energy=1e300), "less than or equal"),
        (lambda about: about.update(stopping=[{"a": 1}]), "stopping.0.replications"),
        (lambda about: about.update(question="\x1b]0;x\x07"), "'question' has characters that are not printable"),
        (lambda about: about["scenario"].update({"\x9b2J": 1}), r"\\x9b2J' has characters that are not printable"),
        (lambda about: about.update(files=[{"name": "../x", "size_byte": 0, "sha256": ""}]), "outside of the result folder"),
    ],
)  # fmt: skip
def test_manifests_of_another_form_are_refused(
    change: Callable[[dict[str, Any]], object], message: str, result: Example
) -> None:
    """Sealed or not; the message is printable."""
    with pytest.raises(ResultError, match=message) as caught:
        changed(result, change)
    assert str(caught.value).isprintable()


def test_a_scenario_in_a_result_runs_no_code(result: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug-ins and networks that it names; the topology is drawn without them."""
    (result.folder / "evil_of_a_result.py").write_text("open('was_here', 'w').close()\n", encoding="utf-8")
    monkeypatch.chdir(result.folder)

    def code(about: dict[str, Any]) -> None:
        about["scenario"]["plugins"] = [str(result.folder / "evil_of_a_result.py"), "antigravity"]
        about["scenario"]["strategies"]["nonn"] = {"type": "evil"}
        about["scenario"]["workload"]["model"] = {"type": "import", "target": "evil_of_a_result:X", "filters": "x"}

    ax = changed(result, code).plot_topology()
    assert "9 devices, 16 links" in ax.get_title(loc="left")
    assert not (result.folder / "was_here").exists()
    assert {"antigravity", "evil_of_a_result"}.isdisjoint(sys.modules)


def test_nothing_outside_of_the_folder_is_read_or_written(result: Example, tmp_path: Path) -> None:
    """A report goes into the folder, not through a link in its place; a table is not one behind a link."""
    other = tmp_path / "mine.txt"
    other.write_text("mine", encoding="utf-8")
    (result.folder / "report.html").symlink_to(other)
    assert write_page_without_figures(result).is_symlink() is False
    assert other.read_text(encoding="utf-8") == "mine"
    (result.folder / SUMMARY).replace(tmp_path / "other.csv")
    (result.folder / SUMMARY).symlink_to(tmp_path / "other.csv")
    with pytest.raises(ResultError, match="a link to a file outside"):
        changed(result, lambda about: about.update(files=file_entries(result.folder)))


def write_page_without_figures(result: Example) -> Path:
    """Write the report, quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgesim.report.html.page.page", lambda *_: "<html>")
        return write_page(result)


@pytest.mark.parametrize(
    "event",
    [
        {"ts": -1.0}, {"ts": 1e300}, {"ts": None}, {"dur": "1"}, {"cat": "other"}, {"tid": 99}, {"args": []}, {"args": {"waited": {}}}, {"ph": []},
        {"name": "thread_name", "args": {"name": 3}}, {"name": "process_name", "args": {}}, {"pid": []},
    ],
)  # fmt: skip
def test_damaged_timelines_are_refused(event: dict[str, Any], result: Example) -> None:
    """Types, times, kinds, names."""
    trace = json.loads((result.folder / TIMELINE).read_text())
    bar = next(one for one in trace["traceEvents"] if one["ph"] == "X")
    bar.update(event)
    (result.folder / TIMELINE).write_text(json.dumps(trace))
    if event == {"ph": []}:
        result.timelines()  # an event that is none of ours
        return
    with pytest.raises(ResultError, match=r"timeline\.json is damaged"):
        result.timelines()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A good result beside one whose name and manifest would steer a terminal."""
    monkeypatch.chdir(tmp_path)
    example(tmp_path / "results" / "good")
    bad = example(tmp_path / "results" / "bad\x1b[2J")
    text = (bad.folder / MANIFEST).read_text(encoding="utf-8")
    (bad.folder / MANIFEST).write_text(text.replace("What is left", "\\u001b[2J"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_no_escape_sequence_reaches_the_terminal(folders: Path, more: list[str]) -> None:
    """Of names of folders, of questions; the good one is listed beside it."""
    shown = CliRunner().invoke(app, ["results", "list", *more], catch_exceptions=False)
    assert shown.exit_code == 1
    assert "\x1b" not in shown.output
    assert "good" in shown.stdout
    assert "not printable" in shown.stderr
