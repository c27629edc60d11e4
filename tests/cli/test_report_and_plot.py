"""`edgesim report` and `edgesim plot`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer

sys.path.append(str(Path(__file__).parents[1] / "report"))

from example import example

from edgesim.cli.plot import FORMATS, KINDS, plot
from edgesim.cli.report import report
from edgesim.errors import ResultError, UnknownNameError
from edgesim.report.result import KINDS as DRAWN
from edgesim.report.style import FORMATS as WRITTEN
from edgesim.study.store import Result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result folder, and the working directory beside it."""
    result = example(tmp_path / "result")
    monkeypatch.setattr(Result, "frame", lambda *_, **__: result.frame())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "result"


def test_the_report_is_written_into_the_folder_or_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And its path goes to stdout."""
    report(folder, None)
    report(folder, Path("other.html"))
    assert capsys.readouterr().out == f"{folder / 'report.html'}\nother.html\n"
    assert (folder / "report.html").read_bytes() == Path("other.html").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(kind: str, folder: Path) -> None:
    """To KIND.FORMAT in the working directory."""
    plot(folder, kind, "svg", None, None)
    assert Path(f"{kind}.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_the_suffix_of_the_file_says_the_format(folder: Path) -> None:
    """As in `--output nonn.pdf`."""
    plot(folder, "timeline", "png", "nonn", Path("nonn.pdf"))
    assert Path("nonn.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pie", "png", None, None), "there is no figure 'pie'; there are tradeoff, "),
        (("energy", "gif", None, None), "'gif' is none of png, svg, pdf"),
        (("energy", "png", "nonn", None), "only the timeline is of one strategy"),
    ],
)
def test_wrong_options_say_what_there_is(
    arguments: tuple[str, str, str | None, None], message: str, folder: Path
) -> None:
    """And nothing is written."""
    with pytest.raises(typer.BadParameter, match=message):
        plot(folder, *arguments)
    assert [path.name for path in Path().iterdir()] == ["result"]


def test_folders_that_are_no_result_are_refused(tmp_path: Path) -> None:
    """With the folder's name."""
    for work in (lambda: report(tmp_path, None), lambda: plot(tmp_path, "energy", "png", None, None)):
        with pytest.raises(ResultError, match="not a result folder"):
            work()


def test_an_unknown_strategy_names_the_known_ones(folder: Path) -> None:
    """Of the timelines."""
    with pytest.raises(UnknownNameError, match="one of single, modnn, nonn; nearest 'nonn'"):
        plot(folder, "timeline", "png", "non", None)


def test_the_command_offers_what_the_report_draws() -> None:
    """The lists of the light command line are those of the modules that draw."""
    assert DRAWN == KINDS
    assert FORMATS == WRITTEN
